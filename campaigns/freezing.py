"""An audience → chunks, plainly or where more is asked than who matches: turns, the cap, a canary.

What is written is what was counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from django.db import connection

from campaigns import canaries, capping, turns, winners
from campaigns.models import Bulk, Reason
from campaigns.wall_clocks import FURTHEST

UNKNOWN = 32_767  # stands for an offset that nobody told


_FREEZE = """
WITH matched AS ({matched}),
numbered AS (
    SELECT id, platform, reason,
           variant,
           (row_number() OVER (PARTITION BY platform, variant, reason ORDER BY id) - 1) / %s
               AS part
    FROM matched
),
written AS (
    INSERT INTO campaigns_chunk (bulk_id, platform, reason, status, not_before, size, recipients,
                                 fence, cursor, variant, attempt, urgent, held,
                                 repeated)
    SELECT %s, platform, reason, CASE WHEN reason = 0 THEN 0 ELSE 2 END, %s,
           count(*), array_agg(id ORDER BY id), 0, 0, variant, 0, %s, false, false
    FROM numbered
    GROUP BY platform, variant, reason, part
    ORDER BY reason, part, platform, variant
    RETURNING status, size
)
SELECT coalesce(sum(size) FILTER (WHERE status = 0), 0),
       coalesce(sum(size) FILTER (WHERE status = 2), 0)
FROM written
"""


def write_chunks(
    bulk: Bulk, matched: tuple[str, Sequence[Any]], *, size: int, urgent: bool = False
) -> tuple[int, int]:
    """Freeze an audience: how many will be sent to, and how many were left out.

    `matched` is a SELECT of id, platform, variant and reason (0: may be sent) with its
    parameters.
    """
    sql, parameters = matched
    with connection.cursor() as cursor:
        cursor.execute(
            _FREEZE.format(matched=sql), [*parameters, size, bulk.pk, bulk.starts_at, urgent]
        )
        sent_to, left_out = cursor.fetchone()
    return int(sent_to), int(left_out)


@dataclass(frozen=True, slots=True)
class Frozen:
    """What was written."""

    audience: int
    left_out: int
    span: timedelta  # from the bulk's start to the last turn
    first: int  # of a canary, or of a test of variants


# Of a rule, and of what people had a moment ago, the planner may expect one row where there are a
# million; then it would compare each device with each turn, and with each use of the cap. So
# whom the rule matches is found first, by whatever plan; what follows hashes or sorts.
_MATCHED = "campaigns_matched"
_FIND = f"CREATE TEMP TABLE {_MATCHED} ON COMMIT DROP AS {{matched}}"
_COUNTED = f"ANALYZE {_MATCHED}; SET LOCAL enable_nestloop = off"
_DONE = f"DROP TABLE {_MATCHED}; SET LOCAL enable_nestloop TO DEFAULT"
_FREEZE_IN_TURNS = """
WITH turn (zone, starts_at, not_before, reason) AS (
    SELECT * FROM unnest(%(zones)s::int4[], %(starts)s::timestamptz[], %(opens)s::timestamptz[],
                         %(reasons)s::int2[])
),
placed AS (
    SELECT m.id, m.platform, m.variant,
           CASE WHEN m.reason = 0 THEN t.reason ELSE m.reason END AS reason,
           nullif(t.zone, {unknown})::int2 AS zone, t.starts_at, t.not_before,
           coalesce(m.person_id, -m.id) AS owner
    FROM {matched} m
    JOIN turn t ON t.zone = CASE WHEN %(by_zone)s
                                      AND m.timezone_offset BETWEEN -{furthest} AND {furthest}
                                 THEN m.timezone_offset ELSE {unknown} END
),
{judged},
{ranked},
numbered AS (
    SELECT *, (row_number() OVER (PARTITION BY platform, variant, reason, zone, held ORDER BY id)
               - 1) / %(size)s AS part
    FROM ranked
),
written AS (
    INSERT INTO campaigns_chunk (bulk_id, platform, reason, status, starts_at, not_before,
                                 timezone_offset, size, recipients, fence, cursor, variant,
                                 attempt, urgent, held, repeated)
    SELECT %(bulk)s, platform, reason, CASE WHEN reason IN (0, {waiting}) THEN 0 ELSE 2 END,
           starts_at, not_before, zone, count(*), array_agg(id ORDER BY id), 0, 0,
           variant, 0, false, held, false
    FROM numbered
    GROUP BY platform, variant, reason, zone, held, starts_at, not_before, part
    ORDER BY reason, held, not_before, part, platform, variant
    RETURNING status, size, starts_at, held
)
SELECT coalesce(sum(size) FILTER (WHERE status = 0), 0),
       coalesce(sum(size) FILTER (WHERE status = 2), 0),
       max(starts_at) FILTER (WHERE status = 0),
       coalesce(sum(size) FILTER (WHERE status = 0 AND NOT held), 0)
FROM written
"""


def is_needed(bulk: Bulk) -> bool:
    partly = canaries.wanted(bulk) or winners.wanted(bulk)
    return partly or turns.are_needed(bulk) or capping.holds(bulk)


def write_in_turns(bulk: Bulk, matched: tuple[str, Sequence[Any]], *, size: int) -> Frozen:
    """Freeze an audience where more is asked; the bulk's row is locked.

    `matched` is that of `audience.statement`: a reason of 0 may be sent.
    """
    if capping.holds(bulk):
        capping.lock(bulk.application_id)
    found = turns.turns(bulk)
    given: dict[str, Any] = {
        "bulk": bulk.pk,
        "size": size,
        "by_zone": turns.are_needed(bulk),
        "zones": [UNKNOWN if each.offset is None else each.offset for each in found],
        "starts": [each.starts_at.astimezone(UTC) for each in found],
        "opens": [each.not_before.astimezone(UTC) for each in found],
        "reasons": [int(each.reason) for each in found],
    }
    judged = "judged AS (SELECT * FROM placed)"
    if capping.holds(bulk):
        judged = capping.JUDGED
        given |= capping.parameters(bulk)
    ranked = "ranked AS (SELECT *, false AS held FROM judged)"
    if canaries.wanted(bulk):
        ranked = canaries.RANKED
        given |= canaries.parameters(bulk)
    elif winners.wanted(bulk):
        ranked = winners.RANKED
        given |= winners.parameters(bulk)
    sql, parameters = matched
    numbers = {"unknown": UNKNOWN, "furthest": FURTHEST, "waiting": int(Reason.WAITING_FOR_DAY)}
    with connection.cursor() as cursor:
        cursor.execute(_FIND.format(matched=sql), parameters)
        cursor.execute(_COUNTED)
        cursor.execute(
            _FREEZE_IN_TURNS.format(matched=_MATCHED, judged=judged, ranked=ranked, **numbers),
            given,
        )
        sent_to, left_out, last, first = cursor.fetchone()
        cursor.execute(_DONE)
    return Frozen(
        int(sent_to), int(left_out), (last or bulk.starts_at) - bulk.starts_at, int(first)
    )
