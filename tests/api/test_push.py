"""api.infobip.push: send push messages. Sections: contract/push.md."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import fanout
from campaigns.models import (
    Bulk,
    Chunk,
    Destination,
    Submission,
    UsedId,
)
from devices.models import Application, Platform, Registration
from tests.api.pushing import ACCEPTED, ENROUTE, NOBODY, SEND, message, request_of, status_of, to
from tests.api.systems import System
from tests.factories import (
    make_application,
    make_person,
    make_registration,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

# ------------------------------------------------------------------- the example: 2.2


def test_the_example_of_the_contract(system: System, application: Application) -> None:
    person = make_person(external_id="customer_21234", phone="441134960001")
    phone = make_registration(application, platform=Platform.IOS, person=person)

    answer = system.post(
        SEND,
        {
            "messages": [
                {
                    "sender": application.application_id,
                    "destinations": [
                        {"type": "EXTERNAL_USER_ID", "externalUserId": "customer_21234"},
                        {
                            "type": "MULTIPLE",
                            "$and": [{"platform": "iOS"}, {"phoneNumber": "441134960001"}],
                        },
                    ],
                    "content": {"type": "TEXT", "title": "Hi", "text": "Order shipped"},
                    "options": {
                        "category": "mm_accept_decline",
                        "customPayload": {"orderId": 7},
                        "showMirroredPush": True,
                        "mirroredPushStyle": "BANNER",
                    },
                    "webhooks": {
                        "delivery": {"url": "https://example.com/dlr"},
                        "callbackData": "o-7",
                    },
                }
            ],
            "options": {"schedule": {"bulkId": "my-bulk"}},
        },
    )

    known, rule = Destination.objects.order_by("pk")
    assert known.public_id == str(known.message_from) == str(known.message_to)
    assert answer.status_code == 200
    assert answer.json() == {
        "bulkId": "my-bulk",
        "messages": [
            {"messageId": known.public_id, "status": ENROUTE, "destination": "customer_21234"},
            {
                "messageId": rule.public_id,
                "status": ACCEPTED,
                "destination": '{"$and":[{"platform":"iOS"},{"phoneNumber":"441134960001"}]}',
            },
        ],
    }
    bulk = known.bulk
    assert bulk is not None
    assert (bulk.origin, bulk.status, bulk.bulk_id) == ("api", "sending", "my-bulk")
    assert bulk.content == [
        {
            "language": "",
            "variant": 0,
            "title": "Hi",
            "text": "Order shipped",
            "category": "mm_accept_decline",
            "custom_payload": {"orderId": 7},
            "in_app_style": "BANNER",
        }
    ]
    chunk = Chunk.objects.get(bulk=bulk)
    assert (chunk.recipients, chunk.urgent, chunk.platform) == ([phone.pk], True, Platform.IOS)
    submission = Submission.objects.get()
    assert submission.callback_data == "o-7"
    assert submission.webhook == {
        "url": "https://example.com/dlr",
        "intermediate": False,
        "content_type": "application/json",
    }


# ------------------------------------------------------------------- destinations: 3.1


@pytest.mark.parametrize(
    "destination",
    [
        {"type": "EXTERNAL_USER_ID", "externalUserId": "jane"},
        {"type": "PHONE_NUMBER", "phoneNumber": "41793026727"},
        {"type": "PHONE_NUMBER", "phoneNumber": "+41793026727"},
        {"type": "EMAIL", "email": "Jane@Example.com"},
    ],
)
def test_a_person_gets_it_on_each_device_of_the_application(
    system: System, application: Application, jane: list[Registration], destination: dict[str, Any]
) -> None:
    answer = system.post(SEND, request_of(message(application, destination)))

    assert status_of(answer) == (7, "PENDING_ENROUTE")
    sent = answer.json()["messages"][0]
    assert sent["destination"] == next(v for k, v in destination.items() if k != "type")
    rows = Destination.objects.order_by("pk")
    assert {row.registration_id for row in rows} == {device.pk for device in jane}
    assert {(row.public_id, row.devices) for row in rows} == {(sent["messageId"], 2)}
    assert uuid.UUID(sent["messageId"]) not in {row.message_from for row in rows}
    assert Bulk.objects.get().audience == 2
    assert {(c.platform, tuple(c.recipients)) for c in Chunk.objects.all()} == {
        (Platform.ANDROID, (jane[0].pk,)),
        (Platform.IOS, (jane[1].pk,)),
    }


@pytest.mark.parametrize("one_of", ["EXTERNAL_USER_ID", "MULTIPLE", "REGISTRATION"])
def test_only_the_primary_device_if_that_is_asked_for(
    system: System, application: Application, jane: list[Registration], one_of: str
) -> None:
    destinations: dict[str, dict[str, Any]] = {
        "EXTERNAL_USER_ID": {"type": "EXTERNAL_USER_ID", "externalUserId": "jane"},
        "MULTIPLE": {"type": "MULTIPLE", "$or": [{"externalUserId": "jane"}]},
        "REGISTRATION": to(jane[0]),
    }
    told = {**destinations[one_of], "targetOnlyPrimaryDevices": True}
    answer = system.post(SEND, request_of(message(application, told, to(jane[1]))))
    for bulk in Bulk.objects.filter(status="pending"):
        fanout.freeze(bulk)

    assert status_of(answer)[0] in {7, 26}
    chunks = Chunk.objects.filter(platform=Platform.ANDROID)
    assert [chunk.recipients for chunk in chunks] == [[jane[0].pk]]
    assert [c.recipients for c in Chunk.objects.exclude(platform=1)] == [[jane[1].pk]]


def test_a_disabled_device_is_tried_and_so_is_one_without_consent(
    system: System, application: Application
) -> None:
    off = make_registration(application, enabled=False)
    mute = make_registration(application, notifications_enabled=False)
    answer = system.post(SEND, request_of(message(application, to(off), to(mute))))

    assert status_of(answer, 0) == status_of(answer, 1) == (7, "PENDING_ENROUTE")
    assert Chunk.objects.get().recipients == sorted([off.pk, mute.pk])


def test_two_destinations_that_are_one_device_are_two_messages(
    system: System, application: Application, jane: list[Registration]
) -> None:
    person = {"type": "EMAIL", "email": "jane@example.com"}
    answer = system.post(SEND, request_of(message(application, to(jane[0]), person, to(jane[0]))))

    assert len({each["messageId"] for each in answer.json()["messages"]}) == 3
    assert len({row.message_from for row in Destination.objects.all()}) == 4
    assert Bulk.objects.count() == 3
    assert {bulk.bulk_id for bulk in Bulk.objects.all()} == {answer.json()["bulkId"]}
    assert sum(bulk.audience for bulk in Bulk.objects.all()) == 4


def test_each_message_of_a_request_has_its_own_content_and_application(
    system: System, application: Application
) -> None:
    other = make_application()
    first, second = make_registration(application), make_registration(other)
    answer = system.post(
        SEND,
        request_of(
            message(application, to(first)),
            message(other, to(second), content={"type": "TEXT", "text": "Second"}),
        ),
    )

    bulks = Bulk.objects.order_by("pk")
    assert [bulk.content[0]["text"] for bulk in bulks] == ["Order shipped", "Second"]
    assert [bulk.application for bulk in bulks] == [application, other]
    assert {bulk.bulk_id for bulk in bulks} == {answer.json()["bulkId"]}


def test_a_rule_is_frozen_in_a_bulk_of_its_own(system: System, application: Application) -> None:
    phones = [make_registration(application, platform=Platform.IOS, enabled=n > 0) for n in (0, 1)]
    make_registration(application)
    rule = {"type": "MULTIPLE", "$or": [{"platform": "iOS"}]}
    answer = system.post(SEND, request_of(message(application, rule, rule)))

    assert status_of(answer, 0) == status_of(answer, 1) == (26, "PENDING_ACCEPTED")
    for bulk in Bulk.objects.all():
        assert fanout.freeze(bulk) == 2
        assert fanout.freeze(bulk) == 2
    assert [chunk.recipients for chunk in Chunk.objects.all()] == [[p.pk for p in phones]] * 2
    assert [row.devices for row in Destination.objects.all()] == [2, 2]


# ------------------------------------------------------------------- statuses: 2.3

LONG = {"customPayload": {"x": "y" * 4000}}
SHORT = {"validityPeriod": {"amount": 29, "timeUnit": "SECONDS"}}
TOPIC = {"inboxTopic": "orders"}
BUTTON = {"onTapButtonAction": {"resource": "shop://sale"}}
BAD_RULE = {"type": "MULTIPLE", "$or": [{"platform": ["iOS"]}]}


@pytest.mark.parametrize(
    ("destination", "options", "status"),
    [
        (NOBODY, {}, (66, "UNDELIVERABLE_NO_DESTINATION")),
        ({"type": "REGISTRATION", "pushRegistrationId": "x"}, {}, (66, None)),
        ({"type": "REGISTRATION", "pushRegistrationId": str(uuid.uuid4())}, {}, (66, None)),
        ({"type": "PHONE_NUMBER", "phoneNumber": "12"}, {}, (66, None)),
        ({"type": "EMAIL", "email": "no mail"}, {}, (66, None)),
        ({"type": "EXTERNAL_USER_ID", "externalUserId": "null"}, {}, (66, None)),
        ({"type": "MULTIPLE", "$or": [{"externalUserId": "nobody"}]}, {}, (66, None)),
        ({"type": "MULTIPLE", "$or": [{"tier": "gold"}]}, {}, (66, None)),
        (NOBODY, LONG, (68, "REJECTED_PAYLOAD_TOO_BIG")),
        (NOBODY, SHORT, (70, "REJECTED_INVALID_VALIDITY_PERIOD")),
        (NOBODY, {"validityPeriod": {"amount": 0}}, (70, None)),
        (NOBODY, {"validityPeriod": {"amount": -1, "timeUnit": "HOURS"}}, (70, None)),
        (BAD_RULE, {}, (71, "REJECTED_INVALID_QUERY")),
        ({"type": "MULTIPLE", "$or": [{"a": {"b": 1}}]}, {}, (71, None)),
        ({"type": "MULTIPLE", "$or": [{"a": None}]}, {}, (71, None)),
        ({"type": "MULTIPLE", "$or": [["a"]]}, {}, (71, None)),
        ({"type": "MULTIPLE", "$or": ["a"]}, {}, (71, None)),
        ({"type": "MULTIPLE", "$or": [{"$gt": 1}]}, {}, (71, None)),
        ({"type": "MULTIPLE", "$or": [{"a": 1}], "$not": [{"b": 1}]}, {}, (71, None)),
        (NOBODY, TOPIC, (73, "REJECTED_INVALID_INBOX_TOPIC")),
        (NOBODY, BUTTON, (74, "REJECTED_INVALID_PRIMARY_BUTTON_ACTION")),
        (NOBODY, {"onTapButtonAction": {"type": "DEEP_LINK"}}, (74, None)),
        # the order of the checks
        (BAD_RULE, SHORT | TOPIC | BUTTON | LONG, (70, None)),
        (BAD_RULE, TOPIC | BUTTON | LONG, (71, None)),
        (NOBODY, TOPIC | BUTTON | LONG, (73, None)),
        (NOBODY, BUTTON | LONG, (74, None)),
        (NOBODY, LONG, (68, None)),
    ],
)
def test_a_destination_is_rejected_and_others_still_go_out(
    system: System,
    application: Application,
    destination: dict[str, Any],
    options: dict[str, Any],
    status: tuple[int, str | None],
) -> None:
    good = make_registration(application)
    answer = system.post(
        SEND,
        request_of(
            message(application, destination, options=options), message(application, to(good))
        ),
    )

    number, name = status_of(answer, 0)
    assert number == status[0]
    assert status[1] in {None, name}
    assert answer.json()["messages"][0]["status"]["groupName"] == (
        "UNDELIVERABLE" if number == 66 else "REJECTED"
    )
    assert status_of(answer, 1) == (7, "PENDING_ENROUTE")
    assert Chunk.objects.get().recipients == [good.pk]
    assert Destination.objects.filter(bulk=None).count() == 1


@pytest.mark.parametrize("sender", ["nobody", "A" * 32, "x" * 255, "ü", "disabled"])
def test_without_an_application_nothing_else_is_looked_at(
    system: System, application: Application, sender: str
) -> None:
    off = make_application(enabled=False)
    sender = off.code if sender == "disabled" else sender
    answer = system.post(
        SEND,
        request_of(
            message(application, {**NOBODY, "messageId": "m-1"}, sender=sender, options=SHORT)
        ),
    )

    assert status_of(answer) == (65, "REJECTED_NO_APPLICATION")
    assert answer.json()["messages"][0]["messageId"] == "m-1"
    free = system.post(SEND, request_of(message(application, {**NOBODY, "messageId": "m-1"})))
    assert status_of(free) == (66, "UNDELIVERABLE_NO_DESTINATION")


def test_a_message_id_is_used_once_in_48_hours(system: System, application: Application) -> None:
    device = make_registration(application)
    told = to(device, messageId="mine")
    first = system.post(SEND, request_of(message(application, told, told, options=SHORT)))
    assert [each["messageId"] for each in first.json()["messages"]] == ["mine", "mine"]
    assert status_of(first, 0) == (70, "REJECTED_INVALID_VALIDITY_PERIOD")
    assert status_of(first, 1) == (23, "REJECTED_DUPLICATE_MESSAGE_ID")

    again = system.post(SEND, request_of(message(application, told)))
    assert status_of(again) == (23, "REJECTED_DUPLICATE_MESSAGE_ID")

    UsedId.objects.update(used_at=timezone.now() - timedelta(hours=48, seconds=1))
    later = system.post(SEND, request_of(message(application, told)))
    assert status_of(later) == (7, "PENDING_ENROUTE")
    assert Destination.objects.filter(public_id="mine", devices=1).count() == 1
