"""Every message of a send as a CSV file, as long as it takes and a piece of it in memory.

Each piece is a statement of its own, so that a slow reader holds neither a connection nor an
old snapshot of the tables.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from campaigns.ids import id_range
from campaigns.models import Bulk, Medium, Message, Reason
from campaigns.variants import NAMES
from devices.csv_refusals import harmless
from devices.exporting import BEGINNING
from devices.versions import unpack_version

PIECE = 5000  # rows of one statement
HEADINGS = (
    "message_id", "registration_id", "step", "platform", "app_version", "language", "variant",
    "state", "reason", "why", "answer", "tries", "sent_at", "delivered_at", "seen_at", "tapped_at",
)  # fmt: skip
_ROWS = f"""
SELECT m.id, a.public_id, m.platform, m.app_version, m.language, m.variant, m.state, m.reason,
       m.answer, m.attempt, m.sent_at, m.delivered_at, m.seen_at, m.clicked_at
FROM campaigns_message m
LEFT JOIN devices_address a
    ON a.registration_id = m.registration_id AND m.platform <> {Medium.SMS.value}
WHERE m.id >= %s AND m.id <= %s AND (%s::uuid IS NULL OR m.id > %s)
ORDER BY m.id LIMIT %s
"""  # noqa: S608


def rows(bulk: Bulk) -> Iterator[bytes]:
    """The file: headings, then the messages of every step, in the order of their ids."""
    yield BEGINNING.encode() + _csv([HEADINGS])
    every = (
        Bulk.objects.filter(flow=bulk.flow_id) if bulk.flow_id else Bulk.objects.filter(pk=bulk.pk)
    )
    for each in every.order_by("step", "pk"):
        low, high = id_range(each)
        after = None
        while True:
            with connection.cursor() as cursor:
                cursor.execute(_ROWS, [low, high, after, after, PIECE])
                found = cursor.fetchall()
            if not found:
                break
            yield _csv([_line(each, row) for row in found])
            after = found[-1][0]


def _line(bulk: Bulk, row: Sequence[Any]) -> list[Any]:
    (identifier, device, platform, version, language, variant, state, reason, answer, attempt,
     *moments) = row  # fmt: skip
    return [
        identifier, device or "", bulk.step + 1, Medium(platform).label, unpack_version(version),
        harmless(language), NAMES[variant], Message.State(state).label,
        Reason(reason).name.lower() if reason else "", Reason(reason).label if reason else "",
        harmless(answer), attempt + 1, *map(_moment, moments),
    ]  # fmt: skip


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if at else ""


def _csv(lines: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode("utf-8", "replace")
