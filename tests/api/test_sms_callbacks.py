"""POST /callbacks/sms/…: Twilio's callbacks, and addresses of both gateways."""

from typing import Any

import pytest
from django.test import Client

from campaigns.models import Message, Reason
from devices.models import ClosedNumber
from tests.api import documented
from tests.api.sms_reports import (
    NUMBER,
    TOKEN,
    callback,
    infobip,
    make_gateway,
    post,
    public,
    result,
    sent,
    states,
)
from tests.factories import make_credential

__all__ = ["public"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("public")]

State = Message.State


# ------------------------------------------------------------------- Twilio


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("queued", "", (State.ACCEPTED, Reason.NONE)),
        ("sending", "", (State.ACCEPTED, Reason.NONE)),
        ("sent", "", (State.ACCEPTED, Reason.NONE)),
        ("delivered", "", (State.DELIVERED, Reason.NONE)),
        ("undelivered", "30005", (State.FAILED, Reason.UNDELIVERABLE)),
        ("failed", "21610", (State.FAILED, Reason.OPTED_OUT)),
        ("failed", "21211", (State.FAILED, Reason.NUMBER_REFUSED)),
        ("failed", "21614", (State.FAILED, Reason.NUMBER_REFUSED)),
        ("read", "", (State.ACCEPTED, Reason.NONE)),
    ],
)
def test_a_callback_decides_what_became_of_a_message(
    client: Client, status: str, code: str, expected: tuple[int, int]
) -> None:
    bulk, [message] = sent()
    make_gateway(bulk, "twilio")

    response = callback(client, bulk, message, MessageStatus=status, ErrorCode=code)

    assert response.status_code == 200
    assert states(bulk) == [expected]
    assert ClosedNumber.objects.filter(pk=NUMBER).exists() is (code.startswith("21"))


def test_callbacks_out_of_order_move_a_message_forward_only(client: Client) -> None:
    bulk, [message] = sent(state=State.UNKNOWN)
    make_gateway(bulk, "twilio")

    for status in ("sent", "delivered", "sending", "queued", "failed", "delivered"):
        callback(client, bulk, message, MessageStatus=status)

    assert states(bulk) == [(State.DELIVERED, Reason.NONE)]


def test_a_callback_that_is_not_signed_is_forbidden(client: Client) -> None:
    bulk, [message] = sent()
    make_gateway(bulk, "twilio")

    response = callback(client, bulk, message, secret="guess", MessageStatus="delivered")

    assert response.status_code == 403
    assert states(bulk) == [(State.ACCEPTED, Reason.NONE)]


def test_the_signature_covers_the_public_address(client: Client, settings: Any) -> None:
    bulk, [message] = sent()
    make_gateway(bulk, "twilio")
    settings.PUBLIC_BASE_URL = "https://elsewhere.example"

    assert callback(client, bulk, message, MessageStatus="delivered").status_code == 403


@pytest.mark.parametrize(
    "body", [b"\xff", b"&".join(b"a=%d" % number for number in range(101)), b"To=%ff"]
)
def test_what_is_no_form_is_refused(client: Client, body: bytes) -> None:
    bulk, [message] = sent()
    make_gateway(bulk, "twilio")

    path = f"/callbacks/sms/{bulk.application_id}/{TOKEN}/{message}"
    response = post(client, path, body, form=True)

    assert response.status_code == 400


# ------------------------------------------------------------------- addresses


@pytest.mark.parametrize("token", ["x", TOKEN[:-1], TOKEN + "x", TOKEN.lower(), "é", "%00"])
def test_a_wrong_address_is_not_there(client: Client, token: str) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)

    response = infobip(client, bulk, [result(message)], token)

    assert response.status_code == 404
    assert states(bulk) == [(State.ACCEPTED, Reason.NONE)]


def test_a_renewed_address_takes_the_place_of_the_old_one(client: Client) -> None:
    bulk, [message] = sent()
    credential = make_gateway(bulk)
    credential.data["callback"] = f"{bulk.application_id}/another"
    credential.save()

    assert infobip(client, bulk, [result(message)]).status_code == 404
    assert infobip(client, bulk, [result(message)], "another").status_code == 200


def test_an_application_without_a_gateway_has_no_address(client: Client) -> None:
    bulk, [message] = sent()
    make_credential(bulk.application)

    assert infobip(client, bulk, [result(message)]).status_code == 404


def test_a_gateway_without_an_address_has_none(client: Client) -> None:
    bulk, [message] = sent()
    credential = make_gateway(bulk)
    del credential.data["callback"]
    credential.save()

    assert infobip(client, bulk, [result(message)]).status_code == 404


def test_each_gateway_speaks_its_own_words_only(client: Client) -> None:
    ours, [mine] = sent()
    theirs, [other] = sent()
    make_gateway(ours)
    make_gateway(theirs, "twilio")

    assert callback(client, ours, mine, MessageStatus="delivered").status_code == 404
    assert infobip(client, theirs, [result(other)]).status_code == 404


@pytest.mark.parametrize("path", ["", "/", "/x", "/1", "/1/a/b", "/1/a/b/c"])
def test_unknown_paths_answer_in_the_familys_words(client: Client, path: str) -> None:
    response = client.post(f"/callbacks/sms{path}", "{}", content_type="application/json")

    assert response.status_code == 404
    assert response.json()["requestError"]["serviceException"]["messageId"] == "NOT_FOUND"


def test_other_methods_are_refused(client: Client) -> None:
    bulk, _ = sent()
    make_gateway(bulk)

    path = f"/callbacks/sms/{bulk.application_id}/{TOKEN}"
    response = client.get(path)
    documented.check("GET", path, response)

    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
