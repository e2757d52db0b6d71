"""Close addresses that a cloud called dead."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from devices.models import Address


@dataclass(frozen=True, slots=True)
class DeadAddress:
    """What a cloud said of the token we sent to."""

    registration_id: int
    token_digest: bytes
    reason: Address.Closed
    answer: str  # the cloud's own word
    since: datetime | None = None  # when it says the token died


def close(dead: Sequence[DeadAddress]) -> int:
    """Close addresses and switch their registrations off; how many were closed.

    A token that was refreshed meanwhile, or reported again after the time the cloud gives,
    is left alone (contract/providers.md DROP-2, DROP-3). Nothing is deleted: registering the
    same token again opens it (DROP-4).
    """
    if not dead:
        return 0
    dead = sorted(dead, key=lambda one: one.registration_id)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            WITH dead AS (
                SELECT * FROM unnest(%s::int8[], %s::bytea[], %s::text[], %s::text[],
                                     %s::timestamptz[])
                    AS x (id, digest, reason, answer, since)
            ),
            closed AS (
                UPDATE devices_address a
                SET closed_at = now(), closed_reason = d.reason, closed_answer = left(d.answer, 100)
                FROM dead d
                WHERE a.registration_id = d.id AND a.token_digest = d.digest
                  AND a.closed_at IS NULL
                  AND (d.since IS NULL OR a.token_changed_at IS NULL
                       OR d.since > a.token_changed_at)
                RETURNING a.registration_id
            )
            UPDATE devices_registration r SET enabled = false
            FROM closed c WHERE r.id = c.registration_id
            """,
            [
                [one.registration_id for one in dead],
                [one.token_digest for one in dead],
                [one.reason.value for one in dead],
                [one.answer for one in dead],
                [one.since for one in dead],
            ],
        )
        closed: int = cursor.rowcount
    return closed
