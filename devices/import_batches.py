"""What every import does with its file: under a lease, batch by batch, each in one transaction."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Generic, Protocol, TypeVar

from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone
from psycopg.errors import DeadlockDetected

from devices import attributes, csv_sql
from devices.csv_batches import Written
from devices.csv_files import rows
from devices.csv_rows import Column, FileFault, RowFault, value
from devices.errors import CustomAttributeError
from devices.models import Application, ImportRefusal, ImportRun
from devices.racing import RACES, Raced

BATCH = 2000  # rows in one transaction, and at most about so many characters:
BATCH_SIZE = 4_000_000
MOST_REFUSALS = 100_000  # kept with their cells; beyond that they are only counted
EXACT = 5_000_000  # bytes of a file that a dry run tries as a whole; it holds locks meanwhile
LEASE = timedelta(minutes=2)
LARGE = 10_000  # written devices of which the planner is told at once
Line = tuple[int, list[str]]  # its number, its cells
Refused = tuple[int, list[str], RowFault]
_TOLD = (
    "status", "error", "columns", "rows", "created", "updated", "refused", "bytes_read",
    "lease_until", "starts", "started_at", "finished_at",
)  # fmt: skip


class OvertakenError(Exception):
    """The lease ran out, and another process goes on with the import."""


class Job(ABC):
    """One file: what is read from it, and the lease under which that is done."""

    def __init__(self, run: ImportRun) -> None:
        self.run = run
        self.application = run.application

    @abstractmethod
    def examine(self, source: BinaryIO) -> None:
        """Read ahead, so that a file that cannot be read changes nothing; raises FileFault."""

    @abstractmethod
    def read(self, source: BinaryIO, progress: Callable[[ImportRun], None]) -> None:
        """All rows, batch by batch, behind those that the run has taken already."""

    def end(self) -> None:
        """Nothing is left to do, or nothing can be done: let the file go. A dry run keeps it."""
        if self.run.status != ImportRun.Status.CHECKED:
            self.run.pieces.all().delete()

    def hold(self) -> None:
        """Renew the lease when it is halfway through."""
        assert self.run.lease_until is not None
        if self.run.lease_until - timezone.now() < LEASE / 2:
            self.advance(lease_until=timezone.now() + LEASE)

    def advance(self, *, lease_until: datetime | None) -> None:
        """Write the run, if it is still ours."""
        run = self.run
        held, run.lease_until = run.lease_until, lease_until
        told = {name: getattr(run, name) for name in _TOLD}
        if not ImportRun.objects.filter(pk=run.pk, lease_until=held).update(**told):
            raise OvertakenError

    def refuse(self, refused: list[Refused]) -> None:
        """Keep rows that are left out; call it before the run counts them."""
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


class Row(Protocol):
    """What every kind of row has, when it is read."""

    line: int
    cells: list[str]


R = TypeVar("R", bound=Row)


class Batches(Job, Generic[R]):
    """Rows that are written batch by batch: the columns of their file, and what it named so far."""

    scope: Application | None  # whose attributes the columns are; None: of people

    def __init__(self, run: ImportRun) -> None:
        super().__init__(run)
        self.columns: list[Column] = []
        self.devices: dict[int, int] = {}  # that rows named, with their lines
        self.learned: dict[str, attributes.Type] = {}  # by a dry run, which tells nobody

    @abstractmethod
    def header(self, cells: list[str]) -> list[Column]:
        """What each column becomes; raises FileFault."""

    @abstractmethod
    def row(self, cells: list[str], line: int, types: dict[str, attributes.Type]) -> R:
        """One row; raises RowFault."""

    @abstractmethod
    def write(self, wanted: Sequence[R]) -> Written[R]:
        """Write rows in a transaction. Raises Raced and IntegrityError, when it lost a race."""

    def remember(self, batch: list[Line]) -> None:
        """Take note of rows that the run has taken before it was stopped."""

    def end(self) -> None:
        super().end()
        if self.run.created + self.run.updated >= LARGE and not self.run.dry:
            transaction.on_commit(csv_sql.analyze)

    def read(self, source: BinaryIO, progress: Callable[[ImportRun], None]) -> None:
        """All rows, batch by batch; those that the run has taken already are only remembered."""
        every = rows(source)
        _, cells = next(every, (1, []))
        self.columns = self.header(cells)
        self.run.columns = [[c.heading, c.name or "attribute"] for c in self.columns]
        self._check_names()
        for batch, _ in batches(itertools.islice(every, self.run.rows)):
            self.remember(batch)
            self.hold()
        if self.run.dry and 0 < self.run.size <= EXACT:
            self._try_all(every)
            progress(self.run)
            return
        for batch, size in batches(every):
            self.take(batch, size)
            progress(self.run)

    def take(self, batch: list[Line], size: int) -> None:
        """One batch in one transaction, with how far the run is."""
        wanted, refused = self._wanted(batch)
        with transaction.atomic():
            written = self._store(wanted) if not self.run.dry else self._tried(wanted)
            self._count(batch, size, written, refused)
            self.advance(lease_until=timezone.now() + LEASE)
        self.devices |= written.devices

    def _wanted(self, batch: list[Line]) -> tuple[list[R], list[Refused]]:
        """The rows of a batch that can be read, and the others."""
        types = self.types(batch)
        refused: list[Refused] = []
        wanted: list[R] = []
        for line, cells in batch:
            try:
                wanted.append(self.row(cells, line, types))
            except RowFault as fault:
                refused.append((line, cells, fault))
        return wanted, refused

    def _count(
        self, batch: list[Line], size: int, written: Written[R], refused: list[Refused]
    ) -> None:
        """Add to the run what became of a batch."""
        run = self.run
        refused = [*refused, *((row.line, row.cells, fault) for row, fault in written.refused)]
        self.refuse(refused)
        run.rows += len(batch)
        run.created += written.created
        run.updated += written.updated
        run.refused += len(refused)
        run.bytes_read += size
        run.starts = 0

    def _try_all(self, every: Iterator[Line]) -> None:
        """A dry run of a file that is not large: each batch sees what those before it did."""
        told = []
        with transaction.atomic():
            before = transaction.savepoint()
            for batch, size in batches(every):
                wanted, refused = self._wanted(batch)
                written = self._store(wanted)
                self.devices |= written.devices
                told.append((batch, size, written, refused))
            transaction.savepoint_rollback(before)
            for each in told:
                self._count(*each)
            self.advance(lease_until=timezone.now() + LEASE)

    def _store(self, wanted: list[R]) -> Written[R]:
        """Write rows; when somebody writes the same at this moment, again by halves."""
        for _ in range(RACES if len(wanted) == 1 else 1):
            try:
                with transaction.atomic():
                    return self.write(wanted)
            except (Raced, IntegrityError):
                continue
            except OperationalError as conflict:
                if not isinstance(conflict.__cause__, DeadlockDetected):
                    raise
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

    def _tried(self, wanted: list[R]) -> Written[R]:
        """What writing rows would do; nothing of it stays.

        Batch by batch, so that the dry run of a large file keeps nobody waiting: of two rows far
        apart that are about one person, each is told as if the other had not been. Its page says
        so.
        """
        before = transaction.savepoint()
        written = self._store(wanted)
        transaction.savepoint_rollback(before)
        return written

    def _check_names(self) -> None:
        """All its attributes must have room, or nothing of the file is taken."""
        known = attributes.types(self.scope)
        new = {c.heading for c in self.columns if not c.name} - set(known)
        if len(known) + len(new) > attributes.MOST_NAMES:
            raise FileFault(
                f"The file has {len(new)} columns that would become new attributes, beside"
                f" {len(known)}; an application has at most {attributes.MOST_NAMES}."
            )

    def types(self, batch: list[Line]) -> dict[str, attributes.Type]:
        """Types of the custom attributes; new ones are learned from their first value."""
        known = {**attributes.types(self.scope), **self.learned}
        new: dict[str, Any] = {}
        for number, column in enumerate(self.columns):
            if not column.name and column.heading not in known:
                cells = (cells[number].strip() for _, cells in batch if len(cells) > number)
                first = next(filter(_can_be_kept, cells), "")
                if first:
                    new[column.heading] = value(column.heading, first, {})
        if new and self.run.dry:
            self.learned |= {name: attributes.type_of(name, kept) for name, kept in new.items()}
        elif new:
            try:
                attributes.check(self.scope, new)
            except CustomAttributeError as fault:
                raise FileFault(f"The column {fault}.") from None
            known = attributes.types(self.scope)
        return {**known, **self.learned}


def batches(every: Iterable[Line]) -> Iterator[tuple[list[Line], int]]:
    """Rows that are written together, and how many characters they have."""
    batch: list[Line] = []
    size = 0
    for line, cells in every:
        batch.append((line, cells))
        size += sum(map(len, cells)) + len(cells)
        if len(batch) >= BATCH or size >= BATCH_SIZE:
            yield batch, size
            batch, size = [], 0
    if batch:
        yield batch, size


def _can_be_kept(cell: str) -> bool:
    return 0 < len(cell) <= attributes.TEXT_LENGTH and "\0" not in cell
