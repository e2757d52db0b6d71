"""api.mobile_messages: what people write in the app (contract/mobile-sdk.md 4.4)."""

import uuid
from typing import Any

import pytest

from campaigns.models import Inbound
from tests.api.apps import App, assert_refused
from tests.api.phones import WRITE, Phone
from tests.factories import make_application, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

PAYLOAD = {"order": 7, "deep": {"list": [1, "x", None]}}
WRITTEN: dict[str, Any] = {
    "messageId": "m-1",
    "destination": "support",
    "text": "Where is my order?",
    "initialMessageId": "m-0",
    "bulkId": "b-1",
    "customPayload": PAYLOAD,
}
SENT = {"status": "Message sent", "statusCode": 0}


def test_what_is_written_in_the_app_is_kept_and_echoed(phone: Phone) -> None:
    answer = phone.write(WRITTEN, {"messageId": "m-2", "text": "Hello?"})

    assert answer.json() == {
        "messages": [{**WRITTEN, **SENT}, {"messageId": "m-2", "text": "Hello?", **SENT}]
    }
    kept = Inbound.objects.order_by("pk").values_list(
        "registration", "message_id", "destination", "text", "initial_message_id", "bulk_id",
        "custom_payload", "taken_at",
    )  # fmt: skip
    assert list(kept) == [
        (phone.device.pk, "m-1", "support", WRITTEN["text"], "m-0", "b-1", PAYLOAD, None),
        (phone.device.pk, "m-2", "", "Hello?", "", "", {}, None),
    ]


def test_a_repeated_message_is_kept_once(phone: Phone) -> None:
    first, second = (phone.write(WRITTEN).json() for _ in range(2))

    assert first == second
    assert Inbound.objects.count() == 1


def test_one_without_text_is_told_so_and_the_others_are_kept(phone: Phone) -> None:
    answer = phone.write({"messageId": "m-1"}, {"messageId": "m-2", "text": "Hello?"})

    assert answer.json() == {
        "messages": [
            {
                "messageId": "m-1",
                "text": "",
                "status": "Message text is missing",
                "statusCode": 1,
            },
            {"messageId": "m-2", "text": "Hello?", **SENT},
        ]
    }
    assert Inbound.objects.get().message_id == "m-2"


def test_one_without_an_id_gets_one(phone: Phone) -> None:
    (answered,) = phone.write({"text": "Hello?"}).json()["messages"]

    assert answered == {"messageId": Inbound.objects.get().message_id, "text": "Hello?", **SENT}
    assert uuid.UUID(answered["messageId"])


def test_nobody_writes_for_a_device_of_another_application(app: App, phone: Phone) -> None:
    stranger = str(make_registration(make_application()).address.public_id)
    body = {"messages": [WRITTEN]}

    for sender, header in ((stranger, ""), ("shoe", ""), (phone.id, str(uuid.uuid4()))):
        answer = app.post(WRITE, {"from": sender, **body}, pushregistrationid=header)
        assert_refused(answer, 400, "NO_REGISTRATION", "Registration not found")
    assert_refused(app.post(WRITE, body), 400, "NO_REGISTRATION", "Registration not found")
    assert not Inbound.objects.exists()


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b'"m"', "messages.0 should be object"),
        (b'{"text":1}', "messages.0.text should be string"),
        (b'{"text":"a\\u0000"}', "messages.0.text should be a string without NUL"),
        (b'{"text":"%s"}' % (b"x" * 4001), "messages.0.text should be string of at most 4000"),
        (
            b'{"messageId":"%s"}' % (b"x" * 101),
            "messages.0.messageId should be string of at most 100 characters",
        ),
        (b'{"customPayload":"x"}', "messages.0.customPayload should be object"),
        (
            b'{"customPayload":{"a":1e999}}',
            "messages.0.customPayload should be object with finite numbers",
        ),
        (
            b'{"customPayload":{"a":1%s}}' % (b"0" * 101),
            "messages.0.customPayload should be object with numbers of at most 100 digits",
        ),
        (
            b'{"customPayload":{"a":["\\u0000"]}}',
            "messages.0.customPayload should be object without NUL",
        ),
        (
            b'{"customPayload":{"a":%s1%s}}' % (b"[" * 60, b"]" * 60),
            "messages.0.customPayload should be object of at most 50 levels",
        ),
        (
            b'{"customPayload":{"a":%s' % (b"[" * 100_000),
            "messages.0.customPayload.a.0.0.0",
        ),
    ],
)
def test_a_message_that_cannot_be_kept_names_the_member(
    phone: Phone, message: bytes, text: str
) -> None:
    answer = phone.app.post(WRITE, b'{"from":"%s","messages":[%s]}' % (phone.id.encode(), message))

    told = answer.json()["requestError"]["serviceException"]
    assert (answer.status_code, told["messageId"]) == (400, "REQUEST_FORMAT_INVALID")
    assert told["text"].startswith(text)
    assert not Inbound.objects.exists()
