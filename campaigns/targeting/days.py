"""Days: absolute, and counted from today in a zone."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import DateField, DateTimeField, F, JSONField, Q, Value
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
    Lookup,
)

from campaigns.errors import RuleError
from campaigns.targeting import values
from campaigns.targeting.context import Context, Test
from campaigns.targeting.expressions import (
    any_of,
    attribute,
    attribute_text,
    complement,
    day_at_recipient,
    matches,
    month_and_day,
)
from devices.indexing import ISO_DAY

MINUTES = 24 * 60
PAST_ONLY = ("created_at", "last_seen_day")  # what happened: no zone makes it lie ahead
COMPARISONS: dict[str, type[Lookup[Any]]] = {
    "is": Exact,
    "before": LessThan,
    "after": GreaterThan,
    "on_or_before": LessThanOrEqual,
    "on_or_after": GreaterThanOrEqual,
}


def day_test(context: Context, test: Test) -> Q:
    """A test of a day: `zone` says whose midnight counts, `recipient` is each device's own."""
    zone = values.zone(test.rule.get("zone", "UTC"), values.join(test.path, "zone"))

    def compare(op: str, day: date) -> Q:
        return _compare(context, test, zone, (op, day))

    def between(first: date, last: date) -> Q:
        return _compare(context, test, zone, ("on_or_after", first), ("on_or_before", last))

    if test.op in COMPARISONS:
        return compare(test.op, values.day(test.value, test.place))
    if test.op == "between":
        ends = values.pair(test.value, test.place)
        first, last = (values.day(end, f"{test.place}[{n}]") for n, end in enumerate(ends))
        if first > last:
            raise RuleError(test.place, "the first day is after the last one.")
        return between(first, last)
    number = timedelta(days=values.days(test.value, test.place))
    if test.op == "older_than_days":
        return _relative(context, zone, lambda today: compare("before", today - number))
    if test.op == "within_next_days":
        return _relative(context, zone, lambda today: between(today, today + number))
    if test.op == "anniversary_within":
        return _relative(context, zone, lambda today: _anniversary(context, test, today, number))
    if test.field.column in PAST_ONLY:
        return _relative(context, zone, lambda today: compare("on_or_after", today - number))
    return _relative(context, zone, lambda today: between(today - number, today))


def _relative(context: Context, zone: ZoneInfo | None, on: Callable[[date], Q]) -> Q:
    """A condition that depends on what day it is; `on` gives it for a day.

    Offsets are less than a day, so devices live in at most three days at once.
    """
    if zone is not None:
        return on(context.now.astimezone(zone).date())
    minute, day = context.now.hour * 60 + context.now.minute, context.now.date()
    behind, ahead = Q(timezone_offset__lt=-minute), Q(timezone_offset__gte=MINUTES - minute)
    return (
        (behind & on(day - timedelta(days=1)))
        | (ahead & on(day + timedelta(days=1)))
        | (complement(behind | ahead) & on(day))
    )


def _compare(context: Context, test: Test, zone: ZoneInfo | None, *bounds: tuple[str, date]) -> Q:
    """All of some comparisons with a day, each by its operator."""
    column = context.column(test.field)
    if test.field.kind in ("attribute", "property"):
        name = test.field.column
        stored = attribute(column, name)
        compared = [
            Q(COMPARISONS[op](stored, Value(day.isoformat(), JSONField()))) for op, day in bounds
        ]
        # Last, and once: to look at a text costs several comparisons.
        return Q(*compared, matches(attribute_text(column, name), ISO_DAY))
    return Q(*(_compare_column(column, test, zone, op, day) for op, day in bounds))


def _compare_column(column: str, test: Test, zone: ZoneInfo | None, op: str, day: date) -> Q:
    if test.field.column != "created_at":
        return Q(COMPARISONS[op](F(column), Value(day, DateField())))
    if zone is None:
        return Q(COMPARISONS[op](day_at_recipient(column), Value(day, DateField())))
    return _moment(column, op, day, zone)


def _moment(column: str, op: str, day: date, zone: ZoneInfo) -> Q:
    """A day as two midnights, so that an index on the moment can be used."""

    def at(lookup: type[Lookup[Any]], start: datetime) -> Q:
        return Q(lookup(F(column), Value(start, DateTimeField())))

    begins = _midnight(day, zone)
    ends = _midnight(day + timedelta(days=1), zone) if day < date.max else _LAST
    if op == "is":
        return at(GreaterThanOrEqual, begins) & at(LessThan, ends)
    return {
        "before": at(LessThan, begins),
        "on_or_before": at(LessThan, ends),
        "after": at(GreaterThanOrEqual, ends),
        "on_or_after": at(GreaterThanOrEqual, begins),
    }[op]


_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    try:
        return datetime.combine(day, time(), zone).astimezone(UTC)
    except OverflowError:  # at the ends of the calendar
        return _FIRST if day.year == 1 else _LAST


def _anniversary(context: Context, test: Test, today: date, number: timedelta) -> Q:
    """Whether a day of the year comes round; the 29th of February on the 28th of others."""
    if number.days >= 365:
        return complement(Q(**{f"{context.column(test.field)}__isnull": True}))
    found = set()
    for ahead in range(number.days + 1):
        day = today + timedelta(days=ahead)
        found.add(f"{day:%m%d}")
        if (day.month, day.day) == (2, 28) and (day + timedelta(days=1)).month == 3:
            found.add("0229")
    return any_of(month_and_day(context.column(test.field)), sorted(found))
