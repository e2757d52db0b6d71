"""devices.personalizing: people changed, replaced and erased, and the audit trail of it."""

from typing import Any

import pytest

from devices import personalizing, registering
from devices.errors import IdentityTakenError, UnknownPersonError
from devices.models import AuditEntry, Event, Identity, Person, Registration
from devices.personalizing import Described
from devices.registering import Device
from tests.devices.owners import ANNA, SYSTEM, depersonalize, known_by, owner_of, personalize
from tests.factories import make_application, make_event, make_person, make_registration

pytestmark = pytest.mark.django_db


# ------------------------------------------------------------------- changing people


def test_lists_are_replaced_and_an_identity_can_go() -> None:
    device = make_registration(make_application())
    anna = personalize(device, **ANNA, attributes={"tags": ["Pizza"]})

    personalizing.change(
        anna.pk, Described(external_id="", phones=["12345"], emails=[], tags=["Sports"]), SYSTEM
    )

    device.refresh_from_db()
    assert known_by(anna) == ["12345"]
    assert device.person_tags == ["Sports"]


def test_a_person_without_identities_is_a_lead() -> None:
    anna = make_person(phone="79810000000", kind=Person.Kind.CUSTOMER)

    assert personalizing.change(anna.pk, Described(phones=[]), SYSTEM).kind == Person.Kind.LEAD


@pytest.mark.parametrize(
    "said",
    [{"external_id": "boris"}, {"phones": ["12345"]}, {"emails": ["boris@example.com"]}],
)
def test_an_identity_of_somebody_else_is_a_conflict(said: dict[str, Any]) -> None:
    make_person(external_id="boris", phone="12345", email="boris@example.com")
    anna = make_person(external_id="anna", first_name="Anna")

    with pytest.raises(IdentityTakenError):
        personalizing.change(anna.pk, Described(first_name="Bob", **said), SYSTEM)

    anna.refresh_from_db()
    assert (anna.first_name, known_by(anna)) == ("Anna", ["anna"])


def test_what_is_said_of_a_device_of_nobody_makes_a_person() -> None:
    device = make_registration(make_application())

    person = personalizing.change_owner(
        device.application, device.address.public_id, Described(first_name="Anna"), SYSTEM
    )

    assert owner_of(device) == person
    assert (person.first_name, person.kind) == ("Anna", Person.Kind.LEAD)


def test_replacing_a_person_forgets_the_rest() -> None:
    anna = make_person(external_id="anna", phone="12345", first_name="Anna", attributes={"a": 1})

    personalizing.replace(anna.pk, Described(external_id="ann", last_name="Doe"), SYSTEM)

    anna.refresh_from_db()
    assert (known_by(anna), anna.first_name, anna.last_name) == (["ann"], "", "Doe")
    assert anna.attributes == {}


def test_erasing_a_person_keeps_their_devices_and_leaves_no_trace_of_them() -> None:
    left = make_person(first_name="Anna", tags=["Pizza"])
    make_person(external_id="anna")
    device = make_registration(make_application(), person=left, person_tags=["Pizza"])
    anna = personalize(device, **ANNA, attributes={"first_name": "Anna", "tags": ["Pizza"]})

    personalizing.erase(anna.pk, SYSTEM)

    device.refresh_from_db()
    assert (device.person, device.person_tags) == (None, [])
    assert not Identity.objects.exists()
    for entry in AuditEntry.objects.filter(object_type="person"):
        assert (entry.before, entry.after) == (None, None)
        assert "Anna" not in entry.object_name
    with pytest.raises(UnknownPersonError):
        personalizing.erase(anna.pk, SYSTEM)


def test_erasing_a_person_erases_their_events_and_nobody_elses() -> None:
    application, left = make_application(), make_person(tags=["Pizza"])
    make_person(external_id="anna")
    device = make_registration(application, person=left)
    make_event(device, name="told before they were known")
    anna = personalize(device, **ANNA)
    make_event(device, name="told by them")
    boris = make_person(external_id="boris")
    depersonalize(device)
    device.refresh_from_db()
    make_event(device, name="told by nobody")
    device.person = boris
    make_event(device, name="told by somebody else")

    personalizing.erase(anna.pk, SYSTEM)

    kept = Event.objects.values_list("name", flat=True)
    assert set(kept) == {"told by nobody", "told by somebody else"}


def test_deleting_a_device_deletes_the_anonymous_person_it_alone_had() -> None:
    application, left, anna = make_application(), make_person(), make_person(external_id="anna")
    for person in (left, anna):
        device = make_registration(application, person=person)
        personalizing.delete_device(application, device.address.public_id, SYSTEM)

    assert not Registration.objects.exists()
    assert list(Person.objects.all()) == [anna]


# ------------------------------------------------------------------- the audit trail


def test_each_change_is_in_the_audit_trail_with_before_and_after() -> None:
    left = make_person(tags=["Pizza"])
    anna = make_person(external_id="anna")
    device = make_registration(make_application(), person=left, person_tags=["Pizza"])

    personalize(device, external_id="anna", phones=["12345"])

    entries = AuditEntry.objects.order_by("pk").values_list("action", "before", "after")
    assert list(entries) == [
        (
            "change person",
            {"kind": "LEAD", "tags": [], "phones": []},
            {"kind": "CUSTOMER", "tags": ["Pizza"], "phones": ["12345"]},
        ),
        ("personalize device", {"person": left.pk}, {"person": anna.pk}),
        ("merge person", {"kind": "LEAD", "tags": ["Pizza"]}, {"merged_into": anna.pk}),
    ]


def test_a_repeated_call_adds_nothing_to_the_audit_trail() -> None:
    device = make_registration(make_application())
    personalize(device, **ANNA, primary=True, attributes={"tags": ["Pizza"]})
    entries, changed_at = AuditEntry.objects.count(), Person.objects.get().changed_at

    personalize(device, **ANNA, primary=True, attributes={"tags": ["Pizza"]})

    assert AuditEntry.objects.count() == entries
    assert Person.objects.get().changed_at == changed_at


def test_what_another_system_changes_on_a_device_is_in_the_audit_trail() -> None:
    device = make_registration(make_application())
    device.address.refresh_from_db()
    heard = device.address.last_contact_at

    registering.refresh(
        device.application, device.address.public_id, Device(enabled=False), author=SYSTEM
    )

    entry = AuditEntry.objects.get()
    assert (entry.action, entry.before, entry.after) == (
        "change device", {"enabled": True}, {"enabled": False},
    )  # fmt: skip
    device.address.refresh_from_db()
    assert device.address.last_contact_at == heard
