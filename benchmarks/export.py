"""Devices and people as CSV: rows a second out of the database, and the memory that takes.

`python3 manage.py bench export [--devices N] [--rounds N]`. In one process, as the web server
streams it. The baseline, in the same run: the same file of devices row by row with the ORM and
Python's csv module.
"""

import argparse
import csv
import resource
import time
from collections.abc import Callable, Iterable
from statistics import median

import django

django.setup()

from django.db import connection  # noqa: E402

from benchmarks.campaign import make_devices  # noqa: E402
from benchmarks.results import Row, Table, report  # noqa: E402
from devices import exporting  # noqa: E402
from devices.csv_refusals import harmless  # noqa: E402
from devices.models import Application, AttributeDefinition, Registration  # noqa: E402

# Every device has a person with an external id, a phone and an e-mail address.
PEOPLE = """
WITH made AS (
    INSERT INTO devices_person (first_name, last_name, middle_name, gender, kind, tags, attributes,
                                created_at, changed_at)
    SELECT 'Anna', 'Example ' || n, '', '', 'CUSTOMER', '{vip,news}', '{"points": 7}', now(), now()
    FROM generate_series(1, %(count)s) n
    RETURNING id
),
known AS (
    INSERT INTO devices_identity (kind, value, person_id)
    SELECT k, CASE k WHEN 1 THEN 'p' || id WHEN 2 THEN (410000000000 + id)::text
                     ELSE 'p' || id || '@example.com' END, id
    FROM made, generate_series(1, 3) k
),
numbered AS (SELECT id, row_number() OVER (ORDER BY id) AS place FROM made),
devices AS (
    SELECT id, row_number() OVER (ORDER BY id) AS place FROM devices_registration
    WHERE application_id = %(application)s
)
UPDATE devices_registration r
SET person_id = n.id, person_tags = '{vip,news}', attributes = '{"club": "Gold", "size": 42}'
FROM devices d JOIN numbered n USING (place)
WHERE r.id = d.id
"""


def make_people(application: Application, count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(PEOPLE, {"application": application.pk, "count": count})
        cursor.execute("ANALYZE devices_registration, devices_person, devices_identity")
    scope = AttributeDefinition.Scope.DEVICE
    for name in ("club", "size"):
        AttributeDefinition.objects.create(scope=scope, application=application, name=name)


def peak() -> float:
    """MB that this process has ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rate(pieces: Callable[[], Iterable[bytes]], count: int) -> float:
    """Rows a second; sees that each has come."""
    lines, began = 0, time.perf_counter()
    for piece in pieces():
        lines += piece.count(b"\n")
    took = time.perf_counter() - began
    assert lines == count + 1, lines
    return count / took


class _Line:
    def write(self, text: str) -> str:
        return text


def row_by_row(application: Application, count: int) -> Iterable[bytes]:
    """What one would write first: a model instance and a csv row for each device."""
    writer = csv.writer(_Line(), lineterminator="\n")
    yield b"headings\n"
    rows = (
        Registration.objects.filter(application=application)
        .select_related("address", "person")
        .prefetch_related("person__identities")
        .order_by("pk")[:count]
    )
    for device in rows.iterator(chunk_size=2000):
        address, person = device.address, device.person
        assert person is not None
        known = [each.value for each in person.identities.all()]
        cells = [
            address.public_id, device.get_platform_display(), address.environment, *known,
            person.first_name, person.last_name, "|".join(device.person_tags),
            address.app_version, address.os_version, address.sdk_version, device.language,
            device.manufacturer, device.model, address.device_name, device.timezone_offset,
            device.enabled, device.notifications_enabled, device.primary, device.created_at,
            address.last_contact_at, address.closed_reason, *device.attributes.values(),
        ]  # fmt: skip
        yield writer.writerow([harmless(str(cell)) for cell in cells]).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    count, half = options.devices, options.devices // 2
    small, large = make_devices(half), make_devices(count)
    make_people(small, half)
    make_people(large, count)

    def of(application: Application, export: exporting.Export) -> Callable[[], Iterable[bytes]]:
        return lambda: exporting.rows(application, export)

    rate(of(small, exporting.DEVICES), half)
    before = peak()
    devices, halves, people = [], [], []
    for _ in range(options.rounds):
        devices.append(rate(of(large, exporting.DEVICES), count))
        halves.append(rate(of(small, exporting.DEVICES), half))
        people.append(rate(of(large, exporting.PEOPLE), count))
    grown = peak() - before
    few = min(20_000, count)
    peers = [rate(lambda: row_by_row(large, few), few) for _ in range(options.rounds)]
    best, peer = median(devices), median(peers)
    rows = [
        Row("devices", best, "rows/s", floor=20_000),
        Row("people", median(people), "rows/s", floor=20_000),
        Row("more memory for twice the devices, and for people", grown, "MB", ceiling=10),
        Row("time for twice the devices", 2 * median(halves) / best, "x", ceiling=2.2),
        Row("devices row by row with the ORM", peer, "rows/s"),
        Row("devices / row by row with the ORM", best / peer, "x"),
    ]
    how = f"manage.py bench export --devices {count} --rounds {options.rounds}"
    report(Table("export", f"{count:,} devices and as many people as CSV", how, rows))


if __name__ == "__main__":
    main()
