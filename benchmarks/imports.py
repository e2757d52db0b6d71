"""A CSV file into devices and people: new ones, the same again, and every row changed.

The file is the demo's: two devices in five have an owner, with tags and names. The baseline,
in the same run: the same rows by one `update_or_create` for each device, person and identity.
"""

import argparse
import csv
import resource
import tempfile
import time
import uuid
from pathlib import Path
from statistics import median
from typing import NamedTuple

import django

django.setup()

from django.db import transaction  # noqa: E402

from benchmarks.results import Row, Table, report  # noqa: E402
from devices import importing  # noqa: E402
from devices.csv_files import rows  # noqa: E402
from devices.csv_rows import Column, header, read  # noqa: E402
from devices.models import (  # noqa: E402
    Address,
    Application,
    Identity,
    ImportRun,
    Person,
    Registration,
)
from simulator.demo import write_csv  # noqa: E402
from tests.factories import make_application  # noqa: E402

PEER_ROWS = 2_000
CHANGED = {
    "app version": "5.0.0", "language": "nl", "plan": "platinum", "orders": "99",
    "tags": "summer",
}  # fmt: skip


def changed(file: Path) -> Path:
    """The same devices, each with another version, language, attributes, and one tag more."""
    place = file.with_name(f"changed-{file.name}")
    with file.open(newline="") as source, place.open("w", newline="") as out:
        reader = csv.DictReader(source)
        writer = csv.DictWriter(out, reader.fieldnames or [])
        writer.writeheader()
        for row in reader:
            tags = f"{row['tags']}|{CHANGED['tags']}".strip("|") if row["external id"] else ""
            writer.writerow({**row, **CHANGED, "tags": tags})
    return place


class Speed(NamedTuple):
    """Rows a second, and microseconds of processor time in this process for each."""

    rate: float
    here: float = 0.0


def taken(application: Application, file: Path) -> tuple[ImportRun, Speed]:
    """Import a file: the run, and how fast."""
    run = ImportRun(application=application, filename=file.name, size=file.stat().st_size)
    began, here = time.perf_counter(), time.process_time()
    with file.open("rb") as source:
        importing.run_file(run, source)
    took, here = time.perf_counter() - began, time.process_time() - here
    assert run.status == ImportRun.Status.DONE, run.error
    assert not run.refused, run.refusals.first()
    return run, Speed(run.rows / took, 1_000_000 * here / run.rows)


def row_by_row(application: Application, file: Path) -> float:
    """Rows a second of the usual way: the ORM, a few statements for each row."""
    with file.open("rb") as source:
        every = rows(source)
        columns: list[Column] = header(next(every)[1])
        began = time.perf_counter()
        count = 0
        with transaction.atomic():
            for line, cells in every:
                _save(application, columns, line, cells)
                count += 1
        return count / (time.perf_counter() - began)


def _save(application: Application, columns: list[Column], line: int, cells: list[str]) -> None:
    row = read(columns, cells, line, {})
    owner = None
    for kind, value in row.identities:
        known = Identity.objects.select_related("person").filter(kind=kind, value=value).first()
        if known is None:
            owner = owner or Person.objects.create(**row.person)
            Identity.objects.create(kind=kind, value=value, person=owner)
        else:
            owner = known.person
    if owner is not None:
        owner.tags = sorted({*owner.tags, *row.tags})
        owner.save()
    address = Address.objects.filter(application=application, token_digest=row.digest).first()
    said = {
        **row.registration, "platform": row.platform, "person": owner,
        "person_tags": owner.tags if owner else row.tags, "attributes": row.attributes,
    }  # fmt: skip
    device, _ = Registration.objects.update_or_create(
        pk=address.pk if address else None, application=application, defaults=said
    )
    placed = {
        **row.address, "application": application, "public_id": row.public_id,
        "provider": row.provider, "token": row.token, "token_digest": row.digest,
    }  # fmt: skip
    Address.objects.update_or_create(registration=device, defaults=placed)


def measured(folder: Path, count: int, round_: int) -> dict[str, Speed]:
    """The speed of each kind of import, by devices nobody knew before this round."""
    file, small = folder / "devices.csv", folder / "few.csv"
    write_csv(file, count, seed=1000 + round_)
    write_csv(small, PEER_ROWS, seed=2000 + round_)
    application = make_application(name=f"bench {uuid.uuid4()}")
    run, new = taken(application, file)
    assert run.created == run.rows == count
    run, same = taken(application, file)
    assert run.created == run.updated == 0
    run, differing = taken(application, changed(file))
    assert run.updated == count, run.updated
    _forget(application)
    application = make_application(name=f"bench {uuid.uuid4()}")
    found = {"new": new, "same": same, "changed": differing}
    found["new, row by row"] = Speed(row_by_row(application, small))
    found["changed, row by row"] = Speed(row_by_row(application, changed(small)))
    _forget(application)
    return found


def _forget(application: Application) -> None:
    Identity.objects.all().delete()
    application.delete()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for left in Application.objects.filter(name__startswith="bench "):
        _forget(left)  # of a run that was cut off: the same devices and people
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with tempfile.TemporaryDirectory() as place:
        found = [measured(Path(place), options.devices, n) for n in range(options.rounds)]
        halves = [measured(Path(place), options.devices // 2, n) for n in range(options.rounds)]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def middle(name: str, of: list[dict[str, Speed]] = found) -> float:
        return median(each[name].rate for each in of)

    table = []
    for name, title in (("new", "new"), ("same", "the same again"), ("changed", "all changed")):
        here = median(each[name].here for each in found)
        note = f"{here:.0f} µs of processor time a row here, beside the database's"
        what = f"{title}, {options.devices:,} rows"
        table.append(Row(what, middle(name), "rows/s", note, floor=5_000))
    for name in ("new", "changed"):
        peer = middle(f"{name}, row by row")
        table.append(Row(f"{name}, row by row with the ORM", peer, "rows/s"))
        table.append(Row(f"{name} / row by row", middle(name) / peer, "x"))
        growth = 2 * middle(name, halves) / middle(name)
        table.append(Row(f"{name}, time for twice the rows", growth, "x", ceiling=2.2))
    table.append(Row("memory it took", after - before, "MB"))
    how = f"manage.py bench imports --devices {options.devices} --rounds {options.rounds}"
    report(Table("imports", "Import of devices and people from a CSV file", how, table))


if __name__ == "__main__":
    main()
