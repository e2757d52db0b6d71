"""api.insider.payload: what reaches the device. Section: contract/insider.md 9."""

import json
from typing import Any

import pytest

from api.insider.payload import content_of
from api.insider.schemas import notifications_of
from campaigns.rendering import read
from devices.models import Platform
from providers.apns import ApnsPayload
from providers.base import PushNotification
from providers.fcm import FcmPayload
from tests.api.insider import ITEMS, LINK, NOTIFICATION, notification


def content(given: dict[str, Any], platform: Platform) -> dict[str, Any]:
    return content_of(notifications_of({"notifications": [given]})[0], platform)


def said(given: dict[str, Any], platform: Platform, **changed: Any) -> PushNotification:
    return read({**content(given, platform), **changed})


def test_the_sample_as_an_android_gets_it() -> None:
    assert content(NOTIFICATION, Platform.ANDROID) == {
        "title": "Your push notification title goes here",
        "text": "Your push content goes here",
        "image_url": "https://your_image_url.jpg",
        "deep_link": "https://www.deeplink.useinsider",
        "browser_url": "",
        "sound": "sound_check",
        "channel_id": "1",
        "thread_id": "",
        "custom_payload": {
            "camp_id": 1,
            "camp_name": "Your push notification campaign name goes here",
            "title": "Your push notification title goes here",
            "message": "Your push content goes here",
            "image_url": "https://your_image_url.jpg",
            "type": "carousel",
            "items": ITEMS,
            "deep_link": LINK,
            "sound": "sound_check",
            "channel_id": 1,
        },
    }


def test_the_sample_as_an_iphone_gets_it() -> None:
    sent = content(NOTIFICATION, Platform.IOS)

    assert sent.pop("custom_payload") == {
        "camp_id": 1,
        "camp_name": "Your push notification campaign name goes here",
        "title": "Your push notification title goes here",
        "message": "Your push content goes here",
        "image_url": "https://your_image_url.jpg",
        "type": "carousel",
        "items": ITEMS,
        "deep_link": LINK,
        "sound": "sound_check",
        "thread-id": "13",
    }
    assert sent == {
        "title": "Your push notification title goes here",
        "text": "Your push content goes here",
        "image_url": "https://your_image_url.jpg",
        "deep_link": "https://www.deeplink.useinsider",
        "browser_url": "",
        "sound": "",
        "urgency": "low",
        "badge": 1,
        "thread_id": "13",
        "content_available": True,
        "silent": False,
    }


def aps(ios: dict[str, Any]) -> Any:
    pushed = said(notification(ios=ios), Platform.IOS, mutable_content=True)
    return json.loads(ApnsPayload(pushed)._around_id[0] + b"x" + ApnsPayload(pushed)._around_id[1])


@pytest.mark.parametrize(
    ("ios", "expected"),
    [
        ({}, {"sound": "default"}),
        ({"sound": "bell.caf"}, {"sound": "bell.caf"}),
        ({"badge": 0}, {"sound": "default", "badge": 0}),
        ({"thread-id": 13}, {"sound": "default", "thread-id": "13"}),
        ({"thread_id": 14}, {"sound": "default", "thread-id": "14"}),
        ({"deliver_silently": True}, {"interruption-level": "passive"}),
        (
            {"content-available": True, "mutable-content": True},
            {"sound": "default", "content-available": 1},
        ),
    ],
)
def test_what_ios_reads_itself(ios: dict[str, Any], expected: dict[str, Any]) -> None:
    alert = {"title": "Back in stock", "body": "Your size is here again."}

    assert aps(ios)["aps"] == {"alert": alert, "mutable-content": 1, **expected}


@pytest.mark.parametrize("name", ["thread-id", "thread_id"])
def test_a_thread_of_android_goes_with_the_data(name: str) -> None:
    sent = content(notification(android={name: 13}), Platform.ANDROID)

    assert (sent["thread_id"], sent["custom_payload"]["thread-id"]) == ("13", "13")


def test_data_for_the_background_shows_nothing() -> None:
    assert aps({"content-available": True})["aps"] == {"content-available": 1}


@pytest.mark.parametrize("kind", ["Carousel", "SLIDER"])
def test_the_type_is_told_in_small_letters(kind: str) -> None:
    payload = {"advanced_push_type": kind, "advanced_push_items": ITEMS}
    sent = content(notification(advanced_push_payload=payload), Platform.ANDROID)

    assert sent["custom_payload"]["type"] == kind.lower()


def test_a_plain_push_has_no_pictures() -> None:
    custom = content(notification(), Platform.ANDROID)["custom_payload"]

    assert custom["type"] == ""
    assert "items" not in custom


@pytest.mark.parametrize(
    ("links", "field", "value"),
    [
        ({"ins_dl_internal": "https://a.example"}, "deep_link", "https://a.example"),
        ({"ins_dl_url_scheme": "shop://sale"}, "deep_link", "shop://sale"),
        ({"ins_dl_external": "https://a.example"}, "browser_url", "https://a.example"),
    ],
)
def test_a_tap_opens_what_is_linked(links: dict[str, str], field: str, value: str) -> None:
    sent = content(notification(android={"deep_link": links}), Platform.ANDROID)

    assert sent[field] == value
    assert sent["custom_payload"]["deep_link"] == links
    assert (
        "deep_link"
        not in content(notification(android={"deep_link": links}), Platform.IOS)["custom_payload"]
    )


def big(count: int, length: int = 120) -> dict[str, Any]:
    item = {**ITEMS[0], "description": "x" * length}
    items = [{**item, "id": number} for number in range(count)]
    return notification(
        advanced_push_payload={"advanced_push_type": "slider", "advanced_push_items": items},
        image_url="https://shop.example/a.jpg",
    )


def test_many_pictures_are_fetched_where_they_leave_no_room() -> None:
    sent = content(big(20), Platform.ANDROID)

    assert "items" not in sent["custom_payload"]
    assert (len(sent["carousel"]), sent["carousel_kind"]) == (20, "slider")


@pytest.mark.parametrize("dialect", ["infobip", "own"])
@pytest.mark.parametrize("count", range(1, 21))
def test_any_carousel_fits_where_apps_can_fetch_it(count: int, dialect: str) -> None:
    for platform, payload in ((Platform.ANDROID, FcmPayload), (Platform.IOS, ApnsPayload)):
        pushed = said(
            big(count, 150),
            platform,
            dialect=dialect,
            carousel_url="https://push.example/sdk/1/carousels/0123456789abcdef0123/0/"
            if "carousel" in content(big(count, 150), platform)
            else "",
            application_name="A shop with a long name",
            bulk_id="0" * 36,
            sent_at_ms=10**12,
        )
        assert payload(pushed).size() <= 4096


def test_a_long_message_is_not_told_twice() -> None:
    sent = content(notification(message="x" * 2500), Platform.ANDROID)

    assert not {"title", "message", "image_url"} & set(sent["custom_payload"])
    assert sent["text"] == "x" * 2500
