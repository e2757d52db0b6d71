"""Each option of a Push API message as an app with Infobip's SDK finds it, whatever brings it.

Section 5.4 of contract/mobile-sdk.md; sync items: 4.1; through the clouds: 5.1 to 5.3.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from campaigns import ids, rendering
from campaigns.models import Bulk, InboxTopic
from devices.models import Application, Platform, Registration
from providers.apns import ApnsPayload
from providers.fcm import FcmPayload
from tests.api.apps import App
from tests.api.pushing import SEND, message, request_of, status_of, to
from tests.api.sending import carry_out
from tests.api.systems import System
from tests.factories import make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

GCM = "gcm.notification."
LATER = 2 * 3600 * 1000  # milliseconds
Members = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """What is asked for, and what differs from a message without options.

    None as a value: the member is left out.
    """

    name: str
    options: Members = field(default_factory=dict)
    content: Members = field(default_factory=dict)
    data: Members = field(default_factory=dict)  # of org_ib_d
    shown: Members = field(default_factory=dict)  # of its notification
    internal: Members = field(default_factory=dict)  # of FCM's internal, and every internalData
    style: str = ""  # of what is also shown inside the app
    android: Members = field(default_factory=dict)  # of the sync item
    aps: Members = field(default_factory=dict)
    keys: Members = field(default_factory=dict)  # beside aps


IMAGE = "https://cdn.example/i.jpg"
ATTS = [{"url": IMAGE, "t": "image"}]
MIRRORED: Members = {"showMirroredPush": True, "mirroredPushStyle": "MODAL"}
ROWS = [
    Row("content.text", content={"text": "Arrived"}, data={"text": "Arrived"},
        android={f"{GCM}body": "Arrived"}, aps={"alert": {"title": "Shop", "body": "Arrived"}}),
    Row("content.title", content={"title": "Hi"}, shown={"title": "Hi"},
        android={f"{GCM}title": "Hi"}, aps={"alert": {"title": "Hi", "body": "Order shipped"}}),
    Row("IMAGE url", content={"type": "IMAGE", "url": IMAGE}, shown={"contentUrl": IMAGE},
        internal={"atts": ATTS}),
    Row("soundEnabled false", options={"soundEnabled": False}, shown={"sound": None},
        android={f"{GCM}sound": None}, aps={"sound": None}),
    Row("soundName", options={"soundName": "bell.caf"}, shown={"sound": "bell.caf"},
        android={f"{GCM}sound": "bell.caf"}, aps={"sound": "bell.caf"}),
    Row("vibrationEnabled", options={"vibrationEnabled": False}, shown={"vibrate": False},
        android={f"{GCM}vibrate": "false"}),
    Row("badge", options={"badge": 3}, aps={"badge": 3}),
    Row("category", options={"category": "mm_accept_decline"},
        shown={"category": "mm_accept_decline"}, android={f"{GCM}category": "mm_accept_decline"},
        aps={"category": "mm_accept_decline"}),
    Row("contentAvailable", options={"contentAvailable": True}, aps={"content-available": 1}),
    Row("showMirroredPush MODAL", options=MIRRORED, style="MODAL", internal={
        "inAppExpiryDateTime": 48 * 3600 * 1000}),
    Row("showMirroredPush BANNER", options={**MIRRORED, "mirroredPushStyle": "BANNER"},
        style="BANNER", internal={"inAppExpiryDateTime": 48 * 3600 * 1000}),
    Row("mirroredPushExpiration", style="MODAL", internal={"inAppExpiryDateTime": LATER}, options={
        **MIRRORED, "mirroredPushExpirationPeriod": 2, "mirroredPushExpirationTimeUnit": "HOURS"}),
    Row("mirroredPushOpenTitle", style="MODAL", internal={
        "inAppExpiryDateTime": 48 * 3600 * 1000, "inAppOpenTitle": "Show",
        "inAppDismissTitle": "Later"},
        options={**MIRRORED, "mirroredPushOpenTitle": "Show", "mirroredPushDismissTitle": "Later"}),
    Row("WEB_VIEW_URL", internal={"webViewUrl": "https://a.b"},
        options={"onTapButtonAction": {"type": "WEB_VIEW_URL", "resource": "https://a.b"}}),
    Row("OPEN_URL_IN_BROWSER", internal={"browserUrl": "https://a.b"},
        options={"onTapButtonAction": {"type": "OPEN_URL_IN_BROWSER", "resource": "https://a.b"}}),
    Row("DEEP_LINK", internal={"deeplink": "shop://7"},
        options={"onTapButtonAction": {"type": "DEEP_LINK", "resource": "shop://7"}}),
    Row("inboxTopic", options={"inboxTopic": "orders"}, internal={"inbox": {"topic": "orders"}}),
    Row("customPayload", options={"customPayload": {"order": 7}}, data={"custom": {"order": 7}},
        android={"customPayload": {"order": 7}}, keys={"customPayload": {"order": 7}}),
]  # fmt: skip


def changed(members: Members, by: Members) -> Members:
    return {name: value for name, value in {**members, **by}.items() if value is not None}


class Sent:
    """A message that went to an Android phone and an iPhone, by a call of the Push API."""

    def __init__(self, system: System, application: Application, row: Row) -> None:
        InboxTopic.objects.create(name="orders")
        self.application = application
        self.phones = {
            "GCM": make_registration(application),
            "APNS": make_registration(application, platform=Platform.IOS),
        }
        content = {"type": "TEXT", "text": "Order shipped", **row.content}
        devices = [to(each) for each in self.phones.values()]
        given = message(application, *devices, content=content, options=row.options)
        assert status_of(system.post(SEND, request_of(given)))[0] in {7, 26}
        carry_out()
        self.bulk = Bulk.objects.get()
        self.at = int(self.bulk.starts_at.timestamp() * 1000)

    def id_of(self, phone: Registration) -> str:
        return str(ids.message_id(self.bulk, phone.pk))

    def fetched(self, kind: str) -> Any:
        phone = self.phones[kind]
        answer = App(self.application).post(
            f"/mobile/5/messages?platformType={kind}",
            pushregistrationid=str(phone.address.public_id),
        )
        assert answer.status_code == 200, answer.content
        (item,) = answer.json()["payloads"]
        return item

    def internal(self, row: Row, **members: Any) -> Members:
        told = changed({"sendDateTime": self.at, "bulkId": self.bulk.bulk_id}, row.internal)
        if "inAppExpiryDateTime" in told:
            told["inAppExpiryDateTime"] += self.at
        return {**told, **members}


@pytest.fixture
def application() -> Application:
    return Application.objects.create(name="Shop")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_option_is_where_each_sdk_looks_for_it(
    system: System, application: Application, row: Row
) -> None:
    sent = Sent(system, application, row)
    android, ios = sent.phones["GCM"], sent.phones["APNS"]
    style = {"inAppStyle": row.style} if row.style else {}
    number = {"inAppStyle": 0 if row.style == "MODAL" else 1} if row.style else {}

    item = sent.fetched("GCM")
    assert all(isinstance(value, str) for value in item.values())
    texts = {"internalData", "customPayload"} & set(item)
    assert {**item, **{name: json.loads(item[name]) for name in texts}} == changed(
        {
            f"{GCM}messageId": sent.id_of(android),
            f"{GCM}title": "Shop",
            f"{GCM}body": "Order shipped",
            f"{GCM}sound": "default",
            f"{GCM}vibrate": "true",
            f"{GCM}silent": "false",
            "internalData": sent.internal(row, **style),
        },
        row.android,
    )
    from_apple = {
        "aps": changed(
            {
                "alert": {"title": "Shop", "body": "Order shipped"},
                "sound": "default",
                "mutable-content": 1,
            },
            row.aps,
        ),
        "messageId": sent.id_of(ios),
        "internalData": sent.internal(row, **number),
        **row.keys,
    }
    assert sent.fetched("APNS") == from_apple

    said = rendering.notification(
        sent.bulk.content[0], application, bulk_id=sent.bulk.bulk_id, sent_at_ms=sent.at,
        ttl=sent.bulk.ttl,
    )  # fmt: skip
    assert json.loads(ApnsPayload(said).body(ids.message_id(sent.bulk, ios.pk))) == from_apple
    body = FcmPayload(said).body("t", "token", ids.message_id(sent.bulk, android.pk), sent.bulk.ttl)
    told = json.loads(body)["message"]
    assert set(told) == {"token", "android", "data"}  # no notification: the SDK draws it
    assert set(told["data"]) == {"org_ib_d"}
    assert json.loads(told["data"]["org_ib_d"]) == changed(
        {
            "messageId": sent.id_of(android),
            "text": "Order shipped",
            "notification": changed(
                {"title": "Shop", "sound": "default", "vibrate": True, "silent": False, **style},
                row.shown,
            ),
            "custom": {},
            "internal": sent.internal(row),
        },
        row.data,
    )


def test_a_silent_message_carries_its_text_inside(system: System, application: Application) -> None:
    row = Row("isSilent", options={"isSilent": True, "category": "news"})
    sent = Sent(system, application, row)
    inside = {"title": "Shop", "body": "Order shipped", "sound": "default", "category": "news"}

    item = sent.fetched("GCM")

    assert {**item, "internalData": json.loads(item["internalData"])} == {
        f"{GCM}messageId": sent.id_of(sent.phones["GCM"]),
        f"{GCM}vibrate": "true",
        f"{GCM}silent": "true",
        "internalData": sent.internal(row, silent={**inside, "vibrate": True}),
    }
    assert sent.fetched("APNS") == {
        "aps": {"content-available": 1},
        "messageId": sent.id_of(sent.phones["APNS"]),
        "internalData": sent.internal(row, silent=inside),
    }
