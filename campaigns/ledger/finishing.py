"""Bulks that have nothing left to send, were cancelled, or whose time is over."""

from django.db import connection

from campaigns import capping
from campaigns.models import Chunk

# Nothing is left to send, and nobody is in an earlier step who may come to this one.
_NOTHING_LEFT = """
b.status = 'sending'
AND NOT EXISTS (SELECT 1 FROM campaigns_chunk c WHERE c.bulk_id = b.id AND c.status = 0)
AND NOT EXISTS (SELECT 1 FROM campaigns_journey j
                WHERE j.flow_id = b.flow_id AND j.step < b.step AND j.state = 0)
"""


def finishable() -> list[int]:
    """Bulks whose worker died before it could close them."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT b.id FROM campaigns_bulk b WHERE {_NOTHING_LEFT}")  # noqa: S608
        return [pk for (pk,) in cursor.fetchall()]


def finish(bulk_pk: int) -> bool:
    """Close a bulk that has nothing left to send; True for whoever closed it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE campaigns_bulk b SET status = 'done', finished_at = now()"  # noqa: S608
            f" WHERE b.id = %s AND {_NOTHING_LEFT}",
            [bulk_pk],
        )
        closed: bool = cursor.rowcount == 1
    return closed


def cancel_chunks(bulk_pk: int) -> None:
    """Take back what is not on the wire of a cancelled bulk; the rest follows its answer.

    What an earlier try may have delivered is not "never sent": `claim_abandoned` finds it.
    """
    Chunk.objects.filter(
        bulk_id=bulk_pk,
        status=Chunk.Status.OPEN,
        window_to=None,
        bulk__status="cancelled",
        repeated=False,
    ).update(status=Chunk.Status.CANCELLED, lease_until=None)
    capping.release_cancelled(bulk_pk)


def resume_overdue() -> int:
    """Let paused bulks whose time is over go on: their devices end as expired, at once."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_bulk SET status = 'sending'
            WHERE status = 'paused'
              AND starts_at + (ttl + span) * interval '1 second' < now()
            """
        )
        return int(cursor.rowcount)
