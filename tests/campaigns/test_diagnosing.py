"""campaigns.diagnosing: what of the system needs attention."""

import dataclasses
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import diagnosing, reconciling, watching
from campaigns.models import Bulk, Chunk, Reconciliation
from campaigns.probing import Database, Store
from campaigns.store import store
from campaigns.watching import Clocks
from devices.models import Application, Provider
from tests.campaigns.soundness import all_is_well, found, sound_store
from tests.factories import make_application, make_bulk, make_credential

__all__ = ["sound_store"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_store")]


def test_a_queue_that_no_living_worker_takes_needs_attention() -> None:
    watching.say_alive("worker@here", ["dispatch", "urgent"], 2)
    watching.say_looked()
    silent = {"queues": ["receipts"], "processes": 3, "at": time.time() - 90}
    store().hset(watching.WORKERS, "quick@there:77", json.dumps(silent))

    assert found() == ["No worker takes the queue receipts", "No worker takes the queue default"]


def test_a_timetable_that_stands_still_needs_attention() -> None:
    all_is_well()
    store().set(watching.LOOKED_AT, str(time.time() - 60))

    assert found() == ["The timetable stands still"]


@pytest.mark.parametrize(("urgent", "seconds"), [(True, 10), (False, 90)])
def test_chunks_that_wait_long_need_attention(urgent: bool, seconds: int) -> None:
    all_is_well()
    past = timezone.now() - timedelta(seconds=seconds)
    Chunk.objects.create(
        bulk=make_bulk(status=Bulk.Status.SENDING),
        platform=1,
        size=1,
        recipients=[1],
        urgent=urgent,
        not_before=past,
    )

    assert found() == [f"{'Messages of the APIs' if urgent else 'Campaigns'} wait for a worker"]


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        (
            {"store": Store("Valkey", "9.1", 0.001, 1, keeps=False, evicts=False)},
            "Valkey forgets what it was told when it is restarted",
        ),
        (
            {"store": Store("Redis", "7.2", 0.001, 1, keeps=True, evicts=True)},
            "Redis may throw receipts away when its memory is full",
        ),
        (
            {"database": Database("18.1", 0.001, 1, connections=95, most=100)},
            "95 of 100 database connections are taken",
        ),
        (
            {"clocks": Clocks(database=-1.5, store=0.0)},
            "The clocks of this machine, the database and the store differ by a second or more",
        ),
    ],
)
def test_servers_that_are_set_up_badly_need_attention(
    changed: dict[str, Any], finding: str
) -> None:
    all_is_well()
    well = diagnosing.system(Application.objects.all())

    told = diagnosing.findings(dataclasses.replace(well, **changed))

    assert [each.what for each in told] == [finding]


def test_a_night_without_a_comparison_needs_attention() -> None:
    all_is_well()
    long_ago = timezone.now() - timedelta(hours=40)
    Reconciliation.objects.create(started_at=long_ago, since=long_ago, finished_at=long_ago)
    assert found() == ["Counters were not compared with their rows last night"]

    reconciling.unfinished_or_new()
    assert found() == []


def test_a_new_installation_compares_nothing_before_anything_was_sent() -> None:
    assert reconciling.nightly(seconds=10) is None


def test_credentials_in_trouble_need_attention() -> None:
    application = make_application(name="Shop")
    make_credential(application, Provider.FCM, paused_at=timezone.now(), pause_reason="403")
    make_credential(application, Provider.APNS, test_ok=False, test_answer="403")
    make_credential(application, Provider.WEBPUSH, test_ok=True)
    all_is_well()

    assert found() == [
        "Firebase Cloud Messaging of Shop: the cloud refuses our credential",
        "Apple Push Notification service of Shop: the last test of the credential failed",
    ]
