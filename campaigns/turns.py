"""Whose turn is when: recipients' own time, and quiet hours.

Devices say how far their clock is from UTC; those that do not are taken to be in the
application's zone. An audience is frozen with the turn of each such offset, and recipients of
one chunk share it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from django.db import connection

from campaigns.models import Bulk, Reason
from campaigns.timing import DAY, Kind, Passed, Timing
from campaigns.wall_clocks import FURTHEST, Quiet, moment, offset_zone
from devices.zones import zone_of

UNKNOWN = 32_767  # stands for an offset that nobody told


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
    """The turn of every offset there can be, and of devices that do not tell theirs."""
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


_NUMBERS = {"unknown": UNKNOWN, "furthest": FURTHEST, "waiting": int(Reason.WAITING_FOR_DAY)}

# Rows of the audience find their turn by a hash of the offset, not by a search for each.
_FREEZE = """
WITH matched AS ({matched}),
turn (zone, starts_at, not_before, reason) AS (
    SELECT * FROM unnest(%s::int4[], %s::timestamptz[], %s::timestamptz[], %s::int2[])
),
placed AS (
    SELECT m.id, m.platform, m.variant,
           CASE WHEN m.reason = 0 THEN t.reason ELSE m.reason END AS reason,
           nullif(t.zone, {unknown})::int2 AS zone, t.starts_at, t.not_before
    FROM matched m
    JOIN devices_registration r ON r.id = m.id
    JOIN turn t ON t.zone = CASE WHEN r.timezone_offset BETWEEN -{furthest} AND {furthest}
                                 THEN r.timezone_offset ELSE {unknown} END
),
numbered AS (
    SELECT *, (row_number() OVER (PARTITION BY platform, variant, reason, zone ORDER BY id) - 1)
              / %s AS part
    FROM placed
),
written AS (
    INSERT INTO campaigns_chunk (bulk_id, platform, reason, status, starts_at, not_before,
                                 timezone_offset, size, recipients, fence, cursor, variant,
                                 attempt, urgent, held, repeated)
    SELECT %s, platform, reason, CASE WHEN reason IN (0, {waiting}) THEN 0 ELSE 2 END,
           starts_at, not_before, zone, count(*), array_agg(id ORDER BY id), 0, 0,
           variant, 0, false, false, false
    FROM numbered
    GROUP BY platform, variant, reason, zone, starts_at, not_before, part
    ORDER BY reason, not_before, part, platform, variant
    RETURNING status, size, starts_at
)
SELECT coalesce(sum(size) FILTER (WHERE status = 0), 0),
       coalesce(sum(size) FILTER (WHERE status = 2), 0),
       max(starts_at) FILTER (WHERE status = 0)
FROM written
"""


def write_chunks(
    bulk: Bulk, matched: tuple[str, Sequence[Any]], *, size: int
) -> tuple[int, int, timedelta]:
    """Freeze an audience by turns: who is sent to, who is left out, and how long turns go on.

    `matched` is a SELECT of id, platform, variant and reason (0: may be sent) with its parameters.
    """
    sql, parameters = matched
    found = turns(bulk)
    with connection.cursor() as cursor:
        cursor.execute(
            _FREEZE.format(matched=sql, **_NUMBERS),
            [
                *parameters,
                [UNKNOWN if each.offset is None else each.offset for each in found],
                [each.starts_at.astimezone(UTC) for each in found],
                [each.not_before.astimezone(UTC) for each in found],
                [int(each.reason) for each in found],
                size,
                bulk.pk,
            ],
        )
        sent_to, left_out, last = cursor.fetchone()
    return int(sent_to), int(left_out), (last or bulk.starts_at) - bulk.starts_at


def next_allowed(bulk: Bulk, offset: int | None, at: datetime) -> datetime:
    """The first moment from `at` on that is not in the quiet hours of an offset."""
    quiet = quiet_of(bulk)
    return at if quiet is None else quiet.next_allowed(at, zone_at(bulk, offset))
