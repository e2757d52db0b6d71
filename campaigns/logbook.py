"""What other systems submitted in the last 48 hours, and where it stands (contract/push.md 8).

An entry is a device message, or a destination that has none: rejected, or not sent yet.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from campaigns.handing_out import ranges_of
from campaigns.models import Reason, Rejection

# Ends by which a message is expired, whether a cloud or a clock said so.
EXPIRY = (
    Reason.TOO_LATE,
    Reason.NOT_IN_TIME,
    Reason.NOTIFICATIONS_OFF,
    Reason.NEVER_LEARNED,
)
_EXPIRY = ", ".join(str(reason.value) for reason in EXPIRY)
_NOBODY = Rejection.NOBODY.value


class Phase(Enum):
    """Where an entry stands: conditions on its message, and on a destination without one."""

    ACCEPTED = "false", "d.rejection = 0"
    PENDING = "m.state <= 2", "d.rejection = 0"
    DELIVERED = "m.state BETWEEN 3 AND 5", "false"
    UNDELIVERABLE = f"m.state = 8 AND m.reason NOT IN ({_EXPIRY})", f"d.rejection = {_NOBODY}"
    EXPIRED = f"(m.state = 9 OR m.state = 8 AND m.reason IN ({_EXPIRY}))", "false"
    REJECTED = "false", f"d.rejection NOT IN (0, {_NOBODY})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which entries are wanted; what is empty is any."""

    sender: str = ""
    to: str = ""
    bulk_ids: Sequence[str] = ()
    message_ids: Sequence[str] = ()
    references: Sequence[str] = ()
    entity_id: str = ""
    platform_application_id: str = ""
    phase: Phase | None = None
    since: datetime | None = None  # exclusive
    until: datetime | None = None


class Place(NamedTuple):
    """The last entry of a page."""

    starts_at: datetime
    destination: int
    message_id: UUID | None


@dataclass(frozen=True, slots=True)
class Entry:
    place: Place
    bulk_id: str
    message_id: str  # as the caller knows it
    to: str
    sender: str
    content: dict[str, Any]
    reference: str
    entity_id: str
    platform_application_id: str
    rejection: int
    sent_at: datetime
    done_at: datetime | None
    state: int | None  # None: there is no message
    reason: int
    platform: int
    retried: bool  # a cloud said "not now", and is asked again


_FIND = """
SELECT d.starts_at, d.id, x.id, s.bulk_id,
       CASE WHEN x.id IS NULL OR d.devices = 1 THEN d.public_id ELSE x.id::text END,
       d."to", s.sender, s.content, s.reference, s.entity_id, s.platform_application_id,
       d.rejection, coalesce(x.sent_at, d.starts_at),
       CASE WHEN x.state BETWEEN 3 AND 5 THEN greatest(x.delivered_at, x.sent_at)
            WHEN x.state IS NULL AND d.rejection > 0 THEN d.created_at
            ELSE r.at END,
       x.state, coalesce(x.reason, 0), coalesce(x.platform, 0),
       x.id IS NULL AND EXISTS (
           SELECT FROM campaigns_chunk c
           WHERE c.bulk_id = d.bulk_id AND c.status = 0 AND c.reason = 61
             AND d.registration_id = ANY(c.recipients))
FROM campaigns_destination d
JOIN campaigns_submission s ON s.id = d.submission_id
CROSS JOIN LATERAL (
    (SELECT m.id, m.sent_at, m.delivered_at, m.state, m.reason, m.platform
     FROM campaigns_message m
     WHERE m.id BETWEEN d.message_from AND d.message_to {of_messages}
     ORDER BY m.id DESC LIMIT %(limit)s)
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, NULL
    WHERE NOT EXISTS (
        SELECT FROM campaigns_message m WHERE m.id BETWEEN d.message_from AND d.message_to)
      {of_others}
) x
LEFT JOIN campaigns_report r ON r.message_id = x.id
LEFT JOIN campaigns_bulk b ON b.id = d.bulk_id
WHERE d.starts_at > now() - interval '48 hours' AND coalesce(b.origin, 'api') = 'api'
      {of_destinations}
ORDER BY d.starts_at DESC, d.id DESC, x.id DESC
LIMIT %(limit)s
"""


@dataclass(slots=True)
class _Conditions:
    """On messages, on destinations without one, and on all destinations."""

    messages: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    destinations: list[str] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)

    def sql(self) -> str:
        return _FIND.format(
            of_messages="".join(f" AND {each}" for each in self.messages),
            of_others="".join(f" AND {each}" for each in self.others),
            of_destinations="".join(f" AND {each}" for each in self.destinations),
        )


def find(search: Search, limit: int, after: Place | None = None) -> list[Entry]:
    """Entries, newest first."""
    wanted = _conditions(search)
    if after is not None:
        wanted.destinations.append("(d.starts_at, d.id) <= (%(after)s, %(last)s)")
        wanted.messages.append("(d.id <> %(last)s OR m.id < %(message)s)")
        wanted.others.append("d.id <> %(last)s")
        wanted.given |= {
            "after": after.starts_at,
            "last": after.destination,
            "message": after.message_id or UUID(int=0),
        }
    with connection.cursor() as cursor:
        cursor.execute(wanted.sql(), wanted.given | {"limit": limit})
        return [_entry(row) for row in cursor.fetchall()]


def _conditions(search: Search) -> _Conditions:
    wanted = _Conditions()
    _of_time_and_phase(wanted, search)
    for column, value in (
        ("s.sender", search.sender),
        ("s.entity_id", search.entity_id),
        ("s.platform_application_id", search.platform_application_id),
    ):
        if value:
            wanted.given[f"p{len(wanted.given)}"] = value
            wanted.destinations.append(f"{column} = %({list(wanted.given)[-1]})s")
    for column, values in (("s.bulk_id", search.bulk_ids), ("s.reference", search.references)):
        if values:
            wanted.given[f"p{len(wanted.given)}"] = list(values)
            wanted.destinations.append(f"{column} = ANY(%({list(wanted.given)[-1]})s)")
    if search.references:
        wanted.destinations.append("s.reference <> ''")
    if search.to:
        wanted.given["to"] = search.to
        wanted.destinations.append('left(d."to", 64) = left(%(to)s, 64) AND d."to" = %(to)s')
    if search.message_ids:
        _of_messages(wanted, search.message_ids)
    return wanted


# A message's destination is the nearest before it: ranges of ids never overlap.
_NAMED = """
SELECT id FROM campaigns_destination WHERE public_id = ANY(%(names)s)
UNION
SELECT d.id FROM unnest(%(lows)s::uuid[]) y (low)
CROSS JOIN LATERAL (
    SELECT id, message_to FROM campaigns_destination
    WHERE message_from <= y.low ORDER BY message_from DESC LIMIT 1
) d
WHERE d.message_to >= y.low
"""


def _of_messages(wanted: _Conditions, names: Sequence[str]) -> None:
    """Few destinations, found by index; of them, the messages that are called so."""
    ranges = ranges_of(names)
    wanted.given |= {
        "names": list(names),
        "lows": [low for low, _ in ranges],
        "highs": [high for _, high in ranges],
    }
    with connection.cursor() as cursor:
        cursor.execute(_NAMED, wanted.given)
        wanted.given["destinations"] = [key for (key,) in cursor.fetchall()]
    wanted.destinations.append("d.id = ANY(%(destinations)s)")
    wanted.messages.append(
        "EXISTS (SELECT FROM unnest(%(lows)s::uuid[], %(highs)s::uuid[]) y (low, high)"
        " WHERE m.id BETWEEN y.low AND y.high)"
    )


def _of_time_and_phase(wanted: _Conditions, search: Search) -> None:
    if search.since is not None:
        wanted.given["since"] = search.since
        wanted.messages.append("m.sent_at > %(since)s")
        wanted.others.append("d.starts_at > %(since)s")
    if search.until is not None:
        wanted.given["until"] = search.until
        wanted.destinations.append("d.starts_at < %(until)s")
        wanted.messages.append("m.sent_at < %(until)s")
        wanted.others.append("d.starts_at < %(until)s")
    if search.phase is not None:
        of_message, of_other = search.phase.value
        if search.phase is Phase.REJECTED:
            wanted.destinations.append("d.rejection > 0")  # by index
        wanted.messages.append(f"({of_message})")
        wanted.others.append(of_other)


def _entry(row: tuple[Any, ...]) -> Entry:
    starts_at, destination, message, bulk_id, name, to, sender, content, *rest = row
    place = Place(starts_at, destination, message)
    return Entry(place, bulk_id, name, to, sender, json.loads(content), *rest)
