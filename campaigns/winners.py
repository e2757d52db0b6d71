"""The best variant of a campaign, found on a part of the audience; the rest gets that one.

{"metric": "clicked", "seen" or "delivered", "test": percent of the audience, "minutes",
"answers": number or None, "unclear": "largest" or "hold"}: so many percent, drawn at random from
each variant, get theirs at once, and the rest is held. So many minutes after the last of them
has its outcome, or as soon as so many have answered together, the variants are compared. A
difference that chance would hardly make decides; without one it is the largest rate that
does, or the campaign pauses and somebody chooses. "asked" is since when, "decided" what was
chosen, how, and by which figures.

A decision is one transaction under the lock of the bulk's row: its figures, the audit trail
and what is no longer held stand together, or nothing of it does. Whoever comes second finds
nobody held.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from campaigns import variant_figures
from campaigns.errors import IncompleteContentError, WrongStateError
from campaigns.models import Bulk, Campaign, Chunk, Message, Reason
from campaigns.timing import Kind, Timing
from campaigns.variant_figures import VariantFigures, Verdict
from campaigns.variants import NAMES, split_of
from devices import audit

log = logging.getLogger(__name__)

METRICS = {"clicked": "tapped", "seen": "seen", "delivered": "delivered"}
HELD = Q(held=True, status=Chunk.Status.OPEN)

# Of each variant the same share is drawn, by a hash seeded with the bulk.
RANKED = f"""
drawn AS (
    SELECT *, reason IN (0, {int(Reason.WAITING_FOR_DAY)}) AS goes,
           row_number() OVER same AS place, count(*) OVER each AS total
    FROM judged
    WINDOW each AS (PARTITION BY reason IN (0, {int(Reason.WAITING_FOR_DAY)}), variant),
           same AS (each ORDER BY hashint8extended(id, %(bulk)s), id)
),
ranked AS (
    SELECT *, goes AND place > ceil(total * %(test)s::float8 / 100) AS held FROM drawn
)
"""  # noqa: S608


def wanted(bulk: Bulk) -> bool:
    return bool(bulk.delivery.get("winner"))


def parameters(bulk: Bulk) -> dict[str, Any]:
    """What RANKED is given."""
    return {"test": bulk.delivery["winner"]["test"]}


def of(campaign: Campaign) -> dict[str, Any]:
    """What a campaign wants of it; {} also where there are no variants to compare."""
    wants: dict[str, Any] = campaign.winner
    return wants if len(split_of(campaign.split).shares) > 1 else {}


def check(campaign: Campaign) -> None:
    """Raise what keeps a campaign from looking for a winner, by field."""
    told = of(campaign)
    if not told:
        return
    if campaign.canary:
        raise IncompleteContentError(
            "The variants are tried on a part already: send to everybody at once, or choose no"
            " winner.",
            field="try_first",
        )
    if campaign.scenario_id is not None:
        raise IncompleteContentError(
            "The others would get the scenario's text message while they wait for the winner:"
            " choose no winner, or no scenario.",
            field="win_metric",
        )
    if told["minutes"] * 60 >= campaign.ttl:
        raise IncompleteContentError(
            "The others' time to live would end while they wait: decide sooner, or keep trying"
            " longer.",
            field="win_minutes",
        )
    if Timing.of(campaign.timing).kind is Kind.LOCAL:
        raise IncompleteContentError(
            "In recipients' time the others' hour would pass while they wait: choose one time"
            " for all, or no winner.",
            field="win_metric",
        )


def sentence(told: Mapping[str, Any]) -> str:
    """How the winner is found, in words."""
    if not told:
        return "Each variant goes to its share"
    when = f"after {told['minutes']} min"
    if told["answers"]:
        when += f", or once {told['answers']:,} are {METRICS[told['metric']]}"
    unclear = "somebody chooses" if told["unclear"] == "hold" else "the largest rate wins"
    return (
        f"{told['test']} % get a variant each; {when} the rest gets the one that is"
        f" {METRICS[told['metric']]} most often. If that may be chance, {unclear}"
    )


# ------------------------------------------------------------------- deciding


def judge() -> int:
    """Decide what can be decided; of how many campaigns."""
    testing = Bulk.objects.filter(
        status=Bulk.Status.SENDING, delivery__has_key="winner", chunks__held=True,
        chunks__status=Chunk.Status.OPEN,
    )  # fmt: skip
    return sum(_judge(pk) for pk in testing.values_list("pk", flat=True).distinct())


def _judge(bulk_pk: int) -> bool:
    with transaction.atomic():
        sending = Bulk.objects.filter(pk=bulk_pk, status=Bulk.Status.SENDING)
        bulk = sending.select_for_update(skip_locked=True).first()
        if bulk is None or not bulk.chunks.filter(HELD).exists():
            return False
        told, now = bulk.delivery["winner"], timezone.now()
        if now > bulk.starts_at + timedelta(seconds=bulk.ttl + bulk.span):
            bulk.chunks.filter(HELD).update(held=False)  # their time is over, and ends as such
            return True
        if bulk.chunks.filter(status=Chunk.Status.OPEN, held=False).exists():
            return False
        figures = variant_figures.figures(bulk)
        if not _is_time(bulk, figures):
            return False
        verdict = variant_figures.verdict(figures, METRICS[told["metric"]])
        if verdict is not None and verdict.is_sure:
            _decide(bulk, verdict.best.variant, figures, how="clear")
        elif verdict is not None and told["unclear"] == "largest":
            _decide(bulk, verdict.best.variant, figures, how="largest")
        else:
            _ask(bulk, verdict)
    return True


def _is_time(bulk: Bulk, figures: Sequence[VariantFigures]) -> bool:
    told = bulk.delivery["winner"]
    last = Message.objects.of_bulk(bulk).aggregate(last=Max("sent_at"))["last"]
    if last is None:
        return False
    answers = sum(each.hits(METRICS[told["metric"]]) for each in figures)
    if told["answers"] and answers >= told["answers"]:
        return True
    return bool(timezone.now() >= last + timedelta(minutes=told["minutes"]))


def _decide(
    bulk: Bulk,
    variant: int,
    figures: Sequence[VariantFigures],
    *,
    how: str,
    user: User | None = None,
) -> None:
    """Give a variant to all who are held, and write down why. The bulk's row is locked."""
    told = bulk.delivery["winner"]
    told["decided"] = {
        "variant": variant,
        "how": how,
        "at": timezone.now().isoformat(timespec="seconds"),
        "figures": [asdict(each) for each in figures],
    }
    told.pop("asked", None)
    bulk.save(update_fields=["delivery"])
    rest = bulk.chunks.filter(HELD)
    devices = sum(rest.values_list("size", flat=True))
    rest.update(held=False, variant=variant)
    if bulk.campaign is not None:
        audit.record(
            user,
            "choose winner",
            bulk.campaign,
            after={"variant": NAMES[variant], "how": HOW[how], "devices": devices},
        )
    log.info("bulk %s: variant %s goes to the rest", bulk.pk, NAMES[variant])


HOW = {
    "clear": "it was better than chance would make it",
    "largest": "no difference was clear; it had the largest rate",
    "person": "somebody chose it",
}


def _ask(bulk: Bulk, verdict: Verdict | None) -> None:
    """Pause it, and let somebody choose."""
    said = "The variants were tried, and none of them was accepted often enough to compare."
    if verdict is not None:
        said = (
            f"The variants were tried, and none is clearly {verdict.what} more often:"
            f" {verdict.best.name} {verdict.rates[0]:.1%}, {verdict.other.name}"
            f" {verdict.rates[1]:.1%}."
        )
    bulk.delivery["winner"]["asked"] = timezone.now().isoformat(timespec="seconds")
    bulk.status, bulk.status_reason = Bulk.Status.PAUSED, said
    bulk.save(update_fields=["status", "status_reason", "delivery"])


def asks(bulk: Bulk) -> bool:
    """Whether somebody has to choose the variant that the rest gets."""
    paused = bulk.status == Bulk.Status.PAUSED
    return paused and "asked" in bulk.delivery.get("winner", {})


def check_chosen(bulk: Bulk) -> None:
    """Raise if it cannot go on before somebody has chosen."""
    if asks(bulk):
        raise WrongStateError("Choose the variant that the others get: then it goes on.")


def choose(bulk: Bulk, variant: int, user: User) -> None:
    """Somebody's choice, also before the test is over. The bulk's row is locked."""
    undecided = wanted(bulk) and "decided" not in bulk.delivery["winner"]
    going_on = bulk.status in (Bulk.Status.SENDING, Bulk.Status.PAUSED)
    if not undecided or not going_on or not bulk.chunks.filter(HELD).exists():
        raise WrongStateError("There is nothing to choose any more: nobody waits for a winner.")
    if not 0 <= variant < len(split_of(bulk.split).shares):
        raise WrongStateError("There is no such variant.")
    asked = asks(bulk)
    _decide(bulk, variant, variant_figures.figures(bulk), how="person", user=user)
    if asked:
        bulk.status, bulk.status_reason = Bulk.Status.SENDING, ""
        bulk.save(update_fields=["status", "status_reason"])


# ------------------------------------------------------------------- telling


def told(bulk: Bulk) -> dict[str, Any]:
    """What the page of a campaign says of its winner; {} for one that looks for none."""
    if not wanted(bulk):
        return {}
    wants = bulk.delivery["winner"]
    decided = wants.get("decided")
    figures = [VariantFigures(**each) for each in decided["figures"]] if decided else []
    return {
        "sentence": sentence(wants),
        "asks": asks(bulk),
        "waiting": sum(bulk.chunks.filter(HELD).values_list("size", flat=True)),
        "name": NAMES[decided["variant"]] if decided else "",
        "how": HOW[decided["how"]] if decided else "",
        "at": decided["at"] if decided else "",
        "tested": figures,
        "verdict": variant_figures.verdict(figures, METRICS[wants["metric"]]),
    }
