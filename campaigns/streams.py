"""Streams of the store: what comes in as fast as it likes goes into Postgres in batches."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import redis

from campaigns import halting
from campaigns.store import store

LOCK_SECONDS = 15  # without a sign of life, then another consumer may take over
ENTRIES = 2500  # of a stream that are read at once: up to 500 receipts each
BATCH_SIZE = 400_000  # bytes that are folded at once: some 5,000 receipts
PATIENCE = 1000  # milliseconds that a consumer waits for an entry before it looks around

_Streams = list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]  # as the store gives them


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Stream:
    """Entries under one key, each a JSON text in the field `r`, and who puts them away."""

    key: str
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
        count = sum(self.fold(batch) for batch in _batches(fields[b"r"] for _, fields in entries))
        if entries:
            client.xtrim(self.key, minid=_after(entries[-1][0]), approximate=False)
        return count


def _batches(packed: Iterable[bytes]) -> Iterator[list[Any]]:
    """Entries in the order they came, as many together as one statement may fold."""
    batch: list[bytes] = []
    size = 0
    for each in packed:
        batch.append(each)
        size += len(each)
        if size >= BATCH_SIZE:
            yield _unpacked(batch)
            batch, size = [], 0
    if batch:
        yield _unpacked(batch)


def _unpacked(packed: Iterable[bytes]) -> list[Any]:
    """All at once: reading them one by one takes three times as long."""
    return cast("list[Any]", json.loads(b"[" + b",".join(packed) + b"]"))


def _after(identifier: bytes) -> str:
    """The lowest id that may follow this one in a stream: milliseconds, a dash, a number."""
    milliseconds, _, number = identifier.decode().partition("-")
    return f"{milliseconds}-{int(number) + 1}"
