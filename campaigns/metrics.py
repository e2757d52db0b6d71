"""What this process counts, on its way to /metrics.

Workers and web processes are many, and whoever scrapes asks one of them. So each adds up
what it sees, and once a second, never per message, writes it into one hash of the store. A
store that lost its data begins at zero again, which readers of counters expect.
"""

import json
import os
import socket
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence
from typing import TypeVar, cast

import redis

from campaigns.store import store
from providers.base import Outcome
from providers.http2 import churn

COUNTS = "metrics:counts"  # name|label|…  → count
PROCESSES = "metrics:processes"  # host:pid → what it has open, and when it said so
EVERY = 1.0  # seconds between two writes of a process
SILENT_AFTER = 60.0  # seconds, then what a process had open counts no more

# Upper bounds in seconds.
WIRE = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)
CHUNK = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
WEB = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
BOUNDS = {"window": WIRE, "chunk": CHUNK, "web": WEB}
ENDLESS = "+Inf"

T = TypeVar("T")
Labels = tuple[str, ...]


class _Meters:
    """Counts that are not written yet."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: Counter[Labels] = Counter()
        self.told: dict[str, churn.Seen] = {}  # of the connections, what is written already
        self.planned = False

    def add(self, counted: Iterable[tuple[Labels, int]]) -> None:
        with self.lock:
            for labels, amount in counted:
                self.counts[labels] += amount
            if self.planned:
                return
            self.planned = True
        timer = threading.Timer(EVERY, flush)
        timer.daemon = True
        timer.start()

    def taken(self) -> Counter[Labels]:
        """Everything counted so far, which is no longer here."""
        now = churn.seen()
        with self.lock:
            self.planned = False
            counts, self.counts = self.counts, Counter()
            for host, seen in now.items():
                before = self.told.get(host, churn.Seen(0, 0, 0, 0, 0))
                counts["connections", host, "opened"] += seen.opened - before.opened
                counts["connections", host, "goaway"] += seen.goaways - before.goaways
                counts["connections", host, "lost"] += seen.lost - before.lost
            self.told = now
        return counts


_meters = _Meters()


def _forget() -> None:
    """In a child: its parent writes what the parent counted."""
    global _meters
    _meters = _Meters()


os.register_at_fork(after_in_child=_forget)


def count(name: str, *labels: str, amount: int = 1) -> None:
    _meters.add([((name, *labels), amount)])


def observe(name: str, *labels: str, seconds: float) -> None:
    """One more of a duration: in its bucket, and in the sum (microseconds)."""
    _meters.add(
        [
            ((name, *labels, bucket(BOUNDS[name], seconds)), 1),
            ((name, *labels, "sum"), int(seconds * 1e6)),
        ]
    )


def bucket(bounds: Sequence[float], seconds: float) -> str:
    place = bisect_left(bounds, seconds)
    return str(bounds[place]) if place < len(bounds) else ENDLESS


async def on_the_wire(provider: str, sending: Awaitable[T]) -> T:
    """A window of one provider, from its hand-over to its last answer."""
    began = time.monotonic()
    try:
        return await sending
    finally:
        observe("window", provider, seconds=time.monotonic() - began)


def answered(provider: str, outcomes: Iterable[Outcome]) -> None:
    """What a provider said to one window."""
    tally = Counter((outcome.verdict, outcome.cause) for outcome in outcomes)
    _meters.add(
        (("verdicts", provider, verdict.value, cause.name.lower()), amount)
        for (verdict, cause), amount in tally.items()
    )


def chunk_done(*, urgent: bool, seconds: float) -> None:
    """A chunk from its claim to its last record."""
    observe("chunk", "urgent" if urgent else "normal", seconds=seconds)


def flush() -> None:
    """Write what this process counted. What cannot be written waits for the next time."""
    meters = _meters
    counts = meters.taken()
    pipe = store().pipeline(transaction=False)
    for labels, amount in counts.items():
        if amount:
            pipe.hincrby(COUNTS, "|".join(labels), amount)
    has = {host: [seen.connections, seen.in_flight] for host, seen in meters.told.items()}
    if has:
        pipe.hset(PROCESSES, _name(), json.dumps({"at": time.time(), "hosts": has}))
    try:
        pipe.execute()
    except redis.RedisError:
        meters.add(counts.items())


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def counts() -> dict[Labels, int]:
    """Everything all processes wrote. Raises RedisError."""
    written = cast("dict[bytes, bytes]", store().hgetall(COUNTS))
    return {tuple(name.decode().split("|")): int(amount) for name, amount in written.items()}


def connections() -> dict[str, tuple[int, int]]:
    """By host, connections and requests in flight of processes that live. Raises RedisError."""
    found: dict[str, tuple[int, int]] = {}
    gone = []
    for name, said in store().hgetall(PROCESSES).items():
        process = json.loads(said)
        if time.time() - process["at"] > SILENT_AFTER:
            gone.append(name)
            continue
        for host, (open_, in_flight) in process["hosts"].items():
            before = found.get(host, (0, 0))
            found[host] = (before[0] + open_, before[1] + in_flight)
    if gone:
        store().hdel(PROCESSES, *gone)
    return found
