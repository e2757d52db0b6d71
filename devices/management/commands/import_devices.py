"""Import devices from a CSV file."""

import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from devices import import_batches, importing
from devices.csv_refusals import refused_rows
from devices.models import Application, ImportRun


class Command(BaseCommand):
    help = "Import devices and people from a CSV file; rows that cannot be read are written apart."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--application", help="name or code; not needed while there is only one"
        )

    def handle(self, *args: Any, file: Path, application: str | None, **options: Any) -> None:
        chosen = self._application(application)
        if not file.is_file():
            raise CommandError(f"There is no file {file}.")
        run = ImportRun(application=chosen, filename=file.name, size=file.stat().st_size)
        began = time.monotonic()
        try:
            with file.open("rb") as source:
                importing.run_file(run, source, progress=self._progress)
        except import_batches.OvertakenError:
            raise CommandError("The import was taken for a stopped one. Run it again.") from None
        took = max(time.monotonic() - began, 0.001)
        self.stderr.write("")
        if run.status == ImportRun.Status.FAILED:
            raise CommandError(run.error)
        same = run.rows - run.created - run.updated - run.refused
        self.stdout.write(
            f"{run.rows:,} rows in {took:.1f} s ({run.rows / took:,.0f} a second):"
            f" {run.created:,} new, {run.updated:,} changed, {same:,} as before,"
            f" {run.refused:,} refused."
        )
        if run.refused:
            place = self._write_refusals(run, file)
            raise CommandError(f"Rows that were refused, with the reason: {place}", returncode=1)

    def _application(self, named: str | None) -> Application:
        found = Application.objects.all()
        if named:
            found = found.filter(Q(code=named) | Q(name=named))
        several = list(found[:2])
        if len(several) != 1:
            names = ", ".join(Application.objects.values_list("name", flat=True)[:20])
            raise CommandError(f"Say which with --application. There are: {names or 'none yet'}.")
        return several[0]

    def _progress(self, run: ImportRun) -> None:
        sys.stderr.write(f"\r· {run.rows:,} rows, {run.refused:,} refused")
        sys.stderr.flush()

    def _write_refusals(self, run: ImportRun, file: Path) -> Path:
        place = file.with_name(f"{file.name}.refused.csv")
        with place.open("w", newline="", encoding="utf-8") as out:
            out.writelines(refused_rows(run))
        return place
