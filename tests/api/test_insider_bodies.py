"""api.insider.sending: what is wrong and what is fine in a body. Sections: contract/insider.md."""

import json
from typing import Any

import pytest

from campaigns.models import Bulk
from tests.api.insider import ITEMS, KEY, LINK, MESSAGES, SEND, STATISTICS, Caller, notification
from tests.api.insider_refusals import (
    APS,
    BAD_TYPE,
    EMPTY,
    INVALID,
    NEGATIVE,
    NO_IDENTIFIERS,
    TOO_LONG,
    caller,
    shop,
    told,
)

__all__ = ["caller", "shop"]  # fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


def advanced(kind: object = "carousel", items: object = None) -> dict[str, Any]:
    listed = ITEMS if items is None else items
    return {"advanced_push_type": kind, "advanced_push_items": listed}


def item(**changed: Any) -> dict[str, Any]:
    return {name: value for name, value in {**ITEMS[0], **changed}.items() if value is not ...}


def items(count: int) -> list[dict[str, Any]]:
    return [item(id=number) for number in range(count)]


@pytest.mark.parametrize(
    ("notifications", "expected"),
    [
        (..., INVALID),
        (None, INVALID),
        ({}, INVALID),
        ("[]", INVALID),
        ([], EMPTY),
        ([notification()] * 21, TOO_LONG),
        ([None], INVALID),
        ([[]], INVALID),
        ([notification(), {}], INVALID),
    ],
)
def test_notifications_are_one_to_twenty_objects(
    caller: Caller, notifications: Any, expected: dict[str, str]
) -> None:
    body = {"api_key": KEY, "notifications": notifications}
    if notifications is ...:
        del body["notifications"]

    assert told(caller.post(SEND, body)) == (400, expected)
    assert not Bulk.objects.exists()


def test_twenty_notifications_are_taken(caller: Caller) -> None:
    assert len(caller.send(*[notification()] * 20).json()["successes"]) == 20


REQUIRED = ["camp_id", "camp_name", "title", "message"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        *[({name: None}, INVALID) for name in REQUIRED],
        *[({name: ""}, INVALID) for name in REQUIRED],
        *[({name: 7.5}, INVALID) for name in REQUIRED],
        ({"camp_id": "7"}, INVALID),
        ({"camp_id": True}, INVALID),
        ({"camp_id": 2**63}, INVALID),
        ({"camp_id": 0}, NEGATIVE),
        ({"camp_id": -1}, NEGATIVE),
        ({"camp_name": "x" * 256}, INVALID),
        ({"title": "x" * 256}, INVALID),
        ({"message": "x" * 4001}, INVALID),
        ({"message": "a\0b"}, INVALID),
        ({"image_url": "ftp://shop.example/a.jpg"}, INVALID),
        ({"image_url": "https://"}, INVALID),
        ({"image_url": ""}, INVALID),
        ({"ttl": -1}, INVALID),
        ({"ttl": "60"}, INVALID),
        ({"check_optin": "true"}, INVALID),
        ({"GFC_enabled": 1}, INVALID),
        ({"identifiers": None}, NO_IDENTIFIERS),
        ({"identifiers": {}}, NO_IDENTIFIERS),
        ({"identifiers": []}, INVALID),
        ({"identifiers": {"uuid": None}}, INVALID),
        ({"identifiers": {"uuid": {}}}, INVALID),
        ({"identifiers": {"uuid": "a\0"}}, INVALID),
        ({"identifiers": {"uuid": 10**100}}, INVALID),
        ({"identifiers": {str(number): "x" for number in range(21)}}, INVALID),
        ({"android": []}, INVALID),
        ({"android": {"channel_id": 0}}, NEGATIVE),
        ({"android": {"channel_id": -3}}, NEGATIVE),
        ({"android": {"channel_id": "1"}}, INVALID),
        ({"android": {"sound": 1}}, INVALID),
        ({"android": {"deep_link": {"aps": "x"}}}, APS),
        ({"android": {"deep_link": {"k": None}}}, INVALID),
        ({"android": {"deep_link": {"k": {}}}}, INVALID),
        ({"android": {"deep_link": {"ins_dl_internal": "http://a.example"}}}, INVALID),
        ({"android": {"thread-id": "x"}}, INVALID),
        ({"ios": {"badge": -1}}, INVALID),
        ({"ios": {"badge": 2**31}}, INVALID),
        ({"ios": {"badge": "1"}}, INVALID),
        ({"ios": {"thread-id": "13"}}, INVALID),
        ({"ios": {"content-available": 1}}, INVALID),
        ({"ios": {"mutable-content": "yes"}}, INVALID),
        ({"ios": {"deliver_silently": "yes"}}, INVALID),
        ({"ios": {"sound": True}}, INVALID),
        ({"ios": {"deep_link": {"aps": "x"}}}, APS),
        ({"ios": {"deep_link": {"ins_dl_external": "shop://sale"}}}, INVALID),
        ({"advanced_push_payload": []}, INVALID),
        ({"advanced_push_payload": {}}, INVALID),
        ({"advanced_push_payload": advanced(kind=1)}, INVALID),
        ({"advanced_push_payload": advanced(kind="banner")}, BAD_TYPE),
        ({"advanced_push_payload": advanced(kind="")}, BAD_TYPE),
        ({"advanced_push_payload": advanced(items=[])}, INVALID),
        ({"advanced_push_payload": advanced(items=items(21))}, INVALID),
        ({"advanced_push_payload": advanced(items=[item(), item()])}, INVALID),
        ({"advanced_push_payload": advanced(items=[None])}, INVALID),
        *[
            ({"advanced_push_payload": advanced(items=[item(**{name: ...})])}, INVALID)
            for name in ("id", "headline", "description", "image_url")
        ],
        ({"advanced_push_payload": advanced(items=[item(id="1")])}, INVALID),
        ({"advanced_push_payload": advanced(items=[item(image_url="a.jpg")])}, INVALID),
        ({"advanced_push_payload": advanced(items=[item(deep_links={"aps": "x"})])}, APS),
        ({"advanced_push_payload": advanced(items=[item(deep_links={"k": []})])}, INVALID),
        (
            {"advanced_push_payload": advanced(items=[item(deep_links={"ins_dl_internal": "x"})])},
            INVALID,
        ),
        # of several faults the first: types, identifiers, type, integers, deep links
        ({"title": 1, "identifiers": {}}, INVALID),
        ({"identifiers": {}, "advanced_push_payload": advanced(kind="banner")}, NO_IDENTIFIERS),
        ({"advanced_push_payload": advanced(kind="banner"), "camp_id": 0}, BAD_TYPE),
        ({"camp_id": 0, "ios": {"deep_link": {"aps": "x"}}}, NEGATIVE),
    ],
)
def test_what_is_wrong_with_a_notification(
    caller: Caller, changed: dict[str, Any], expected: dict[str, str]
) -> None:
    wrong = notification()
    for name, value in changed.items():
        wrong[name] = value
        if value is None and name in REQUIRED:
            del wrong[name]

    assert told(caller.send(notification(), wrong)) == (400, expected)
    assert not Bulk.objects.exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"advanced_push_payload": advanced(kind="Slider")},
        {"advanced_push_payload": advanced(kind="CAROUSEL", items=items(20))},
        {"advanced_push_payload": advanced(items=[item(deep_links=...)])},
        {"image_url": "http://your_image_url.jpg"},
        {"android": {"deep_link": {"ins_dl_url_scheme": "shop://sale", "ins_dl_json": "{}"}}},
        {"android": {"deep_link": {"n": 1, "yes": True, "half": 0.5}}},
        {"ios": {"thread_id": 13, "deep_link": LINK}},
        {"android": {"thread_id": 13}},
        {"android": {"thread-id": 13}},
        {"ios": {}, "android": {}},
        {"camp_id": 2**63 - 1},
        {"some_day": {"more": []}},
        {"identifiers": {"email": "ana@", "uuid": "ana"}},
    ],
)
def test_what_is_fine(caller: Caller, changed: dict[str, Any]) -> None:
    answer = caller.send({**notification(), **changed})

    assert (answer.status_code, answer.json()["errors"]) == (200, {})


@pytest.mark.parametrize(
    "given",
    [
        {"report_attributes": "INSIDER.email"},
        {"report_attributes": [1]},
        {"report_attributes": {}},
        {"report_attributes": [f"INSIDER.{number}" for number in range(201)]},
        {"async": "yes"},
        {"async": 1},
    ],
)
def test_what_is_wrong_beside_the_notifications(caller: Caller, given: dict[str, Any]) -> None:
    assert told(caller.send(notification(), **given)) == (400, INVALID)
    assert not Bulk.objects.exists()


BODY = json.dumps({"api_key": KEY, "notifications": [notification()]}).encode()
HOSTILE = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "null": b"null",
    "a number": b"7",
    "half of it": BODY[:-20],
    "more than it": BODY + b"}",
    "not UTF-8": BODY.replace(b"Back", b"\xff\xfe"),
    "half a pair": BODY.replace(b"Back", b"\\ud83d"),
    "NUL": BODY.replace(b"Back", b"\\u0000"),
    "NaN": BODY.replace(b"7", b"NaN"),
    "infinity": BODY.replace(b"7", b"1e999"),
    "endless digits": BODY.replace(b"7", b"7" * 5000),
    "deep": BODY.replace(b'"ana"', b"[" * 100_000 + b"]" * 100_000),
    "deep objects": BODY.replace(b'"ana"', b'{"a":' * 5000 + b"1" + b"}" * 5000),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", [SEND, STATISTICS])
def test_no_body_makes_us_stumble(caller: Caller, path: str, name: str) -> None:
    answer = caller.post(path, HOSTILE[name])

    if path == SEND or name in {"nothing", "no JSON", "no object", "null", "a number"}:
        assert told(answer) == (400, INVALID)
    assert answer.status_code < 500
    assert not Bulk.objects.exists()


def test_the_last_of_two_members_counts(caller: Caller) -> None:
    twice = BODY.replace(b'"camp_id": 7', b'"camp_id": "x", "camp_id": 8')
    assert twice != BODY

    assert caller.post(SEND, twice).status_code == 200


def test_a_body_of_more_than_a_megabyte_is_not_read(caller: Caller) -> None:
    answer = caller.post(SEND, b"[" + b" " * 2**20 + b"]")

    assert answer.status_code == 413
    assert answer.json()["error"] == "invalid_payload"


@pytest.mark.parametrize("path", [SEND, STATISTICS, MESSAGES])
def test_every_refusal_says_how_long_it_is(caller: Caller, path: str) -> None:
    answer = caller.post(path, b"{")

    assert int(answer.headers["Content-Length"]) == len(answer.content)
