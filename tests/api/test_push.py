"""api.infobip.push: send push messages. Sections: contract/push.md."""

import json
import uuid
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection
from django.utils import timezone

from api.infobip import push_schemas
from campaigns import fanout
from campaigns.models import (
    Bulk,
    Chunk,
    Destination,
    InboxTopic,
    Rejection,
    Submission,
    UsedId,
)
from devices.models import Application, Platform, Registration
from tests.api.systems import System, basic, make_api_user, make_key
from tests.factories import (
    make_application,
    make_person,
    make_registration,
    make_registrations,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

SEND = "/push/3/messages"
ENROUTE = {
    "groupId": 1,
    "groupName": "PENDING",
    "id": 7,
    "name": "PENDING_ENROUTE",
    "description": "Message sent to next instance",
}
ACCEPTED = {
    "groupId": 1,
    "groupName": "PENDING",
    "id": 26,
    "name": "PENDING_ACCEPTED",
    "description": "Message accepted, pending for delivery",
}


@pytest.fixture
def application() -> Application:
    return make_application()


@pytest.fixture
def system() -> System:
    make_key(scopes=["mobile-app-messaging:manage"])
    return System()


def to(device: Registration, **given: Any) -> dict[str, Any]:
    return {
        "type": "REGISTRATION",
        "pushRegistrationId": str(device.address.public_id),
        **given,
    }


def message(application: Application, *destinations: Any, **given: Any) -> dict[str, Any]:
    return {
        "sender": application.code,
        "destinations": list(destinations),
        "content": {"type": "TEXT", "text": "Order shipped"},
        **given,
    }


def request_of(*messages: Any, **schedule: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": list(messages)}
    if schedule:
        body["options"] = {"schedule": schedule}
    return body


def status_of(answer: Any, number: int = 0) -> tuple[int, str]:
    assert answer.status_code == 200, answer.content
    status = answer.json()["messages"][number]["status"]
    return status["id"], status["name"]


def violations_of(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 400, answer.content
    body = answer.json()
    assert int(answer["Content-Length"]) == len(answer.content)
    assert list(body) == ["errorCode", "description", "action", "violations", "resources"]
    assert (body["errorCode"], body["resources"]) == ("E400", [])
    assert Submission.objects.count() == Bulk.objects.count() == 0
    return [(each["property"], each["violation"]) for each in body["violations"]]


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


# ------------------------------------------------------------------- who may call: 1.1, 1.4


def refused(answer: Any) -> tuple[int, str]:
    assert int(answer["Content-Length"]) == len(answer.content)
    return answer.status_code, answer.json()["errorCode"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("", (401, "E401")),
        ("App nobody", (401, "E401")),
        ("IBSSO token", (401, "E401")),
        ("Bearer token", (401, "E401")),
        (basic("crm", "wrong"), (401, "E401")),
        ("App reader", (403, "E403")),
    ],
)
def test_the_caller_comes_before_the_method_before_the_body(
    system: System, header: str, said: tuple[int, str]
) -> None:
    make_key("reader", scopes=["mobile-app-messaging:logs:read"])
    make_api_user("crm", "open sesame", scopes=["message:send"])
    for method in ("POST", "GET"):
        assert refused(system.call(method, SEND, b"{", Authorization=header)) == said


@pytest.mark.parametrize(
    "scope", ["message:send", "mobile-app-messaging:send", "mobile-app-messaging:manage"]
)
def test_each_scope_for_sending_is_enough(application: Application, scope: str) -> None:
    make_api_user("crm", "open sesame", scopes=[scope])
    system = System()
    system.headers = {"Authorization": basic("crm", "open sesame").replace("Basic", "bAsIc")}
    answer = system.post(SEND, request_of(message(application, to(make_registration(application)))))

    assert status_of(answer) == (7, "PENDING_ENROUTE")


def test_unauthorized_is_said_in_the_words_of_this_family(system: System) -> None:
    answer = system.post(SEND, {}, Authorization="")

    assert answer.json() == {
        "errorCode": "E401",
        "description": (
            "The request lacks valid authentication credentials for the requested resource."
        ),
        "action": "Check the resources and adjust authentication credentials.",
        "violations": [],
        "resources": [],
    }


@time_machine.travel("2026-11-20T15:00:00.5+00:00", tick=False)
def test_too_many_sends_are_told_when_to_come_back(system: System, settings: Any) -> None:
    settings.PUSH_CALLS_PER_SECOND = 1
    first, second = (system.post(SEND, {}) for _ in range(2))

    assert first.status_code == 400
    assert refused(second) == (429, "E429")
    assert second["Retry-After"] == "1"


def test_other_methods_and_paths_are_refused_in_the_words_of_their_family(system: System) -> None:
    answer = system.get(SEND)
    assert (refused(answer), answer["Allow"]) == ((405, "E405"), "POST")
    assert refused(system.get("/push/3/nothing")) == (404, "E404")
    for path in ("/push/1/nothing", "/push/2/message", "/push", "/push/4/messages"):
        answer = system.get(path)
        assert answer.status_code == 404
        error = answer.json()["requestError"]["serviceException"]
        assert error["messageId"] == "NOT_FOUND"


def test_a_database_that_is_away_is_said_with_a_body(system: System) -> None:
    def away(*_: object) -> None:
        raise OperationalError("the database is away")

    with connection.execute_wrapper(away):
        answer = system.post(SEND, {})

    assert (refused(answer), answer["Retry-After"]) == ((503, "E503"), "1")


def test_xml_is_not_read(system: System) -> None:
    answer = system.client.post(
        SEND, "<a/>", content_type="application/xml", headers=system.headers
    )
    assert refused(answer) == (415, "E415")


def test_a_body_over_two_mebibytes_is_refused(system: System) -> None:
    assert refused(system.post(SEND, b" " * (2 * 2**20 + 1))) == (413, "E413")
    assert refused(system.post(SEND, b" " * (2 * 2**20))) == (400, "E400")


# ------------------------------------------------------------------- destinations: 3.1


@pytest.fixture
def jane(application: Application) -> list[Registration]:
    """Somebody with two devices of the application, and one of another."""
    person = make_person(external_id="jane", phone="41793026727", email="jane@example.com")
    make_registration(make_application(), person=person)
    return [
        make_registration(application, person=person, primary=True),
        make_registration(application, person=person, platform=Platform.IOS),
    ]


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

NOBODY = {"type": "EXTERNAL_USER_ID", "externalUserId": "nobody"}
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


# ------------------------------------------------------------------- errors: 2.3

GOOD = {"type": "EXTERNAL_USER_ID", "externalUserId": "jane"}
TEXT = {"type": "TEXT", "text": "Hi"}
M = "messages[0]"
NOTHING_ASKED: list[dict[str, Any]] = [{}, {"$or": []}, {"$or": None, "$and": []}]


def changed(**given: Any) -> dict[str, Any]:
    return {"messages": [{"sender": "s", "destinations": [GOOD], "content": TEXT, **given}]}


def with_options(**given: Any) -> dict[str, Any]:
    return changed(options=given)


def scheduled(**given: Any) -> dict[str, Any]:
    return {**changed(), "options": {"schedule": given}}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, [("messages", "must not be null")]),
        ([], [("", "must be an object")]),
        ({"messages": None}, [("messages", "must not be null")]),
        ({"messages": []}, [("messages", "must not be empty")]),
        ({"messages": {}}, [("messages", "must be an array")]),
        ({"messages": ["x"]}, [(M, "must be an object")]),
        (
            {"messages": [{}]},
            [
                (f"{M}.sender", "must not be null"),
                (f"{M}.destinations", "must not be null"),
                (f"{M}.content", "must not be null"),
            ],
        ),
        (changed(sender=5), [(f"{M}.sender", "must be a string")]),
        (changed(sender=" "), [(f"{M}.sender", "must not be blank")]),
        (changed(destinations=[]), [(f"{M}.destinations", "must not be empty")]),
        (
            changed(destinations=[GOOD] * 1001),
            [(f"{M}.destinations", "size must be at most 1000")],
        ),
        (changed(destinations=[{}]), [(f"{M}.destinations[0].type", "must not be null")]),
        (
            changed(destinations=[{"type": "FAX"}]),
            [
                (
                    f"{M}.destinations[0].type",
                    "must be one of REGISTRATION, EXTERNAL_USER_ID, EMAIL, PHONE_NUMBER, MULTIPLE",
                )
            ],
        ),
        *(
            (
                changed(destinations=[{"type": kind}]),
                [(f"{M}.destinations[0].{member}", "must not be null")],
            )
            for kind, member in (
                ("REGISTRATION", "pushRegistrationId"),
                ("EXTERNAL_USER_ID", "externalUserId"),
                ("EMAIL", "email"),
                ("PHONE_NUMBER", "phoneNumber"),
            )
        ),
        (
            changed(destinations=[{**GOOD, "messageId": "x" * 101}]),
            [(f"{M}.destinations[0].messageId", "size must be at most 100")],
        ),
        (
            changed(destinations=[{**GOOD, "targetOnlyPrimaryDevices": "true"}]),
            [(f"{M}.destinations[0].targetOnlyPrimaryDevices", "must be a boolean")],
        ),
        *(
            (
                changed(destinations=[{"type": "MULTIPLE", **lists}]),
                [(f"{M}.destinations[0].$or", "must not be empty where $and is empty")],
            )
            for lists in NOTHING_ASKED
        ),
        (
            changed(destinations=[{"type": "MULTIPLE", "$or": {"a": 1}}]),
            [(f"{M}.destinations[0].$or", "must be an array")],
        ),
        (changed(content={}), [(f"{M}.content.type", "must not be null")]),
        (
            changed(content={"type": "VIDEO", "text": "x"}),
            [(f"{M}.content.type", "must be one of TEXT, IMAGE")],
        ),
        (changed(content={"type": "TEXT"}), [(f"{M}.content.text", "must not be null")]),
        (changed(content={**TEXT, "text": ""}), [(f"{M}.content.text", "must not be blank")]),
        (changed(content={**TEXT, "text": 1}), [(f"{M}.content.text", "must be a string")]),
        (
            changed(content={**TEXT, "text": "x" * 4001}),
            [(f"{M}.content.text", "size must be at most 4000")],
        ),
        (
            changed(content={**TEXT, "title": "x" * 51}),
            [(f"{M}.content.title", "size must be at most 50")],
        ),
        (
            changed(content={"type": "IMAGE", "text": "x"}),
            [(f"{M}.content.url", "must not be null")],
        ),
        *(
            (
                changed(content={"type": "IMAGE", "text": "x", "url": url}),
                [
                    (
                        f"{M}.content.url",
                        "must be an absolute URL that begins with http:// or https://",
                    )
                ],
            )
            for url in ("", "ftp://x", "https://", "https://a b", "//x", "shop.example/x")
        ),
        (
            changed(webhooks={"delivery": {"url": "x"}, "callbackData": "x" * 4001}),
            [
                (
                    f"{M}.webhooks.delivery.url",
                    "must be an absolute URL that begins with http:// or https://",
                ),
                (f"{M}.webhooks.callbackData", "size must be at most 4000"),
            ],
        ),
        (
            changed(webhooks={"contentType": "text/plain"}),
            [
                (
                    f"{M}.webhooks.contentType",
                    "must be one of application/json, application/xml",
                )
            ],
        ),
        (with_options(customPayload=[]), [(f"{M}.options.customPayload", "must be an object")]),
        (with_options(customPayload="{}"), [(f"{M}.options.customPayload", "must be an object")]),
        (with_options(badge="1"), [(f"{M}.options.badge", "must be an integer")]),
        (
            with_options(badge=2**31),
            [(f"{M}.options.badge", "must be less than or equal to 2147483647")],
        ),
        (with_options(isSilent=1), [(f"{M}.options.isSilent", "must be a boolean")]),
        (
            with_options(mirroredPushStyle="modal"),
            [(f"{M}.options.mirroredPushStyle", "must be one of MODAL, BANNER")],
        ),
        (
            with_options(mirroredPushExpirationPeriod=-1),
            [
                (
                    f"{M}.options.mirroredPushExpirationPeriod",
                    "must be greater than or equal to 0",
                )
            ],
        ),
        (
            with_options(validityPeriod={}),
            [(f"{M}.options.validityPeriod.amount", "must not be null")],
        ),
        (
            with_options(validityPeriod={"amount": 1, "timeUnit": "DAYS"}),
            [(f"{M}.options.validityPeriod.timeUnit", "must be one of SECONDS, MINUTES, HOURS")],
        ),
        (
            with_options(deliveryTimeWindow={"days": []}),
            [(f"{M}.options.deliveryTimeWindow.days", "must not be empty")],
        ),
        (
            with_options(deliveryTimeWindow={"days": ["MONDAY"], "from": {"hour": 1, "minute": 0}}),
            [(f"{M}.options.deliveryTimeWindow.to", "must not be null")],
        ),
        (
            with_options(deliveryTimeWindow={"days": ["MONDAY"], "to": {"hour": 1, "minute": 0}}),
            [(f"{M}.options.deliveryTimeWindow.from", "must not be null")],
        ),
        (
            with_options(
                deliveryTimeWindow={
                    "days": ["MONDAY"],
                    "from": {"hour": 23, "minute": 30},
                    "to": {"hour": 0, "minute": 29},
                }
            ),
            [(f"{M}.options.deliveryTimeWindow.to", "must be at least 1 hour after from")],
        ),
        (
            with_options(
                deliveryTimeWindow={
                    "days": ["MONDAY"],
                    "from": {"hour": 24, "minute": 60},
                    "to": {"hour": 0, "minute": 29},
                }
            ),
            [
                (
                    f"{M}.options.deliveryTimeWindow.from.hour",
                    "must be less than or equal to 23",
                ),
                (
                    f"{M}.options.deliveryTimeWindow.from.minute",
                    "must be less than or equal to 59",
                ),
            ],
        ),
        (
            with_options(inboxMessageExpirationPeriod=1),
            [
                (
                    f"{M}.options.inboxTopic",
                    "must not be null with inboxMessageExpirationPeriod",
                )
            ],
        ),
        (
            with_options(campaignReferenceId="x" * 256, platform={"entityId": "x" * 256}),
            [
                (f"{M}.options.platform.entityId", "size must be at most 255"),
                (f"{M}.options.campaignReferenceId", "size must be at most 255"),
            ],
        ),
        (
            with_options(sendAt="tomorrow"),
            [
                (
                    f"{M}.options.sendAt",
                    "must be a date-time such as 2026-07-23T12:55:35.086+0000",
                )
            ],
        ),
        (
            with_options(sendAt="2026-02-30T00:00:00Z"),
            [(f"{M}.options.sendAt", "must be a date-time that exists")],
        ),
        (
            scheduled(sendAt="9999-12-31T23:59:59-1200"),
            [("options.schedule.sendAt", "must be a date-time that exists")],
        ),
        (
            scheduled(sendAt=(timezone.now() + timedelta(days=181)).isoformat()),
            [("options.schedule.sendAt", "must be at most 180 days ahead")],
        ),
        (scheduled(bulkId="x" * 101), [("options.schedule.bulkId", "size must be at most 100")]),
        (
            scheduled(sendingSpeedLimit={"timeUnit": "WEEK"}),
            [
                ("options.schedule.sendingSpeedLimit.amount", "must not be null"),
                (
                    "options.schedule.sendingSpeedLimit.timeUnit",
                    "must be one of MINUTE, HOUR, DAY",
                ),
            ],
        ),
        (
            scheduled(sendingSpeedLimit={"amount": 0}),
            [
                (
                    "options.schedule.sendingSpeedLimit.amount",
                    "must be greater than or equal to 1",
                )
            ],
        ),
    ],
)
def test_a_body_is_refused_with_one_violation_for_each_fault(
    system: System, body: Any, found: list[tuple[str, str]]
) -> None:
    assert violations_of(system.post(SEND, body)) == found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"messages":[{"sender":"\xc3\x28"}]}',
        b'{"messages":' + b"[" * 100_000,
        b'{"messages":[{"sender":"\\ud800"}]}',
    ],
)
def test_what_is_no_json_is_refused(system: System, body: bytes) -> None:
    assert violations_of(system.post(SEND, body)) == [("", "must be valid JSON")]


@pytest.mark.parametrize(
    "hostile",
    [
        {"customPayload": {"a": "\0"}},
        {"customPayload": {"a": json.loads("[" * 60 + "]" * 60)}},
        {"customPayload": {"a": 10**200}},
        {"soundName": "\0"},
        {"category": "\0"},
    ],
)
def test_what_cannot_be_stored_is_refused(system: System, hostile: dict[str, Any]) -> None:
    assert violations_of(system.post(SEND, with_options(**hostile)))


def test_no_number_in_a_payload_is_infinite(system: System) -> None:
    body = json.dumps(with_options(customPayload={"a": float("nan")})).encode()
    assert violations_of(system.post(SEND, body))


@pytest.mark.parametrize(
    "leaf",
    [
        '{"a":1e400}', '{"a":NaN}', '{"a":"\\u0000"}', '{"\\u0000":1}', '{"":1}',
        '{"' + "x" * 5000 + '":1}', '{"a":' + "9" * 4000 + "}", '{"platform":"Windows"}',
        '{"pushRegistrationId":"x"}', '{"deviceSecure":"yes"}', '{"sdkVersion":1.5}',
        '{"tags":""}', "{}", "[]", "null", "1",
    ],
)  # fmt: skip
def test_no_filter_breaks_us(system: System, application: Application, leaf: str) -> None:
    filtered = '{"type":"MULTIPLE","$or":[' + leaf + "]}"
    body = json.dumps(request_of(message(application, "HERE"))).replace('"HERE"', filtered)
    answer = system.post(SEND, body.encode())

    assert status_of(answer)[0] in {66, 71}


# ------------------------------------------------------------------- options: 2.1


def sent(system: System, application: Application, **given: Any) -> Bulk:
    device = make_registration(application)
    answer = system.post(SEND, request_of(message(application, to(device), **given)))
    assert status_of(answer)[0] in {7, 26}, answer.content
    return Bulk.objects.latest("pk")


def said(bulk: Bulk) -> dict[str, Any]:
    (content,) = bulk.content
    return {k: v for k, v in content.items() if k not in {"language", "variant", "text"}}


@pytest.mark.parametrize(
    ("options", "notification"),
    [
        ({}, {}),
        ({"soundEnabled": False, "soundName": "a.wav"}, {"sound": ""}),
        ({"soundEnabled": True, "soundName": "a.wav"}, {"sound": "a.wav"}),
        ({"soundEnabled": None}, {}),
        ({"vibrationEnabled": False}, {"vibrate": False}),
        ({"contentAvailable": True}, {"content_available": True}),
        ({"isSilent": True}, {"silent": True}),
        ({"badge": 0}, {"badge": 0}),
        ({"category": "mm_accept_decline"}, {"category": "mm_accept_decline"}),
        ({"showMirroredPush": False, "mirroredPushStyle": "BANNER"}, {}),
        ({"showMirroredPush": True}, {"in_app_style": "MODAL"}),
        (
            {
                "showMirroredPush": True,
                "mirroredPushStyle": "MODAL",
                "mirroredPushExpirationPeriod": 2,
                "mirroredPushDismissTitle": "Later",
                "mirroredPushOpenTitle": "Show",
            },
            {
                "in_app_style": "MODAL",
                "in_app_expires_in": 7200,
                "in_app_dismiss_title": "Later",
                "in_app_open_title": "Show",
            },
        ),
        (
            {
                "showMirroredPush": True,
                "mirroredPushStyle": "BANNER",
                "mirroredPushExpirationPeriod": 2,
                "mirroredPushExpirationTimeUnit": "MINUTES",
                "mirroredPushOpenTitle": "Show",
            },
            {"in_app_style": "BANNER", "in_app_expires_in": 120},
        ),
        (
            {"onTapButtonAction": {"resource": "resource", "type": "DEEP_LINK"}},
            {"deep_link": "resource"},
        ),
        (
            {"onTapButtonAction": {"resource": "https://a.b", "type": "WEB_VIEW_URL"}},
            {"web_view_url": "https://a.b"},
        ),
        (
            {"onTapButtonAction": {"resource": "https://a.b", "type": "OPEN_URL_IN_BROWSER"}},
            {"browser_url": "https://a.b"},
        ),
        ({"customPayload": {"a": None, "b": [1]}}, {"custom_payload": {"a": None, "b": [1]}}),
    ],
)
def test_each_option_reaches_the_notification(
    system: System,
    application: Application,
    options: dict[str, Any],
    notification: dict[str, Any],
) -> None:
    assert said(sent(system, application, options=options)) == notification
    assert said(sent(system, application, notificationOptions=options)) == notification


def test_options_win_over_their_older_name(system: System, application: Application) -> None:
    bulk = sent(
        system,
        application,
        options={"badge": 1, "category": None},
        notificationOptions={"badge": 2, "category": "c"},
    )
    assert said(bulk) == {"badge": 1, "category": "c"}


def test_an_image_is_shown(system: System, application: Application) -> None:
    image = {"type": "IMAGE", "title": "T", "text": "x", "url": "https://a.b/c.jpg"}
    assert said(sent(system, application, content=image)) == {
        "title": "T",
        "image_url": "https://a.b/c.jpg",
    }


def test_a_known_topic_keeps_it_in_the_inbox(system: System, application: Application) -> None:
    InboxTopic.objects.create(name="orders")
    options = {"inboxTopic": "orders", "inboxMessageExpirationPeriod": 2}
    assert said(sent(system, application, options=options)) == {
        "inbox_topic": "orders",
        "inbox_expires_in": 2 * 86_400,
    }
    months = sent(
        system, application, options={**options, "inboxMessageExpirationTimeUnit": "MONTHS"}
    )
    assert said(months)["inbox_expires_in"] == 60 * 86_400


@pytest.mark.parametrize(
    ("validity", "seconds"),
    [
        (None, 172_800),
        ({"amount": 30, "timeUnit": "SECONDS"}, 30),
        ({"amount": 5}, 300),
        ({"amount": 2, "timeUnit": "HOURS"}, 7200),
        ({"amount": 49, "timeUnit": "HOURS"}, 172_800),
        ({"amount": 2**31 - 1, "timeUnit": "HOURS"}, 172_800),
    ],
)
def test_validity_is_cut_to_48_hours(
    system: System, application: Application, validity: Any, seconds: int
) -> None:
    bulk = sent(system, application, options={"validityPeriod": validity})
    assert bulk.ttl == seconds
    assert bulk.expires_at == bulk.starts_at + timedelta(seconds=seconds)


def test_what_belongs_to_reports_is_kept(system: System, application: Application) -> None:
    sent(
        system,
        application,
        options={
            "platform": {"entityId": "e", "applicationId": "a"},
            "campaignReferenceId": "summersale",
        },
        webhooks={
            "delivery": {"url": "https://example.com/x", "intermediateReport": True},
            "contentType": "application/xml",
        },
    )
    kept = Submission.objects.get()
    assert (kept.entity_id, kept.platform_application_id, kept.reference) == (
        "e", "a", "summersale",
    )  # fmt: skip
    assert kept.webhook == {
        "url": "https://example.com/x",
        "intermediate": True,
        "content_type": "application/xml",
    }
    assert kept.content == {"type": "TEXT", "text": "Order shipped"}


def test_nothing_is_reported_to_a_webhook_that_was_switched_off(
    system: System, application: Application
) -> None:
    sent(system, application, webhooks={"delivery": {"url": "https://a.b", "notify": False}})
    assert Submission.objects.get().webhook == {}


# ------------------------------------------------------------------- time: 4


def test_what_is_for_later_is_looked_up_when_it_starts(
    system: System, application: Application
) -> None:
    person = make_person(external_id="jane")
    at = timezone.now() + timedelta(hours=1)
    answer = system.post(
        SEND,
        request_of(
            message(
                application,
                {"type": "EXTERNAL_USER_ID", "externalUserId": "jane", "messageId": "mine"},
                NOBODY,
                {"type": "MULTIPLE", "$or": [{"externalUserId": "jane"}]},
            ),
            sendAt=at.isoformat(),
        ),
    )

    assert [status_of(answer, number) for number in range(3)] == [(26, "PENDING_ACCEPTED")] * 3
    assert not Chunk.objects.exists()
    device = make_registration(application, person=person)
    for bulk in Bulk.objects.all():
        assert (bulk.status, bulk.starts_at) == ("pending", at)
        assert fanout.freeze(bulk) == 0

    with time_machine.travel(at + timedelta(seconds=1), tick=False):
        for bulk in Bulk.objects.all():
            assert fanout.freeze(bulk) == 1
    assert [chunk.recipients for chunk in Chunk.objects.all()] == [[device.pk]] * 2
    first, nobody, rule = Destination.objects.order_by("pk")
    assert (first.public_id, first.registration_id, first.devices) == ("mine", device.pk, 1)
    assert (nobody.rejection, nobody.devices) == (Rejection.NOBODY, 0)
    assert (rule.devices, rule.rejection) == (1, 0)


def test_a_later_person_with_several_devices_fills_sibling_bulks(
    system: System, application: Application, jane: list[Registration]
) -> None:
    at = timezone.now() + timedelta(minutes=1)
    told = {"type": "EXTERNAL_USER_ID", "externalUserId": "jane"}
    answer = system.post(
        SEND, request_of(message(application, told, told), bulkId="b", sendAt=at.isoformat())
    )
    bulk = Bulk.objects.get()
    with time_machine.travel(at + timedelta(seconds=1), tick=False):
        assert fanout.freeze(bulk) == 2

    assert [(each.bulk_id, each.status, each.audience) for each in Bulk.objects.order_by("pk")] == [
        ("b", "sending", 2),
        ("b", "sending", 2),
    ]
    rows = Destination.objects.all()
    assert len({row.message_from for row in rows}) == 4
    ids = [each["messageId"] for each in answer.json()["messages"]]
    assert sorted(row.public_id for row in rows) == sorted(ids * 2)


def test_a_time_in_the_past_is_now_and_the_message_s_own_wins(
    system: System, application: Application
) -> None:
    device = make_registration(application)
    past = {"sendAt": "2020-01-01T00:00:00.000+0000"}
    later = (timezone.now() + timedelta(days=1)).isoformat()
    answer = system.post(
        SEND, request_of(message(application, to(device), options=past), sendAt=later)
    )

    assert status_of(answer) == (7, "PENDING_ENROUTE")
    assert abs(Bulk.objects.get().starts_at - timezone.now()) < timedelta(minutes=1)


FOUR_AND_TWO = [Platform.ANDROID] * 4 + [Platform.IOS] * 2


@pytest.mark.parametrize(
    ("limit", "size", "gap"),
    [
        ({"amount": 1}, 1, 60.0),
        ({"amount": 24, "timeUnit": "DAY"}, 1, 3600.0),
        ({"amount": 7200, "timeUnit": "HOUR"}, 2, 1.0),
    ],
)
def test_a_speed_limit_spreads_the_start_evenly(
    system: System, application: Application, limit: dict[str, Any], size: int, gap: float
) -> None:
    devices = [make_registration(application, platform=p) for p in FOUR_AND_TWO]
    system.post(
        SEND,
        request_of(
            message(application, *map(to, devices[:4])),
            message(application, *map(to, devices[4:])),
            sendingSpeedLimit=limit,
        ),
    )
    rule = {"type": "MULTIPLE", "$or": [{"platform": "iOS"}, {"platform": "Android"}]}
    system.post(SEND, request_of(message(application, rule), sendingSpeedLimit=limit))
    fanout.freeze(Bulk.objects.latest("pk"))

    last = Bulk.objects.latest("pk")
    for chunks in (Chunk.objects.exclude(bulk=last), Chunk.objects.filter(bulk=last)):
        starts = [chunk.not_before for chunk in chunks.order_by("not_before")]
        assert {chunk.size for chunk in chunks} == {size}
        assert {(b - a).total_seconds() for a, b in pairwise(starts)} == {gap}


@pytest.mark.parametrize("by_rule", [False, True])
@time_machine.travel("2026-11-20T15:00:00+00:00", tick=False)
def test_a_speed_limit_holds_within_the_delivery_window(
    system: System, application: Application, by_rule: bool
) -> None:
    devices = make_registrations(application, 130)
    now = timezone.now()
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    window = {
        "days": [push_schemas.DAYS[tomorrow.weekday()]],
        "from": {"hour": 0, "minute": 0},
        "to": {"hour": 1, "minute": 0},
    }
    rule = {"type": "MULTIPLE", "$or": [{"platform": "Android"}]}
    wanted = [rule] if by_rule else [to(device) for device in devices]
    answer = system.post(
        SEND,
        request_of(
            message(application, *wanted, options={"deliveryTimeWindow": window}),
            sendingSpeedLimit={"amount": 1},
        ),
    )
    bulk = Bulk.objects.get()
    fanout.freeze(bulk)

    assert status_of(answer) == (26, "PENDING_ACCEPTED")
    starts = list(Chunk.objects.order_by("not_before").values_list("not_before", flat=True))
    end = bulk.starts_at + timedelta(hours=48)
    within = [tomorrow + timedelta(minutes=number) for number in range(60)]
    assert starts[:60] == within
    assert set(starts[60:]) == {end}, "the rest would leave when its validity is over"


def test_a_bulk_remembers_when_it_may_be_delivered(
    system: System, application: Application
) -> None:
    bulk = sent(
        system,
        application,
        options={
            "deliveryTimeWindow": {
                "days": ["SUNDAY", "MONDAY", "MONDAY"],
                "from": {"hour": 22, "minute": 30},
                "to": {"hour": 1, "minute": 0},
            }
        },
    )
    assert bulk.window == {"days": [0, 6], "from": 1350, "to": 60}
