"""Change, make and erase people; delete a device together with who it alone was."""

import uuid
from dataclasses import replace as changed
from datetime import UTC
from functools import partial

from django.dispatch import Signal

from devices import audit
from devices.audit import Author
from devices.errors import IdentityTakenError, UnknownPersonError
from devices.models import Application, AuditEntry, Event, Person, Registration
from devices.personalizing.attaching import MERGE, make
from devices.personalizing.copies import copy_tags
from devices.personalizing.locking import (
    RULES,
    hold,
    hold_owners_of_events,
    hold_people,
    people_with,
)
from devices.personalizing.portrait import Described, Portrait
from devices.racing import Raced, until_settled

# Within the transaction of an erasure, with "people", their keys: others forget them as well.
erased = Signal()

_BLANK = Described(
    external_id="",
    phones=(),
    emails=(),
    first_name="",
    last_name="",
    middle_name="",
    gender=Person.Gender.UNKNOWN,
    birthday=None,
    address="",
    city="",
    country="",
    preferred_language="",
    profile_picture="",
    tags=(),
    attributes=None,
)


def create(described: Described, author: Author) -> Person:
    """A new person. Raises IdentityTakenError and what `change` raises, with nothing written."""
    described.check()

    def step() -> Person:
        portrait = make(author)
        _describe(portrait, described, author)
        return portrait.person

    return until_settled(step, rules=RULES)


def change(pk: int, described: Described, author: Author) -> Person:
    """Change what is said of a person, and keep the rest.

    Raises UnknownPersonError, IdentityTakenError, ContactLimitError, and what Described.check
    raises, with nothing written.
    """
    described.check()

    def step() -> Person:
        portrait = _held(pk)
        _describe(portrait, described, author)
        return portrait.person

    return until_settled(step, rules=RULES)


def replace(pk: int, described: Described, author: Author) -> Person:
    """Put a whole description in the place of what was known of a person; devices stay."""
    described.check()

    def step() -> Person:
        portrait = _held(pk)
        portrait.describe(_BLANK)
        _describe(portrait, changed(described, adding=False), author)
        return portrait.person

    return until_settled(step, rules=RULES)


def change_owner(
    application: Application, public_id: uuid.UUID, described: Described, author: Author
) -> Person:
    """Change the person of a device, who is made when nothing was known of them.

    Raises UnknownRegistrationError, and what `change` raises.
    """
    described.check()

    def step() -> Person:
        held = hold(application, public_id)
        portrait = held.owner or make(author)
        registration = held.registration
        if held.owner is None:
            portrait.put_tags(registration.person_tags)
            registration.person = portrait.person
            registration.save(update_fields=["person"])
        was_anonymous = portrait.anonymous
        _describe(portrait, described, author)
        if was_anonymous and not portrait.anonymous:
            portrait.person.kind = Person.Kind.CUSTOMER
            portrait.save(author)
        return portrait.person

    return until_settled(step, rules=RULES)


def _held(pk: int) -> Portrait:
    try:
        return hold_people({pk})[pk]
    except Raced as gone:
        raise UnknownPersonError("Person not found") from gone


def _describe(portrait: Portrait, described: Described, author: Author) -> None:
    """Raises IdentityTakenError when somebody else has one of the new identities."""
    before = set(portrait.keys)
    portrait.describe(described)
    for key in sorted(portrait.keys - before):
        if people_with({key}) - {portrait.person.pk}:
            raise IdentityTakenError(key[0])
    portrait.save(author)
    copy_tags(portrait.person)


def erase(pk: int, author: Author) -> None:
    """Delete a person, their events, and what the audit trail quotes; devices become anonymous.

    Messages stay countable: they name devices. Raises UnknownPersonError.
    """
    until_settled(partial(_erase, pk, author), rules=RULES)


def _erase(pk: int, author: Author) -> None:
    person = _held(pk).person
    merged = merged_into(pk)
    devices = Registration.objects.filter(person=person)
    devices.update(person=None, person_tags=[], primary=False)
    quoted = AuditEntry.objects.filter(object_type="person").filter(
        object_id__in=[str(key) for key in (pk, *merged)]
    )
    quoted.update(before=None, after=None, object_name="An erased person")
    person.first_name = person.last_name = ""  # the trail does not name them again
    audit.note(author, "erase person", person)
    hold_owners_of_events(alone=True)
    Event.objects.filter(person__in=[pk, *merged]).delete()
    erased.send(sender=Person, people=[pk, *merged])
    person.delete()


def merged_into(pk: int) -> list[int]:
    """Keys of the anonymous people who turned out to be this one, as the trail has it."""
    trail = AuditEntry.objects.filter(object_type="person", action=MERGE, after__merged_into=pk)
    return [int(key) for key in trail.values_list("object_id", flat=True)]


def delete_device(application: Application, public_id: uuid.UUID, author: Author) -> None:
    """Delete a registration, and its person if they are anonymous and had no other.

    Raises UnknownRegistrationError.
    """
    until_settled(partial(_delete_device, application, public_id, author), rules=RULES)


def _delete_device(application: Application, public_id: uuid.UUID, author: Author) -> None:
    held = hold(application, public_id)
    registration, owner = held.registration, held.owner
    audit.note(
        author,
        "delete device",
        registration,
        before={
            "registration_id": str(public_id),
            "person": registration.person_id,
            **_counted(registration),
        },
    )
    registration.delete()
    if owner is None or not owner.anonymous:
        return
    if not Registration.objects.filter(person=owner.person).exists():
        audit.note(author, "delete person", owner.person, before=owner.known())
        owner.person.delete()


def _counted(registration: Registration) -> dict[str, object]:
    """What the device base must know of a device that is gone (devices/device_base.py)."""
    return {
        "platform": int(registration.platform),
        "registered": registration.created_at.astimezone(UTC).date().isoformat(),
        "open": registration.address.closed_at is None,
    }
