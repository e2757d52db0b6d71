"""Whose a device is: moved, parted, made primary, and each of it undone."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from devices import audit, personalizing
from devices.models import Address, Application, AuditEntry, Person
from tests.devices.people_pages import said, timeline, url
from tests.factories import make_application, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


def test_a_preview_says_what_will_happen_and_changes_nothing(
    client: Client, application: Application, anna: Person
) -> None:
    boris = Person.objects.get(first_name="Boris")
    device = make_registration(application, person=boris, primary=True)

    response = client.get(
        url("owner-preview", application, device.pk), {"phone": "+44 (7700) 900-123"}
    )

    page = response.content.decode()
    for text in (
        "Belongs to now", "Boris Doe", "Will belong to", "Anna Łukasz", "has none left",
        "not the primary device any more", "Move device to Anna",
    ):  # fmt: skip
        assert text in page
    device.refresh_from_db()
    assert device.person == boris


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ({"phone": "call me"}, "Enter 5 to 15 digits that begin with a country code."),
        ({"email": "anna@"}, "Enter an address such as name@example.com."),
        ({"external_id": "null"}, "Enter a phone number, an e-mail address or an external ID."),
        ({}, "Enter a phone number, an e-mail address or an external ID."),
        ({"external_id": "other", "phone": "447700900123"}, "These belong to different people."),
        (
            {"external_id": "new", "phone": "447700900123"},
            "This person has another external ID already.",
        ),
        ({"external_id": "new"}, "A new person, known by"),
    ],
)
def test_a_preview_says_why_a_device_cannot_be_moved(
    client: Client, application: Application, anna: Person, typed: dict[str, str], text: str
) -> None:
    boris = Person.objects.get(first_name="Boris")
    device = make_registration(application, person=boris)

    page = client.get(url("owner-preview", application, device.pk), typed).content.decode()

    assert text in page
    moved = client.post(url("owner", application, device.pk), typed, follow=True)
    device.refresh_from_db()
    if "new person" not in text:
        assert moved.status_code == 422
        assert "data-open" in moved.content.decode()
        assert text in moved.content.decode()
        assert device.person == boris


def test_a_device_is_moved_and_back_again(
    client: Client, application: Application, anna: Person
) -> None:
    boris = Person.objects.get(first_name="Boris")
    device = make_registration(application, person=boris, primary=True)

    moved = client.post(
        url("owner", application, device.pk), {"phone": "+447700900123"}, follow=True
    )

    device.refresh_from_db()
    assert (device.person, device.primary, device.person_tags) == (anna, False, anna.tags)
    told = "The device belongs to Anna Łukasz now."
    assert said(moved) == [told]
    (move,) = [each for each in timeline(client, device) if each.undo]
    assert move.undo == "move"
    undone = client.post(url("owner-undo", application, device.pk, move.entry.pk), follow=True)

    device.refresh_from_db()
    assert (device.person, device.primary) == (boris, True)
    assert said(undone) == ["The device belongs to Boris Doe again."]


def test_what_was_changed_of_a_person_is_undone_until_it_changes_again(
    client: Client, application: Application, anna: Person
) -> None:
    Person.objects.filter(pk=anna.pk).update(tags=["vip"])
    known = personalizing.state_of_person(Person.objects.get(pk=anna.pk))
    typed = {"first_name": "Anne", "tags": "vip, new", "birthday": "1990-01-02"}
    client.post(url("person-edit", application, anna.pk), typed)
    client.post(url("person-attribute", application, anna.pk), {"name": "a", "value": "x"})
    edited, attribute = AuditEntry.objects.filter(action="change person").order_by("pk")

    for entry in (attribute, edited):
        undone = client.post(url("change-undo", application, entry.pk), follow=True)
        assert said(undone)[-1] == "The change was undone."

    anna.refresh_from_db()
    assert personalizing.state_of_person(anna) == known
    again = client.post(url("change-undo", application, edited.pk), follow=True)
    assert said(again) == ["It has been changed since, so this cannot be undone."]


def test_a_device_that_was_switched_is_switched_back(
    client: Client, application: Application, anna: Person
) -> None:
    device = anna.registrations.get()
    client.post(url("device-switch", application, device.pk), {"enabled": "0"})
    client.post(url("device-attribute", application, device.pk), {"name": "a", "value": "x"})

    assert [each.lines for each in timeline(client, device)] == [
        ["attributes: nothing → a x"], ["enabled: yes → no"],
    ]  # fmt: skip
    for change in timeline(client, device):
        assert change.undo == "change"
        client.post(url("change-undo", application, change.entry.pk))

    device.refresh_from_db()
    assert (device.enabled, device.attributes) == (True, {})
    assert [each.undo for each in timeline(client, device)] == ["change", "change", "", ""]


def test_a_dead_address_is_not_switched_on_by_undoing(
    client: Client, application: Application, anna: Person
) -> None:
    device = anna.registrations.get()
    client.post(url("device-switch", application, device.pk), {"enabled": "0"})
    Address.objects.filter(pk=device.pk).update(closed_at=timezone.now(), closed_reason="gone")
    (change,) = timeline(client, device)

    client.post(url("change-undo", application, change.entry.pk))

    device.refresh_from_db()
    assert not device.enabled


def test_a_change_of_another_application_is_not_undone(
    client: Client, application: Application
) -> None:
    other = make_registration(make_application())
    entry = audit.record(
        None, "switch device off", other, before={"enabled": True}, after={"enabled": False}
    )

    assert client.post(url("change-undo", application, entry.pk)).status_code == 404


def test_an_older_move_cannot_be_undone(
    client: Client, application: Application, anna: Person
) -> None:
    device = make_registration(application)
    for name in ("crm-1", "other"):
        client.post(url("owner", application, device.pk), {"external_id": name})
    first = AuditEntry.objects.filter(action="personalize device").order_by("pk")[0]

    response = client.post(url("owner-undo", application, device.pk, first.pk), follow=True)

    assert said(response)[-1] == "The device has changed hands since, so this cannot be undone."
    device.refresh_from_db()
    assert device.person is not None
    assert device.person.first_name == "Boris"
    other = make_registration(application)
    foreign = client.post(url("owner-undo", application, other.pk, first.pk))
    assert foreign.status_code == 404


def test_a_device_is_made_anonymous_and_back_again(
    client: Client, application: Application, anna: Person
) -> None:
    device = anna.registrations.get()

    parted = client.post(url("part", application, device.pk), follow=True)

    device.refresh_from_db()
    assert device.person is None
    assert said(parted) == ["The device is anonymous now."]
    entry = AuditEntry.objects.get(action="depersonalize device")
    client.post(url("owner-undo", application, device.pk, entry.pk))
    device.refresh_from_db()
    assert device.person == anna


def test_a_device_is_made_primary(client: Client, application: Application, anna: Person) -> None:
    first = anna.registrations.get()
    second = make_registration(application, person=anna, primary=True)

    client.post(url("primary", application, first.pk), {"primary": "1"})

    for device in (first, second):
        device.refresh_from_db()
    assert (first.primary, second.primary) == (True, False)
    entry = AuditEntry.objects.get(action="change device")
    was = {"primary": False, "primary_was": second.pk}
    assert (entry.before, entry.after) == (was, {"primary": True})

    undone = client.post(url("change-undo", application, entry.pk), follow=True)

    assert said(undone)[-1] == "The change was undone."
    for device in (first, second):
        device.refresh_from_db()
    assert (first.primary, second.primary) == (False, True)


def test_both_pages_tell_what_happened(
    client: Client, application: Application, anna: Person
) -> None:
    boris = Person.objects.get(first_name="Boris")
    device = make_registration(application, person=boris)
    client.post(url("owner", application, device.pk), {"external_id": "crm-1"})

    moved = "Boris Doe → Anna Łukasz"
    for person, text in ((anna, moved), (boris, "moved a device away from here: Android")):
        part = reverse("campaigns:person-timeline", args=[application.pk, person.pk])
        assert text in client.get(part).content.decode()
    part = reverse("campaigns:device-timeline", args=[application.pk, device.pk])
    assert moved in client.get(part).content.decode()
    unknown = client.get(url("owner-preview", application, device.pk + 1))
    assert unknown.status_code == 404
