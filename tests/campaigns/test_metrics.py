"""campaigns.metrics: what the processes count, and where it comes together."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from pytest_django import Settings

from campaigns import dispatch, fanout, metrics
from campaigns.store import store
from devices.models import ProviderCredential
from providers.base import Cause, Outcome, Verdict
from tests.factories import make_application, make_bulk, make_credential, make_registrations
from tests.waiting import eventually

CloudFor = Callable[[ProviderCredential], Any]


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    metrics.flush()
    store().delete(metrics.COUNTS, metrics.PROCESSES)


def counted(name: str) -> dict[tuple[str, ...], int]:
    metrics.flush()
    return {labels[1:]: n for labels, n in metrics.counts().items() if labels[0] == name}


@pytest.mark.django_db
def test_sending_counts_verdicts_windows_and_chunks(
    cloud_for: CloudFor, settings: Settings
) -> None:
    settings.CHUNK_SIZE, settings.WINDOW_SIZE = 20, 5
    application = make_application()
    make_registrations(application, 30)
    credential = make_credential(application)
    answers = iter([Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED)])
    accepted = Outcome(verdict=Verdict.ACCEPTED)
    cloud_for(credential).answer = lambda one: next(answers, accepted)
    store().delete(metrics.COUNTS)
    fanout.freeze(make_bulk(application))

    dispatch.work(seconds=60)

    assert counted("verdicts") == {
        ("fcm", "accepted", "none"): 29,
        ("fcm", "rejected", "payload_refused"): 1,
    }
    windows, chunks = counted("window"), counted("chunk")
    assert sum(n for (_, le), n in windows.items() if le != "sum") == 6
    assert windows["fcm", "sum"] > 0
    assert sum(n for (kind, le), n in chunks.items() if kind == "normal" and le != "sum") == 2


def test_counts_are_written_by_themselves_a_moment_later() -> None:
    metrics.count("verdicts", "fcm", "accepted", "none", amount=3)
    metrics.count("verdicts", "fcm", "accepted", "none", amount=4)

    eventually(lambda: metrics.counts().get(("verdicts", "fcm", "accepted", "none")) == 7)


def test_what_a_store_that_is_away_did_not_take_is_written_later(
    settings: Settings,
) -> None:
    there = settings.STORE_URL
    settings.STORE_URL = "unix:///nowhere/valkey.sock"
    metrics.count("verdicts", "fcm", "accepted", "none", amount=3)
    metrics.flush()
    with pytest.raises(redis.RedisError):
        metrics.counts()

    settings.STORE_URL = there

    assert counted("verdicts") == {("fcm", "accepted", "none"): 3}


@pytest.mark.parametrize(
    ("seconds", "wanted"), [(0.01, "0.01"), (0.011, "0.025"), (30, "30.0"), (31, "+Inf")]
)
def test_a_duration_falls_into_the_first_bucket_that_holds_it(seconds: float, wanted: str) -> None:
    assert metrics.bucket(metrics.WIRE, seconds) == wanted


def test_a_forked_process_does_not_write_its_parents_counts_again() -> None:
    metrics.count("verdicts", "fcm", "accepted", "none")
    child = os.fork()
    if child == 0:
        metrics.flush()
        os._exit(0)
    os.waitpid(child, 0)

    assert counted("verdicts") == {("fcm", "accepted", "none"): 1}


def test_a_silent_process_has_nothing_open_any_more() -> None:
    now, hosts = time.time(), {"api.push.example": [2, 7]}
    for name, at in (("here:1", now), ("here:2", now), ("gone:3", now - 3600)):
        store().hset(metrics.PROCESSES, name, json.dumps({"at": at, "hosts": hosts}))

    # This process may write its own meanwhile, to other hosts.
    assert metrics.connections()["api.push.example"] == (4, 14)
    assert store().hexists(metrics.PROCESSES, "gone:3") is False
