"""Kill what can be killed in the middle of a campaign, and count."""

import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection

from campaigns import fanout, reconciling, statistics, tasks
from campaigns.models import Bulk, Message
from campaigns.store import store
from devices.models import Platform
from tests.factories import make_bulk, make_registrations
from tests.flows.conftest import make_shop
from tests.flows.processes import Gateways, Worker
from tests.waiting import eventually

DEVICES = int(os.environ.get("CHAOS_DEVICES", "5000"))
KILLS = int(os.environ.get("CHAOS_KILLS", "10"))
SEED = int(os.environ.get("CHAOS_SEED", "7"))
PATIENCE = 120 + DEVICES / 200  # seconds
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(300 + DEVICES / 50),
]
WINDOW, WINDOWS = 50, 2
SMALL = {
    "CHUNK_SIZE": "200",
    "WINDOW_SIZE": str(WINDOW),
    "WINDOWS_IN_FLIGHT": str(WINDOWS),
    "LEASE_SECONDS": "20",
}


@pytest.fixture(autouse=True)
def _empty_broker() -> None:
    store().flushdb()


def sending(devices: int, settings: Any) -> Bulk:
    """A bulk to Android and Apple devices, frozen."""
    settings.CHUNK_SIZE = 200
    application = make_shop()
    make_registrations(application, devices // 2)
    make_registrations(application, devices - devices // 2, platform=Platform.IOS)
    bulk = make_bulk(application)
    assert fanout.freeze(bulk) == devices
    bulk.refresh_from_db()
    return bulk


def has_sent(bulk: Bulk, count: int) -> bool:
    return is_done(bulk) or statistics.funnel(bulk).sent >= count


def is_done(bulk: Bulk) -> bool:
    bulk.refresh_from_db()
    tasks.revive()
    return bulk.status == Bulk.Status.DONE


def assert_exact(
    bulk: Bulk, gateways: Gateways, *, beside: Bulk | None = None
) -> statistics.Funnel:
    """Every device in one state; counters, rows and the clouds' own ledger agree.

    `beside`: another bulk that was sent.
    """
    funnel = statistics.funnel(bulk)
    assert funnel == statistics.recount(bulk)
    assert reconciling.differences(bulk) == []
    assert funnel.adds_up
    rows = Message.objects.of_bulk(bulk)
    assert rows.count() == funnel.targeted == bulk.audience
    assert rows.values("registration_id").distinct().count() == bulk.audience
    ledger = gateways.ledger()
    accepted = sum(ledger[cloud]["accepted"] for cloud in ("fcm", "apns"))
    distinct = sum(ledger[cloud]["distinct"] for cloud in ("fcm", "apns"))
    assert accepted == distinct  # no message twice
    taken = {str(row["message_id"]) for row in gateways.messages()}
    if beside is not None:
        taken -= {str(pk) for pk in Message.objects.of_bulk(beside).values_list("pk", flat=True)}
    believed = {
        str(pk) for pk in rows.filter(state=Message.State.ACCEPTED).values_list("pk", flat=True)
    }
    doubted = {
        str(pk) for pk in rows.filter(state=Message.State.UNKNOWN).values_list("pk", flat=True)
    }
    assert believed <= taken <= believed | doubted
    return funnel


def test_killed_workers_lose_nobody_and_double_nobody(
    gateways: Gateways, worker: Callable[..., Worker], settings: Any
) -> None:
    gateways.ask("POST", "/behaviour", {"latency_ms": 250, "unregistered": 0, "busy": 0})
    bulk = sending(DEVICES, settings)
    running = worker(**SMALL | {"LEASE_SECONDS": "3"})
    tasks.revive()
    chance = random.Random(SEED)
    killed = 0
    while killed < KILLS:
        eventually(running.children, seconds=30, what="a child process runs")
        time.sleep(chance.uniform(0.2, 0.9))  # anywhere in the life of a window
        children = running.children()
        if children:
            os.kill(chance.choice(children), signal.SIGKILL)
            killed += 1
        assert not is_done(bulk), "the campaign ended before the last kill: make it longer"

    eventually(lambda: is_done(bulk), seconds=PATIENCE, what="the campaign ended")

    funnel = assert_exact(bulk, gateways)
    ledger = gateways.ledger()
    taken, distinct = (
        sum(ledger[cloud][name] for cloud in ("fcm", "apns")) for name in ("accepted", "distinct")
    )
    print(
        f"\nseed {SEED}: {DEVICES:,} devices, {killed} kills: lost {DEVICES - funnel.sent},"
        f" doubled {taken - distinct}, unknown {funnel.unknown}"
        f" (at most {killed * WINDOWS * WINDOW:,})"
    )
    assert funnel.unknown <= killed * WINDOWS * WINDOW
    assert funnel.accepted + funnel.unknown + funnel.failed == DEVICES


def test_a_broker_that_lost_everything_loses_nothing(
    gateways: Gateways, worker: Callable[..., Worker], settings: Any
) -> None:
    gateways.ask("POST", "/behaviour", {"latency_ms": 100, "unregistered": 0, "busy": 0})
    bulk = sending(2000, settings)
    worker(**SMALL)
    tasks.revive()
    eventually(lambda: statistics.funnel(bulk).sent > 100, seconds=30, what="sending began")

    store().flushall()

    eventually(lambda: is_done(bulk), seconds=120, what="the campaign ended")
    funnel = assert_exact(bulk, gateways)
    assert funnel.unknown == 0


def test_a_paused_campaign_stops_while_others_go_on(
    gateways: Gateways, worker: Callable[..., Worker], settings: Any
) -> None:
    gateways.ask("POST", "/behaviour", {"latency_ms": 200, "unregistered": 0, "busy": 0})
    bulk = sending(3000, settings)
    worker(**SMALL)
    tasks.revive()
    eventually(lambda: statistics.funnel(bulk).sent > 0, seconds=30, what="sending began")

    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.PAUSED)
    held = bulk.chunks.filter(window_to__isnull=False)
    eventually(lambda: not held.exists(), seconds=30, what="the workers put it down")
    stopped = statistics.funnel(bulk)
    taken = len(gateways.messages())
    other = sending(400, settings)
    eventually(lambda: is_done(other), seconds=60, what="the workers went on with the other")

    assert statistics.funnel(bulk) == stopped
    ended = statistics.funnel(other)
    assert ended.sent == 400
    assert len(gateways.messages()) == taken + ended.accepted  # a few devices are refused
    assert 0 < stopped.waiting < 3000

    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.SENDING)
    eventually(lambda: is_done(bulk), seconds=120, what="the campaign ended")
    assert assert_exact(bulk, gateways, beside=other).sent == 3000


@pytest.mark.parametrize("signal_sent", [signal.SIGTERM, signal.SIGQUIT])
def test_an_orderly_stop_leaves_nobody_in_doubt(
    gateways: Gateways, worker: Callable[..., Worker], settings: Any, signal_sent: signal.Signals
) -> None:
    gateways.ask("POST", "/behaviour", {"latency_ms": 400, "unregistered": 0, "busy": 0})
    bulk = sending(2000, settings)
    first = worker(**SMALL)
    tasks.revive()
    eventually(lambda: statistics.funnel(bulk).sent > 100, seconds=30, what="sending began")

    os.kill(first.pid, signal_sent)
    eventually(lambda: first.popen.poll() is not None, seconds=60, what="the worker ended")

    assert 100 < statistics.funnel(bulk).sent < 2000
    assert not bulk.chunks.filter(window_to__isnull=False).exists()
    worker(**SMALL)
    eventually(lambda: is_done(bulk), seconds=120, what="the campaign ended")
    assert assert_exact(bulk, gateways).unknown == 0


def test_a_database_that_hangs_up_in_the_middle_costs_no_answer(
    gateways: Gateways, worker: Callable[..., Worker], settings: Any
) -> None:
    gateways.ask("POST", "/behaviour", {"latency_ms": 200, "unregistered": 0, "busy": 0})
    bulk = sending(3000, settings)
    worker(**SMALL | {"LEASE_SECONDS": "5"})
    tasks.revive()
    eventually(lambda: statistics.funnel(bulk).sent > 0, seconds=30, what="sending began")

    for _ in range(5):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        aim = statistics.funnel(bulk).sent + 100
        eventually(partial(has_sent, bulk, aim), seconds=60, what="it goes on")

    eventually(lambda: is_done(bulk), seconds=120, what="the campaign ended")
    funnel = assert_exact(bulk, gateways)
    assert (funnel.sent, funnel.unknown) == (3000, 0)
