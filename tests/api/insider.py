"""What tests of Insider's APIs share: its sample request, and a system that calls."""

import copy
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from devices.models import (
    Address,
    ApiKey,
    Application,
    Platform,
    Provider,
    ProviderCredential,
    Registration,
)
from tests.api import documented
from tests.api.systems import make_key
from tests.factories import make_application, make_credential, make_person, make_registration

SEND = "/api/v2/notification/user"
STATISTICS = "/api/v1/notification/get_statistics"
MESSAGES = "/api/message_center/v1"
KEY = "insider-key-of-a-shop"
BOTH = (Platform.ANDROID, Platform.IOS)

ITEMS = [
    {
        "image_url": "https://your_image_url.jpg",
        "deep_links": {"your_deeplink_key": f"value{number}"},
        "description": f"Description for the item {number}",
        "headline": f"Title for the item {number}",
        "id": number,
    }
    for number in (1, 2, 3)
]
LINK = {"ins_dl_internal": "https://www.deeplink.useinsider"}
NOTIFICATION: dict[str, Any] = {
    "identifiers": {
        "INSIDER.email": "example@gmail.com",
        "INSIDER.phone_number": "+9059713551597135123",
        "INSIDER.uuid": "5971351231234567",
    },
    "advanced_push_payload": {"advanced_push_type": "carousel", "advanced_push_items": ITEMS},
    "camp_id": 1,
    "camp_name": "Your push notification campaign name goes here",
    "title": "Your push notification title goes here",
    "message": "Your push content goes here",
    "image_url": "https://your_image_url.jpg",
    "ttl": 1,
    "check_optin": True,
    "android": {"channel_id": 1, "sound": "sound_check", "deep_link": LINK},
    "ios": {
        "thread-id": 13,
        "badge": 1,
        "deliver_silently": True,
        "mutable-content": True,
        "sound": "sound_check",
        "content-available": True,
        "deep_link": LINK,
    },
}
# In the vendor's order; carrier and idfa stand there twice.
ATTRIBUTES = [
    f"INSIDER.{name}"
    for name in (
        "carrier", "idfa", "name", "surname", "gender", "age", "birthday", "email",
        "phone_number", "language", "email_optin", "sms_optin", "push_optin", "location_optin",
        "insider_id", "environment", "idfa", "device_token", "udid", "model", "carrier",
        "app_version", "os_version", "screen_width", "screen_height", "platform", "timezone",
        "device_language", "sdk_version", "last_ip", "package_name",
    )
]  # fmt: skip


def notification(**changed: Any) -> dict[str, Any]:
    """A simple push; None leaves a member out."""
    simple = {
        "identifiers": {"uuid": "ana"},
        "camp_id": 7,
        "camp_name": "Back in stock",
        "title": "Back in stock",
        "message": "Your size is here again.",
    }
    return {name: value for name, value in {**simple, **changed}.items() if value is not None}


def sample() -> dict[str, Any]:
    """The request of the vendor's page, as it stands there."""
    return {
        "api_key": KEY,
        "report_attributes": list(ATTRIBUTES),
        "notifications": [copy.deepcopy(NOTIFICATION)],
    }


def make_insider_key(application: Application | None = None, **given: Any) -> ApiKey:
    told = {"family": ApiKey.Family.INSIDER, "addresses": ["127.0.0.1"], "scopes": []}
    return make_key(KEY, application=application, **{**told, **given})


def connect(application: Application, *platforms: Platform) -> list[ProviderCredential]:
    """Credentials for some platforms' clouds."""
    clouds = {Platform.ANDROID: Provider.FCM, Platform.IOS: Provider.APNS}
    return [make_credential(application, clouds[each]) for each in platforms]


class Caller:
    """A system that calls Insider's APIs."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.address = address

    def post(self, path: str, body: Any, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body)
        answer = self.client.generic(
            "POST",
            path,
            data,
            content_type="application/json",
            headers=headers,
            REMOTE_ADDR=self.address,
        )
        documented.check("POST", path, answer, body)
        return answer

    def send(self, *notifications: dict[str, Any], **members: Any) -> Any:
        body = {"api_key": KEY, "notifications": list(notifications), **members}
        return self.post(SEND, body)


@pytest.fixture
def shop() -> Application:
    """An application with credentials, and a key for all applications."""
    make_insider_key()
    application = make_application()
    connect(application, *BOTH)
    return application


@pytest.fixture
def caller() -> Caller:
    return Caller()


def make_ana(shop: Application, **given: Any) -> Registration:
    """Somebody with a device."""
    person = make_person(external_id="ana", email="ana@example.com", phone="385981234567")
    return make_registration(shop, person=person, **given)


def seen(device: Registration, *, days_ago: int) -> None:
    at = timezone.now() - timedelta(days=days_ago)
    Address.objects.filter(registration=device).update(last_contact_at=at)
