"""Scenario → flow: the steps of one launch or request, each with its bulk."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import F

from campaigns import boarding, merging, texting
from campaigns.errors import IncompleteContentError, NoCredentialError
from campaigns.models import Bulk, Campaign, Flow, Journey, Reason, RepeatPolicy, WebhookEvent
from campaigns.targeting import Rule
from campaigns.texting import Length
from devices.models import Application
from providers.sms import MOST_PARTS

LONGEST = 48 * 3600  # seconds that a step may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step does; `refused` says why it cannot do it."""

    channel: str  # PUSH, SMS, or one that nothing here can send on
    sender: str
    validity: int = LONGEST  # seconds
    application: Application | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    accepted_is_enough: bool = False
    primary_only: bool = False
    refused: Reason = Reason.NONE
    conditions: Mapping[str, Any] = field(default_factory=dict)  # see boarding.devices_of


def make(steps: Sequence[Step], first: Bulk, tells: int = 0) -> Flow:
    """Write a flow and the bulks of its steps; `first` is the unsaved bulk of the first one.

    The others have its public id, times and owner. A text message whose answer is in doubt is
    sent again where the gateway knows our ids: it takes each once (contract/providers.md 6.2).
    """
    flow = Flow.objects.create(
        steps=[
            {
                "channel": step.channel, "sender": step.sender, "validity": step.validity,
                "accepted_is_enough": step.accepted_is_enough,
                "primary_only": step.primary_only, "refused": int(step.refused),
                **step.conditions,
            }
            for step in steps
        ],
        tells=tells,
    )  # fmt: skip
    seconds = 0
    for number, step in enumerate(steps):
        seconds += step.validity
        if step.refused:
            continue
        bulk = first if number == 0 else _following(first)
        bulk.flow, bulk.step, bulk.ttl = flow, number, seconds
        bulk.tells = tells & WebhookEvent.SEEN  # the journey's end is told, not each message's
        if step.application is not None:
            bulk.application = step.application
        if step.content:
            bulk.content = [{"language": "", "variant": 0, **step.content}]
        if step.channel == "SMS":
            bulk.content[0]["sender"] = step.sender
            bulk.repeat_policy = _policy(bulk)
        bulk.save()
    return flow


def _following(first: Bulk) -> Bulk:
    return Bulk(
        bulk_id=first.bulk_id, application_id=first.application_id, campaign=first.campaign,
        origin=first.origin, status=first.status, starts_at=first.starts_at,
        throttle=first.throttle, repeat_policy=first.repeat_policy,
    )  # fmt: skip


def _policy(bulk: Bulk) -> RepeatPolicy:
    gateway = boarding.gateway_of(bulk.application_id)
    knows_our_ids = gateway is not None and gateway.data.get("shape") != "twilio"
    return RepeatPolicy.WHEN_UNSURE if knows_our_ids else RepeatPolicy.WHEN_REFUSED


# Whom a campaign shall leave alone: no other step writes to them either.
_LEFT_ALONE = (Reason.HELD_OUT, Reason.CAPPED, Reason.ZONE_PASSED, Reason.QUIET_HOURS)

# People whose devices can show no push have a journey too: the next step may reach them.
# Keys are drawn first, and nothing is joined to what was just written: the planner takes that for
# a row or two, and would compare each device of a million with each journey.
_EMBARK = """
WITH devices AS (
    SELECT d.id, c.status = 0 AS sent, r.person_id,
           c.status <> 0 AND c.reason = ANY(%(left_alone)s) AS left_alone,
           coalesce(c.starts_at, %(start)s) + %(validity)s::interval AS deadline
    FROM campaigns_chunk c, unnest(c.recipients) d (id)
    JOIN devices_registration r ON r.id = d.id
    WHERE c.bulk_id = %(bulk)s
),
owners AS MATERIALIZED (
    SELECT nextval('campaigns_journey_id_seq') AS id, o.*
    FROM (
        SELECT person_id, NULL::bigint AS registration_id, max(deadline) AS deadline,
               array_agg(id) FILTER (WHERE sent) AS sent_to
        FROM devices WHERE person_id IS NOT NULL
        GROUP BY person_id HAVING bool_or(sent) OR NOT bool_or(left_alone)
        UNION ALL
        SELECT NULL, id, deadline, ARRAY[id]
        FROM devices WHERE person_id IS NULL AND sent
    ) o
),
journeys AS (
    INSERT INTO campaigns_journey (id, flow_id, person_id, registration_id, step, state,
                                   started_at, deadline)
    SELECT id, %(flow)s, person_id, registration_id, 0, 0, %(start)s, deadline FROM owners
),
legs AS (
    INSERT INTO campaigns_leg (bulk_id, recipient, journey_id)
    SELECT %(bulk)s, unnest(sent_to), id FROM owners
)
INSERT INTO campaigns_journeynote (flow_id, journey_id)
SELECT %(flow)s, id FROM owners WHERE sent_to IS NULL
"""


def embark(bulk: Bulk) -> bool:
    """Write the journeys of an audience that was just frozen; whether there are any."""
    assert bulk.flow is not None
    validity = bulk.flow.steps[bulk.step]["validity"]
    with connection.cursor() as cursor:
        cursor.execute(
            _EMBARK,
            {
                "bulk": bulk.pk, "flow": bulk.flow.pk, "start": bulk.starts_at,
                "validity": f"{validity} seconds",
                "left_alone": [int(each) for each in _LEFT_ALONE],
            },
        )  # fmt: skip
    # Later steps have as much more time as the last of the recipients had to wait.
    Bulk.objects.filter(flow=bulk.flow, step__gt=bulk.step, status=Bulk.Status.PENDING).update(
        status=Bulk.Status.SENDING, frozen_at=bulk.frozen_at, delivery=bulk.delivery,
        ttl=F("ttl") + bulk.span,
    )  # fmt: skip
    return Journey.objects.filter(flow=bulk.flow).exists()


# ------------------------------------------------------------------- campaigns


def unfit(channels: Sequence[str]) -> str:
    """Why a campaign cannot take these steps; empty where it can."""
    if list(channels[:1]) == ["PUSH"] and not set(channels[1:]) - {"SMS"}:
        return ""
    return "A campaign begins with a push, and goes on with text messages only."


def of_campaign(campaign: Campaign, rule: Rule) -> list[Step]:
    """The steps of a campaign with a scenario: its push, then its text as a text message.

    Raises IncompleteContentError and NoCredentialError for steps that it cannot take.
    """
    assert campaign.scenario is not None
    said = campaign.scenario.steps
    channels = [step["channel"] for step in said]
    if problem := unfit(channels):
        raise IncompleteContentError(f"{problem} Choose another scenario.", field="scenario")
    text = texting.text_of(campaign)
    if len(channels) > 1:
        check_length(texting.length(text, campaign.application, rule))
        if boarding.gateway_of(campaign.application_id) is None:
            raise NoCredentialError(
                f"{campaign.application} has no SMS gateway. Add one under Settings, Applications."
            )
    return [
        Step(
            channel=step["channel"],
            sender=step.get("sender", ""),
            validity=step.get("validity") or LONGEST,
            content=merging.marked({"text": text}) if step["channel"] == "SMS" else {},
            accepted_is_enough=bool(step.get("accepted_is_enough")),
            primary_only=campaign.primary_only,
        )
        for step in said
    ]


def check_length(length: Length) -> None:
    """Raise what keeps a text from being sent as a text message."""
    if length.most > MOST_PARTS:
        whose = " for the longest of those who would get it" if length.varies else ""
        raise IncompleteContentError(
            f"The text takes {length.most} SMS{whose}; at most {MOST_PARTS} are sent. Shorten it.",
            field="text",
        )


def as_it_goes_on(first: Bulk) -> Bulk:
    """A first bulk, in the state of its first step that goes on."""
    if first.flow_id is not None and first.status == Bulk.Status.DONE:
        later = Bulk.objects.filter(flow=first.flow_id, status__in=Bulk.UNFINISHED)
        if (step := later.order_by("step").first()) is not None:
            first.status, first.finished_at = step.status, None
    return first


def latest(campaigns: Collection[Campaign]) -> dict[int, Bulk]:
    """The newest first bulk of each campaign, in the state of its first step that goes on."""
    launched = Bulk.objects.filter(campaign__in=campaigns, origin=Bulk.Origin.CAMPAIGN)
    found = {bulk.campaign_id: bulk for bulk in launched.filter(step=0).order_by("pk")}
    by_flow = {b.flow_id: b for b in found.values() if b.flow_id and b.status == Bulk.Status.DONE}
    later = Bulk.objects.filter(flow__in=by_flow, status__in=Bulk.UNFINISHED).order_by("-step")
    for flow_id, status in later.values_list("flow_id", "status"):
        first = by_flow[flow_id]
        first.status, first.finished_at = status, None
    return {key: bulk for key, bulk in found.items() if key is not None}
