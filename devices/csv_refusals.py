"""Refused rows as a CSV file, to be mended in a spreadsheet and imported again."""

import csv
import re
from collections.abc import Iterator

from devices.models import ImportRun

# What a spreadsheet would compute; behind quotes, so that one can be taken away again.
FORMULA = re.compile(r"'*(?:[=@\t\r]|[+-](?![\d .()/-]*$))")


class _Line:
    """What csv.writer writes to, one row at a time."""

    def write(self, text: str) -> str:
        return text


def refused_rows(run: ImportRun) -> Iterator[str]:
    """The file of refused rows, line by line, beginning with a mark that says UTF-8."""
    writer = csv.writer(_Line())
    headings = [heading for heading, _ in run.columns]
    yield "\ufeff"  # spreadsheets then read it as UTF-8
    yield writer.writerow(["line", "column", "reason", *map(harmless, headings)])
    for refusal in run.refusals.iterator():
        cells = [refusal.line, refusal.column, refusal.reason, *refusal.row]
        yield writer.writerow([harmless(str(cell)) for cell in cells])


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; numbers with a sign stay as they are."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def as_written(cell: str) -> str:
    """What `harmless` was given."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
