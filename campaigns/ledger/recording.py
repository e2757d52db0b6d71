"""What a window ended in: rows, counters and retries in one transaction with the cursor."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from campaigns import capping, failover, outbox
from campaigns.ids import first_id
from campaigns.keeping import keep_in_inboxes
from campaigns.ledger.claiming import ClaimedChunk, lease
from campaigns.models import Bulk, Medium, Message, Reason, WebhookEvent


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
            [finished, lease(), finished, chunk.id, chunk.fence, chunk.window_to],
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
        if not chunk.repeated:  # else an earlier try may have been shown
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
    capping.release_ended([UUID(int=first | recipient) for recipient in _never_shown(known)])


def _never_shown(rows: Iterable[Row]) -> list[int]:
    """Recipients of whom it is known that they did not get it."""
    return [row.recipient for row in rows if row.state >= Message.State.FAILED]
