"""Take back a change of a person or a device: what it changed is as it was before.

Possible as long as everything it changed is still as it left it; a move of a device is taken
back by devices/personalizing/undoing.py.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db import transaction

from devices import registering
from devices.attributes import JSON
from devices.audit import Author
from devices.errors import NothingToUndoError, UnknownPersonError
from devices.models import Address, AuditEntry, Person, Registration
from devices.personalizing.locking import hold_people
from devices.personalizing.people import change
from devices.personalizing.portrait import Described, Portrait
from devices.racing import Raced

OF_PERSON = ("change person",)
OF_DEVICE = ("change device", "switch device on", "switch device off")
_DEVICE_NAMES = ("enabled", "primary", "attributes")


def state_of_person(person: Person) -> dict[str, Any]:
    return Portrait(person).state()


def state_of_device(registration: Registration) -> dict[str, Any]:
    return {name: getattr(registration, name) for name in _DEVICE_NAMES}


def can_revert(entry: AuditEntry, now: Mapping[str, Any]) -> bool:
    """Whether everything that an entry of the audit trail changed is as it left it."""
    before, after = entry.before or {}, entry.after or {}
    return (
        entry.action in (*OF_PERSON, *OF_DEVICE)
        and bool(after)
        and all(name in before and name in now and now[name] == after[name] for name in after)
    )


def revert_person(entry: AuditEntry, author: Author) -> Person:
    """Raises UnknownPersonError, NothingToUndoError, and what `change` raises."""
    pk = int(entry.object_id)
    with transaction.atomic():
        try:
            now = hold_people({pk})[pk].state()
        except Raced as gone:
            raise UnknownPersonError("Person not found") from gone
        if entry.action not in OF_PERSON or not can_revert(entry, now):
            raise NothingToUndoError("It has been changed since")
        return change(pk, _described(entry), author)


def _described(entry: AuditEntry) -> Described:
    said = dict(entry.before or {})
    if said.get("birthday"):
        said["birthday"] = date.fromisoformat(said["birthday"])
    if "gender" in said:
        said["gender"] = Person.Gender(said["gender"])
    if "kind" in said:
        said["kind"] = Person.Kind(said["kind"])
    if "attributes" in said:
        said["attributes"] = _taken_back(entry)
    return Described(**said)


def _taken_back(entry: AuditEntry) -> dict[str, JSON]:
    """Attributes as they were; those that are new go."""
    before, after = (entry.before or {})["attributes"], (entry.after or {})["attributes"]
    return {**dict.fromkeys(after), **before}


def revert_device(entry: AuditEntry, author: Author) -> Registration:
    """Raises UnknownRegistrationError, NothingToUndoError, CustomAttributeError.

    Who lost the primary mark by the change gets it back.
    """
    with transaction.atomic():
        address = (
            Address.objects.filter(pk=int(entry.object_id))
            .select_related("registration__application")
            .select_for_update(of=("self", "registration"))
            .first()
        )
        if (
            address is None
            or entry.action not in OF_DEVICE
            or not can_revert(entry, state_of_device(address.registration))
        ):
            raise NothingToUndoError("It has been changed since")
        registration, before = address.registration, entry.before or {}
        if before.get("enabled") and address.closed_at is not None:
            raise NothingToUndoError("The cloud calls this address dead")
        said = {name: before[name] for name in entry.after or {}}
        if "attributes" in said:
            said["attributes"] = _taken_back(entry)
        application = registration.application
        done = registering.refresh(
            application, address.public_id, registering.Device(**said), author=author
        )
        other = Address.objects.filter(
            pk=before.get("primary_was") or 0, registration__person=registration.person_id
        ).first()
        if other is not None and registration.person_id is not None:
            registering.refresh(
                application, other.public_id, registering.Device(primary=True), author=author
            )
        return done
