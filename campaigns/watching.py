"""How everything that sends is doing: for /metrics and the system page."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import redis
from django.db import connection
from django.utils import timezone

from campaigns import calls, events, metrics, pacing, probing, reports
from campaigns.models import EarlyReceipt
from campaigns.store import store
from devices.models import ImportRun, ProviderCredential

WORKERS = "watching:workers"  # name:pid → what it is, and when it said so
LOOKED_AT = "watching:timetable"  # when the timetable last looked for unfinished work
SAY_EVERY = 5.0  # seconds between two signs of life of a worker
REPLACED_AFTER = 15.0  # seconds of silence, then another of its name took its place
SILENT_AFTER = 30.0  # seconds, then a worker counts as gone
FORGOTTEN_AFTER = 3600.0  # seconds that a worker which is gone is still shown


@dataclass(frozen=True, slots=True)
class Queue:
    """Chunks of bulks that are being sent, urgent ones or the others."""

    urgent: bool
    due: int = 0  # chunks that any worker may take now
    due_devices: int = 0
    taken: int = 0  # chunks that a worker holds
    later: int = 0  # chunks that wait for their time: retries, pace, local time
    age: float | None = None  # seconds that the oldest due chunk has waited; None without any


_QUEUES = """
SELECT c.urgent,
       count(*) FILTER (WHERE d.due),
       coalesce(sum(c.size - c.cursor) FILTER (WHERE d.due), 0),
       count(*) FILTER (WHERE c.lease_until >= now()),
       count(*) FILTER (WHERE NOT d.due AND coalesce(c.lease_until < now(), true)),
       extract(epoch FROM now() - min(c.not_before) FILTER (WHERE d.due))
FROM campaigns_chunk c
JOIN campaigns_bulk b ON b.id = c.bulk_id AND b.status = 'sending',
LATERAL (SELECT NOT c.held AND c.not_before <= now()
                AND coalesce(c.lease_until < now(), true) AS due) d
WHERE c.status = 0
GROUP BY c.urgent
"""


def queues() -> list[Queue]:
    """The urgent queue, then the other."""
    with connection.cursor() as cursor:
        cursor.execute(_QUEUES)
        found = {
            urgent: Queue(
                urgent, due, int(devices), taken, later, None if age is None else float(age)
            )
            for urgent, due, devices, taken, later, age in cursor.fetchall()
        }
    return [found.get(urgent, Queue(urgent)) for urgent in (True, False)]


@dataclass(frozen=True, slots=True)
class Receipts:
    """Delivery reports on their way into the ledger."""

    waiting: int  # entries of the stream; one holds the receipts of one request
    lag: float  # seconds that the oldest of them has waited
    early: int  # receipts that wait for their message's row


def receipts() -> Receipts:
    """Raises RedisError."""
    client = store()
    waiting = int(client.xlen(reports.STREAM))
    oldest = reports.waiting_since()
    lag = 0.0 if oldest is None else max(0.0, _store_time() - oldest.timestamp())
    return Receipts(waiting, lag, EarlyReceipt.objects.count())


STREAMS = (reports.RECEIPTS, events.EVENTS, calls.CALLS)


def set_aside() -> dict[str, int]:
    """Requests that could not be written down, by what they hold. Raises RedisError."""
    return {stream.holds: count for stream in STREAMS if (count := stream.aside())}


def _store_time() -> float:
    seconds, microseconds = store().time()
    return seconds + microseconds / 1e6


@dataclass(frozen=True, slots=True)
class Clocks:
    """How far this machine's clock is ahead of the others', in seconds."""

    database: float
    store: float | None  # None when it does not answer

    @property
    def agree(self) -> bool:
        """Closely enough for leases and deadlines."""
        return abs(self.database) < 1 and (self.store is None or abs(self.store) < 1)


def clocks(*, ask_store: bool = True) -> Clocks:
    """Half of the way there and back is taken off."""
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        row = cursor.fetchone()
    assert row is not None
    database = (before + time.time()) / 2 - float(row[0])
    if not ask_store:
        return Clocks(database, None)
    before = time.time()
    try:
        there = _store_time()
    except redis.RedisError:
        return Clocks(database, None)
    return Clocks(database, (before + time.time()) / 2 - there)


@dataclass(frozen=True, slots=True)
class Worker:
    """A Celery worker, as it said of itself."""

    name: str
    pid: int
    queues: Sequence[str]
    processes: int
    seen_at: datetime
    memory: Sequence[int] = ()  # bytes of itself and of each of its processes

    @property
    def silent(self) -> float:
        """Seconds since it last showed a sign of life."""
        return max(0.0, (timezone.now() - self.seen_at).total_seconds())

    @property
    def lives(self) -> bool:
        return self.silent < SILENT_AFTER

    @property
    def takes(self) -> int | None:
        """Bytes of all its processes together; None where nobody can tell."""
        return sum(self.memory) or None

    @property
    def largest(self) -> int | None:
        """Bytes of the process that takes most."""
        return max(self.memory, default=None)


def say_alive(name: str, queues: Sequence[str], processes: int) -> None:
    """A worker's sign of life. Without the store nobody hears it."""
    said = {
        "queues": sorted(queues),
        "processes": processes,
        "at": time.time(),
        "memory": probing.memory(),
    }
    try:
        store().hset(WORKERS, f"{name}:{os.getpid()}", json.dumps(said))
    except redis.RedisError:
        return


def say_goodbye(name: str) -> None:
    try:
        store().hdel(WORKERS, f"{name}:{os.getpid()}")
    except redis.RedisError:
        return


def workers() -> list[Worker]:
    """Those that live, and those that fell silent in the last hour. Raises RedisError."""
    found, forgotten = [], []
    said = cast("dict[bytes, bytes]", store().hgetall(WORKERS))
    for key, value in said.items():
        name, _, pid = key.decode().rpartition(":")
        what = json.loads(value)
        if time.time() - what["at"] > FORGOTTEN_AFTER:
            forgotten.append(key)
            continue
        seen_at = datetime.fromtimestamp(what["at"], UTC)
        found.append(
            Worker(
                name, int(pid), what["queues"], what["processes"], seen_at, what.get("memory", ())
            )
        )
    if forgotten:
        store().hdel(WORKERS, *forgotten)
    newest = {worker.name: worker for worker in sorted(found, key=lambda each: each.seen_at)}
    return sorted(
        (
            worker
            for worker in found
            if worker is newest[worker.name] or worker.silent < REPLACED_AFTER
        ),
        key=lambda worker: (worker.name, worker.pid),
    )


def say_looked() -> None:
    """The timetable works: scheduler, broker and a worker of the default queue."""
    try:
        store().set(LOOKED_AT, str(time.time()))
    except redis.RedisError:
        return


def looked_at() -> datetime | None:
    """When the timetable last did. Raises RedisError."""
    said = cast("bytes | None", store().get(LOOKED_AT))
    return datetime.fromtimestamp(float(said), UTC) if said else None


@dataclass(frozen=True, slots=True)
class Cloud:
    """A credential, and whether anything is sent through it."""

    credential: ProviderCredential
    rests: float  # seconds until its cloud is asked again after it said "not now"

    @property
    def paused(self) -> bool:
        return self.credential.paused_at is not None

    @property
    def troubled(self) -> bool:
        return self.paused or self.credential.test_ok is False


@dataclass(frozen=True, slots=True)
class Connections:
    """HTTP/2 connections to one host of a cloud, of all processes."""

    host: str
    open: int
    in_flight: int  # requests without an answer yet
    opened: int  # since counting began
    sent_away: int  # of these, by GOAWAY
    lost: int


def connections() -> list[Connections]:
    """Hosts that were connected to since the store has its data. Raises RedisError."""
    now = metrics.connections()
    events: dict[str, dict[str, int]] = {host: {} for host in now}
    for (name, *labels), number in metrics.counts().items():
        if name == "connections":
            events.setdefault(labels[0], {})[labels[1]] = number
    return [
        Connections(
            host,
            *now.get(host, (0, 0)),
            opened=counted.get("opened", 0),
            sent_away=counted.get("goaway", 0),
            lost=counted.get("lost", 0),
        )
        for host, counted in sorted(events.items())
    ]


def clouds(*, ask_store: bool = True) -> list[Cloud]:
    """Every credential in use, without its secret. The store is not asked where it is away."""
    credentials = (
        ProviderCredential.objects.filter(enabled=True)
        .defer("data")
        .select_related("application", "breaker")
        .order_by("application__name", "provider", "environment")
    )
    return [
        Cloud(each, pacing.paused_for(pacing.bucket_of(each)) if ask_store else 0.0)
        for each in credentials
    ]


def imports() -> dict[str, int]:
    """Unfinished imports by status."""
    found = dict.fromkeys((ImportRun.Status.WAITING.value, ImportRun.Status.RUNNING.value), 0)
    for status in ImportRun.objects.filter(status__in=list(found)).values_list("status", flat=True):
        found[status] += 1
    return found
