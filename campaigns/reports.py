"""Delivery report → message status.

Phones and gateways report in the minutes in which a campaign is sent, as fast as it is sent.
So intake only appends to a stream; a consumer folds them into the ledger in batches. Without
the store, intake writes to Postgres itself: slower and complete.
"""

import json
import logging
import time
import uuid as uuids
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple, cast
from uuid import UUID

import redis
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from campaigns import ids
from campaigns.models import Bulk, Chunk, EarlyReceipt, Message, Reason
from campaigns.store import store

log = logging.getLogger(__name__)

STREAM = "stream:receipts"  # the queue of tasks is the key "receipts" of the same server
GROUP = "flush"
LOCK = "receipts:consumer"
LOCK_SECONDS = 15  # without a sign of life, then another consumer may take over
RETRY_SECONDS = 2  # between two tries of receipts that were too early
BATCH = 2000  # receipts in one statement
EARLY_FOR = timedelta(minutes=10)  # a receipt waits so long for its message

KINDS = {
    "delivered": Message.State.DELIVERED,
    "seen": Message.State.SEEN,
    "clicked": Message.State.CLICKED,
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a phone, or the gateway that serves it, said of one message.

    A phone says DELIVERED, SEEN or CLICKED. A gateway may also say ACCEPTED, which settles a
    doubt, and FAILED or EXPIRED with the reason.
    """

    message_id: UUID
    state: Message.State
    at: datetime
    reason: Reason = Reason.NONE
    answer: str = ""  # the gateway's own words, printable


class Entry(NamedTuple):
    """A receipt and who says it, as the stream carries it."""

    application_id: int
    registration_id: int | None  # the device that says it, if that is known
    message_id: UUID
    state: int
    at: datetime
    reason: int = 0
    answer: str = ""


class _Folded:
    """All receipts of one message in a batch. Of each kind the first one counts."""

    __slots__ = ("ended", "times")

    def __init__(self) -> None:
        self.times: dict[int, datetime] = {}  # by what was said, without the ends
        self.ended: Entry | None = None

    def add(self, entry: Entry) -> None:
        """Later states imply the earlier ones."""
        if entry.state >= Message.State.FAILED:
            if self.ended is None or entry.at < self.ended.at:
                self.ended = entry
            return
        implied: list[int] = [kind for kind in _PHONES if kind <= entry.state] or [entry.state]
        for kind in implied:
            self.times[kind] = min(self.times.get(kind, entry.at), entry.at)

    @property
    def state(self) -> int:
        """What arrived has arrived, whatever else was said of it in the same breath."""
        best = max(self.times, default=0)
        if self.ended is not None and best <= Message.State.ACCEPTED:
            return self.ended.state
        return best

    def row(self, message_id: UUID) -> tuple[object, ...]:
        """As _FOLD reads it."""
        times = (self.times.get(kind) for kind in _PHONES)
        ended = self.ended
        return message_id, self.state, *times, *((ended.reason, ended.answer) if ended else (0, ""))

    def said(self) -> Iterable[tuple[int, datetime, int, str]]:
        """State, time, reason and answer of each receipt it is made of."""
        for kind, at in self.times.items():
            yield kind, at, 0, ""
        if self.ended is not None:
            yield self.ended.state, self.ended.at, self.ended.reason, self.ended.answer


_PHONES = (Message.State.DELIVERED, Message.State.SEEN, Message.State.CLICKED)
_Entries = Sequence[tuple[bytes, dict[bytes, bytes]]]  # as the stream gives them
_Streams = list[tuple[bytes, _Entries]]


def take(application_id: int, registration_id: int | None, receipts: Sequence[Receipt]) -> None:
    """Accept receipts of one application, and of one of its devices if that is known."""
    if not receipts:
        return
    entries = [
        Entry(
            application_id, registration_id, r.message_id, r.state, r.at, r.reason, r.answer[:200]
        )
        for r in receipts
    ]
    packed = json.dumps([application_id, registration_id, [_packed(entry) for entry in entries]])
    try:
        store().xadd(STREAM, {"r": packed})
    except redis.RedisError:
        log.warning("store is away: receipts go straight to the database")
        fold(entries)


def _packed(entry: Entry) -> list[object]:
    packed = [entry.message_id.hex, int(entry.state), int(entry.at.timestamp() * 1000)]
    return [*packed, int(entry.reason), entry.answer] if entry.reason or entry.answer else packed


def _unpack(packed: bytes) -> Iterable[Entry]:
    application_id, registration_id, receipts = json.loads(packed)
    for identifier, state, milliseconds, *why in receipts:
        at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        yield Entry(application_id, registration_id, UUID(hex=identifier), state, at, *why)


# Times before the start of a bulk are those of a wrong clock.
_FOLD = """
WITH incoming AS (
    SELECT * FROM unnest(%s::uuid[], %s::int2[], %s::timestamptz[], %s::timestamptz[],
                         %s::timestamptz[], %s::int2[], %s::text[])
        AS x (id, state, delivered_at, seen_at, clicked_at, reason, answer)
),
locked AS (
    SELECT m.id, m.state AS was, m.reason AS because, m.bulk_id, m.platform, m.variant, m.sent_at,
           x.state, x.reason, x.answer,
           CASE WHEN x.state BETWEEN 3 AND 5 THEN greatest(x.delivered_at, b.starts_at) END
               AS delivered_at,
           CASE WHEN x.state IN (4, 5) THEN greatest(x.seen_at, b.starts_at) END AS seen_at,
           CASE WHEN x.state = 5 THEN greatest(x.clicked_at, b.starts_at) END AS clicked_at
    FROM incoming x
    JOIN campaigns_message m ON m.id = x.id
    JOIN campaigns_bulk b ON b.id = m.bulk_id AND b.application_id = %s
    WHERE m.id BETWEEN %s AND %s
      AND CASE x.state
          WHEN 2 THEN m.state = 1
          WHEN 8 THEN m.state <= 2
          WHEN 9 THEN m.state <= 2
          ELSE m.state < x.state OR m.delivered_at IS NULL
               OR (x.state >= 4 AND m.seen_at IS NULL) OR (x.state = 5 AND m.clicked_at IS NULL)
          END
    ORDER BY m.id
    FOR UPDATE OF m
),
changed AS (
    UPDATE campaigns_message m
    SET state = greatest(m.state, l.state),
        reason = CASE WHEN l.state >= 8 THEN l.reason WHEN l.was = 1 THEN 0 ELSE m.reason END,
        answer = CASE WHEN l.state >= 8 AND l.answer <> '' THEN l.answer ELSE m.answer END,
        delivered_at = coalesce(m.delivered_at, l.delivered_at),
        seen_at = coalesce(m.seen_at, l.seen_at),
        clicked_at = coalesce(m.clicked_at, l.clicked_at)
    FROM locked l
    WHERE m.id = l.id
),
reasons AS (
    INSERT INTO campaigns_reasoncounter (bulk_id, platform, reason, messages)
    SELECT bulk_id, platform, e.reason, sum(e.messages)
    FROM locked l, LATERAL (VALUES
        (l.because, -(l.was = 1)::int),
        (l.reason, (l.state >= 8)::int)
    ) e (reason, messages)
    WHERE e.reason <> 0 AND e.messages <> 0
    GROUP BY 1, 2, 3 HAVING sum(e.messages) <> 0 ORDER BY 1, 2, 3
    ON CONFLICT (bulk_id, platform, reason) DO UPDATE SET
        messages = campaigns_reasoncounter.messages + excluded.messages
    RETURNING 1
)
INSERT INTO campaigns_counter (bulk_id, minute, platform, variant, sent, accepted, delivered,
                               seen, clicked, failed, expired, unknown)
SELECT bulk_id, date_trunc('minute', e.at), platform, variant, 0, sum(e.accepted),
       sum(e.delivered), sum(e.seen), sum(e.clicked), sum(e.failed), sum(e.expired),
       sum(e.unknown)
FROM locked l, LATERAL (VALUES
    (l.sent_at, (l.was = 1 AND l.state < 8)::int - (l.was = 2 AND l.state >= 8)::int, 0, 0, 0,
     (l.state = 8)::int, (l.state = 9)::int, -(l.was = 1)::int),
    (l.delivered_at, 0, (l.was < 3)::int, 0, 0, 0, 0, 0),
    (l.seen_at, 0, 0, (l.was < 4)::int, 0, 0, 0, 0),
    (l.clicked_at, 0, 0, 0, 1, 0, 0, 0)
) e (at, accepted, delivered, seen, clicked, failed, expired, unknown)
WHERE (SELECT count(*) FROM reasons) >= 0  -- locked first, as in ledger.record: no deadlocks
  AND l.was < 5 AND e.at IS NOT NULL
  AND (e.accepted, e.delivered, e.seen, e.clicked, e.failed, e.expired, e.unknown)
      <> (0, 0, 0, 0, 0, 0, 0)
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
ON CONFLICT (bulk_id, minute, platform, variant) DO UPDATE SET
    accepted = campaigns_counter.accepted + excluded.accepted,
    delivered = campaigns_counter.delivered + excluded.delivered,
    seen = campaigns_counter.seen + excluded.seen,
    clicked = campaigns_counter.clicked + excluded.clicked,
    failed = campaigns_counter.failed + excluded.failed,
    expired = campaigns_counter.expired + excluded.expired,
    unknown = campaigns_counter.unknown + excluded.unknown
"""


def fold(entries: Iterable[Entry]) -> None:
    """Fold receipts into messages and counters; repeats change nothing.

    A receipt that came before its own message's row was committed is kept for ten minutes.
    A receipt of a failed or expired message is noted in its times only: final states stay.
    What was delivered cannot fail any more.
    """
    with transaction.atomic():
        for application_id, folded in _by_application(entries).items():
            early = _without_row(application_id, folded)
            _fold(application_id, folded)
            _keep(application_id, early, folded)


def _by_application(entries: Iterable[Entry]) -> dict[int, dict[UUID, _Folded]]:
    """Receipts put together, in the order in which every fold locks.

    What a device says of another device's message is left out: ids name their recipient.
    """
    applications: dict[int, dict[UUID, _Folded]] = {}
    for entry in entries:
        said_by = entry.registration_id
        if said_by is not None and said_by != ids.recipient_number(entry.message_id):
            continue
        folded = applications.setdefault(entry.application_id, {})
        folded.setdefault(entry.message_id, _Folded()).add(entry)
    return {key: dict(sorted(applications[key].items())) for key in sorted(applications)}


def _fold(application_id: int, folded: dict[UUID, _Folded]) -> None:
    """Change the rows and counters of one application."""
    wanted = list(folded)
    columns = zip(*(row.row(identifier) for identifier, row in folded.items()), strict=True)
    parameters: list[Any] = [
        *(list(column) for column in columns),
        application_id,
        wanted[0],
        wanted[-1],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_FOLD, parameters)


def _without_row(application_id: int, folded: Iterable[UUID]) -> list[UUID]:
    """Which of these messages have no row yet, and may get one.

    Asked before folding, and the bulks before the rows: a row that is committed in between
    is folded as well as kept, which changes nothing, and never neither of the two.
    """
    missing = _missing(list(folded))
    if not missing:
        return []
    numbers = {ids.bulk_number(identifier) for identifier in missing}
    on_the_way = Q(status__in=Bulk.UNFINISHED) | Q(chunks__status=Chunk.Status.OPEN)
    bulks = Bulk.objects.filter(on_the_way, pk__in=numbers, application=application_id)
    sending = {
        ids.first_id(bulk) >> ids.RECIPIENT_BITS
        for bulk in bulks.only("pk", "starts_at").distinct()
    }
    possible = [each for each in missing if each.int >> ids.RECIPIENT_BITS in sending]
    return _missing(possible)


def made_here(application_id: int, identifiers: Iterable[UUID]) -> set[UUID]:
    """Those of these ids that belong to a bulk of this application, sent already or not."""
    wanted = set(identifiers)
    numbers = {ids.bulk_number(identifier) for identifier in wanted}
    bulks = Bulk.objects.filter(pk__in=numbers, application=application_id)
    known = {ids.first_id(bulk) >> ids.RECIPIENT_BITS for bulk in bulks.only("pk", "starts_at")}
    return {each for each in wanted if each.int >> ids.RECIPIENT_BITS in known}


def _missing(wanted: list[UUID]) -> list[UUID]:
    if not wanted:
        return []
    between = Message.objects.filter(pk__gte=wanted[0], pk__lte=wanted[-1])  # prunes partitions
    present = set(between.filter(pk__in=wanted).values_list("pk", flat=True))
    return [identifier for identifier in wanted if identifier not in present]


def _keep(application_id: int, early: list[UUID], folded: dict[UUID, _Folded]) -> None:
    """Keep receipts until their message is there."""
    EarlyReceipt.objects.bulk_create(
        EarlyReceipt(
            message_id=identifier,
            application_id=application_id,
            registration_id=None,  # was compared already
            state=state,
            at=at,
            reason=reason,
            answer=answer,
        )
        for identifier in early
        for state, at, reason, answer in folded[identifier].said()
    )


def fold_early() -> int:
    """Try the receipts again that were too early; how many were tried.

    They wait for ten minutes, and no longer than their bulk is on its way.
    """
    tried, last = 0, 0
    while True:
        with transaction.atomic():
            page = EarlyReceipt.objects.filter(pk__gt=last).order_by("pk")
            waiting = list(page.select_for_update(skip_locked=True)[:BATCH])
            if not waiting:
                return tried
            still, since = _try_again(waiting), timezone.now() - EARLY_FOR
            done = [
                receipt.pk
                for receipt in waiting
                if receipt.message_id not in still or receipt.arrived_at < since
            ]
            EarlyReceipt.objects.filter(pk__in=done).delete()
        tried, last = tried + len(waiting), waiting[-1].pk


def _try_again(waiting: list[EarlyReceipt]) -> set[UUID]:
    """Fold receipts once more; the messages that are still to come."""
    entries = (
        Entry(r.application_id, r.registration_id, r.message_id, r.state, r.at, r.reason, r.answer)
        for r in waiting
    )
    early: set[UUID] = set()
    for application_id, folded in _by_application(entries).items():
        early.update(_without_row(application_id, folded))
        _fold(application_id, folded)
    return early


def consume(*, seconds: float) -> int:
    """Fold the stream into the ledger for some time; receipts folded.

    One consumer at a time (a lock in the store); a second one returns at once. What a dead
    consumer had taken and not folded is folded first.
    """
    client, name = store(), uuids.uuid4().hex
    if not client.set(LOCK, name, nx=True, ex=LOCK_SECONDS):
        return 0
    try:
        return _consume(client, name, until=time.monotonic() + seconds)
    except redis.ResponseError as error:
        if not any(word in str(error) for word in ("NOGROUP", "UNBLOCKED")):
            raise
        log.warning("the store lost its data: starting a new stream")
        return 0
    finally:
        if client.get(LOCK) == name.encode():
            client.delete(LOCK)


def _consume(client: "redis.Redis", name: str, *, until: float) -> int:
    try:
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    # All consumers share one name: "0" is what was taken and not folded, ">" is what is new.
    count, start, next_try = 0, "0", 0.0
    while time.monotonic() < until and _still_mine(client, name):
        if time.monotonic() >= next_try:
            fold_early()
            next_try = time.monotonic() + RETRY_SECONDS
        fetched = client.xreadgroup(GROUP, GROUP, {STREAM: start}, count=BATCH, block=1000)
        entries = cast("_Streams", fetched)[0][1] if fetched else []
        if entries:
            count += _fold_entries(client, entries)
        else:
            start = ">"
    return count


def _still_mine(client: "redis.Redis", name: str) -> bool:
    if client.get(LOCK) != name.encode():
        return False
    client.expire(LOCK, LOCK_SECONDS)
    return True


def _fold_entries(client: "redis.Redis", entries: _Entries) -> int:
    """Fold, then acknowledge: a crash between the two repeats, and repeats change nothing."""
    count = 0
    unpacked = (entry for _, fields in entries if fields for entry in _unpack(fields[b"r"]))
    while batch := list(islice(unpacked, BATCH)):
        fold(batch)
        count += len(batch)
    identifiers = [identifier for identifier, _ in entries]
    client.xack(STREAM, GROUP, *identifiers)
    client.xdel(STREAM, *identifiers)
    return count
