"""api.infobip.push_older: the older calls that send. Section 10 of contract/push.md."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns.models import Bulk, Chunk, InboxTopic, Submission
from devices.models import Application, Platform
from tests.api.pushing import ACCEPTED
from tests.api.sending import carry_out, receive
from tests.api.systems import System, make_key
from tests.factories import make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

SINGLE, MULTI = "/push/2/message/single", "/push/2/message/multi"


@pytest.fixture
def system() -> System:
    make_key(scopes=["mobile-app-messaging:send"])
    return System()


def message(application: Application, to: dict[str, Any], **given: Any) -> dict[str, Any]:
    return {"from": application.code, "to": to, "text": "Order shipped", **given}


def test_one_message_and_what_it_is_answered(system: System, application: Application) -> None:
    person = make_person(external_id="jane")
    devices = [make_registration(application, person=person) for _ in range(2)]
    to = {"externalUserId": "jane"}
    answer = system.post(
        SINGLE,
        message(
            application,
            to,
            customPayload={"order": 7},
            notifyUrl="https://example.com/dlr",
            callbackData="o-7",
            validityPeriod=90,
            validityPeriodTimeUnit="MINUTES",
            notificationOptions={
                "title": "Hi",
                "soundEnabled": False,
                "showInApp": True,
                "inAppStyle": "MODAL",
                "inAppExpirationPeriod": 5,
                "inAppExpirationTimeUnit": "MINUTES",
                "inAppOpenTitle": "Show",
                "inAppDismissTitle": "Later",
                "primaryButtonAction": {"resource": "shop://a", "type": "DEEP_LINK"},
                "contentUrl": "https://a.b/c.png",
                "badge": 3,
            },
        ),
    )

    bulk = Bulk.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {
        "bulks": [{"to": to, "status": ACCEPTED, "messageCount": 2, "bulkId": bulk.bulk_id}]
    }
    assert bulk.ttl == 5400
    assert bulk.content == [
        {
            "language": "",
            "variant": 0,
            "title": "Hi",
            "text": "Order shipped",
            "sound": "",
            "badge": 3,
            "image_url": "https://a.b/c.png",
            "in_app_style": "MODAL",
            "in_app_expires_in": 300,
            "in_app_open_title": "Show",
            "in_app_dismiss_title": "Later",
            "deep_link": "shop://a",
            "custom_payload": {"order": 7},
        }
    ]
    submission = Submission.objects.get()
    assert submission.callback_data == "o-7"
    assert submission.webhook["url"] == "https://example.com/dlr"
    carry_out()
    assert [chunk.recipients for chunk in Chunk.objects.all()] == [[d.pk for d in devices]]


def test_several_messages_are_several_bulks(system: System, application: Application) -> None:
    for platform in (Platform.IOS, Platform.ANDROID):
        make_registration(application, platform=platform)
    wanted: list[dict[str, Any]] = [
        {"platform": "iOS"},
        {"$or": [{"platform": "iOS"}, {"platform": "Android"}]},
        {"$and": [{"platform": "iOS"}], "deviceModel": "none"},
    ]
    answer = system.post(MULTI, {"messages": [message(application, each) for each in wanted]})

    bulks = answer.json()["bulks"]
    assert [each["to"] for each in bulks] == wanted
    assert [each["messageCount"] for each in bulks] == [1, 2, 0]
    assert [each["status"]["id"] for each in bulks] == [26, 26, 66]
    assert len({each["bulkId"] for each in bulks}) == 3
    receive(application, *carry_out())
    make_key("manager", scopes=["mobile-app-messaging:manage"])
    path = f"/push/1/statistics?bulkId={bulks[1]['bulkId']}"
    assert system.get(path, Authorization="App manager").json()["delivered"] == 2
    path = f"/push/1/reports?bulkId={bulks[1]['bulkId']}"
    assert len(system.get(path).json()["results"]) == 2


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"from": "nobody"}, 65),
        ({"text": None}, 69),
        ({"validityPeriod": 0}, 70),
        ({"validityPeriod": 29, "validityPeriodTimeUnit": "SECONDS"}, 70),
        ({"to": {"platform": ["iOS"]}}, 71),
        ({"to": {"$or": {"platform": "iOS"}}}, 71),
        ({"to": {"$not": [{"platform": "iOS"}]}}, 71),
        ({"to": {}}, 71),
        ({"to": {"platform": "iOS"}}, 66),
        ({"to": {"platform": "Android"}, "targetOnlyPrimaryDevices": True}, 66),
        ({"customPayload": {"a": "x" * 4000}}, 68),
        ({"notificationOptions": {"inboxTopic": "unknown"}}, 73),
        ({"notificationOptions": {"primaryButtonAction": {"resource": "x"}}}, 74),
    ],
)
def test_a_message_is_rejected_with_a_status(
    system: System, application: Application, changed: dict[str, Any], status: int
) -> None:
    make_registration(application)
    answer = system.post(SINGLE, {**message(application, {"platform": "Android"}), **changed})

    assert answer.status_code == 200
    (bulk,) = answer.json()["bulks"]
    assert (bulk["status"]["id"], bulk["messageCount"]) == (status, 0)
    assert not Bulk.objects.exists()


@pytest.mark.parametrize(
    ("given", "seconds"),
    [({}, 48 * 3600), ({"validityPeriod": 1}, 3600), ({"validityPeriod": 100}, 72 * 3600)],
)
def test_validity_is_in_hours_and_at_most_72(
    system: System, application: Application, given: dict[str, int], seconds: int
) -> None:
    make_registration(application)
    system.post(SINGLE, message(application, {"platform": "Android"}, **given))
    assert Bulk.objects.get().ttl == seconds


def test_a_later_time_and_a_topic(system: System, application: Application) -> None:
    InboxTopic.objects.create(name="orders")
    make_registration(application)
    at = timezone.now() + timedelta(hours=2)
    later = {"sendAt": at.isoformat(), "notificationOptions": {"inboxTopic": "orders"}}
    answer = system.post(SINGLE, message(application, {"platform": "Android"}, **later))

    assert answer.json()["bulks"][0]["messageCount"] == 1
    bulk = Bulk.objects.get()
    assert (bulk.starts_at, bulk.content[0]["inbox_topic"]) == (at, "orders")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"from": None}, "from must not be null"),
        ({"from": "x" * 81}, "from size must be at most 80"),
        ({"to": None}, "to must not be null"),
        ({"to": []}, "to must be an object"),
        ({"text": ""}, "text must not be blank"),
        ({"text": "x" * 4001}, "text size must be at most 4000"),
        ({"validityPeriod": -1}, "validityPeriod must be greater than or equal to 0"),
        ({"validityPeriod": "1"}, "validityPeriod must be an integer"),
        ({"callbackData": "x" * 201}, "callbackData size must be at most 200"),
        ({"customPayload": 1}, "customPayload must be an object"),
        (
            {"notificationOptions": {"title": "x" * 46}},
            "notificationOptions.title size must be at most 45",
        ),
        (
            {"notifyUrl": "x"},
            "notifyUrl must be an absolute URL that begins with http:// or https://",
        ),
        ({"sendAt": "x"}, "sendAt must be a date-time such as 2026-07-23T12:55:35.086+0000"),
    ],
)
def test_a_body_is_refused_in_the_older_words(
    system: System, application: Application, changed: dict[str, Any], said: str
) -> None:
    answer = system.post(SINGLE, {**message(application, {"platform": "iOS"}), **changed})

    error = answer.json()["requestError"]["serviceException"]
    assert answer.status_code == 400
    assert error == {"messageId": "BAD_REQUEST", "text": said}
    assert not Submission.objects.exists()


def test_one_wrong_message_of_several_stops_all(system: System, application: Application) -> None:
    good = message(application, {"platform": "iOS"})
    answer = system.post(MULTI, {"messages": [good, {**good, "text": 1}]})

    assert answer.status_code == 400
    error = answer.json()["requestError"]["serviceException"]
    assert error["text"] == "messages[1].text must be a string"
    assert not Submission.objects.exists()


def test_only_who_sends_may_call(system: System) -> None:
    make_key("reader", scopes=["mobile-app-messaging:logs:read"])
    for path in (SINGLE, MULTI):
        assert system.post(path, {}, Authorization="App reader").status_code == 403
        assert system.get(path).status_code == 405
