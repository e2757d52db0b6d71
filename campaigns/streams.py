"""Streams of the store: what comes in as fast as it likes goes into Postgres in batches."""

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError

from campaigns import halting
from campaigns.store import store

log = logging.getLogger(__name__)

LOCK_SECONDS = 15  # without a sign of life, then another consumer may take over
ENTRIES = 2500  # of a stream that are read at once: up to 500 receipts each
BATCH_SIZE = 400_000  # bytes that are folded at once: some 5,000 receipts
PATIENCE = 1000  # milliseconds that a consumer waits for an entry before it looks around
TRIES = 2  # of an entry that fails alone: somebody may have deleted what it names meanwhile

# A server is, and comes back: this ends the consumer until then.
AWAY = (OperationalError, InterfaceError)
# What an entry is to blame for that fails alone. Anything else, such as a store that is away or a
# table that is not there yet, ends the consumer as well: it would fail for every entry.
BLAMED = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    DataError,
    IntegrityError,
)

_Streams = list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]  # as the store gives them
_Entry = tuple[bytes, bytes]  # its id, and its JSON text


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Stream:
    """Entries under one key, each a JSON text in the field `r`, and who puts them away.

    An entry that cannot be put away holds nobody up: it is set aside, where it waits for
    somebody who mends the cause and puts it back.
    """

    key: str
    holds: str  # what is in an entry, for people
    lock: str
    fold: Callable[[list[Any]], int]  # must stand repeats; how much it was
    meanwhile: Callable[[], object] = _nothing  # done now and then
    every: float = 60.0  # seconds between two times of it
    waits: bool = True  # for more to come, until its time is over

    def consume(self, *, seconds: float) -> int:
        """Fold for some time; how much it was.

        One consumer at a time (a lock in the store); a second one returns at once. If both work
        all the same, because the first was thought dead, they repeat each other, which changes
        nothing. A store that lost its data lost the lock with it, and so ends the consumer.
        """
        client, name = store(), uuid.uuid4().hex
        if not client.set(self.lock, name, nx=True, ex=LOCK_SECONDS):
            return 0
        try:
            return self._consume(client, name, until=time.monotonic() + seconds)
        finally:
            if client.get(self.lock) == name.encode():
                client.delete(self.lock)

    def _consume(self, client: "redis.Redis", name: str, *, until: float) -> int:
        count, next_time = 0, 0.0
        while (
            time.monotonic() < until and not halting.is_asked() and self._still_mine(client, name)
        ):
            if time.monotonic() >= next_time:
                self.meanwhile()
                next_time = time.monotonic() + self.every
            folded = self.fold_entries(client)
            count += folded
            if not folded and not self.waits:
                break
        return count

    def _still_mine(self, client: "redis.Redis", name: str) -> bool:
        if client.get(self.lock) != name.encode():
            return False
        client.expire(self.lock, LOCK_SECONDS)
        return True

    def fold_entries(self, client: "redis.Redis") -> int:
        """Fold the oldest entries, then cut them off: whatever stands there is to be folded.

        A crash between the two repeats, and repeats change nothing.
        """
        patience = PATIENCE if self.waits else None
        read = client.xread({self.key: 0}, count=ENTRIES, block=patience)
        entries = cast("_Streams", read)[0][1] if read else []
        packed = [(identifier, fields.get(b"r", b"")) for identifier, fields in entries]
        count = sum(self._fold(client, batch) for batch in _batches(packed))
        if entries:
            client.xtrim(self.key, minid=_after(entries[-1][0]), approximate=False)
        return count

    def _fold(self, client: "redis.Redis", entries: Sequence[_Entry]) -> int:
        """Fold these; a part that fails is halved, until what fails is one entry."""
        for _ in range(TRIES if len(entries) == 1 else 1):
            try:
                return self.fold(_unpacked(entries))
            except AWAY:
                raise
            except (*BLAMED, DatabaseError) as error:
                why = error
        if len(entries) == 1:
            if not isinstance(why, BLAMED):
                raise why
            self._set_aside(client, entries[0], why)
            return 0
        middle = len(entries) // 2
        return self._fold(client, entries[:middle]) + self._fold(client, entries[middle:])

    # ----------------------------------------------------------------------- set aside

    @property
    def _aside(self) -> str:
        return f"{self.key}:aside"  # a hash: each by the id it came with, so that repeats repeat

    def _set_aside(self, client: "redis.Redis", entry: _Entry, why: Exception) -> None:
        # Its message may quote what somebody is known by.
        log.error("an entry of %s is set aside: %s", self.key, type(why).__name__)
        identifier, packed = entry
        client.hset(self._aside, identifier, packed)

    def aside(self) -> int:
        """How many entries wait for somebody. Raises RedisError."""
        return int(store().hlen(self._aside))

    def put_back(self) -> int:
        """Have what was set aside folded again; how many entries. Raises RedisError.

        Twice at once does no harm: folding stands repeats.
        """
        client, count = store(), 0
        for identifier, packed in list(client.hscan_iter(self._aside)):
            pipe = client.pipeline(transaction=True)
            pipe.xadd(self.key, {"r": packed})
            pipe.hdel(self._aside, identifier)
            pipe.execute()
            count += 1
        return count


def _batches(entries: Sequence[_Entry]) -> Iterator[list[_Entry]]:
    """Entries in the order they came, as many together as one statement may fold."""
    batch: list[_Entry] = []
    size = 0
    for each in entries:
        batch.append(each)
        size += len(each[1])
        if size >= BATCH_SIZE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _unpacked(entries: Sequence[_Entry]) -> list[Any]:
    """All at once: reading them one by one takes three times as long."""
    texts = b",".join(packed for _, packed in entries)
    return cast("list[Any]", json.loads(b"[" + texts + b"]"))


def _after(identifier: bytes) -> str:
    """The lowest id that may follow this one in a stream: milliseconds, a dash, a number."""
    milliseconds, _, number = identifier.decode().partition("-")
    return f"{milliseconds}-{int(number) + 1}"
