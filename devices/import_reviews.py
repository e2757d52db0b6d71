"""An upload that somebody looks at before it is imported: its beginning, its mapping, a dry run."""

import io
import itertools
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from devices.csv_files import rows
from devices.csv_rows import header
from devices.importing import PIECE, Pieces, fail
from devices.importing_people import SHEETS
from devices.models import ImportRun

LONGEST = timedelta(days=7)  # that a file waits for somebody to start it
_WAITING = (ImportRun.Status.REVIEW, ImportRun.Status.CHECKED)


def beginning(run: ImportRun, most: int) -> list[list[str]]:
    """The header of an uploaded file and its first rows; raises FileFault."""
    every = rows(io.BufferedReader(Pieces(run), PIECE))
    return [cells for _, cells in itertools.islice(every, most + 1)]


def start(run: ImportRun, mapping: Sequence[str], *, dry: bool) -> bool:
    """Have an uploaded file checked or imported from its first row; False: somebody has.

    Raises FileFault for a mapping that makes nothing.
    """
    header(next(iter(beginning(run, 0)), []), mapping, SHEETS[run.purpose])
    with transaction.atomic():
        started = ImportRun.objects.filter(pk=run.pk, status__in=_WAITING).update(
            status=ImportRun.Status.WAITING, mapping=list(mapping), dry=dry, error="",
            rows=0, created=0, updated=0, refused=0, bytes_read=0, starts=0,
            started_at=None, finished_at=None,
        )  # fmt: skip
        if started:
            run.refusals.all().delete()
    return bool(started)


def give_up() -> int:
    """End uploads that nobody started: what they say of people is not kept without need."""
    old = ImportRun.objects.filter(status__in=_WAITING, created_at__lt=timezone.now() - LONGEST)
    for run in old:
        fail(run, "Nobody started it within a week. Upload the file again.")
    return len(old)
