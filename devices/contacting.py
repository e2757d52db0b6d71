"""What a device that we know says of itself, by one statement.

Most contacts bring values that are written as they come, whatever stood there: one statement
locks the two rows, looks whether it is such a contact, and writes. All others, such as a token
that moves, need to be thought about between reading and writing (devices/registering.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import OperationalError, connection
from django.db.models import Field
from psycopg import errors

from devices.attributes import JSON
from devices.models import Address, Registration
from devices.unsaid import UNSAID, Said, Unsaid

_STATEMENTS = 500  # kept: members come and go together, so there are few


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What one call says, and which device it is of."""

    by: str  # the column of Address that knows the device
    address: Address  # unsaved, with its registration: what is written, and looked for
    of_address: tuple[str, ...]  # the columns that are written
    of_registration: tuple[str, ...]  # these only if one of them changes
    with_token: bool = False  # it has this one already, and it is open
    primary: Said[bool] = UNSAID  # as it is already
    attributes: Said[Mapping[str, JSON] | None] = UNSAID  # as they are already


def note(contact: Contact) -> Registration | None:
    """Write what a device says; None, with nothing written, if that is not all there is to do.

    The registration is given back as it is now, with its address.
    """
    sql = _statement(
        contact.by,
        contact.of_address,
        contact.of_registration,
        with_token=contact.with_token,
        with_primary=not isinstance(contact.primary, Unsaid),
        with_attributes=isinstance(contact.attributes, Mapping),
        without_attributes=contact.attributes is None,
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, _values(contact))
            found = cursor.fetchone()
    except OperationalError as conflict:
        lost_a_race = isinstance(conflict.__cause__, errors.DeadlockDetected)
        if connection.in_atomic_block or not lost_a_race:
            raise
        return None
    return None if found is None else _registration(contact, found)


def _values(contact: Contact) -> list[Any]:
    """What fills the gaps of the statement, in its order."""
    address, registration = contact.address, contact.address.registration
    of_address = _prepared(address, contact.of_address)
    of_registration = _prepared(registration, contact.of_registration)
    values = [address.application_id, getattr(address, contact.by)]
    if contact.with_token:
        values.append(address.token)
    if not isinstance(contact.primary, Unsaid):
        values.append(contact.primary)
    if isinstance(contact.attributes, Mapping):
        kept = {name: value for name, value in contact.attributes.items() if value is not None}
        values += [json.dumps(kept), [name for name in contact.attributes if name not in kept]]
    return [*values, *of_registration, *of_registration, *of_address]


def _prepared(row: Address | Registration, names: tuple[str, ...]) -> list[Any]:
    fields = {field.attname: field for field in _columns(type(row))}
    return [fields[name].get_db_prep_save(getattr(row, name), connection) for name in names]


def _registration(contact: Contact, found: tuple[Any, ...]) -> Registration:
    of_address, of_registration = _columns(Address), _columns(Registration)
    parted = len(of_address)
    address = Address.from_db(connection.alias, *_read(of_address, found[:parted]))
    registration = Registration.from_db(connection.alias, *_read(of_registration, found[parted:]))
    for name in contact.of_registration:  # it was read before it was written
        setattr(registration, name, getattr(contact.address.registration, name))
    registration.application = contact.address.registration.application
    address.registration = registration
    return registration


def _read(fields: "list[Field[Any, Any]]", found: tuple[Any, ...]) -> tuple[list[str], list[Any]]:
    values = [
        field.from_db_value(value, None, connection) if hasattr(field, "from_db_value") else value
        for field, value in zip(fields, found, strict=True)
    ]
    return [field.attname for field in fields], values


def _columns(model: type[Address] | type[Registration]) -> "list[Field[Any, Any]]":
    return list(model._meta.concrete_fields)


@lru_cache(maxsize=_STATEMENTS)
def _statement(
    by: str,
    of_address: tuple[str, ...],
    of_registration: tuple[str, ...],
    *,
    with_token: bool,
    with_primary: bool,
    with_attributes: bool,
    without_attributes: bool,
) -> str:
    """The row locks make the newest rows the ones that are looked at, compared and given back."""
    conditions = [f'a.application_id = %s AND a."{by}" = %s']
    if with_token:
        conditions.append("a.token = %s AND a.closed_at IS NULL")
    if with_primary:
        conditions.append('r."primary" = %s')
    if without_attributes:
        conditions.append("r.attributes = '{}'")
    if with_attributes:
        conditions.append("(r.attributes || %s::jsonb) - %s::text[] = r.attributes")
    returned = [f'a."{field.column}"' for field in _columns(Address)]
    returned += [f'l."{field.column}"' for field in _columns(Registration)]
    return f"""
        WITH locked AS MATERIALIZED (
            SELECT r.* FROM devices_address a
            JOIN devices_registration r ON r.id = a.registration_id
            WHERE {" AND ".join(conditions)}
            FOR UPDATE OF a, r
        ),
        changed AS (
            UPDATE devices_registration r SET {_assigned(of_registration)}
            FROM locked l
            WHERE r.id = l.id AND ROW({", ".join(f'l."{name}"' for name in of_registration)})
                  IS DISTINCT FROM ROW({", ".join("%s" for _ in of_registration)})
        )
        UPDATE devices_address a SET {_assigned(of_address)}
        FROM locked l WHERE a.registration_id = l.id
        RETURNING {", ".join(returned)}
    """  # noqa: S608 (names of ours)


def _assigned(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}" = %s' for name in names)
