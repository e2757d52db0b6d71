"""api.keys, api.limits: who may call the APIs of other systems. Source: contract/push.md 1.1."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone

from api import keys
from campaigns.store import store
from devices.models import ApiKey, ApiUser, AuditEntry
from tests.api.systems import System, basic, make_api_user, make_key
from tests.factories import make_application, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

UNAUTHORIZED = {
    "requestError": {"serviceException": {"messageId": "UNAUTHORIZED", "text": "Unauthorized"}}
}
FORBIDDEN = {"requestError": {"serviceException": {"messageId": "FORBIDDEN", "text": "Forbidden"}}}
TOO_MANY = {
    "requestError": {
        "serviceException": {"messageId": "TOO_MANY_REQUESTS", "text": "Too many requests"}
    }
}


@pytest.fixture
def path() -> str:
    device = make_registration(make_application(code="code-of-the-shop"))
    return f"/people/2/contactInformation/push/{device.address.public_id}"


@pytest.fixture
def system(path: str) -> Iterator[System]:
    system = System()
    system.headers["AppCode"] = "code-of-the-shop"
    yield system
    keys._checked.clear()


def test_a_key_opens_what_its_scopes_say(system: System, path: str) -> None:
    make_key(scopes=["people:read"])

    assert system.get(path).status_code == 200
    for method, each in (("PATCH", path), ("POST", f"{path}/depersonalize")):
        answer = system.call(method, each, {})
        assert (answer.status_code, answer.json()) == (403, FORBIDDEN)
    overridden = system.post(path, {}, **{"X-HTTP-Method-Override": "PATCH"})
    assert overridden.status_code == 403


@pytest.mark.parametrize("scope", ["people:manage", "mobile-app-messaging:manage"])
def test_who_manages_may_change(system: System, path: str, scope: str) -> None:
    make_key(scopes=["message:send", scope])

    assert system.patch(path, {}).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        {"revoked_at": timezone.now()},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
        {"family": ApiKey.Family.INSIDER},
    ],
)
def test_a_key_that_is_not_valid_is_unknown(
    system: System, path: str, given: dict[str, Any]
) -> None:
    make_key(**given)

    answer = system.get(path)

    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_a_key_may_be_bound_to_addresses(system: System, path: str) -> None:
    key = make_key(addresses=["10.0.0.0/8", "2001:db8::/32"])

    assert (system.get(path).status_code, system.get(path).json()) == (403, FORBIDDEN)
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"):
        assert (
            system.client.get(path, headers=system.headers, REMOTE_ADDR=address).status_code == 200
        )

    key.addresses.append("127.0.0.1")
    key.save()

    assert system.get(path).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "App",
        "App none-of-ours",
        "App " + "x" * 2000,
        "Bearer abc",
        "IBSSO abc",
        "Basic",
        "Basic !!!",
        "Basic Y3Jt",
        "Basic /w==",
        basic("crm", "wrong"),
        basic("nobody", "open sesame"),
        basic("a\0b", "open sesame"),
        basic("crm", ""),
    ],
)
def test_whoever_is_unknown_is_refused(system: System, path: str, authorization: str) -> None:
    make_key()
    make_api_user()

    answer = system.get(path, Authorization=authorization)

    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_a_user_proves_themselves_by_a_password(system: System, path: str) -> None:
    user = make_api_user("crm", "öpen: sesame", scopes=["people:read"])
    authorization = basic("crm", "öpen: sesame")

    assert system.get(path, Authorization=authorization).status_code == 200
    assert system.patch(path, {}, Authorization=authorization).status_code == 403
    assert system.get(path, Authorization=authorization.lower()).status_code == 401

    user.enabled = False
    user.save()

    assert system.get(path, Authorization=authorization).status_code == 401


def test_a_changed_password_counts_at_once(system: System, path: str) -> None:
    make_api_user("crm", "old")
    assert system.get(path, Authorization=basic("crm", "old")).status_code == 200
    ApiUser.objects.all().delete()
    make_api_user("crm", "new")

    assert system.get(path, Authorization=basic("crm", "old")).status_code == 401
    assert system.get(path, Authorization=basic("crm", "new")).status_code == 200


def test_passwords_cannot_be_guessed_by_the_thousand(
    system: System, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_api_user("crm", "right")
    monkeypatch.setattr(keys, "MOST_PASSWORDS", 2)
    monkeypatch.setattr("api.limits.time.time", lambda: 1_700_000_000.0)

    for _ in range(2):
        assert system.get(path, Authorization=basic("crm", "wrong")).status_code == 401
    answer = system.get(path, Authorization=basic("crm", "right"))

    assert (answer.status_code, answer.json()) == (429, TOO_MANY)
    assert 1 <= int(answer["Retry-After"]) <= 60


def test_a_call_that_comes_too_often_is_put_off(
    system: System, path: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key()
    settings.CONTACT_CALLS_PER_SECOND = 2
    monkeypatch.setattr("api.limits.time.time", lambda: 1_700_000_000.0)

    assert [system.get(path).status_code for _ in range(3)] == [200, 200, 429]
    assert system.get(path)["Retry-After"] == "1"
    assert system.patch(path, {}).status_code == 200  # each call for itself

    monkeypatch.setattr("api.limits.time.time", lambda: 1_700_000_001.0)

    assert system.get(path).status_code == 200


def test_while_the_store_is_away_nothing_is_refused(
    system: System, path: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key()
    settings.CONTACT_CALLS_PER_SECOND = 1

    def away(*args: Any, **kwargs: Any) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(type(store()), "pipeline", away)

    assert [system.get(path).status_code for _ in range(3)] == [200] * 3


def test_the_last_use_of_a_key_is_known(system: System, path: str) -> None:
    key = make_key()
    system.get(path)
    key.refresh_from_db()
    first = key.last_used_at

    system.get(path)

    key.refresh_from_db()
    assert first is not None
    assert key.last_used_at == first  # not written with each call


def test_the_audit_trail_names_the_key_and_its_address(system: System, path: str) -> None:
    make_key()

    system.patch(path, {"systemData": {"registrationEnabled": False}})

    entry = AuditEntry.objects.get()
    assert (entry.actor_name, entry.address) == ("CRM (key-of-a…)", "127.0.0.1")


def test_behind_our_own_proxies_the_address_is_what_they_say(
    system: System, path: str, settings: Any
) -> None:
    make_key(addresses=["203.0.113.9"])
    settings.TRUSTED_PROXIES = 1

    def ask(forwarded: str) -> int:
        return int(system.get(path, **{"X-Forwarded-For": forwarded}).status_code)

    assert ask("198.51.100.7, 203.0.113.9") == 200
    assert ask("203.0.113.9, 198.51.100.7") == 403  # what stands before, anybody can write
    settings.TRUSTED_PROXIES = 0
    assert ask("203.0.113.9") == 403
