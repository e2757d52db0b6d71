"""Everything an administrator wants to know at a glance, and what needs their attention."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import redis
from django.utils import timezone

from campaigns import probing, reconciling, watching
from campaigns.models import Bulk, Reconciliation
from campaigns.watching import Cloud
from devices.models import Application

LATE = timedelta(hours=36)  # a night's comparison is missing
TIMETABLE_SILENT = 30.0  # seconds; it looks every three
WAITS_LONG = {True: 5.0, False: 60.0}  # seconds of the oldest due chunk: urgent, or not
RECEIPTS_LAG = 60.0  # seconds
MOST_PAUSED = 20  # campaigns that are listed

# What stops when no worker takes a queue.
WITHOUT = {
    "dispatch": "Campaigns are not sent.",
    "urgent": "Messages of the APIs and test sends are not sent.",
    "receipts": "Delivered, seen and tapped are not counted.",
    "default": "Launches, imports and the tests of credentials wait.",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """What only the store knows."""

    receipts: watching.Receipts
    set_aside: dict[str, int]  # requests that could not be written down, by what they hold
    workers: Sequence[watching.Worker]
    looked_at: datetime | None  # when the timetable last looked for unfinished work
    connections: Sequence[watching.Connections]

    @property
    def looked(self) -> float | None:
        """Seconds since then."""
        if self.looked_at is None:
            return None
        return max(0.0, (timezone.now() - self.looked_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Differing:
    """A count of a send that was not what its messages say."""

    bulk: Bulk
    what: str
    counted: int
    found: int
    repaired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """How the installation is at one moment."""

    at: datetime
    database: probing.Database
    store: probing.Store | None  # None: it does not answer
    stored: Stored | None  # None likewise
    broker: probing.Broker | None  # None: it does not answer
    clocks: watching.Clocks
    queues: Sequence[watching.Queue]
    imports: dict[str, int]
    clouds: Sequence[Cloud]
    paused: Sequence[Bulk]
    reconciled: Reconciliation | None  # the last comparison that is finished
    reconciling: Reconciliation | None  # one that is not
    differing: Sequence[Differing]  # what the finished one found

    @property
    def pausing(self) -> list[Cloud]:
        """Credentials through which nothing is sent now."""
        return [cloud for cloud in self.clouds if cloud.paused or cloud.rests]


def system(applications: Iterable[Application]) -> System:
    """Raises DatabaseError. Clouds and campaigns are those of the applications."""
    own = {application.pk for application in applications}
    store = probing.store_state()
    latest, finished = reconciling.latest(), reconciling.latest(finished=True)
    return System(
        at=timezone.now(),
        database=probing.database(),
        store=store,
        stored=_stored() if store else None,
        broker=probing.broker(),
        clocks=watching.clocks(ask_store=store is not None),
        queues=watching.queues(),
        imports=watching.imports(),
        clouds=[
            cloud
            for cloud in watching.clouds(ask_store=store is not None)
            if cloud.credential.application_id in own
        ],
        paused=list(
            Bulk.objects.filter(status=Bulk.Status.PAUSED, application__in=own)
            .select_related("campaign", "application")
            .order_by("-pk")[:MOST_PAUSED]
        ),
        reconciled=finished,
        reconciling=latest if latest and latest.finished_at is None else None,
        differing=_differing(finished, own) if finished and finished.differences else [],
    )


def _differing(run: Reconciliation, own: set[int]) -> list[Differing]:
    bulks = (
        Bulk.objects.filter(application__in=own)
        .select_related("campaign")
        .in_bulk([each["bulk"] for each in run.differences])
    )
    return [
        Differing(
            bulks[each["bulk"]], each["what"], each["counted"], each["found"], each["repaired"]
        )
        for each in run.differences
        if each["bulk"] in bulks
    ]


def _stored() -> Stored | None:
    try:
        return Stored(
            receipts=watching.receipts(),
            set_aside=watching.set_aside(),
            workers=watching.workers(),
            looked_at=watching.looked_at(),
            connections=watching.connections(),
        )
    except redis.RedisError:
        return None


# ------------------------------------------------------------------- what needs attention


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be, what it means, and what to do."""

    level: Literal["red", "amber"]
    what: str
    advice: str
    application_id: int | None = None  # whose settings mend it
    put_back: bool = False  # trying again may mend it


def findings(found: System) -> list[Finding]:
    """What needs attention, the worst first."""
    every = [*_servers(found), *_workers(found), *_queues(found), *_clouds(found), *_proof(found)]
    return sorted(every, key=lambda finding: finding.level != "red")


def _servers(found: System) -> Iterator[Finding]:
    if found.store is None or found.stored is None:
        yield Finding(
            "red",
            "The store does not answer",
            "Nothing is lost: new receipts go straight to the database, and each process keeps to"
            " its share of the rates. What only the store knows is missing below. Start Valkey"
            " again.",
        )
    if found.broker is None:
        yield Finding(
            "red",
            "The broker does not answer",
            "Nothing is lost: what is unfinished stands in the database and goes on by itself"
            " when the broker is back. Until then no new work begins. Start it again.",
        )
    if found.store is not None and found.store.evicts:
        yield Finding(
            "red",
            f"{found.store.name} may throw receipts away when its memory is full",
            "Set its maxmemory-policy to noeviction.",
        )
    if found.store is not None and not found.store.keeps:
        yield Finding(
            "amber",
            f"{found.store.name} forgets what it was told when it is restarted",
            "Receipts on their way would be lost. Set its appendonly to yes.",
        )
    if found.database.crowded:
        yield Finding(
            "amber",
            f"{found.database.connections} of {found.database.most} database connections are taken",
            "Raise max_connections of PostgreSQL, or run fewer processes.",
        )
    if not found.clocks.agree:
        yield Finding(
            "amber",
            "The clocks of this machine, the database and the store differ by a second or more",
            "Leases, schedules and deadlines go by them: set all by NTP.",
        )


def _workers(found: System) -> Iterator[Finding]:
    if found.stored is None:
        return
    taken = {queue for each in found.stored.workers if each.lives for queue in each.queues}
    for name in probing.queue_names():
        if name not in taken:
            harm = WITHOUT.get(name, "")
            yield Finding(
                "red",
                f"No worker takes the queue {name}",
                f"{harm} Start a worker with --queues {name}.".strip(),
            )
    if found.stored.looked is None or found.stored.looked > TIMETABLE_SILENT:
        yield Finding(
            "red",
            "The timetable stands still",
            "What was interrupted does not go on by itself. Start the scheduler, and a worker"
            " that takes the queue default.",
        )


def _queues(found: System) -> Iterator[Finding]:
    for queue in found.queues:
        if queue.age is not None and queue.age > WAITS_LONG[queue.urgent]:
            kind = "Messages of the APIs" if queue.urgent else "Campaigns"
            yield Finding(
                "amber",
                f"{kind} wait for a worker",
                "Workers are busy or away. Start more of them, on this machine or another.",
            )
    if found.stored is not None and found.stored.receipts.lag > RECEIPTS_LAG:
        yield Finding(
            "amber",
            "Receipts wait to be counted",
            "Delivered, seen and tapped are behind. Start more workers that take the queue"
            " receipts.",
        )
    if found.stored is not None and found.stored.set_aside:
        held = ", ".join(f"{count} with {holds}" for holds, count in found.stored.set_aside.items())
        yield Finding(
            "red",
            "Some of what came in could not be written down",
            f"Requests that are set aside: {held}. The others are not held up, and nothing is"
            " thrown away. The workers' log names the faults; once they are mended, try again.",
            put_back=True,
        )


def _clouds(found: System) -> Iterator[Finding]:
    for cloud in found.clouds:
        each = cloud.credential
        named = f"{each.get_provider_display()} of {each.application}"
        if each.waits_for_a_decision:
            yield Finding(
                "red",
                f"{named}: so many addresses were called dead that somebody must decide",
                "Sending there is paused until then, and nobody was closed.",
                each.application_id,
            )
        elif cloud.paused:
            yield Finding(
                "red",
                f"{named}: the cloud refuses our credential",
                f"{each.pause_reason} Sending there is paused, nothing is lost.".strip(),
                each.application_id,
            )
        elif each.test_ok is False:
            yield Finding(
                "amber",
                f"{named}: the last test of the credential failed",
                each.test_answer,
                each.application_id,
            )


def _proof(found: System) -> Iterator[Finding]:
    last = found.reconciled
    if last is None or last.finished_at is None:
        return
    if last.wrong:
        yield Finding(
            "red",
            "Counters and rows of some sends differ",
            "They are listed below. Chunks may have been deleted by hand: an audience is"
            " written down once and cannot be corrected.",
        )
    elif found.at - last.finished_at > LATE and found.reconciling is None:
        yield Finding(
            "amber",
            "Counters were not compared with their rows last night",
            "Start the scheduler, and a worker that takes the queue default.",
        )
