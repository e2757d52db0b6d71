"""pushadmin.scheduler: two schedulers may run, one of them works."""

from datetime import timedelta
from unittest import mock

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pushadmin.celery import app
from pushadmin.scheduler import LOCK, LockedScheduler

pytestmark = pytest.mark.django_db(transaction=True)


def make_scheduler() -> tuple[LockedScheduler, mock.Mock]:
    """A scheduler whose tasks go to a list instead of a broker."""
    scheduler = LockedScheduler(app=app, lazy=True, Producer=mock.Mock())
    scheduler.setup_schedule()
    sent = mock.Mock()
    scheduler.apply_async = sent
    return scheduler, sent


def another_session() -> "psycopg.Connection[tuple[object, ...]]":
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    return psycopg.connect(**parameters, autocommit=True)


def test_a_scheduler_with_the_lock_starts_what_is_due() -> None:
    scheduler, sent = make_scheduler()

    scheduler.tick()

    assert sent.called
    scheduler.close()


def test_a_scheduler_waits_while_another_has_the_lock() -> None:
    scheduler, sent = make_scheduler()
    with another_session() as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])

        scheduler.tick()
        assert not sent.called

    scheduler.tick()
    assert sent.called
    scheduler.close()


def test_a_scheduler_that_lost_its_session_asks_for_the_lock_again() -> None:
    scheduler, sent = make_scheduler()
    scheduler.tick()
    with another_session() as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks"
            " WHERE locktype = 'advisory' AND objid = %s",
            [LOCK],
        )
    sent.reset_mock()

    scheduler.tick()  # notices the loss
    assert not sent.called
    with CaptureQueriesContext(connection) as queries:
        scheduler.tick()
    assert any("pg_try_advisory_lock" in query["sql"] for query in queries)
    assert sent.called
    scheduler.close()


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
