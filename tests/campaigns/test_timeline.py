"""campaigns.timeline: what happened to a person or a device, newest first, page after page."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import ids, timeline
from campaigns.models import Bulk, Flow, Journey, Leg, Medium, Message, Reason
from campaigns.timeline import Kind, Place, Subject
from devices import audit, personalizing
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


def send(bulk: Bulk, device: Registration, **given: Any) -> Message:
    return Message.objects.create(
        id=ids.message_id(bulk, device.pk), bulk=bulk, registration=device,
        platform=device.platform, sent_at=bulk.starts_at,
        **{"state": Message.State.ACCEPTED, **given},
    )  # fmt: skip


def text(application: Application, person: Person, words: str, **given: Any) -> Message:
    """A text message as the second step of a scenario sends it."""
    flow = Flow.objects.create()
    bulk = make_bulk(
        application, flow=flow, step=1, content=[{"language": "", "variant": 0, "text": words}]
    )
    journey = Journey.objects.create(
        flow=flow, person=person, step=1, started_at=bulk.starts_at, deadline=bulk.starts_at
    )
    Leg.objects.create(bulk=bulk, recipient=journey.pk, journey=journey)
    return Message.objects.create(
        id=ids.message_id(bulk, journey.pk), bulk=bulk, registration_id=0, platform=Medium.SMS,
        sent_at=bulk.starts_at, **{"state": Message.State.DELIVERED, **given},
    )  # fmt: skip


def part(of: Person | Registration, application: Application) -> str:
    name = "person" if isinstance(of, Person) else "device"
    return reverse(f"campaigns:{name}-timeline", args=[application.pk, of.pk])


def test_messages_of_every_device_are_one_list_newest_first(
    client: Client, django_assert_max_num_queries: QueryCount
) -> None:
    application, person = make_application(), make_person(external_id="anna")
    devices = [make_registration(application, person=person, model=name) for name in "AB"]
    elsewhere = make_registration(make_application(), person=person)
    stranger = make_registration(application)
    sent = []
    for hours in range(3):
        at = timezone.now() - timedelta(hours=3 - hours)
        bulk = make_bulk(application, campaign=make_campaign(application), starts_at=at)
        sent += [send(bulk, each) for each in devices]
        send(bulk, stranger)
    send(make_bulk(elsewhere.application), elsewhere)
    client.force_login(make_user(Role.SUPPORT, application))
    client.get(part(person, application))

    with django_assert_max_num_queries(15):
        response = client.get(part(person, application))

    entries = [line.entry for line in response.context["lines"]]
    assert [each.message for each in entries] == sorted(
        sent, key=lambda message: message.pk, reverse=True
    )
    assert {each.device for each in entries} == set(devices)


def test_a_text_message_stands_with_what_it_says_and_why_it_failed(client: Client) -> None:
    application, anna = make_application(), make_person(phone="447700900123")
    make_registration(application, person=anna)
    text(application, anna, "Your parcel is here",
         state=Message.State.FAILED, reason=Reason.NUMBER_REFUSED)  # fmt: skip
    text(application, make_person(phone="447700900124"), "Somebody else's")
    text(make_application(), anna, "Another application's")
    client.force_login(make_user(Role.SUPPORT, application))

    page = client.get(part(anna, application)).content.decode()

    for words in ("“Your parcel is here”", "as a text message", Reason.NUMBER_REFUSED.label):
        assert words in page
    for words in ("Somebody else", "Another application"):
        assert words not in page


def test_a_text_that_shares_its_number_with_a_device_is_not_taken_for_its_push() -> None:
    application, anna = make_application(), make_person(phone="447700900123")
    device = make_registration(application, person=anna)
    flow = Flow.objects.create()
    bulk = make_bulk(application, flow=flow)
    journey = Journey.objects.create(
        pk=device.pk, flow=flow, person=anna, started_at=bulk.starts_at,
        deadline=bulk.starts_at,
    )  # fmt: skip
    Leg.objects.create(bulk=bulk, recipient=device.pk, journey=journey)
    push = send(bulk, device)

    found = timeline.read(Subject(application, {device.pk: device}, anna.pk), [Kind.MESSAGES], 30)

    assert [each.message for each in found.entries] == [push]


def test_a_reason_is_told_with_what_to_do(client: Client) -> None:
    device = make_registration(make_application(), person=make_person(external_id="anna"))
    send(
        make_bulk(device.application), device,
        state=Message.State.FAILED, reason=Reason.MISMATCHED_SENDER, answer="SENDER_ID_MISMATCH",
    )  # fmt: skip
    client.force_login(make_user(Role.SUPPORT, device.application))

    for of in (device, device.person):
        assert of is not None
        page = client.get(part(of, device.application)).content.decode()
        for words in (Reason.MISMATCHED_SENDER.label, Reason.MISMATCHED_SENDER.remedy, "SENDER_ID"):
            assert words in page


def whole(subject: Subject, most: int, kinds: list[Kind] | None = None) -> list[str]:
    """The keys of every page, one after the other."""
    keys, place = [], None
    for _ in range(100):
        page = timeline.read(subject, kinds or list(Kind), most, place)
        keys += [entry.key for entry in page.entries]
        if page.older is None:
            return keys
        assert len(page.entries) == most
        place = Place.read(str(page.older))
        assert place is not None
    raise AssertionError("there is no end of it")


@pytest.mark.parametrize("most", [1, 2, 3, 7, 50])
def test_every_entry_is_on_exactly_one_page(most: int) -> None:
    application, anna = make_application(), make_person(external_id="anna")
    devices = {
        device.pk: device
        for device in (make_registration(application, person=anna) for _ in range(4))
    }
    now = timezone.now()
    for number in range(3):  # each to four devices at the same moment
        bulk = make_bulk(application, starts_at=now - timedelta(minutes=number))
        for device in devices.values():
            send(bulk, device)
    text(application, anna, "Hello")
    for device in devices.values():
        change = audit.record(None, "switch device off", device, after={"enabled": False})
        AuditEntry.objects.filter(pk=change.pk).update(at=now - timedelta(minutes=1))
        make_event(device, at=now - timedelta(seconds=90))

    subject = Subject(application, devices, anna.pk)
    keys = whole(subject, most)

    assert len(keys) == len(set(keys)) == 12 + 1 + 4 + 4
    assert keys == whole(subject, 100)
    counted = {kind: len(whole(subject, most, [kind])) for kind in Kind}
    assert counted == {Kind.MESSAGES: 13, Kind.CHANGES: 4, Kind.EVENTS: 4}


@pytest.mark.parametrize(
    "asked", ["", "x", "1-", "-1", "9" * 400 + "-1", "1--1", "9" * 17 + "-0", "1-x"]
)
def test_what_is_no_place_begins_with_the_newest(client: Client, asked: str) -> None:
    device = make_registration(make_application())
    send(make_bulk(device.application), device)
    client.force_login(make_user(Role.SUPPORT, device.application))

    response = client.get(part(device, device.application), {"before": asked, "show": "shoes"})

    assert response.status_code == 200


def test_a_filter_keeps_one_kind_and_leads_back(client: Client) -> None:
    application, anna = make_application(), make_person(external_id="anna")
    device = make_registration(application, person=anna)
    send(make_bulk(application), device)
    make_event(device, name="bought", properties={"price": 9.5})
    audit.record(None, "switch device off", device, after={"enabled": False})
    client.force_login(make_user(Role.SUPPORT, application))

    def shown(kind: str) -> list[str]:
        lines = client.get(part(anna, application), {"show": kind}).context["lines"]
        return sorted(line.entry.key[0] for line in lines)

    assert shown("") == ["c", "e", "m"]
    assert (shown("messages"), shown("changes"), shown("events")) == (["m"], ["c"], ["e"])
    page = client.get(part(device, application), {"show": "events"}).content.decode()
    assert "bought" in page
    assert "price: 9.5" in page


def test_older_entries_are_a_part_of_the_list(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("campaigns.views.timeline.SHOWN", 2)
    device = make_registration(make_application())
    for _ in range(3):
        send(make_bulk(device.application), device)
    client.force_login(make_user(Role.SUPPORT, device.application))

    first = client.get(part(device, device.application))
    rest = client.get(part(device, device.application) + first.context["older_url"])

    assert (len(first.context["lines"]), len(rest.context["lines"])) == (2, 1)
    assert "Show older entries" in first.content.decode()
    assert rest.content.decode().strip().startswith("<li>")
    assert "Show older entries" not in rest.content.decode()


def test_a_person_without_a_device_has_an_empty_timeline(client: Client) -> None:
    application, person = make_application(), make_person(external_id="anna")
    client.force_login(make_user(Role.SUPPORT, application))

    response = client.get(part(person, application))

    assert "What they and their devices are sent stands here" in response.content.decode()


def test_a_message_stands_at_the_moment_its_send_began() -> None:
    at = datetime.fromisoformat("2026-01-02T03:04:05.678+00:00")
    bulk = make_bulk(make_application(), starts_at=at)

    assert ids.moment_of(ids.message_id(bulk, 7)) == at


def test_events_told_before_somebody_signed_in_are_theirs() -> None:
    application, anna = make_application(), make_person(external_id="anna")
    device = make_registration(application, person=anna)
    somebody = make_person()
    event = make_event(make_registration(application, person=somebody))
    personalizing.personalize(
        application, event.registration.address.public_id, Identities.of(external_id="anna"),
        Author("system"),
    )  # fmt: skip

    found = timeline.read(Subject(application, {device.pk: device}, anna.pk), [Kind.EVENTS], 30)

    assert not Person.objects.filter(pk=somebody.pk).exists()
    assert [each.event for each in found.entries] == [event]
