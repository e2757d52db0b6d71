"""A CSV file into devices and people: streamed, in batches, repeatable.

Good rows are kept, bad ones collected with line and reason. The same file twice changes
nothing. Each batch is one transaction, so a stopped import can simply run again.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, BinaryIO, cast

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from devices import attributes
from devices.csv_rows import Column, FileFault, RowFault, Wanted, guess, header, read, rows
from devices.errors import CustomAttributeError
from devices.models import (
    Address,
    Application,
    Identity,
    ImportPiece,
    ImportRefusal,
    ImportRun,
    Person,
    Registration,
)
from devices.registering import CLOUDS

BATCH = 2000  # rows in one transaction
MOST_REFUSALS = 100_000  # kept with their cells; beyond that they are only counted
PIECE = 2**20  # bytes
LEASE = timedelta(minutes=2)


def receive(
    application: Application, user: User | None, filename: str, chunks: Iterable[bytes]
) -> ImportRun:
    """Keep an uploaded file in the database until its import ends."""
    with transaction.atomic():
        run = ImportRun.objects.create(
            application=application, started_by=user, filename=filename[:250]
        )
        size = 0
        for number, chunk in enumerate(chunks):
            ImportPiece.objects.create(run=run, number=number, content=chunk)
            size += len(chunk)
        run.size = size
        run.save(update_fields=["size"])
    return run


class _Pieces:
    """An uploaded file, read piece by piece."""

    def __init__(self, run: ImportRun) -> None:
        self._pieces: Iterator[bytes] = (
            bytes(content)
            for content in run.pieces.order_by("number")
            .values_list("content", flat=True)
            .iterator(chunk_size=1)
        )
        self._left = b""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    closed = False

    def flush(self) -> None:
        """Nothing is written."""

    def read1(self, size: int = -1) -> bytes:
        if not self._left:
            self._left = next(self._pieces, b"")
        taken = self._left if size < 0 else self._left[:size]
        self._left = self._left[len(taken) :]
        return taken

    read = read1


def run_upload(pk: int) -> ImportRun | None:
    """Import an uploaded file, unless somebody else does; again from its start after a kill."""
    now = timezone.now()
    free = ImportRun.objects.filter(
        pk=pk, status__in=(ImportRun.Status.WAITING, ImportRun.Status.RUNNING)
    ).exclude(lease_until__gt=now)
    if not free.update(lease_until=now + LEASE, status=ImportRun.Status.RUNNING):
        return None
    run = ImportRun.objects.select_related("application").get(pk=pk)
    run.refusals.all().delete()
    run_file(run, cast("BinaryIO", _Pieces(run)))
    run.pieces.all().delete()
    return run


def run_file(
    run: ImportRun, source: BinaryIO, progress: Callable[[ImportRun], None] = lambda run: None
) -> ImportRun:
    """Import a file into a run. A file that cannot be read ends it with the reason."""
    run.status, run.started_at = ImportRun.Status.RUNNING, timezone.now()
    run.rows = run.created = run.updated = run.refused = run.bytes_read = 0
    run.save()
    job = _Job(run)
    try:
        read_rows = rows(source)
        _, cells = next(read_rows, (1, []))
        job.columns = header(cells)
        run.columns = [[c.heading, c.name or "attribute"] for c in job.columns]
        batch: list[tuple[int, list[str]]] = []
        for line, cells in read_rows:
            batch.append((line, cells))
            if len(batch) >= BATCH:
                job.take(batch)
                progress(run)
                batch = []
        if batch:
            job.take(batch)
    except FileFault as fault:
        run.status, run.error = ImportRun.Status.FAILED, str(fault)
    else:
        run.status = ImportRun.Status.DONE
    run.finished_at, run.lease_until = timezone.now(), None
    run.save()
    progress(run)
    return run


class _Job:
    """One import: its columns, and the tokens its file named so far."""

    def __init__(self, run: ImportRun) -> None:
        self.run = run
        self.application = run.application
        self.columns: list[Column] = []
        self.seen: dict[bytes, int] = {}
        self.seen_ids: dict[str, int] = {}

    def take(self, batch: list[tuple[int, list[str]]]) -> None:
        """One batch: read, then write in one transaction."""
        refused: list[tuple[int, list[str], RowFault]] = []
        types = self._types(batch)
        wanted: list[Wanted] = []
        for line, cells in batch:
            try:
                row = read(self.columns, cells, line, types)
                self._once(row)
                wanted.append(row)
            except RowFault as fault:
                refused.append((line, cells, fault))
        with transaction.atomic():
            created, updated = _write(self.application, wanted, refused)
            self._refuse(refused)
            run = self.run
            run.rows += len(batch)
            run.created += created
            run.updated += updated
            run.refused += len(refused)
            run.bytes_read += sum(sum(map(len, cells)) + len(cells) for _, cells in batch)
            run.lease_until = timezone.now() + LEASE
            run.save()

    def _types(self, batch: list[tuple[int, list[str]]]) -> dict[str, attributes.Type]:
        """Types of the custom attributes; new ones are learned from their first value."""
        known = dict(attributes.types(self.application))
        new: dict[str, Any] = {}
        for number, column in enumerate(self.columns):
            if column.name or column.heading in known:
                continue
            first = next(
                (c[number].strip() for _, c in batch if len(c) > number and c[number].strip()), ""
            )
            if first and "\0" not in first:
                new[column.heading] = _sample(first)
        if new:
            try:
                attributes.check(self.application, new)
            except CustomAttributeError as fault:
                raise FileFault(f"The column {fault}.") from None
            known = dict(attributes.types(self.application))
        return known

    def _once(self, row: Wanted) -> None:
        """A device may stand in a file once."""
        if row.digest is not None:
            first = self.seen.setdefault(row.digest, row.line)
            if first != row.line:
                raise RowFault("token", f"The same token stands in line {first}. Remove one.")
        if row.public_id is not None:
            first = self.seen_ids.setdefault(row.public_id.hex, row.line)
            if first != row.line:
                raise RowFault(
                    "registration_id", f"The same registration stands in line {first}. Remove one."
                )

    def _refuse(self, refused: list[tuple[int, list[str], RowFault]]) -> None:
        room = max(0, MOST_REFUSALS - self.run.refused)
        ImportRefusal.objects.bulk_create(
            ImportRefusal(
                run=self.run,
                line=line,
                column=fault.column[:256],
                reason=str(fault)[:500],
                row=[cell.replace("\0", "\ufffd")[:1000] for cell in cells[:500]],
            )
            for line, cells, fault in sorted(refused, key=lambda each: each[0])[:room]
        )


def _sample(text: str) -> Any:
    match guess(text):
        case attributes.Type.BOOLEAN:
            return text.lower() == "true"
        case attributes.Type.NUMBER:
            return float(text) if "." in text else int(text)
    return text[:4096]


Refused = list[tuple[int, list[str], RowFault]]


def _write(application: Application, wanted: list[Wanted], refused: Refused) -> tuple[int, int]:
    """Write a batch; rows that meet something else in the database join the refused."""
    known = _known(application, wanted)
    new: list[Wanted] = []
    changed: list[tuple[Wanted, Address]] = []
    fits: list[Wanted] = []
    for row in wanted:
        by_id = known.get(row.public_id.hex) if row.public_id else None
        by_token = known.get(row.digest.hex()) if row.digest else None
        address = by_id or by_token
        fault = _misfit(application, row, by_id, by_token)
        if fault is not None:
            refused.append((row.line, row.cells, fault))
            continue
        fits.append(row)
        if address is None:
            new.append(row)
        else:
            changed.append((row, address))
    people = _people(fits, refused, {id(row): address for row, address in changed})
    out = {line for line, _, _ in refused}
    new = [row for row in new if row.line not in out]
    changed = [(row, address) for row, address in changed if row.line not in out]
    _insert(application, new, people)
    return len(new), _update(changed, people)


def _known(application: Application, wanted: list[Wanted]) -> dict[str, Address]:
    """Addresses that rows name, by registration id and by digest of their token."""
    ids = [row.public_id for row in wanted if row.public_id]
    digests = [row.digest for row in wanted if row.digest]
    found: dict[str, Address] = {}
    if ids:
        for address in Address.objects.select_related("registration__person").filter(
            public_id__in=ids
        ):
            found[address.public_id.hex] = address
    for address in Address.objects.select_related("registration__person").filter(
        application=application, token_digest__in=digests
    ):
        found[bytes(cast("bytes", address.token_digest)).hex()] = address
    return found


def _misfit(
    application: Application, row: Wanted, by_id: Address | None, by_token: Address | None
) -> RowFault | None:
    if by_id is not None and by_id.application_id != application.pk:
        return RowFault("registration_id", "This registration belongs to another application.")
    if by_token is not None and row.public_id is not None and by_token.public_id != row.public_id:
        return RowFault("token", "This token belongs to another registration of the application.")
    return None


def _people(  # noqa: C901 (one decision per row, told in order)
    fits: list[Wanted], refused: Refused, addresses: dict[int, Address]
) -> dict[int, Person]:
    """The person of each row, by the row's line: found by identity, or made."""
    named = [row for row in fits if row.identities]
    values = {identity for row in named for identity in row.identities}
    owners: dict[tuple[int, str], Person] = {}
    for identity in Identity.objects.select_related("person").filter(
        kind__in={kind for kind, _ in values}, value__in={value for _, value in values}
    ):
        owners[identity.kind, identity.value] = identity.person
    external = dict(
        Identity.objects.filter(
            kind=Identity.Kind.EXTERNAL_ID, person__in={p.pk for p in owners.values()}
        ).values_list("person_id", "value")
    )
    people: dict[int, Person] = {}
    fresh: list[Person] = []
    joined: list[tuple[tuple[int, str], Person]] = []
    for row in named:
        found = {id(owners[each]): owners[each] for each in row.identities if each in owners}
        mine = addresses.get(id(row))
        attached = mine.registration.person if mine else None
        own = dict(row.identities).get(1)
        if len(found) > 1 and len({p.pk or id(p) for p in found.values()}) > 1:
            fault = RowFault("external_id", "These identities belong to different people.")
            refused.append((row.line, row.cells, fault))
            continue
        person = next(iter(found.values()), None)
        if person is not None and own and external.get(person.pk or id(person), own) != own:
            fault = RowFault("external_id", "Phone or e-mail belong to another external id.")
            refused.append((row.line, row.cells, fault))
            continue
        if person is None:
            person = attached or Person(kind=Person.Kind.CUSTOMER)
            if attached is None:
                fresh.append(person)
        if own:
            external[person.pk or id(person)] = own
        for each in row.identities:
            if each not in owners:
                owners[each] = person
                joined.append((each, person))
        people[row.line] = person
    described = {
        id(people[row.line]): people[row.line]
        for row in named
        if row.line in people and _describe(people[row.line], row)
    }
    Person.objects.bulk_create(fresh)
    for made in fresh:
        described.pop(id(made), None)
    for each_person in described.values():
        each_person.save(update_fields=["first_name", "last_name", "tags", "changed_at"])
        Registration.objects.filter(person=each_person).update(person_tags=each_person.tags)
    Identity.objects.bulk_create(
        Identity(kind=kind, value=value, person=person) for (kind, value), person in joined
    )
    return people


def _describe(person: Person, row: Wanted) -> bool:
    """Give a person a row's names and tags, which are added, never taken away; did it change?"""
    tags = sorted({*person.tags, *row.tags})
    names = {name: text for name, text in row.person.items() if getattr(person, name) != text}
    differs = tags != person.tags or bool(names)
    person.tags = tags
    for name, text in names.items():
        setattr(person, name, text)
    return differs


_COPY_REGISTRATIONS = """
COPY devices_registration (id, application_id, person_id, platform, app_version, os_version,
    sdk_version, timezone_offset, enabled, notifications_enabled, "primary", language,
    manufacturer, model, person_tags, attributes) FROM STDIN
"""
_COPY_ADDRESSES = """
COPY devices_address (registration_id, application_id, public_id, provider, kind, environment,
    token, token_digest, token_changed_at, closed_reason, closed_answer, app_version,
    os_version, sdk_version, device_name) FROM STDIN
"""


def _insert(application: Application, new: list[Wanted], people: dict[int, Person]) -> None:
    """New devices by COPY: five times as fast as the ORM (docs/decisions: the ledger)."""
    if not new:
        return
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('devices_registration', 'id'))"
            " FROM generate_series(1, %s)",
            [len(new)],
        )
        ids = [row[0] for row in cursor.fetchall()]
        with cursor.copy(_COPY_REGISTRATIONS) as copy:
            for pk, row in zip(ids, new, strict=True):
                copy.write_row(_registration(pk, application, row, people))
        with cursor.copy(_COPY_ADDRESSES) as copy:
            for pk, row in zip(ids, new, strict=True):
                said = row.address
                copy.write_row(
                    (
                        pk, application.pk, row.public_id or uuid.uuid4(), CLOUDS[row.platform],
                        "token", row.environment, row.token, row.digest,
                        now if row.token else None, "", "", said.get("app_version", ""),
                        said.get("os_version", ""), said.get("sdk_version", ""),
                        said.get("device_name", ""),
                    )
                )  # fmt: skip


def _registration(
    pk: int, application: Application, row: Wanted, people: dict[int, Person]
) -> tuple[Any, ...]:
    said, person = row.registration, people.get(row.line)
    return (
        pk, application.pk, person.pk if person else None, int(row.platform),
        said.get("app_version", 0), said.get("os_version", 0), said.get("sdk_version", 0),
        said.get("timezone_offset"), said.get("enabled", True),
        said.get("notifications_enabled", True), False, said.get("language", ""),
        said.get("manufacturer", ""), said.get("model", ""), _tags(row, people),
        json.dumps(row.attributes),
    )  # fmt: skip


def _tags(row: Wanted, people: dict[int, Person]) -> list[str]:
    person = people.get(row.line)
    return person.tags if person is not None else row.tags


def _update(changed: list[tuple[Wanted, Address]], people: dict[int, Person]) -> int:
    """Write what differs; how many devices did."""
    count = 0
    now = timezone.now()
    for row, address in changed:
        registration = address.registration
        wished: dict[str, Any] = {
            **row.registration,
            "platform": row.platform,
            "attributes": {**registration.attributes, **row.attributes},
        }
        if row.line in people:
            wished["person_id"] = people[row.line].pk
            wished["person_tags"] = people[row.line].tags
        elif row.tags:
            wished["person_tags"] = sorted({*registration.person_tags, *row.tags})
        placed: dict[str, Any] = {**row.address}
        if row.token and row.token != address.token:
            placed |= {
                "token": row.token, "token_digest": row.digest, "token_changed_at": now,
                "provider": CLOUDS[row.platform], "environment": row.environment,
                "closed_at": None, "closed_reason": "", "closed_answer": "",
            }  # fmt: skip
        fresh = {k: v for k, v in wished.items() if getattr(registration, k) != v}
        moved = {k: v for k, v in placed.items() if getattr(address, k) != v}
        if fresh:
            Registration.objects.filter(pk=registration.pk).update(**fresh)
        if moved:
            Address.objects.filter(pk=address.pk).update(**moved)
        count += bool(fresh or moved)
    return count


def analyze() -> None:
    """Tell the planner of a large import."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE devices_registration, devices_address, devices_identity")
