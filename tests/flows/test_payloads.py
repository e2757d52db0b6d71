"""What each option of a notification looks like where it arrives: at the clouds.

Source: contract/providers.md 8.2, 8.4 and 8.5.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import checking, dispatch, fanout
from campaigns.models import Bulk, RepeatPolicy
from devices.models import Application, Platform
from tests.factories import make_bulk, make_registration
from tests.flows.conftest import make_shop
from tests.flows.processes import Gateways

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clouds_at_hand")]
Payload = dict[str, Any]
Display, Sdk = Application.Display, Application.Sdk
LEFT_OUT = None  # a member that stands in a plain push, and does not here
TTL = 7200  # seconds


def arrived(
    gateways: Gateways,
    application: Application,
    platform: Platform,
    contents: list[dict[str, Any]],
    **given: Any,
) -> list[Payload]:
    """What the platform's cloud got of each content: everything it was told, by its path."""
    for number in range(len(contents)):
        make_registration(application, platform=platform, language=f"x{number}")
    said = [
        {"language": f"x{number}", "variant": 0, "text": "Hi", **content}
        for number, content in enumerate(contents)
    ]
    starts_at = timezone.now() - timedelta(seconds=10)
    bulk = make_bulk(application, content=said, ttl=TTL, starts_at=starts_at, **given)
    assert fanout.freeze(bulk) == len(contents)
    dispatch.work(seconds=30)
    languages = dict(application.registrations.values_list("address__token", "language"))
    rows = {languages[row["token"]]: row for row in gateways.messages()}
    return [told(rows[f"x{number}"], bulk) for number in range(len(contents))]


def told(row: Mapping[str, Any], bulk: Bulk) -> Payload:
    """Everything that came, with names for what differs from device to device and bulk to bulk."""
    payload: Payload = {**row["payload"], **row.get("headers", {})}
    payload.pop("token", None)
    data = payload.get("data", {})
    if "org_ib_d" in data:
        payload["data"] = json.loads(data["org_ib_d"])
    sent_at = int(bulk.starts_at.timestamp() * 1000)
    end = sent_at + bulk.ttl * 1000
    names = {
        row["message_id"]: "ID",
        bulk.bulk_id: "BULK",
        bulk.application.name: "SHOP",
        str(sent_at): "SENT",
        str(sent_at + 60_000): "IN A MINUTE",
        str(end): "END",
    }
    found = {path: names.get(str(value), value) for path, value in flat(payload).items()}
    return found | _what_is_left_of_its_time(found, bulk)


def _what_is_left_of_its_time(found: Payload, bulk: Bulk) -> Payload:
    """Whole seconds until the bulk's end, as each cloud wants them; less what sending took."""
    end = bulk.starts_at.timestamp() + bulk.ttl
    if "android.ttl" in found:
        seconds = int(found["android.ttl"].removesuffix("s"))
        assert 0 <= end - timezone.now().timestamp() - 1 <= seconds <= TTL - 10
        return {"android.ttl": "LEFT"}
    assert end - 2 <= int(found["apns-expiration"]) <= end
    return {"apns-expiration": "END"}


def flat(value: Any, path: str = "") -> Payload:
    """The members of objects in objects, by their path; an empty object is none."""
    if not isinstance(value, dict):
        return {path: value}
    found: Payload = {}
    for name, member in value.items():
        found |= flat(member, f"{path}.{name}" if path else name)
    return found


ITEM = {"id": 1, "headline": "Shoes", "image_url": "https://cdn.example/1.png"}
SHOWN_ITEM = {"id": 1, "headline": "Shoes", "imageUrl": "https://cdn.example/1.png"}
ITEM_AS_TEXT = '[{"id":1,"headline":"Shoes","imageUrl":"https://cdn.example/1.png"}]'
IMAGE = "https://cdn.example/x.png"
MODAL = {
    "in_app_style": "MODAL",
    "in_app_expires_in": 60,
    "in_app_open_title": "Open",
    "in_app_dismiss_title": "Close",
}
BUTTONS = {"inAppOpenTitle": "Open", "inAppDismissTitle": "Close"}


def under(path: str, **members: Any) -> Payload:
    return {f"{path}.{name}": value for name, value in members.items()}


# Who draws it: our code in the app, Android, the app's extension on iOS; then Infobip's SDK.
SDK, SYSTEM, IOS = "sdk", "system", "ios"
INFOBIP_ANDROID, INFOBIP_IOS = "infobip android", "infobip ios"
APPLICATIONS = {
    SDK: (Platform.ANDROID, Sdk.OWN, Display.SDK),
    SYSTEM: (Platform.ANDROID, Sdk.OWN, Display.SYSTEM),
    IOS: (Platform.IOS, Sdk.OWN, Display.SDK),
    INFOBIP_ANDROID: (Platform.ANDROID, Sdk.INFOBIP, Display.SDK),
    INFOBIP_IOS: (Platform.IOS, Sdk.INFOBIP, Display.SDK),
}
PLAIN: dict[str, Payload] = {
    SDK: {
        "android.ttl": "LEFT",
        "android.priority": "HIGH",
        "data.messageId": "ID",
        "data.text": "Hi",
        "data.sound": "default",
    },
    SYSTEM: {
        "android.ttl": "LEFT",
        "android.priority": "HIGH",
        "android.notification.body": "Hi",
        "android.notification.sound": "default",
        "android.notification.tag": "ID",
        "data.messageId": "ID",
    },
    IOS: {
        "apns-topic": "com.example.shop",
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-expiration": "END",
        "aps.alert.body": "Hi",
        "aps.sound": "default",
        "aps.mutable-content": 1,
        "messageId": "ID",
    },
    INFOBIP_ANDROID: {
        "android.ttl": "LEFT",
        "android.priority": "HIGH",
        "data.messageId": "ID",
        "data.text": "Hi",
        "data.notification.title": "SHOP",
        "data.notification.sound": "default",
        "data.notification.vibrate": True,
        "data.notification.silent": False,
        "data.internal.sendDateTime": "SENT",
        "data.internal.bulkId": "BULK",
    },
    INFOBIP_IOS: {
        "apns-topic": "com.example.shop",
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-expiration": "END",
        "aps.alert.title": "SHOP",
        "aps.alert.body": "Hi",
        "aps.sound": "default",
        "aps.mutable-content": 1,
        "messageId": "ID",
        "internalData.sendDateTime": "SENT",
        "internalData.bulkId": "BULK",
    },
}
# An option, and what it changes in a plain push. Where it is not named, nothing.
OPTIONS: list[tuple[dict[str, Any], dict[str, Payload]]] = [
    (
        {"title": "Sale"},
        {
            SDK: {"data.title": "Sale"},
            SYSTEM: {"android.notification.title": "Sale"},
            IOS: {"aps.alert.title": "Sale"},
            INFOBIP_ANDROID: {"data.notification.title": "Sale"},
            INFOBIP_IOS: {"aps.alert.title": "Sale"},
        },
    ),
    (
        {"image_url": IMAGE},
        {
            SDK: {"data.imageUrl": IMAGE},
            SYSTEM: {"android.notification.image": IMAGE},
            IOS: {"imageUrl": IMAGE},
            INFOBIP_ANDROID: {
                "data.notification.contentUrl": IMAGE,
                "data.internal.atts": [{"url": IMAGE, "t": "image"}],
            },
            INFOBIP_IOS: {"internalData.atts": [{"url": IMAGE, "t": "image"}]},
        },
    ),
    (
        {"sound": ""},
        {
            SDK: {"data.sound": LEFT_OUT},
            SYSTEM: {"android.notification.sound": LEFT_OUT},
            IOS: {"aps.sound": LEFT_OUT},
            INFOBIP_ANDROID: {"data.notification.sound": LEFT_OUT},
            INFOBIP_IOS: {"aps.sound": LEFT_OUT},
        },
    ),
    (
        {"sound": "ding.caf"},
        {
            SDK: {"data.sound": "ding.caf"},
            SYSTEM: {"android.notification.sound": "ding.caf"},
            IOS: {"aps.sound": "ding.caf"},
            INFOBIP_ANDROID: {"data.notification.sound": "ding.caf"},
            INFOBIP_IOS: {"aps.sound": "ding.caf"},
        },
    ),
    (
        {"vibrate": False},  # not possible on iOS
        {
            SDK: {"data.vibrate": "false"},
            SYSTEM: {"android.notification.vibrateTimings": ["0s"]},
            INFOBIP_ANDROID: {"data.notification.vibrate": False},
        },
    ),
    (
        {"badge": 3},  # Infobip's SDK for Android reads none
        {
            SDK: {"data.badge": "3"},
            SYSTEM: {"android.notification.notificationCount": 3},
            IOS: {"aps.badge": 3},
            INFOBIP_IOS: {"aps.badge": 3},
        },
    ),
    (
        {"badge": 0},
        {
            SDK: {"data.badge": "0"},
            SYSTEM: {"android.notification.notificationCount": 0},
            IOS: {"aps.badge": 0},
            INFOBIP_IOS: {"aps.badge": 0},
        },
    ),
    (
        {"category": "mm_accept_decline"},
        {
            SDK: {"data.category": "mm_accept_decline"},
            SYSTEM: {"android.notification.clickAction": "mm_accept_decline"},
            IOS: {"aps.category": "mm_accept_decline"},
            INFOBIP_ANDROID: {"data.notification.category": "mm_accept_decline"},
            INFOBIP_IOS: {"aps.category": "mm_accept_decline"},
        },
    ),
    (
        {"silent": True},
        {
            SDK: {"android.priority": "NORMAL", "data.silent": "true"},
            SYSTEM: {
                "android.priority": "NORMAL",
                "android.notification.body": LEFT_OUT,
                "android.notification.sound": LEFT_OUT,
                "android.notification.tag": LEFT_OUT,
                **under("data", silent="true", text="Hi", sound="default"),
            },
            IOS: {
                "apns-push-type": "background",
                "apns-priority": "5",
                "aps.alert.body": LEFT_OUT,
                "aps.sound": LEFT_OUT,
                "aps.mutable-content": LEFT_OUT,
                "aps.content-available": 1,
                "text": "Hi",
            },
            INFOBIP_ANDROID: {"android.priority": "NORMAL", "data.notification.silent": True},
            INFOBIP_IOS: {
                "apns-push-type": "background",
                "apns-priority": "5",
                "aps.alert.title": LEFT_OUT,
                "aps.alert.body": LEFT_OUT,
                "aps.sound": LEFT_OUT,
                "aps.mutable-content": LEFT_OUT,
                "aps.content-available": 1,
                **under("internalData.silent", title="SHOP", body="Hi", sound="default"),
            },
        },
    ),
    (
        {"content_available": True},  # Apple's word alone
        {IOS: {"aps.content-available": 1}, INFOBIP_IOS: {"aps.content-available": 1}},
    ),
    (
        MODAL,  # needs code in the app
        {
            SDK: under("data", inAppStyle="MODAL", inAppExpiryDateTime="IN A MINUTE", **BUTTONS),
            IOS: {"inAppStyle": "MODAL", "inAppExpiryDateTime": "IN A MINUTE", **BUTTONS},
            INFOBIP_ANDROID: {
                "data.notification.inAppStyle": "MODAL",
                **under("data.internal", inAppExpiryDateTime="IN A MINUTE", **BUTTONS),
            },
            INFOBIP_IOS: under(
                "internalData", inAppStyle=0, inAppExpiryDateTime="IN A MINUTE", **BUTTONS
            ),
        },
    ),
    (
        {**MODAL, "in_app_style": "BANNER", "in_app_expires_in": None},  # has no buttons
        {
            SDK: under("data", inAppStyle="BANNER", inAppExpiryDateTime="END"),
            IOS: {"inAppStyle": "BANNER", "inAppExpiryDateTime": "END"},
            INFOBIP_ANDROID: {
                "data.notification.inAppStyle": "BANNER",
                "data.internal.inAppExpiryDateTime": "END",
            },
            INFOBIP_IOS: under("internalData", inAppStyle=1, inAppExpiryDateTime="END"),
        },
    ),
    (
        {"custom_payload": {"order": {"id": 7}}},
        {
            SDK: {"data.customPayload": '{"order":{"id":7}}'},
            SYSTEM: {"data.customPayload": '{"order":{"id":7}}'},
            IOS: {"customPayload.order.id": 7},
            INFOBIP_ANDROID: {"data.custom.order.id": 7},
            INFOBIP_IOS: {"customPayload.order.id": 7},
        },
    ),
    (
        {"deep_link": "shop://sale"},
        {
            SDK: {"data.deepLink": "shop://sale"},
            SYSTEM: {"data.deepLink": "shop://sale"},
            IOS: {"deepLink": "shop://sale"},
            INFOBIP_ANDROID: {"data.internal.deeplink": "shop://sale"},
            INFOBIP_IOS: {"internalData.deeplink": "shop://sale"},
        },
    ),
    (
        {"browser_url": "https://shop.example/"},
        {
            SDK: {"data.browserUrl": "https://shop.example/"},
            SYSTEM: {"data.browserUrl": "https://shop.example/"},
            IOS: {"browserUrl": "https://shop.example/"},
            INFOBIP_ANDROID: {"data.internal.browserUrl": "https://shop.example/"},
            INFOBIP_IOS: {"internalData.browserUrl": "https://shop.example/"},
        },
    ),
    (
        {"web_view_url": "https://shop.example/v"},
        {
            SDK: {"data.webViewUrl": "https://shop.example/v"},
            SYSTEM: {"data.webViewUrl": "https://shop.example/v"},
            IOS: {"webViewUrl": "https://shop.example/v"},
            INFOBIP_ANDROID: {"data.internal.webViewUrl": "https://shop.example/v"},
            INFOBIP_IOS: {"internalData.webViewUrl": "https://shop.example/v"},
        },
    ),
    (
        {"inbox_topic": "news"},
        {
            SDK: {"data.inboxTopic": "news"},
            SYSTEM: {"data.inboxTopic": "news"},
            IOS: {"inboxTopic": "news"},
            INFOBIP_ANDROID: {"data.internal.inbox.topic": "news"},
            INFOBIP_IOS: {"internalData.inbox.topic": "news"},
        },
    ),
    (
        {"carousel": [ITEM]},  # Android itself shows the first picture
        {
            SDK: under("data", carousel=ITEM_AS_TEXT, carouselType="carousel"),
            SYSTEM: {"android.notification.image": ITEM["image_url"]},
            IOS: {"carousel": [SHOWN_ITEM], "carouselType": "carousel"},
            INFOBIP_ANDROID: under("data.custom", carousel=[SHOWN_ITEM], carouselType="carousel"),
            INFOBIP_IOS: under("customPayload", carousel=[SHOWN_ITEM], carouselType="carousel"),
        },
    ),
    (
        {"carousel": [ITEM], "carousel_kind": "slider"},
        {
            SDK: under("data", carousel=ITEM_AS_TEXT, carouselType="slider"),
            SYSTEM: {"android.notification.image": ITEM["image_url"]},
            IOS: {"carousel": [SHOWN_ITEM], "carouselType": "slider"},
            INFOBIP_ANDROID: under("data.custom", carousel=[SHOWN_ITEM], carouselType="slider"),
            INFOBIP_IOS: under("customPayload", carousel=[SHOWN_ITEM], carouselType="slider"),
        },
    ),
    (
        {"collapse_key": "score"},  # crc32 of it, modulo 4, is 1
        {
            SDK: {"android.collapseKey": "c1", "data.tag": "score"},
            SYSTEM: {"android.collapseKey": "c1", "android.notification.tag": "score"},
            IOS: {"apns-collapse-id": "score"},
            INFOBIP_ANDROID: {"android.collapseKey": "c1"},
            INFOBIP_IOS: {"apns-collapse-id": "score"},
        },
    ),
    (
        {"thread_id": "orders"},
        {
            SDK: {"data.threadId": "orders"},
            SYSTEM: {"data.threadId": "orders"},
            IOS: {"aps.thread-id": "orders"},
            INFOBIP_IOS: {"aps.thread-id": "orders"},
        },
    ),
    (
        {"channel_id": "promo"},  # Android's word alone
        {SDK: {"data.channelId": "promo"}, SYSTEM: {"android.notification.channelId": "promo"}},
    ),
    (
        {"urgency": "normal"},
        {
            SDK: {"android.priority": "NORMAL"},
            SYSTEM: {"android.priority": "NORMAL"},
            IOS: {"apns-priority": "5"},
            INFOBIP_ANDROID: {"android.priority": "NORMAL"},
            INFOBIP_IOS: {"apns-priority": "5"},
        },
    ),
    (
        {"urgency": "low"},
        {
            SDK: {"android.priority": "NORMAL"},
            SYSTEM: {"android.priority": "NORMAL"},
            IOS: {"apns-priority": "5", "aps.interruption-level": "passive"},
            INFOBIP_ANDROID: {"android.priority": "NORMAL"},
            INFOBIP_IOS: {"apns-priority": "5", "aps.interruption-level": "passive"},
        },
    ),
]


def shop(reader: str) -> tuple[Application, Platform]:
    platform, sdk, display = APPLICATIONS[reader]
    application = make_shop()
    application.sdk, application.android_display = sdk, display
    application.save()
    return application, platform


def changed(reader: str, changes: Payload) -> Payload:
    payload = PLAIN[reader] | changes
    return {path: value for path, value in payload.items() if value is not LEFT_OUT}


@pytest.mark.parametrize("reader", APPLICATIONS)
def test_each_option_stands_where_its_reader_looks(gateways: Gateways, reader: str) -> None:
    contents = [{}, *(content for content, _ in OPTIONS)]

    payloads = arrived(gateways, *shop(reader), contents)

    assert payloads[0] == PLAIN[reader]
    for (content, changes), payload in zip(OPTIONS, payloads[1:], strict=True):
        assert payload == changed(reader, changes.get(reader, {})), content


def test_every_option_a_campaign_can_have_is_shown_here() -> None:
    shown = {name for content, _ in OPTIONS for name in content}

    ours = {"may_trim", "inbox_expires_in"}  # no cloud hears of them
    assert shown == checking.OPTIONS - ours | {"title", "image_url"}


@pytest.mark.parametrize(
    ("policy", "collapses"),
    [
        (RepeatPolicy.NEVER, {}),
        (RepeatPolicy.WHEN_REFUSED, {}),
        (RepeatPolicy.WHEN_UNSURE, {"apns-collapse-id": "ID"}),
    ],
)
def test_only_where_a_doubt_is_repeated_does_a_twin_replace_its_first_copy(
    gateways: Gateways, policy: RepeatPolicy, collapses: Payload
) -> None:
    """Contract/providers.md 8.4. A content with a key of its own keeps that."""
    contents: list[dict[str, Any]] = [{}, {"collapse_key": "score"}]

    plain, keyed = arrived(gateways, *shop(IOS), contents, repeat_policy=policy)

    assert plain == changed(IOS, collapses)
    assert keyed == changed(IOS, {"apns-collapse-id": "score"})
