"""Whose turn is when: recipients' own time, and quiet hours.

Devices say how far their clock is from UTC; those that do not are taken to be in the
application's zone. An audience is frozen with the turn of each such offset, and recipients of
one chunk share it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from campaigns.models import Bulk, Reason
from campaigns.timing import DAY, Kind, Passed, Timing
from campaigns.wall_clocks import FURTHEST, Quiet, moment, offset_zone
from devices.normalizing import timezone_text
from devices.zones import zone_of


@dataclass(frozen=True, slots=True)
class Turn:
    """What devices of one offset are to get, and when."""

    offset: int | None  # minutes east of UTC
    starts_at: datetime  # from then on its time to live runs
    not_before: datetime
    reason: Reason = Reason.NONE  # why they are left out, or wait


def quiet_of(bulk: Bulk) -> Quiet | None:
    """The quiet hours that hold for a bulk."""
    return Quiet.of(bulk.delivery.get("quiet"))


def zone_at(bulk: Bulk, offset: int | None) -> tzinfo:
    """Where recipients of an offset are."""
    return zone_of(bulk.delivery.get("zone", "UTC")) if offset is None else offset_zone(offset)


def are_needed(bulk: Bulk) -> bool:
    """Whether it matters where a recipient is."""
    return quiet_of(bulk) is not None or _local(bulk) is not None


def _local(bulk: Bulk) -> Timing | None:
    timing = Timing.of(bulk.delivery.get("timing", {}))
    return timing if timing.kind is Kind.LOCAL else None


def turns(bulk: Bulk) -> list[Turn]:
    """The turn of every offset there can be, and of devices that do not tell theirs.

    Where it does not matter who is where, all are taken together.
    """
    if not are_needed(bulk):
        return [Turn(None, bulk.starts_at, bulk.starts_at)]
    offsets: list[int | None] = [None, *range(-FURTHEST, FURTHEST + 1)]
    return [turn(bulk, offset) for offset in offsets]


def turn(bulk: Bulk, offset: int | None) -> Turn:
    """When devices of an offset get it, or why they do not."""
    zone, starts_at = zone_at(bulk, offset), bulk.starts_at
    timing = _local(bulk)
    if timing is not None:
        own = _own(timing, zone, bulk.starts_at)
        if own is None:
            return Turn(offset, starts_at, starts_at, Reason.ZONE_PASSED)
        starts_at = own
    not_before, quiet = starts_at, quiet_of(bulk)
    if quiet is not None:
        not_before = quiet.next_allowed(starts_at, zone)
        if not_before >= starts_at + timedelta(seconds=bulk.ttl):
            return Turn(offset, starts_at, not_before, Reason.QUIET_HOURS)
        if not_before > starts_at:
            return Turn(offset, starts_at, not_before, Reason.WAITING_FOR_DAY)
    return Turn(offset, starts_at, not_before)


def _own(timing: Timing, zone: tzinfo, first: datetime) -> datetime | None:
    """The chosen time in a zone; what else is done where it was before `first`."""
    assert timing.day is not None
    assert timing.clock is not None
    day = timing.day
    own = moment(day, timing.clock, zone)
    if own >= first:
        return own
    if timing.passed is Passed.SKIP:
        return None
    if timing.passed is Passed.NOW:
        return first
    while own < first:
        day += DAY
        own = moment(day, timing.clock, zone)
    return own


def next_allowed(bulk: Bulk, offset: int | None, at: datetime) -> datetime:
    """The first moment from `at` on that is not in the quiet hours of an offset."""
    quiet = quiet_of(bulk)
    return at if quiet is None else quiet.next_allowed(at, zone_at(bulk, offset))


def zone_name(bulk: Bulk, offset: int | None) -> str:
    """Where recipients of an offset are, for people: GMT+05:30."""
    if offset is None:
        return f"{bulk.delivery.get('zone', 'UTC')}, as it told no zone"
    return timezone_text(offset)


def clock_of(bulk: Bulk, offset: int | None, at: datetime) -> str:
    """What the clock of recipients of an offset shows at a moment."""
    return f"{at.astimezone(zone_at(bulk, offset)):%H:%M}"
