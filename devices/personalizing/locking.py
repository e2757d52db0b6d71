"""Lock a device and the people a call is about, in the order everybody keeps."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_

from django.db import connection
from django.db.models import Q

from devices.errors import UnknownRegistrationError
from devices.models import Address, Application, Identity, Person, Registration
from devices.personalizing.portrait import Key, Portrait
from devices.racing import Raced

RULES = (
    "an_identity_belongs_to_one_person",
    "a_person_has_one_external_id",
    "one_primary_device_per_person",
    "devices_identity_person_id",  # the person was erased meanwhile
    "devices_registration_person_id",
)

_TELLING = 0x65766E74  # of advisory locks: "evnt"


def hold_owners_of_events(*, alone: bool = False) -> None:
    """Until the transaction ends, no device changes hands under whoever writes its events.

    Writers share it and wait only for somebody who is erased (`alone`): what they write belongs
    to a person as they read it, so it is either there to be erased or is nobody's. They lock
    nothing else before it, so nobody waits for another in a circle.
    """
    name = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name}(%s)", [_TELLING])


@dataclass(slots=True)
class Held:
    """A locked device, its locked owner, and the locked people who have certain identities."""

    registration: Registration
    owner: Portrait | None
    found: list[Portrait]


def people_with(keys: Collection[Key]) -> set[int]:
    """Keys of the people who have any of these identities."""
    if not keys:
        return set()
    condition = reduce(or_, (Q(kind=kind, value=value) for kind, value in keys))
    return set(Identity.objects.filter(condition).order_by().values_list("person_id", flat=True))


def hold(
    application: Application, public_id: uuid.UUID, keys: Collection[Key] = frozenset()
) -> Held:
    """Lock a device, its person, and whoever has one of these identities.

    People are locked before devices, so whom to lock is read first and checked afterwards:
    raises Raced when it changed in between, and UnknownRegistrationError.
    """
    devices = Address.objects.filter(application=application, public_id=public_id)
    seen = devices.values_list("registration__person_id").first()
    if seen is None:
        raise UnknownRegistrationError("Registration not found")
    candidates = people_with(keys)
    people = hold_people({*candidates, *(pk for pk in seen if pk is not None)})
    address = (
        devices.select_related("registration")
        .select_for_update(of=("self", "registration"))
        .first()
    )
    if address is None:
        raise UnknownRegistrationError("Registration not found")
    registration = address.registration
    owner = registration.person_id
    if owner != seen[0] or people_with(keys) != candidates:
        raise Raced
    return Held(
        registration,
        people[owner] if owner is not None else None,
        [people[pk] for pk in sorted(candidates)],
    )


def hold_people(keys: Iterable[int]) -> dict[int, Portrait]:
    """Lock people by key. Raises Raced for one that is gone."""
    wanted = set(keys)
    rows = Person.objects.filter(pk__in=wanted).order_by("pk").select_for_update(no_key=True)
    people = {person.pk: Portrait(person) for person in rows}
    if len(people) != len(wanted):
        raise Raced
    return people
