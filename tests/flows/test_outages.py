"""The broker and the database go away in the middle of a campaign, and come back."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as configured
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from campaigns import reports, statistics, tasks
from campaigns.models import Bulk, EarlyReceipt, Message
from campaigns.store import store
from devices.models import Platform, Role
from tests.factories import make_bulk, make_campaign, make_registrations, make_user
from tests.flows.conftest import make_shop
from tests.flows.processes import Gateways, Worker
from tests.flows.telling import assert_views_agree
from tests.flows.test_faults import SMALL, assert_exact, is_done, sending
from tests.flows.wires import Wire
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def _empty_broker() -> None:
    store().flushdb()


@contextmanager
def wire_to_database() -> Iterator[tuple[Wire, str]]:
    """With the address that leads through it."""
    named = connection.settings_dict
    port = int(named["PORT"] or 5432)
    at_socket = str(named["HOST"]).startswith("/")
    target = f"{named['HOST']}/.s.PGSQL.{port}" if at_socket else (str(named["HOST"]), port)
    with Wire(target) as wire:
        yield wire, f"postgresql://{named['USER']}@127.0.0.1:{wire.port}/{named['NAME']}"


@contextmanager
def wire_to_broker() -> Iterator[tuple[Wire, str]]:
    parts = urlsplit(configured.BROKER_URL)
    at_socket = parts.scheme == "redis+socket"
    path = "" if at_socket else parts.path.strip("/")
    number = parse_qs(parts.query).get("virtual_host", [path or "0"])[0]
    target = parts.path if at_socket else (str(parts.hostname), parts.port or 6379)
    with Wire(target) as wire:
        yield wire, f"redis://127.0.0.1:{wire.port}/{number}"


def lose_what_is_queued(wire: Wire, running: Worker, bulk: Bulk) -> None:
    """The broker is gone in the middle of a campaign, and comes back empty."""
    wire.cut()
    store().flushdb()
    noticed = "Connection to broker lost"
    eventually(lambda: noticed in running.log.read_text(), seconds=60, what=noticed)
    assert not is_done(bulk), "the campaign ended before the outage: make it longer"
    wire.mend()


def test_a_broker_that_stops_and_comes_back_empty_costs_nothing(
    gateways: Gateways, worker: Callable[..., Worker], settings: Any
) -> None:
    gateways.ask("POST", "/behaviour", {"latency_ms": 200, "unregistered": 0, "busy": 0})
    bulk = sending(3000, settings)
    with wire_to_broker() as (wire, url):
        running = worker(**SMALL, BROKER_URL=url, STORE_URL=url)
        tasks.revive()
        eventually(lambda: statistics.funnel(bulk).sent > 100, seconds=30, what="sending began")

        lose_what_is_queued(wire, running, bulk)

        eventually(lambda: is_done(bulk), seconds=120, what="the campaign ended")
    funnel = assert_exact(bulk, gateways)
    assert (funnel.sent, funnel.unknown) == (3000, 0)


def test_a_killed_worker_and_an_empty_broker_leave_every_view_with_the_same_numbers(
    gateways: Gateways,
    worker: Callable[..., Worker],
    settings: Any,
    live_server: LiveServer,
    client: Client,
) -> None:
    """Phones report meanwhile. What the broker has lost of that is in no view."""
    gateways.ask("POST", "/behaviour", {"latency_ms": 500, "unregistered": 0.05, "busy": 0})
    bulk = sending(2000, settings)
    campaign = make_campaign(bulk.application, launched_at=timezone.now())
    Bulk.objects.filter(pk=bulk.pk).update(campaign=campaign)
    codes = dict.fromkeys(("shop-test", "com.example.shop"), bulk.application.code)
    rates = {"speed": 100, "offline": 0, "uninstalled": 0}
    phones = {"base_url": live_server.url, "applications": codes, "rates": rates}
    gateways.ask("POST", "/phones", phones)
    quick = SMALL | {"LEASE_SECONDS": "3"}
    with wire_to_broker() as (wire, url):
        # Two send, and the third is free for receipts from the beginning.
        addresses = {"BROKER_URL": url, "STORE_URL": url}
        running = worker(**quick, queues="dispatch,receipts", children=3, **addresses)
        tasks.revive()
        tasks.consume_receipts.delay()
        eventually(lambda: statistics.funnel(bulk).delivered > 0, seconds=60, what="phones report")

        os.kill(running.children()[0], signal.SIGKILL)
        lose_what_is_queued(wire, running, bulk)

        eventually(lambda: is_done(bulk), seconds=120, what="the campaign ended")
        eventually(partial(is_quiet, gateways), seconds=120, what="all receipts are folded")
    bulk.refresh_from_db()
    administrator = make_user(Role.ADMINISTRATOR, bulk.application)
    client.force_login(administrator, backend="django.contrib.auth.backends.ModelBackend")
    assert_views_agree(bulk, client)
    funnel = statistics.funnel(bulk)
    assert funnel.sent == 2000
    assert 0 < funnel.failed < funnel.delivered
    taken = {row["message_id"] for row in gateways.messages()}
    assert len(taken) == len(gateways.messages())  # nobody was sent it twice
    rows = Message.objects.of_bulk(bulk)
    accepted = rows.exclude(state__in=(Message.State.FAILED, Message.State.UNKNOWN))
    assert {str(pk) for pk in accepted.values_list("pk", flat=True)} <= taken


def is_quiet(gateways: Gateways) -> bool:
    """Every phone has said what it will, and all of it is folded."""
    tasks.consume_receipts.delay()
    phones = gateways.ask("GET", "/statistics")["phones"]
    waiting = phones["scheduled"] or phones["waiting"] or store().xlen(reports.STREAM)
    return not waiting and not EarlyReceipt.objects.exists()


def test_a_database_that_restarts_costs_nothing(
    gateways: Gateways, worker: Callable[..., Worker], settings: Any
) -> None:
    gateways.ask("POST", "/behaviour", {"latency_ms": 200, "unregistered": 0, "busy": 0})
    bulk = sending(3000, settings)
    with wire_to_database() as (wire, url):
        running = worker(**SMALL, DATABASE_URL=url)
        tasks.revive()
        eventually(lambda: statistics.funnel(bulk).sent > 100, seconds=30, what="sending began")

        wire.cut()
        noticed = "the database is away"
        eventually(lambda: noticed in running.log.read_text(), seconds=60, what=noticed)
        stopped = statistics.funnel(bulk)
        assert 100 < stopped.sent < 3000
        wire.mend()

        eventually(lambda: is_done(bulk), seconds=120, what="the campaign ended")
    funnel = assert_exact(bulk, gateways)
    assert (funnel.sent, funnel.unknown) == (3000, 0)


def test_two_schedulers_at_once_send_everything_once(
    gateways: Gateways, worker: Callable[..., Worker], settings: Any
) -> None:
    gateways.ask("POST", "/behaviour", {"latency_ms": 50, "unregistered": 0, "busy": 0})
    application = make_shop()
    make_registrations(application, 1000)
    make_registrations(application, 1000, platform=Platform.IOS)
    bulk = make_bulk(application)
    worker(**SMALL, queues="default,dispatch")
    over = threading.Event()

    def schedule() -> None:
        while not over.wait(0.05):
            tasks.revive()
        connection.close()

    schedulers = [threading.Thread(target=schedule) for _ in range(2)]
    for scheduler in schedulers:
        scheduler.start()
    try:
        eventually(
            lambda: Bulk.objects.get(pk=bulk.pk).status == Bulk.Status.DONE,
            seconds=120,
            what="the campaign ended",
        )
    finally:
        over.set()
        for scheduler in schedulers:
            scheduler.join()

    bulk.refresh_from_db()
    funnel = assert_exact(bulk, gateways)
    assert (funnel.sent, funnel.unknown) == (2000, 0)
