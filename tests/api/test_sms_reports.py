"""Delivery reports of SMS gateways: who may post them, and what they change."""

from datetime import UTC, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.models import Message, Reason
from devices.models import ClosedNumber
from tests.api.sms_reports import (
    NUMBER,
    TOKEN,
    infobip,
    make_gateway,
    post,
    public,
    result,
    sent,
    states,
)

__all__ = ["public"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("public")]

State = Message.State


# ------------------------------------------------------------------- Infobip


@pytest.mark.parametrize(
    ("number", "group", "expected"),
    [
        (26, 1, (State.ACCEPTED, Reason.NONE)),
        (2, 3, (State.ACCEPTED, Reason.NONE)),
        (5, 3, (State.DELIVERED, Reason.NONE)),
        (9, 2, (State.FAILED, Reason.UNDELIVERABLE)),
        (15, 4, (State.EXPIRED, Reason.NOT_IN_TIME)),
        (29, 4, (State.EXPIRED, Reason.NEVER_LEARNED)),
        (10, 5, (State.FAILED, Reason.OPTED_OUT)),
        (12, 5, (State.FAILED, Reason.ACCOUNT_REFUSED)),
        (21, 5, (State.FAILED, Reason.CLOUD_ERROR)),
        (23, 5, (State.ACCEPTED, Reason.NONE)),
        (25, 5, (State.FAILED, Reason.TOO_LARGE)),
        (51, 5, (State.FAILED, Reason.PAYLOAD_REFUSED)),
        (52, 5, (State.FAILED, Reason.NUMBER_REFUSED)),
    ],
)
def test_a_report_decides_what_became_of_a_message(
    client: Client, number: int, group: int, expected: tuple[int, int]
) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)

    response = infobip(client, bulk, [result(message, number, group)])

    assert (response.status_code, response.json()) == (200, {})
    assert states(bulk) == [expected]


@pytest.mark.parametrize("number", [26, 2, 23])
def test_that_it_was_taken_settles_a_doubt(client: Client, number: int) -> None:
    bulk, [message] = sent(state=State.UNKNOWN)
    make_gateway(bulk)

    infobip(client, bulk, [result(message, number, 1)])

    assert states(bulk) == [(State.ACCEPTED, Reason.NONE)]


@pytest.mark.parametrize("shape", ["infobip", "infobip_v2"])
def test_the_older_report_is_read_too(client: Client, shape: str) -> None:
    bulk, [message] = sent()
    make_gateway(bulk, shape)
    older = result(message)
    older["from"], older["smsCount"] = older.pop("sender"), older.pop("messageCount")

    infobip(client, bulk, [older])

    assert states(bulk) == [(State.DELIVERED, Reason.NONE)]


def test_repeats_and_late_news_change_nothing(client: Client) -> None:
    bulk, [one, two] = sent(2)
    make_gateway(bulk)

    for _ in range(2):
        infobip(client, bulk, [result(one), result(one, 26, 1), result(two, 9, 2), result(one)])
        states(bulk)
        infobip(client, bulk, [result(one, 9, 2), result(two, 5, 3), result(two, 15, 4)])

    assert states(bulk) == [(State.DELIVERED, 0), (State.FAILED, Reason.UNDELIVERABLE)]


def test_the_time_of_delivery_is_the_operators(client: Client) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)
    done = (timezone.now() + timedelta(hours=1)).astimezone(UTC)

    infobip(client, bulk, [result(message, doneAt=done.strftime("%Y-%m-%dT%H:%M:%S.000+0000"))])
    states(bulk)

    delivered = Message.objects.get(pk=message).delivered_at
    assert delivered is not None
    assert delivered <= timezone.now()  # nothing is delivered in the future


@pytest.mark.parametrize(
    "done", ["", "soon", None, 7, "0001-01-01T00:00:00.000+1400", "9999-12-31T23:59:59.999-1400"]
)
def test_an_impossible_time_does_not_lose_the_report(client: Client, done: Any) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)

    infobip(client, bulk, [result(message, doneAt=done)])

    assert states(bulk) == [(State.DELIVERED, Reason.NONE)]


def test_the_words_of_the_operator_stay_with_the_message(client: Client) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)
    error = {"groupId": 1, "id": 1, "name": "EC_UNKNOWN_SUBSCRIBER", "permanent": True}

    infobip(client, bulk, [result(message, 9, 2, error=error)])
    states(bulk)

    assert Message.objects.get(pk=message).answer == "STATUS_9, EC_UNKNOWN_SUBSCRIBER"


def test_a_hundred_reports_cost_as_much_as_one(client: Client) -> None:
    bulk, messages = sent(100)
    make_gateway(bulk)

    with CaptureQueriesContext(connection) as queries:
        infobip(client, bulk, [result(message) for message in messages])

    assert len(queries) == 1
    assert states(bulk) == [(State.DELIVERED, Reason.NONE)] * 100


def test_unknown_ids_and_unreadable_results_do_not_hide_the_rest(client: Client) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)
    strange = [None, 7, {}, result("their-own-id", 52, 5), result(uuid4(), 52, 5), {"messageId": 5}]

    response = infobip(client, bulk, [*strange, result(message)])

    assert response.status_code == 200
    assert states(bulk) == [(State.DELIVERED, Reason.NONE)]
    assert not ClosedNumber.objects.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"results": {}}', 400),
        (b'{"results": [' + b"[" * 100_000, 400),
        (b'{"results": [' + b"0," * 1000 + b"0]}", 400),
        (b'{"results": ["\xff"]}', 400),
        (b'{"results": []}' + b" " * 2**20, 413),
    ],
)
def test_what_is_no_list_of_results_is_refused(client: Client, body: bytes, status: int) -> None:
    bulk, _ = sent()
    make_gateway(bulk)

    response = post(client, f"/callbacks/sms/{bulk.application_id}/{TOKEN}", body)

    assert response.status_code == status
    assert response.json()["requestError"]["serviceException"]["messageId"] == "BAD_REQUEST"


# ------------------------------------------------------------------- closing numbers


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (8, ClosedNumber.Reason.REFUSED),
        (14, ClosedNumber.Reason.OPTED_OUT),
        (52, ClosedNumber.Reason.REFUSED),
    ],
)
def test_three_statuses_close_the_number(
    client: Client, number: int, reason: ClosedNumber.Reason
) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)

    infobip(client, bulk, [result(message, number, 5)])

    closed = ClosedNumber.objects.get()
    assert (closed.number, closed.reason, closed.answer) == (NUMBER, reason, f"STATUS_{number}")


@pytest.mark.parametrize("number", [4, 9, 10, 12, 15, 19, 29, 4711])
def test_others_do_not(client: Client, number: int) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)

    infobip(client, bulk, [result(message, number, 5)])

    assert not ClosedNumber.objects.exists()


def test_a_message_of_another_application_closes_nothing(client: Client) -> None:
    bulk, _ = sent()
    _, [foreign] = sent()
    make_gateway(bulk)

    infobip(client, bulk, [result(foreign, 52, 5)])

    assert not ClosedNumber.objects.exists()
    assert Message.objects.get(pk=foreign).state == State.ACCEPTED
