"""Browsers' subscriptions: which are kept, in which spelling, and what makes them the same."""

import json
from typing import Any

import pytest

from devices import finding, normalizing, registering, subscriptions
from devices.errors import SubscriptionError, TokenError
from devices.models import Address, Platform, Provider
from devices.registering import Device
from providers.webpush import subscription
from tests.factories import make_application, make_registration, make_subscription
from tests.providers.test_webpush_subscription import GOOD, HOSTILE

GOOD_ENDPOINT = GOOD[0]


def told(endpoint: object = GOOD_ENDPOINT, **keys: object) -> str:
    known: dict[str, Any] = json.loads(make_subscription())
    return json.dumps({"endpoint": endpoint, "keys": {**known["keys"], **keys}})


def refused(text: str) -> SubscriptionError:
    with pytest.raises(SubscriptionError) as refusal:
        normalizing.token(Provider.WEBPUSH, text)
    return refusal.value


@pytest.mark.parametrize("endpoint", GOOD)
def test_endpoints_of_known_push_services_are_kept(endpoint: str) -> None:
    kept = normalizing.token(Provider.WEBPUSH, told(endpoint))

    assert json.loads(kept)["endpoint"] == endpoint
    assert subscriptions.endpoint_of(kept) == endpoint
    subscription.read(kept)  # and what sends agrees


@pytest.mark.parametrize("endpoint", [*HOSTILE, None, 7, ["https://fcm.googleapis.com/x"]])
def test_an_endpoint_that_may_not_be_called_is_refused_by_its_name(endpoint: object) -> None:
    refusal = refused(told(endpoint))

    assert refusal.field == "endpoint"
    assert isinstance(refusal, TokenError)
    assert "endpoint" in str(refusal)


def test_both_ends_know_the_same_push_services() -> None:
    assert subscriptions.HOSTS == subscription.HOSTS


def test_a_setting_lets_other_push_services_in(settings: Any) -> None:
    settings.WEBPUSH_EXTRA_HOSTS = ["push.example.org", "*.push.example.net"]

    for good in ("https://push.example.org/x", "https://a.push.example.net/x"):
        normalizing.token(Provider.WEBPUSH, told(good))
    assert refused(told("https://push.example.net/x")).field == "endpoint"
    assert refused(told("https://127.0.0.1/x")).field == "endpoint"


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"auth": ""}, "keys.auth"),
        ({"auth": None}, "keys.auth"),
        ({"auth": "AAAA"}, "keys.auth"),
        ({"auth": "A" * 21}, "keys.auth"),
        ({"p256dh": ""}, "keys.p256dh"),
        ({"p256dh": 7}, "keys.p256dh"),
        ({"p256dh": "B" + "_" * 86}, "keys.p256dh"),
        ({"p256dh": "A" * 87}, "keys.p256dh"),
    ],
)
def test_keys_that_no_browser_has_are_refused_by_their_name(
    keys: dict[str, object], field: str
) -> None:
    assert refused(told(**keys)).field == field


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", "null", '{"keys": 1}', "[" * 100_000])
def test_what_is_no_subscription_is_refused(text: str) -> None:
    refused(text)


def test_a_subscription_has_one_spelling() -> None:
    known = json.loads(make_subscription())
    padded = {name: value + "=" * (-len(value) % 4) for name, value in known["keys"].items()}
    other = {"expirationTime": None, "keys": padded, "endpoint": known["endpoint"], "x": [1]}

    kept = normalizing.token(Provider.WEBPUSH, json.dumps(other, indent=2))

    assert kept == json.dumps(known, separators=(",", ":"))
    assert normalizing.token(Provider.WEBPUSH, kept) == kept


@pytest.mark.parametrize("token", ["", "abc", '{"endpoint":"', '{"endpoint":', "{}"])
def test_other_tokens_have_no_endpoint(token: str) -> None:
    assert subscriptions.endpoint_of(token) == ""


@pytest.mark.django_db
def test_the_same_endpoint_is_the_same_registration_whatever_its_keys() -> None:
    application = make_application()
    first = registering.register(application, Device(platform=Platform.WEB, token=told()))

    again = registering.register(application, Device(platform=Platform.WEB, token=told()))

    assert again.pk == first.pk
    address = Address.objects.get()
    assert (address.provider, address.registration.platform) == (Provider.WEBPUSH, Platform.WEB)
    assert address.token_digest is not None
    assert bytes(address.token_digest) == normalizing.digest(address.token)


@pytest.mark.django_db
def test_new_keys_of_an_own_endpoint_are_taken_and_the_registration_stays_open() -> None:
    application = make_application()
    device = registering.register(application, Device(platform=Platform.WEB, token=told()))
    newer = normalizing.token(Provider.WEBPUSH, told())

    registering.refresh(application, device.address.public_id, Device(token=newer))

    address = Address.objects.select_related("registration").get()
    assert (address.token, address.closed_at, address.registration.enabled) == (newer, None, True)


@pytest.mark.django_db
def test_a_browser_is_found_by_its_endpoint() -> None:
    device = make_registration(make_application(), platform=Platform.WEB)
    endpoint = subscriptions.endpoint_of(device.address.token)

    for typed in (endpoint, device.address.token, device.address.token[-8:]):
        assert finding.find(device.application, typed).keys == [device.pk]
