"""Messages → counts and rates.

Everything here reads counters and chunks, never message rows: it answers in milliseconds at
any size. `recount` is the slow way, which proves the counters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta

from django.db import connection
from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from campaigns import flows, periods
from campaigns.models import (
    Bulk,
    Campaign,
    Chunk,
    Counter,
    Medium,
    Message,
    Reason,
    ReasonCounter,
)
from campaigns.periods import Period
from devices.models import Application, Platform, ProviderCredential, Registration
from devices.models.applications import ENDS_SOON

DAYS = 30  # of the overview
SOON = timedelta(minutes=1)  # a start that is nearer is counted down


@dataclass(frozen=True, slots=True)
class Funnel:
    """Where the devices of an audience are.

    targeted = waiting + cancelled + sent; sent = accepted + failed + expired + unknown;
    delivered, seen and clicked are among the accepted.
    """

    targeted: int = 0
    waiting: int = 0
    cancelled: int = 0
    sent: int = 0
    accepted: int = 0
    delivered: int = 0
    seen: int = 0
    clicked: int = 0
    failed: int = 0
    expired: int = 0
    unknown: int = 0
    repeated: int = 0  # of the sent: an earlier try may have arrived too
    left_out: int = 0
    lately: int = field(default=0, compare=False)  # of the sent: since the last full minute began

    @property
    def without_receipt(self) -> int:
        """Accepted by the cloud; no device said that it arrived."""
        return self.accepted - self.delivered

    @property
    def progress(self) -> float:
        """Share of the audience that is dealt with, 0 to 1."""
        return (self.sent + self.cancelled) / self.targeted if self.targeted else 0.0

    @property
    def adds_up(self) -> bool:
        return (
            self.targeted == self.waiting + self.cancelled + self.sent
            and self.sent == self.accepted + self.failed + self.expired + self.unknown
        )


_COUNTED = ("sent", "accepted", "delivered", "seen", "clicked", "failed", "expired", "unknown")

# One statement, so that counters and chunks are read at the same instant.
_FUNNELS = """
SELECT b.id, b.audience,
       coalesce(w.waiting, 0), coalesce(w.cancelled, 0),
       coalesce(c.sent, 0), coalesce(c.accepted, 0), coalesce(c.delivered, 0),
       coalesce(c.seen, 0), coalesce(c.clicked, 0), coalesce(c.failed, 0),
       coalesce(c.expired, 0), coalesce(c.unknown, 0), coalesce(c.repeated, 0), b.left_out,
       coalesce(c.lately, 0)
FROM campaigns_bulk b
LEFT JOIN LATERAL (
    SELECT sum(size - cursor) FILTER (WHERE status = 0) AS waiting,
           sum(size - cursor) FILTER (WHERE status = 3) AS cancelled
    FROM campaigns_chunk WHERE bulk_id = b.id AND status IN (0, 3)
) w ON true
LEFT JOIN LATERAL (
    SELECT sum(sent) AS sent, sum(accepted) AS accepted, sum(delivered) AS delivered,
           sum(seen) AS seen, sum(clicked) AS clicked, sum(failed) AS failed,
           sum(expired) AS expired, sum(unknown) AS unknown,
           sum(repeated) AS repeated, sum(sent) FILTER (WHERE minute >= %s) AS lately
    FROM campaigns_counter WHERE bulk_id = b.id
) c ON true
WHERE b.id = ANY(%s)
"""


def funnels(bulks: Sequence[int]) -> dict[int, Funnel]:
    """The funnels of several bulks, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_FUNNELS, [_last_full_minute(timezone.now()), list(bulks)])
        return {row[0]: Funnel(*(int(value) for value in row[1:])) for row in cursor.fetchall()}


def funnel(bulk: Bulk) -> Funnel:
    return funnels([bulk.pk]).get(bulk.pk, Funnel())


@dataclass(frozen=True, slots=True)
class Minute:
    """What happened in one minute."""

    minute: datetime
    sent: int
    accepted: int
    delivered: int
    seen: int
    clicked: int
    failed: int


def minutes(bulk: Bulk) -> list[Minute]:
    """The course of a bulk, oldest first; minutes in which nothing happened are left out."""
    names = [field.name for field in fields(Minute)][1:]
    rows = (
        Counter.objects.filter(bulk=bulk)
        .values_list("minute")
        .annotate(**{name: Sum(name) for name in names})
        .order_by("minute")
    )
    return [Minute(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class PlatformFunnel:
    platform: Medium
    sent: int
    accepted: int
    delivered: int
    seen: int
    clicked: int
    failed: int
    expired: int
    unknown: int


def platforms(bulk: Bulk) -> list[PlatformFunnel]:
    rows = (
        Counter.objects.filter(bulk=bulk)
        .values_list("platform")
        .annotate(**{name: Sum(name) for name in _COUNTED})
        .order_by("platform")
    )
    return [PlatformFunnel(Medium(platform), *counts) for platform, *counts in rows]


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many devices share a reason. `left_out`: never sent to; `waiting`: still tried."""

    reason: Reason
    count: int
    kind: str  # "failed", "waiting" or "left_out"

    @property
    def sentence(self) -> str:
        return self.reason.sentence

    @property
    def remedy(self) -> str:
        return self.reason.remedy


def reasons(bulk: Bulk) -> list[ReasonCount]:
    """Why devices did not get it: ended without acceptance, waiting for a retry, left out."""
    ended = (
        ReasonCounter.objects.filter(bulk=bulk, messages__gt=0)
        .values_list("reason")
        .annotate(total=Sum("messages"))
        .order_by("-total")
    )
    counted = [ReasonCount(Reason(reason), total, "failed") for reason, total in ended]
    chunks = (
        Chunk.objects.filter(bulk=bulk, status__in=(Chunk.Status.OPEN, Chunk.Status.LEFT_OUT))
        .exclude(reason=Reason.NONE)
        .values_list("status", "reason")
        .annotate(total=Sum("size") - Sum("cursor"))
        .order_by("-total")
    )
    for status, reason, total in chunks:
        kind = "waiting" if status == Chunk.Status.OPEN else "left_out"
        counted.append(ReasonCount(Reason(reason), total, kind))
    return counted


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a bulk is being sent."""

    per_second: float  # over the last full minute and this one
    seconds_left: float | None  # None while it cannot be told


def _last_full_minute(now: datetime) -> datetime:
    """When it began."""
    return (now - timedelta(minutes=1)).replace(second=0, microsecond=0)


def pace(bulk: Bulk, now_funnel: Funnel) -> Pace:
    """By the funnel of a moment ago: lists of what is being sent ask nothing more."""
    now = timezone.now()
    since = _last_full_minute(now)
    started = max(since, bulk.frozen_at or since)
    per_second = now_funnel.lately / max((now - started).total_seconds(), 1.0)
    if bulk.throttle:
        # What is claimed is counted at once: a short time shows more than was let through.
        per_second = min(per_second, float(bulk.throttle))
    left = now_funnel.waiting / per_second if per_second and now_funnel.waiting else None
    return Pace(per_second, left)


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """A line of the campaign list."""

    campaign: Campaign
    bulk: Bulk | None
    funnel: Funnel


def campaign_rows(campaigns: Sequence[Campaign]) -> list[CampaignRow]:
    """Campaigns with their latest bulk and its funnel, in two statements."""
    latest = flows.latest(campaigns)
    counted = funnels([bulk.pk for bulk in latest.values()])
    rows = []
    for campaign in campaigns:
        bulk = latest.get(campaign.pk)
        rows.append(
            CampaignRow(campaign, bulk, counted.get(bulk.pk, Funnel()) if bulk else Funnel())
        )
    return rows


def run_rows(runs: Sequence[Bulk]) -> list[CampaignRow]:
    """Sends of campaigns, the campaign at hand, with the funnel of each, in one statement."""
    counted = funnels([bulk.pk for bulk in runs])
    return [
        CampaignRow(bulk.campaign, bulk, counted[bulk.pk])
        for bulk in runs
        if bulk.campaign is not None
    ]


@dataclass(frozen=True, slots=True)
class Day:
    """What happened in an application on one day (UTC)."""

    day: date
    sent: int
    accepted: int
    delivered: int
    seen: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page of an application."""

    reachable: dict[Platform, int]
    devices: int
    opted_in: float | None  # share of enabled devices with notifications on; None without any
    period: Period  # of the figures below: as a report counts it
    days: list[Day]  # those of the period on which anything happened
    sent: int
    delivered: int
    seen: int
    running: list[CampaignRow]
    troubled: list[ProviderCredential]
    ending: list[ProviderCredential]  # soon, and they work until then


def running(application: Application) -> list[CampaignRow]:
    """Campaigns of which something is being sent or soon will be, the newest first."""
    begun = Q(bulks__status__in=(Bulk.Status.SENDING, Bulk.Status.PAUSED))
    soon = Q(bulks__status=Bulk.Status.PENDING, bulks__starts_at__lt=timezone.now() + SOON)
    unfinished = Campaign.objects.filter(begun | soon, application=application).distinct()
    return campaign_rows(list(unfinished[:10]))


def planned(application: Application) -> list[Bulk]:
    """What campaigns send next, the first of it first; what begins within a minute is running."""
    later = Bulk.objects.filter(
        application=application,
        campaign__isnull=False,
        status=Bulk.Status.PENDING,
        starts_at__gte=timezone.now() + SOON,
    )
    return list(later.select_related("campaign").order_by("starts_at", "pk")[:5])


def overview(application: Application) -> Overview:
    devices = Registration.objects.filter(application=application)
    base = devices.aggregate(
        total=Count("pk"),
        switched_on=Count("pk", filter=Q(enabled=True)),
        opted_in=Count("pk", filter=Q(enabled=True, notifications_enabled=True)),
    )
    reachable = {
        Platform(platform): number
        for platform, number in devices.reachable()
        .values_list("platform")
        .annotate(number=Count("pk"))
        .order_by("platform")
    }
    period = periods.latest(DAYS)
    names = ("sent", "accepted", "delivered", "seen")
    rows = (
        Counter.objects.filter(bulk__application=application, minute__gte=period.begins)
        .exclude(bulk__origin=Bulk.Origin.TEST)
        .annotate(day=TruncDate("minute", tzinfo=UTC))
        .values_list("day")
        .annotate(**{name: Sum(name) for name in names})
        .order_by("day")
    )
    days = [Day(*row) for row in rows]
    refused = Q(paused_at__isnull=False) | Q(test_ok=False)
    credentials = ProviderCredential.objects.filter(application=application, enabled=True)
    noted = credentials.filter(refused | Q(ends_at__lte=timezone.now() + ENDS_SOON)).defer("data")
    troubled = [each for each in noted if each.paused_at is not None or each.test_ok is False]
    return Overview(
        period=period,
        reachable=reachable,
        devices=base["total"],
        opted_in=base["opted_in"] / base["switched_on"] if base["switched_on"] else None,
        days=days,
        sent=sum(day.sent for day in days),
        delivered=sum(day.delivered for day in days),
        seen=sum(day.seen for day in days),
        running=running(application),
        troubled=troubled,
        ending=[each for each in noted if each not in troubled],
    )


def messages(bulk: Bulk) -> "QuerySet[Message]":
    """The message log of a bulk: newest device first, one range of one partition."""
    return Message.objects.of_bulk(bulk).order_by("-pk")


def recount(bulk: Bulk) -> Funnel:
    """The funnel as the message rows tell it: slow, and right by definition."""
    states = dict(Message.objects.of_bulk(bulk).values_list("state").annotate(number=Count("pk")))
    held = Chunk.objects.filter(bulk=bulk).aggregate(
        waiting=Sum("size", filter=Q(status=Chunk.Status.OPEN))
        - Sum("cursor", filter=Q(status=Chunk.Status.OPEN)),
        cancelled=Sum("size", filter=Q(status=Chunk.Status.CANCELLED))
        - Sum("cursor", filter=Q(status=Chunk.Status.CANCELLED)),
        left_out=Sum("size", filter=Q(status=Chunk.Status.LEFT_OUT)),
    )
    clicked = states.get(Message.State.CLICKED, 0)
    seen = clicked + states.get(Message.State.SEEN, 0)
    delivered = seen + states.get(Message.State.DELIVERED, 0)
    return Funnel(
        targeted=bulk.audience,
        waiting=held["waiting"] or 0,
        cancelled=held["cancelled"] or 0,
        sent=sum(states.values()),
        accepted=delivered + states.get(Message.State.ACCEPTED, 0),
        delivered=delivered,
        seen=seen,
        clicked=clicked,
        failed=states.get(Message.State.FAILED, 0),
        expired=states.get(Message.State.EXPIRED, 0),
        unknown=states.get(Message.State.UNKNOWN, 0),
        repeated=Message.objects.of_bulk(bulk).filter(repeated=True).count(),
        left_out=held["left_out"] or 0,
    )


def span(bulk: Bulk) -> tuple[datetime | None, datetime | None]:
    """The first and the last minute in which something was sent."""
    found = Counter.objects.filter(bulk=bulk, sent__gt=0).aggregate(
        first=Min("minute"), last=Max("minute")
    )
    return found["first"], found["last"]
