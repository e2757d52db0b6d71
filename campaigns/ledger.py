"""The SQL of freezing, claiming and recording.

Why raw SQL: a chunk is claimed with SKIP LOCKED, a window is written by COPY in the
transaction that moves the cursor and the counters, and receipts are folded in by one
statement (docs/decisions: the ledger).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from campaigns import capping, failover, outbox
from campaigns.ids import first_id
from campaigns.keeping import keep_in_inboxes
from campaigns.models import Bulk, Chunk, Medium, Message, Reason, WebhookEvent

# ------------------------------------------------------------------- freezing

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


# ------------------------------------------------------------------- claiming


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


def _lease() -> str:
    """The lease as an interval."""
    return f"{settings.LEASE_SECONDS} seconds"


def claim_chunk(*, urgent: bool = False) -> ClaimedChunk | None:
    """Take the next chunk that may be sent now, or None. The lock lasts for this statement."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [urgent, _lease()])
        row = cursor.fetchone()
    return ClaimedChunk(*row) if row else None


def claim_abandoned() -> ClaimedChunk | None:
    """Take a chunk whose worker died with a window on the wire, or None."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM_ABANDONED, [_lease()])
        row = cursor.fetchone()
    return ClaimedChunk(*row) if row else None


def claim_window(chunk: ClaimedChunk, window_to: int, *, credentials: Iterable[int] = ()) -> bool:
    """Write down, before the first byte leaves, that [cursor, window_to) is on the wire.

    False when the bulk may not send (paused, cancelled), one of the credentials was paused
    meanwhile, or the lease was lost.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_chunk c
            SET window_to = %s, lease_until = now() + %s::interval
            FROM campaigns_bulk b
            WHERE c.id = %s AND c.fence = %s AND c.status = 0
              AND b.id = c.bulk_id AND b.status = 'sending'
              AND NOT EXISTS (
                  SELECT 1 FROM devices_providercredential p
                  WHERE p.id = ANY(%s) AND p.paused_at IS NOT NULL)
            RETURNING b.throttle
            """,
            [window_to, _lease(), chunk.id, chunk.fence, list(credentials)],
        )
        row = cursor.fetchone()
    if row is None:
        return False
    chunk.window_to, chunk.throttle = window_to, row[0]
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
                [_lease(), chunk.id, chunk.fence],
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


def resume_overdue() -> int:
    """Let paused bulks whose time is over go on: their devices end as expired, at once."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_bulk SET status = 'sending'
            WHERE status = 'paused'
              AND starts_at + (ttl + span) * interval '1 second' < now()
            """
        )
        return int(cursor.rowcount)


# ------------------------------------------------------------------- recording


class LeaseLostError(Exception):
    """Somebody else took the chunk over: nothing of the window was written."""


@dataclass(frozen=True, slots=True)
class Row:
    """One message with its outcome."""

    recipient: int
    state: Message.State
    reason: Reason = Reason.NONE
    answer: str = ""
    app_version: int = 0
    language: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """Recipients of a window that go into a chunk of their own, for another try."""

    recipients: list[int]
    not_before: datetime
    attempt: int
    reason: Reason
    repeated: bool = False  # an earlier try may have arrived


@dataclass(slots=True)
class WindowResult:
    """Everything one window ended in."""

    rows: list[Row] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)


_COPY = """
COPY campaigns_message (id, bulk_id, registration_id, sent_at, app_version, state, reason,
                        platform, variant, attempt, repeated, language, answer)
FROM STDIN (FORMAT BINARY)
"""
_COPY_TYPES = (
    "uuid", "int8", "int8", "timestamptz", "int8", "int2", "int2",
    "int2", "int2", "int2", "bool", "varchar", "varchar",
)  # fmt: skip

_COUNT = """
INSERT INTO campaigns_counter (bulk_id, minute, platform, variant, sent, accepted, delivered,
                               seen, clicked, failed, expired, unknown, repeated)
VALUES (%s, %s, %s, %s, %s, %s, 0, 0, 0, %s, %s, %s, %s)
ON CONFLICT (bulk_id, minute, platform, variant) DO UPDATE SET
    sent = campaigns_counter.sent + excluded.sent,
    accepted = campaigns_counter.accepted + excluded.accepted,
    failed = campaigns_counter.failed + excluded.failed,
    expired = campaigns_counter.expired + excluded.expired,
    unknown = campaigns_counter.unknown + excluded.unknown,
    repeated = campaigns_counter.repeated + excluded.repeated
"""

_COUNT_REASON = """
INSERT INTO campaigns_reasoncounter (bulk_id, platform, reason, messages)
VALUES (%s, %s, %s, %s)
ON CONFLICT (bulk_id, platform, reason) DO UPDATE SET
    messages = campaigns_reasoncounter.messages + excluded.messages
"""


def record(bulk: Bulk, chunk: ClaimedChunk, result: WindowResult, *, now: datetime) -> None:
    """Write a window's outcome in one transaction: rows, counters, retries, cursor.

    Raises LeaseLostError, with nothing written, when the chunk was taken over meanwhile.
    """
    finished = chunk.window_to == chunk.size
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
                UPDATE campaigns_chunk
                SET cursor = window_to, window_to = NULL,
                    lease_until = CASE WHEN %s THEN NULL ELSE now() + %s::interval END,
                    status = CASE WHEN %s THEN 1 ELSE status END
                WHERE id = %s AND fence = %s AND status = 0 AND window_to = %s
                """,
            [finished, _lease(), finished, chunk.id, chunk.fence, chunk.window_to],
        )
        if cursor.rowcount != 1:
            raise LeaseLostError
        _write_retries(cursor, chunk, result.retries)
        keep_in_inboxes(bulk, chunk.variant, result.rows)
        _copy(cursor, bulk, chunk, result.rows, now)
        _report(cursor, bulk, result.rows)
        outbox.note_messages(bulk, _news(bulk, result.rows))
        _count(cursor, bulk, chunk, result.rows, now)
        failover.note(bulk, ((row.recipient, row.state) for row in result.rows))
        capping.release(bulk, _never_shown(result.rows))
    assert chunk.window_to is not None
    chunk.cursor, chunk.window_to = chunk.window_to, None


def _copy(cursor: Any, bulk: Bulk, chunk: ClaimedChunk, rows: list[Row], now: datetime) -> None:
    if not rows:
        return
    first, pk = first_id(bulk), bulk.pk
    platform, variant, attempt = chunk.platform, chunk.variant, chunk.attempt
    to_devices = platform != Medium.SMS  # a text message goes to a number, known by its journey
    with cursor.copy(_COPY) as copy:
        copy.set_types(_COPY_TYPES)
        for row in rows:
            copy.write_row(
                (
                    UUID(int=first | row.recipient),
                    pk,
                    row.recipient if to_devices else 0,
                    now,
                    row.app_version,
                    int(row.state),
                    int(row.reason),
                    platform,
                    variant,
                    attempt,
                    chunk.repeated,
                    row.language,
                    row.answer[:200],
                )
            )


def _report(cursor: Any, bulk: Bulk, rows: list[Row]) -> None:
    """Let whoever submitted the bulk be told of messages that have ended."""
    if bulk.origin != Bulk.Origin.API or bulk.flow_id is not None:
        return
    first = first_id(bulk)
    ended = [UUID(int=first | row.recipient) for row in rows if row.state >= Message.State.FAILED]
    if ended:
        cursor.execute(
            """
            INSERT INTO campaigns_report (message_id, bulk_id, at)
            SELECT id, bulk_id, now() FROM campaigns_message
            WHERE id = ANY(%s) AND id BETWEEN %s AND %s AND state >= 8 ORDER BY id
            ON CONFLICT DO NOTHING
            """,
            [ended, min(ended), max(ended)],
        )


def _news(bulk: Bulk, rows: list[Row]) -> Iterator[tuple[UUID, WebhookEvent]]:
    first = first_id(bulk)
    for row in rows:
        ended = row.state >= Message.State.FAILED
        event = WebhookEvent.ENDED if ended else WebhookEvent.ON_ITS_WAY
        yield UUID(int=first | row.recipient), event


def _write_retries(cursor: Any, chunk: ClaimedChunk, retries: list[Retry]) -> None:
    for retry in retries:
        cursor.execute(
            """
            INSERT INTO campaigns_chunk (bulk_id, platform, reason, status, not_before, size,
                                         recipients, fence, cursor, variant, attempt, urgent, held,
                                         repeated, starts_at, timezone_offset)
            VALUES (%s, %s, %s, 0, %s, %s, %s, 0, 0, %s, %s, %s, false, %s, %s, %s)
            """,
            [
                chunk.bulk_id, chunk.platform, retry.reason, retry.not_before,
                len(retry.recipients), retry.recipients, chunk.variant, retry.attempt,
                chunk.urgent, retry.repeated, chunk.starts_at, chunk.timezone_offset,
            ],
        )  # fmt: skip


def _count(cursor: Any, bulk: Bulk, chunk: ClaimedChunk, rows: list[Row], now: datetime) -> None:
    if not rows:
        return
    states = [0] * (max(Message.State) + 1)
    reasons: dict[int, int] = {}
    for row in rows:
        states[row.state] += 1
        if row.reason:
            reasons[row.reason] = reasons.get(row.reason, 0) + 1
    for reason in sorted(reasons):
        cursor.execute(_COUNT_REASON, [bulk.pk, chunk.platform, reason, reasons[reason]])
    cursor.execute(
        _COUNT,
        [
            bulk.pk, now.replace(second=0, microsecond=0), chunk.platform, chunk.variant,
            len(rows), states[Message.State.ACCEPTED], states[Message.State.FAILED],
            states[Message.State.EXPIRED], states[Message.State.UNKNOWN],
            len(rows) if chunk.repeated else 0,
        ],
    )  # fmt: skip


_LATE = """
WITH answers AS (
    SELECT * FROM unnest(%s::uuid[], %s::int2[], %s::int2[], %s::text[])
        AS x (id, state, reason, answer)
),
settled AS (
    UPDATE campaigns_message m
    SET state = x.state, reason = x.reason, answer = x.answer
    FROM (SELECT m.id, x.state, x.reason, x.answer
          FROM answers x JOIN campaigns_message m ON m.id = x.id
          WHERE m.state = 1 AND m.reason = 41
          ORDER BY m.id FOR UPDATE OF m) x
    WHERE m.id = x.id
    RETURNING m.id, m.bulk_id, m.platform, m.variant, m.state, m.reason,
              date_trunc('minute', m.sent_at) AS minute
),
told AS (
    INSERT INTO campaigns_webhooknote (event, application_id, bulk_id, message_id)
    SELECT 1, %s, bulk_id, id FROM settled WHERE state >= 8 AND %s & 1 <> 0
),
reasons AS (
    INSERT INTO campaigns_reasoncounter (bulk_id, platform, reason, messages)
    SELECT bulk_id, platform, r.reason, sum(r.change)
    FROM settled, LATERAL (VALUES (reason, 1), (41::int2, -1)) r (reason, change)
    WHERE r.reason <> 0
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (bulk_id, platform, reason) DO UPDATE SET
        messages = campaigns_reasoncounter.messages + excluded.messages
    RETURNING 1
)
INSERT INTO campaigns_counter (bulk_id, minute, platform, variant, sent, accepted, delivered,
                               seen, clicked, failed, expired, unknown, repeated)
SELECT bulk_id, minute, platform, variant, 0, count(*) FILTER (WHERE state = 2), 0, 0, 0,
       count(*) FILTER (WHERE state = 8), count(*) FILTER (WHERE state = 9), -count(*), 0
FROM settled
WHERE (SELECT count(*) FROM reasons) >= 0  -- locked first, as in record: no deadlocks
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
ON CONFLICT (bulk_id, minute, platform, variant) DO UPDATE SET
    accepted = campaigns_counter.accepted + excluded.accepted,
    failed = campaigns_counter.failed + excluded.failed,
    expired = campaigns_counter.expired + excluded.expired,
    unknown = campaigns_counter.unknown + excluded.unknown
"""


def record_late(bulk: Bulk, rows: list[Row]) -> None:
    """Write what a worker learned after it had lost its lease: any answer beats unknown."""
    known = [row for row in rows if row.state != Message.State.UNKNOWN]
    if not known:
        return
    first = first_id(bulk)
    with connection.cursor() as cursor:
        cursor.execute(
            _LATE,
            [
                [UUID(int=first | row.recipient) for row in known],
                [int(row.state) for row in known],
                [int(row.reason) for row in known],
                [row.answer[:200] for row in known],
                bulk.application_id,
                bulk.tells | outbox.wanted(bulk.application_id),
            ],
        )
        _report(cursor, bulk, known)
    failover.note(bulk, ((row.recipient, row.state) for row in known))
    capping.release(bulk, _never_shown(known))


def _never_shown(rows: Iterable[Row]) -> list[int]:
    """Recipients of whom it is known that they did not get it."""
    return [row.recipient for row in rows if row.state >= Message.State.FAILED]


# Nothing is left to send, and nobody is in an earlier step who may come to this one.
_NOTHING_LEFT = """
b.status = 'sending'
AND NOT EXISTS (SELECT 1 FROM campaigns_chunk c WHERE c.bulk_id = b.id AND c.status = 0)
AND NOT EXISTS (SELECT 1 FROM campaigns_journey j
                WHERE j.flow_id = b.flow_id AND j.step < b.step AND j.state = 0)
"""


def finishable() -> list[int]:
    """Bulks whose worker died before it could close them."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT b.id FROM campaigns_bulk b WHERE {_NOTHING_LEFT}")  # noqa: S608
        return [pk for (pk,) in cursor.fetchall()]


def finish(bulk_pk: int) -> bool:
    """Close a bulk that has nothing left to send; True for whoever closed it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE campaigns_bulk b SET status = 'done', finished_at = now()"  # noqa: S608
            f" WHERE b.id = %s AND {_NOTHING_LEFT}",
            [bulk_pk],
        )
        closed: bool = cursor.rowcount == 1
    return closed


def cancel_chunks(bulk_pk: int) -> None:
    """Take back what is not on the wire of a cancelled bulk; the rest follows its answer.

    What an earlier try may have delivered is not "never sent": `claim_abandoned` finds it.
    """
    Chunk.objects.filter(
        bulk_id=bulk_pk,
        status=Chunk.Status.OPEN,
        window_to=None,
        bulk__status="cancelled",
        repeated=False,
    ).update(status=Chunk.Status.CANCELLED, lease_until=None)
    capping.release_cancelled(bulk_pk)
