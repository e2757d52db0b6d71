"""A CSV file of people, whether or not they have a device: batch by batch.

People are known by what stands in the row (contract/people.md 5.1): identities and tags are
added, all else takes the place of what was known. The same file twice changes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import BinaryIO

from devices import attributes, importing
from devices.csv_batches import Written
from devices.csv_files import examine
from devices.csv_people import People
from devices.csv_person_rows import PEOPLE, WantedPerson, read_person
from devices.csv_rows import DEVICES, Column, RowFault, Sheet, header
from devices.import_batches import Batches
from devices.models import Application, ImportRun

Purpose = ImportRun.Purpose
SHEETS: Mapping[str, Sheet] = {Purpose.DEVICES: DEVICES, Purpose.PEOPLE: PEOPLE}


def run_upload(pk: int) -> ImportRun | None:
    """Import an uploaded file of devices or of people, unless somebody else does."""
    people = ImportRun.objects.filter(pk=pk, purpose=Purpose.PEOPLE).exists()
    return importing.run_upload(pk, PeopleFile if people else None)


class PeopleFile(Batches[WantedPerson]):
    """People and by what they are known."""

    scope: Application | None = None

    def examine(self, source: BinaryIO) -> None:
        examine(source, self.run.mapping, self.hold, PEOPLE)

    def header(self, cells: list[str]) -> list[Column]:
        return header(cells, self.run.mapping, PEOPLE)

    def row(self, cells: list[str], line: int, types: dict[str, attributes.Type]) -> WantedPerson:
        return read_person(self.columns, cells, line, types)

    def write(self, wanted: Sequence[WantedPerson]) -> Written[WantedPerson]:
        """Write rows, each seeing what those before it did. Must run in a transaction."""
        people = People(wanted, ())
        written: Written[WantedPerson] = Written()
        for row in wanted:
            try:
                people.put(row)
            except RowFault as fault:
                written.refused.append((row, fault))
        people.write()
        people.settle()
        written.created, written.updated = people.made, people.changed
        return written
