"""Reports of what other systems submitted: each is handed out once (contract/push.md 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from campaigns.models import Bulk, Destination, Report, UsedId

KEPT = timedelta(hours=48)
DELETED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Told:
    """What a message has come to, for whoever submitted it."""

    bulk_id: str
    message_id: str  # as the caller knows it
    registration_id: UUID | None
    to: str
    sender: str
    sent_at: datetime
    done_at: datetime
    state: int
    reason: int
    platform: int
    callback_data: str
    reference: str
    entity_id: str
    platform_application_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which reports are wanted; "" is any."""

    bulk_id: str = ""
    message_id: str = ""
    reference: str = ""
    entity_id: str = ""
    platform_application_id: str = ""


# The destination of a message is the nearest before it: ranges of ids never overlap. A device may
# say that it has a message before the cloud's answer is noted: done is never before sent.
_TAKE = """
WITH picked AS (
    SELECT r.id FROM campaigns_report r
    WHERE r.taken_at IS NULL AND r.at > now() - interval '48 hours' {conditions}
    ORDER BY r.id DESC
    LIMIT %s
    FOR UPDATE SKIP LOCKED
),
taken AS (
    UPDATE campaigns_report r SET taken_at = now() FROM picked WHERE r.id = picked.id
    RETURNING r.id, r.message_id, r.at
)
SELECT s.bulk_id, CASE WHEN d.devices = 1 THEN d.public_id ELSE m.id::text END,
       a.public_id, d."to", s.sender, m.sent_at,
       CASE WHEN m.state BETWEEN 3 AND 5 THEN greatest(m.delivered_at, m.sent_at) ELSE t.at END,
       m.state, m.reason, m.platform, s.callback_data, s.reference, s.entity_id,
       s.platform_application_id
FROM taken t
JOIN campaigns_message m ON m.id = t.message_id
CROSS JOIN LATERAL (
    SELECT * FROM campaigns_destination
    WHERE message_from <= m.id ORDER BY message_from DESC LIMIT 1
) d
JOIN campaigns_submission s ON s.id = d.submission_id
LEFT JOIN devices_address a ON a.registration_id = m.registration_id
ORDER BY t.id DESC
"""
_OF_SUBMISSIONS = """
AND r.bulk_id IN (SELECT d.bulk_id FROM campaigns_submission s
                  JOIN campaigns_destination d ON d.submission_id = s.id WHERE {columns})
"""


def take(wish: Wish, limit: int) -> list[Told]:
    """Ends of messages that nobody was told yet, newest first; from now on they were told."""
    conditions = ""
    parameters: list[Any] = []
    columns = {
        "s.reference": wish.reference,
        "s.entity_id": wish.entity_id,
        "s.platform_application_id": wish.platform_application_id,
    }
    wanted = {column: value for column, value in columns.items() if value}
    if wanted:
        equal = " AND ".join(f"{column} = %s" for column in wanted)
        conditions += _OF_SUBMISSIONS.format(columns=equal)
        parameters += list(wanted.values())
    if wish.bulk_id:
        bulks = list(Bulk.objects.filter(bulk_id=wish.bulk_id).values_list("pk", flat=True))
        # One is by far the most common, and is walked newest first only if it is no list.
        conditions += " AND r.bulk_id = %s" if len(bulks) == 1 else " AND r.bulk_id = ANY(%s)"
        parameters.append(bulks[0] if len(bulks) == 1 else bulks)
    if wish.message_id:
        ranges = ranges_of([wish.message_id])
        if not ranges:
            return []
        any_of = " OR ".join("r.message_id BETWEEN %s AND %s" for _ in ranges)
        conditions += f" AND ({any_of})"
        parameters += [end for ends in ranges for end in ends]
    with connection.cursor() as cursor:
        cursor.execute(_TAKE.format(conditions=conditions), [*parameters, limit])
        return [Told(*row) for row in cursor.fetchall()]


def ranges_of(names: Sequence[str]) -> list[tuple[UUID, UUID]]:
    """First and last id of the messages that are called so: the caller's names, or ids of ours."""
    known = Destination.objects.filter(public_id__in=names, message_from__isnull=False)
    ends = known.values_list("message_from", "message_to")
    found = {(low, high) for low, high in ends if low is not None and high is not None}
    for name in names:
        try:
            identifier = UUID(name)
        except ValueError:
            continue
        found.add((identifier, identifier))
    return sorted(found)


def drop_old() -> int:
    """Delete reports and callers' ids that are past their 48 hours; how many reports."""
    before = timezone.now() - KEPT - timedelta(hours=1)
    count = 0
    while True:
        batch: list[Any] = list(
            Report.objects.filter(at__lt=before).values_list("pk", flat=True)[:DELETED_AT_ONCE]
        )
        Report.objects.filter(pk__in=batch).delete()
        count += len(batch)
        if len(batch) < DELETED_AT_ONCE:
            break
    UsedId.objects.filter(used_at__lt=before).delete()
    return count
