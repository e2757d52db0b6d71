"""What goes out when: campaigns on the days of a month or a week, as a zone's clock shows them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import islice

from django.db.models import QuerySet
from django.utils import timezone

from campaigns import recurring
from campaigns.models import Bulk, Campaign
from campaigns.timing import DAY, Kind, Timing
from campaigns.wall_clocks import moment
from devices.models import Application

MOST = 500  # launches and runs shown; a calendar of more is read as a list
WEEK = 7


@dataclass(frozen=True, slots=True)
class Item:
    """A campaign at a time."""

    campaign: Campaign
    clock: time
    state: str  # as templates show it
    local: bool = False  # by the clock of each recipient
    audience: int | None = None  # None: not looked up yet
    run: int | None = None  # of a recurring campaign, once it is written down


@dataclass(slots=True)
class Day:
    """A day of the calendar, with what goes out on it in order."""

    date: date
    outside: bool = False  # of another month than the one shown
    today: bool = False
    items: list[Item] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """The days of a month, filled up to whole weeks, or those of a week."""

    first: date
    days: int
    month: int | None = None  # of which days are shown; None for a week

    @classmethod
    def of(cls, day: date, *, weekly: bool) -> "Page":
        if weekly:
            return cls(day - timedelta(days=day.weekday()), WEEK)
        begins = day.replace(day=1)
        first = begins - timedelta(days=begins.weekday())
        following = (begins + timedelta(days=31)).replace(day=1)
        days = (following - first).days
        return cls(first, days + -days % WEEK, day.month)

    @property
    def last(self) -> date:
        return self.first + timedelta(days=self.days - 1)


def fill(application: Application, page: Page, zone: tzinfo) -> tuple[list[Day], bool]:
    """The days of a page with what goes out on them; whether that is all there is."""
    today = timezone.now().astimezone(zone).date()
    days = {
        (on := page.first + number * DAY): Day(
            on, outside=page.month not in (None, on.month), today=on == today
        )
        for number in range(page.days)
    }
    begins, ends = moment(page.first, time(), zone), moment(page.last + DAY, time(), zone)
    found = list(_launched(application, begins, ends, zone))
    planned = {(item.campaign.pk, on, item.clock) for on, item in found}
    for on, item in _to_come(application, begins, ends, zone):
        if (item.campaign.pk, on, item.clock) not in planned:
            found.append((on, item))
    for on, item in found:
        if on in days:
            days[on].items.append(item)
    for day in days.values():
        day.items.sort(key=lambda item: (item.clock, item.campaign.pk))
    return list(days.values()), len(found) < MOST


def _launched(
    application: Application, begins: datetime, ends: datetime, zone: tzinfo
) -> Iterable[tuple[date, Item]]:
    """What is written down: also what begins the day before, where the sun rises first."""
    bulks: QuerySet[Bulk] = Bulk.objects.filter(
        application=application, origin=Bulk.Origin.CAMPAIGN, step=0, campaign__isnull=False,
        starts_at__gte=begins - 2 * DAY, starts_at__lt=ends + 2 * DAY,
    ).select_related("campaign")  # fmt: skip
    for bulk in bulks.order_by("-starts_at")[:MOST]:
        assert bulk.campaign is not None
        timing = Timing.of(bulk.delivery.get("timing", {}))
        local = timing.kind is Kind.LOCAL
        if local and timing.day is not None and timing.clock is not None:
            on, clock = timing.day, timing.clock
        else:
            at = bulk.starts_at.astimezone(zone)
            on, clock = at.date(), at.time().replace(second=0, microsecond=0)
        state = "scheduled" if bulk.status == Bulk.Status.PENDING else str(bulk.status)
        audience = bulk.audience if bulk.frozen_at is not None else None
        run = bulk.pk if timing.kind is Kind.REPEAT else None
        yield on, Item(bulk.campaign, clock, state, local, audience, run)


def _to_come(
    application: Application, begins: datetime, ends: datetime, zone: tzinfo
) -> Iterable[tuple[date, Item]]:
    """The runs of recurring campaigns that are not written down yet."""
    campaigns = Campaign.objects.filter(
        application=application, timing__kind=Kind.REPEAT.value, launched_at__isnull=False
    ).order_by("pk")[:MOST]
    newest = Bulk.objects.filter(
        campaign__in=list(campaigns), origin=Bulk.Origin.CAMPAIGN, step=0
    ).order_by("campaign_id", "-starts_at").distinct("campaign_id")  # fmt: skip
    last = {bulk.campaign_id: bulk for bulk in newest}
    earliest = max(begins, timezone.now())
    for campaign in campaigns:
        bulk = last.get(campaign.pk)
        if bulk is None or bulk.status == Bulk.Status.CANCELLED:
            continue
        runs = recurring.runs_after(bulk, earliest)
        for at in islice(runs, MOST):
            if at >= ends:
                break
            local = at.astimezone(zone)
            yield local.date(), Item(campaign, local.time().replace(microsecond=0), "scheduled")
