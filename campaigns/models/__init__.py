"""What is said, to whom, what became of it."""

from campaigns.models.approvals import Approval
from campaigns.models.calls import ApiCall, RecordedCall
from campaigns.models.campaigns import (
    Campaign,
    CampaignContent,
    CampaignVersion,
    RepeatPolicy,
)
from campaigns.models.caps import CapUse
from campaigns.models.counters import Counter, EarlyReceipt, ReasonCounter
from campaigns.models.flows import Flow, FlowDestination, Journey, JourneyNote, Leg, Stage
from campaigns.models.inbound import Inbound
from campaigns.models.inbox import InboxMessage
from campaigns.models.letters import Letter, ReportOrder
from campaigns.models.lists import ListMember, ListUpload, StaticList
from campaigns.models.messages import Bulk, Chunk, Medium, Message, MessageQuerySet
from campaigns.models.push_api import PushApiCampaign, PushApiSend
from campaigns.models.reasons import PULLED_REASONS, REASONS, Reason
from campaigns.models.reconciliations import Reconciliation
from campaigns.models.samples import PERSON_COLUMNS, Sample, SampledRegistration
from campaigns.models.saved_devices import SavedDevice
from campaigns.models.scenarios import InboxTopic, Scenario, SmsSender
from campaigns.models.segments import Segment, SegmentDay, SegmentVersion
from campaigns.models.submissions import Destination, Rejection, Report, Submission, UsedId
from campaigns.models.templates import ContentTemplate, Snippet
from campaigns.models.webhooks import (
    Webhook,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEvent,
    WebhookNote,
    WebhookSecret,
    WebhookTarget,
)

__all__ = [
    "PERSON_COLUMNS",
    "PULLED_REASONS",
    "REASONS",
    "ApiCall",
    "Approval",
    "Bulk",
    "Campaign",
    "CampaignContent",
    "CampaignVersion",
    "CapUse",
    "Chunk",
    "ContentTemplate",
    "Counter",
    "Destination",
    "EarlyReceipt",
    "Flow",
    "FlowDestination",
    "Inbound",
    "InboxMessage",
    "InboxTopic",
    "Journey",
    "JourneyNote",
    "Leg",
    "Letter",
    "ListMember",
    "ListUpload",
    "Medium",
    "Message",
    "MessageQuerySet",
    "PushApiCampaign",
    "PushApiSend",
    "Reason",
    "ReasonCounter",
    "Reconciliation",
    "RecordedCall",
    "Rejection",
    "RepeatPolicy",
    "Report",
    "ReportOrder",
    "Sample",
    "SampledRegistration",
    "SavedDevice",
    "Scenario",
    "Segment",
    "SegmentDay",
    "SegmentVersion",
    "SmsSender",
    "Snippet",
    "Stage",
    "StaticList",
    "Submission",
    "UsedId",
    "Webhook",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEvent",
    "WebhookNote",
    "WebhookSecret",
    "WebhookTarget",
]
