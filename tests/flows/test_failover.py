"""Push, then SMS, against the simulated clouds: one way at a time, and killed in between."""

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from campaigns import dispatch, failover, fanout, ids, reconciling, reports, tasks
from campaigns.models import Bulk, Chunk, Journey, JourneyNote, Message, Reason
from campaigns.store import store
from devices.models import Application, Provider, Registration
from tests.factories import (
    make_flow_bulk,
    make_gateway,
    make_person,
    make_registration,
    service_account,
)
from tests.flows.conftest import make_shop
from tests.flows.processes import Gateways, Worker, database_url, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

PATIENCE = 60  # seconds
NUMBER = "41790000001"
# How long the clouds keep everybody waiting, so that a kill meets a window on the wire.
SLOW = 3000  # milliseconds
QUEUES = "dispatch,urgent,default"
QUIET = {
    "seconds": 0.3, "silent": 0, "absent": 0, "barred": 0, "expired": 0, "unknown": 0,
    "stopped": 0, "intermediate": 0, "out_of_order": 0, "repeated": 0, "strangers": 0,
}  # fmt: skip
FAITHFUL = {
    "delivered": 1, "seen": 0, "offline": 0, "repeated": 0, "unknown": 0, "wrong_clock": 0,
    "out_of_order": 0, "uninstalled": 0, "speed": 50,
}  # fmt: skip


@pytest.fixture
def shop(gateways: Gateways, live_server: LiveServer, settings: Any) -> Iterator[Application]:
    """An application whose phones and operators report to the live server."""
    store().flushdb()
    settings.PUBLIC_BASE_URL = live_server.url
    application, key = make_shop(), secrets.token_hex(16)
    make_gateway(application, api_key=key)
    gateways.ask("POST", "/credentials", {"infobip": [{"api_key": key, "senders": ["Shop"]}]})
    gateways.ask("POST", "/operators", QUIET)
    gateways.ask("POST", "/behaviour", {"latency_ms": 0})
    gateways.ask(
        "POST",
        "/phones",
        {
            "base_url": live_server.url,
            "applications": {service_account()["project_id"]: application.code},
            "rates": FAITHFUL,
        },
    )
    yield application
    store().flushdb()


def somebody(application: Application, *, token: str | None = None) -> Registration:
    return make_registration(application, person=make_person(phone=NUMBER), token=token)


def launch(application: Application, **given: Any) -> Bulk:
    bulk = make_flow_bulk(application, **given)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def texts_of(bulk: Bulk) -> Bulk:
    return Bulk.objects.get(flow=bulk.flow, step=1)


def journey_of(bulk: Bulk) -> Journey:
    return Journey.objects.get(flow=bulk.flow)


def texts(gateways: Gateways) -> int:
    """How many text messages the gateway took; none of them twice."""
    ledger = gateways.ledger()["infobip"]
    assert ledger["accepted"] == ledger["distinct"]
    return ledger["accepted"]


def is_over(bulk: Bulk) -> bool:
    """What the timetable and the consumer of receipts do, until nothing is left to do."""
    tasks.revive()
    reports.consume(seconds=0.2)
    failover.advance()
    dispatch.work(seconds=5)
    return journey_of(bulk).state != Journey.State.RUNNING


def assert_exact(bulk: Bulk) -> None:
    for each in Bulk.objects.filter(flow=bulk.flow):
        assert reconciling.differences(each) == []


# ------------------------------------------------------------------- ways


def test_a_delivered_push_costs_no_text(shop: Application, gateways: Gateways) -> None:
    somebody(shop)
    bulk = launch(shop)

    wait_until(lambda: is_over(bulk), seconds=PATIENCE, what="the phone reported")

    assert journey_of(bulk).state == Journey.State.DELIVERED
    assert texts(gateways) == 0
    assert_exact(bulk)


def test_a_dead_token_is_followed_by_a_text_that_reports_its_delivery(
    shop: Application, gateways: Gateways
) -> None:
    somebody(shop, token=f"fate-unregistered-{secrets.token_hex(4)}:APA91b{'x' * 120}")
    bulk = launch(shop, validity=3600)

    wait_until(lambda: is_over(bulk), seconds=PATIENCE, what="the operator reported")

    journey = journey_of(bulk)
    assert (journey.step, journey.state) == (1, Journey.State.DELIVERED)
    assert (journey.parts, str(journey.price), journey.currency) == (1, "0.04500", "EUR")
    assert journey.stages.get().reason == Reason.UNINSTALLED
    [taken] = [row for row in gateways.messages() if row["provider"] == "infobip"]
    assert taken["token"] == NUMBER
    assert taken["message_id"] == str(ids.message_id(texts_of(bulk), journey.pk))
    assert_exact(bulk)


def test_a_silent_phone_gets_a_text_at_the_end_of_the_step(
    shop: Application, gateways: Gateways
) -> None:
    gateways.ask("POST", "/phones", {"rates": {"delivered": 0}})
    device = somebody(shop)
    bulk = launch(shop, validity=4)
    dispatch.work(seconds=5)
    assert (gateways.ledger()["fcm"]["accepted"], texts(gateways)) == (1, 0)

    wait_until(lambda: is_over(bulk), seconds=PATIENCE, what="the operator reported")
    push = ids.message_id(bulk, device.pk)
    late = reports.Receipt(push, Message.State.DELIVERED, timezone.now())
    reports.take(shop.pk, device.pk, [late])
    wait_until(
        lambda: is_over(bulk) and Message.objects.get(pk=push).delivered_at,
        seconds=PATIENCE,
        what="the late receipt was noted",
    )

    message, journey = Message.objects.get(pk=push), journey_of(bulk)
    assert (message.state, message.reason) == (Message.State.EXPIRED, Reason.WITHDRAWN)
    assert (journey.step, journey.state) == (1, Journey.State.DELIVERED)
    assert journey.stages.get().state == Journey.State.EXPIRED
    assert texts(gateways) == 1
    assert_exact(bulk)


# ------------------------------------------------------------------- kills


@contextmanager
def holding(statement: str, *parameters: object) -> Iterator[None]:
    """Keep a lock, so that whoever needs it stands exactly there."""
    with psycopg.connect(database_url()) as other:
        other.execute(statement, parameters)
        yield
        other.rollback()


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


POINTS = {
    "before it takes the journey": "SELECT 1 FROM campaigns_journey WHERE id = %s FOR UPDATE",
    "before it writes the chunk": "LOCK TABLE campaigns_chunk IN SHARE MODE",
    "before it leaves the step": "LOCK TABLE campaigns_stage IN SHARE MODE",
    "before it withdraws the push": "LOCK TABLE campaigns_counter IN SHARE MODE",
}


@pytest.mark.parametrize("point", list(POINTS))
def test_a_worker_killed_in_a_step_change_costs_exactly_one_text(
    shop: Application, gateways: Gateways, worker: Callable[..., Worker], point: str
) -> None:
    gateways.ask("POST", "/phones", {"rates": {"delivered": 0}})
    somebody(shop)
    bulk = launch(shop, validity=3600)
    dispatch.work(seconds=5)
    journey = journey_of(bulk)
    Journey.objects.update(deadline=timezone.now() - timedelta(seconds=1))
    running = worker(queues=QUEUES, children=1)
    leave_a_note(bulk, journey)
    locked = [journey.pk] if "%s" in POINTS[point] else []

    with holding(POINTS[point], *locked):
        tasks.advance_journeys.delay()
        wait_until(somebody_waits_for_a_lock, seconds=PATIENCE, what="the worker stands there")
        os.killpg(running.pid, signal.SIGKILL)
        running.popen.wait(timeout=10)
    assert not Chunk.objects.filter(bulk=texts_of(bulk)).exists()
    assert journey_of(bulk).step == 0

    wait_until(lambda: is_over(bulk), seconds=PATIENCE, what="the operator reported")
    assert texts(gateways) == 1
    assert_exact(bulk)


def leave_a_note(bulk: Bulk, journey: Journey) -> None:
    JourneyNote.objects.create(flow_id=bulk.flow_id or 0, journey_id=journey.pk)


def test_a_worker_killed_with_the_text_on_the_wire_costs_exactly_one_text(
    shop: Application, gateways: Gateways, worker: Callable[..., Worker], settings: Any
) -> None:
    gateways.ask("POST", "/behaviour", {"infobip": {"latency_ms": SLOW}})
    somebody(shop, token=f"fate-unregistered-{secrets.token_hex(4)}:APA91b{'x' * 120}")
    bulk = launch(shop, validity=3600)
    reports_to = settings.PUBLIC_BASE_URL
    running = worker(queues=QUEUES, children=1, LEASE_SECONDS="3", PUBLIC_BASE_URL=reports_to)
    tasks.revive()
    chunks = Chunk.objects.filter(bulk=texts_of(bulk), window_to__isnull=False)
    wait_until(chunks.exists, seconds=PATIENCE, what="the text is on the wire")
    wait_until(lambda: texts(gateways) == 1, seconds=PATIENCE, what="the gateway took it")

    os.killpg(running.pid, signal.SIGKILL)
    running.popen.wait(timeout=10)
    assert not Message.objects.of_bulk(texts_of(bulk)).exists()
    gateways.ask("POST", "/behaviour", {"infobip": {"latency_ms": 0}})

    wait_until(lambda: is_over(bulk), seconds=PATIENCE, what="the operator reported")
    assert journey_of(bulk).state == Journey.State.DELIVERED
    assert texts(gateways) == 1
    assert_exact(bulk)


def test_two_schedulers_at_once_cost_exactly_one_text_each(
    shop: Application, gateways: Gateways
) -> None:
    gateways.ask("POST", "/phones", {"rates": {"delivered": 0}})
    people = 40
    for place in range(people):
        make_registration(shop, person=make_person(phone=f"4179{place:07}"))
    bulk = launch(shop, validity=3600)
    dispatch.work(seconds=5)
    Journey.objects.update(deadline=timezone.now() - timedelta(seconds=1))
    for journey in Journey.objects.all():
        leave_a_note(bulk, journey)
    start, looked_at = Barrier(4), []

    def schedule() -> None:
        start.wait()
        looked_at.append(failover.advance(seconds=20))
        connections.close_all()

    threads = [Thread(target=schedule) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    wait_until(
        lambda: dispatch.work(seconds=5) + failover.advance() == 0,
        seconds=PATIENCE,
        what="everything was sent",
    )
    assert sum(looked_at) >= people
    assert texts(gateways) == people
    assert Message.objects.of_bulk(texts_of(bulk)).count() == people
    assert texts_of(bulk).audience == people
    assert_exact(bulk)


def test_a_push_cloud_without_a_credential_is_followed_by_a_text(
    shop: Application, gateways: Gateways
) -> None:
    shop.credentials.filter(provider=Provider.FCM).delete()
    somebody(shop)
    bulk = launch(shop, validity=3600)

    wait_until(lambda: is_over(bulk), seconds=PATIENCE, what="the operator reported")

    assert journey_of(bulk).stages.get().reason == Reason.PROVIDER_OFF
    assert texts(gateways) == 1
