"""When messages of a bulk may leave (contract/push.md 2.1: deliveryTimeWindow)."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

DAY = 24 * 60  # minutes
SHORTEST = 60  # minutes


def length(start: int, end: int) -> int:
    """Minutes from one minute of the day to another; past midnight if it is earlier."""
    return (end - start) % DAY


def fitted(
    times: Iterable[datetime], window: Mapping[str, Any], end: datetime
) -> Iterator[datetime]:
    """Times in order, moved into a window with their distances kept; none is after `end`."""
    shift = timedelta()
    for at in times:
        opens = next_open(window, at + shift)
        shift = opens - at
        yield min(opens, end)


def next_open(window: Mapping[str, Any], at: datetime) -> datetime:
    """The first moment from `at` on in which a window is open.

    `days` are those on which it opens, 0 is Monday; `from` and `to` are minutes of the day, in
    UTC, and with `to` before `from` it closes on the next day. {} is always open.
    """
    if not window:
        return at
    at = at.astimezone(UTC)
    start = window.get("from", 0)
    open_for = timedelta(minutes=length(start, window["to"]) if "to" in window else DAY)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in range(-1, 8):
        opens = midnight + timedelta(days=day, minutes=start)
        if (midnight + timedelta(days=day)).weekday() in window["days"] and at < opens + open_for:
            return max(at, opens)
    raise AssertionError("a window opens on at least one day of the week")
