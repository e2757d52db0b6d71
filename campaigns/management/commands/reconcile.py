"""Prove that the counters say what the rows say."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns import reconciling

FOREVER = float("inf")


class Command(BaseCommand):
    help = (
        "Compare the counters of every campaign with its messages and chunks, and print what"
        " differs. May run while campaigns are being sent, and may be interrupted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="correct the counters")

    def handle(self, *args: Any, repair: bool, **options: Any) -> None:
        run = reconciling.begin()
        differences = reconciling.go_on(run, seconds=FOREVER, repair=repair)
        run.refresh_from_db()
        for difference in differences:
            self.stdout.write(str(difference))
        said = f"{run.bulks:,} {'bulk' if run.bulks == 1 else 'bulks'} compared"
        if run.repaired:
            said += f", {run.repaired:,} corrected"
        if run.wrong:
            hint = (
                "An audience is no counter and stays as it is: look for lost chunks."
                if repair
                else "--repair corrects the counters."
            )
            raise CommandError(f"{said}, {run.wrong:,} differ. {hint}", returncode=1)
        self.stdout.write(f"{said}: every counter equals its rows.")
