"""providers.huawei.bodies: contract/providers.md 4.3, 4.4, 8.2 to 8.6."""

from __future__ import annotations

import json
import zlib
from typing import Any
from uuid import UUID

import pytest

from providers.base import CarouselItem, PayloadTooLarge, PushNotification
from providers.huawei.bodies import LIMIT, HuaweiPayload, Look, intent

MESSAGE_ID = UUID("018f0000-0000-8000-8000-0000000000a1")


def make_body(
    *, tokens: tuple[str, ...] = ("t",), ttl: int = 3600, v3: bool = False,
    look: Look | None = None, **fields: Any,
) -> dict[str, Any]:  # fmt: skip
    payload = HuaweiPayload(PushNotification(**fields), look or Look())
    value = json.loads(payload.body(tokens, MESSAGE_ID, ttl, v3=v3))
    assert isinstance(value, dict)
    return value


def shown(**fields: Any) -> dict[str, Any]:
    """`android.notification`."""
    notification: dict[str, Any] = make_body(**{"title": "T", "text": "B", "sound": "", **fields})[
        "message"
    ]["android"]["notification"]
    return notification


def data(**fields: Any) -> Any:
    return json.loads(make_body(**{"text": "B", **fields})["message"]["data"])


def test_the_worked_example_of_the_contract() -> None:
    assert make_body(
        title="Sale",
        text="Today only",
        sound="",
        image_url="https://cdn/x.png",
        deep_link="shop://sale",
        channel_id="promo",
    ) == {
        "validate_only": False,
        "message": {
            "data": json.dumps(
                {"messageId": str(MESSAGE_ID), "deepLink": "shop://sale"}, separators=(",", ":")
            ),
            "android": {
                "urgency": "NORMAL",
                "ttl": "3600s",
                "category": "MARKETING",
                "bi_tag": f"m-{MESSAGE_ID}",
                "notification": {
                    "title": "Sale",
                    "body": "Today only",
                    "image": "https://cdn/x.png",
                    "channel_id": "promo",
                    "importance": "NORMAL",
                    "default_sound": False,
                    "click_action": {
                        "type": 1,
                        "intent": "intent://sale#Intent;scheme=shop;launchFlags=0x04000000;end",
                    },
                },
            },
            "token": ["t"],
        },
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"title": "T", "text": "B"}, {"title": "T", "body": "B"}),
        ({"title": "", "application_name": "Shop"}, {"title": "Shop"}),
        ({"title": ""}, {"title": "B"}),
        ({"image_url": "https://cdn/x.png"}, {"image": "https://cdn/x.png"}),
        ({"sound": ""}, {"default_sound": False}),
        ({"sound": "default"}, {"default_sound": True}),
        ({"sound": "ding.wav"}, {"sound": "/raw/ding", "default_sound": False}),
        ({"vibrate": False}, {"use_default_vibrate": False}),
        ({"thread_id": "orders"}, {"group": "orders"}),
        ({"channel_id": "promo"}, {"channel_id": "promo"}),
        ({"urgency": "high"}, {"importance": "NORMAL"}),
        ({"urgency": "low"}, {"importance": "LOW"}),
        ({"collapse_key": "score"}, {"notify_id": zlib.crc32(b"score") & 0x7FFFFFFF}),
        (
            {"replace_twin": True, "bulk_id": "b-1"},
            {"notify_id": zlib.crc32(b"b-1") & 0x7FFFFFFF},
        ),
        ({}, {"click_action": {"type": 3}}),
        ({"category": "com.shop.OPEN"}, {"click_action": {"type": 1, "action": "com.shop.OPEN"}}),
        (
            {"browser_url": "https://shop.example/"},
            {"click_action": {"type": 2, "url": "https://shop.example/"}},
        ),
    ],
)
def test_each_option_of_what_is_shown(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    notification = shown(**fields)

    assert {name: notification.get(name) for name in expected} == expected


def test_vibration_and_named_sounds_are_said_only_when_they_differ() -> None:
    assert not {"sound", "use_default_vibrate", "notify_id", "badge", "group"} & set(shown())


def test_a_badge_needs_the_class_of_the_app() -> None:
    with_class = shown(badge=120, look=Look(badge_class="com.shop.Main"))

    assert with_class["badge"] == {"class": "com.shop.Main", "set_num": 99}
    assert "badge" not in shown(badge=3)
    assert data(badge=0)["badge"] == 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"deep_link": "shop://sale"}, {"deepLink": "shop://sale"}),
        ({"web_view_url": "https://shop.example/v"}, {"webViewUrl": "https://shop.example/v"}),
        ({"in_app_style": "MODAL"}, {"inAppStyle": "MODAL"}),
        ({"custom_payload": {"a": [1, None]}}, {"customPayload": {"a": [1, None]}}),
        ({"category": "answer"}, {"category": "answer"}),
        ({"inbox_topic": "offers"}, {"inboxTopic": "offers"}),
        (
            {
                "in_app_style": "MODAL",
                "in_app_expires_in": 60,
                "sent_at_ms": 1000,
                "in_app_open_title": "Open",
                "in_app_dismiss_title": "Later",
            },
            {
                "inAppStyle": "MODAL",
                "inAppExpiryDateTime": 61_000,
                "inAppOpenTitle": "Open",
                "inAppDismissTitle": "Later",
            },
        ),
        (
            {"carousel_url": "https://push.example/c/"},
            {"carouselUrl": f"https://push.example/c/{MESSAGE_ID}", "carouselType": "carousel"},
        ),
    ],
)
def test_what_the_app_reads_is_json_text(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert data(**fields) == {"messageId": str(MESSAGE_ID), **expected}


def test_a_carousel_shows_its_first_picture_and_gives_the_app_all() -> None:
    items = tuple(
        CarouselItem(id=number, headline=f"H{number}", image_url=f"https://cdn/{number}.png")
        for number in range(2)
    )

    notification = shown(carousel=items)

    assert notification["image"] == "https://cdn/0.png"
    assert (notification["style"], notification["big_title"]) == (1, "H0")
    assert notification["big_body"] == "B"
    assert shown(title="T", carousel=(CarouselItem(id=0, headline=""),))["big_title"] == "T"
    assert [one["id"] for one in data(carousel=items)["carousel"]] == [0, 1]


def test_a_carousel_too_large_is_fetched_by_the_app() -> None:
    items = tuple(
        CarouselItem(id=number, headline="x" * 300, image_url="https://cdn/x.png")
        for number in range(20)
    )

    told = data(carousel=items, carousel_url="https://push.example/c/", tracked=False)

    assert told["carouselUrl"] == f"https://push.example/c/{MESSAGE_ID}"
    assert "carousel" not in told


def test_a_silent_push_is_data_only() -> None:
    message = make_body(text="B", silent=True)["message"]

    assert "notification" not in message["android"]
    assert json.loads(message["data"]) == {
        "messageId": str(MESSAGE_ID), "text": "B", "silent": True,
    }  # fmt: skip


def test_infobips_dialect_is_data_only_and_always_has_its_id() -> None:
    message = make_body(dialect="infobip", text="B", tracked=False)["message"]

    assert "notification" not in message["android"]
    assert message["android"]["bi_tag"] == f"m-{MESSAGE_ID}"
    told = json.loads(json.loads(message["data"])["org_ib_d"])
    assert (told["messageId"], told["text"]) == (str(MESSAGE_ID), "B")


def test_an_untracked_push_says_nothing_of_one_device() -> None:
    message = make_body(text="B", tracked=False, tokens=("a", "b"))["message"]

    assert message["token"] == ["a", "b"]
    assert "data" not in message
    assert message["android"]["bi_tag"] == f"b-{MESSAGE_ID}"


@pytest.mark.parametrize(
    ("ttl", "written"),
    [(0, "1s"), (-5, "1s"), (1, "1s"), (3600, "3600s"), (1_296_000, "1296000s"),
     (1_296_001, "1296000s")],
)  # fmt: skip
def test_the_time_to_live_is_from_a_second_to_15_days(ttl: int, written: str) -> None:
    assert make_body(text="B", ttl=ttl)["message"]["android"]["ttl"] == written


def test_a_collapse_key_is_one_of_a_hundred_groups() -> None:
    groups = {
        make_body(text="B", collapse_key=f"key-{n}")["message"]["android"]["collapse_key"]
        for n in range(2000)
    }

    assert groups == set(range(1, 101))
    assert "collapse_key" not in make_body(text="B")["message"]["android"]


def test_the_console_decides_category_and_receipt_address() -> None:
    android = make_body(text="B", look=Look(category="WORK", receipt_id="RCP1"))["message"][
        "android"
    ]

    assert (android["category"], android["receipt_id"]) == ("WORK", "RCP1")


@pytest.mark.parametrize(
    ("link", "written"),
    [
        ("shop://a/b?c=d#e", "intent://a/b?c=d#e#Intent;scheme=shop;launchFlags=0x04000000;end"),
        (
            "mailto:a@x.org",
            "intent:a@x.org#Intent;scheme=mailto;launchFlags=0x04000000;end",
        ),
    ],
)
def test_a_link_becomes_an_intent(link: str, written: str) -> None:
    assert intent(link) == written


@pytest.mark.parametrize("letter", ["a", "ж", "🙂", '"'])
def test_4096_bytes_fit_and_one_more_does_not(letter: str) -> None:
    def make(count: int, rest: int = 0) -> HuaweiPayload:
        said = PushNotification(title="T", text=letter * count + "a" * rest)
        return HuaweiPayload(said, Look())

    step = make(2).size() - make(1).size()
    more, rest = divmod(LIMIT - make(1).size(), step)
    count = 1 + more
    full = make(count, rest)

    assert full.size() == LIMIT
    assert len(full.body([], MESSAGE_ID, 1_296_000)) == LIMIT
    with pytest.raises(PayloadTooLarge):
        make(count, rest + 1)


def test_tokens_do_not_count() -> None:
    payload = HuaweiPayload(PushNotification(text="B"), Look())

    assert len(payload.body(["t" * 200] * 100, MESSAGE_ID, 60)) > 20_000
    assert payload.size() < 500


# HarmonyOS 5


def test_the_v3_body_of_the_contract() -> None:
    assert make_body(
        v3=True,
        title="Sale",
        text="Today only",
        deep_link="shop://sale",
        collapse_key="score",
        look=Look(receipt_id="RCP1"),
    ) == {
        "payload": {
            "notification": {
                "category": "MARKETING",
                "title": "Sale",
                "body": "Today only",
                "clickAction": {
                    "actionType": 1,
                    "uri": "shop://sale",
                    "data": {"messageId": str(MESSAGE_ID), "deepLink": "shop://sale"},
                },
                "notifyId": zlib.crc32(b"score") & 0x7FFFFFFF,
            }
        },
        "target": {"token": ["t"]},
        "pushOptions": {
            "ttl": 3600,
            "biTag": f"m-{MESSAGE_ID}",
            "receiptId": "RCP1",
            "collapseKey": zlib.crc32(b"score") % 100 + 1,
            "testMessage": False,
        },
    }


def test_without_a_link_a_tap_opens_the_home_page() -> None:
    action = make_body(v3=True, text="B")["payload"]["notification"]["clickAction"]

    assert action == {"actionType": 0, "data": {"messageId": str(MESSAGE_ID)}}


@pytest.mark.parametrize("v3", [False, True])
def test_a_dry_run_changes_one_switch_alone(v3: bool) -> None:
    payload = HuaweiPayload(PushNotification(title="T", text="false"), Look())
    told = json.loads(payload.dry_run("t", v3=v3))

    if v3:
        assert told["pushOptions"]["testMessage"] is True
        assert told["payload"]["notification"]["body"] == "false"
    else:
        assert told["validate_only"] is True
        assert told["message"]["android"]["notification"]["body"] == "false"
