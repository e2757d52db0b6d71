"""A new registration with its address by one statement, which needs no transaction around it.

The address goes first: its token is what can be taken already. The foreign key between the
two is looked at when the statement is over.
"""

from functools import cache
from typing import Any

from django.db import connection
from django.db.models import NOT_PROVIDED, Field

from devices.models import Address, Registration

_Columns = list["Field[Any, Any]"]


def insert(address: Address) -> bool:
    """Write an address and its registration, both new; False if somebody has its token."""
    sql, of_address, of_registration = _statement()
    registration = address.registration
    values = [
        field.get_db_prep_save(getattr(row, field.attname), connection)
        for row, fields in ((address, of_address), (registration, of_registration))
        for field in fields
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        written = cursor.fetchone()
    if written is None:
        return False
    registration.pk, registration.created_at, registration.last_seen_day = written
    address.registration = registration  # and its key
    for row in (registration, address):
        row._state.adding, row._state.db = False, connection.alias  # noqa: SLF001 (documented)
    return True


@cache
def _statement() -> tuple[str, _Columns, _Columns]:
    """The statement, and the fields whose values it takes, in their order."""
    of_address = [field for field in Address._meta.concrete_fields if not field.primary_key]
    of_registration = [
        field
        for field in Registration._meta.concrete_fields
        if not field.primary_key and field.db_default is NOT_PROVIDED
    ]
    sql = f"""
        WITH place AS (
            INSERT INTO devices_address (registration_id, {_names(of_address)})
            VALUES (
                nextval(pg_get_serial_sequence('devices_registration', 'id')),
                {_gaps(of_address)}
            )
            ON CONFLICT (application_id, token_digest) DO NOTHING
            RETURNING registration_id
        )
        INSERT INTO devices_registration (id, {_names(of_registration)})
        SELECT registration_id, {_gaps(of_registration)} FROM place
        RETURNING id, created_at, last_seen_day
    """  # noqa: S608 (names of ours)
    return sql, of_address, of_registration


def _names(fields: _Columns) -> str:
    return ", ".join(f'"{field.column}"' for field in fields)


def _gaps(fields: _Columns) -> str:
    return ", ".join("%s" for _ in fields)
