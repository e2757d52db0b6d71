"""What people do in an app → rows that rules can count.

Apps tell events in calls of many, and phones come in crowds. So intake only appends to a stream,
and a consumer writes thousands with one statement. Without the store, intake writes by itself.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import redis
from django.db import connection, transaction
from django.utils import timezone

from campaigns.store import store
from campaigns.streams import Stream
from devices.models import Event
from devices.personalizing import hold_owners_of_events

log = logging.getLogger(__name__)

STREAM = "stream:events"
LOCK = "events:consumer"
OLDEST = timedelta(days=31)  # an app that was offline for longer tells us nothing of use
AHEAD = timedelta(days=1)  # that a phone's clock may be; what is later happened just now

# A registration's key, and of each of its events the id in 32 hexadecimal digits, the time in
# milliseconds, kind, name and properties as JSON text.
Call = tuple[int, Sequence[Sequence[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event of a device, as its app tells it."""

    kind: Event.Kind
    at: datetime
    name: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)


def take(registration_id: int, told: Iterable[Told]) -> None:
    """Accept events of a device. Telling them again, later or at once, adds none."""
    events = _packed(registration_id, told)
    if not events:
        return
    try:
        store().xadd(STREAM, {"r": json.dumps((registration_id, events))})
    except redis.RedisError:
        log.warning("store is away: events go straight to the database")
        write([(registration_id, events)])


def _packed(registration_id: int, told: Iterable[Told]) -> list[list[Any]]:
    now = timezone.now()
    seen: dict[str, int] = {}
    events = []
    for each in told:
        if each.at < now - OLDEST:
            continue
        at = round((each.at if each.at < now + AHEAD else now).timestamp() * 1000)
        properties = json.dumps(each.properties, sort_keys=True)
        # A session is one by its start: that it has ended is told later.
        what = "" if each.kind == Event.Kind.SESSION else properties
        text = f"{registration_id}\0{each.kind:d}\0{at}\0{each.name}\0{what}"
        # The same twice in one call happened twice.
        times = seen[text] = seen.get(text, 0) + 1
        same = 1 if each.kind == Event.Kind.SESSION else times
        digest = hashlib.blake2b(f"{text}\0{same}".encode(), digest_size=16).hexdigest()
        events.append([digest, at, int(each.kind), each.name, properties])
    return events


# Sorted, so that two writers cannot deadlock. Events of a device that is gone are left out.
_WRITE = """
INSERT INTO devices_event (id, at, application_id, registration_id, person_id, kind, name,
                           properties)
SELECT x.id, x.at, r.application_id, r.id, r.person_id, x.kind, x.name, x.properties::jsonb
FROM unnest(%s::uuid[], %s::timestamptz[], %s::int8[], %s::int2[], %s::text[], %s::text[])
     AS x (id, at, registration_id, kind, name, properties)
JOIN devices_registration r ON r.id = x.registration_id
ORDER BY x.id
ON CONFLICT (id, at) DO UPDATE SET properties = excluded.properties
WHERE devices_event.kind = 1 AND devices_event.properties = '{}' AND excluded.properties <> '{}'
"""


def write(calls: Iterable[Call]) -> int:
    """Write events; how many were told."""
    count = 0
    rows: dict[tuple[str, int], tuple[int, int, str, str]] = {}
    for registration_id, events in calls:
        count += len(events)
        for identifier, at, kind, name, properties in events:
            known = rows.get((identifier, at))
            if known is None or known[3] == "{}":
                rows[identifier, at] = registration_id, kind, name, properties
    if rows:
        with transaction.atomic(), connection.cursor() as cursor:
            hold_owners_of_events()
            cursor.execute(
                _WRITE,
                [
                    [UUID(identifier) for identifier, _ in rows],
                    [datetime.fromtimestamp(at / 1000, UTC) for _, at in rows],
                    *([row[column] for row in rows.values()] for column in range(4)),
                ],
            )
    return count


EVENTS = Stream(STREAM, "events of apps", LOCK, write, waits=False)


def consume(*, seconds: float) -> int:
    """Write what waits in the stream; how many events."""
    return EVENTS.consume(seconds=seconds)
