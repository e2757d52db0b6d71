"""api.mobile_messages: how a message reads on each platform (contract/mobile-sdk.md 4.1, 5)."""

import json
from typing import Any

import pytest

from devices.models import Platform
from tests.api.apps import App
from tests.api.phones import STARTS, Phone, make_message, make_sent
from tests.factories import make_bulk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

FULL: dict[str, Any] = {
    "title": "Hi",
    "text": "Order shipped",
    "image_url": "https://cdn.example/i.jpg",
    "sound": "bell.caf",
    "vibrate": False,
    "badge": 3,
    "category": "mm_accept_decline",
    "content_available": True,
    "in_app_style": "MODAL",
    "in_app_expires_in": 3600,
    "in_app_open_title": "Show",
    "in_app_dismiss_title": "Later",
    "inbox_topic": "offers",
    "deep_link": "shop://orders/7",
    "browser_url": "https://shop.example/7",
    "web_view_url": "https://shop.example/7/view",
    "custom_payload": {"orderId": 7},
}
SENT_MS = int(STARTS.timestamp() * 1000)
INTERNAL: dict[str, Any] = {
    "sendDateTime": SENT_MS,
    "bulkId": "my-bulk",
    "atts": [{"url": "https://cdn.example/i.jpg", "t": "image"}],
    "deeplink": "shop://orders/7",
    "browserUrl": "https://shop.example/7",
    "webViewUrl": "https://shop.example/7/view",
    "inbox": {"topic": "offers"},
    "inAppExpiryDateTime": SENT_MS + 3_600_000,
    "inAppOpenTitle": "Show",
    "inAppDismissTitle": "Later",
}


def readable(item: dict[str, Any]) -> dict[str, Any]:
    """An item for Android with its JSON texts read; all its values are strings."""
    assert all(isinstance(value, str) for value in item.values())
    texts = ("internalData", "customPayload")
    return {name: json.loads(item[name]) if name in texts else item[name] for name in item}


def test_an_android_app_gets_every_option_as_strings(app: App, phone: Phone) -> None:
    identifier = make_message(make_sent(app, **FULL), phone.device)

    (item,) = phone.sync()

    assert readable(item) == {
        "gcm.notification.messageId": identifier,
        "gcm.notification.title": "Hi",
        "gcm.notification.body": "Order shipped",
        "gcm.notification.sound": "bell.caf",
        "gcm.notification.vibrate": "false",
        "gcm.notification.silent": "false",
        "gcm.notification.category": "mm_accept_decline",
        "customPayload": {"orderId": 7},
        "internalData": {**INTERNAL, "inAppStyle": "MODAL"},
    }


def test_an_ios_app_gets_what_apple_would_have_brought(app: App) -> None:
    phone = Phone(app, platform=Platform.IOS)
    identifier = make_message(make_sent(app, **FULL), phone.device)

    assert phone.sync() == [
        {
            "aps": {
                "alert": {"title": "Hi", "body": "Order shipped"},
                "badge": 3,
                "sound": "bell.caf",
                "category": "mm_accept_decline",
                "mutable-content": 1,
                "content-available": 1,
            },
            "messageId": identifier,
            "internalData": {**INTERNAL, "inAppStyle": 0},
            "customPayload": {"orderId": 7},
        }
    ]


def test_what_is_not_said_is_left_out(app: App, phone: Phone) -> None:
    identifier = make_message(make_sent(app, sound=""), phone.device)

    (item,) = phone.sync()

    assert readable(item) == {
        "gcm.notification.messageId": identifier,
        "gcm.notification.title": app.application.name,
        "gcm.notification.body": "Order shipped",
        "gcm.notification.vibrate": "true",
        "gcm.notification.silent": "false",
        "internalData": {"sendDateTime": SENT_MS, "bulkId": "my-bulk"},
    }


def test_a_silent_message_carries_its_text_inside(app: App) -> None:
    android, ios = Phone(app), Phone(app, platform=Platform.IOS)
    bulk = make_sent(app, silent=True, title="Hi", category="news")
    first, second = make_message(bulk, android.device), make_message(bulk, ios.device)
    silent = {"title": "Hi", "body": "Order shipped", "sound": "default", "category": "news"}
    internal = {"sendDateTime": SENT_MS, "bulkId": "my-bulk"}

    (item,) = android.sync()

    assert readable(item) == {
        "gcm.notification.messageId": first,
        "gcm.notification.vibrate": "true",
        "gcm.notification.silent": "true",
        "internalData": {**internal, "silent": {**silent, "vibrate": True}},
    }
    assert ios.sync() == [
        {
            "aps": {"content-available": 1},
            "messageId": second,
            "internalData": {**internal, "silent": silent},
        }
    ]


def test_a_banner_is_named_for_android_and_numbered_for_ios(app: App) -> None:
    android, ios = Phone(app), Phone(app, platform=Platform.IOS)
    bulk = make_sent(app, in_app_style="BANNER")
    for each in (android, ios):
        make_message(bulk, each.device)

    styles = json.loads(android.sync()[0]["internalData"]), ios.sync()[0]["internalData"]

    assert [each["inAppStyle"] for each in styles] == ["BANNER", 1]


def test_a_huawei_phone_is_answered_like_android(app: App) -> None:
    phone = Phone(app, platform=Platform.HUAWEI)
    make_message(make_sent(app), phone.device)
    android = phone.sync()

    phone.type = "HMS"

    assert phone.sync() == android


def test_each_device_gets_the_content_of_its_language(app: App, phone: Phone) -> None:
    bulk = make_bulk(
        app.application,
        content=[
            {"language": "", "variant": 0, "text": "Sale"},
            {"language": "de", "variant": 0, "text": "Ausverkauf"},
        ],
    )
    make_message(bulk, phone.device, language="de-AT")

    assert [each["gcm.notification.body"] for each in phone.sync()] == ["Ausverkauf"]
