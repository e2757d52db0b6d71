"""api.idempotency: a call with a key is done once, and answered as often as it comes."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from campaigns import repeating
from campaigns.models import ApiCall, Bulk, Destination
from devices.models import Application
from tests.api.pushing import SEND, message, to
from tests.api.systems import System, make_key
from tests.factories import make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

KEY = {"Idempotency-Key": "order-7"}


@pytest.fixture
def system() -> System:
    make_key(scopes=["message:send"])
    return System()


@pytest.fixture
def body(application: Application) -> dict[str, Any]:
    return {"messages": [message(application, to(make_registration(application)))]}


def test_a_repeat_gets_the_first_answer_and_sends_nothing(
    system: System, body: dict[str, Any]
) -> None:
    first = system.post(SEND, body, **KEY)
    again = system.post(SEND, body, **KEY)

    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Bulk.objects.count() == 1
    assert system.post(SEND, body).json() != first.json(), "without a key it is another call"


def test_a_key_of_somebody_else_is_another_key(system: System, body: dict[str, Any]) -> None:
    make_key("another", name="Shop", scopes=["message:send"])
    first = system.post(SEND, body, **KEY)
    other = system.post(SEND, body, Authorization="App another", **KEY)

    assert first.json() != other.json()
    assert Bulk.objects.count() == 2


def test_a_key_is_for_one_request(system: System, body: dict[str, Any]) -> None:
    system.post(SEND, body, **KEY)
    answer = system.post(SEND, {**body, "options": {}}, **KEY)

    assert answer.status_code == 400
    assert answer.json()["violations"] == [
        {"property": "", "violation": "Idempotency-Key was used for another request"}
    ]
    assert Bulk.objects.count() == 1


def test_a_refused_request_leaves_its_key_free(system: System, body: dict[str, Any]) -> None:
    assert system.post(SEND, {}, **KEY).status_code == 400
    assert system.post(SEND, body, **KEY).status_code == 200


@pytest.mark.parametrize("key", ["x" * 256, "é"])
def test_what_cannot_be_a_key_is_refused(system: System, body: dict[str, Any], key: str) -> None:
    answer = system.post(SEND, body, **{"Idempotency-Key": key})
    assert answer.status_code == 400
    assert Bulk.objects.count() == 0


def test_a_key_may_come_again_after_48_hours(system: System, body: dict[str, Any]) -> None:
    first = system.post(SEND, body, **KEY).json()
    ApiCall.objects.update(created_at=timezone.now() - timedelta(hours=48, seconds=1))
    assert system.post(SEND, body, **KEY).json() != first
    ApiCall.objects.update(created_at=timezone.now() - timedelta(hours=49))
    assert repeating.drop_old() == 1


@pytest.mark.django_db(transaction=True)
def test_fifty_repeats_at_once_send_one_message(system: System, body: dict[str, Any]) -> None:
    together = Barrier(50)

    def call(_: int) -> tuple[int, str]:
        together.wait()
        try:
            answer = System().post(SEND, body, **KEY)
        finally:
            connection.close()
        return answer.status_code, answer.content.decode()

    with ThreadPoolExecutor(50) as callers:
        answers = Counter(callers.map(call, range(50)))

    ((status, _),) = answers
    assert status == 200
    assert Bulk.objects.count() == Destination.objects.count() == 1
