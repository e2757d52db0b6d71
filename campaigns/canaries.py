"""Whom a campaign tries first, and whether it goes on after that.

{"share": percent} or {"devices": number} of the audience, drawn at random, get it at once; the
rest is held. So many "minutes" after the last of the first has its outcome, the campaign goes
on by itself if at most "failed" percent of them failed ("then": "go_on"), else it pauses and
somebody decides; with "then": "hold" somebody always does. "asked" is since when.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max, Sum
from django.utils import timezone

from campaigns import statistics
from campaigns.errors import IncompleteContentError
from campaigns.models import Bulk, Campaign, Chunk, Message, Reason
from campaigns.timing import Kind, Timing

log = logging.getLogger(__name__)


def wanted(bulk: Bulk) -> bool:
    return bool(bulk.delivery.get("canary"))


# The order in which devices are drawn is that of a hash, seeded with the bulk: each campaign tries
# others first.
RANKED = f"""
drawn AS (
    SELECT *, reason IN (0, {int(Reason.WAITING_FOR_DAY)}) AS goes,
           row_number() OVER (PARTITION BY reason IN (0, {int(Reason.WAITING_FOR_DAY)})
                              ORDER BY hashint8extended(id, %(bulk)s), id) AS place,
           count(*) OVER (PARTITION BY reason IN (0, {int(Reason.WAITING_FOR_DAY)})) AS total
    FROM judged
),
ranked AS (
    SELECT *, goes AND place > CASE WHEN %(first)s::bigint IS NOT NULL THEN %(first)s
                                    ELSE ceil(total * %(share)s::float8 / 100) END AS held
    FROM drawn
)
"""  # noqa: S608


def parameters(bulk: Bulk) -> dict[str, Any]:
    """What RANKED is given."""
    canary = bulk.delivery["canary"]
    return {"first": canary.get("devices"), "share": canary.get("share", 100)}


def check(campaign: Campaign) -> None:
    """Raise what keeps a campaign from trying a part first, by field."""
    if not campaign.canary:
        return
    if campaign.scenario_id is not None:
        raise IncompleteContentError(
            "The others would get the scenario's text message while they wait: send to everybody"
            " at once, or without a scenario.",
            field="try_first",
        )
    if campaign.canary["minutes"] * 60 >= campaign.ttl:
        raise IncompleteContentError(
            "The others' time to live would end while they wait: wait shorter, or keep trying"
            " longer.",
            field="try_minutes",
        )
    if Timing.of(campaign.timing).kind is Kind.LOCAL:
        raise IncompleteContentError(
            "In recipients' time the others' hour would pass while they wait: choose one time"
            " for all, or send to everybody.",
            field="try_first",
        )


def sentence(told: Mapping[str, Any]) -> str:
    """Whom it tries first, in words."""
    if not told:
        return "To everybody at once"
    many = f"{told['share']} %" if "share" in told else f"{told['devices']:,} devices"
    then = f"after {told['minutes']} min "
    if told["then"] == "hold":
        return f"{many} first; {then}it pauses, and somebody decides"
    return f"{many} first; {then}it goes on if at most {told['failed']} % failed, else it pauses"


# ------------------------------------------------------------------- judging


def judge() -> int:
    """Let campaigns go on of which the first went well, pause the others; how many were judged."""
    trying = Bulk.objects.filter(
        status=Bulk.Status.SENDING, delivery__has_key="canary", chunks__held=True,
        chunks__status=Chunk.Status.OPEN,
    )  # fmt: skip
    return sum(_judge(pk) for pk in trying.values_list("pk", flat=True).distinct())


def _judge(bulk_pk: int) -> bool:
    with transaction.atomic():
        sending = Bulk.objects.filter(pk=bulk_pk, status=Bulk.Status.SENDING)
        bulk = sending.select_for_update(skip_locked=True).first()
        if bulk is None:
            return False
        canary, now = bulk.delivery["canary"], timezone.now()
        if now > bulk.starts_at + timedelta(seconds=bulk.ttl + bulk.span):
            release(bulk)  # their time is over, and ends as such
            return True
        if bulk.chunks.filter(status=Chunk.Status.OPEN, held=False).exists():
            return False
        last = Message.objects.of_bulk(bulk).aggregate(last=Max("sent_at"))["last"]
        if last is None or now < last + timedelta(minutes=canary["minutes"]):
            return False
        funnel = statistics.funnel(bulk)
        failed = 100 * funnel.failed / funnel.sent if funnel.sent else 0.0
        if canary["then"] == "go_on" and failed <= canary["failed"]:
            release(bulk)
            log.info("bulk %s goes on: %.1f %% of the first failed", bulk.pk, failed)
            return True
        _ask(bulk, f"The first {funnel.sent:,} devices are done: {failed:.1f} % failed.")
        return True


def _ask(bulk: Bulk, said: str) -> None:
    """Pause it, and let somebody decide."""
    canary = bulk.delivery["canary"]
    if canary["then"] == "go_on":
        said += f" At most {canary['failed']} % were to fail."
    canary["asked"] = timezone.now().isoformat(timespec="seconds")
    bulk.status, bulk.status_reason = Bulk.Status.PAUSED, said
    bulk.save(update_fields=["status", "status_reason", "delivery"])


def held(bulk: Bulk) -> int:
    """How many devices wait until the first have tried it."""
    if bulk.status != Bulk.Status.SENDING or not wanted(bulk):
        return 0
    waiting = bulk.chunks.filter(held=True, status=Chunk.Status.OPEN)
    return waiting.aggregate(devices=Sum("size"))["devices"] or 0


def asks(bulk: Bulk) -> bool:
    """Whether somebody has to decide if it goes on."""
    paused = bulk.status == Bulk.Status.PAUSED
    return paused and "asked" in bulk.delivery.get("canary", {})


def release(bulk: Bulk) -> None:
    """Let everybody have it who was held."""
    bulk.chunks.filter(held=True).update(held=False)
