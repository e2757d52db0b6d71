"""api.insider: each refusal, in the contract's order. Sections: contract/insider.md."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from api.insider import calling
from campaigns.models import Bulk
from devices.models import ApiKey, Application, Platform
from tests.api import documented
from tests.api.insider import KEY, MESSAGES, SEND, STATISTICS, Caller, connect, notification
from tests.api.insider_refusals import (
    BAD_KEY,
    EMPTY,
    FAULT,
    INVALID,
    NO_CERTIFICATE,
    NOT_ALLOWED,
    TOO_MANY,
    caller,
    shop,
    told,
)
from tests.api.systems import make_key

__all__ = ["caller", "shop"]  # fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


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
