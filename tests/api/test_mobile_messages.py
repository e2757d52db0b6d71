"""api.mobile_messages: what an app fetches and writes. Sections: contract/mobile-sdk.md."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import dispatch, fanout, ids, reports, statistics
from campaigns.models import Bulk, Inbound, Message, Reason
from campaigns.store import store
from devices.models import Platform, Registration
from tests.api.apps import INSTANCES, App, assert_refused
from tests.factories import make_application, make_bulk, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

SYNC = "/mobile/5/messages"
WRITE = "/mobile/1/messages/mo?platformType=GCM"
State = Message.State
STARTS = timezone.now().replace(microsecond=0) - timedelta(hours=1)


def make_message(
    bulk: Bulk, device: Registration, state: State = State.ACCEPTED, **given: Any
) -> str:
    """A row of the ledger; its id."""
    identifier = ids.message_id(bulk, device.pk)
    Message.objects.create(
        pk=identifier, bulk=bulk, registration=device, sent_at=bulk.starts_at, state=state,
        platform=device.platform, **given,
    )  # fmt: skip
    return str(identifier)


def fold_receipts() -> None:
    while store().xlen(reports.STREAM):
        reports._RECEIPTS.fold_entries(store())


def make_sent(app: App, **content: Any) -> Bulk:
    said = {"language": "", "variant": 0, "text": "Order shipped", **content}
    return make_bulk(app.application, starts_at=STARTS, bulk_id="my-bulk", content=[said])


class Phone:
    """A registered app that asks for its messages."""

    def __init__(self, app: App, **given: Any) -> None:
        self.app = app
        self.device = make_registration(app.application, **given)
        self.id = str(self.device.address.public_id)
        self.type = "APNS" if self.device.platform == Platform.IOS else "GCM"

    def sync(self, body: Any = None) -> list[dict[str, Any]]:
        path = f"{SYNC}?platformType={self.type}"
        answer = self.app.post(path, body, pushregistrationid=self.id)
        assert answer.status_code == 200, answer.content
        assert list(answer.json()) == ["payloads"]
        payloads: list[dict[str, Any]] = answer.json()["payloads"]
        return payloads

    def ids(self, body: Any = None) -> list[str]:
        return [each["gcm.notification.messageId"] for each in self.sync(body)]

    def write(self, *messages: Any, path: str = WRITE) -> Any:
        return self.app.post(path, {"from": self.id, "messages": list(messages)})


@pytest.fixture
def phone(app: App) -> Phone:
    return Phone(app)


# ------------------------------------------------------------------- items: 4.1, 5.2 to 5.4

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


# ------------------------------------------------------------------- which messages: 4.1


@pytest.mark.parametrize(
    ("state", "reason", "given"),
    [
        (State.UNKNOWN, Reason.NO_ANSWER, True),
        (State.ACCEPTED, Reason.NONE, True),
        (State.DELIVERED, Reason.NONE, False),
        (State.SEEN, Reason.NONE, False),
        (State.CLICKED, Reason.NONE, False),
        (State.FAILED, Reason.PROVIDER_OFF, True),
        (State.FAILED, Reason.NO_TOKEN, True),
        (State.FAILED, Reason.UNINSTALLED, False),
        (State.FAILED, Reason.PAYLOAD_REFUSED, False),
        (State.EXPIRED, Reason.TOO_LATE, False),
    ],
)
def test_what_has_not_arrived_and_may_still_is_given(
    app: App, phone: Phone, state: State, reason: Reason, given: bool
) -> None:
    identifier = make_message(make_sent(app), phone.device, state, reason=reason)

    assert phone.ids() == ([identifier] if given else [])


def test_the_same_comes_again_until_the_app_has_it(app: App, phone: Phone) -> None:
    identifier = make_message(make_sent(app), phone.device)

    assert phone.ids() == phone.ids({}) == phone.ids(b"") == [identifier]
    assert phone.ids({"mIDs": [identifier.upper()]}) == []
    assert Message.objects.get().state == State.ACCEPTED  # the app has it: no delivery said
    assert phone.ids({"mIDs": [str(uuid.uuid4()), "shoe"]}) == [identifier]


def test_what_is_reported_is_not_given_and_becomes_delivered(app: App, phone: Phone) -> None:
    identifier = make_message(make_sent(app), phone.device)

    assert phone.ids({"drIDs": [identifier, "shoe", str(uuid.uuid4())]}) == []

    fold_receipts()
    assert Message.objects.get().state == State.DELIVERED
    assert phone.ids() == []


def test_a_report_about_another_device_changes_nothing(app: App, phone: Phone) -> None:
    other = Phone(app)
    identifier = make_message(make_sent(app), other.device)

    phone.sync({"drIDs": [identifier]})

    fold_receipts()
    assert other.ids() == [identifier]


def test_the_oldest_hundred_come_first(app: App, phone: Phone) -> None:
    bulks = [
        make_bulk(app.application, starts_at=STARTS + timedelta(seconds=number))
        for number in range(101)
    ]
    made = [make_message(bulk, phone.device) for bulk in bulks]

    assert phone.ids() == made[:100]
    assert phone.ids({"mIDs": made[:100]}) == made[100:]


def test_nothing_comes_after_its_time_to_live(app: App, phone: Phone) -> None:
    bulk = make_sent(app)
    make_message(bulk, phone.device)
    passed = int((timezone.now() - STARTS).total_seconds())

    Bulk.objects.update(ttl=passed - 5)
    assert phone.ids() == []
    Bulk.objects.update(ttl=passed + 600)
    assert len(phone.ids()) == 1


def test_nothing_older_than_a_week_comes(app: App, phone: Phone) -> None:
    for age in (timedelta(days=7, minutes=1), timedelta(days=6, hours=23)):
        bulk = make_bulk(app.application, starts_at=timezone.now() - age, ttl=30 * 86_400)
        last = make_message(bulk, phone.device)

    assert phone.ids() == [last]


def test_a_cancelled_campaign_is_not_fetched(app: App, phone: Phone) -> None:
    make_message(make_sent(app), phone.device)
    Bulk.objects.update(status=Bulk.Status.CANCELLED)

    assert phone.ids() == []


def test_a_device_that_is_switched_off_gets_nothing_but_may_report(app: App) -> None:
    phone = Phone(app, enabled=False)
    identifier = make_message(make_sent(app), phone.device)

    assert phone.ids({"drIDs": [identifier]}) == []

    fold_receipts()
    assert Message.objects.get().state == State.DELIVERED


def test_an_app_works_with_pull_alone(app: App) -> None:
    phone = Phone(app, token="")
    bulk = make_bulk(app.application)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    dispatch.work(seconds=60)
    assert statistics.funnel(bulk).failed == 1

    (identifier,) = phone.ids()
    phone.sync({"drIDs": [identifier]})
    fold_receipts()

    message = Message.objects.get()
    assert (message.state, message.reason) == (State.DELIVERED, Reason.NONE)
    funnel = statistics.funnel(bulk)
    assert (funnel.accepted, funnel.delivered, funnel.failed) == (1, 1, 0)
    assert funnel == statistics.recount(bulk)
    assert not any(each.kind == "failed" for each in statistics.reasons(bulk))


def test_a_sync_takes_two_statements(
    app: App, phone: Phone, django_assert_num_queries: Any
) -> None:
    for number in range(3):
        make_message(make_bulk(app.application, starts_at=STARTS + timedelta(number)), phone.device)
    phone.sync()

    with django_assert_num_queries(2):
        phone.sync({"mIDs": [str(uuid.uuid4())]})


@pytest.mark.parametrize("query", ["", "?platformType=", "?platformType=WNS"])
def test_a_sync_says_for_which_cloud_it_asks(phone: Phone, query: str) -> None:
    answer = phone.app.post(f"{SYNC}{query}", {}, pushregistrationid=phone.id)

    assert_refused(answer, 400, "2", "Invalid cloud type: use one of GCM, HMS, APNS")


def test_a_sync_of_no_device_is_refused(app: App) -> None:
    stranger = make_registration(make_application()).address.public_id

    for headers in ({}, {"pushregistrationid": str(stranger)}, {"pushregistrationid": "shoe"}):
        answer = app.post(f"{SYNC}?platformType=GCM", {}, **headers)
        assert_refused(answer, 400, "NO_REGISTRATION", "Registration not found")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "Request body should be valid JSON"),
        (b'{"mIDs":"\xff"}', "Request body should be valid JSON"),
        (b"[" * 100_000, f"{'0.' * 50}… should be nested at most 200 levels deep"),
        (b"[]", "Request body should be object"),
        ({"mIDs": {}}, "mIDs should be array"),
        ({"drIDs": [10**400]}, "drIDs.0 should be string"),
        ({"drIDs": ["x"] * 501}, "drIDs should be array of at most 500 members"),
    ],
)
def test_a_sync_of_a_wrong_form_names_the_member(phone: Phone, body: Any, text: str) -> None:
    answer = phone.app.post(f"{SYNC}?platformType=GCM", body, pushregistrationid=phone.id)

    assert_refused(answer, 400, "REQUEST_FORMAT_INVALID", text)


# ------------------------------------------------------------------- messages from people: 4.4

PAYLOAD = {"order": 7, "deep": {"list": [1, "x", None]}}
WRITTEN: dict[str, Any] = {
    "messageId": "m-1",
    "destination": "support",
    "text": "Where is my order?",
    "initialMessageId": "m-0",
    "bulkId": "b-1",
    "customPayload": PAYLOAD,
}
SENT = {"status": "Message sent", "statusCode": 0}


def test_what_is_written_in_the_app_is_kept_and_echoed(phone: Phone) -> None:
    answer = phone.write(WRITTEN, {"messageId": "m-2", "text": "Hello?"})

    assert answer.json() == {
        "messages": [{**WRITTEN, **SENT}, {"messageId": "m-2", "text": "Hello?", **SENT}]
    }
    kept = Inbound.objects.order_by("pk").values_list(
        "registration", "message_id", "destination", "text", "initial_message_id", "bulk_id",
        "custom_payload", "taken_at",
    )  # fmt: skip
    assert list(kept) == [
        (phone.device.pk, "m-1", "support", WRITTEN["text"], "m-0", "b-1", PAYLOAD, None),
        (phone.device.pk, "m-2", "", "Hello?", "", "", {}, None),
    ]


def test_a_repeated_message_is_kept_once(phone: Phone) -> None:
    first, second = (phone.write(WRITTEN).json() for _ in range(2))

    assert first == second
    assert Inbound.objects.count() == 1


def test_one_without_text_is_told_so_and_the_others_are_kept(phone: Phone) -> None:
    answer = phone.write({"messageId": "m-1"}, {"messageId": "m-2", "text": "Hello?"})

    assert answer.json() == {
        "messages": [
            {
                "messageId": "m-1",
                "text": "",
                "status": "Message text is missing",
                "statusCode": 1,
            },
            {"messageId": "m-2", "text": "Hello?", **SENT},
        ]
    }
    assert Inbound.objects.get().message_id == "m-2"


def test_one_without_an_id_gets_one(phone: Phone) -> None:
    (answered,) = phone.write({"text": "Hello?"}).json()["messages"]

    assert answered == {"messageId": Inbound.objects.get().message_id, "text": "Hello?", **SENT}
    assert uuid.UUID(answered["messageId"])


def test_nobody_writes_for_a_device_of_another_application(app: App, phone: Phone) -> None:
    stranger = str(make_registration(make_application()).address.public_id)
    body = {"messages": [WRITTEN]}

    for sender, header in ((stranger, ""), ("shoe", ""), (phone.id, str(uuid.uuid4()))):
        answer = app.post(WRITE, {"from": sender, **body}, pushregistrationid=header)
        assert_refused(answer, 400, "NO_REGISTRATION", "Registration not found")
    assert_refused(app.post(WRITE, body), 400, "NO_REGISTRATION", "Registration not found")
    assert not Inbound.objects.exists()


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b'"m"', "messages.0 should be object"),
        (b'{"text":1}', "messages.0.text should be string"),
        (b'{"text":"a\\u0000"}', "messages.0.text should be a string without NUL"),
        (b'{"text":"%s"}' % (b"x" * 4001), "messages.0.text should be string of at most 4000"),
        (
            b'{"messageId":"%s"}' % (b"x" * 101),
            "messages.0.messageId should be string of at most 100 characters",
        ),
        (b'{"customPayload":"x"}', "messages.0.customPayload should be object"),
        (
            b'{"customPayload":{"a":1e999}}',
            "messages.0.customPayload should be object with finite numbers",
        ),
        (
            b'{"customPayload":{"a":1%s}}' % (b"0" * 101),
            "messages.0.customPayload should be object with numbers of at most 100 digits",
        ),
        (
            b'{"customPayload":{"a":["\\u0000"]}}',
            "messages.0.customPayload should be object without NUL",
        ),
        (
            b'{"customPayload":{"a":%s1%s}}' % (b"[" * 60, b"]" * 60),
            "messages.0.customPayload should be object of at most 50 levels",
        ),
        (
            b'{"customPayload":{"a":%s' % (b"[" * 100_000),
            "messages.0.customPayload.a.0.0.0",
        ),
    ],
)
def test_a_message_that_cannot_be_kept_names_the_member(
    phone: Phone, message: bytes, text: str
) -> None:
    answer = phone.app.post(WRITE, b'{"from":"%s","messages":[%s]}' % (phone.id.encode(), message))

    told = answer.json()["requestError"]["serviceException"]
    assert (answer.status_code, told["messageId"]) == (400, "REQUEST_FORMAT_INVALID")
    assert told["text"].startswith(text)
    assert not Inbound.objects.exists()


# ------------------------------------------------------------------- small ones: 4.6


@pytest.mark.parametrize(
    ("platform_type", "version", "system"),
    [("GCM", "15.1.0", "android"), ("HMS", "15.1.0", "android"), ("APNS", "15.5.2", "ios")],
)
def test_an_app_learns_which_sdk_there_is(
    app: App, platform_type: str, version: str, system: str
) -> None:
    answer = app.call("GET", f"/mobile/3/version?platformType={platform_type}")

    assert answer.json() == {
        "platformType": platform_type,
        "libraryVersion": version,
        "updateUrl": f"https://github.com/infobip/mobile-messaging-sdk-{system}",
    }


def test_a_version_of_no_platform_is_refused(app: App) -> None:
    answer = app.call("GET", "/mobile/3/version?platformType=SYMBIAN")

    assert_refused(answer, 400, "2", "Invalid cloud type: use one of GCM, HMS, APNS")


def test_an_app_learns_where_to_call_if_that_was_decided(app: App, settings: Any) -> None:
    assert app.call("GET", "/mobile/1/baseurl").json() == {"baseUrl": None}

    settings.NEW_BASE_URL = "https://push.example.com"

    answer = app.call("GET", "/mobile/1/baseurl")
    assert answer.json() == {"baseUrl": "https://push.example.com"}
    assert answer["New-Base-URL"] == "https://push.example.com"


def test_a_tap_in_a_web_view_counts_as_seen_and_tapped(app: App, phone: Phone) -> None:
    identifier = make_message(make_sent(app), phone.device)
    path = f"/mobile/1/inapp/click/{identifier}"

    answer = app.call("GET", path, pushRegistrationId=phone.id, buttonidx="1")

    assert (answer.status_code, answer.json()) == (200, {})
    fold_receipts()
    message = Message.objects.get()
    assert message.state == State.CLICKED
    assert message.seen_at == message.clicked_at is not None


def test_a_tap_on_nothing_of_ours_is_ignored(app: App) -> None:
    assert app.call("GET", "/mobile/1/inapp/click/shoe").json() == {}
    assert store().xlen(reports.STREAM) == 0


@pytest.mark.parametrize("path", ["/mobile/1/chat/widget", "/webrtc/1/token"])
def test_chat_and_calls_are_not_offered(app: App, path: str) -> None:
    answer = app.call("GET", path)

    assert_refused(answer, 404, "NOT_FOUND", "There is nothing at this path")


# ------------------------------------------------------------------- a life: 6


def test_an_app_lives_from_registering_to_logging_out(app: App) -> None:
    """Register, fetch, report, lose the registration, come back as the same person."""
    answered = app.register(pushServiceToken="fcm:token")
    path = f"{INSTANCES}/{answered['pushRegId']}"
    who = {"userIdentity": {"externalUserId": "jdoe"}}
    assert app.post(f"{path}/personalize", who).json()["externalUserId"] == "jdoe"
    Registration.objects.all().delete()

    lost = app.post(f"{SYNC}?platformType=GCM", {}, pushregistrationid=answered["pushRegId"])
    assert_refused(lost, 400, "NO_REGISTRATION", "Registration not found")
    again = app.register(pushServiceToken="fcm:token")
    path = f"{INSTANCES}/{again['pushRegId']}"
    assert app.post(f"{path}/repersonalize", who).json() == {}
    assert app.call("GET", f"{path}/user").json()["externalUserId"] == "jdoe"

    device = Registration.objects.get()
    identifier = make_message(make_sent(app), device)
    header = {"pushregistrationid": again["pushRegId"]}
    fetched = app.post(f"{SYNC}?platformType=GCM", **header).json()["payloads"]
    assert [each["gcm.notification.messageId"] for each in fetched] == [identifier]
    app.post(f"{SYNC}?platformType=GCM", {"drIDs": [identifier]}, **header)
    app.post("/mobile/2/messages/seen", {"messages": [{"messageId": identifier}]}, **header)
    fold_receipts()
    assert Message.objects.get().state == State.SEEN

    assert app.post(f"{path}/depersonalize").json() == {}
    assert app.call("GET", f"{path}/user").json() == {"type": "LEAD"}
