"""The audit trail as it is searched: newest first, as fast at entry 1,000,000 as at the first.

Pages and files are found by the key of their neighbour, which is the time and the number of an
entry. Each way to search has an index in that order (devices/models/audit.py).
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from devices.csv_refusals import harmless
from devices.models import Application, AuditEntry

PIECE = 2000  # entries of one statement of a file
SEPARATE = 50  # applications that are looked up one by one; more are filtered
OBJECT = re.compile(r"([a-z ]+?)[ #]+([0-9a-f-]+)")  # "campaign 42", "content template 7"
HEADINGS = ("at", "who", "action", "object type", "object id", "object", "application",
            "before", "after", "address")  # fmt: skip
Key = tuple[datetime, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which entries somebody asks for, of those that they may see."""

    applications: Sequence[int] | None  # None: all entries, also those of no application
    who: str = ""
    action: str = ""
    what: str = ""  # beginning of an object's name, or its type and number
    since: date | None = None
    until: date | None = None  # that day included, in UTC

    def condition(self) -> Q:
        found = Q()
        if self.who:
            found &= Q(who=self.who.lower())
        if self.action:
            found &= Q(action=self.action)
        named = OBJECT.fullmatch(self.what)
        if named and (kind := named[1].replace(" ", "")) in kinds():
            found &= Q(object_type=kind, object_id=named[2])
        elif self.what:
            found &= Q(name__startswith=self.what.lower())
        if self.since:
            found &= Q(at__gte=datetime.combine(self.since, time(), UTC))
        if self.until:
            found &= Q(at__lte=datetime.combine(self.until, time.max, UTC))
        return found

    def entries(self, *, limit: int, before: Key | None = None, after: Key | None = None) -> Any:
        """At most so many: the newest before a key, newest first, or the oldest after it."""
        rows = AuditEntry.objects.alias(who=Lower("actor_name"), name=Lower("object_name"))
        rows = rows.filter(self.condition())
        order = ("-at", "-id")
        if before is not None:
            at, pk = before
            rows = rows.filter(Q(at__lt=at) | Q(pk__lt=pk), at__lte=at)
        elif after is not None:
            at, pk = after
            rows = rows.filter(Q(at__gt=at) | Q(pk__gt=pk), at__gte=at)
            order = ("at", "id")
        return self._visible(rows.order_by(*order), order, limit)

    def _visible(
        self, rows: QuerySet[AuditEntry], order: tuple[str, str], limit: int
    ) -> QuerySet[AuditEntry]:
        """Each application by its own index, then merged: none is searched for in the others'."""
        mine = self.applications
        if mine is None:
            return rows[:limit]
        if not 0 < len(mine) <= SEPARATE:
            return rows.filter(application__in=mine)[:limit]
        first, *others = [rows.filter(application=each)[:limit] for each in mine]
        return first.union(*others, all=True).order_by(*order)[:limit] if others else first


@cache
def kinds() -> dict[str, str]:
    """What each type of object is called, such as "content template"."""
    models = [model._meta for model in apps.get_models()]
    return {each.model_name or "": str(each.verbose_name) for each in models}


def actions() -> list[str]:
    """Every action there is, each found by one step in the index."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE known AS ("
            " (SELECT action FROM devices_auditentry ORDER BY action LIMIT 1)"
            " UNION ALL SELECT (SELECT e.action FROM devices_auditentry e"
            " WHERE e.action > known.action ORDER BY e.action LIMIT 1)"
            " FROM known WHERE known.action IS NOT NULL)"
            " SELECT action FROM known WHERE action IS NOT NULL"
        )
        return [action for (action,) in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that changed. None: it was not there."""

    name: str
    before: str | None
    after: str | None


def diff(entry: AuditEntry) -> list[Line]:
    """What differs between before and after, by name; of objects within, each part by its path."""
    before, after = _flat(entry.before), _flat(entry.after)
    names = sorted({*before, *after})
    return [
        Line(name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _flat(state: Any, path: str = "") -> dict[str, str]:
    if isinstance(state, dict):
        parts = {}
        for name, value in state.items():
            parts.update(_flat(value, f"{path}.{name}" if path else str(name)))
        return parts
    return {path: _said(state)} if path or state is not None else {}


def _said(value: Any) -> str:
    if value is None or value in ("", []):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_said(each) for each in value)
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_said(each)}" for name, each in value.items())
    return str(value)


class _Line:
    """What csv.writer writes to, one row at a time."""

    def write(self, text: str) -> str:
        return text


def csv_rows(search: Search, *, newest: Key | None = None) -> Iterator[str]:
    """The file, piece by piece; a slow reader holds no old snapshot of the table."""
    writer = csv.writer(_Line())
    names = dict(Application.objects.values_list("pk", "name"))
    yield "\ufeff"  # spreadsheets then read it as UTF-8
    yield writer.writerow(HEADINGS)
    before = newest
    while True:
        entries = list(search.entries(limit=PIECE, before=before))
        for entry in entries:
            lines = diff(entry)
            cells = (
                entry.at.isoformat(), entry.actor_name, entry.action, entry.object_type,
                entry.object_id, entry.object_name, names.get(entry.application_id or 0, ""),
                "\n".join(f"{line.name}: {line.before}" for line in lines if line.before),
                "\n".join(f"{line.name}: {line.after}" for line in lines if line.after),
                entry.address or "",
            )  # fmt: skip
            yield writer.writerow([harmless(cell) for cell in cells])
        if len(entries) < PIECE:
            return
        before = (entries[-1].at, entries[-1].pk)
