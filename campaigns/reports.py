"""Delivery report → message status.

Phones report in the minutes in which a campaign is sent, as fast as it is sent. So intake
only appends to a stream; a consumer folds them into the ledger in batches. Without the
store, intake writes to Postgres itself: slower and complete.
"""

import json
import logging
import time
import uuid as uuids
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import redis
from django.db import connection, transaction
from django.utils import timezone

from campaigns import ids
from campaigns.models import Bulk, EarlyReceipt, Message
from campaigns.store import store

log = logging.getLogger(__name__)

STREAM = "stream:receipts"  # the queue of tasks is the key "receipts" of the same server
GROUP = "flush"
LOCK = "receipts:consumer"
BATCH = 2000  # receipts in one statement
EARLY_FOR = timedelta(minutes=10)  # a receipt waits so long for its message

KINDS = {
    "delivered": Message.State.DELIVERED,
    "seen": Message.State.SEEN,
    "clicked": Message.State.CLICKED,
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a phone said of one message."""

    message_id: UUID
    state: Message.State  # DELIVERED, SEEN or CLICKED
    at: datetime


@dataclass(slots=True)
class _Folded:
    """All receipts of one message in a batch."""

    application_id: int
    registration_id: int | None
    state: int
    delivered_at: datetime
    seen_at: datetime | None = None
    clicked_at: datetime | None = None

    def add(self, state: int, at: datetime) -> None:
        """Later states imply the earlier ones; each keeps its first time."""
        self.state = max(self.state, state)
        self.delivered_at = min(self.delivered_at, at)
        if state >= Message.State.SEEN:
            self.seen_at = min(self.seen_at or at, at)
        if state >= Message.State.CLICKED:
            self.clicked_at = min(self.clicked_at or at, at)


_Entries = Sequence[tuple[bytes, dict[bytes, bytes]]]  # as the stream gives them
_Streams = list[tuple[bytes, _Entries]]
_Entry = tuple[int, int | None, UUID, int, datetime]  # application, registration, id, state, at


def take(application_id: int, registration_id: int | None, receipts: Sequence[Receipt]) -> None:
    """Accept receipts of one application, and of one of its devices if that is known."""
    if not receipts:
        return
    packed = json.dumps(
        [
            application_id,
            registration_id,
            [[r.message_id.hex, int(r.state), int(r.at.timestamp() * 1000)] for r in receipts],
        ]
    )
    try:
        store().xadd(STREAM, {"r": packed})
    except redis.RedisError:
        log.warning("store is away: receipts go straight to the database")
        fold([(application_id, registration_id, r.message_id, int(r.state), r.at)
              for r in receipts])  # fmt: skip


def _unpack(packed: bytes) -> Iterable[_Entry]:
    application_id, registration_id, receipts = json.loads(packed)
    for identifier, state, milliseconds in receipts:
        at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        yield application_id, registration_id, UUID(hex=identifier), state, at


_FOLD = """
WITH incoming AS (
    SELECT * FROM unnest(%s::uuid[], %s::int2[], %s::timestamptz[], %s::timestamptz[],
                         %s::timestamptz[], %s::int8[], %s::int8[])
        AS x (id, state, delivered_at, seen_at, clicked_at, application_id, registration_id)
),
locked AS (
    SELECT m.id, m.state AS was, m.reason, m.bulk_id, m.platform, m.variant, m.sent_at,
           x.state, x.delivered_at, x.seen_at, x.clicked_at
    FROM incoming x
    JOIN campaigns_message m ON m.id = x.id
    JOIN campaigns_bulk b ON b.id = m.bulk_id AND b.application_id = x.application_id
    WHERE m.id BETWEEN %s AND %s
      AND (x.registration_id IS NULL OR x.registration_id = m.registration_id)
      AND (m.state < x.state OR m.delivered_at IS NULL)
    ORDER BY m.id
    FOR UPDATE OF m
),
changed AS (
    UPDATE campaigns_message m
    SET state = greatest(m.state, l.state),
        reason = CASE WHEN m.state = 1 THEN 0 ELSE m.reason END,
        delivered_at = coalesce(m.delivered_at, l.delivered_at),
        seen_at = coalesce(m.seen_at, l.seen_at),
        clicked_at = coalesce(m.clicked_at, l.clicked_at)
    FROM locked l
    WHERE m.id = l.id
),
reasons AS (
    INSERT INTO campaigns_reasoncounter (bulk_id, platform, reason, messages)
    SELECT bulk_id, platform, reason, -count(*)
    FROM locked
    WHERE was = 1 AND reason <> 0
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (bulk_id, platform, reason) DO UPDATE SET
        messages = campaigns_reasoncounter.messages + excluded.messages
)
INSERT INTO campaigns_counter (bulk_id, minute, platform, variant, sent, accepted, delivered,
                               seen, clicked, failed, expired, unknown)
SELECT bulk_id, date_trunc('minute', e.at), platform, variant, 0, sum(e.settled), sum(e.delivered),
       sum(e.seen), sum(e.clicked), 0, 0, -sum(e.settled)
FROM locked l, LATERAL (VALUES
    (l.sent_at, (l.was = 1)::int, 0, 0, 0),
    (l.delivered_at, 0, (l.was < 3)::int, 0, 0),
    (l.seen_at, 0, 0, (l.was < 4 AND l.state >= 4)::int, 0),
    (l.clicked_at, 0, 0, 0, (l.was < 5 AND l.state >= 5)::int)
) e (at, settled, delivered, seen, clicked)
WHERE l.was < 5 AND e.at IS NOT NULL AND e.settled + e.delivered + e.seen + e.clicked > 0
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
ON CONFLICT (bulk_id, minute, platform, variant) DO UPDATE SET
    accepted = campaigns_counter.accepted + excluded.accepted,
    delivered = campaigns_counter.delivered + excluded.delivered,
    seen = campaigns_counter.seen + excluded.seen,
    clicked = campaigns_counter.clicked + excluded.clicked,
    unknown = campaigns_counter.unknown + excluded.unknown
"""


def fold(entries: Iterable[_Entry]) -> None:
    """Fold receipts into messages and counters; repeats change nothing.

    A receipt that came before its own message's row was committed is kept for ten minutes.
    A receipt of a failed or expired message is noted in its times only: final states stay.
    """
    folded: dict[UUID, _Folded] = {}
    for application_id, registration_id, identifier, state, at in entries:
        known = folded.get(identifier)
        if known is None:
            known = folded[identifier] = _Folded(application_id, registration_id, state, at)
        known.add(state, at)
    if not folded:
        return
    wanted = sorted(folded)
    rows = [folded[identifier] for identifier in wanted]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            _FOLD,
            [
                wanted,
                [row.state for row in rows],
                [row.delivered_at for row in rows],
                [row.seen_at for row in rows],
                [row.clicked_at for row in rows],
                [row.application_id for row in rows],
                [row.registration_id for row in rows],
                wanted[0],
                wanted[-1],
            ],
        )
        cursor.execute(
            "SELECT id FROM campaigns_message WHERE id = ANY(%s) AND id BETWEEN %s AND %s",
            [wanted, wanted[0], wanted[-1]],
        )
        present = {row[0] for row in cursor.fetchall()}
        missing = [identifier for identifier in wanted if identifier not in present]
        if missing:
            _keep_early(missing, folded)


def _keep_early(missing: list[UUID], folded: dict[UUID, _Folded]) -> None:
    """Keep what a bulk that is still sending may explain soon; forget the rest."""
    numbers = {ids.bulk_number(identifier) for identifier in missing}
    sending = {
        (bulk.pk, bulk.application_id): ids.first_id(bulk) >> ids.RECIPIENT_BITS
        for bulk in Bulk.objects.filter(pk__in=numbers, status__in=Bulk.UNFINISHED).only(
            "pk", "application_id", "starts_at"
        )
    }
    EarlyReceipt.objects.bulk_create(
        EarlyReceipt(
            message_id=identifier,
            application_id=row.application_id,
            registration_id=row.registration_id,
            state=state,
            at=at,
        )
        for identifier in missing
        for row in [folded[identifier]]
        if sending.get((ids.bulk_number(identifier), row.application_id))
        == identifier.int >> ids.RECIPIENT_BITS
        for state, at in (
            (Message.State.DELIVERED, row.delivered_at),
            (Message.State.SEEN, row.seen_at),
            (Message.State.CLICKED, row.clicked_at),
        )
        if at is not None
    )


def fold_early() -> int:
    """Try the receipts again that were too early; how many were tried."""
    with transaction.atomic():
        waiting = list(
            EarlyReceipt.objects.select_for_update(skip_locked=True).order_by("pk")[:BATCH]
        )
        now = timezone.now()
        fresh = [receipt for receipt in waiting if now - receipt.arrived_at < EARLY_FOR]
        EarlyReceipt.objects.filter(pk__in=[receipt.pk for receipt in waiting]).delete()
        fold((r.application_id, r.registration_id, r.message_id, r.state, r.at) for r in fresh)
        _backdate(fresh)
    return len(waiting)


def _backdate(tried: list[EarlyReceipt]) -> None:
    """What had to be kept again keeps its first time of arrival, or it would wait for ever."""
    arrived = {(r.message_id, r.state): r.arrived_at for r in tried}
    again = EarlyReceipt.objects.filter(message_id__in={r.message_id for r in tried})
    for receipt in again:
        first = arrived.get((receipt.message_id, receipt.state))
        if first is not None and first < receipt.arrived_at:
            EarlyReceipt.objects.filter(pk=receipt.pk).update(arrived_at=first)


def consume(*, seconds: float) -> int:
    """Fold the stream into the ledger for some time; receipts folded.

    One consumer at a time (a lock in the store); a second one returns at once. What a dead
    consumer had taken and not folded is taken over after a while.
    """
    client, name = store(), uuids.uuid4().hex
    if not client.set(LOCK, name, nx=True, ex=15):
        return 0
    count, until, next_sweep = 0, time.monotonic() + seconds, 0.0
    try:
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    try:
        while time.monotonic() < until and _still_mine(client, name):
            if time.monotonic() >= next_sweep:
                claimed = client.xautoclaim(STREAM, GROUP, name, min_idle_time=20_000, count=500)
                count += _fold_entries(client, claimed[1])
                fold_early()
                next_sweep = time.monotonic() + 5
            fetched = client.xreadgroup(GROUP, name, {STREAM: ">"}, count=BATCH, block=1000)
            if fetched:
                count += _fold_entries(client, cast("_Streams", fetched)[0][1])
            elif EarlyReceipt.objects.exists():
                fold_early()
    finally:
        if client.get(LOCK) == name.encode():
            client.delete(LOCK)
    return count


def _still_mine(client: "redis.Redis", name: str) -> bool:
    if client.get(LOCK) != name.encode():
        return False
    client.expire(LOCK, 15)
    return True


def _fold_entries(client: "redis.Redis", entries: _Entries) -> int:
    """Fold, then acknowledge: a crash between the two repeats, and repeats change nothing."""
    unpacked = [entry for _, fields in entries for entry in _unpack(fields[b"r"])]
    for start in range(0, len(unpacked), BATCH):
        fold(unpacked[start : start + BATCH])
    if entries:
        identifiers = [identifier for identifier, _ in entries]
        client.xack(STREAM, GROUP, *identifiers)
        client.xdel(STREAM, *identifiers)
    return len(unpacked)
