"""Devices and people as CSV files, as long as it takes and never more than a piece in memory.

PostgreSQL writes the CSV itself. Each piece is a statement of its own, so that a slow reader
holds neither a connection nor an old snapshot of the tables.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from devices import csv_person_rows, csv_rows
from devices.csv_refusals import harmless
from devices.csv_rows import ATTRIBUTE, Sheet
from devices.models import Application, AttributeDefinition

PIECE = 5000  # rows of one statement
MOST_ATTRIBUTES = 400  # columns of custom attributes
BEGINNING = "\ufeff"  # by which spreadsheets know UTF-8

# As devices/csv_refusals.py has it: what a spreadsheet would compute is kept from it.
_FORMULA = r"^'*([=@\t\r]|[+-](?![\d .()/-]*$))"


@dataclass(frozen=True, slots=True)
class Export:
    """A table of one application as a file; `%(application)s` in its SQL is the application's."""

    name: str  # of the file
    scope: AttributeDefinition.Scope
    keys: str  # SELECT of the keys after %(after)s, in their order; {chosen} narrows it
    columns: Sequence[tuple[str, str, bool]]  # heading, SQL, whether somebody else chose the text
    source: str  # FROM, joined so that there is one row for each key
    key: str
    attributes: str  # the jsonb column
    sheet: Sheet  # by which an import reads it


_IDENTITIES = """
LEFT JOIN LATERAL (
    SELECT string_agg(value, '|' ORDER BY id) FILTER (WHERE kind = 1) AS external_id,
           string_agg(value, '|' ORDER BY id) FILTER (WHERE kind = 2) AS phones,
           string_agg(value, '|' ORDER BY id) FILTER (WHERE kind = 3) AS emails,
           (array_agg(value ORDER BY id) FILTER (WHERE kind = 2))[1] AS phone,
           (array_agg(value ORDER BY id) FILTER (WHERE kind = 3))[1] AS email
    FROM devices_identity WHERE person_id = p.id
) i ON true
"""
_TIME = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

# Named like the columns of an import, so that a file can be mended and imported again. Tokens
# stay here: a device is found again by its registration id.
DEVICES = Export(
    name="devices",
    scope=AttributeDefinition.Scope.DEVICE,
    keys="SELECT id FROM devices_registration WHERE application_id = %(application)s"
    " AND id > %(after)s{chosen} ORDER BY id LIMIT %(piece)s",
    columns=(
        ("registration_id", "a.public_id", False),
        (
            "platform",
            (
                "CASE WHEN a.kind = 'harmony' THEN 'HarmonyOS' ELSE"
                " (ARRAY['Android', 'iOS', 'Huawei', 'Web'])[r.platform] END"
            ),
            False,
        ),
        ("environment", "a.environment", False),
        ("external_id", "i.external_id", True),
        ("phone", "i.phone", False),
        ("email", "i.email", True),
        ("first_name", "p.first_name", True),
        ("last_name", "p.last_name", True),
        ("tags", "array_to_string(r.person_tags, '|')", True),
        ("app_version", "a.app_version", True),
        ("os_version", "a.os_version", True),
        ("sdk_version", "a.sdk_version", True),
        ("language", "r.language", True),
        ("manufacturer", "r.manufacturer", True),
        ("model", "r.model", True),
        ("device_name", "a.device_name", True),
        ("application_user_id", "a.application_user_id", True),
        (
            "timezone",
            (
                "'GMT' || CASE WHEN r.timezone_offset < 0 THEN '-' ELSE '+' END"
                " || to_char(make_interval(mins => abs(r.timezone_offset)), 'HH24:MI')"
            ),
            False,
        ),
        ("enabled", "r.enabled::text", False),
        ("notifications_enabled", "r.notifications_enabled::text", False),
        ("primary_device", "r.primary::text", False),
        ("registered_at", _TIME.format("r.created_at"), False),
        ("last_contact_at", _TIME.format("a.last_contact_at"), False),
        ("closed", "a.closed_reason", False),
    ),
    source="devices_registration r JOIN devices_address a ON a.registration_id = r.id"
    " LEFT JOIN devices_person p ON p.id = r.person_id" + _IDENTITIES,
    key="r.id",
    attributes="r.attributes",
    sheet=csv_rows.DEVICES,
)

# Those who have a device of the application: people belong to the whole installation. Who was
# searched for is there in any case, as on the page.
PEOPLE = Export(
    name="people",
    scope=AttributeDefinition.Scope.PERSON,
    keys="SELECT id FROM devices_person p WHERE id > %(after)s AND (%(searched)s OR EXISTS ("
    "SELECT FROM devices_registration r WHERE r.person_id = p.id"
    " AND r.application_id = %(application)s)){chosen} ORDER BY id LIMIT %(piece)s",
    columns=(
        ("person", "p.id", False),
        ("external_id", "i.external_id", True),
        ("phones", "i.phones", False),
        ("emails", "i.emails", True),
        ("first_name", "p.first_name", True),
        ("middle_name", "p.middle_name", True),
        ("last_name", "p.last_name", True),
        ("gender", "p.gender", False),
        ("birthday", "p.birthday", False),
        ("type", "p.kind", False),
        ("tags", "array_to_string(p.tags, '|')", True),
        ("address", "p.address", True),
        ("city", "p.city", True),
        ("country", "p.country", True),
        ("preferred_language", "p.preferred_language", True),
        ("profile_picture", "p.profile_picture", True),
        (
            "devices",
            (
                "(SELECT count(*) FROM devices_registration d WHERE d.person_id = p.id"
                " AND d.application_id = %(application)s)"
            ),
            False,
        ),
        ("created_at", _TIME.format("p.created_at"), False),
        ("changed_at", _TIME.format("p.changed_at"), False),
    ),
    source="devices_person p" + _IDENTITIES,
    key="p.id",
    attributes="p.attributes",
    sheet=csv_person_rows.PEOPLE,
)
EXPORTS = {each.name: each for each in (DEVICES, PEOPLE)}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rows of a table somebody asked for; as it is, all."""

    keys: Sequence[int] | None = None  # what was found by what was typed; None: nothing was
    platform: int | None = None  # of devices, as their states
    enabled: bool | None = None
    notifications_enabled: bool | None = None

    @property
    def sql(self) -> str:
        """Further conditions; names and parameters of ours alone."""
        parts = ["", *(f"{name} = %({name})s" for name in _FILTERS if self._says(name))]
        if self.keys is not None:
            parts.append("id = ANY(%(found)s)")
        return " AND ".join(parts)

    @property
    def values(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in _FILTERS if self._says(name)}
        told["searched"] = self.keys is not None
        return {**told, "found": list(self.keys)} if self.keys is not None else told

    def _says(self, name: str) -> bool:
        return getattr(self, name) is not None


_FILTERS = ("platform", "enabled", "notifications_enabled")
ALL = Chosen()


@dataclass(slots=True)
class _Statement:
    """The COPY of one piece, with its custom attributes as columns."""

    export: Export
    names: Sequence[str]  # of the attributes
    values: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        cells = [_safe(sql) if foreign else sql for _, sql, foreign in self.export.columns]
        for number, name in enumerate(self.names):
            self.values[f"name{number}"] = name
            cells.append(_safe(f"{self.export.attributes} ->> %(name{number})s"))
        self.values["formula"] = _FORMULA
        return (
            f"COPY (SELECT {', '.join(cells)} FROM {self.export.source}"  # noqa: S608
            f" WHERE {self.export.key} = ANY(%(keys)s) ORDER BY {self.export.key})"
            " TO STDOUT (FORMAT csv)"
        )


def _safe(sql: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"CASE WHEN {sql} ~ %(formula)s THEN '''' || ({sql}) ELSE {sql} END"


def rows(application: Application, export: Export, chosen: Chosen = ALL) -> Iterator[bytes]:
    """The file, piece by piece: headings, then what there is when a piece's turn comes."""
    keys_sql = export.keys.format(chosen=chosen.sql)
    names = _attributes(application, export)
    statement = _Statement(export, names)
    copy = str(statement)
    yield _headings(export, names)
    values = {"application": application.pk, "after": 0, "piece": PIECE, **chosen.values}
    while True:
        with connection.cursor() as cursor:
            cursor.execute(keys_sql, values)
            keys = [key for (key,) in cursor.fetchall()]
            if not keys:
                return
            with cursor.copy(copy, {**values, **statement.values, "keys": keys}) as pieces:
                written = b"".join(pieces)
        yield written
        values["after"] = keys[-1]


def _attributes(application: Application, export: Export) -> list[str]:
    owner = application if export.scope == AttributeDefinition.Scope.DEVICE else None
    known = AttributeDefinition.objects.filter(scope=export.scope, application=owner)
    return list(known.order_by("name").values_list("name", flat=True)[:MOST_ATTRIBUTES])


def _headings(export: Export, names: Sequence[str]) -> bytes:
    """One named like a column of ours says that it is an attribute."""
    taken = {heading for heading, _, _ in export.columns}
    told = [
        f"attribute {name}" if name in taken or export.sheet.suggested(name) != ATTRIBUTE else name
        for name in names
    ]
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(
        [*(heading for heading, _, _ in export.columns), *map(harmless, told)]
    )
    return (BEGINNING + line.getvalue()).encode("utf-8", "replace")
