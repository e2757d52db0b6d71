"""The end of a time to live: what other systems submitted and got no sign of is expired.

A device that was away is no failure of ours, and whoever submitted the message wants to know
when to stop waiting (contract/push.md 4 and 5). Expiring is one more receipt: it is folded
like those of phones, so that counters and reports follow, and what comes later changes nothing.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.utils import timezone

from campaigns import ids, reports
from campaigns.batches import packed
from campaigns.folding import fold
from campaigns.models import Bulk, Message, Reason

BULKS = 500  # looked at together
MESSAGES = 2000  # folded together

# Each range is one of a partition's; the planner is given no chance to read a whole day.
_UNSETTLED = """
SELECT x.bulk, m.id, m.state
FROM unnest(%s::int8[], %s::uuid[], %s::uuid[]) x (bulk, low, high)
CROSS JOIN LATERAL (
    SELECT id, state FROM campaigns_message
    WHERE id BETWEEN x.low AND x.high AND state <= 2
    ORDER BY id LIMIT %s
) m
LIMIT %s
"""


def expire(*, seconds: float) -> int:
    """Expire the messages of bulks whose time to live has ended; how many there were.

    A bulk that still sends is left for later: its worker says itself what was too late.
    """
    until = time.monotonic() + seconds
    count = 0
    while time.monotonic() < until:
        due = list(
            Bulk.objects.filter(
                expires_at__lte=_known_until(),
                status__in=(Bulk.Status.DONE, Bulk.Status.CANCELLED),
            )
            .order_by("expires_at")
            .only("pk", "starts_at", "expires_at", "application_id")[:BULKS]
        )
        if not due:
            break
        settled, over = _expire(due, until)
        count += settled
        if over:
            Bulk.objects.filter(pk__in=[bulk.pk for bulk in due]).update(expires_at=None)
    return count


def _known_until() -> datetime:
    """What phones said before this time is folded: nothing that arrived may be called expired."""
    waiting = reports.waiting_since()
    return timezone.now() if waiting is None else waiting


def _expire(due: Sequence[Bulk], until: float) -> tuple[int, bool]:
    """How many messages were expired, and whether those were all."""
    bulks = {bulk.pk: bulk for bulk in due}
    ranges = {bulk.pk: ids.id_range(bulk) for bulk in due}
    count = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                _UNSETTLED,
                [
                    list(ranges), [low for low, _ in ranges.values()],
                    [high for _, high in ranges.values()], MESSAGES, MESSAGES,
                ],
            )  # fmt: skip
            found: list[tuple[int, UUID, int]] = cursor.fetchall()
        calls: dict[int, list[list[object]]] = {}
        for pk, message, state in found:
            bulk = bulks[pk]
            assert bulk.expires_at is not None
            receipt = _receipt(message, state, bulk.expires_at)
            calls.setdefault(bulk.application_id, []).append(receipt)
            # In their order: the next look need not pass over what this one has settled.
            ranges[pk] = UUID(int=message.int + 1), ranges[pk][1]
        count += fold([(application, None, told) for application, told in calls.items()])
        if len(found) < MESSAGES:
            return count, True
        if time.monotonic() >= until:
            return count, False


def _receipt(message: UUID, state: int, at: datetime) -> list[object]:
    unknown = state == Message.State.UNKNOWN
    reason = Reason.NEVER_LEARNED if unknown else Reason.NOT_IN_TIME
    return packed(message, Message.State.EXPIRED, at, reason)
