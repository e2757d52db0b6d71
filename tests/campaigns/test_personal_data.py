"""campaigns.views.personal_data: a person takes everything along."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, cast

import pytest
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from campaigns import ids
from campaigns.models import Bulk, Flow, Journey, Leg, Medium, Message, Reason
from campaigns.views import personal_data as pages
from devices import personal_data, personalizing
from devices.audit import Author
from devices.models import Application, AuditEntry, Person, Registration, Role
from devices.personalizing import Identities
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_event,
    make_person,
    make_registration,
    make_user,
)

pytestmark = pytest.mark.django_db
QueryCount = Callable[[int], AbstractContextManager[Any]]


@pytest.fixture
def application(client: Client) -> Application:
    """One whose support agent is signed in."""
    application = make_application()
    client.force_login(make_user(Role.SUPPORT, application))
    return application


def url(application: Application, person: Person) -> str:
    return reverse("campaigns:person-export", args=[application.pk, person.pk])


def export(client: Client, application: Application, person: Person) -> dict[str, Any]:
    response = cast("StreamingHttpResponse", client.get(url(application, person)))
    told: dict[str, Any] = json.loads(response.getvalue())
    return told


def send(bulk: Bulk, device: Registration, **given: Any) -> Message:
    return Message.objects.create(
        id=ids.message_id(bulk, device.pk), bulk=bulk, registration=device,
        platform=device.platform, sent_at=timezone.now(), **given,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("role", "status"),
    [
        (Role.ADMINISTRATOR, 200),
        (Role.SUPPORT, 200),
        (Role.MARKETER, 200),
        (Role.ANALYST, 403),
        (None, 404),
    ],
)
def test_a_person_is_exported_by_whoever_sees_people(
    client: Client, role: Role | None, status: int
) -> None:
    application, person = make_application(), make_person()
    client.force_login(make_user(role, application) if role else make_user())

    assert client.get(url(application, person)).status_code == status


def test_an_unknown_person_is_not_exported(client: Client, application: Application) -> None:
    assert client.get(url(application, Person(pk=7777777))).status_code == 404


def test_everything_known_of_a_person_is_exported(client: Client, application: Application) -> None:
    person = make_person(
        external_id="crm-1", phone="447700900123", email="anna@example.com",
        first_name="Anna", last_name="Łukasz", attributes={"size": 9223372036854775807},
    )  # fmt: skip
    make_registration(application, person=person, token="x" * 20 + "TAILTAIL")
    make_registration(make_application(), person=person)

    response = client.get(url(application, person))
    text = cast("StreamingHttpResponse", response).getvalue().decode()

    told = json.loads(text)
    assert response["Content-Disposition"] == 'attachment; filename="anna-ukasz.json"'
    assert list(told) == [
        "person",
        "identities",
        "devices",
        "changes",
        "messages",
        "text_messages",
        "events",
    ]
    assert (told["person"]["first_name"], told["person"]["last_name"]) == ("Anna", "Łukasz")
    assert told["person"]["attributes"] == {"size": 9223372036854775807}
    assert {each["value"] for each in told["identities"]} == {
        "crm-1", "447700900123", "anna@example.com",
    }  # fmt: skip
    assert [each["platform"] for each in told["devices"]] == ["Android"]
    assert "TAILTAIL" not in text


def test_text_messages_are_exported_with_what_they_say(
    client: Client, application: Application
) -> None:
    person = make_person(phone="447700900123")
    flow = Flow.objects.create()
    bulk = make_bulk(
        application, flow=flow, content=[{"language": "", "variant": 0, "text": "Your parcel"}]
    )
    journey = Journey.objects.create(
        flow=flow, person=person, started_at=bulk.starts_at, deadline=bulk.starts_at
    )
    Leg.objects.create(bulk=bulk, recipient=journey.pk, journey=journey)
    message = Message.objects.create(
        id=ids.message_id(bulk, journey.pk), bulk=bulk, registration_id=0, platform=Medium.SMS,
        sent_at=timezone.now(), state=Message.State.DELIVERED,
    )  # fmt: skip

    (told,) = export(client, application, person)["text_messages"]

    assert (told["message_id"], told["text"], told["state"]) == (
        str(message.pk), "Your parcel", "Delivered",
    )  # fmt: skip


def test_an_export_stands_in_the_audit_trail(client: Client, application: Application) -> None:
    person = make_person()

    export(client, application, person)

    assert AuditEntry.objects.get(object_id=str(person.pk)).action == "export person"


def test_messages_are_exported_with_what_they_said_and_what_became_of_them(
    client: Client, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PIECE", 2)
    person = make_person(external_id="anna")
    device = make_registration(application, person=person, language="de")
    content = [
        {"language": "", "variant": 0, "title": "Sale", "text": "Today"},
        {"language": "de", "variant": 0, "title": "Rabatt", "text": "Nur heute"},
    ]
    for hours in (5, 4, 3, 2, 1):
        at = timezone.now() - timedelta(hours=hours)
        campaign = make_campaign(application, name=f"{hours} hours ago")
        bulk = make_bulk(application, campaign=campaign, content=content, starts_at=at)
        send(
            bulk, device, language="de", state=Message.State.FAILED, reason=Reason.UNINSTALLED
        )  # fmt: skip
    send(make_bulk(application), make_registration(application), state=Message.State.ACCEPTED)

    messages = export(client, application, person)["messages"]

    assert [each["campaign"] for each in messages] == [
        f"{hours} hours ago" for hours in (5, 4, 3, 2, 1)
    ]
    assert messages[0]["registration_id"] == str(device.address.public_id)
    names = ("title", "text", "state", "reason", "seen_at")
    assert [messages[0][name] for name in names] == [
        "Rabatt", "Nur heute", "Failed", Reason.UNINSTALLED.label, None
    ]  # fmt: skip


def test_an_export_asks_as_often_for_many_devices_as_for_one(
    client: Client, application: Application
) -> None:
    asked = []
    for count in (1, 6):
        person = make_person()
        for hours in range(count):
            device = make_registration(application, person=person)
            at = timezone.now() - timedelta(hours=hours)
            for campaign in (None, make_campaign(application)):
                bulk = make_bulk(application, campaign=campaign, starts_at=at)
                send(bulk, device, state=Message.State.ACCEPTED)
        with CaptureQueriesContext(connection) as queries:
            told = export(client, application, person)
        assert (len(told["devices"]), len(told["messages"])) == (count, 2 * count)
        assert [each["message_id"] for each in told["messages"]] == sorted(
            each["message_id"] for each in told["messages"]
        )
        asked.append(len(queries))

    assert asked[0] == asked[1]


def test_pieces_of_an_export_go_on_where_the_last_one_ended(
    client: Client, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PIECE", 2)
    person = make_person()
    devices = [make_registration(application, person=person) for _ in range(3)]
    bulks = [make_bulk(application) for _ in range(2)]
    state = Message.State.ACCEPTED
    sent = {str(send(bulk, device, state=state).pk) for bulk in bulks for device in devices}

    messages = export(client, application, person)["messages"]

    assert len(messages) == len(sent) == 6
    assert {each["message_id"] for each in messages} == sent


def test_events_are_exported_also_those_from_before_a_person_was_known(
    client: Client, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "PIECE", 2)
    make_person(external_id="anna")
    device = make_registration(application, person=make_person())
    at = timezone.now()
    make_event(device, name="looked", at=at, properties={"item": 7})
    person = personalizing.personalize(
        application, device.address.public_id, Identities.of(external_id="anna"), Author("system")
    )
    device.refresh_from_db()
    for number in range(4):  # all at the same moment
        make_event(device, name=f"bought {number}", at=at + timedelta(seconds=1))
    make_event(make_registration(application, person=make_person()), name="somebody else's")

    events = export(client, application, person)["events"]

    assert events[0]["name"] == "looked"
    assert events[0]["properties"] == {"item": 7}
    assert {each["name"] for each in events[1:]} == {f"bought {number}" for number in range(4)}
    assert len(events) == 5
