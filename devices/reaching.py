"""Whom other systems mean, and which of their devices to use."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from django.db import connection

from devices import normalizing
from devices.errors import DeviceError
from devices.models import Application, Identity, Person, Registration

Plain: TypeAlias = str | int | float | bool


class Named(NamedTuple):
    """One thing somebody is known by: an identity, or a custom attribute of the person."""

    by: Identity.Kind | str
    value: Plain

    @property
    def key(self) -> tuple[int, str] | None:
        """The identity as it is stored; None for what none can be, and for an attribute."""
        if not isinstance(self.by, Identity.Kind):
            return None
        text = str(self.value)
        try:
            match self.by:
                case Identity.Kind.PHONE:
                    return int(self.by), normalizing.phone(text)
                case Identity.Kind.EMAIL:
                    return int(self.by), text.lower()
                case Identity.Kind.EXTERNAL_ID:
                    return int(self.by), normalizing.external_id(text)
        except DeviceError:
            return None


def find_people(wanted: Sequence[Sequence[Named]]) -> list[int | None]:
    """Whom each list names: its first entry that fits somebody decides; None for nobody."""
    keys = {name.key for names in wanted for name in names} - {None}
    owners = _owners({key for key in keys if key is not None})
    return [_first(names, owners) for names in wanted]


def _first(names: Sequence[Named], owners: Mapping[tuple[int, str], int]) -> int | None:
    for name in names:
        if isinstance(name.by, Identity.Kind):
            found = owners.get(name.key) if name.key is not None else None
        else:
            found = _with_attribute(name.by, name.value)
        if found is not None:
            return found
    return None


def _owners(keys: Collection[tuple[int, str]]) -> dict[tuple[int, str], int]:
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.kind, i.value, i.person_id FROM devices_identity i"
            " JOIN unnest(%s::int2[], %s::text[]) x (kind, value)"
            " ON i.kind = x.kind AND i.value = x.value",
            [[kind for kind, _ in keys], [value for _, value in keys]],
        )
        return {(kind, value): person for kind, value, person in cursor.fetchall()}


# Materialized: planned for all rows, so by the index; with a LIMIT it might read the table.
_WITH_ATTRIBUTE = """
WITH found AS MATERIALIZED (
    SELECT id FROM devices_person WHERE attributes @> %s::jsonb
)
SELECT id FROM found LIMIT 2
"""


def _with_attribute(name: str, value: Plain) -> int | None:
    """The one person with this value; what several people share names nobody."""
    with connection.cursor() as cursor:
        cursor.execute(_WITH_ATTRIBUTE, [json.dumps({name: value})])
        found = cursor.fetchall()
    return int(found[0][0]) if len(found) == 1 else None


def last_active(
    people: Collection[int], application: Application | None = None
) -> dict[int, Registration]:
    """The device each person used last, of one application or of all that are enabled.

    With its address, its application and its person. Of equals the newest.
    """
    devices = Registration.objects.filter(person__in=people, application__enabled=True)
    if application is not None:
        devices = devices.filter(application=application)
    newest = (
        devices.order_by("person_id", "-address__last_contact_at", "-pk")
        .distinct("person_id")
        .select_related("address", "application", "person")
    )
    return {device.person_id: device for device in newest if device.person_id is not None}


def hold(people: Collection[int]) -> None:
    """Let nobody else decide about these people until the transaction ends."""
    rows = Person.objects.filter(pk__in=people).order_by("pk")
    list(rows.select_for_update(no_key=True).values_list("pk", flat=True))
