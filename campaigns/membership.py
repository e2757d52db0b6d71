"""Who is meant by an identity or a registration id; put them on a list, take them off."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection, transaction
from django.db.models import BigIntegerField, F, Q, UUIDField
from django.utils import timezone

from campaigns.errors import ListError
from campaigns.models import ListMember, StaticList
from campaigns.targeting.expressions import any_of
from devices.csv_rows import RowFault, identity, public_id
from devices.models import Address, Application, Identity
from devices.personalizing.portrait import Key

REGISTRATION = "registration_id"
KEYS = {  # by what members are named
    "external_id": "External ID",
    "phone": "Phone",
    "email": "E-mail",
    REGISTRATION: "Registration ID",
}

ADD_PEOPLE = """
INSERT INTO campaigns_listmember (list_id, person_id)
SELECT %s, id FROM devices_person WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE
ON CONFLICT (list_id, person_id) DO NOTHING
"""
ADD_DEVICES = """
INSERT INTO campaigns_listmember (list_id, registration_id)
SELECT %s, id FROM devices_registration WHERE id = ANY(%s) AND application_id = %s
ORDER BY id FOR KEY SHARE
ON CONFLICT (list_id, registration_id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Members:
    """People and devices, by their keys."""

    people: frozenset[int] = frozenset()
    devices: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.people) + len(self.devices)


@dataclass(slots=True)
class Meant:
    """Whom some names mean, and names of nobody, as they were written."""

    members: Members
    unknown: dict[str, list[str]] = field(default_factory=dict)


def people_of(keys: Collection[Key]) -> dict[Key, int]:
    """The person of each identity that is known."""
    found: dict[Key, int] = {}
    for kind in {kind for kind, _ in keys}:
        values = [value for each, value in keys if each == kind]
        known = Identity.objects.filter(any_of(F("value"), values), kind=kind).order_by()
        found |= {(kind, value): pk for value, pk in known.values_list("value", "person_id")}
    return found


def devices_of(application: Application, ids: Collection[UUID]) -> dict[UUID, int]:
    """The device of each registration id that the application has."""
    if not ids:
        return {}
    known = Address.objects.filter(
        any_of(F("public_id"), list(ids), UUIDField()), application=application
    )
    return dict(known.values_list("public_id", "pk"))


def meant(application: Application, names: Mapping[str, Sequence[str]]) -> Meant:
    """Whom lists of names mean, each under its key of KEYS. Raises ListError with its place."""
    keys: dict[tuple[str, str], Key] = {}
    ids: dict[tuple[str, str], UUID] = {}
    for key, texts in names.items():
        for number, text in enumerate(texts):
            try:
                if key == REGISTRATION:
                    if (public := public_id(text.strip())) is not None:
                        ids[key, text] = public
                elif (known := identity(key, text.strip())) is not None:
                    keys[key, text] = known
            except RowFault as fault:
                raise ListError(f"{KEYS[key]} {number + 1}: {fault}") from None
    people = people_of(keys.values())
    devices = devices_of(application, ids.values())
    found = Meant(Members(frozenset(people.values()), frozenset(devices.values())))
    for key, texts in names.items():
        unknown = [
            text
            for text in texts
            if keys.get((key, text)) not in people and ids.get((key, text)) not in devices
        ]
        if unknown:
            found.unknown[key] = unknown
    return found


def on_list(members_of: StaticList, members: Members) -> Members:
    """Those of some who stand on a list already."""
    rows = ListMember.objects.filter(list=members_of)
    people = rows.filter(_any_key("person_id", members.people))
    devices = rows.filter(_any_key("registration_id", members.devices))
    return Members(
        frozenset(people.values_list("person_id", flat=True)),
        frozenset(devices.values_list("registration_id", flat=True)),
    )


def _any_key(column: str, keys: Collection[int]) -> Q:
    return any_of(F(column), sorted(keys), BigIntegerField())


def add(to: StaticList, members: Members) -> int:
    """Put them on a list and return how many were not on it. Raises ListError if it is gone."""
    with transaction.atomic(), connection.cursor() as cursor:
        _change(to)
        cursor.execute(ADD_PEOPLE, [to.pk, sorted(members.people)])
        added = int(cursor.rowcount)
        cursor.execute(ADD_DEVICES, [to.pk, sorted(members.devices), to.application_id])
        return added + int(cursor.rowcount)


def remove(off: StaticList, members: Members) -> int:
    """Take them off a list and return how many were on it. Raises ListError if it is gone."""
    with transaction.atomic():
        _change(off)
        rows = ListMember.objects.filter(list=off)
        people, _ = rows.filter(_any_key("person_id", members.people)).delete()
        devices, _ = rows.filter(_any_key("registration_id", members.devices)).delete()
    return people + devices


def _change(changed: StaticList) -> None:
    """Note that a list changes; whoever else changes it waits for the end of this."""
    now = timezone.now()
    if not StaticList.objects.filter(pk=changed.pk).update(changed_at=now):
        raise ListError("This list was deleted meanwhile.")
    changed.changed_at = now
