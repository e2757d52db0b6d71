"""What is said, to whom, what became of it."""

from campaigns.models.campaigns import Campaign, CampaignContent, RepeatPolicy
from campaigns.models.counters import Counter, EarlyReceipt, ReasonCounter
from campaigns.models.inbound import Inbound
from campaigns.models.inbox import InboxMessage
from campaigns.models.lists import ListMember, StaticList
from campaigns.models.messages import (
    PULLED_REASONS,
    REASONS,
    Bulk,
    Chunk,
    Destination,
    Message,
    MessageQuerySet,
    Reason,
)
from campaigns.models.reconciliations import Reconciliation
from campaigns.models.samples import PERSON_COLUMNS, Sample, SampledRegistration
from campaigns.models.scenarios import InboxTopic, Scenario, SmsSender
from campaigns.models.segments import Segment

__all__ = [
    "PERSON_COLUMNS",
    "PULLED_REASONS",
    "REASONS",
    "Bulk",
    "Campaign",
    "CampaignContent",
    "Chunk",
    "Counter",
    "Destination",
    "EarlyReceipt",
    "Inbound",
    "InboxMessage",
    "InboxTopic",
    "ListMember",
    "Message",
    "MessageQuerySet",
    "Reason",
    "ReasonCounter",
    "Reconciliation",
    "RepeatPolicy",
    "Sample",
    "SampledRegistration",
    "Scenario",
    "Segment",
    "SmsSender",
    "StaticList",
]
