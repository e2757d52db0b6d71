"""Chunks and their windows: who may work on them, until when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection

from campaigns import capping
from campaigns.models import Chunk, Reason
from devices.models import ProviderCredential


@dataclass(slots=True)
class ClaimedChunk:
    """A chunk this worker holds the lease of."""

    id: int
    bulk_id: int
    platform: int
    variant: int
    attempt: int
    reason: int
    urgent: bool
    repeated: bool  # a try before this one may have arrived
    fence: int
    cursor: int
    window_to: int | None  # a window that a dead worker left on the wire
    size: int
    recipients: list[int]
    starts_at: datetime | None = None  # its recipients' own turn; None: the bulk's
    timezone_offset: int | None = None
    throttle: int | None = None  # its bulk's, as it stood when the last window was claimed


_COLUMNS = (
    "c.id, c.bulk_id, c.platform, c.variant, c.attempt, c.reason, c.urgent,"
    " c.repeated, c.fence, c.cursor, c.window_to, c.size, c.recipients,"
    " c.starts_at, c.timezone_offset"
)

# Found before it is updated: a planner that expects a row or none (a table analysed while it
# was empty) would look for the next chunk again for each row of the table, and lease them all.
_CLAIM = f"""
WITH due AS MATERIALIZED (
    SELECT c.id
    FROM campaigns_chunk c
    JOIN campaigns_bulk b ON b.id = c.bulk_id
    WHERE c.status = 0 AND NOT c.held AND c.not_before <= now()
      AND (c.lease_until IS NULL OR c.lease_until < now())
      AND b.status = 'sending' AND c.urgent = %s
    ORDER BY c.not_before, c.id
    LIMIT 1
    FOR UPDATE OF c SKIP LOCKED
)
UPDATE campaigns_chunk c
SET lease_until = now() + %s::interval, fence = c.fence + 1
FROM due
WHERE c.id = due.id
RETURNING {_COLUMNS}
"""  # noqa: S608

# Windows of workers that died, also in bulks that were paused or cancelled meanwhile; and what
# waited for another try in a cancelled bulk, although the one before may have arrived.
_CLAIM_ABANDONED = f"""
WITH lost AS MATERIALIZED (
    SELECT c.id FROM campaigns_chunk c
    JOIN campaigns_bulk b ON b.id = c.bulk_id
    WHERE c.status = 0 AND coalesce(c.lease_until < now(), true)
      AND (c.window_to IS NOT NULL OR (c.repeated AND b.status = 'cancelled'))
    ORDER BY c.id
    LIMIT 1
    FOR UPDATE OF c SKIP LOCKED
)
UPDATE campaigns_chunk c
SET lease_until = now() + %s::interval, fence = c.fence + 1,
    window_to = coalesce(c.window_to, c.size)
FROM lost
WHERE c.id = lost.id
RETURNING {_COLUMNS}
"""  # noqa: S608


# What a chunk waits for, and waits for no longer once a window of it leaves.
_WAITS = [Reason.CREDENTIAL_REFUSED.value, Reason.WAITING_FOR_DAY.value]


def lease() -> str:
    """The lease as an interval."""
    return f"{settings.LEASE_SECONDS} seconds"


def claim_chunk(*, urgent: bool = False) -> ClaimedChunk | None:
    """Take the next chunk that may be sent now, or None. The lock lasts for this statement."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [urgent, lease()])
        row = cursor.fetchone()
    return ClaimedChunk(*row) if row else None


def claim_abandoned() -> ClaimedChunk | None:
    """Take a chunk whose worker died with a window on the wire, or None."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM_ABANDONED, [lease()])
        row = cursor.fetchone()
    return ClaimedChunk(*row) if row else None


def claim_window(
    chunk: ClaimedChunk, window_to: int, *, credentials: Iterable[ProviderCredential] = ()
) -> bool:
    """Write down, before the first byte leaves, that [cursor, window_to) is on the wire.

    False when the bulk may not send (paused, cancelled), one of the credentials was paused,
    changed, switched off or deleted meanwhile, or the lease was lost.
    """
    used = list(credentials)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_chunk c
            SET window_to = %s, lease_until = now() + %s::interval,
                reason = CASE WHEN c.reason = ANY(%s) THEN 0 ELSE c.reason END
            FROM campaigns_bulk b
            WHERE c.id = %s AND c.fence = %s AND c.status = 0
              AND b.id = c.bulk_id AND b.status = 'sending'
              AND NOT EXISTS (
                  SELECT 1 FROM unnest(%s::int8[], %s::int4[]) used (id, version)
                  LEFT JOIN devices_providercredential p
                         ON p.id = used.id AND p.version = used.version
                        AND p.enabled AND p.paused_at IS NULL
                  WHERE p.id IS NULL)
            RETURNING b.throttle, c.reason
            """,
            [
                window_to, lease(), _WAITS, chunk.id, chunk.fence,
                [each.pk for each in used], [each.version for each in used],
            ],
        )  # fmt: skip
        row = cursor.fetchone()
    if row is None:
        return False
    chunk.window_to, (chunk.throttle, chunk.reason) = window_to, row
    return True


def extend_leases(chunks: Iterable[ClaimedChunk]) -> None:
    """Say that we are alive while a cloud takes its time."""
    with connection.cursor() as cursor:
        for chunk in chunks:
            cursor.execute(
                """
                UPDATE campaigns_chunk SET lease_until = now() + %s::interval
                WHERE id = %s AND fence = %s
                """,
                [lease(), chunk.id, chunk.fence],
            )


def release(
    chunk: ClaimedChunk, *, not_before: datetime | None = None, reason: Reason | None = None
) -> None:
    """Give a chunk back, with nothing of it on the wire; optionally only for later, and why."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_chunk c
            SET lease_until = NULL, not_before = coalesce(%s, c.not_before),
                reason = coalesce(%s, c.reason),
                status = CASE WHEN b.status = 'cancelled' AND NOT c.repeated
                              THEN 3 ELSE c.status END
            FROM campaigns_bulk b
            WHERE c.id = %s AND c.fence = %s AND c.window_to IS NULL AND b.id = c.bulk_id
            RETURNING c.status
            """,
            [not_before, reason, chunk.id, chunk.fence],
        )
        row = cursor.fetchone()
    if row is not None and row[0] == Chunk.Status.CANCELLED:
        capping.release_cancelled(chunk.bulk_id)


def postpone(
    chunk: ClaimedChunk, until: datetime, reason: Reason | None, *, zone_alone: bool = False
) -> None:
    """Let everything of a chunk's bulk and platform wait, too, that nobody works on.

    `zone_alone`: only what is where the chunk's recipients are.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH due AS (
                SELECT id FROM campaigns_chunk
                WHERE bulk_id = %s AND platform = %s AND status = 0 AND NOT held
                  AND not_before <= now() AND lease_until IS NULL AND window_to IS NULL
                  AND (NOT %s OR timezone_offset IS NOT DISTINCT FROM %s)
                FOR UPDATE SKIP LOCKED
            )
            UPDATE campaigns_chunk c SET not_before = %s, reason = coalesce(%s, c.reason)
            FROM due WHERE c.id = due.id
            """,
            [
                chunk.bulk_id,
                chunk.platform,
                zone_alone,
                chunk.timezone_offset,
                until,
                reason,
            ],
        )
