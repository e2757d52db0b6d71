"""A CSV file into devices and people: streamed, in batches, repeatable.

Good rows are kept, bad ones collected with line and reason. The same file twice changes
nothing. Each batch is one transaction, so a stopped import can simply run again.
"""

import contextlib
import io
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO

from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from devices import attributes
from devices.csv_batches import Written, named, write
from devices.csv_files import examine
from devices.csv_rows import Column, FileFault, RowFault, Wanted, header, read
from devices.import_batches import LEASE, Batches, Job, Line, OvertakenError
from devices.models import Application, ImportPiece, ImportRun

log = logging.getLogger(__name__)

PIECE = 2**20  # bytes
MOST_STARTS = 5  # of an upload, without a batch done between them
_WAY_OUT = "Import the rest as a file of its own, and have the log of the workers looked at."


def receive(
    application: Application,
    user: User | None,
    filename: str,
    chunks: Iterable[bytes],
    purpose: ImportRun.Purpose = ImportRun.Purpose.DEVICES,
    *,
    review: bool = False,
) -> ImportRun:
    """Keep an uploaded file in the database until its import ends.

    With `review` it waits for devices/import_reviews.py to start it.
    """
    status = ImportRun.Status.REVIEW if review else ImportRun.Status.WAITING
    with transaction.atomic():
        run = ImportRun.objects.create(
            application=application, started_by=user, filename=filename[:250], purpose=purpose,
            status=status,
        )  # fmt: skip
        size = 0
        for number, chunk in enumerate(chunks):
            ImportPiece.objects.create(run=run, number=number, content=chunk)
            size += len(chunk)
        run.size = size
        run.save(update_fields=["size"])
    return run


class Pieces(io.RawIOBase):
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


def run_upload(pk: int, job: "Callable[[ImportRun], Job] | None" = None) -> ImportRun | None:
    """Import an uploaded file, unless somebody else does; after a kill, from where it stood.

    `job` says what is read from it: devices, unless something else is given.
    One that cannot go on ends with the reason: whatever kills its workers does so a few times.
    """
    now = timezone.now()
    free = ImportRun.objects.filter(
        pk=pk, status__in=(ImportRun.Status.WAITING, ImportRun.Status.RUNNING)
    ).exclude(lease_until__gt=now)
    running = ImportRun.Status.RUNNING
    if not free.update(lease_until=now + LEASE, status=running, starts=F("starts") + 1):
        return None
    run = ImportRun.objects.select_related("application").get(pk=pk)
    if not run.pieces.exists():
        return fail(run, "The command was stopped. Run it again.")
    if run.starts > MOST_STARTS:
        return fail(run, f"{_behind(run)} its worker was stopped {MOST_STARTS} times. {_WAY_OUT}")
    try:
        run_file(run, io.BufferedReader(Pieces(run), PIECE), job=job)
    except OvertakenError:
        return None
    except (OperationalError, InterfaceError):  # the database is away: again when it is back
        raise
    except Exception as fault:  # noqa: BLE001 (whatever it is, it would come again)
        # Without its text and trace, which may name people.
        log.error("import %s stopped: %s", pk, type(fault).__name__)  # noqa: TRY400
        kept = ImportRun.objects.filter(pk=pk).first()  # as its last batch left it
        if kept is None:  # it went with its application
            return None
        return fail(kept, f"{_behind(kept)} something went wrong on our side. {_WAY_OUT}")
    return run


def _behind(run: ImportRun) -> str:
    return f"Behind row {run.rows:,}" if run.rows else "At its first rows"


def fail(run: ImportRun, sentence: str) -> ImportRun:
    """End a run that nobody works on; what it wrote is kept."""
    with transaction.atomic():
        run.status, run.error = ImportRun.Status.FAILED, sentence
        run.finished_at, run.lease_until = timezone.now(), None
        run.save(update_fields=["status", "error", "finished_at", "lease_until"])
        run.pieces.all().delete()
    return run


def run_file(
    run: ImportRun,
    source: BinaryIO,
    progress: Callable[[ImportRun], None] = lambda run: None,
    job: "Callable[[ImportRun], Job] | None" = None,
) -> ImportRun:
    """Import a file into a run, behind the rows it took before.

    A file that cannot be read as a whole changes nothing and ends the run with the reason.
    Raises OvertakenError when another process has taken the run over.
    """
    run.status, run.started_at = ImportRun.Status.RUNNING, run.started_at or timezone.now()
    run.lease_until = timezone.now() + LEASE  # nobody else takes it for one that was left
    run.save()
    reading = (job or _Devices)(run)
    try:
        reading.examine(source)
        source.seek(0)
        reading.read(source, progress)
    except FileFault as fault:
        run.status, run.error = ImportRun.Status.FAILED, str(fault)
    else:
        run.status = ImportRun.Status.CHECKED if run.dry else ImportRun.Status.DONE
    run.finished_at = timezone.now()
    with transaction.atomic():
        reading.advance(lease_until=None)
        reading.end()
    progress(run)
    return run


class _Devices(Batches[Wanted]):
    """Devices and people."""

    def __init__(self, run: ImportRun) -> None:
        super().__init__(run)
        self.scope = self.application
        self.seen: dict[bytes, int] = {}
        self.seen_ids: dict[str, int] = {}

    def examine(self, source: BinaryIO) -> None:
        examine(source, self.run.mapping, self.hold)

    def header(self, cells: list[str]) -> list[Column]:
        return header(cells, self.run.mapping)

    def row(self, cells: list[str], line: int, types: dict[str, attributes.Type]) -> Wanted:
        row = read(self.columns, cells, line, types)
        self._once(row)
        return row

    def write(self, wanted: Sequence[Wanted]) -> Written[Wanted]:
        return write(self.application, wanted, self.devices)

    def remember(self, batch: list[Line]) -> None:
        """The devices that rows named before the run was stopped; refused rows changed none."""
        types = self.types(batch)
        refused = set(
            self.run.refusals.filter(line__gte=batch[0][0], line__lte=batch[-1][0]).values_list(
                "line", flat=True
            )
        )
        wanted: list[Wanted] = []
        for line, cells in batch:
            with contextlib.suppress(RowFault):
                row = self.row(cells, line, types)
                if line not in refused:
                    wanted.append(row)
        self.devices |= named(self.application, wanted)

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
