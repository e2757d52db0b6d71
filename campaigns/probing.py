"""Ask what everything stands on how it is: the database, the store, the broker, our memory."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from celery import current_app
from django.db import connection
from kombu import Connection
from kombu.exceptions import OperationalError

from campaigns.store import store


@dataclass(frozen=True, slots=True)
class Database:
    version: str
    seconds: float  # of one question and its answer
    size: int  # bytes
    connections: int
    most: int  # connections that it allows

    @property
    def crowded(self) -> bool:
        return self.connections >= 0.9 * self.most


def database() -> Database:
    """Raises DatabaseError."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")  # connects, or checks the connection that was kept
        began = time.perf_counter()
        cursor.execute("SELECT 1")
        seconds = time.perf_counter() - began
        cursor.execute(
            "SELECT split_part(current_setting('server_version'), ' ', 1),"
            " pg_database_size(current_database()),"
            " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
            " current_setting('max_connections')::int"
        )
        row = cursor.fetchone()
    assert row is not None
    version, size, connections, most = row
    return Database(version, seconds, size, connections, most)


@dataclass(frozen=True, slots=True)
class Store:
    name: str  # "Valkey" or "Redis"
    version: str
    seconds: float  # of one question and its answer
    memory: int  # bytes
    keeps: bool  # what it was told lasts over a restart (appendonly)
    evicts: bool  # it may throw away what it was told when its memory is full


def store_state() -> Store | None:
    """None when it does not answer."""
    client = store(patience=1)
    try:
        client.ping()  # connects
        began = time.perf_counter()
        client.ping()
        seconds = time.perf_counter() - began
        said = client.info()
    except redis.RedisError:
        return None
    named = "valkey_version" in said
    return Store(
        name="Valkey" if named else "Redis",
        version=str(said.get("valkey_version" if named else "redis_version", "")),
        seconds=seconds,
        memory=int(said.get("used_memory", 0)),
        keeps=bool(said.get("aof_enabled")),
        evicts=said.get("maxmemory_policy", "noeviction") != "noeviction",
    )


@dataclass(frozen=True, slots=True)
class Broker:
    name: str
    seconds: float  # to connect
    tasks: Mapping[str, int]  # by queue, those that no worker has taken

    @property
    def waiting(self) -> dict[str, int]:
        """Queues in which tasks wait."""
        return {name: number for name, number in self.tasks.items() if number}


BROKERS = {"redis": "Valkey or Redis", "amqp": "RabbitMQ", "memory": "Memory"}


def broker() -> Broker | None:
    """None when it does not answer."""
    patience = {"socket_connect_timeout": 1, "socket_timeout": 1}  # seconds; of Valkey
    patience |= {"read_timeout": 1, "write_timeout": 1}  # of RabbitMQ
    began = time.perf_counter()
    with current_app.connection_for_read(
        connect_timeout=1, transport_options=patience
    ) as connected:
        away: tuple[type[BaseException], ...] = (OperationalError, *connected.connection_errors)
        try:
            connected.ensure_connection(max_retries=1, interval_start=0, timeout=2)
            seconds = time.perf_counter() - began
            tasks = {name: _waiting(connected, name) for name in queue_names()}
        except away:
            return None
        kind = connected.transport.driver_type
    return Broker(BROKERS.get(kind, kind), seconds, tasks)


def queue_names() -> list[str]:
    return [queue.name for queue in current_app.conf.task_queues]


def _waiting(connected: Connection, name: str) -> int:
    """Tasks of a queue; one that was never used does not exist yet."""
    channel: Any = connected.channel()  # kombu's stubs know less than any of its transports
    try:
        return int(channel.queue_declare(queue=name, passive=True).message_count)
    except connected.channel_errors:
        return 0
    finally:
        channel.close()


# ------------------------------------------------------------------- memory

PROC = Path("/proc")


def memory() -> list[int]:
    """Bytes that this process takes, then each of its children; empty where nobody can tell.

    What processes share is divided among them, so that the sum is what all take together.
    """
    pids = [os.getpid(), *_children()]
    found = (_memory_of(pid) for pid in pids)
    return [taken for taken in found if taken is not None]


def _children() -> Iterator[int]:
    for listed in PROC.glob("self/task/*/children"):
        try:
            yield from map(int, listed.read_text().split())
        except OSError:
            continue  # the thread has ended


def _memory_of(pid: int) -> int | None:
    for name, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            lines = (PROC / str(pid) / name).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return None
