"""Delivery report → message status.

Phones and gateways report in the minutes in which a campaign is sent, as fast as it is sent.
So intake only appends to a stream; a consumer folds them into the ledger in batches. Without
the store, intake writes to Postgres itself: slower and complete.
"""

import json
import logging
import time
import uuid as uuids
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

import redis

from campaigns import ids
from campaigns.folding import Call, fold, fold_early, packed
from campaigns.models import Bulk, Message, Reason
from campaigns.store import store

log = logging.getLogger(__name__)

STREAM = "stream:receipts"  # the queue of tasks is the key "receipts" of the same server
LOCK = "receipts:consumer"
LOCK_SECONDS = 15  # without a sign of life, then another consumer may take over
RETRY_SECONDS = 2  # between two tries of receipts that were too early
ENTRIES = 2500  # of the stream that are read at once: up to 500 receipts each
BATCH_SIZE = 400_000  # bytes that are folded at once: some 5,000 receipts
PATIENCE = 1000  # milliseconds that a consumer waits for a receipt before it looks around

_Streams = list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]  # as the store gives them


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


def take(application_id: int, registration_id: int | None, receipts: Sequence[Receipt]) -> None:
    """Accept receipts of one application, and of one of its devices if that is known."""
    if not receipts:
        return
    call = packed_call(application_id, registration_id, receipts)
    try:
        store().xadd(STREAM, {"r": json.dumps(call)})
    except redis.RedisError:
        log.warning("store is away: receipts go straight to the database")
        fold([call])


def packed_call(
    application_id: int, registration_id: int | None, receipts: Iterable[Receipt]
) -> Call:
    told = [packed(r.message_id, r.state, r.at, r.reason, r.answer) for r in receipts]
    return application_id, registration_id, told


def made_here(application_id: int, identifiers: Iterable[UUID]) -> set[UUID]:
    """Those of these ids that belong to a bulk of this application, sent already or not."""
    wanted = set(identifiers)
    numbers = {ids.bulk_number(identifier) for identifier in wanted}
    bulks = Bulk.objects.filter(pk__in=numbers, application=application_id)
    known = {ids.first_id(bulk) >> ids.RECIPIENT_BITS for bulk in bulks.only("pk", "starts_at")}
    return {each for each in wanted if each.int >> ids.RECIPIENT_BITS in known}


def consume(*, seconds: float) -> int:
    """Fold the stream into the ledger for some time; receipts folded.

    One consumer at a time (a lock in the store); a second one returns at once. If both work
    all the same, because the first was thought dead, they repeat each other, which changes
    nothing. A store that lost its data lost the lock with it, and so ends the consumer.
    """
    client, name = store(), uuids.uuid4().hex
    if not client.set(LOCK, name, nx=True, ex=LOCK_SECONDS):
        return 0
    try:
        return _consume(client, name, until=time.monotonic() + seconds)
    finally:
        if client.get(LOCK) == name.encode():
            client.delete(LOCK)


def _consume(client: "redis.Redis", name: str, *, until: float) -> int:
    count, next_try = 0, 0.0
    while time.monotonic() < until and _still_mine(client, name):
        if time.monotonic() >= next_try:
            fold_early()
            next_try = time.monotonic() + RETRY_SECONDS
        count += _fold_entries(client)
    return count


def _still_mine(client: "redis.Redis", name: str) -> bool:
    if client.get(LOCK) != name.encode():
        return False
    client.expire(LOCK, LOCK_SECONDS)
    return True


def _fold_entries(client: "redis.Redis") -> int:
    """Fold the oldest entries, then cut them off: whatever stands in the stream is to be folded.

    A crash between the two repeats, and repeats change nothing.
    """
    read = client.xread({STREAM: 0}, count=ENTRIES, block=PATIENCE)
    entries = cast("_Streams", read)[0][1] if read else []
    count = sum(fold(batch) for batch in _batches(fields[b"r"] for _, fields in entries))
    if entries:
        client.xtrim(STREAM, minid=_after(entries[-1][0]), approximate=False)
    return count


def _batches(packed_calls: Iterable[bytes]) -> Iterator[list[Call]]:
    """Calls in the order they came, as many together as one statement may fold."""
    batch: list[bytes] = []
    size = 0
    for each in packed_calls:
        batch.append(each)
        size += len(each)
        if size >= BATCH_SIZE:
            yield _unpacked(batch)
            batch, size = [], 0
    if batch:
        yield _unpacked(batch)


def _unpacked(packed_calls: Iterable[bytes]) -> list[Call]:
    """All at once: reading them one by one takes three times as long."""
    return cast("list[Call]", json.loads(b"[" + b",".join(packed_calls) + b"]"))


def _after(identifier: bytes) -> str:
    """The lowest id that may follow this one in a stream: milliseconds, a dash, a number."""
    milliseconds, _, number = identifier.decode().partition("-")
    return f"{milliseconds}-{int(number) + 1}"
