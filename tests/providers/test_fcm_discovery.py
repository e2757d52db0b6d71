"""Every option of a notification against Google's own description of `messages:send`."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID

import pytest

from providers.base import CarouselItem, PushNotification
from providers.fcm import FcmPayload
from simulator import fcm_schema
from tests.providers.discovery import checked, violations

MESSAGE_ID = UUID("018f0000-0000-8000-8000-0000000000a1")
OPTIONS: list[dict[str, Any]] = [
    {},
    {"title": "Скидка", "text": "😀"},
    {"image_url": "https://cdn/x.png"},
    {"sound": ""},
    {"sound": "ding.wav"},
    {"vibrate": False},
    {"badge": 0},
    {"badge": 2**31 - 1},
    {"category": "mm_accept_decline"},
    {"silent": True},
    {"content_available": True},
    {
        "in_app_style": "MODAL",
        "in_app_expires_in": 60,
        "in_app_open_title": "Look",
        "in_app_dismiss_title": "Later",
        "sent_at_ms": 1_760_000_000_000,
    },
    {"inbox_topic": "offers"},
    {"carousel": (CarouselItem(id=1, headline="Coat", image_url="https://cdn/1.png"),)},
    {"carousel_url": "https://push.example.com/c/", "carousel_kind": "slider"},
    {"deep_link": "shop://sale"},
    {"browser_url": "https://shop.example/"},
    {"web_view_url": "https://shop.example/view"},
    {"custom_payload": {"order": 7, "lines": [1, None, {"x": True}]}},
    {"collapse_key": "score"},
    {"thread_id": "orders"},
    {"channel_id": "promo"},
    {"urgency": "low"},
    {"urgency": "normal"},
    {"mutable_content": True},
]
EVERYTHING: dict[str, Any] = {
    name: value for option in OPTIONS for name, value in option.items() if name != "silent"
}


@pytest.mark.parametrize("dialect", ["own", "infobip"])
@pytest.mark.parametrize("display", ["sdk", "system"])
@pytest.mark.parametrize("option", [*OPTIONS, EVERYTHING], ids="+".join)
def test_google_and_our_simulator_take_every_option(
    option: dict[str, Any], display: str, dialect: str
) -> None:
    said: dict[str, Any] = {"text": "Today only", "display": display, "dialect": dialect}
    payload = FcmPayload(PushNotification(**(said | option)))

    for kind, ttl in itertools.product(("token", "fid"), (0, 3600, 10**9)):
        body = payload.body("a" * 22, kind, MESSAGE_ID, ttl)
        assert not fcm_schema.violations(checked(body), len(body))


@pytest.mark.parametrize(
    "message",
    [
        {"data": {"badge": 3}},
        {"android": {"ttl": 3600}},
        {"android": {"priority": "high"}},
        {"android": {"collapse_key": "c0"}},
        {"android": {"notification": {"vibrateTimings": [0]}}},
        {"android": {"notification": {"notificationCount": "3"}}},
        {"to": "t"},
    ],
)
def test_the_description_refuses_what_google_refuses(message: dict[str, Any]) -> None:
    """Else the test above would prove nothing."""
    assert violations({"message": message})
    assert not violations({"message": {"token": "t"}})
