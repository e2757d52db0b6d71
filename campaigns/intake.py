"""The SQL of taking messages of other systems in.

Why raw SQL: hundreds of requests a second are written by one web server, each with rows of
four tables.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from django.conf import settings
from django.db import connection

from campaigns import audience, windows
from campaigns.models import Bulk, Chunk
from campaigns.targeting import Rule
from devices.models import Application, Identity, RegistrationQuerySet

ID_IS_UNIQUE_FOR = "48 hours"


class Kind(IntEnum):
    """What a destination is known by; those of people are Identity.Kind."""

    REGISTRATION = 0
    EXTERNAL_ID = Identity.Kind.EXTERNAL_ID.value
    PHONE = Identity.Kind.PHONE.value
    EMAIL = Identity.Kind.EMAIL.value
    RULE = 9


class Wanted(NamedTuple):
    """A single recipient of one application; a registration's value is its public id."""

    application: int
    kind: Kind
    value: str
    primary_only: bool


class Device(NamedTuple):
    key: int
    platform: int


@dataclass(slots=True)
class Numbered:
    """A bulk that is not written yet: what ids of its messages are made of."""

    pk: int
    starts_at: datetime


class Spaced(Protocol):
    """How many devices go into a chunk, and how far apart chunks start."""

    size: int

    @property
    def step(self) -> timedelta: ...


# ------------------------------------------------------------------- ids of callers

_USE = """
INSERT INTO campaigns_usedid (value, used_at) SELECT unnest(%s::text[]), now()
ON CONFLICT (value) DO UPDATE SET used_at = now()
WHERE campaigns_usedid.used_at < now() - %s::interval
RETURNING value
"""


def use(own_ids: set[str]) -> set[str]:
    """Take callers' ids for 48 hours; those that were free."""
    with connection.cursor() as cursor:  # sorted: two requests cannot deadlock
        cursor.execute(_USE, [sorted(own_ids), ID_IS_UNIQUE_FOR])
        return {value for (value,) in cursor.fetchall()}


# ------------------------------------------------------------------- looking up

_RESOLVE = """
SELECT x.n, r.id, r.platform
FROM unnest(%s::int[], %s::int8[], %s::uuid[], %s::bool[]) x (n, application, id, primary_only)
JOIN devices_address a ON a.public_id = x.id
JOIN devices_registration r ON r.id = a.registration_id AND r.application_id = x.application
WHERE r.primary OR NOT x.primary_only
UNION ALL
SELECT x.n, r.id, r.platform
FROM unnest(%s::int[], %s::int8[], %s::int2[], %s::text[], %s::bool[])
     x (n, application, kind, value, primary_only)
JOIN devices_identity i ON i.kind = x.kind AND i.value = x.value
JOIN devices_registration r ON r.person_id = i.person_id AND r.application_id = x.application
WHERE r.primary OR NOT x.primary_only
ORDER BY 1, 2
"""


def resolve(wanted: Sequence[Wanted]) -> list[list[Device]]:
    """The devices of each recipient, enabled or not; of a person all, or the primary one."""
    found: list[list[Device]] = [[] for _ in wanted]
    numbered = [(number, each) for number, each in enumerate(wanted) if each.value]
    if not numbered:
        return found
    devices = [(n, each) for n, each in numbered if each.kind is Kind.REGISTRATION]
    people = [(n, each) for n, each in numbered if each.kind is not Kind.REGISTRATION]
    with connection.cursor() as cursor:
        cursor.execute(
            _RESOLVE,
            [
                [n for n, _ in devices],
                [each.application for _, each in devices],
                [each.value for _, each in devices],
                [each.primary_only for _, each in devices],
                [n for n, _ in people],
                [each.application for _, each in people],
                [int(each.kind) for _, each in people],
                [each.value for _, each in people],
                [each.primary_only for _, each in people],
            ],
        )
        for number, key, platform in cursor.fetchall():
            found[number].append(Device(key, platform))
    return found


def anybody(application: Application, rule: Rule, primary_only: bool) -> bool:
    """Whether a rule fits a device of an application, enabled or not."""
    return _matching(application, rule, primary_only).exists()


def count(application: Application, rule: Rule, primary_only: bool) -> int:
    """How many devices a rule fits, enabled or not."""
    return _matching(application, rule, primary_only).count()


def _matching(application: Application, rule: Rule, primary_only: bool) -> RegistrationQuerySet:
    devices = audience.matching(application, rule)
    return devices.filter(primary=True) if primary_only else devices


_FREEZE = """
WITH matched AS MATERIALIZED ({matched}),
numbered AS (
    SELECT id, platform, (row_number() OVER (ORDER BY platform, id) - 1) / %s AS part FROM matched
),
written AS (
    INSERT INTO campaigns_chunk (bulk_id, platform, reason, status, not_before, size, recipients,
                                 fence, cursor, variant, attempt, urgent, held, repeated)
    SELECT %s, platform, 0, 0, least(%s + part * %s::interval, %s), count(*),
           array_agg(id ORDER BY id),
           0, 0, 0, 0, (SELECT count(*) FROM matched) <= %s, false, false
    FROM numbered
    GROUP BY part, platform
    ORDER BY part, platform
    RETURNING size
)
SELECT coalesce(sum(size), 0) FROM written
"""


def freeze_rule(bulk: Bulk, spaced: Spaced) -> int:
    """Write the chunks of a rule; a large audience does not go before others' single sends."""
    devices = _matching(bulk.application, bulk.rule, bulk.primary_only)
    sql, parameters = devices.values_list("id", "platform").query.sql_with_params()
    end = bulk.starts_at + timedelta(seconds=bulk.ttl)
    with connection.cursor() as cursor:
        cursor.execute(
            _FREEZE.format(matched=sql),
            [
                *parameters, spaced.size, bulk.pk, bulk.starts_at,
                f"{spaced.step.total_seconds()} seconds", end, settings.CHUNK_SIZE,
            ],
        )  # fmt: skip
        (count,) = cursor.fetchone()
    if bulk.window:
        chunks = list(Chunk.objects.filter(bulk=bulk).order_by("not_before", "pk"))
        times = windows.fitted((chunk.not_before for chunk in chunks), bulk.window, end)
        for chunk, opens in zip(chunks, times, strict=True):
            chunk.not_before = opens
        Chunk.objects.bulk_update(chunks, ["not_before"], batch_size=1000)
    return int(count)


# ------------------------------------------------------------------- writing


class Numbers:
    """Keys of rows before they are written."""

    def __init__(self, messages: int) -> None:
        self._submissions: list[int] = []
        self._bulks: list[int] = []
        self._fetch(messages)

    def _fetch(self, count: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT nextval('campaigns_submission_id_seq'), nextval('campaigns_bulk_id_seq')"
                " FROM generate_series(1, %s)",
                [count],
            )
            for submission, bulk in reversed(cursor.fetchall()):
                self._submissions.append(submission)
                self._bulks.append(bulk)

    def submission(self) -> int:
        return self._submissions.pop()

    def bulk(self) -> int:
        if not self._bulks:
            self._fetch(50)
        return self._bulks.pop()


@dataclass(slots=True)
class Rows:
    """What one statement writes, by table."""

    submissions: list[dict[str, Any]] = field(default_factory=list)
    bulks: list[dict[str, Any]] = field(default_factory=list)
    destinations: list[dict[str, Any]] = field(default_factory=list)
    chunks: list[dict[str, Any]] = field(default_factory=list)


def chunk_row(
    bulk: int, recipients: list[int], platform: int, not_before: datetime
) -> dict[str, Any]:
    return {
        "bulk_id": bulk,
        "recipients": recipients,
        "size": len(recipients),
        "platform": platform,
        "not_before": not_before,
    }


_SUBMISSIONS = """
INSERT INTO campaigns_submission (id, bulk_id, application_id, sender, content, callback_data,
    reference, entity_id, platform_application_id, webhook, created_at)
SELECT x.*, now()
FROM json_to_recordset(%s::json) AS x (id int8, bulk_id text, application_id int8, sender text,
    content jsonb, callback_data text, reference text, entity_id text,
    platform_application_id text, webhook jsonb)
"""
_BULKS = """
INSERT INTO campaigns_bulk (id, bulk_id, application_id, status, content, rule, primary_only, ttl,
    pace, "window", starts_at, expires_at, audience, frozen_at, origin, tells, step, status_reason,
    repeat_policy, left_out, created_at)
SELECT x.*, 0, '', 'when_refused', 0, now()
FROM json_to_recordset(%s::json) AS x (id int8, bulk_id text, application_id int8, status text,
    content jsonb, rule jsonb, primary_only bool, ttl int4, pace float8, "window" jsonb,
    starts_at timestamptz, expires_at timestamptz, audience int8, frozen_at timestamptz,
    origin text, tells int2)
"""
_DESTINATIONS = """
INSERT INTO campaigns_destination (submission_id, bulk_id, public_id, "to", asked, rejection,
    devices, registration_id, message_from, message_to, starts_at, created_at)
SELECT x.*, now()
FROM json_to_recordset(%s::json) AS x (submission_id int8, bulk_id int8, public_id text,
    "to" text, asked jsonb, rejection int2, devices int4, registration_id int8,
    message_from uuid, message_to uuid, starts_at timestamptz)
"""
_CHUNKS = """
INSERT INTO campaigns_chunk (bulk_id, recipients, size, platform, not_before, reason, status,
    fence, cursor, variant, attempt, urgent, held, repeated)
SELECT x.*, 0, 0, 0, 0, 0, 0, true, false, false
FROM json_to_recordset(%s::json) AS x (bulk_id int8, recipients int8[], size int2,
    platform int2, not_before timestamptz)
"""


def write(rows: Rows) -> None:
    """Write rows of several tables by one statement: all of them, or none."""
    parts = [
        (statement, given)
        for statement, given in (
            (_SUBMISSIONS, rows.submissions),
            (_BULKS, rows.bulks),
            (_DESTINATIONS, rows.destinations),
            (_CHUNKS, rows.chunks),
        )
        if given
    ]
    if not parts:
        return
    *first, (last, _) = parts
    named = ", ".join(f"w{number} AS ({sql})" for number, (sql, _) in enumerate(first))
    statement = f"WITH {named} {last}" if first else last
    with connection.cursor() as cursor:
        cursor.execute(statement, [_json(given) for _, given in parts])


def _json(given: Iterable[dict[str, Any]]) -> str:
    return json.dumps(list(given), default=_text, ensure_ascii=False, separators=(",", ":"))


def _text(value: object) -> str:
    assert isinstance(value, datetime | UUID)
    return value.isoformat() if isinstance(value, datetime) else str(value)
