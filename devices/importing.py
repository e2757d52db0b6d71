"""A CSV file into devices and people: streamed, in batches, repeatable.

Good rows are kept, bad ones collected with line and reason. The same file twice changes
nothing. Each batch is one transaction, so a stopped import can simply run again.
"""

import contextlib
import io
import itertools
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from devices import attributes
from devices.csv_batches import Written, write
from devices.csv_rows import (
    Column,
    FileFault,
    RowFault,
    Wanted,
    examine,
    guess,
    header,
    read,
    rows,
)
from devices.errors import CustomAttributeError
from devices.models import (
    Application,
    ImportPiece,
    ImportRefusal,
    ImportRun,
)

BATCH = 2000  # rows in one transaction
MOST_REFUSALS = 100_000  # kept with their cells; beyond that they are only counted
PIECE = 2**20  # bytes
LEASE = timedelta(minutes=2)
Refused = tuple[int, list[str], RowFault]
_TOLD = (
    "status", "error", "columns", "rows", "created", "updated", "refused", "bytes_read",
    "lease_until", "started_at", "finished_at",
)  # fmt: skip


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


class _Pieces(io.RawIOBase):
    """An uploaded file, read piece by piece."""

    def __init__(self, run: ImportRun) -> None:
        self._run = run
        self._number = 0
        self._left = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if (offset, whence) != (0, io.SEEK_SET):
            raise io.UnsupportedOperation("pieces are read from their start")
        self._number, self._left = 0, b""
        return 0

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            piece = self._run.pieces.filter(number=self._number)
            self._left = bytes(piece.values_list("content", flat=True).first() or b"")
            self._number += 1
        taken = self._left[: len(buffer)]
        self._left = self._left[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


def run_upload(pk: int) -> ImportRun | None:
    """Import an uploaded file, unless somebody else does; after a kill, from where it stood."""
    now = timezone.now()
    free = ImportRun.objects.filter(
        pk=pk, status__in=(ImportRun.Status.WAITING, ImportRun.Status.RUNNING)
    ).exclude(lease_until__gt=now)
    if not free.update(lease_until=now + LEASE, status=ImportRun.Status.RUNNING):
        return None
    run = ImportRun.objects.select_related("application").get(pk=pk)
    if not run.pieces.exists():
        run.status, run.error = ImportRun.Status.FAILED, "The command was stopped. Run it again."
        run.finished_at, run.lease_until = timezone.now(), None
        run.save()
        return run
    try:
        run_file(run, io.BufferedReader(_Pieces(run), PIECE))
    except OvertakenError:
        return None
    run.pieces.all().delete()
    return run


def run_file(
    run: ImportRun, source: BinaryIO, progress: Callable[[ImportRun], None] = lambda run: None
) -> ImportRun:
    """Import a file into a run, behind the rows it took before.

    A file that cannot be read as a whole changes nothing and ends the run with the reason.
    Raises OvertakenError when another process has taken the run over.
    """
    run.status, run.started_at = ImportRun.Status.RUNNING, run.started_at or timezone.now()
    run.lease_until = timezone.now() + LEASE  # nobody else takes it for one that was left
    run.save()
    job = _Job(run)
    try:
        examine(source)
        source.seek(0)
        job.read(source, progress)
    except FileFault as fault:
        run.status, run.error = ImportRun.Status.FAILED, str(fault)
    else:
        run.status = ImportRun.Status.DONE
    run.finished_at, ended = timezone.now(), run.lease_until
    job.advance(lease_until=None, held=ended)
    progress(run)
    return run


class OvertakenError(Exception):
    """The lease ran out, and another process goes on with the import."""


class _Job:
    """One import: its columns, and what its file named so far."""

    def __init__(self, run: ImportRun) -> None:
        self.run = run
        self.application = run.application
        self.columns: list[Column] = []
        self.seen: dict[bytes, int] = {}
        self.seen_ids: dict[str, int] = {}
        self.devices: dict[int, int] = {}

    def read(self, source: BinaryIO, progress: Callable[[ImportRun], None]) -> None:
        """All rows, batch by batch; those that the run has taken already are only remembered."""
        taken = self.run.rows
        every = rows(source)
        _, cells = next(every, (1, []))
        self.columns = header(cells)
        self.run.columns = [[c.heading, c.name or "attribute"] for c in self.columns]
        self._check_names()
        known = attributes.types(self.application)
        for line, cells in itertools.islice(every, taken):
            with contextlib.suppress(RowFault):
                self._once(read(self.columns, cells, line, known))
        while batch := list(itertools.islice(every, BATCH)):
            self.take(batch)
            progress(self.run)

    def take(self, batch: list[tuple[int, list[str]]]) -> None:
        """One batch in one transaction, with how far the run is."""
        types = self._types(batch)
        refused: list[Refused] = []
        wanted: list[Wanted] = []
        for line, cells in batch:
            try:
                row = read(self.columns, cells, line, types)
                self._once(row)
                wanted.append(row)
            except RowFault as fault:
                refused.append((line, cells, fault))
        run = self.run
        with transaction.atomic():
            written = self._store(wanted)
            refused += [(row.line, row.cells, fault) for row, fault in written.refused]
            self._refuse(refused)
            run.rows += len(batch)
            run.created += written.created
            run.updated += written.updated
            run.refused += len(refused)
            run.bytes_read += sum(sum(map(len, cells)) + len(cells) for _, cells in batch)
            self.advance(lease_until=timezone.now() + LEASE, held=run.lease_until)
        self.devices |= written.devices

    def advance(self, *, lease_until: datetime | None, held: datetime | None) -> None:
        """Write the run, if it is still ours."""
        run = self.run
        run.lease_until = lease_until
        told = {name: getattr(run, name) for name in _TOLD}
        if not ImportRun.objects.filter(pk=run.pk, lease_until=held).update(**told):
            raise OvertakenError

    def _store(self, wanted: list[Wanted]) -> Written:
        """Write rows; when somebody writes the same at this moment, those rows are refused."""
        try:
            with transaction.atomic():
                return write(self.application, wanted, self.devices)
        except IntegrityError:
            if len(wanted) == 1:
                fault = RowFault("", "Somebody wrote the same just now. Import this row again.")
                return Written(refused=[(wanted[0], fault)])
        half = len(wanted) // 2
        first = self._store(wanted[:half])
        self.devices |= first.devices
        second = self._store(wanted[half:])
        return Written(
            first.created + second.created,
            first.updated + second.updated,
            first.refused + second.refused,
            first.devices | second.devices,
        )

    def _check_names(self) -> None:
        """All its attributes must have room, or nothing of the file is taken."""
        known = attributes.types(self.application)
        new = {c.heading for c in self.columns if not c.name} - set(known)
        if len(known) + len(new) > attributes.MOST_NAMES:
            raise FileFault(
                f"The file has {len(new)} columns that would become new attributes, beside"
                f" {len(known)}; an application has at most {attributes.MOST_NAMES}."
            )

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

    def _refuse(self, refused: list[Refused]) -> None:
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
