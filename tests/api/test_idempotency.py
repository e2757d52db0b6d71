"""api.idempotency: a call with a key is done once, and answered as often as it comes."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from api.openapi.calls import Call, Family
from api.openapi.document import calls, operation_id
from api.openapi.insider import INSIDER
from campaigns import repeating
from campaigns.models import (
    ApiCall,
    Bulk,
    Destination,
    FlowDestination,
    Journey,
    PushApiSend,
    Submission,
)
from devices.models import Application
from tests.api.callers import Everybody
from tests.api.insider import KEY as INSIDER_KEY
from tests.api.insider import notification
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


# ------------------------------------------------------------------- at the same moment

SENDING = [
    pytest.param(family, call, id=operation_id(family, call))
    for family, call in calls()
    if call.replays
]
SENT = (Submission, Bulk, Destination, FlowDestination, Journey, PushApiSend)


def sending(everybody: Everybody, family: Family, call: Call) -> dict[str, Any]:
    """A body that sends one message."""
    told = everybody.application
    if family is INSIDER:
        return {
            "api_key": INSIDER_KEY,
            "notifications": [notification(identifiers={"uuid": "jdoe"})],
        }
    older = {"from": told.code, "to": {"externalUserId": "jdoe"}, "text": "Hi"}
    flow = {"destinations": [{"to": {"phoneNumber": "41793026727"}}]}
    bodies: dict[str, dict[str, Any]] = {
        SEND: {"messages": [message(told, to(everybody.device))]},
        "/push/2/message/single": older,
        "/push/2/message/multi": {"messages": [older]},
        "/omni/1/advanced": {**flow, "sms": {"text": "Hi"}},
        "/omni/1/text": {**flow, "text": "Hi"},
    }
    return bodies[call.path]


def rows() -> list[int]:
    return [model.objects.count() for model in SENT]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("family", "call"), SENDING)
def test_fifty_repeats_at_once_send_one_message(family: Family, call: Call) -> None:
    everybody = Everybody()
    body = sending(everybody, family, call)
    together = Barrier(50)

    def ask(key: str) -> tuple[int, bytes]:
        caller = copy(everybody)
        caller.client = Client(raise_request_exception=False)
        answer = caller.call(family, call, body, headers={"Idempotency-Key": key})
        return answer.status_code, answer.content

    def ask_together(_: int) -> tuple[int, bytes]:
        together.wait()
        try:
            return ask("order-8")
        finally:
            connection.close()

    assert ask("order-7")[0] == 200
    one = rows()
    with ThreadPoolExecutor(50) as callers:
        answers = Counter(callers.map(ask_together, range(50)))

    ((status, _),) = answers
    assert status == 200
    assert rows() == [2 * number for number in one]
    assert any(one)
