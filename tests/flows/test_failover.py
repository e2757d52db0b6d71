"""Push, then SMS, against the simulated clouds: one way at a time, and killed in between.

Everything is so for a request to /omni/1/advanced and for a campaign with the same scenario.
"""

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any, Protocol

import psycopg
import pytest
from django.db import connection, connections
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from campaigns import (
    composing,
    dispatch,
    failover,
    fanout,
    ids,
    pulling,
    reconciling,
    reports,
    tasks,
)
from campaigns.models import Bulk, Chunk, Journey, JourneyNote, Leg, Message, Reason, Scenario
from campaigns.store import store
from devices.models import Application, Provider, Registration, Role
from tests.api.systems import System, make_key
from tests.factories import (
    make_campaign,
    make_gateway,
    make_person,
    make_registration,
    make_user,
    service_account,
)
from tests.flows.conftest import FAITHFUL, QUIET, make_shop
from tests.flows.processes import Gateways, Worker, database_url
from tests.simulator.running import CALM
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

PATIENCE = 60  # seconds
NUMBER = "41790000001"
# How long the clouds keep everybody waiting, so that a kill meets a window on the wire.
SLOW = 3000  # milliseconds
QUEUES = "dispatch,urgent,default"


@pytest.fixture
def shop(gateways: Gateways, live_server: LiveServer, settings: Any) -> Iterator[Application]:
    """An application whose phones and operators report to the live server."""
    store().flushdb()
    settings.PUBLIC_BASE_URL = live_server.url
    application, key = make_shop(), secrets.token_hex(16)
    make_gateway(application, api_key=key)
    settings.LAUNCH_HOLD_SECONDS = 0
    gateways.ask("POST", "/credentials", {"infobip": [{"api_key": key, "senders": ["Shop"]}]})
    gateways.ask("POST", "/operators", QUIET)
    gateways.ask("POST", "/behaviour", {**CALM, "latency_ms": 0})
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


def make_scenario(application: Application) -> Scenario:
    steps = [
        {"channel": "PUSH", "sender": application.code, "validity": 3600},
        {"channel": "SMS", "sender": "Shop", "validity": 3600},
    ]
    return Scenario.objects.create(key=secrets.token_hex(16).upper(), name="Both", steps=steps)


class Launch(Protocol):
    """Send a push to people, and a text to those whom it does not reach; its first bulk."""

    def __call__(self, application: Application, *numbers: str) -> Bulk: ...


def by_request(application: Application, *numbers: str) -> Bulk:
    make_key(scopes=["message:send"])
    body = {
        "scenarioKey": make_scenario(application).key,
        "destinations": [{"to": {"phoneNumber": number}} for number in numbers or (NUMBER,)],
        "push": {"text": "Today only", "validityPeriod": 60},
        "sms": {"text": "Today only", "validityPeriod": 60},
    }
    answer = System().post("/omni/1/advanced", body)
    assert answer.status_code == 200, answer.content
    return Bulk.objects.get(step=0)


def by_campaign(application: Application, *numbers: str) -> Bulk:
    campaign = make_campaign(application, scenario=make_scenario(application))
    bulk = composing.launch(campaign, make_user(Role.MARKETER, application))
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.SENDING
    return bulk


@pytest.fixture(params=[by_request, by_campaign], ids=["by a request", "by a campaign"])
def launch(request: pytest.FixtureRequest) -> Launch:
    found: Launch = request.param
    return found


def send() -> int:
    return dispatch.work(seconds=5) + dispatch.work(seconds=5, urgent=True)


def launch_until_accepted(launch: Launch, application: Application, *numbers: str) -> Bulk:
    """The cloud has every push, and no phone has said anything."""
    bulk = launch(application, *numbers)
    pushes = Message.objects.of_bulk(bulk).filter(state=Message.State.ACCEPTED)
    everybody = len(numbers) or 1
    eventually(
        lambda: send() == 0 and pushes.count() == everybody,
        seconds=PATIENCE,
        what="the cloud took the push",
    )
    return bulk


def end_the_step(bulk: Bulk) -> None:
    Journey.objects.filter(flow=bulk.flow).update(deadline=timezone.now() - timedelta(seconds=1))


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
    send()
    return journey_of(bulk).state != Journey.State.RUNNING


def assert_exact(bulk: Bulk) -> None:
    for each in Bulk.objects.filter(flow=bulk.flow):
        assert reconciling.differences(each) == []


# ------------------------------------------------------------------- ways


def test_a_delivered_push_costs_no_text(
    shop: Application, gateways: Gateways, launch: Launch
) -> None:
    somebody(shop)
    bulk = launch(shop)

    eventually(lambda: is_over(bulk), seconds=PATIENCE, what="the phone reported")

    assert journey_of(bulk).state == Journey.State.DELIVERED
    assert texts(gateways) == 0
    assert_exact(bulk)


def test_a_dead_token_is_followed_by_a_text_that_reports_its_delivery(
    shop: Application, gateways: Gateways, launch: Launch
) -> None:
    somebody(shop, token=f"fate-unregistered-{secrets.token_hex(4)}:APA91b{'x' * 120}")
    bulk = launch(shop)

    eventually(lambda: is_over(bulk), seconds=PATIENCE, what="the operator reported")

    journey = journey_of(bulk)
    assert (journey.step, journey.state) == (1, Journey.State.DELIVERED)
    assert (journey.parts, str(journey.price), journey.currency) == (1, "0.04500", "EUR")
    assert journey.stages.get().reason == Reason.UNINSTALLED
    [taken] = [row for row in gateways.messages() if row["provider"] == "infobip"]
    assert taken["token"] == NUMBER
    assert taken["message_id"] == str(ids.message_id(texts_of(bulk), journey.pk))
    assert_exact(bulk)


def test_a_silent_phone_gets_a_text_at_the_end_of_the_step(
    shop: Application, gateways: Gateways, launch: Launch
) -> None:
    gateways.ask("POST", "/phones", {"rates": {"delivered": 0}})
    device = somebody(shop)
    bulk = launch_until_accepted(launch, shop)
    assert (gateways.ledger()["fcm"]["accepted"], texts(gateways)) == (1, 0)
    assert not is_over(bulk)
    assert texts(gateways) == 0

    end_the_step(bulk)
    eventually(lambda: is_over(bulk), seconds=PATIENCE, what="the operator reported")
    push = ids.message_id(bulk, device.pk)
    late = reports.Receipt(push, Message.State.DELIVERED, timezone.now())
    reports.take(shop.pk, device.pk, [late])
    eventually(
        lambda: is_over(bulk) and Message.objects.get(pk=push).delivered_at,
        seconds=PATIENCE,
        what="the late receipt was noted",
    )

    message, journey = Message.objects.get(pk=push), journey_of(bulk)
    assert (message.state, message.reason) == (Message.State.EXPIRED, Reason.WITHDRAWN)
    assert (journey.step, journey.state) == (1, Journey.State.DELIVERED)
    assert journey.stages.get().state == Journey.State.EXPIRED
    assert pulling.waiting(shop, device.pk) == []  # nor does a sync of the app bring it any more
    assert texts(gateways) == 1
    assert_exact(bulk)
    if launch is by_request:
        told = {path: System().get(f"/omni/1/{path}").json() for path in ("logs", "reports")}
        ends = {
            path: [(row["channel"], row["status"]["name"]) for row in answer["results"]]
            for path, answer in told.items()
        }
        arrived = "DELIVERED_TO_HANDSET"
        assert ends == {
            "logs": [("SMS", arrived), ("PUSH", arrived)],
            "reports": [("SMS", arrived)],
        }


# ------------------------------------------------------------------- kills


@contextmanager
def holding(statement: str, *parameters: object) -> Iterator[None]:
    """Keep a lock, so that whoever needs it stands exactly there."""
    with psycopg.connect(database_url()) as other:
        other.execute(statement, parameters)
        yield
        other.rollback()


def somebody_waits_for_a_lock() -> bool:
    """In this test's database: others run on the same server."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


POINTS = {
    "before it takes the journey": "SELECT 1 FROM campaigns_journey WHERE id = %s FOR UPDATE",
    "before it writes the chunk": "LOCK TABLE campaigns_chunk IN SHARE MODE",
    "before it leaves the step": "LOCK TABLE campaigns_stage IN SHARE MODE",
    "before it withdraws the push": "LOCK TABLE campaigns_counter IN SHARE MODE",
}


@pytest.mark.parametrize("point", list(POINTS))
def test_a_worker_killed_in_a_step_change_costs_exactly_one_text(
    shop: Application,
    gateways: Gateways,
    worker: Callable[..., Worker],
    launch: Launch,
    point: str,
) -> None:
    gateways.ask("POST", "/phones", {"rates": {"delivered": 0}})
    somebody(shop)
    bulk = launch_until_accepted(launch, shop)
    journey = journey_of(bulk)
    end_the_step(bulk)
    running = worker(queues=QUEUES, children=1)
    leave_a_note(bulk, journey)
    locked = [journey.pk] if "%s" in POINTS[point] else []

    with holding(POINTS[point], *locked):
        tasks.advance_journeys.delay()
        eventually(somebody_waits_for_a_lock, seconds=PATIENCE, what="the worker stands there")
        os.killpg(running.pid, signal.SIGKILL)
        running.popen.wait(timeout=10)
    assert not Chunk.objects.filter(bulk=texts_of(bulk)).exists()
    assert journey_of(bulk).step == 0

    eventually(lambda: is_over(bulk), seconds=PATIENCE, what="the operator reported")
    assert texts(gateways) == 1
    assert_exact(bulk)


def leave_a_note(bulk: Bulk, journey: Journey) -> None:
    JourneyNote.objects.create(flow_id=bulk.flow_id or 0, journey_id=journey.pk)


def test_a_worker_killed_with_the_text_on_the_wire_costs_exactly_one_text(
    shop: Application,
    gateways: Gateways,
    worker: Callable[..., Worker],
    launch: Launch,
    settings: Any,
) -> None:
    gateways.ask("POST", "/behaviour", {"infobip": {"latency_ms": SLOW}})
    somebody(shop, token=f"fate-unregistered-{secrets.token_hex(4)}:APA91b{'x' * 120}")
    bulk = launch(shop)
    reports_to = settings.PUBLIC_BASE_URL
    running = worker(queues=QUEUES, children=1, LEASE_SECONDS="3", PUBLIC_BASE_URL=reports_to)
    tasks.revive()
    chunks = Chunk.objects.filter(bulk=texts_of(bulk), window_to__isnull=False)
    eventually(chunks.exists, seconds=PATIENCE, what="the text is on the wire")
    eventually(lambda: texts(gateways) == 1, seconds=PATIENCE, what="the gateway took it")

    os.killpg(running.pid, signal.SIGKILL)
    running.popen.wait(timeout=10)
    assert not Message.objects.of_bulk(texts_of(bulk)).exists()
    gateways.ask("POST", "/behaviour", {"infobip": {"latency_ms": 0}})

    eventually(lambda: is_over(bulk), seconds=PATIENCE, what="the operator reported")
    assert journey_of(bulk).state == Journey.State.DELIVERED
    assert texts(gateways) == 1
    assert_exact(bulk)


def by_name(application: Application) -> Bulk:
    """A campaign whose text message names who reads it."""
    text = 'Hi {{ first_name | default: "you" }}, {{ person.tier | upcase }} today only'
    campaign = make_campaign(application, text=text, scenario=make_scenario(application))
    bulk = composing.launch(campaign, make_user(Role.MARKETER, application))
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def said(gateways: Gateways) -> dict[str, list[str]]:
    """What the gateway was given for each number."""
    found: dict[str, list[str]] = {}
    for row in gateways.messages():
        if row["provider"] == "infobip":
            found.setdefault(row["token"], []).append(row["payload"]["text"])
    return found


def are_over(bulk: Bulk) -> bool:
    tasks.revive()
    reports.consume(seconds=0.2)
    failover.advance()
    send()
    return not Journey.objects.filter(flow=bulk.flow, state=Journey.State.RUNNING).exists()


def test_silent_phones_get_texts_that_say_who_reads_them(
    shop: Application, gateways: Gateways
) -> None:
    gateways.ask("POST", "/phones", {"rates": {"delivered": 0}})
    gateways.ask("POST", "/behaviour", {"infobip": {"keep_payloads": True}})
    tier = {"tier": "gold"}
    people = [
        make_person(phone="41790000001", first_name="Ana", attributes=tier),
        make_person(phone="41790000002", first_name="Ștefan 😀", attributes=tier),
        make_person(phone="41790000003", attributes=tier),
        make_person(phone="41790000004", first_name="Bo"),  # no tier, and no fallback for it
    ]
    for person in people:
        make_registration(shop, person=person)
    bulk = by_name(shop)
    accepted = Message.objects.of_bulk(bulk).filter(state=Message.State.ACCEPTED)
    eventually(
        lambda: send() == 0 and accepted.count() == 3, seconds=PATIENCE, what="3 pushes left"
    )

    end_the_step(bulk)
    eventually(lambda: are_over(bulk), seconds=PATIENCE, what="the operators reported")

    assert said(gateways) == {
        "41790000001": ["Hi Ana, GOLD today only"],
        "41790000002": ["Hi Ștefan 😀, GOLD today only"],
        "41790000003": ["Hi you, GOLD today only"],
    }
    journeys = Journey.objects.filter(flow=bulk.flow, person__in=[each.pk for each in people[:3]])
    assert set(journeys.values_list("state", flat=True)) == {Journey.State.DELIVERED}
    unsaid = Journey.objects.get(flow=bulk.flow, person=people[3].pk)
    assert (unsaid.state, unsaid.reason) == (Journey.State.FAILED, Reason.NO_VALUE)
    assert_exact(bulk)


def test_a_worker_killed_with_a_name_on_the_wire_costs_one_text_that_says_the_same(
    shop: Application, gateways: Gateways, worker: Callable[..., Worker], settings: Any
) -> None:
    gateways.ask("POST", "/behaviour", {"infobip": {"latency_ms": SLOW, "keep_payloads": True}})
    dead = f"fate-unregistered-{secrets.token_hex(4)}:APA91b{'x' * 120}"
    ana = make_person(phone=NUMBER, first_name="Ana", attributes={"tier": "gold"})
    make_registration(shop, person=ana, token=dead)
    bulk = by_name(shop)
    reports_to = settings.PUBLIC_BASE_URL
    running = worker(queues=QUEUES, children=1, LEASE_SECONDS="3", PUBLIC_BASE_URL=reports_to)
    tasks.revive()
    eventually(lambda: texts(gateways) == 1, seconds=PATIENCE, what="the gateway took it")

    os.killpg(running.pid, signal.SIGKILL)
    running.popen.wait(timeout=10)
    assert not Message.objects.of_bulk(texts_of(bulk)).exists()
    ana.first_name = "Anastasia"
    ana.save()
    gateways.ask("POST", "/behaviour", {"infobip": {"latency_ms": 0}})

    eventually(lambda: is_over(bulk), seconds=PATIENCE, what="the operator reported")
    assert journey_of(bulk).state == Journey.State.DELIVERED
    chunk = Chunk.objects.get(bulk=texts_of(bulk), repeated=True)  # it was tried again …
    assert chunk.attempt == 1
    assert texts(gateways) == 1  # … and the gateway knew the id
    assert said(gateways) == {NUMBER: ["Hi Ana, GOLD today only"]}
    [leg] = Leg.objects.filter(bulk=texts_of(bulk))
    assert leg.text == "Hi Ana, GOLD today only"
    assert_exact(bulk)


def test_two_schedulers_at_once_cost_exactly_one_text_each(
    shop: Application, gateways: Gateways, launch: Launch
) -> None:
    gateways.ask("POST", "/phones", {"rates": {"delivered": 0}})
    people = 40
    numbers = [f"4179{place:07}" for place in range(people)]
    for number in numbers:
        make_registration(shop, person=make_person(phone=number))
    bulk = launch_until_accepted(launch, shop, *numbers)
    end_the_step(bulk)
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

    eventually(
        lambda: send() + failover.advance() == 0,
        seconds=PATIENCE,
        what="everything was sent",
    )
    assert sum(looked_at) >= people
    assert texts(gateways) == people
    assert Message.objects.of_bulk(texts_of(bulk)).count() == people
    assert texts_of(bulk).audience == people
    assert_exact(bulk)


def test_a_push_cloud_without_a_credential_is_followed_by_a_text(
    shop: Application, gateways: Gateways, launch: Launch
) -> None:
    somebody(shop)
    bulk = launch(shop)
    shop.credentials.filter(provider=Provider.FCM).delete()

    eventually(lambda: is_over(bulk), seconds=PATIENCE, what="the operator reported")

    assert journey_of(bulk).stages.get().reason == Reason.PROVIDER_OFF
    assert texts(gateways) == 1
