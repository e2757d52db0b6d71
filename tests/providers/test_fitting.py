from __future__ import annotations

import itertools
import json
from typing import Any
from uuid import UUID

import pytest

from providers.apns import LIMIT as APNS_LIMIT
from providers.apns import ApnsPayload
from providers.base import CarouselItem, PayloadTooLarge, PushNotification
from providers.fcm import LIMIT as FCM_LIMIT
from providers.fcm import FcmPayload
from providers.fitting import boundaries
from tests.providers.discovery import checked

MESSAGE_ID = UUID("018f0000-0000-8000-8000-0000000000a1")
ITEMS_AT = "https://push.example.com/sdk/1/carousels/k/0/"


def make_items(count: int, *, words: int = 10) -> tuple[CarouselItem, ...]:
    return tuple(
        CarouselItem(
            id=number,
            headline=f"Coat {number}",
            description="warm " * words,
            image_url=f"https://cdn.example.com/coats/{number}.jpg",
            deep_links={"ins_dl_internal": f"https://shop.example.com/coats/{number}"},
        )
        for number in range(1, count + 1)
    )


def apns_body(**fields: Any) -> dict[str, Any]:
    body = json.loads(ApnsPayload(PushNotification(**fields)).body(MESSAGE_ID))
    assert isinstance(body, dict)
    return body


def fcm_message(**fields: Any) -> dict[str, Any]:
    body = FcmPayload(PushNotification(**fields)).body("t", "token", MESSAGE_ID, 60)
    message = checked(body)["message"]
    assert isinstance(message, dict)
    return message


def test_a_carousel_that_fits_travels_with_its_push() -> None:
    body = apns_body(text="B", carousel=make_items(2), carousel_kind="slider")

    assert body["carouselType"] == "slider"
    assert body["carousel"][1] == {
        "id": 2,
        "headline": "Coat 2",
        "description": "warm " * 10,
        "imageUrl": "https://cdn.example.com/coats/2.jpg",
        "deepLinks": {"ins_dl_internal": "https://shop.example.com/coats/2"},
    }
    assert body["aps"]["mutable-content"] == 1


def test_twenty_items_are_fetched_instead_and_the_first_picture_stays() -> None:
    many = {"text": "B", "carousel": make_items(20), "carousel_url": ITEMS_AT}
    body = apns_body(**many)
    data = fcm_message(**many)["data"]

    for told in (body, data):
        assert "carousel" not in told
        assert told["carouselUrl"] == f"{ITEMS_AT}{MESSAGE_ID}"
        assert told["imageUrl"] == "https://cdn.example.com/coats/1.jpg"


@pytest.mark.parametrize("payload", [ApnsPayload, FcmPayload])
def test_a_carousel_that_apps_cannot_fetch_is_refused(payload: Any) -> None:
    with pytest.raises(PayloadTooLarge) as refusal:
        payload(PushNotification(text="B", carousel=make_items(20)))

    assert refusal.value.field == "carousel"


def test_infobips_sdk_finds_the_carousel_in_the_custom_payload() -> None:
    fields = {
        "text": "B",
        "dialect": "infobip",
        "carousel": make_items(1),
        "custom_payload": {"order": 7},
    }
    android = json.loads(fcm_message(**fields)["data"]["org_ib_d"])["custom"]
    ios = apns_body(**fields)["customPayload"]

    assert android == ios
    assert android["order"] == 7
    assert [item["headline"] for item in android["carousel"]] == ["Coat 1"]


def test_what_android_draws_shows_the_first_picture_of_a_carousel() -> None:
    message = fcm_message(text="B", display="system", carousel=make_items(3))

    assert message["android"]["notification"]["image"] == "https://cdn.example.com/coats/1.jpg"
    assert "carousel" not in message["data"]


@pytest.mark.parametrize("payload", [ApnsPayload, FcmPayload])
def test_a_custom_payload_is_never_cut(payload: Any) -> None:
    too_much = {"words": "x" * 5000}

    with pytest.raises(PayloadTooLarge) as refusal:
        payload(PushNotification(text="B", custom_payload=too_much, may_trim=True))

    assert refusal.value.field == "custom_payload"
    assert refusal.value.size > refusal.value.limit


@pytest.mark.parametrize(("payload", "limit"), [(ApnsPayload, APNS_LIMIT), (FcmPayload, FCM_LIMIT)])
@pytest.mark.parametrize("letter", ["a", "Ж", "😀", "👩‍👩‍👧", "🇩🇪", "é"])
def test_a_text_is_cut_between_characters_where_that_is_allowed(
    payload: Any, limit: int, letter: str
) -> None:
    text = letter * 5000
    with pytest.raises(PayloadTooLarge):
        payload(PushNotification(text=text))

    cut = payload(PushNotification(text=text, may_trim=True))

    width = len(letter.encode())
    assert limit - width < cut.size() <= limit


def test_a_text_that_was_cut_says_so() -> None:
    shown = apns_body(text="Coats " * 1000, may_trim=True)["aps"]["alert"]["body"]

    assert shown.startswith("Coats Coats")
    assert shown.endswith("s…")
    assert "Coats …" not in shown


def test_a_text_that_fits_is_left_alone() -> None:
    assert apns_body(text="Coats", may_trim=True)["aps"]["alert"]["body"] == "Coats"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("ab", ["a", "b"]),
        ("e\u0301a", ["e\u0301", "a"]),
        ("👩‍👩‍👧x", ["👩‍👩‍👧", "x"]),
        ("👍🏽👍", ["👍🏽", "👍"]),
        ("🇩🇪🇫🇷!", ["🇩🇪", "🇫🇷", "!"]),
        ("❤️a", ["❤️", "a"]),
        ("नमस्ते", ["न", "म", "स्", "ते"]),
        ("\u1112\u1161\u11ab글", ["\u1112\u1161\u11ab", "글"]),
        ("\r\n\n", ["\r\n", "\n"]),
        ("🏴\U000e0067\U000e0062\U000e007fx", ["🏴\U000e0067\U000e0062\U000e007f", "x"]),
    ],
)
def test_what_a_reader_takes_for_one_character_stays_whole(text: str, parts: list[str]) -> None:
    ends = [0, *boundaries(text)]

    assert [text[start:end] for start, end in itertools.pairwise(ends)] == parts
