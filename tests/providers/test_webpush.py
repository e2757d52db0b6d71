"""providers.webpush: what a push service is sent."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from providers.base import (
    Addressed,
    CarouselItem,
    Cause,
    CredentialError,
    Network,
    NotPossible,
    Outcome,
    PayloadTooLarge,
    PushNotification,
    Verdict,
)
from providers.webpush import WebPushPayload, WebPushProvider
from providers.webpush.encryption import LARGEST_BODY, LARGEST_PLAINTEXT
from tests.providers.browsers import MOZILLA, Browser
from tests.providers.push_services import Wire, provider, send

V, C = Verdict, Cause
MESSAGE_ID = UUID("018f0000-0000-8000-8000-0000000000a1")


def received(ttl: int = 3600, **fields: Any) -> tuple[dict[str, Any], httpx.Request]:
    """What the browser reads of a notification, and the request that carried it."""
    wire, browser = Wire(), Browser()
    payload = WebPushPayload(PushNotification(**fields))

    async def work() -> None:
        web = provider(wire)
        await web.send([Addressed(payload, MESSAGE_ID, browser.token, ttl=ttl)])
        await web.close()

    asyncio.run(work())
    [request] = wire.requests
    told = json.loads(browser.decrypt(request.content))
    assert isinstance(told, dict)
    return told, request


def test_a_request_as_push_services_want_it() -> None:
    browser = Browser(f"https://{MOZILLA}/wpush/v2/abc?x=1")
    wire = Wire()

    [outcome] = send(wire, browser, ttl=86_400, urgency="normal")

    [request] = wire.requests
    assert request.method == "POST"
    assert request.url.raw_path == b"/wpush/v2/abc?x=1"
    told = {name: request.headers.get(name) for name in (
        "host", "ttl", "urgency", "topic", "content-encoding", "content-type", "x-wns-type"
    )}  # fmt: skip
    assert told == {
        "host": MOZILLA,
        "ttl": "86400",
        "urgency": "normal",
        "topic": None,
        "content-encoding": "aes128gcm",
        "content-type": "application/octet-stream",
        "x-wns-type": None,
    }
    assert request.headers["authorization"].startswith("vapid t=")
    assert outcome == Outcome(verdict=V.ACCEPTED, status=201, provider_id="77")


def test_what_the_browser_reads() -> None:
    told, _ = received(
        title="Sale",
        text="Heute nur: -30 % 🎉",
        image_url="https://cdn.example/x.png",
        badge=0,
        category="mm_accept_decline",
        browser_url="https://shop.example/sale",
        custom_payload={"order": 7, "nested": {"ok": True}},
        collapse_key="score",
        thread_id="orders",
        channel_id="promo",
        in_app_style="MODAL",
        application_name="Shop",
    )

    assert told == {
        "title": "Sale",
        "body": "Heute nur: -30 % 🎉",
        "image": "https://cdn.example/x.png",
        "tag": "score",
        "renotify": True,
        "actions": [
            {"action": "mm_accept", "title": "Accept"},
            {"action": "mm_decline", "title": "Decline"},
        ],
        "data": {
            "messageId": str(MESSAGE_ID),
            "url": "https://shop.example/sale",
            "badge": 0,
            "category": "mm_accept_decline",
            "customPayload": {"order": 7, "nested": {"ok": True}},
        },
    }


def test_a_plain_text_says_nothing_else() -> None:
    told, request = received(text="Hi", application_name="Shop")

    assert told == {
        "title": "Shop",
        "body": "Hi",
        "tag": str(MESSAGE_ID),
        "data": {"messageId": str(MESSAGE_ID)},
    }
    assert request.headers["urgency"] == "high"


def test_sound_and_vibration() -> None:
    assert received(text="x", sound="")[0]["silent"] is True
    assert received(text="x", vibrate=False)[0]["vibrate"] == []
    # Browsers throw on both together, and a quiet one must not call again.
    quiet = received(text="x", sound="", vibrate=False, collapse_key="k")[0]
    assert "vibrate" not in quiet
    assert "renotify" not in quiet


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"deep_link": "shop://sale"}, "shop://sale"),
        ({"web_view_url": "https://a.example"}, "https://a.example"),
        ({"browser_url": "https://b.example"}, "https://b.example"),
        ({"deep_link": "shop://sale", "browser_url": "https://b.example"}, "https://b.example"),
    ],
)
def test_a_tap_opens_what_a_browser_can_open_best(given: dict[str, Any], url: str) -> None:
    assert received(text="x", **given)[0]["data"]["url"] == url


@pytest.mark.parametrize("key", ["camp17-889c", "a" * 32])
def test_a_topic_is_the_collapse_key_where_that_can_be_one(key: str) -> None:
    told, request = received(text="x", collapse_key=key)

    assert (told["tag"], request.headers["topic"]) == (key, key)


@pytest.mark.parametrize("key", ["a" * 33, "two words", "два\r\nx: y"])
def test_a_topic_is_a_digest_of_32_letters_where_it_cannot(key: str) -> None:
    told, request = received(text="x", collapse_key=key)

    digest = base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()).decode()
    assert (told["tag"], request.headers["topic"]) == (key, digest[:32])


def test_a_repeat_replaces_its_twin_where_that_is_asked_for() -> None:
    assert received(text="x", replace_twin=True)[1].headers["topic"] == MESSAGE_ID.hex
    assert "topic" not in received(text="x")[1].headers
    both = received(text="x", replace_twin=True, collapse_key="k")[1]
    assert both.headers["topic"] == "k"


@pytest.mark.parametrize(("ttl", "said"), [(0, "0"), (-5, "0"), (30, "30")])
def test_time_to_live_is_what_is_left(ttl: int, said: str) -> None:
    assert received(ttl, text="x")[1].headers["ttl"] == said


def test_microsoft_is_told_what_it_asks_for() -> None:
    wire = Wire()
    browser = Browser("https://wns2-par02p.notify.windows.com/w/?token=BQ%3d")

    send(wire, browser, ttl=60)
    send(wire, browser, ttl=0)

    said = [(r.headers["x-wns-type"], r.headers["x-wns-cache-policy"]) for r in wire.requests]
    assert said == [("wns/raw", "cache"), ("wns/raw", "no-cache")]
    assert wire.requests[0].url.raw_path == b"/w/?token=BQ%3d"


@pytest.mark.parametrize("letter", ["x", "ж", "🎉"], ids=["latin", "cyrillic", "emoji"])
def test_the_largest_body_is_4096_bytes_in_any_script(letter: str) -> None:
    bare = WebPushPayload(PushNotification(text="x")).size() - 1
    room = LARGEST_PLAINTEXT - bare
    width = len(letter.encode())
    text = letter * (room // width) + "x" * (room % width)

    payload = WebPushPayload(PushNotification(text=text))
    _, request = received(text=text)

    assert payload.size() == LARGEST_PLAINTEXT
    assert len(request.content) == LARGEST_BODY
    with pytest.raises(PayloadTooLarge) as refused:  # the body would have 4097 bytes
        WebPushPayload(PushNotification(text=text + "x"))
    assert (refused.value.size, refused.value.limit) == (LARGEST_PLAINTEXT + 1, LARGEST_PLAINTEXT)


def test_a_browser_shows_the_first_picture_of_a_carousel() -> None:
    items = tuple(
        CarouselItem(id=number, headline="x" * 200, image_url=f"https://cdn.example/{number}.png")
        for number in range(20)
    )

    told, _ = received(text="x", carousel=items)

    assert told["image"] == "https://cdn.example/0.png"
    assert "carousel" not in json.dumps(told)


def test_a_text_is_cut_where_its_author_allowed_it() -> None:
    told, request = received(text="ж" * 3000, may_trim=True)

    assert told["body"].endswith("…")
    assert len(request.content) == LARGEST_BODY


def test_the_size_told_is_that_of_what_is_sent() -> None:
    payload = WebPushPayload(PushNotification(title="Größe", text="½ \ud800", deep_link="a:b"))

    assert payload.size() == len(payload.plaintext(MESSAGE_ID))


def test_a_silent_push_is_refused_with_its_remedy() -> None:
    with pytest.raises(NotPossible, match="leave the web out") as refused:
        provider(Wire()).compile(PushNotification(text="x", silent=True))
    assert refused.value.field == "silent"


def test_a_credential_that_cannot_be_one_is_refused_at_once() -> None:
    with pytest.raises(CredentialError):
        WebPushProvider({}, network=Network())
