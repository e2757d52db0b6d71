"""What a registration holds of its person: a copy of the tags, and the mark of the primary."""

import uuid

from devices.errors import UnknownRegistrationError
from devices.models import Address, Person, Registration


def copy_tags(person: Person) -> None:
    """Give a person's tags to their devices, where targeting reads them."""
    behind = Registration.objects.filter(person=person).exclude(person_tags=person.tags)
    behind.update(person_tags=person.tags)


def primary_of(registration: Registration) -> int | None:
    """The primary device, other than this one, that its person has in this application."""
    if registration.person_id is None:
        return None
    return (
        Registration.objects.filter(
            person=registration.person_id, application=registration.application_id, primary=True
        )
        .exclude(pk=registration.pk)
        .values_list("pk", flat=True)
        .first()
    )


def yield_primary(registration: Registration) -> None:
    """Take the mark from the other devices of its person, before this one gets it."""
    if registration.person_id is not None:
        Registration.objects.filter(
            person=registration.person_id, application=registration.application_id, primary=True
        ).exclude(pk=registration.pk).update(primary=False)


def check_same_person(registration: Registration, caller: uuid.UUID) -> None:
    """See that another device may speak for this one. Raises UnknownRegistrationError."""
    if registration.person_id is not None:
        devices = Address.objects.filter(public_id=caller, application=registration.application_id)
        if devices.filter(registration__person=registration.person_id).exists():
            return
    raise UnknownRegistrationError("Registration not found")
