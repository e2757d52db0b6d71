"""What a body to send is refused for: section 2.3 of contract/push.md."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from devices.models import Application
from tests.api.pushing import (
    SEND,
    message,
    request_of,
    status_of,
    violations_of,
)
from tests.api.systems import System

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

GOOD = {"type": "EXTERNAL_USER_ID", "externalUserId": "jane"}
TEXT = {"type": "TEXT", "text": "Hi"}
M = "messages[0]"
NOTHING_ASKED: list[dict[str, Any]] = [{}, {"$or": []}, {"$or": None, "$and": []}]


def changed(**given: Any) -> dict[str, Any]:
    return {"messages": [{"sender": "s", "destinations": [GOOD], "content": TEXT, **given}]}


def with_options(**given: Any) -> dict[str, Any]:
    return changed(options=given)


def scheduled(**given: Any) -> dict[str, Any]:
    return {**changed(), "options": {"schedule": given}}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, [("messages", "must not be null")]),
        ([], [("", "must be an object")]),
        ({"messages": None}, [("messages", "must not be null")]),
        ({"messages": []}, [("messages", "must not be empty")]),
        ({"messages": {}}, [("messages", "must be an array")]),
        ({"messages": ["x"]}, [(M, "must be an object")]),
        (
            {"messages": [{}]},
            [
                (f"{M}.sender", "must not be null"),
                (f"{M}.destinations", "must not be null"),
                (f"{M}.content", "must not be null"),
            ],
        ),
        (changed(sender=5), [(f"{M}.sender", "must be a string")]),
        (changed(sender=" "), [(f"{M}.sender", "must not be blank")]),
        (changed(destinations=[]), [(f"{M}.destinations", "must not be empty")]),
        (
            changed(destinations=[GOOD] * 1001),
            [(f"{M}.destinations", "size must be at most 1000")],
        ),
        (changed(destinations=[{}]), [(f"{M}.destinations[0].type", "must not be null")]),
        (
            changed(destinations=[{"type": "FAX"}]),
            [
                (
                    f"{M}.destinations[0].type",
                    "must be one of REGISTRATION, EXTERNAL_USER_ID, EMAIL, PHONE_NUMBER, MULTIPLE",
                )
            ],
        ),
        *(
            (
                changed(destinations=[{"type": kind}]),
                [(f"{M}.destinations[0].{member}", "must not be null")],
            )
            for kind, member in (
                ("REGISTRATION", "pushRegistrationId"),
                ("EXTERNAL_USER_ID", "externalUserId"),
                ("EMAIL", "email"),
                ("PHONE_NUMBER", "phoneNumber"),
            )
        ),
        (
            changed(destinations=[{**GOOD, "messageId": "x" * 101}]),
            [(f"{M}.destinations[0].messageId", "size must be at most 100")],
        ),
        (
            changed(destinations=[{**GOOD, "targetOnlyPrimaryDevices": "true"}]),
            [(f"{M}.destinations[0].targetOnlyPrimaryDevices", "must be a boolean")],
        ),
        *(
            (
                changed(destinations=[{"type": "MULTIPLE", **lists}]),
                [(f"{M}.destinations[0].$or", "must not be empty where $and is empty")],
            )
            for lists in NOTHING_ASKED
        ),
        (
            changed(destinations=[{"type": "MULTIPLE", "$or": {"a": 1}}]),
            [(f"{M}.destinations[0].$or", "must be an array")],
        ),
        (changed(content={}), [(f"{M}.content.type", "must not be null")]),
        (
            changed(content={"type": "VIDEO", "text": "x"}),
            [(f"{M}.content.type", "must be one of TEXT, IMAGE")],
        ),
        (changed(content={"type": "TEXT"}), [(f"{M}.content.text", "must not be null")]),
        (changed(content={**TEXT, "text": ""}), [(f"{M}.content.text", "must not be blank")]),
        (changed(content={**TEXT, "text": 1}), [(f"{M}.content.text", "must be a string")]),
        (
            changed(content={**TEXT, "text": "x" * 4001}),
            [(f"{M}.content.text", "size must be at most 4000")],
        ),
        (
            changed(content={**TEXT, "title": "x" * 51}),
            [(f"{M}.content.title", "size must be at most 50")],
        ),
        (
            changed(content={"type": "IMAGE", "text": "x"}),
            [(f"{M}.content.url", "must not be null")],
        ),
        *(
            (
                changed(content={"type": "IMAGE", "text": "x", "url": url}),
                [
                    (
                        f"{M}.content.url",
                        "must be an absolute URL that begins with http:// or https://",
                    )
                ],
            )
            for url in ("", "ftp://x", "https://", "https://a b", "//x", "shop.example/x")
        ),
        (
            changed(webhooks={"delivery": {"url": "x"}, "callbackData": "x" * 4001}),
            [
                (
                    f"{M}.webhooks.delivery.url",
                    "must be an absolute URL that begins with http:// or https://",
                ),
                (f"{M}.webhooks.callbackData", "size must be at most 4000"),
            ],
        ),
        (
            changed(webhooks={"contentType": "text/plain"}),
            [
                (
                    f"{M}.webhooks.contentType",
                    "must be one of application/json, application/xml",
                )
            ],
        ),
        (with_options(customPayload=[]), [(f"{M}.options.customPayload", "must be an object")]),
        (with_options(customPayload="{}"), [(f"{M}.options.customPayload", "must be an object")]),
        (with_options(badge="1"), [(f"{M}.options.badge", "must be an integer")]),
        (
            with_options(badge=2**31),
            [(f"{M}.options.badge", "must be less than or equal to 2147483647")],
        ),
        (with_options(isSilent=1), [(f"{M}.options.isSilent", "must be a boolean")]),
        (
            with_options(mirroredPushStyle="modal"),
            [(f"{M}.options.mirroredPushStyle", "must be one of MODAL, BANNER")],
        ),
        (
            with_options(mirroredPushExpirationPeriod=-1),
            [
                (
                    f"{M}.options.mirroredPushExpirationPeriod",
                    "must be greater than or equal to 0",
                )
            ],
        ),
        (
            with_options(validityPeriod={}),
            [(f"{M}.options.validityPeriod.amount", "must not be null")],
        ),
        (
            with_options(validityPeriod={"amount": 1, "timeUnit": "DAYS"}),
            [(f"{M}.options.validityPeriod.timeUnit", "must be one of SECONDS, MINUTES, HOURS")],
        ),
        (
            with_options(deliveryTimeWindow={"days": []}),
            [(f"{M}.options.deliveryTimeWindow.days", "must not be empty")],
        ),
        (
            with_options(deliveryTimeWindow={"days": ["MONDAY"], "from": {"hour": 1, "minute": 0}}),
            [(f"{M}.options.deliveryTimeWindow.to", "must not be null")],
        ),
        (
            with_options(deliveryTimeWindow={"days": ["MONDAY"], "to": {"hour": 1, "minute": 0}}),
            [(f"{M}.options.deliveryTimeWindow.from", "must not be null")],
        ),
        (
            with_options(
                deliveryTimeWindow={
                    "days": ["MONDAY"],
                    "from": {"hour": 23, "minute": 30},
                    "to": {"hour": 0, "minute": 29},
                }
            ),
            [(f"{M}.options.deliveryTimeWindow.to", "must be at least 1 hour after from")],
        ),
        (
            with_options(
                deliveryTimeWindow={
                    "days": ["MONDAY"],
                    "from": {"hour": 24, "minute": 60},
                    "to": {"hour": 0, "minute": 29},
                }
            ),
            [
                (
                    f"{M}.options.deliveryTimeWindow.from.hour",
                    "must be less than or equal to 23",
                ),
                (
                    f"{M}.options.deliveryTimeWindow.from.minute",
                    "must be less than or equal to 59",
                ),
            ],
        ),
        (
            with_options(inboxMessageExpirationPeriod=1),
            [
                (
                    f"{M}.options.inboxTopic",
                    "must not be null with inboxMessageExpirationPeriod",
                )
            ],
        ),
        (
            with_options(campaignReferenceId="x" * 256, platform={"entityId": "x" * 256}),
            [
                (f"{M}.options.platform.entityId", "size must be at most 255"),
                (f"{M}.options.campaignReferenceId", "size must be at most 255"),
            ],
        ),
        (
            with_options(sendAt="tomorrow"),
            [
                (
                    f"{M}.options.sendAt",
                    "must be a date-time such as 2026-07-23T12:55:35.086+0000",
                )
            ],
        ),
        (
            with_options(sendAt="2026-02-30T00:00:00Z"),
            [(f"{M}.options.sendAt", "must be a date-time that exists")],
        ),
        (
            scheduled(sendAt="9999-12-31T23:59:59-1200"),
            [("options.schedule.sendAt", "must be a date-time that exists")],
        ),
        (
            scheduled(sendAt=(timezone.now() + timedelta(days=181)).isoformat()),
            [("options.schedule.sendAt", "must be at most 180 days ahead")],
        ),
        (scheduled(bulkId="x" * 101), [("options.schedule.bulkId", "size must be at most 100")]),
        (
            scheduled(sendingSpeedLimit={"timeUnit": "WEEK"}),
            [
                ("options.schedule.sendingSpeedLimit.amount", "must not be null"),
                (
                    "options.schedule.sendingSpeedLimit.timeUnit",
                    "must be one of MINUTE, HOUR, DAY",
                ),
            ],
        ),
        (
            scheduled(sendingSpeedLimit={"amount": 0}),
            [
                (
                    "options.schedule.sendingSpeedLimit.amount",
                    "must be greater than or equal to 1",
                )
            ],
        ),
    ],
)
def test_a_body_is_refused_with_one_violation_for_each_fault(
    system: System, body: Any, found: list[tuple[str, str]]
) -> None:
    assert violations_of(system.post(SEND, body)) == found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"messages":[{"sender":"\xc3\x28"}]}',
        b'{"messages":' + b"[" * 100_000,
        b'{"messages":[{"sender":"\\ud800"}]}',
    ],
)
def test_what_is_no_json_is_refused(system: System, body: bytes) -> None:
    assert violations_of(system.post(SEND, body)) == [("", "must be valid JSON")]


@pytest.mark.parametrize(
    "hostile",
    [
        {"customPayload": {"a": "\0"}},
        {"customPayload": {"a": json.loads("[" * 60 + "]" * 60)}},
        {"customPayload": {"a": 10**200}},
        {"soundName": "\0"},
        {"category": "\0"},
    ],
)
def test_what_cannot_be_stored_is_refused(system: System, hostile: dict[str, Any]) -> None:
    assert violations_of(system.post(SEND, with_options(**hostile)))


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (
            {"content": {"type": "IMAGE", "text": "x", "url": "https://a.b/\0"}},
            "messages[0].content.url",
        ),
        (
            {"webhooks": {"delivery": {"url": "https://a.b/\0"}}},
            "messages[0].webhooks.delivery.url",
        ),
    ],
)
def test_an_address_that_cannot_be_stored_is_refused(
    system: System, given: dict[str, Any], place: str
) -> None:
    body = with_options()
    body["messages"][0] |= given

    assert violations_of(system.post(SEND, body)) == [(place, "a string without NUL")]


def test_no_number_in_a_payload_is_infinite(system: System) -> None:
    body = json.dumps(with_options(customPayload={"a": float("nan")})).encode()
    assert violations_of(system.post(SEND, body))


@pytest.mark.parametrize(
    "leaf",
    [
        '{"a":1e400}', '{"a":NaN}', '{"a":"\\u0000"}', '{"\\u0000":1}', '{"":1}',
        '{"' + "x" * 5000 + '":1}', '{"a":' + "9" * 4000 + "}", '{"platform":"Windows"}',
        '{"pushRegistrationId":"x"}', '{"deviceSecure":"yes"}', '{"sdkVersion":1.5}',
        '{"tags":""}', "{}", "[]", "null", "1",
    ],
)  # fmt: skip
def test_no_filter_breaks_us(system: System, application: Application, leaf: str) -> None:
    filtered = '{"type":"MULTIPLE","$or":[' + leaf + "]}"
    body = json.dumps(request_of(message(application, "HERE"))).replace('"HERE"', filtered)
    answer = system.post(SEND, body.encode())

    assert status_of(answer)[0] in {66, 71}
