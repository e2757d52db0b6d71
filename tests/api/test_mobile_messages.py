"""api.mobile_messages: which messages an app gets, and a life. Sections: contract/mobile-sdk.md."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import dispatch, fanout, reports, statistics
from campaigns.models import Bulk, Message, Reason
from campaigns.store import store
from devices.models import Registration
from tests.api.apps import INSTANCES, App, assert_refused
from tests.api.phones import STARTS, SYNC, Phone, fold_receipts, make_message, make_sent
from tests.factories import make_application, make_bulk, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]
State = Message.State


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
