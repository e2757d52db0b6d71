"""Give a device back to whom it belonged before it changed hands."""

import uuid
from datetime import date
from functools import partial
from typing import Any

from devices.audit import Author
from devices.errors import NothingToUndoError, UnknownRegistrationError
from devices.models import Address, Application, AuditEntry, Person, Registration
from devices.personalizing.attaching import (
    DEPERSONALIZE,
    MERGE,
    PERSONALIZE,
    UNDO,
    forget,
    make,
    save_owner,
    state_of,
)
from devices.personalizing.copies import yield_primary
from devices.personalizing.locking import RULES, hold_people
from devices.personalizing.portrait import PLAIN, Portrait
from devices.racing import Raced, until_settled

MOVES = (PERSONALIZE, DEPERSONALIZE, UNDO)


def can_undo(entry: AuditEntry, registration: Registration) -> bool:
    """Whether the device is still where this entry of the audit trail put it."""
    before, after = entry.before or {}, entry.after or {}
    return (
        entry.action in MOVES
        and (entry.object_type, entry.object_id) == ("registration", str(registration.pk))
        and "person" in before
        and after.get("person") == registration.person_id
    )


def undo(
    application: Application, public_id: uuid.UUID, entry: AuditEntry, author: Author
) -> Registration:
    """Put a device back where it was before a move.

    An anonymous person who was merged away is made again with what they had; what somebody
    gained by the merge stays. Raises UnknownRegistrationError, NothingToUndoError.
    """
    return until_settled(partial(_undo, application, public_id, entry, author), rules=RULES)


def _undo(
    application: Application, public_id: uuid.UUID, entry: AuditEntry, author: Author
) -> Registration:
    devices = Address.objects.filter(application=application, public_id=public_id)
    seen = devices.values_list("registration__person_id").first()
    if seen is None:
        raise UnknownRegistrationError("Registration not found")
    wanted = (entry.before or {}).get("person")
    known = Person.objects.filter(pk__in=[key for key in (seen[0], wanted) if key is not None])
    people = hold_people(known.values_list("pk", flat=True))
    address = (
        devices.select_related("registration")
        .select_for_update(of=("self", "registration"))
        .first()
    )
    if address is None or address.registration.person_id != seen[0]:
        raise Raced
    registration = address.registration
    if not can_undo(entry, registration):
        raise NothingToUndoError("The device has changed hands since")
    before, left = state_of(registration), people.get(seen[0])
    target = people.get(wanted) if wanted is not None else None
    if target is None and wanted is not None:
        target = _made_again(wanted, author)
    registration.person = target.person if target is not None else None
    registration.person_tags = target.person.tags if target is not None else []
    registration.primary = bool((entry.before or {}).get("primary", False))
    if registration.primary:
        yield_primary(registration)
    save_owner(registration, before, author, UNDO, left=left)
    forget(left, target, author)
    return registration


def _made_again(merged: int, author: Author) -> Portrait | None:
    """An anonymous person with what the audit trail knows of one who was merged away."""
    entry = AuditEntry.objects.filter(
        object_type="person", object_id=str(merged), action=MERGE
    ).first()
    if entry is None or entry.before is None:
        return None
    portrait, known = make(author), dict(entry.before)
    _describe(portrait.person, known)
    portrait.put_tags(known.get("tags", []))
    portrait.save(author)
    return portrait


def _describe(person: Person, known: dict[str, Any]) -> None:
    for name in PLAIN:
        if name in known and name != "birthday":
            setattr(person, name, known[name])
    if "birthday" in known:
        person.birthday = date.fromisoformat(known["birthday"])
    person.attributes = known.get("attributes", {})
