"""Custom attributes of people and devices, set and taken away by hand."""

from typing import Any

import pytest
from django.test import Client

from devices.models import Application, AuditEntry, Person
from tests.devices.people_pages import said, url

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


@pytest.mark.parametrize(
    ("kind", "typed", "kept"),
    [
        ("text", "Gold", "Gold"),
        ("text", "", ""),
        ("number", "9223372036854775807", 9223372036854775807),
        ("number", "-9.5", -9.5),
        ("boolean", "Yes", True),
        ("boolean", "no", False),
        ("date", "2024-02-29", "2024-02-29"),
    ],
)
def test_an_attribute_is_set_in_its_type_and_taken_away(
    client: Client, application: Application, anna: Person, kind: str, typed: str, kept: Any
) -> None:
    device = anna.registrations.get()
    for name, row in (("person-attribute", anna), ("device-attribute", device)):
        address = url(name, application, row.pk)
        client.post(address, {"name": "loyalty", "type": kind, "value": typed})

        row.refresh_from_db()
        assert row.attributes == {"loyalty": kept}
        assert type(row.attributes["loyalty"]) is type(kept)
        assert AuditEntry.objects.latest("pk").after == {"attributes": {"loyalty": kept}}

        client.post(address, {"name": "loyalty", "remove": "1"})

        row.refresh_from_db()
        assert row.attributes == {}


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ({"name": "", "value": "x"}, "Name: Fill in this field."),
        ({"name": "x" * 257, "value": "x"}, "Name: Ensure this value has at most 256 characters"),
        ({"name": "a", "type": "number", "value": "many"}, "Value: Enter a number such as 7"),
        ({"name": "a", "type": "number", "value": "9" * 20}, "Value: Enter a number such as 7"),
        ({"name": "a", "type": "number", "value": "9" * 19}, "a should be number from"),
        ({"name": "a", "type": "boolean", "value": "maybe"}, "Value: Enter yes or no."),
        ({"name": "a", "type": "date", "value": "2024-02-30"}, "Value: Enter a day such as"),
        ({"name": "a", "type": "list", "value": "x"}, "Type: Select a valid choice"),
        ({"name": "a", "value": "x\0"}, "Value: Null characters are not allowed."),
        ({"name": "a", "value": "x" * 4097}, "Value: Ensure this value has at most 4096"),
    ],
)
def test_an_attribute_that_cannot_be_kept_is_refused(
    client: Client, application: Application, anna: Person, typed: dict[str, str], text: str
) -> None:
    device = anna.registrations.get()
    for name, row in (("person-attribute", anna), ("device-attribute", device)):
        response = client.post(url(name, application, row.pk), typed, follow=True)

        assert text in said(response)[0]
        row.refresh_from_db()
        assert row.attributes == {}


def test_a_known_attribute_keeps_its_type_whatever_is_chosen(
    client: Client, application: Application, anna: Person
) -> None:
    address = url("person-attribute", application, anna.pk)
    client.post(address, {"name": "size", "type": "number", "value": "9"})

    client.post(address, {"name": "size", "type": "text", "value": "10"})
    refused = client.post(address, {"name": "size", "type": "text", "value": "large"}, follow=True)

    anna.refresh_from_db()
    assert anna.attributes == {"size": 10}
    assert "Enter a number" in said(refused)[-1]


def test_attributes_of_a_person_who_is_gone_are_not_set(
    client: Client, application: Application
) -> None:
    address = url("person-attribute", application, 7777777)

    response = client.post(address, {"name": "a", "value": "b"}, follow=True)

    assert said(response) == ["The person is gone, so nothing was changed."]
