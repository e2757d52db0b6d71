"""Send a campaign again to devices that it did not reach, for the reasons that somebody chose.

That is a campaign of its own, with everything a campaign has: its audience is whoever the first
one did not reach (campaigns/targeting/unreached.py), looked up again when it starts. What
fails again can be sent again; all of it is linked to the first bulk, and whoever any of them
may have reached is left out.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.db.models import Case, Count, IntegerField, Value, When

from campaigns import history
from campaigns.counting import patience
from campaigns.errors import IncompleteContentError, WrongStateError
from campaigns.models import Bulk, Campaign, CampaignContent, Message, Reason, RepeatPolicy
from campaigns.targeting import Rule
from campaigns.targeting.fields import UNREACHED
from campaigns.targeting.unreached import CERTAIN, IN_DOUBT, first_of
from campaigns.timing import Kind, Timing
from devices import audit

KIND = 0x0A6A  # of our advisory locks; the other half is the first bulk
PATIENCE = 3_000  # milliseconds for counting message rows
FORBIDDEN = (
    "This campaign says never to send again what may have arrived: leave those out, or let it send"
    " again when the cloud refused it."
)
# As the first one was composed; when and whom it tries first is for whoever sends it again.
COPIED = (
    "application_id", "primary_only", "ttl", "throttle", "repeat_policy", "split", "transactional",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Missed:
    """Devices that did not get it for one reason, and that nobody doubts."""

    reason: Reason
    devices: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whom a bulk did not reach."""

    missed: list[Missed]
    unsure: int  # devices of which it is not known


def refusal(bulk: Bulk | None) -> str:
    """Why a bulk cannot be sent again; empty when it can."""
    if bulk is None or bulk.frozen_at is None:
        return "Nothing of it has been sent yet."
    if bulk.flow_id is not None:
        return (
            "It has a scenario: whom the push did not reach, its next step was for. Duplicate it"
            " to write to everybody again."
        )
    return ""


def outcome(bulk: Bulk) -> Outcome | None:
    """Counted from the messages; None where that took too long."""
    doubt = Case(When(IN_DOUBT, then=Value(1)), default=Value(0), output_field=IntegerField())
    rows = (
        Message.objects.of_bulk(bulk)
        .filter(CERTAIN | IN_DOUBT)
        .annotate(doubt=doubt)
        .values_list("doubt", "reason")
        .annotate(devices=Count("pk"))
        .order_by("-devices", "reason")
    )
    try:
        with patience(PATIENCE):
            counted = list(rows)
    except OperationalError:
        return None
    missed = [Missed(Reason(reason), devices) for doubt, reason, devices in counted if not doubt]
    return Outcome(missed, sum(devices for doubt, _, devices in counted if doubt))


def create(
    bulk: Bulk, user: User, *, reasons: Collection[Reason], unsure: bool = False
) -> Campaign:
    """A draft that says the same to those whom a bulk did not reach for these reasons.

    `unsure` takes in those of whom it is not known: some of them will have it twice.
    """
    source = bulk.campaign
    if source is None or (why := refusal(bulk)):
        raise WrongStateError(why if source is not None else "Only campaigns are sent again.")
    if not reasons and not unsure:
        raise IncompleteContentError("Choose for which reasons.", field="reasons")
    if unsure and bulk.repeat_policy == RepeatPolicy.NEVER:
        raise IncompleteContentError(FORBIDDEN, field="unsure")
    numbers = sorted(map(int, reasons))
    told = {"bulk": bulk.pk, "reasons": numbers, "unsure": unsure}
    with transaction.atomic():
        campaign = Campaign.objects.create(
            name=f"{source.name[:92]} (again)",
            created_by=user,
            resend_of=first_of(bulk),
            resend=told,
            **{name: getattr(source, name) for name in COPIED},
        )
        _copy_contents(bulk, source, campaign)
        history.keep(campaign, user)
        audit.record(
            user,
            "prepare to send again",
            campaign,
            after={
                "campaign": source.pk,
                "reasons": [Reason(each).label for each in numbers],
                "outcome not known": unsure,
            },
        )
    return campaign


def _copy_contents(bulk: Bulk, source: Campaign, campaign: Campaign) -> None:
    """What it says, in each language; of several variants the best one, if that is known."""
    decided = bulk.delivery.get("winner", {}).get("decided")
    contents = source.contents.all()
    if decided is not None:
        contents = contents.filter(variant=decided["variant"])
        campaign.split = {}
        campaign.save(update_fields=["split"])
    for content in contents:
        copied = {
            field.attname: getattr(content, field.attname)
            for field in CampaignContent._meta.concrete_fields
            if field.attname not in ("id", "campaign_id")
        }
        copied["variant"] = content.variant if decided is None else 0
        CampaignContent.objects.create(campaign=campaign, **copied)


def conditions(campaign: Campaign) -> list[Rule]:
    """What the audience of a campaign must meet besides its segment and its own rule."""
    if not campaign.resend:
        return []
    return [{"field": UNREACHED, "op": "in", "value": campaign.resend}]


def check(campaign: Campaign) -> None:
    """Raise what keeps a campaign from being sent again, by field."""
    if campaign.resend.get("unsure") and campaign.repeat_policy == RepeatPolicy.NEVER:
        raise IncompleteContentError(FORBIDDEN, field="repeat_policy")
    if campaign.resend and campaign.scenario_id is not None:
        raise IncompleteContentError(
            "What is sent again has one step: whom a text message reached would have to be left"
            " out. Choose no scenario.",
            field="scenario",
        )
    if campaign.resend and Timing.of(campaign.timing).kind is Kind.REPEAT:
        raise IncompleteContentError(
            "What is sent again goes out once: choose one time for it.", field="when"
        )


def lock(bulk: Bulk) -> None:
    """Until the transaction ends no other audience that is linked to the same bulk is frozen.

    So none is looked up by what another has not yet written down.
    """
    first = bulk.campaign.resend_of_id if bulk.campaign is not None else None
    if first is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [KIND, first % 2**31])


def others(campaign: Campaign, bulk: Bulk) -> dict[str, Any]:
    """Which campaigns are linked to a bulk of this one, for its page."""
    first = campaign.resend_of
    again = Campaign.objects.filter(resend_of=bulk if first is None else first)
    return {
        "first": first.campaign if first is not None else None,
        "again": list(again.exclude(pk=campaign.pk).order_by("pk")[:20]),
    }
