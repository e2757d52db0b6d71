"""A CSV file → rows of cells; what keeps it from being read, and the fix."""

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from devices.csv_refusals import as_written
from devices.csv_rows import DEVICES, FileFault, Sheet, header

LONGEST_LINE = 1_000_000  # characters
_STRAY = re.compile("[\udc80-\udcff]")  # octets that are no UTF-8, as surrogateescape hands them on


def lines(source: BinaryIO) -> Iterator[str]:
    """Lines of a UTF-8 file, none longer than can be held; raises FileFault."""
    text = io.TextIOWrapper(source, "utf-8-sig", errors="surrogateescape", newline="")
    number = 0
    try:
        while line := text.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE:
                raise FileFault(
                    f"Line {number} has more than {LONGEST_LINE:,} characters. Is this a CSV file"
                    " with one row a line?"
                )
            if not line.isascii() and _STRAY.search(line):
                raise FileFault(
                    f"Line {number} is not UTF-8. Save the file as “CSV UTF-8” and import it again."
                )
            yield line
    finally:
        if not source.closed:
            text.detach()  # or it would close the file with itself


def rows(source: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """Cells of each line with its number, the header first; raises FileFault.

    Spreadsheets of many countries write semicolons: what parts the header's cells counts.
    """
    text = lines(source)
    first = next(text, "")
    began, held = 1, 0

    def counted() -> Iterator[str]:
        """Lines, as long as those of one row can be held: quoted cells may have many."""
        nonlocal held
        for line in itertools.chain([first], text):
            held += len(line)
            if held > LONGEST_LINE:
                raise FileFault(
                    f"The row that begins in line {began} has more than {LONGEST_LINE:,}"
                    " characters. Is a quotation mark not closed?"
                )
            yield line

    reader = csv.reader(counted(), delimiter=max(",;\t", key=first.count))
    try:
        for cells in reader:
            began, held = reader.line_num + 1, 0
            if cells:
                yield (
                    reader.line_num,
                    [as_written(cell) if cell[:1] == "'" else cell for cell in cells],
                )
    except csv.Error as fault:
        raise FileFault(
            f"Line {began} cannot be read as CSV: {fault}. Is a quotation mark not closed?"
        ) from None


def examine(
    source: BinaryIO, mapping: Sequence[str], alive: Callable[[], None], sheet: Sheet = DEVICES
) -> None:
    """Read a whole file ahead, so that one that cannot be read changes nothing; FileFault.

    `alive` is called every now and then: a large file takes its time.
    """
    every = rows(source)
    _, cells = next(every, (1, []))
    header(cells, mapping, sheet)
    for number, _ in enumerate(every):
        if number % 1000 == 0:
            alive()
