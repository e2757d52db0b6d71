"""A batch of rows into devices and people, with statements for the whole batch.

Rows are taken in their order, each seeing what those before it did, so that it makes no
difference where a file is parted. Locks: people, then devices, each by key
(devices/personalizing); identities are inserted last.
"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.db import connection
from django.utils import timezone

from devices import attributes, csv_sql
from devices.csv_people import Owner, People
from devices.csv_rows import RowFault, Wanted
from devices.models import Address, Application, Environment, Platform, Registration
from devices.personalizing.portrait import MOST_TAGS
from devices.racing import Raced

_REGISTRATION = {
    "person_id": "bigint", "platform": "smallint", "app_version": "bigint",
    "os_version": "bigint", "sdk_version": "bigint", "timezone_offset": "smallint",
    "enabled": "boolean", "notifications_enabled": "boolean", "primary": "boolean",
    "language": "text", "manufacturer": "text", "model": "text", "person_tags": "text[]",
}  # fmt: skip
# In SQL, so that numbers which no float can hold stay as they are.
_MERGED = ", attributes = old.attributes || new.attributes"
_ADDRESS = {
    "provider": "text", "kind": "text", "environment": "text", "token": "text",
    "closed_reason": "text", "app_version": "text", "os_version": "text", "sdk_version": "text",
    "device_name": "text", "application_user_id": "text",
}  # fmt: skip
# What follows from a new token: its digest, and that the address is open again.
_MOVED = """,
    token_digest = CASE WHEN new.moved THEN decode(new.digest, 'hex') ELSE old.token_digest END,
    token_changed_at = CASE WHEN new.moved THEN now() ELSE old.token_changed_at END,
    closed_at = CASE WHEN new.moved THEN NULL ELSE old.closed_at END,
    closed_answer = CASE WHEN new.moved THEN '' ELSE old.closed_answer END
"""


R = TypeVar("R")  # what a row is read as


@dataclass(slots=True)
class Written(Generic[R]):
    """What became of a batch."""

    created: int = 0
    updated: int = 0
    refused: list[tuple[R, RowFault]] = field(default_factory=list)
    devices: dict[int, int] = field(default_factory=dict)  # known before → the line naming it


@dataclass(slots=True)
class _Device:
    """A device as it is in the database, its rows locked."""

    pk: int
    application: int
    public_id: uuid.UUID
    digest: bytes | None
    registration: dict[str, Any]
    address: dict[str, Any]

    @property
    def person(self) -> int | None:
        person: int | None = self.registration["person_id"]
        return person


@dataclass(slots=True)
class _Known:
    """A row about a device that is known, and whom it belongs to from now on."""

    row: Wanted
    device: _Device
    owner: Owner | None
    owned: bool  # it belonged to somebody with an identity

    @property
    def changes_hands(self) -> bool:
        return self.owner is not None and self.owner.pk != self.device.person


def write(
    application: Application, wanted: Sequence[Wanted], seen: Mapping[int, int]
) -> Written[Wanted]:
    """Write rows; those that meet something else in the database are refused.

    `seen` has the devices that earlier batches of the file named, with their lines. Must run
    in a transaction; raises IntegrityError or Raced where somebody writes the same at this
    moment.
    """
    batch = _Batch(application, wanted, seen)
    for row in wanted:
        try:
            batch.take(row)
        except RowFault as fault:
            batch.written.refused.append((row, fault))
    batch.people.write()
    batch.update()
    batch.insert()
    batch.people.settle()
    return batch.written


def named(application: Application, rows: Sequence[Wanted]) -> dict[int, int]:
    """The devices that rows name, with the line of the row."""
    lines: dict[object, int] = {}
    for row in rows:
        lines |= {row.public_id: row.line, row.digest: row.line}
    lines.pop(None, None)
    found = Address.objects.filter(pk__in=[pk for pk, _ in _naming(application, rows)])
    return {
        pk: lines.get(public_id) or lines.get(bytes(digest or b""), 0)
        for pk, public_id, digest in found.values_list("pk", "public_id", "token_digest")
    }


def _naming(application: Application, rows: Sequence[Wanted]) -> list[tuple[int, int | None]]:
    """Keys of the devices that rows name by registration id or token, and of their people."""
    ids = [row.public_id for row in rows if row.public_id]
    digests = [row.digest for row in rows if row.digest]
    columns = ("pk", "registration__person_id")
    by_token = Address.objects.filter(application=application, token_digest__in=digests)
    if not ids:
        return list(by_token.values_list(*columns))
    by_id = Address.objects.filter(public_id__in=ids)
    return list(by_id.values_list(*columns).union(by_token.values_list(*columns)))


class _Batch:
    """Rows on their way: what they meet, what they make of it."""

    def __init__(
        self, application: Application, wanted: Sequence[Wanted], seen: Mapping[int, int]
    ) -> None:
        self.application = application
        self.seen = seen
        self.written: Written[Wanted] = Written()
        found = _naming(application, wanted)
        owners = {person for _, person in found if person is not None}
        self.people = People(wanted, owners)
        self.by_id: dict[uuid.UUID, _Device] = {}
        self.by_token: dict[bytes, _Device] = {}
        for device in _locked([pk for pk, _ in found]):
            if device.person is not None and device.person not in self.people.by_pk:
                raise Raced
            self.by_id[device.public_id] = device
            if device.digest and device.application == application.pk:
                self.by_token[device.digest] = device
        self.new: list[tuple[Wanted, Owner | None]] = []
        self.known: list[_Known] = []

    def take(self, row: Wanted) -> None:
        """Find the device of a row and its owner. Raises RowFault with nothing changed."""
        holder = self.by_token.get(row.digest) if row.digest else None
        device = (self.by_id.get(row.public_id) if row.public_id else None) or holder
        if device is None:
            self.new.append((row, self.people.owner_of(row, None, ())))
            return
        if device.application != self.application.pk:
            raise RowFault("registration_id", "This registration belongs to another application.")
        if holder is not None and row.public_id not in (None, holder.public_id):
            raise RowFault("token", "This token belongs to another registration.")
        if first := self.seen.get(device.pk) or self.written.devices.get(device.pk):
            raise RowFault("", f"The same device stands in line {first}. Remove one.")
        before = device.registration
        if not row.token and row.platform != before["platform"]:
            platform = Platform(before["platform"]).label
            raise RowFault("platform", f"This registration is a device of {platform}.")
        if len({*before["attributes"], *row.attributes}) > attributes.MOST:
            raise RowFault("", f"A device has at most {attributes.MOST} attributes.")
        if len({*before["person_tags"], *row.tags}) > MOST_TAGS:
            raise RowFault("tags", f"A device has at most {MOST_TAGS} tags.")
        owned = device.person is not None and not self.people.by_pk[device.person].anonymous
        owner = self.people.owner_of(row, device.person, before["person_tags"])
        self.known.append(_Known(row, device, owner, owned))
        self.written.devices[device.pk] = row.line
        if row.digest and row.digest != device.digest:
            self.by_token.pop(device.digest or b"", None)
            self.by_token[row.digest] = device

    def insert(self) -> None:
        """Write the devices that are new."""
        now = timezone.now()
        keys = csv_sql.draw_keys("devices_registration", len(self.new))
        registrations, addresses = [], []
        for pk, (row, owner) in zip(keys, self.new, strict=True):
            said, place = row.registration, row.address
            registrations.append((
                pk, self.application.pk, owner.pk if owner else None, int(row.platform),
                said.get("app_version", 0), said.get("os_version", 0), said.get("sdk_version", 0),
                said.get("timezone_offset"), said.get("enabled", True),
                said.get("notifications_enabled", True), False, said.get("language", ""),
                said.get("manufacturer", ""), said.get("model", ""),
                owner.tags if owner else row.tags, json.dumps(row.attributes),
            ))  # fmt: skip
            addresses.append((
                pk, self.application.pk, row.public_id or uuid.uuid4(), row.provider,
                row.kind, row.environment or Environment.PRODUCTION, row.token, row.digest,
                now if row.token else None, "", "", place.get("app_version", ""),
                place.get("os_version", ""), place.get("sdk_version", ""),
                place.get("device_name", ""), place.get("application_user_id", ""),
            ))  # fmt: skip
        csv_sql.copy(
            "devices_registration",
            "id application_id person_id platform app_version os_version sdk_version"
            ' timezone_offset enabled notifications_enabled "primary" language manufacturer model'
            " person_tags attributes",
            registrations,
        )
        csv_sql.copy(
            "devices_address",
            "registration_id application_id public_id provider kind environment token token_digest"
            " token_changed_at closed_reason closed_answer app_version os_version sdk_version"
            " device_name application_user_id",
            addresses,
        )
        self.written.created = len(self.new)

    def update(self) -> None:
        """Write the known devices that differ."""
        primaries = self._primaries()
        registrations, addresses, passed_on = [], [], []
        wanted = {each.row.digest for each in self.known} | {row.digest for row, _ in self.new}
        for each in self.known:
            row, device = each.row, each.device
            moved = bool(row.token) and row.token != device.address["token"]
            there = _place(row, device, moved=moved)
            after = _after(row, device, each.owner, opened=moved)
            after["primary"] = device.registration["primary"] and _stays_primary(each, primaries)
            if after != device.registration:
                registrations.append({"id": device.pk, **after, "attributes": row.attributes})
            if there != device.address:
                beside = {"moved": moved, "digest": row.digest.hex() if row.digest else None}
                addresses.append({"registration_id": device.pk, **there, **beside})
            if moved and device.digest != row.digest and device.digest in wanted:
                passed_on.append(device.pk)
            self.written.updated += after != device.registration or there != device.address
        with connection.cursor() as cursor:
            if passed_on:  # an old token becomes another device's in the same statement
                sql = "UPDATE devices_address SET token = '', token_digest = NULL"
                cursor.execute(f"{sql} WHERE registration_id = ANY(%s)", [passed_on])
            if registrations:
                sql = csv_sql.update(
                    "devices_registration", "id", _REGISTRATION,
                    more=_MERGED, beside={"attributes": "jsonb"},
                )  # fmt: skip
                cursor.execute(sql, [json.dumps(registrations)])
            if addresses:
                sql = csv_sql.update(
                    "devices_address", "registration_id", _ADDRESS,
                    more=_MOVED, beside={"moved": "boolean", "digest": "text"},
                )  # fmt: skip
                cursor.execute(sql, [json.dumps(addresses)])

    def _primaries(self) -> dict[int | None, int]:
        """The primary devices of people who may get another one: person → device."""
        people = {
            each.owner.pk
            for each in self.known
            if each.owner and each.changes_hands and each.device.registration["primary"]
        }
        if not people:
            return {}
        found = Registration.objects.filter(
            application=self.application, person__in=people, primary=True
        )
        return dict(found.values_list("person_id", "pk"))


def _stays_primary(known: _Known, primaries: dict[int | None, int]) -> bool:
    """A primary device that gets an owner stays one, unless it was another person's or its
    owner has one already."""
    device, owner = known.device, known.owner
    if owner is None or not known.changes_hands:
        return True
    if primaries.get(device.person) == device.pk:
        del primaries[device.person]
    return not known.owned and primaries.setdefault(owner.pk, device.pk) == device.pk


def _locked(keys: Sequence[int]) -> Iterator[_Device]:
    columns = (
        "pk", "application_id", "public_id", "token_digest",
        *(f"registration__{name}" for name in (*_REGISTRATION, "attributes")), *_ADDRESS,
    )  # fmt: skip
    found = Address.objects.filter(pk__in=keys).order_by("pk").select_for_update()
    width = len(_REGISTRATION) + 1
    for pk, owner, public_id, digest, *values in found.values_list(*columns):
        yield _Device(
            pk,
            owner,
            public_id,
            bytes(digest) if digest else None,
            dict(zip((*_REGISTRATION, "attributes"), values[:width], strict=True)),
            dict(zip(_ADDRESS, values[width:], strict=True)),
        )


def _after(row: Wanted, device: _Device, owner: Owner | None, *, opened: bool) -> dict[str, Any]:
    """A registration with what its row says."""
    before = device.registration
    after = {**before, **row.registration, "platform": int(row.platform)}
    after["attributes"] = {**before["attributes"], **row.attributes}
    if device.address["closed_reason"]:  # switched off with it; a new token switches it on
        after["enabled"] = opened and row.registration.get("enabled", True)
    if owner is not None:
        after |= {"person_id": owner.pk, "person_tags": owner.tags}
    elif row.tags:
        after["person_tags"] = sorted({*before["person_tags"], *row.tags})
    return after


def _place(row: Wanted, device: _Device, *, moved: bool) -> dict[str, Any]:
    """An address with what its row says; a new token opens it again."""
    there = {**device.address, **row.address}
    if row.environment:
        there["environment"] = row.environment
    if row.token:
        there["provider"] = row.provider
        if moved or there["kind"] != Address.Kind.FID:
            there["kind"] = row.kind
    if moved:
        there |= {"token": row.token, "closed_reason": ""}
    return there
