"""api.insider: each refusal, in the contract's order. Sections: contract/insider.md."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from api.insider import calling
from campaigns.models import Bulk
from devices.models import ApiKey, Application, Platform
from tests.api import documented
from tests.api.insider import (
    ITEMS,
    KEY,
    LINK,
    MESSAGES,
    SEND,
    STATISTICS,
    Caller,
    connect,
    make_insider_key,
    notification,
)
from tests.api.systems import make_key
from tests.factories import make_application, make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

NOT_ALLOWED = {
    "error": "ip_not_allowed",
    "message": "Your IP address is not authorized.",
}
TOO_MANY = {"error": "rejected: too many requests"}
BAD_KEY = {
    "error": "bad_api_key",
    "message": (
        "'api_key' is either empty or wrong. You can get your API key from Insider Dashboard"
    ),
}
INVALID = {
    "error": "invalid_payload",
    "message": "Can't parse payload, check your keys and data types",
}
EMPTY = {
    "error": "invalid_notifications",
    "message": "'notifications' is empty, add some notification objects",
}
TOO_LONG = {
    "error": "invalid_notifications",
    "message": "'notifications' can't have more than 20 objects",
}
NO_IDENTIFIERS = {
    "error": "empty_insider_identifiers",
    "message": "'insider_identifiers' object need to have at least one identifier",
}
APS = {"error": "blacklisted_deeplink", "message": "deepLink can't contain 'aps' key"}
NEGATIVE = {
    "error": "negative_integer",
    "message": "camp_id' and/or 'channel_id' must be greater than zero",
}
BAD_TYPE = {
    "error": "invalid_advanced_push_type",
    "message": "'advanced_push_type' must be either Carousel or Slider",
}
NO_CERTIFICATE = {
    "error": "invalid_certificate",
    "message": (
        "You do not have a validated certificate. Please check Certificate section under"
        " Insider's Settings."
    ),
}
FAULT = {"error": "internal_error", "message": "Temporarily unavailable. Try again."}


@pytest.fixture
def shop() -> Application:
    application = make_application()
    make_insider_key(application)
    connect(application, Platform.ANDROID)
    make_registration(application, person=make_person(external_id="ana"))
    return application


@pytest.fixture
def caller(shop: Application) -> Caller:
    return Caller()


def told(answer: Any) -> tuple[int, Any]:
    return answer.status_code, answer.json()


# ------------------------------------------------------------------- who calls


@pytest.mark.parametrize(
    ("addresses", "caller_at", "taken"),
    [
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["127.0.0.1"], "::ffff:127.0.0.1", True),
        (["127.0.0.1", "203.0.113.0/24"], "203.0.113.9", True),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["2001:db8::/32"], "127.0.0.1", False),
        ([], "198.51.100.7", True),
        (["127.0.0.1"], "", False),
        (["127.0.0.1"], "unix", False),
    ],
)
def test_only_listed_addresses_may_call(
    shop: Application, addresses: list[str], caller_at: str, taken: bool
) -> None:
    ApiKey.objects.update(addresses=addresses)
    answer = Caller(caller_at).send(notification())

    assert answer.status_code == (200 if taken else 403)
    assert taken or answer.json() == NOT_ALLOWED


def test_without_any_key_only_this_machine_is_told_more() -> None:
    assert told(Caller().send(notification())) == (401, BAD_KEY)
    assert told(Caller("203.0.113.9").send(notification())) == (403, NOT_ALLOWED)


def test_forwarded_addresses_are_believed_of_trusted_proxies_alone(
    shop: Application, settings: Any
) -> None:
    ApiKey.objects.update(addresses=["203.0.113.9"])
    body = {"api_key": KEY, "notifications": [notification()]}

    def ask(forwarded: str) -> int:
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        return int(Caller("127.0.0.1").post(SEND, body, **headers).status_code)

    assert ask("203.0.113.9") == 403
    settings.TRUSTED_PROXIES = 1
    assert ask("203.0.113.9") == 200
    assert ask("198.51.100.7, 203.0.113.9") == 200
    assert ask("203.0.113.9, 198.51.100.7") == 403
    assert ask("") == 403
    settings.TRUSTED_PROXIES = 2
    assert ask("203.0.113.9, 198.51.100.7") == 200
    assert ask("203.0.113.9") == 403


def test_a_thousand_calls_a_minute_of_a_key(
    shop: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "CALLS_PER_MINUTE", 2)
    caller = Caller()
    make_key("another", family=ApiKey.Family.INSIDER, scopes=[])
    for _ in range(2):
        assert caller.send(notification()).status_code == 200

    answer = caller.post(STATISTICS, {"api_key": KEY})

    assert told(answer) == (429, TOO_MANY)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert caller.post(STATISTICS, {"api_key": "another"}).status_code == 200
    assert calling.CALLS_PER_MINUTE == 2
    for _ in range(2):
        assert caller.post(SEND, {"api_key": "guessed"}).status_code == 401
    assert told(caller.post(SEND, b"{")) == (429, TOO_MANY)  # whoever has no key is counted, too


def test_a_thousand_is_what_the_vendor_says() -> None:
    assert calling.CALLS_PER_MINUTE == 1000


@pytest.mark.parametrize(
    "given",
    [
        {"revoked_at": timezone.now()},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
        {"family": ApiKey.Family.INFOBIP},
    ],
)
def test_a_key_that_is_not_valid_is_wrong(
    shop: Application, caller: Caller, given: dict[str, Any]
) -> None:
    ApiKey.objects.update(**given)

    assert told(caller.send(notification())) == (401, BAD_KEY)
    assert not Bulk.objects.exists()


@pytest.mark.parametrize("value", ["", "wrong", None, 7, ["key"], "x" * 600, "\ud800", "\0"])
def test_a_key_that_can_be_none_is_wrong(caller: Caller, value: object) -> None:
    answer = caller.post(SEND, {"api_key": value, "notifications": [notification()]})

    expected = (400, INVALID) if value == "\ud800" else (401, BAD_KEY)  # no JSON carries half
    assert told(answer) == expected


def test_when_a_key_was_used_is_noted(caller: Caller) -> None:
    caller.send(notification())

    assert ApiKey.objects.get().last_used_at is not None


@pytest.mark.parametrize("path", [SEND, STATISTICS, MESSAGES])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(caller: Caller, path: str, method: str) -> None:
    answer = caller.client.generic(method, path, REMOTE_ADDR="127.0.0.1")
    documented.check(method, path, answer)

    assert told(answer) == (
        405,
        {"error": "method_not_allowed", "message": "This path answers POST"},
    )
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v2/notification/user/x", "/api/v9"])
def test_other_paths_are_answered_in_the_familys_words(caller: Caller, path: str) -> None:
    expected = {"error": "not_found", "message": "There is nothing at this path"}
    assert told(caller.client.post(path)) == (404, expected)


def test_the_first_fault_in_the_contracts_order_is_the_answer(
    shop: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Address, pace, JSON, key, body, certificate, people (1)."""
    shop.credentials.all().delete()
    nobody = notification(identifiers={"uuid": "nobody"})
    stranger, caller = Caller("203.0.113.9"), Caller()
    monkeypatch.setattr(calling, "CALLS_PER_MINUTE", 0)
    assert told(stranger.post(SEND, b"{")) == (403, NOT_ALLOWED)
    assert told(caller.post(SEND, b"{")) == (429, TOO_MANY)
    monkeypatch.setattr(calling, "CALLS_PER_MINUTE", 1000)
    assert told(caller.post(SEND, b"{")) == (400, INVALID)
    assert told(caller.post(SEND, {"notifications": []})) == (401, BAD_KEY)
    assert told(caller.send()) == (400, EMPTY)
    assert told(caller.send(nobody)) == (400, NO_CERTIFICATE)
    connect(shop, Platform.ANDROID)
    assert told(caller.send(nobody)) == (
        200,
        {"successes": [], "errors": {"NoUserFound": [{"uuid": "nobody"}]}},
    )


@pytest.mark.parametrize(
    "given", [{"enabled": False}, {"paused_at": timezone.now()}, {"test_ok": False}]
)
def test_a_certificate_that_cannot_be_used_is_none(
    shop: Application, caller: Caller, given: dict[str, Any]
) -> None:
    shop.credentials.update(**given)

    assert told(caller.send(notification())) == (400, NO_CERTIFICATE)


def test_a_fault_of_ours_is_told_without_its_cause(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("api.insider.sending.reaching.find_people", fail)

    assert told(caller.send(notification())) == (500, FAULT)


# ------------------------------------------------------------------- what is sent


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
