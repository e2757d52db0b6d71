"""Receipts: from the stream into Postgres, exactly.

Every device of a bulk reports by a call of its own, in an order that has nothing to do with
the order of the rows, while nothing else is asked of the database; one consumer folds it all.
The baseline, in the same run: each receipt by an UPDATE and a counter of its own.
"""

import argparse
import random
import resource
import time
import uuid
from pathlib import Path
from statistics import median
from typing import NamedTuple

import django

django.setup()

from django.db import connection, transaction  # noqa: E402
from django.db.models import F  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks.results import TWICE, Row, Table, report  # noqa: E402
from campaigns import ids, partitions, reports, statistics  # noqa: E402
from campaigns.models import Bulk, Counter, Message  # noqa: E402
from campaigns.store import store  # noqa: E402
from devices.models import Application, Platform  # noqa: E402
from tests.factories import make_application, make_bulk  # noqa: E402

TICKS = 100  # of the kernel's clock in a second: USER_HZ, the same on all Linux machines

COPY = """
COPY campaigns_message (id, bulk_id, registration_id, sent_at, state, platform, app_version,
                        reason, variant, attempt, repeated, language, answer)
FROM STDIN (FORMAT BINARY)
"""
COPY_TYPES = (
    "uuid", "int8", "int8", "timestamptz", "int2", "int2", "int8",
    "int2", "int2", "int2", "bool", "varchar", "varchar",
)  # fmt: skip


class Run(NamedTuple):
    """Receipts a second, and seconds of one core for ten thousand of them."""

    rate: float
    here: float  # in this process
    database: float


def sent_bulk(application: Application, count: int) -> Bulk:
    """A bulk whose messages were all accepted a moment ago, and its counters say so."""
    now = timezone.now()
    bulk = make_bulk(application, starts_at=now, status=Bulk.Status.DONE)
    state, platform = Message.State.ACCEPTED.value, Platform.ANDROID.value
    with connection.cursor() as cursor:
        with cursor.copy(COPY) as copy:
            copy.set_types(COPY_TYPES)
            for number in range(count):
                known = ids.message_id(bulk, number), bulk.pk, number, now, state, platform
                copy.write_row((*known, 0, 0, 0, 0, False, "en", "name/123"))
        cursor.execute("ANALYZE campaigns_message")
    minute = now.replace(second=0, microsecond=0)
    Counter.objects.create(bulk=bulk, minute=minute, platform=platform, sent=count, accepted=count)
    return bulk


def told(bulk: Bulk, count: int) -> list[tuple[int, reports.Receipt]]:
    """A receipt of each device of the bulk, shuffled."""
    numbers = list(range(count))
    random.Random(bulk.pk).shuffle(numbers)
    now, state = timezone.now(), Message.State.DELIVERED
    return [
        (number, reports.Receipt(ids.message_id(bulk, number), state, now)) for number in numbers
    ]


def through_the_stream(application: Application, count: int) -> Run:
    bulk = sent_bulk(application, count)
    for number, receipt in told(bulk, count):
        reports.take(application.pk, number, [receipt])
    backend = backend_pid()
    theirs, ours, began = cpu_of(backend), cpu_of_this(), time.perf_counter()
    folded = 0
    while store().xlen(reports.STREAM):  # a consumer at the end of the stream would wait
        folded += reports.consume(seconds=0.1)
    took = time.perf_counter() - began
    theirs, ours = cpu_of(backend) - theirs, cpu_of_this() - ours
    assert folded == count, folded
    assert_exact(bulk, count)
    return Run(count / took, ours / count * 10_000, theirs / count * 10_000)


def one_by_one(application: Application, count: int) -> float:
    """Receipts a second when each is a transaction of its own."""
    bulk = sent_bulk(application, count)
    began = time.perf_counter()
    for _, receipt in told(bulk, count):
        minute = receipt.at.replace(second=0, microsecond=0)
        with transaction.atomic():
            rows = Message.objects.filter(pk=receipt.message_id, state=Message.State.ACCEPTED)
            if rows.update(state=receipt.state, delivered_at=receipt.at):
                counters = Counter.objects.filter(bulk=bulk, platform=Platform.ANDROID, variant=0)
                if not counters.filter(minute=minute).update(delivered=F("delivered") + 1):
                    counters.create(
                        bulk=bulk, minute=minute, platform=Platform.ANDROID, delivered=1
                    )
    took = time.perf_counter() - began
    assert_exact(bulk, count)
    return count / took


def assert_exact(bulk: Bulk, count: int) -> None:
    funnel = statistics.funnel(bulk)
    assert funnel == statistics.recount(bulk), funnel
    assert (funnel.accepted, funnel.delivered) == (count, count), funnel


def backend_pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def cpu_of(pid: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_of_this() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--receipts", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    partitions.make_ahead()
    store().delete(reports.STREAM)
    application = make_application(name=f"bench {uuid.uuid4()}")
    runs, halves, peers = [], [], []
    for _ in range(options.rounds):
        runs.append(through_the_stream(application, options.receipts))
        halves.append(through_the_stream(application, options.receipts // 2))
        peers.append(one_by_one(application, min(2000, options.receipts)))
    rate, here, database = (median(run[n] for run in runs) for n in range(3))
    half, peer = median(run.rate for run in halves), median(peers)
    cpu = f"CPU for 10,000: consumer {here:.3f} s, database {database:.3f} s"
    rows = [
        Row("stream into Postgres", rate, "receipts/s", cpu, floor=50_000),
        Row("the same with half as many", half, "receipts/s"),
        Row("time for twice the receipts", 2 * half / rate, "x", TWICE, ceiling=2.2),
        Row("one transaction for each", peer, "receipts/s"),
        Row("stream / one transaction for each", rate / peer, "x"),
    ]
    how = f"manage.py bench receipts --receipts {options.receipts} --rounds {options.rounds}"
    report(Table("receipts", f"{options.receipts:,} receipts, a call each", how, rows))


if __name__ == "__main__":
    main()
