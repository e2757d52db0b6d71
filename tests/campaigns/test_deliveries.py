"""campaigns.deliveries: posted, tried again, given up, replayed."""

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.utils import timezone

from campaigns import deliveries, signing
from campaigns.deliveries import Draft
from campaigns.models import WebhookAttempt, WebhookDelivery, WebhookEvent, WebhookTarget
from campaigns.store import store
from devices.models import Application, AuditEntry
from providers.posting import Posted
from tests.factories import make_application, make_user
from tests.receiver import Answer, Received, Receiver, receiving
from tests.waiting import eventually

pytestmark = pytest.mark.django_db

State = WebhookDelivery.State
TAKEN, REFUSED = Posted(status=204), Posted(status=500, answer="not now")


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> Iterator[None]:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    store().delete(deliveries.LOCK)
    yield
    store().delete(deliveries.LOCK)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def application() -> Application:
    return make_application()


def make_delivery(
    application: Application, url: str = "http://127.0.0.1:9/hook", **given: Any
) -> WebhookDelivery:
    draft = Draft(application.pk, url, WebhookEvent.ENDED, [{"messageId": "m"}])
    [delivery] = deliveries.write([draft])
    if given:
        WebhookDelivery.objects.filter(pk=delivery.pk).update(**given)
        delivery.refresh_from_db()
    return delivery


def work() -> int:
    """Without the clock of the test's transaction, which stands still."""
    early = timezone.now() - timedelta(seconds=10)
    WebhookDelivery.objects.filter(due_at__lte=timezone.now()).update(due_at=early)
    return deliveries.work(lambda: 0, seconds=30)


def _work_in_a_thread() -> None:
    work()
    connections.close_all()


def _answer(status: int, got: Received) -> Answer:
    return status, {}, b""


def test_a_delivery_is_posted_and_its_try_written_down(
    application: Application, receiver: Receiver
) -> None:
    delivery = make_delivery(application, f"{receiver.url}/hook?key=secret-of-the-shop")

    assert work() == 1

    [got] = receiver.received
    assert got.body == b'{"results":[{"messageId":"m"}]}'
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == str(delivery.public_id)
    assert "webhook-signature" not in got.headers, "there is no secret yet"
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries, delivery.due_at) == (State.TAKEN, 1, None)
    [attempt] = WebhookAttempt.objects.all()
    assert (attempt.status, attempt.answer, attempt.problem) == (200, "ok", "")
    assert "secret" not in str(delivery.target) + delivery.address + delivery.target.url
    assert work() == 0


def test_a_refused_delivery_is_tried_again_as_the_contract_says(application: Application) -> None:
    """contract/push.md 4: 1 min + 1 min × n × n before retry n, n = 0…19, then give up."""
    delivery = make_delivery(application)
    waits = []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        while delivery.state == State.WAITING:
            now = timezone.now()
            deliveries.record(delivery, REFUSED, now)
            delivery.refresh_from_db()
            if delivery.due_at is not None:
                waits.append((delivery.due_at - now) / timedelta(minutes=1))
                assert delivery.target.paused_until is None or (
                    delivery.target.paused_until <= delivery.due_at
                ), "a pause of the address takes nothing from the schedule"
                clock.move_to(delivery.due_at)
                WebhookTarget.objects.update(paused_until=None)

    assert waits == [1 + n * n for n in range(20)]
    assert (delivery.state, delivery.tries) == (State.GIVEN_UP, 21)
    assert delivery.attempts.count() == 21


def test_only_2xx_is_taken(application: Application, receiver: Receiver) -> None:
    for status in (200, 202, 204, 299, 301, 400, 410, 500):
        receiver.answer = partial(_answer, status)
        delivery = make_delivery(application, receiver.url)
        WebhookTarget.objects.update(failures=0, paused_until=None)
        work()
        delivery.refresh_from_db()
        expected = State.TAKEN if status < 300 else State.WAITING
        assert (delivery.state, delivery.last_status) == (expected, status)


def test_what_waits_for_an_address_too_long_is_given_up(application: Application) -> None:
    delivery = make_delivery(application, ends_at=timezone.now())

    deliveries.record(delivery, REFUSED, timezone.now())

    delivery.refresh_from_db()
    assert delivery.state == State.GIVEN_UP


def test_an_answer_without_a_connection_says_why(application: Application) -> None:
    delivery = make_delivery(application, "http://127.0.0.1:1/")

    work()

    [attempt] = delivery.attempts.all()
    assert (attempt.status, attempt.problem) == (0, "could not connect")


def test_an_address_inside_is_never_called(
    application: Application, receiver: Receiver, settings: Any
) -> None:
    settings.WEBHOOK_NETWORKS = []
    delivery = make_delivery(application, receiver.url)

    work()

    assert receiver.received == []
    assert "private network" in delivery.attempts.get().problem


def test_what_an_answer_says_of_people_is_masked(
    application: Application, receiver: Receiver
) -> None:
    receiver.answer = lambda got: (500, {}, b"no ana@shop.example \0 here, call +4915112345678")
    delivery = make_delivery(application, receiver.url)

    work()

    assert delivery.attempts.get().answer == "no [masked]  here, call [masked]"


# ------------------------------------------------------------------- circuit breaker


def test_an_address_that_fails_again_and_again_is_left_alone_for_a_while(
    application: Application, receiver: Receiver
) -> None:
    receiver.answer = lambda got: (503, {}, b"")
    for number in range(20):
        make_delivery(application, f"{receiver.url}/down?number={number}")
    healthy = make_delivery(application, f"{receiver.url}/up")
    receiver.answer = lambda got: (200 if got.path == "/up" else 503, {}, b"")

    work()

    paths = [got.path for got in receiver.received]
    assert paths.count("/up") == 1
    assert len(paths) - 1 == deliveries.OF_ONE_TARGET, "those at once, then no more"
    healthy.refresh_from_db()
    assert healthy.state == State.TAKEN
    target = WebhookTarget.objects.get(url__endswith="/down")
    assert target.paused_until is not None
    assert target.paused_until > timezone.now()
    assert target.last_failure == "answered 503"
    assert work() == 0

    before = len(receiver.received)
    WebhookTarget.objects.update(paused_until=timezone.now() - timedelta(hours=1))
    work()
    assert len(receiver.received) == before + 1, "one asks whether it is back"

    receiver.answer = lambda got: (200, {}, b"")
    WebhookTarget.objects.update(paused_until=timezone.now() - timedelta(hours=1))
    work()
    assert WebhookTarget.objects.filter(pk=target.pk, failures=0, paused_until=None).exists()
    fresh = WebhookDelivery.objects.filter(target=target, tries=0)
    assert not fresh.exists(), "then all the others go"


def test_a_pause_grows_up_to_ten_minutes(application: Application) -> None:
    delivery = make_delivery(application)
    now, pauses = timezone.now(), []
    for _ in range(11):
        deliveries.record(delivery, REFUSED, now)
        target = WebhookTarget.objects.get()
        pauses.append((target.paused_until - now) // timedelta(minutes=1) if target.paused_until else 0)  # fmt: skip # noqa: E501

    assert pauses == [0, 0, 0, 0, 1, 2, 4, 8, 10, 10, 10]


# ------------------------------------------------------------------- at least once


def test_what_a_dead_worker_had_in_hand_is_posted_again_with_the_same_id(
    application: Application, receiver: Receiver
) -> None:
    make_delivery(application, receiver.url, due_at=timezone.now() - timedelta(seconds=10))
    [claimed] = deliveries.claim(10)  # by somebody who then dies

    assert work() == 0, "somebody is at it"
    WebhookDelivery.objects.update(lease_until=timezone.now() - timedelta(seconds=10))
    assert work() == 1

    [got] = receiver.received
    assert got.headers["webhook-id"] == str(claimed.public_id)


@pytest.mark.django_db(transaction=True)
def test_a_slow_address_keeps_no_other_waiting(
    application: Application, receiver: Receiver
) -> None:
    ends = threading.Event()

    def answer(got: Received) -> tuple[int, dict[str, str], bytes]:
        if got.path == "/slow":
            ends.wait(9)
        return 200, {}, b""

    receiver.answer = answer
    for _ in range(30):
        make_delivery(application, f"{receiver.url}/slow")
        make_delivery(application, f"{receiver.url}/quick")
    working = threading.Thread(target=_work_in_a_thread)
    working.start()
    try:
        eventually(lambda: [got.path for got in receiver.received].count("/quick") == 30)
        assert [got.path for got in receiver.received].count("/slow") == deliveries.OF_ONE_TARGET
    finally:
        ends.set()
        working.join()
    assert not WebhookDelivery.objects.exclude(state=State.TAKEN).exists()


def test_one_process_at_a_time_posts(application: Application, receiver: Receiver) -> None:
    make_delivery(application, receiver.url)
    store().set(deliveries.LOCK, "somebody else", ex=60)

    assert work() == 0
    store().delete(deliveries.LOCK)
    assert work() == 1


# ------------------------------------------------------------------- signatures


def verifies(secret: str, got: Received) -> bool:
    """As any reader of the Standard Webhooks specification does."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    named = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode()
    expected = base64.b64encode(hmac.digest(key, named + got.body, hashlib.sha256)).decode()
    return f"v1,{expected}" in got.headers["webhook-signature"].split(" ")


def test_whoever_has_the_secret_can_tell_that_it_was_us(
    application: Application, receiver: Receiver
) -> None:
    secret = signing.make_secret(make_user(), application)
    make_delivery(application, receiver.url)

    work()

    [got] = receiver.received
    assert verifies(secret, got)
    assert not verifies("whsec_" + base64.b64encode(bytes(32)).decode(), got)
    sent = int(got.headers["webhook-timestamp"])
    assert abs(sent - timezone.now().timestamp()) < 60


def test_a_replaced_secret_signs_for_another_day(
    application: Application, receiver: Receiver
) -> None:
    user = make_user()
    older, newer = signing.make_secret(user, application), signing.make_secret(user, application)
    make_delivery(application, receiver.url)
    work()
    [got] = receiver.received
    assert verifies(older, got)
    assert verifies(newer, got)

    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=1)):
        known = signing.secrets_of(application.pk, timezone.now())

    assert known == [base64.b64decode(newer.removeprefix("whsec_"))]
    entries = AuditEntry.objects.filter(action__contains="webhook secret")
    assert sorted(each.action for each in entries) == [
        "make webhook secret",
        "replace webhook secret",
    ]
    assert not any(older in str(each.after) or newer in str(each.after) for each in entries)


# ------------------------------------------------------------------- by hand, and by time


def test_what_was_given_up_can_be_replayed(application: Application, receiver: Receiver) -> None:
    given_up = {"state": State.GIVEN_UP, "tries": 21, "due_at": None}
    mine = make_delivery(application, receiver.url, **given_up)
    other = make_delivery(make_application(), receiver.url, **given_up)
    taken = make_delivery(application, receiver.url, state=State.TAKEN, due_at=None)
    WebhookTarget.objects.update(failures=9, paused_until=timezone.now() + timedelta(minutes=9))

    assert deliveries.replay(application.pk) == 1
    work()

    for each, state in ((mine, State.TAKEN), (other, State.GIVEN_UP), (taken, State.TAKEN)):
        each.refresh_from_db()
        assert each.state == state
    assert [got.headers["webhook-id"] for got in receiver.received] == [str(mine.public_id)]
    assert deliveries.replay(application.pk, [taken.pk, other.pk]) == 1
    work()
    assert receiver.received[-1].headers["webhook-id"] == str(taken.public_id)


def test_old_deliveries_are_dropped_with_their_tries(
    application: Application, settings: Any
) -> None:
    settings.WEBHOOK_RETENTION_DAYS = 14
    old, young = (make_delivery(application, f"http://127.0.0.1:1/{path}") for path in "ab")
    waits = make_delivery(application, "http://127.0.0.1:1/c")
    for each in (old, young):
        deliveries.record(each, TAKEN, timezone.now() - timedelta(days=15))
    long_ago = timezone.now() - timedelta(days=14, minutes=1)
    WebhookDelivery.objects.filter(pk__in=[old.pk, waits.pk]).update(created_at=long_ago)

    assert deliveries.drop_old() == 1

    assert set(WebhookDelivery.objects.all()) == {young, waits}
    assert {each.delivery_id for each in WebhookAttempt.objects.all()} == {young.pk}
    assert {each.url[-1] for each in WebhookTarget.objects.all()} == {"b", "c"}
