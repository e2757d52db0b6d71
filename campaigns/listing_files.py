"""A CSV file of members: tried first, then put on its list. Streamed, in batches, repeatable."""

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import BinaryIO
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from campaigns import membership
from campaigns.errors import ListError
from campaigns.membership import KEYS, REGISTRATION, Members
from campaigns.models import ListUpload, StaticList
from devices import audit, importing
from devices.audit import Author
from devices.csv_files import rows
from devices.csv_rows import KNOWN, MOST_COLUMNS, FileFault, RowFault, identity, public_id
from devices.import_batches import LEASE, Job, Line, OvertakenError, Refused, batches
from devices.models import ImportRun
from devices.personalizing.portrait import Key

EXAMPLE = 5  # rows that are shown beside the choice of columns
EXAMPLE_WIDTH = 100  # characters of a cell of them
FORGET = timedelta(days=1)  # a file that was tried, and that nobody said yes to
NOBODY = {
    "external_id": "Nobody is known by this external ID.",
    "phone": "Nobody is known by this phone number.",
    "email": "Nobody is known by this e-mail address.",
    REGISTRATION: "No device of this application has this registration ID.",
}
Status = ImportRun.Status


def receive(to: StaticList, user: User, filename: str, chunks: Iterable[bytes]) -> ListUpload:
    """Keep an uploaded file, to be tried next."""
    with transaction.atomic():
        run = importing.receive(
            to.application, user, filename, chunks, purpose=ImportRun.Purpose.LIST
        )
        return ListUpload.objects.create(run=run, list=to)


def choose(upload: ListUpload, *, named: bool, columns: Sequence[str]) -> bool:
    """Say what each column holds, and try the file again; False while it is being read."""
    with transaction.atomic():
        if not _start(upload):
            return False
        ListUpload.objects.filter(pk=upload.pk).update(named=named, columns=list(columns))
    return True


def confirm(upload: ListUpload, author: Author) -> bool:
    """Put the members of a tried file on its list; False if somebody said so already."""
    with transaction.atomic():
        run = ImportRun.objects.get(pk=upload.pk)
        if not run.created or not _start(upload):
            return False
        ListUpload.objects.filter(pk=upload.pk).update(dry=False)
        facts = {"file": run.filename, "members": run.created}
        audit.note(author, "add to list", upload.list, after=facts)
    return True


def _start(upload: ListUpload) -> bool:
    """Let a tried file be read again from its start."""
    tried = ImportRun.objects.filter(pk=upload.pk, status=Status.DONE, list_upload__dry=True)
    again = tried.update(
        status=Status.WAITING, rows=0, created=0, updated=0, refused=0, bytes_read=0, starts=0,
        lease_until=None, started_at=None, finished_at=None,
    )  # fmt: skip
    if again:
        upload.run.refusals.all().delete()
    return bool(again)


def run(pk: int) -> ImportRun | None:
    """Read an uploaded file, unless somebody else does; after a kill, from where it stood."""
    return importing.run_upload(pk, _Reading)


def lost() -> list[int]:
    """Files that nobody works on."""
    unfinished = ImportRun.objects.filter(
        Q(lease_until=None) | Q(lease_until__lt=timezone.now()),
        purpose=ImportRun.Purpose.LIST,
        status__in=(Status.WAITING, Status.RUNNING),
        list_upload__isnull=False,
    )
    return list(unfinished.values_list("pk", flat=True))


def forget() -> int:
    """Delete files that were tried, and that nobody said yes to for a day."""
    old = timezone.now() - FORGET
    tried = ImportRun.objects.filter(
        purpose=ImportRun.Purpose.LIST,
        status=Status.DONE,
        list_upload__dry=True,
        finished_at__lt=old,
    )
    _, deleted = tried.delete()
    return deleted.get(ImportRun._meta.label, 0)


def guess(cells: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether a first line names the columns, and what each of them holds.

    Of several, a registration id is taken alone: it says more than whose device it is.
    """
    folded = [re.sub(r"[\s_\-.]", "", cell).lower() for cell in cells]
    columns = [name if (name := KNOWN.get(each, "")) in KEYS else "" for each in folded]
    if any(columns):
        alone = REGISTRATION in columns
        return True, [
            name if name not in columns[:place] and (name == REGISTRATION or not alone) else ""
            for place, name in enumerate(columns)
        ]
    looks = [_looks_like(cell.strip()) for cell in cells]
    first = next((place for place, look in enumerate(looks) if look), None)
    if first is None:
        return True, ["" for _ in cells]
    return False, [look if place == first else "" for place, look in enumerate(looks)]


def _looks_like(cell: str) -> str:
    """What a value is by itself; "" for what could be anything."""
    for key in (REGISTRATION, "email", "phone"):
        try:
            if public_id(cell) if key == REGISTRATION else identity(key, cell):
                return key
        except RowFault:
            continue
    return ""


class _Reading(Job):
    """The members that a file names."""

    def __init__(self, run: ImportRun) -> None:
        super().__init__(run)
        upload = ListUpload.objects.select_related("list__application").filter(run=run).first()
        if upload is None:  # its list was deleted, and the file with it
            raise OvertakenError
        self.upload = upload
        self.to = upload.list
        self.people: set[int] = set()  # whom a trial has seen
        self.devices: set[int] = set()

    def examine(self, source: BinaryIO) -> None:
        """Look at the first rows; what the columns hold is guessed once."""
        head = [cells for _, cells in itertools.islice(rows(source), EXAMPLE + 1)]
        if not head or not any(cell.strip() for cell in head[0]):
            raise FileFault("The file is empty. It needs a line for each member.")
        if len(head[0]) > MOST_COLUMNS:
            raise FileFault(
                f"The file has {len(head[0]):,} columns; at most {MOST_COLUMNS} can be read."
            )
        upload = self.upload
        if not upload.columns:
            upload.named, upload.columns = guess(head[0])
        upload.example = [
            [cell.replace("\0", "\ufffd")[:EXAMPLE_WIDTH] for cell in cells] for cells in head
        ]
        upload.save(update_fields=["named", "columns", "example"])
        headings = head[0] if upload.named else [f"column {n}" for n in range(1, len(head[0]) + 1)]
        self.run.columns = [
            [heading.replace("\0", "\ufffd").strip()[:EXAMPLE_WIDTH] or f"column {number}", name]
            for number, (heading, name) in enumerate(zip(headings, upload.columns, strict=False), 1)
        ]

    def read(self, source: BinaryIO, progress: Callable[[ImportRun], None]) -> None:
        run = self.run
        if self.upload.dry:  # a trial that was stopped begins again
            run.rows = run.created = run.updated = run.refused = run.bytes_read = 0
            run.refusals.all().delete()
        if not any(self.upload.columns):
            return
        every = rows(source)
        if self.upload.named:
            next(every, None)
        for _ in batches(itertools.islice(every, run.rows)):
            self.hold()
        for batch, size in batches(every):
            self.take(batch, size)
            progress(run)

    def take(self, batch: list[Line], size: int) -> None:
        """One batch in one transaction, with how far the run is."""
        refused: list[Refused] = []
        told: list[tuple[Line, UUID | None, list[tuple[str, Key]]]] = []
        for line, cells in batch:
            try:
                told.append(((line, cells), *self._names(cells)))
            except RowFault as fault:
                refused.append((line, cells, fault))
        known = membership.people_of({key for _, _, keys in told for _, key in keys})
        ids = membership.devices_of(self.application, {each for _, each, _ in told if each})
        people: set[int] = set()
        devices: set[int] = set()
        for (line, cells), registration, keys in told:
            try:
                if registration is not None:
                    devices.add(_device(registration, ids))
                else:
                    people.add(_person(keys, known))
            except RowFault as fault:
                refused.append((line, cells, fault))
        members = Members(frozenset(people), frozenset(devices))
        run = self.run
        with transaction.atomic():
            self.refuse(refused)
            added = self._try(members) if self.upload.dry else self._add(members)
            run.rows += len(batch)
            run.created += added
            run.updated += len(batch) - len(refused) - added
            run.refused += len(refused)
            run.bytes_read += size
            run.starts = 0
            self.advance(lease_until=timezone.now() + LEASE)

    def _names(self, cells: list[str]) -> tuple[UUID | None, list[tuple[str, Key]]]:
        """By what a row names its member; raises RowFault."""
        registration: UUID | None = None
        keys: list[tuple[str, Key]] = []
        for name, cell in zip(self.upload.columns, cells, strict=False):
            if not name:
                continue
            if "\0" in cell:
                raise RowFault(name, "The cell holds the character NUL. Remove it.")
            if name == REGISTRATION:
                registration = public_id(cell.strip())
            elif (key := identity(name, cell.strip())) is not None:
                keys.append((name, key))
        if registration is None and not keys:
            raise RowFault("", "The row names nobody: its cells are empty.")
        return registration, keys

    def _try(self, members: Members) -> int:
        """How many would be added that no row before named."""
        there = membership.on_list(self.to, members)
        people = members.people - there.people - self.people
        devices = members.devices - there.devices - self.devices
        self.people |= people
        self.devices |= devices
        return len(people) + len(devices)

    def _add(self, members: Members) -> int:
        try:
            return membership.add(self.to, members)
        except ListError as gone:
            raise OvertakenError from gone

    def end(self) -> None:
        """A file that was tried is kept: somebody may say yes."""
        if not self.upload.dry or self.run.status == Status.FAILED:
            super().end()


def _device(registration: UUID, ids: dict[UUID, int]) -> int:
    if registration not in ids:
        raise RowFault(REGISTRATION, NOBODY[REGISTRATION])
    return ids[registration]


def _person(keys: list[tuple[str, Key]], known: dict[Key, int]) -> int:
    """The one person whom all identities of a row mean; unknown ones beside them say nothing."""
    found = {known[key] for _, key in keys if key in known}
    if not found:
        raise RowFault(keys[0][0], NOBODY[keys[0][0]])
    if len(found) > 1:
        names = " and the ".join(KEYS[name].lower() for name, key in keys if key in known)
        raise RowFault("", f"The {names} belong to different people.")
    return found.pop()
