"""Indexes on custom attributes: built and dropped while phones and senders go on.

What is wanted stands in the definitions, what exists in the database's catalogue; `fit` makes
the second like the first. It may be killed at any moment, and started twice.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from django.contrib.auth.models import User
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.http import HttpRequest
from psycopg import sql

from devices import audit
from devices.errors import DeviceError
from devices.models import Application, AttributeDefinition, Person, Registration

log = logging.getLogger(__name__)

Type = AttributeDefinition.Type
Scope = AttributeDefinition.Scope

MOST = 20  # indexed attributes of an application, and of people: each slows every write a little
PREFIX = "attribute_value_"
LOCK = 0x61747472  # of advisory locks, "attr": one build at a time
SHORT = "53"  # class of SQLSTATE: no room on disk or in memory
ISO_DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"  # what of an attribute's texts counts as a day
LEADING = 32  # characters of a text that its index holds: a long one would fit no index at all

# The conditions are those of campaigns/targeting, to the letter: what is indexed is only what
# they let through, so that a value of another type neither fails to be kept nor takes room.
_KIND = "jsonb_typeof(attributes -> {name})"
VALUES = {
    Type.NUMBER: ("attributes -> {name}", f"{_KIND} = 'number'"),
    Type.DATE: ("attributes -> {name}", "(attributes ->> {name}) ~ {day}"),
    Type.TEXT: (f"left(attributes ->> {{name}}, {LEADING})", f"{_KIND} = 'string'"),
}
OPERATORS = {Type.TEXT: "text_pattern_ops"}  # where those of the value's type do not answer
HELPS = {  # what an index answers; equality of any value has one always
    Type.NUMBER: "more than, less than, between",
    Type.DATE: "before, after, in the last days",
    Type.TEXT: "starts with",
}
EXISTING = """
SELECT c.relname, i.indisvalid
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY(%s::regclass[]) AND starts_with(c.relname, %s)
"""
BUILDING = """
SELECT c.relname, p.phase, p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total
FROM pg_stat_progress_create_index p JOIN pg_class c ON c.oid = p.index_relid
WHERE p.datname = current_database() AND starts_with(c.relname, %s)
"""
# How far a build is when each of its parts begins, and how much of it that part is. The parts
# are those of PostgreSQL's manual, "CREATE INDEX Progress Reporting".
PARTS = (
    ("waiting for writers before build", 0.0, 0.0, "waiting for writers"),
    ("building index: scanning table", 0.0, 0.4, "reading the table"),
    ("building index: sorting live tuples", 0.4, 0.05, "sorting"),
    ("building index: loading tuples in tree", 0.45, 0.15, "writing the index"),
    ("waiting for writers before validation", 0.6, 0.0, "waiting for writers"),
    ("index validation: scanning index", 0.6, 0.05, "checking the index"),
    ("index validation: sorting tuples", 0.65, 0.05, "checking the index"),
    ("index validation: scanning table", 0.7, 0.25, "checking the table"),
    ("waiting for old snapshots", 0.95, 0.0, "waiting for older transactions"),
)


class IndexRefusedError(DeviceError):
    """An attribute that cannot have an index, or one index too many."""


class State(StrEnum):
    NONE = "none"
    WAITING = "waiting"  # wanted, and nobody builds it yet
    BUILDING = "building"
    READY = "ready"
    DROPPING = "dropping"  # not wanted, and still there


@dataclass(frozen=True, slots=True)
class Condition:
    """How far the index of an attribute is."""

    state: State
    share: float = 0.0  # of the build
    doing: str = ""

    @property
    def settled(self) -> bool:
        return self.state in (State.NONE, State.READY)


def name_of(definition: AttributeDefinition) -> str:
    return f"{PREFIX}{definition.pk}"


def may_have_one(definition: AttributeDefinition) -> bool:
    return definition.type in VALUES


def switch(
    definition: AttributeDefinition,
    user: User,
    *,
    indexed: bool,
    application: Application,
    request: HttpRequest | None = None,
) -> bool:
    """Say whether an attribute is to have an index; False if that was said already.

    Queue the task behind it. Raises IndexRefusedError.
    """
    with transaction.atomic():
        owners = AttributeDefinition.objects.select_for_update().filter(
            scope=definition.scope, application=definition.application_id
        )
        stored = owners.filter(pk=definition.pk).first()
        if stored is None or (stored.indexed == indexed and not stored.index_fault):
            return False
        if indexed and not may_have_one(stored):
            raise IndexRefusedError("Only numbers, dates and texts can have an index of their own.")
        if indexed and owners.filter(indexed=True).exclude(pk=stored.pk).count() >= MOST:
            raise IndexRefusedError(
                f"At most {MOST} attributes are indexed: each slows every write. Drop one first."
            )
        before, stored.indexed, stored.index_fault = stored.indexed, indexed, ""
        stored.save(update_fields=["indexed", "index_fault"])
        audit.record(
            user,
            "index attribute" if indexed else "unindex attribute",
            stored,
            before={"indexed": before},
            after={"indexed": indexed},
            application=application,
            request=request,
        )
    return True


def conditions(definitions: Iterable[AttributeDefinition]) -> dict[int, Condition]:
    """How far each of them is, in two statements."""
    there, building = _existing(), _building()
    found = {}
    for definition in definitions:
        name = name_of(definition)
        if not definition.indexed or definition.index_fault:
            state = State.DROPPING if name in there and definition.indexed is False else State.NONE
            found[definition.pk] = Condition(state)
        elif name in building:
            found[definition.pk] = Condition(State.BUILDING, *building[name])
        else:
            found[definition.pk] = Condition(State.READY if there.get(name) else State.WAITING)
    return found


def _existing() -> dict[str, bool]:
    """The indexes that there are, each with whether it is whole."""
    tables = [Registration._meta.db_table, Person._meta.db_table]
    with connection.cursor() as cursor:
        cursor.execute(EXISTING, [tables, PREFIX])
        return dict(cursor.fetchall())


def _building() -> dict[str, tuple[float, str]]:
    with connection.cursor() as cursor:
        cursor.execute(BUILDING, [PREFIX])
        return {name: progress(*row) for name, *row in cursor.fetchall()}


def progress(
    phase: str, blocks: int, all_blocks: int, tuples: int, all_tuples: int
) -> tuple[float, str]:
    """How far a build is, of 1, and what it does, from PostgreSQL's own report."""
    for part, begins, width, doing in PARTS:
        if phase == part:
            done, whole = (blocks, all_blocks) if all_blocks else (tuples, all_tuples)
            return begins + width * min(1.0, done / whole if whole else 0.0), doing
    return 0.0, "beginning"


def fit() -> int:
    """Drop what is broken or not wanted, build what is missing; return how many were changed.

    Of two at once the second does nothing. Must not run in a transaction. What cannot be
    built is noted in its definition, and waits until somebody says it again.
    """
    changed = 0
    with _alone() as alone:
        while alone and (work := _next()) is not None:
            name, definition = work
            if definition is None:
                _drop(name)
            else:
                _build(name, definition)
            changed += 1
    return changed


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else builds; a lock of this connection, which ends with it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        (taken,) = cursor.fetchone() or (False,)
    try:
        yield bool(taken)
    finally:
        if taken:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _next() -> tuple[str, AttributeDefinition | None] | None:
    """What is to be dropped (None) or built next."""
    wanted = {
        name_of(definition): definition
        for definition in AttributeDefinition.objects.filter(
            indexed=True, index_fault="", type__in=VALUES
        )
    }
    there = _existing()
    for name, whole in there.items():
        if not whole or name not in wanted:  # a build that was stopped leaves a broken one
            return name, None
    missing = min(set(wanted) - set(there), default=None)
    return None if missing is None else (missing, wanted[missing])


def statement(definition: AttributeDefinition) -> sql.Composed:
    """The CREATE INDEX of an attribute; its name is a quoted value, whatever it holds."""
    value, condition = VALUES[Type(definition.type)]
    parts = [_about(condition, definition)]
    if definition.application_id is not None:
        parts.append(sql.SQL("application_id = {}").format(sql.Literal(definition.application_id)))
    return sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} (({}) {}) WHERE {}").format(
        sql.Identifier(name_of(definition)),
        sql.Identifier(_table(definition)),
        _about(value, definition),
        sql.SQL(OPERATORS.get(Type(definition.type), "")),
        sql.SQL(" AND ").join(parts),
    )


def statistics(definition: AttributeDefinition) -> sql.Composed:
    """What makes the planner know how many devices have such a value.

    Without it, it takes 1 of 200 for the condition of the index, which all its values meet, and
    fetches a million devices one by one that it would have found sooner by reading the table.
    """
    value, _ = VALUES[Type(definition.type)]
    return sql.SQL("CREATE STATISTICS IF NOT EXISTS {} (mcv) ON ({}), ({}) FROM {}").format(
        sql.Identifier(name_of(definition)),
        _about(value, definition),
        _about(_KIND, definition),
        sql.Identifier(_table(definition)),
    )


def _about(expression: str, definition: AttributeDefinition) -> sql.Composed:
    names = {"name": sql.Literal(definition.name), "day": sql.Literal(ISO_DAY)}
    return sql.SQL(expression).format(**names)


def _table(definition: AttributeDefinition) -> str:
    model = Registration if definition.scope == Scope.DEVICE else Person
    return model._meta.db_table


def _build(name: str, definition: AttributeDefinition) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_text(statistics(definition)))
            cursor.execute(_text(statement(definition)))
            cursor.execute(f"ANALYZE {_table(definition)}")  # the planner knows its values now
    except (DatabaseError, InterfaceError) as fault:
        cause = fault.__cause__
        short = (getattr(cause, "sqlstate", None) or "").startswith(SHORT)
        if not short and isinstance(fault, OperationalError | InterfaceError):
            raise  # stopped, or the database is away: the timetable tries again
        log.error("index %s cannot be built: %s", name, type(cause).__name__)  # noqa: TRY400
        _drop(name)
        AttributeDefinition.objects.filter(pk=definition.pk).update(
            index_fault=type(cause).__name__[:100]
        )


def _drop(name: str) -> None:
    with connection.cursor() as cursor:
        for kind in ("INDEX CONCURRENTLY", "STATISTICS"):
            drop = sql.SQL(f"DROP {kind} IF EXISTS {{}}").format(sql.Identifier(name))
            cursor.execute(_text(drop))


def _text(composed: sql.Composed) -> str:
    connection.ensure_connection()
    return composed.as_string(connection.connection)
