"""api.sdk: browsers subscribe and withdraw."""

import json
import uuid
from typing import Any

import pytest
from django.utils import timezone

from devices import subscriptions
from devices.models import Address, Platform, Provider, Registration
from tests.api.shop_pages import SUBSCRIPTIONS, Page, assert_refused, page
from tests.factories import (
    make_application,
    make_credential,
    make_registration,
    make_subscription,
    vapid_key,
)

__all__ = ["page"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


def test_a_page_learns_the_key_to_subscribe_with(page: Page) -> None:
    make_credential(page.application, Provider.WEBPUSH)

    assert page.call("GET", SUBSCRIPTIONS).json() == {"publicKey": vapid_key()["public_key"]}


@pytest.mark.parametrize("credential", [None, {"enabled": False}])
def test_without_a_key_in_use_the_page_is_told_where_to_make_one(
    page: Page, credential: dict[str, Any] | None
) -> None:
    if credential is not None:
        make_credential(page.application, Provider.WEBPUSH, **credential)

    sentence = "This application has no credential for Web Push: add one under Settings"
    assert_refused(page.call("GET", SUBSCRIPTIONS), 404, "NO_CREDENTIAL", sentence)


def test_a_browser_is_registered_with_what_it_says_of_itself(page: Page) -> None:
    kept = make_subscription()

    answer = page.post(
        SUBSCRIPTIONS,
        {
            "subscription": {**json.loads(kept), "expirationTime": None},
            "language": "de-DE",
            "timezoneOffset": 120,
            "browser": "Firefox",
            "os": "Windows",
            "osVersion": "11",
            "appVersion": "1.16.0",
            "sdkVersion": "1.0.0",
            "customAttributes": {"member": True},
        },
    )

    assert answer.status_code == 200
    address = Address.objects.get(public_id=answer.json()["registrationId"])
    device = address.registration
    assert (address.provider, address.token) == (Provider.WEBPUSH, kept)
    told = (device.platform, device.language, device.timezone_offset, device.model)
    assert told == (Platform.WEB, "de-DE", 120, "Firefox")
    assert (device.manufacturer, address.os_version, address.app_version, address.sdk_version) == (
        "Windows", "11", "1.16.0", "1.0.0",
    )  # fmt: skip
    assert device.attributes == {"member": True}
    assert device.enabled
    assert device.notifications_enabled


def test_what_a_later_call_leaves_out_stays_as_it_is(page: Page) -> None:
    first = page.subscribe(language="de", timezoneOffset=60).json()["registrationId"]
    renewed = json.loads(make_subscription())

    second = page.subscribe(first, subscription=renewed).json()["registrationId"]

    assert second == first
    address = Address.objects.get(public_id=first)
    assert subscriptions.endpoint_of(address.token) == renewed["endpoint"]
    assert (address.registration.language, address.registration.timezone_offset) == ("de", 60)


def test_the_same_browser_is_one_device_however_often_it_comes(page: Page) -> None:
    told = json.loads(make_subscription())

    ids_given = {page.subscribe(subscription=told).json()["registrationId"] for _ in range(3)}

    assert len(ids_given) == 1
    assert Registration.objects.count() == 1


def test_a_browser_that_was_gone_is_opened_again(page: Page) -> None:
    told = json.loads(make_subscription())
    page.subscribe(subscription=told)
    Address.objects.update(closed_at=timezone.now(), closed_reason=Address.Closed.UNINSTALLED)
    Registration.objects.update(enabled=False)

    page.subscribe(subscription=told)

    address = Address.objects.get()
    assert address.closed_at is None
    assert address.registration.enabled


def test_who_withdraws_its_subscription_is_reached_no_more(page: Page) -> None:
    caller = page.subscribe().json()["registrationId"]

    answer = page.post(SUBSCRIPTIONS, {"subscription": None}, pushregistrationid=caller)

    assert answer.json() == {"registrationId": caller}
    address = Address.objects.get(public_id=caller)
    assert address.token == ""
    assert not address.registration.notifications_enabled


def test_a_registration_that_we_lost_is_made_anew(page: Page) -> None:
    lost = str(uuid.uuid4())

    given = page.subscribe(lost).json()["registrationId"]

    assert given != lost
    assert Registration.objects.count() == 1


def test_a_phone_does_not_become_a_browser(page: Page) -> None:
    phone = make_registration(page.application)
    caller, token = str(phone.address.public_id), phone.address.token

    given = page.subscribe(caller).json()["registrationId"]
    withdrawn = page.post(SUBSCRIPTIONS, {"subscription": None}, pushregistrationid=caller)

    assert given != caller
    assert withdrawn.status_code == 404
    phone.refresh_from_db()
    assert (phone.platform, phone.address.token) == (Platform.ANDROID, token)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"subscription": "x"}, "subscription should be object"),
        (
            {"subscription": {"endpoint": "https://evil.example/x", "keys": {}}},
            "subscription.endpoint should be on a push service that this installation knows",
        ),
        (
            {"subscription": {"endpoint": "https://127.0.0.1/x", "keys": {}}},
            "subscription.endpoint should be at a host with a name, not an address in digits",
        ),
        (
            {"subscription": {"endpoint": "http://fcm.googleapis.com/x", "keys": {}}},
            "subscription.endpoint should be an https:// address as the browser gave it, port 443",
        ),
        (
            {"subscription": {"endpoint": "https://fcm.googleapis.com/x"}},
            "subscription.keys should be an object with p256dh and auth",
        ),
        (
            {"subscription": {"endpoint": "https://fcm.googleapis.com/x", "keys": {"auth": "x"}}},
            "subscription.keys.auth should be 16 bytes in base64url",
        ),
        (
            {"subscription": None},
            "subscription should be an object, unless pushregistrationid says whose it was",
        ),
        ({"timezoneOffset": 900}, "timezoneOffset should be minutes east of UTC, at most 840"),
        ({"language": "d\0e"}, "language should be a string without NUL"),
        ({"customAttributes": {"x": [1]}}, None),
    ],
)
def test_a_subscription_that_cannot_be_kept_names_the_member(
    page: Page, members: dict[str, Any], message: str | None
) -> None:
    answer = page.subscribe(**members)

    if message is None:  # the words are those of devices.attributes
        told = answer.json()["error"]
        assert (answer.status_code, told["code"]) == (400, "BAD_REQUEST")
        assert told["message"].startswith("customAttributes.x should be ")
    else:
        assert_refused(answer, 400, "BAD_REQUEST", message)
    assert not Registration.objects.exists()


def test_nobody_withdraws_the_subscription_of_an_unknown_device(page: Page) -> None:
    answer = page.post(SUBSCRIPTIONS, {"subscription": None}, pushregistrationid=str(uuid.uuid4()))

    assert_refused(answer, 404, "NO_REGISTRATION", "Registration not found")


def test_a_device_of_another_application_is_unknown_here(page: Page) -> None:
    caller = page.subscribe().json()["registrationId"]

    answer = Page(make_application()).post(
        SUBSCRIPTIONS, {"subscription": None}, pushregistrationid=caller
    )

    assert answer.status_code == 404
    assert Address.objects.get(public_id=caller).token
