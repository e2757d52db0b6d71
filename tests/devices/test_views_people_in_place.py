"""Actions on a person or a device in place: what they say, how they are undone, their dialogs."""

from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from devices import audit, people_forms, personalizing
from devices.models import Application, AuditEntry, Person, Registration
from tests.devices.people_pages import in_place, said, url
from tests.factories import make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


def test_each_action_in_place_says_what_it_did_and_offers_to_undo_it(
    client: Client, application: Application, anna: Person
) -> None:
    device = anna.registrations.get()
    before = personalizing.state_of_person(anna), personalizing.state_of_device(device)
    for name, row, typed in (
        ("device-switch", device, {"enabled": "0"}),
        ("primary", device, {"primary": "1"}),
        ("device-attribute", device, {"name": "club", "value": "gold"}),
        ("person-attribute", anna, {"name": "club", "value": "gold"}),
        ("person-edit", anna, {"first_name": "Ann"}),
        ("owner", device, {"external_id": "other"}),
    ):
        said = in_place(client, url(name, application, row.pk), typed)

        assert (said.status_code, said["HX-Reswap"], said["HX-Trigger"]) == (
            200, "none", '{"changed": {}}',
        )  # fmt: skip
        page = said.content.decode()
        assert page.count('hx-swap-oob="beforeend:#toasts"') == 1
        entry = AuditEntry.objects.latest("pk")
        kind = "owner-undo" if name == "owner" else "change-undo"
        keys = (device.pk, entry.pk) if name == "owner" else (entry.pk,)
        undo = url(kind, application, *keys)
        if name == "owner":  # the person who is left is told after the device
            undo = page.split('hx-post="')[1].split('"')[0]
            assert undo.startswith(url("detail", application, device.pk))
        assert f'hx-post="{undo}"' in page
        undone = in_place(client, undo)
        assert "HX-Trigger" in undone
        anna.refresh_from_db()
        device.refresh_from_db()
        assert device.person == anna
        now = personalizing.state_of_person(anna), personalizing.state_of_device(device)
        assert now == (before[0] | {"tags": now[0]["tags"]}, before[1]), name


def test_parting_a_device_in_place_is_undone(
    client: Client, application: Application, anna: Person
) -> None:
    device = anna.registrations.get()

    page = in_place(client, url("part", application, device.pk)).content.decode()

    device.refresh_from_db()
    assert device.person is None
    in_place(client, page.split('hx-post="')[1].split('"')[0])
    device.refresh_from_db()
    assert device.person == anna


def test_what_changed_nothing_offers_no_undo(
    client: Client, application: Application, anna: Person
) -> None:
    device = anna.registrations.get()
    for name, row, typed in (
        ("device-switch", device, {"enabled": "1"}),
        ("primary", device, {"primary": "0"}),
        ("person-edit", anna, {"first_name": "Anna"}),
    ):
        page = in_place(client, url(name, application, row.pk), typed).content.decode()

        assert "toast is-" in page
        assert "Undo" not in page
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("name", ["person", "detail"])
def test_the_parts_that_an_action_changed_are_asked_for_alone(
    client: Client, application: Application, anna: Person, name: str
) -> None:
    row: Any = anna if name == "person" else anna.registrations.get()

    page = client.get(url(name, application, row.pk), headers={"HX-Request": "true"})

    parts = page.content.decode()
    assert "<html" not in parts
    word = "person" if name == "person" else "device"
    for part in (f"{word}-head", f"{word}-facts", "attribute-form"):
        assert f'id="{part}"' in parts
    assert parts.count('hx-swap-oob="') >= 4


@pytest.mark.parametrize(
    ("name", "opened"),
    [("person", "edit"), ("person", "attribute"), ("person", "erase"), ("detail", "owner"),
     ("detail", "attribute")],
)  # fmt: skip
def test_a_dialog_stands_open_in_the_page_for_whoever_has_no_scripts(
    client: Client, application: Application, anna: Person, name: str, opened: str
) -> None:
    row: Any = anna if name == "person" else anna.registrations.get()

    page = client.get(url(name, application, row.pk), {"open": opened}).content.decode()

    assert page.count("data-open open") == 1
    assert f'id="{opened}-dialog"' in page.split("data-open open")[0].rsplit("<dialog", 1)[1]


def test_without_scripts_a_move_is_shown_before_it_is_made_and_undone_from_its_message(
    client: Client, application: Application, anna: Person
) -> None:
    device = make_registration(application, person=Person.objects.get(first_name="Boris"))
    typed = {"phone": "+447700900123"}

    shown = client.post(url("owner", application, device.pk), typed | {"preview": "1"})

    assert shown.status_code == 200
    assert "Move device to Anna Łukasz" in shown.content.decode()
    device.refresh_from_db()
    assert device.person != anna
    moved = client.post(url("owner", application, device.pk), typed, follow=True)
    device.refresh_from_db()
    assert device.person == anna
    (message,) = moved.context["messages"]
    assert f'action="{message.extra_tags}"' in moved.content.decode()
    client.post(message.extra_tags)
    device.refresh_from_db()
    assert device.person != anna


def test_a_known_attribute_stands_in_its_form_when_somebody_changes_it(
    client: Client, application: Application, anna: Person
) -> None:
    client.post(
        url("person-attribute", application, anna.pk),
        {"name": "member", "type": "boolean", "value": "yes"},
    )

    page = client.get(
        url("person", application, anna.pk), {"open": "attribute", "attribute": "member"}
    )

    form = page.context["attribute_form"]
    assert form.initial == {"name": "member", "type": "boolean", "value": "yes"}
    assert "data-fill" in page.content.decode()


def test_a_list_is_shown_object_by_object_and_only_taken_away_by_hand(
    client: Client, application: Application, anna: Person
) -> None:
    carts = [{"items": 3, "paid": True, "sku": "A-1"}, {"items": 1}]
    described = personalizing.Described(attributes={"carts": carts})
    personalizing.change(anna.pk, described, audit.Author("crm"))

    page = client.get(url("person", application, anna.pk)).content.decode()

    shown = " ".join(strip_tags(page).split())
    assert "2 objects" in shown
    assert "sku A-1 · paid yes · items 3" in shown
    assert "The app and the APIs write lists" in shown
    assert "Change carts" not in page
    action = url("person-attribute", application, anna.pk)
    refused = client.post(action, {"name": "carts", "value": "none"}, follow=True)
    assert said(refused) == [f"Name: {people_forms.ONLY_WRITTEN_BY_SYSTEMS}"]
    client.post(action, {"name": "carts", "remove": "1"})
    anna.refresh_from_db()
    assert "carts" not in anna.attributes


def test_an_erased_person_is_gone(client: Client, application: Application, anna: Person) -> None:
    response = client.post(url("person-erase", application, anna.pk), follow=True)

    assert said(response) == ["The person was erased. Their devices are anonymous now."]
    assert not Person.objects.filter(pk=anna.pk).exists()
    assert Registration.objects.get().person is None
