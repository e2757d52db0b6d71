"""Pages of the keys and users with which other systems call."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from devices import access
from devices.models import ApiKey, ApiUser, AuditEntry, Role
from tests.factories import make_application, signed_in

pytestmark = pytest.mark.django_db

TYPED = {"name": "CRM", "family": "infobip", "scopes": ["people:read"]}
OTHERS = [role for role in Role if role != Role.ADMINISTRATOR]


@pytest.fixture
def client() -> Client:
    return signed_in(make_application(), Role.ADMINISTRATOR)


def secret_in(page: Any) -> str:
    """What the button of the page copies last: the key or the password."""
    return unescape(re.findall(r'data-copy="([^"]+)"', page.content.decode())[-1])


def make(client: Client, **given: Any) -> Any:
    return client.post(reverse("devices:access-key-new"), TYPED | given)


def errors(page: Any) -> str:
    assert page.status_code == 422
    return unescape(
        " ".join(re.findall(r'class="errorlist[^>]*>(.*?)</ul>', page.content.decode()))
    )


def test_a_new_key_is_shown_once_and_kept_as_a_digest(client: Client) -> None:
    page = make(client, addresses="203.0.113.7\n10.1.2.3/8", expires_on="2099-12-31")

    secret = secret_in(page)
    key = ApiKey.objects.get()
    assert bytes(key.digest) == access.digest_of(secret)
    assert len(secret) >= 40
    assert (key.name, key.scopes) == ("CRM", ["people:read"])
    assert key.addresses == ["203.0.113.7/32", "10.0.0.0/8"]
    assert key.expires_at is not None
    assert key.expires_at.isoformat() == "2100-01-01T00:00:00+00:00"
    assert page.headers["Cache-Control"].startswith("max-age=0")
    listed = client.get(reverse("devices:access")).content.decode()
    assert secret not in listed
    assert f"{secret[:8]}…" in listed
    entry = AuditEntry.objects.get(action="make API key")
    assert secret not in str(entry.after)


def test_buttons_that_change_a_key_name_it(client: Client) -> None:
    make(client, name="CRM & shop")
    page = client.get(reverse("devices:access-key", args=[ApiKey.objects.get().pk]))
    shown = unescape(page.content.decode())
    for dialog, word in (("replace-key", "Replace"), ("revoke-key", "Revoke")):
        assert f'data-dialog="{dialog}" aria-label="{word} CRM & shop"' in shown


def test_the_key_opens_the_api_until_it_is_revoked(client: Client) -> None:
    secret = secret_in(make(client))
    headers = {"Authorization": f"App {secret}"}
    path = "/people/2/persons?externalId=1"
    assert client.get(path, headers=headers).status_code == 200

    client.post(reverse("devices:access-key-revoke", args=[ApiKey.objects.get().pk]))

    assert client.get(path, headers=headers).status_code == 401
    assert "Revoked" in client.get(reverse("devices:access")).content.decode()


def test_a_system_may_keep_the_key_that_it_has(client: Client) -> None:
    old = "a-key-from-somewhere-else-0001"

    assert secret_in(make(client, secret=old)) == old

    again = make(client, secret=old)
    assert "here already" in errors(again)
    assert ApiKey.objects.count() == 1


def test_a_replaced_key_works_for_one_more_day(client: Client) -> None:
    first = secret_in(make(client))
    old = ApiKey.objects.get()

    second = secret_in(client.post(reverse("devices:access-key-replace", args=[old.pk])))

    old.refresh_from_db()
    fresh = ApiKey.objects.exclude(pk=old.pk).get()
    assert second != first
    assert (fresh.name, fresh.scopes, fresh.expires_at) == (old.name, old.scopes, None)
    assert old.expires_at is not None
    assert abs(old.expires_at - timezone.now() - timedelta(days=1)) < timedelta(minutes=1)


def test_a_key_that_is_over_cannot_be_replaced(client: Client) -> None:
    make(client)
    key = ApiKey.objects.get()
    client.post(reverse("devices:access-key-revoke", args=[key.pk]))

    client.post(reverse("devices:access-key-replace", args=[key.pk]))

    assert ApiKey.objects.count() == 1


def test_changing_a_key_leaves_its_secret_alone(client: Client) -> None:
    make(client)
    key = ApiKey.objects.get()
    digest = bytes(key.digest)

    client.post(
        reverse("devices:access-key", args=[key.pk]),
        {"name": "Shop", "scopes": ["people:manage"], "addresses": ""},
    )

    key.refresh_from_db()
    assert (key.name, key.scopes, key.expires_at) == ("Shop", ["people:manage"], None)
    assert bytes(key.digest) == digest
    entry = AuditEntry.objects.get(action="change API key")
    assert (entry.before["name"], entry.after["name"]) == ("CRM", "Shop")  # type: ignore[index]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": ""}, "Fill in"),
        ({"scopes": []}, "Choose at least one"),
        ({"scopes": ["root"]}, "not one of the available choices"),
        ({"addresses": "somewhere"}, "“somewhere” is no address"),
        ({"addresses": "10.0.0.0/33"}, "“10.0.0.0/33” is no address"),
        ({"addresses": "\n".join(f"10.0.0.{n}" for n in range(101))}, "At most 100"),
        ({"expires_on": "2020-01-01"}, "This day is over"),
        ({"expires_on": "soon"}, "valid date"),
        ({"secret": "short"}, "Too short"),
        ({"secret": "x" * 20 + " y"}, "A header cannot carry this"),
        ({"secret": "ключ" * 10}, "A header cannot carry this"),
        ({"family": "insider", "insider_addresses": "here"}, "“here” is no address"),
        ({"family": "insider", "application": 0}, "not one of the available choices"),
    ],
)
def test_what_cannot_be_kept_is_said_beside_the_field(
    client: Client, given: dict[str, Any], says: str
) -> None:
    assert says in errors(make(client, **given))
    assert not ApiKey.objects.exists()


def test_a_key_of_insiders_reaches_all_applications_or_one_and_has_no_scopes(
    client: Client,
) -> None:
    application = make_application(name="Courier")
    page = client.get(reverse("devices:access-key-new"))
    assert page.context["form"]["insider_addresses"].initial == "127.0.0.1"

    make(client, family="insider", insider_addresses="127.0.0.1", scopes=[])
    key = ApiKey.objects.get()
    assert (key.family, key.application, key.scopes) == ("insider", None, [])
    assert key.addresses == ["127.0.0.1/32"]

    make(client, family="insider", application=application.pk, addresses="10.0.0.1", scopes=[])
    key = ApiKey.objects.order_by("pk").last()  # type: ignore[assignment]
    assert (key.application, key.addresses) == (application, [])  # the other API's list is not its


def test_a_user_logs_in_with_the_password_that_was_shown(client: Client) -> None:
    url = reverse("devices:access-user-new")
    page = client.post(url, {"username": "crm", "scopes": ["people:read"]})

    user = ApiUser.objects.get()
    first = secret_in(page)
    assert check_password(first, user.password)

    again = client.post(url, {"username": "crm", "scopes": ["people:read"]})
    assert "already" in errors(again)
    assert "no colon" in errors(client.post(url, {"username": "a:b", "scopes": ["people:read"]}))

    second = secret_in(client.post(reverse("devices:access-user-renew", args=[user.pk])))
    user.refresh_from_db()
    assert check_password(second, user.password)
    assert not check_password(first, user.password)


def test_a_user_is_switched_off_and_on(client: Client) -> None:
    client.post(reverse("devices:access-user-new"), {"username": "crm", "scopes": ["people:read"]})
    user = ApiUser.objects.get()
    url = reverse("devices:access-user-switch", args=[user.pk])

    for enabled in (False, True):
        client.post(url, {"enabled": "1" if enabled else "0"})
        user.refresh_from_db()
        assert user.enabled == enabled
    assert AuditEntry.objects.filter(action__endswith="API user").count() == 3


@pytest.mark.parametrize("role", OTHERS)
def test_only_administrators_deal_with_keys(role: Role) -> None:
    client = signed_in(make_application(), role)

    assert client.get(reverse("devices:access")).status_code == 403
    assert make(client).status_code == 403
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({}, "valid"),
        ({"expires_at": timezone.now() + timedelta(days=30)}, "valid"),
        ({"expires_at": timezone.now() + timedelta(days=2)}, "ending"),
        ({"expires_at": timezone.now() - timedelta(days=2)}, "expired"),
        ({"revoked_at": timezone.now()}, "revoked"),
    ],
)
def test_the_state_of_a_key_follows_its_times(given: dict[str, Any], state: str) -> None:
    assert access.state_of(ApiKey(**given), timezone.now()) == state
