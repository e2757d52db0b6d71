"""pushadmin.scheduler: two schedulers may run, one of them works."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from celery.beat import ScheduleEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pushadmin.celery import app
from pushadmin.scheduler import LOCK, LockedScheduler

pytestmark = pytest.mark.django_db(transaction=True)


class RecordingScheduler(LockedScheduler):
    """Writes down what it would have queued."""

    queued: list[str]

    def apply_async(self, entry: ScheduleEntry, *args: object, **kwargs: object) -> None:
        self.queued.append(str(entry.task))


@pytest.fixture
def queued() -> list[str]:
    return []


@pytest.fixture
def scheduler(queued: list[str]) -> Iterator[LockedScheduler]:
    made = RecordingScheduler(app=app, lazy=True)
    made.setup_schedule()
    made.queued = queued
    yield made
    made.close()


def another_session() -> "psycopg.Connection[tuple[object, ...]]":
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    return psycopg.connect(**parameters, autocommit=True)


def test_a_scheduler_with_the_lock_starts_what_is_due(
    scheduler: LockedScheduler, queued: list[str]
) -> None:
    scheduler.tick()

    assert len(queued) == 1


def test_a_scheduler_waits_while_another_has_the_lock(
    scheduler: LockedScheduler, queued: list[str]
) -> None:
    with another_session() as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        scheduler.tick()
        assert queued == []
        other.execute("SELECT pg_advisory_unlock(%s)", [LOCK])

    scheduler.tick()

    assert len(queued) == 1


def test_a_scheduler_that_lost_its_session_asks_for_the_lock_again(
    scheduler: LockedScheduler, queued: list[str]
) -> None:
    scheduler.tick()
    with another_session() as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks"
            " WHERE locktype = 'advisory' AND objid = %s",
            [LOCK],
        )
    queued.clear()

    scheduler.tick()
    assert queued == []  # it noticed the loss
    with CaptureQueriesContext(connection) as queries:
        scheduler.tick()

    assert any("pg_try_advisory_lock" in query["sql"] for query in queries)
    assert len(queued) == 1


def test_every_task_of_the_timetable_exists() -> None:
    app.loader.import_default_modules()

    known = set(app.tasks)
    assert [
        entry["task"] for entry in app.conf.beat_schedule.values() if entry["task"] not in known
    ] == []


def test_nothing_waits_in_the_broker_longer_than_until_its_next_turn() -> None:
    for name, entry in app.conf.beat_schedule.items():
        every = entry["schedule"]
        seconds = every.total_seconds() if isinstance(every, timedelta) else every
        assert entry["options"]["expires"] <= seconds, name
