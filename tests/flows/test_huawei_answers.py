"""Whatever Huawei answers, and what it is given: the simulated Push Kit and the engine."""

import asyncio
import json
import zlib
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.urls import reverse
from django.utils import timezone

from campaigns import channels, statistics
from campaigns.models import Bulk, Chunk, Message, Reason
from devices.models import Application, Platform, ProviderCredential, Registration, Role
from providers.base import Addressed, Outcome, PushNotification, Verdict
from providers.huawei import HuaweiProvider
from providers.huawei.answers import BY_CODE
from tests.factories import (
    client_of,
    make_bulk,
    make_registration,
    make_registrations,
    make_token,
    make_user,
)
from tests.flows.huawei import (
    APP,
    _cloud,
    consistent,
    huawei,
    make_doomed,
    make_harmony,
    make_shop,
    send,
    states_of,
    trust,
)
from tests.flows.processes import Gateways
from tests.providers.keys import make_huawei_account
from tests.waiting import eventually

__all__ = ["_cloud", "huawei"]  # fixtures

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(180)]
State = Message.State


@pytest.fixture
def shop(huawei: Gateways) -> Application:
    """An app that Huawei knows; nobody is told of its receipts."""
    trust(huawei, "http://127.0.0.1:9/")
    huawei.ask("POST", "/receipts", {"silent": 1})
    return make_shop()


# ------------------------------------------------------------------- answers

FATES = {
    # what the cloud does, the state it leaves, and how many copies the cloud took
    "busy-once": (State.ACCEPTED, Reason.NONE, 1),
    "unavailable-once": (State.ACCEPTED, Reason.NONE, 1),
    "internal-once": (State.ACCEPTED, Reason.NONE, 1),
    "unavailable-delivered-once": (State.ACCEPTED, Reason.NONE, 2),  # 2.7: nobody can know
    "third-party-once": (State.ACCEPTED, Reason.NONE, 1),
    "lost-answer": (State.UNKNOWN, Reason.NO_ANSWER, 1),
    "lost-request": (State.UNKNOWN, Reason.NO_ANSWER, 0),
    "bad-gateway": (State.UNKNOWN, Reason.NO_ANSWER, 0),
}


@pytest.mark.parametrize("fate", FATES)
def test_no_message_says_more_than_huawei_did(
    huawei: Gateways, shop: Application, fate: str
) -> None:
    """The two of a call share its fate."""
    make_doomed(shop, fate, 2)
    bulk = make_bulk(shop)
    state, reason, copies = FATES[fate]

    def is_over() -> bool:
        return not send(bulk).chunks.filter(status=Chunk.Status.OPEN).exists()

    eventually(is_over, seconds=60, what="nothing is left to be sent")

    assert states_of(bulk) == {(state, reason): 2}
    tokens = Counter(row["token"] for row in huawei.messages())
    assert set(tokens.values()) == ({copies} if copies else set())
    consistent(bulk)


WAITS = {code for code, meaning in BY_CODE.items() if meaning.verdict is Verdict.TRY_LATER}
PAUSES = {code for code, meaning in BY_CODE.items() if meaning.verdict is Verdict.MISCONFIGURED}
FAILS = {code for code, meaning in BY_CODE.items() if meaning.verdict is Verdict.REJECTED}


@pytest.mark.parametrize("code", sorted(WAITS | PAUSES | FAILS))
def test_each_code_of_huawei_s_table_in_a_campaign(
    huawei: Gateways, shop: Application, code: str
) -> None:
    """What is refused fails, what is wrong with us pauses, what may pass waits: none is lost."""
    huawei.ask("POST", "/behaviour", {"hms": {"huawei_code": code}})
    make_registrations(shop, 2, platform=Platform.HUAWEI)

    bulk = send(make_bulk(shop))

    credential = shop.credentials.get()
    waiting = statistics.funnel(bulk).waiting
    assert (credential.paused_at is not None) == (code in PAUSES)
    assert waiting == (0 if code in FAILS else 2)
    assert sum(states_of(bulk).values()) == 2 - waiting
    if code in PAUSES:
        assert "Huawei" in credential.pause_reason  # a sentence, and the code
        assert code in credential.pause_reason
    if code in FAILS:
        answers = Message.objects.of_bulk(bulk).values_list("state", "answer")
        assert {(state, answer[:12]) for state, answer in answers} == {
            (State.FAILED, f"200 {code}")
        }
    assert huawei.ledger()["hms"]["accepted"] == 0


# ------------------------------------------------------------------- logins and calls


def test_an_hour_later_no_message_meets_an_old_token(huawei: Gateways, shop: Application) -> None:
    """The cloud's clock moves, not ours: the token is refused, renewed, and nothing is lost."""
    make_registrations(shop, 3, platform=Platform.HUAWEI)
    send(make_bulk(shop))
    huawei.ask("POST", "/clock", {"advance": 3601})

    bulk = send(make_bulk(shop))

    assert states_of(bulk) == {(State.ACCEPTED, Reason.NONE): 3}
    assert shop.credentials.get().paused_at is None
    assert huawei.ask("GET", "/statistics")["huawei_tokens"] == {"issued": 2, "refused": 0}


def test_a_clock_that_is_late_is_named_where_we_sign_ourselves(
    huawei: Gateways, shop: Application
) -> None:
    make_harmony(shop, 2)
    huawei.ask("POST", "/clock", {"advance": 3601})

    bulk = send(make_bulk(shop))

    assert statistics.funnel(bulk).waiting == 2
    reason = shop.credentials.get().pause_reason
    assert "This server's clock is 60 minutes late" in reason
    assert "80200005" in reason


def test_a_thousand_tokens_in_one_call_with_ten_bad_ones(
    huawei: Gateways, shop: Application
) -> None:
    """Ten are dead, the others taken, and the call is not repeated."""
    provider = HuaweiProvider(shop.credentials.get().data, network=channels.network(), batch=1000)
    payload = provider.compile(PushNotification(text="Hi", tracked=False))
    tokens = [make_token(Platform.HUAWEI) for _ in range(990)]
    tokens[5:5] = [f"fate-unregistered-{number}:{'x' * 64}" for number in range(10)]
    window = [
        Addressed(payload, UUID(int=number), token, ttl=3600)
        for number, token in enumerate(tokens, start=1)
    ]

    async def hand_over() -> list[Outcome]:
        try:
            return await provider.send(window)
        finally:
            await provider.close()

    outcomes = asyncio.run(hand_over())

    verdicts = [outcome.verdict for outcome in outcomes]
    assert Counter(verdicts) == {Verdict.ACCEPTED: 990, Verdict.UNREGISTERED: 10}
    assert set(verdicts[5:15]) == {Verdict.UNREGISTERED}
    assert huawei.ledger()["hms"]["accepted"] == 990
    assert len({outcome.provider_id for outcome in outcomes}) == 1


# ------------------------------------------------------------------- the credential's test


@pytest.mark.parametrize(
    ("changes", "ok", "says"),
    [
        ({}, True, "80300007"),
        ({"service_account": None}, True, "80300007"),
        ({"client_id": "", "client_secret": ""}, True, "80300007"),
        ({"client_id": "109999999"}, False, "Huawei has no app 109999999"),
        ({"client_secret": "guess"}, False, f"this client secret for the app {APP}"),
        (
            {"service_account": make_huawei_account(project_id="1")},
            False,
            "Huawei has no project 1",
        ),
        (
            {"service_account": make_huawei_account(key_id="key-9")},
            False,
            "see that its key was not deleted",
        ),
        ({"receipt_id": "RCP9"}, False, "The address for receipts in Huawei's console is wrong"),
    ],
)
def test_the_test_of_a_credential_says_what_is_wrong(
    huawei: Gateways, shop: Application, changes: dict[str, Any], ok: bool, says: str
) -> None:
    credential = shop.credentials.get()
    data = {**credential.data, **changes}
    credential.data = {name: value for name, value in data.items() if value}
    credential.save()
    administrator = make_user(Role.ADMINISTRATOR, shop)
    client = client_of(administrator)

    page = client.post(reverse("campaigns:credential-test", args=[shop.pk, credential.pk]))

    credential = ProviderCredential.objects.get()
    assert credential.test_ok is ok
    assert says in credential.test_answer
    assert says in page.content.decode().replace("&#x27;", "'")
    assert huawei.ledger()["hms"]["accepted"] == 0


# ------------------------------------------------------------------- what a phone gets

N = "message.android.notification"
NUMBER = zlib.crc32(b"score")
ITEM = {"id": 1, "headline": "Shoes", "image_url": "https://cdn.example/1.png"}
SHOWN_ITEM = {"id": 1, "headline": "Shoes", "imageUrl": "https://cdn.example/1.png"}
IMAGE = "https://cdn.example/x.png"
LEFT_OUT = None
DATA_ONLY = {f"{N}.{name}": LEFT_OUT for name in
             ("title", "body", "click_action.type", "importance", "default_sound")}  # fmt: skip
HMS, HARMONY = "hms", "harmony"
PLAIN: dict[str, dict[str, Any]] = {
    HMS: {
        "validate_only": False,
        "message.android.urgency": "NORMAL",
        "message.android.ttl": "LEFT",
        "message.android.category": "MARKETING",
        "message.android.bi_tag": "m-ID",
        f"{N}.title": "Shop",
        f"{N}.body": "Hi",
        f"{N}.click_action.type": 3,
        f"{N}.importance": "NORMAL",
        f"{N}.default_sound": True,
        "data.messageId": "ID",
    },
    HARMONY: {
        "payload.notification.category": "MARKETING",
        "payload.notification.title": "Shop",
        "payload.notification.body": "Hi",
        "payload.notification.clickAction.actionType": 0,
        "payload.notification.clickAction.data.messageId": "ID",
        "pushOptions.ttl": "LEFT",
        "pushOptions.biTag": "m-ID",
        "pushOptions.testMessage": False,
    },
}
H, HD = "payload.notification", "payload.notification.clickAction.data"
# An option, and what it changes in a plain push. Where it is not named, nothing.
OPTIONS: list[tuple[dict[str, Any], dict[str, dict[str, Any]]]] = [
    ({"title": "Sale"}, {HMS: {f"{N}.title": "Sale"}, HARMONY: {f"{H}.title": "Sale"}}),
    ({"image_url": IMAGE}, {HMS: {f"{N}.image": IMAGE}}),
    ({"sound": ""}, {HMS: {f"{N}.default_sound": False}}),
    ({"sound": "ding.wav"}, {HMS: {f"{N}.default_sound": False, f"{N}.sound": "/raw/ding"}}),
    ({"vibrate": False}, {HMS: {f"{N}.use_default_vibrate": False}}),
    (
        {"badge": 3},
        {
            HMS: {f"{N}.badge.class": "com.example.Main", f"{N}.badge.set_num": 3, "data.badge": 3},
            HARMONY: {f"{HD}.badge": 3},
        },
    ),
    (
        {"category": "com.shop.OPEN"},
        {
            HMS: {
                f"{N}.click_action.type": 1,
                f"{N}.click_action.action": "com.shop.OPEN",
                "data.category": "com.shop.OPEN",
            },
            HARMONY: {f"{HD}.category": "com.shop.OPEN"},
        },
    ),
    ({"silent": True}, {HMS: {**DATA_ONLY, "data.silent": True, "data.text": "Hi"}}),
    (
        {"in_app_style": "MODAL", "in_app_open_title": "Open"},
        {
            HMS: {
                "data.inAppStyle": "MODAL",
                "data.inAppOpenTitle": "Open",
                "data.inAppExpiryDateTime": "END",
            },
            HARMONY: {
                f"{HD}.inAppStyle": "MODAL",
                f"{HD}.inAppOpenTitle": "Open",
                f"{HD}.inAppExpiryDateTime": "END",
            },
        },
    ),
    (
        {"custom_payload": {"order": {"id": 7}}},
        {
            HMS: {"data.customPayload.order.id": 7},
            HARMONY: {f"{HD}.customPayload.order.id": 7},
        },
    ),
    (
        {"deep_link": "shop://sale"},
        {
            HMS: {
                f"{N}.click_action.type": 1,
                f"{N}.click_action.intent": "intent://sale#Intent;scheme=shop;launchFlags=0x04000000;end",
                "data.deepLink": "shop://sale",
            },
            HARMONY: {
                f"{H}.clickAction.actionType": 1,
                f"{H}.clickAction.uri": "shop://sale",
                f"{HD}.deepLink": "shop://sale",
            },
        },
    ),
    (
        {"browser_url": "https://shop.example/"},
        {
            HMS: {
                f"{N}.click_action.type": 2,
                f"{N}.click_action.url": "https://shop.example/",
                "data.browserUrl": "https://shop.example/",
            },
            HARMONY: {f"{HD}.browserUrl": "https://shop.example/"},
        },
    ),
    (
        {"web_view_url": "https://shop.example/v"},
        {
            HMS: {"data.webViewUrl": "https://shop.example/v"},
            HARMONY: {f"{HD}.webViewUrl": "https://shop.example/v"},
        },
    ),
    (
        {"inbox_topic": "news"},
        {HMS: {"data.inboxTopic": "news"}, HARMONY: {f"{HD}.inboxTopic": "news"}},
    ),
    (
        {"carousel": [ITEM]},
        {
            HMS: {
                f"{N}.image": ITEM["image_url"],
                f"{N}.style": 1,
                f"{N}.big_title": "Shoes",
                f"{N}.big_body": "Hi",
                "data.carousel": [SHOWN_ITEM],
                "data.carouselType": "carousel",
            },
            HARMONY: {f"{HD}.carousel": [SHOWN_ITEM], f"{HD}.carouselType": "carousel"},
        },
    ),
    (
        {"collapse_key": "score"},
        {
            HMS: {
                "message.android.collapse_key": NUMBER % 100 + 1,
                f"{N}.notify_id": NUMBER & 0x7FFFFFFF,
            },
            HARMONY: {
                "pushOptions.collapseKey": NUMBER % 100 + 1,
                f"{H}.notifyId": NUMBER & 0x7FFFFFFF,
            },
        },
    ),
    ({"thread_id": "orders"}, {HMS: {f"{N}.group": "orders"}}),
    ({"channel_id": "promo"}, {HMS: {f"{N}.channel_id": "promo"}}),
    ({"urgency": "low"}, {HMS: {f"{N}.importance": "LOW"}}),
]


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """The members of objects in objects, by their path."""
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for name, member in value.items():
        found |= flat(member, f"{path}.{name}" if path else name)
    return found


def arrived(row: dict[str, Any], bulk: Bulk) -> dict[str, Any]:
    """All that came, with names for what differs from device to device and bulk to bulk."""
    payload = dict(row["payload"])
    if "message" in payload:
        payload["data"] = json.loads(payload["message"].pop("data"))
    found = flat(payload)
    end = bulk.starts_at.timestamp() + bulk.ttl
    for name in ("message.android.ttl", "pushOptions.ttl"):
        if name in found:
            seconds = int(str(found[name]).removesuffix("s"))
            assert -1 <= seconds - (end - timezone.now().timestamp()) < 60
            found[name] = "LEFT"
    names = {row["message_id"]: "ID", f"m-{row['message_id']}": "m-ID", int(end * 1000): "END"}
    return {
        path: value if isinstance(value, list) else names.get(value, value)
        for path, value in found.items()
    }


@pytest.mark.parametrize("family", [HMS, HARMONY])
def test_each_option_reaches_the_phone(huawei: Gateways, shop: Application, family: str) -> None:
    shop.android_display = Application.Display.SDK  # each push has its own id
    shop.save()
    wanted = [(said, changes) for said, changes in OPTIONS if family == HMS or "silent" not in said]
    contents = []
    for number, (said, _) in enumerate(wanted):
        if family == HARMONY:
            [device] = make_harmony(shop, 1)
            Registration.objects.filter(pk=device.pk).update(language=f"x{number}")
        else:
            make_registration(shop, platform=Platform.HUAWEI, language=f"x{number}")
        contents.append({"language": f"x{number}", "variant": 0, "text": "Hi", **said})
    starts_at = timezone.now().replace(microsecond=0) - timedelta(seconds=1)

    bulk = send(make_bulk(shop, content=contents, ttl=7200, starts_at=starts_at))

    assert {state for state, _ in states_of(bulk)} <= {State.ACCEPTED, State.DELIVERED}
    languages = dict(shop.registrations.values_list("address__token", "language"))
    rows = {languages[row["token"]]: row for row in huawei.messages()}
    for number, (said, changes) in enumerate(wanted):
        expected = {**PLAIN[family], **changes.get(family, {})}
        kept = {path: value for path, value in expected.items() if value is not LEFT_OUT}
        assert arrived(rows[f"x{number}"], bulk) == kept, said
