"""What applications sent in a period, by day (UTC)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from campaigns.models import Bulk, Counter
from devices.models import Application

LONGEST = 366  # days


@dataclass(frozen=True, slots=True)
class Figures:
    """Messages, each counted on the day on which it became known."""

    sent: int = 0
    accepted: int = 0
    delivered: int = 0
    seen: int = 0
    clicked: int = 0
    failed: int = 0
    expired: int = 0
    unknown: int = 0

    @staticmethod
    def sum(each: "Iterable[Figures]") -> "Figures":
        rows = list(each)
        return Figures(*(sum(getattr(row, name) for row in rows) for name in NAMES))


NAMES = tuple(each.name for each in fields(Figures))


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, both of them in it."""

    first: date
    last: date

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(n) for n in range((self.last - self.first).days + 1)]

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.first, time.min, UTC)

    @property
    def ends(self) -> datetime:
        return datetime.combine(self.last + timedelta(1), time.min, UTC)


def latest(days: int) -> Period:
    """So many days, of which today is the last."""
    today = timezone.now().astimezone(UTC).date()
    return Period(today - timedelta(days - 1), today)


def by_day(applications: Sequence[Application], period: Period) -> dict[Application, list[Figures]]:
    """The figures of each application on each day; test sends are left out."""
    rows = (
        _counters(applications, period)
        .annotate(day=TruncDate("minute", tzinfo=UTC))
        .values_list("bulk__application", "day")
        .annotate(*(Sum(name) for name in NAMES))
        .order_by("bulk__application", "day")
    )
    counted = {(application, day): Figures(*sums) for application, day, *sums in rows}
    return {
        each: [counted.get((each.pk, day), Figures()) for day in period.days]
        for each in applications
    }


def _counters(applications: Sequence[Application], period: Period) -> QuerySet[Counter]:
    return Counter.objects.filter(
        bulk__application__in=applications,
        bulk__starts_at__lt=period.ends,
        minute__gte=period.begins,
        minute__lt=period.ends,
    ).exclude(bulk__origin=Bulk.Origin.TEST)


def by_source(application: Application, period: Period) -> dict[Bulk.Origin, Figures]:
    """The figures of an application, parted by who asked for it; in sum those of `by_day`."""
    rows = (
        _counters([application], period)
        .values_list("bulk__origin")
        .annotate(*(Sum(name) for name in NAMES))
    )
    counted = {Bulk.Origin(origin): Figures(*sums) for origin, *sums in rows}
    return {each: counted[each] for each in Bulk.Origin if each in counted}


def runs(application: Application, period: Period, most: int) -> list[Bulk]:
    """The first step of what campaigns began in a period, the newest first."""
    began = Bulk.objects.filter(
        application=application, origin=Bulk.Origin.CAMPAIGN, step=0,
        starts_at__gte=period.begins, starts_at__lt=period.ends,
    )  # fmt: skip
    return list(began.select_related("campaign").order_by("-starts_at", "-pk")[:most])
