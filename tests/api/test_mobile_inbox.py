"""api.mobile_inbox: what a person's inbox holds. Sections: contract/mobile-sdk.md."""

import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import dispatch, fanout, ids, inbox
from campaigns.models import Bulk, InboxMessage, Message
from devices.models import Person, Platform, Provider, Registration
from providers.base import Outcome, Verdict
from tests.api.apps import SEEN, App, assert_refused
from tests.api.phones import fold_receipts
from tests.factories import (
    make_application,
    make_bulk,
    make_credential,
    make_person,
    make_registration,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

NOW = timezone.now().replace(microsecond=0)
Send = Callable[..., Bulk]


def path(external_id: str = "jdoe", cloud: str = "gcm", query: str = "") -> str:
    return f"/mobile/1/user/{external_id}/inbox/{cloud}/messages{query}"


@pytest.fixture
def jdoe() -> Person:
    return make_person(external_id="jdoe")


@pytest.fixture
def phone(app: App, jdoe: Person) -> Registration:
    return make_registration(app.application, person=jdoe)


@pytest.fixture
def send(app: App, cloud_for: Any) -> Send:
    """Send a message with a topic to every device of the application."""
    cloud_for(make_credential(app.application))
    cloud_for(make_credential(app.application, Provider.APNS))

    def sent(topic: str = "offers", ago: timedelta = timedelta(minutes=5), **content: Any) -> Bulk:
        said = {"language": "", "variant": 0, "text": "Sale", "title": "Hi", **content}
        if topic:
            said["inbox_topic"] = topic
        bulk = make_bulk(app.application, starts_at=NOW - ago, content=[said], bulk_id="b-1")
        fanout.freeze(bulk)
        dispatch.work(seconds=60)
        bulk.refresh_from_db()
        return bulk

    return sent


def texts(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [each["gcm.notification.body"] for each in answer.json()["messages"]]


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


# ------------------------------------------------------------------- what is answered: 4.5


def test_an_android_app_reads_the_inbox_of_its_person(
    app: App, phone: Registration, send: Send
) -> None:
    bulk = send()

    answer = app.call("GET", path()).json()

    (item,) = answer["messages"]
    internal = json.loads(item.pop("internalData"))
    assert answer == {"countTotal": 1, "countUnread": 1, "messages": [item]}
    assert item == {
        "gcm.notification.messageId": str(ids.message_id(bulk, phone.pk)),
        "gcm.notification.title": "Hi",
        "gcm.notification.body": "Sale",
        "gcm.notification.sound": "default",
        "gcm.notification.vibrate": "true",
        "gcm.notification.silent": "false",
    }
    assert internal == {
        "sendDateTime": milliseconds(bulk.starts_at),
        "bulkId": "b-1",
        "inbox": {"topic": "offers", "seen": False},
    }


def test_an_ios_app_reads_it_as_apple_would_have_brought_it(
    app: App, phone: Registration, send: Send
) -> None:
    bulk = send()

    assert app.call("GET", path(cloud="apns")).json() == {
        "countTotal": 1,
        "countUnread": 1,
        "messages": [
            {
                "aps": {
                    "alert": {"title": "Hi", "body": "Sale"},
                    "sound": "default",
                    "mutable-content": 1,
                },
                "messageId": str(ids.message_id(bulk, phone.pk)),
                "internalData": {
                    "sendDateTime": milliseconds(bulk.starts_at),
                    "bulkId": "b-1",
                    "inbox": {"topic": "offers", "seen": False},
                },
            }
        ],
    }
    assert app.call("GET", path(cloud="hms")).json() == app.call("GET", path()).json()


EMPTY = {"countTotal": 0, "countUnread": 0, "messages": []}


@pytest.mark.parametrize("external_id", ["nobody", "null", "%00", "x" * 300, "ü", "a%2Fb"])
def test_the_inbox_of_nobody_is_empty(app: App, external_id: str) -> None:
    answer = app.call("GET", path(external_id))

    assert (answer.status_code, answer.json()) == (200, EMPTY)


def test_an_external_id_may_hold_a_slash(app: App, send: Send) -> None:
    make_registration(app.application, person=make_person(external_id="a/b"))
    send()

    assert texts(app.call("GET", path("a%2Fb"))) == ["Sale"]


def test_the_newest_comes_first_and_the_limit_is_kept(
    app: App, phone: Registration, send: Send
) -> None:
    for hours in (2, 1, 3):
        send(ago=timedelta(hours=hours), text=f"{hours} hours ago")

    assert texts(app.call("GET", path())) == ["1 hours ago", "2 hours ago", "3 hours ago"]
    limited = app.call("GET", path(query="?limit=2"))
    assert texts(limited) == ["1 hours ago", "2 hours ago"]
    assert limited.json()["countTotal"] == 3
    assert len(texts(app.call("GET", path(query="?limit=1000")))) == 3


def test_topics_are_filtered_with_their_case_and_counted(
    app: App, phone: Registration, send: Send
) -> None:
    send("offers", text="one")
    send("Offers", text="two")
    send("news", text="three")

    answer = app.call("GET", path(query="?messageTopic=Offers"))

    assert texts(answer) == ["two"]
    counts = {name: value for name, value in answer.json().items() if name != "messages"}
    assert counts == {
        "countTotal": 3,
        "countUnread": 3,
        "countTotalFiltered": 1,
        "countUnreadFiltered": 1,
    }


def test_times_are_filtered_in_milliseconds(app: App, phone: Registration, send: Send) -> None:
    bulks = [send(ago=timedelta(hours=each), text=str(each)) for each in (3, 2, 1)]
    at = milliseconds(bulks[1].starts_at)

    assert texts(app.call("GET", path(query=f"?dateTimeFrom={at}"))) == ["1", "2"]
    assert texts(app.call("GET", path(query=f"?dateTimeTo={at}"))) == ["2", "3"]
    both = app.call("GET", path(query=f"?dateTimeFrom={at}&dateTimeTo={at}"))
    assert texts(both) == ["2"]
    assert both.json()["countTotalFiltered"] == 1
    assert texts(app.call("GET", path(query=f"?dateTimeTo={'9' * 15}"))) == ["1", "2", "3"]


@pytest.mark.parametrize("name", ["dateTimeFrom", "dateTimeTo", "limit"])
@pytest.mark.parametrize("value", ["-1", "x", "1e5", "9" * 5000, "2024-01-01", "%FF", "٣"])
def test_a_number_that_is_none_is_named(app: App, name: str, value: str) -> None:
    answer = app.call("GET", path(query=f"?{name}={value}"))

    text = f"{name} should be number of at most 15 digits"
    assert_refused(answer, 400, "REQUEST_FORMAT_INVALID", text)


@pytest.mark.parametrize("topic", ["x" * 101, 7, ["offers"], {}])
def test_a_topic_that_can_be_none_keeps_no_window_from_its_rows(
    app: App, phone: Registration, send: Send, topic: Any
) -> None:
    send(topic)

    assert Message.objects.get().state == Message.State.ACCEPTED
    assert app.call("GET", path()).json() == EMPTY


@pytest.mark.parametrize("cloud", ["fcm", "GCM", "x"])
def test_an_inbox_of_another_cloud_is_no_path(app: App, cloud: str) -> None:
    answer = app.call("GET", path(cloud=cloud))

    assert_refused(answer, 404, "NOT_FOUND", "There is nothing at this path")


def test_an_inbox_takes_two_statements(
    app: App, phone: Registration, send: Send, django_assert_num_queries: Any
) -> None:
    for hours in (1, 2, 3):
        send(ago=timedelta(hours=hours))
    app.call("GET", path())

    with django_assert_num_queries(2):
        app.call("GET", path())


# ------------------------------------------------------------------- what is kept: push.md 2.1


def test_without_a_topic_nothing_is_kept(app: App, phone: Registration, send: Send) -> None:
    send(topic="")

    assert app.call("GET", path()).json() == EMPTY


def test_one_copy_for_all_devices_of_a_person(
    app: App, phone: Registration, jdoe: Person, send: Send
) -> None:
    make_registration(app.application, person=jdoe)
    make_registration(app.application, person=jdoe, platform=Platform.IOS)
    send()

    assert app.call("GET", path()).json()["countTotal"] == 1
    assert Message.objects.count() == 3


def test_it_lives_past_the_time_of_the_push_and_past_its_rows(
    app: App, phone: Registration, send: Send
) -> None:
    send()
    Bulk.objects.update(ttl=30)
    Message.objects.all().delete()
    phone.delete()

    assert texts(app.call("GET", path())) == ["Sale"]


def test_it_does_not_matter_whether_a_cloud_took_it(
    app: App, phone: Registration, send: Send, cloud_for: Any
) -> None:
    credential = app.application.credentials.get(provider=Provider.FCM)
    cloud_for(credential).answer = lambda one: Outcome(verdict=Verdict.REJECTED, status=400)
    send()

    assert Message.objects.get().state == Message.State.FAILED
    assert texts(app.call("GET", path())) == ["Sale"]


def test_what_was_too_late_for_the_push_is_not_kept(
    app: App, phone: Registration, send: Send
) -> None:
    send(ago=timedelta(days=3))

    assert Message.objects.get().state == Message.State.EXPIRED
    assert app.call("GET", path()).json() == EMPTY


def test_a_copy_expires_as_was_asked_or_with_the_setting(
    app: App, phone: Registration, send: Send, settings: Any, time_machine: Any
) -> None:
    settings.INBOX_RETENTION_DAYS = 10
    send(text="a week", inbox_expires_in=7 * 86_400)
    send(text="not said")
    send(text="never a number", inbox_expires_in="soon")

    time_machine.move_to(NOW + timedelta(days=7))
    assert len(texts(app.call("GET", path()))) == 2
    assert inbox.drop_expired() == 0  # for an hour, so that nobody's page changes under them
    time_machine.move_to(NOW + timedelta(days=11))
    assert app.call("GET", path()).json() == EMPTY
    assert inbox.drop_expired() == 3
    assert not InboxMessage.objects.exists()


def test_an_inbox_shows_the_newest_hundred(app: App, phone: Registration, jdoe: Person) -> None:
    for number in range(101):
        content = {"language": "", "variant": 0, "text": str(number), "inbox_topic": "offers"}
        starts_at = NOW - timedelta(minutes=number)
        bulk = make_bulk(app.application, starts_at=starts_at, content=[content])
        InboxMessage.objects.create(
            person=jdoe, registration=phone, bulk=bulk, topic="offers", sent_at=starts_at,
            expires_at=NOW + timedelta(days=1),
        )  # fmt: skip

    answer = app.call("GET", path(query="?limit=1000"))

    assert texts(answer) == [str(number) for number in range(100)]
    assert answer.json()["countTotal"] == 100


def test_what_came_before_somebody_signed_in_is_theirs(app: App, send: Send) -> None:
    device = make_registration(app.application)
    send(text="before")
    send(text="also before")
    public_id = device.address.public_id
    who = {"userIdentity": {"externalUserId": "jdoe"}}
    app.post(f"/mobile/1/appinstance/{public_id}/personalize", who)
    send(text="after")

    assert sorted(texts(app.call("GET", path()))) == ["after", "also before", "before"]


def test_what_came_for_one_person_is_not_shown_to_the_next(
    app: App, phone: Registration, send: Send
) -> None:
    send()
    next_one = make_person(external_id="next")
    Registration.objects.update(person=next_one)

    assert app.call("GET", path("next")).json() == EMPTY
    assert app.call("GET", path()).json()["countTotal"] == 1


def test_an_inbox_belongs_to_one_application(app: App, phone: Registration, send: Send) -> None:
    send()
    other = App(make_application())

    assert other.call("GET", path()).json() == EMPTY
    assert other.call("GET", path(), Authorization="App shoe").status_code == 401


def test_an_erased_person_leaves_no_copies(phone: Registration, jdoe: Person, send: Send) -> None:
    send()

    jdoe.delete()

    assert not InboxMessage.objects.exists()


# ------------------------------------------------------------------- seen: 4.2


def test_a_copy_is_seen_whatever_device_got_it(
    app: App, phone: Registration, jdoe: Person, send: Send
) -> None:
    other = make_registration(app.application, person=jdoe)
    bulk = send()
    of_other = str(ids.message_id(bulk, other.pk))
    body = {
        "externalUserId": "jdoe",
        "messages": [{"messageId": of_other, "timestampDelta": 60, "inbox": True}],
    }

    answer = app.post(SEEN, body, pushregistrationid=str(phone.address.public_id))

    assert (answer.status_code, answer.json()) == (200, {})
    counts = app.call("GET", path()).json()
    assert (counts["countTotal"], counts["countUnread"]) == (1, 0)
    internal = json.loads(counts["messages"][0]["internalData"])
    assert internal["inbox"] == {"topic": "offers", "seen": True}
    fold_receipts()
    assert Message.objects.filter(state=Message.State.SEEN).count() == 1


def test_seeing_a_copy_again_changes_nothing(app: App, phone: Registration, send: Send) -> None:
    identifier = str(ids.message_id(send(), phone.pk))
    for delta in (120, 0):
        message = {"messageId": identifier, "timestampDelta": delta, "inbox": True}
        app.post(SEEN, {"externalUserId": "jdoe", "messages": [message]})

    seen_at = InboxMessage.objects.get().seen_at
    assert seen_at is not None
    assert timezone.now() - seen_at > timedelta(seconds=100)


def test_nobody_sees_for_another_person(app: App, phone: Registration, send: Send) -> None:
    identifier = str(ids.message_id(send(), phone.pk))
    make_person(external_id="stranger")
    foreign = str(ids.message_id(make_bulk(), phone.pk))
    for external_id, each in (("stranger", identifier), ("nobody", identifier), ("jdoe", foreign)):
        messages = [{"messageId": each, "inbox": True}, {"messageId": "shoe", "inbox": True}]
        answer = app.post(SEEN, {"externalUserId": external_id, "messages": messages})
        assert answer.json() == {}

    assert InboxMessage.objects.get().seen_at is None


def test_a_push_that_is_seen_leaves_its_copy_unread(
    app: App, phone: Registration, send: Send
) -> None:
    message = {"messageId": str(ids.message_id(send(), phone.pk))}
    app.post(SEEN, {"externalUserId": "jdoe", "messages": [message]})

    assert app.call("GET", path()).json()["countUnread"] == 1
    fold_receipts()
    assert Message.objects.get().state == Message.State.SEEN


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"externalUserId": 7, "messages": []}, "externalUserId should be string"),
        (
            {"messages": [{"messageId": "x", "inbox": "yes"}]},
            "messages.0.inbox should be boolean",
        ),
    ],
)
def test_what_was_seen_in_a_wrong_form_names_the_member(app: App, body: Any, text: str) -> None:
    assert_refused(app.post(SEEN, body), 400, "REQUEST_FORMAT_INVALID", text)


def test_ids_that_nobody_made_are_ignored(app: App, phone: Registration) -> None:
    messages = [{"messageId": str(uuid.uuid4()), "inbox": True}]

    assert app.post(SEEN, {"externalUserId": "jdoe", "messages": messages}).json() == {}
