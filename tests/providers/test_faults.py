from __future__ import annotations

from typing import Any

import pytest

from providers.base import CarouselItem, PushNotification
from providers.faults import faults

EVERY_CLOUD = {"fcm", "apns", "hms", "webpush"}


def fields_of(clouds: set[str] | None = None, **said: Any) -> list[str]:
    found = faults(PushNotification(**said), EVERY_CLOUD if clouds is None else clouds)
    assert all(fault.problem.endswith(".") for fault in found)
    return [fault.field for fault in found]


def make_item(number: int = 1, **changes: Any) -> CarouselItem:
    said = {"id": number, "headline": "Coat", "image_url": "https://cdn.example.com/1.jpg"}
    return CarouselItem(**{**said, **changes})


def test_an_ordinary_notification_has_no_fault() -> None:
    assert not fields_of(
        text="B",
        image_url="https://cdn/x.png",
        deep_link="shop://sale",
        web_view_url="http://shop.example/",
        badge=0,
        in_app_style="MODAL",
        in_app_expires_in=0,
        custom_payload={"order": {"from": 7, "aps": 1}, "fromage": None},
        carousel=tuple(make_item(number) for number in range(20)),
    )


@pytest.mark.parametrize("key", ["from", "message_type", "collapse_key", "google.x", "gcm", "gcmx"])
def test_keys_that_google_keeps_for_itself(key: str) -> None:
    assert fields_of(custom_payload={key: 1}) == ["custom_payload"]
    assert not fields_of({"apns"}, custom_payload={key: 1})
    deep_linked = (make_item(deep_links={key: "https://shop.example/"}),)
    assert fields_of(carousel=deep_linked) == ["carousel[0].deep_links"]


def test_the_key_that_apple_keeps_for_itself() -> None:
    assert fields_of(custom_payload={"aps": {}}) == ["custom_payload"]
    assert not fields_of({"fcm"}, custom_payload={"aps": {}})
    deep_linked = (make_item(1), make_item(2, deep_links={"aps": "x"}))
    assert fields_of(carousel=deep_linked) == ["carousel[1].deep_links"]


@pytest.mark.parametrize(
    "url", ["http://cdn.example/x.png", "ftp://x", "x.png", "https://", "https://a b/", "https://["]
)
def test_an_image_comes_over_https(url: str) -> None:
    assert fields_of(image_url=url) == ["image_url"]
    assert fields_of(carousel=(make_item(image_url=url),)) == ["carousel[0].image_url"]


def test_a_browser_cannot_be_silent() -> None:
    assert fields_of(silent=True) == ["silent"]
    assert not fields_of({"fcm", "apns"}, silent=True)


def test_a_carousel_has_at_most_twenty_different_items() -> None:
    assert fields_of(carousel=tuple(make_item(number) for number in range(21))) == ["carousel"]
    assert fields_of(carousel=(make_item(1), make_item(1))) == ["carousel"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("badge", -1),
        ("badge", 2**31),
        ("in_app_expires_in", -1),
        ("browser_url", "shop://sale"),
        ("web_view_url", "javascript:alert(1)"),
        ("deep_link", "sale"),
        ("custom_payload", {"price": float("nan")}),
        ("custom_payload", {"day": object()}),
    ],
)
def test_values_that_no_cloud_takes(field: str, value: Any) -> None:
    assert fields_of(text="B", **{field: value}) == [field]


def test_a_custom_key_may_not_hide_the_carousel() -> None:
    custom = {"carousel": 1, "carouselUrl": 2}

    assert not fields_of(custom_payload=custom)
    assert fields_of(custom_payload=custom, carousel=(make_item(),)) == ["custom_payload"] * 2
