"""Delivery report → message status.

Phones and gateways report in the minutes in which a campaign is sent, as fast as it is sent.
So intake only appends to a stream; a consumer folds them into the ledger in batches. Without
the store, intake writes to Postgres itself: slower and complete.
"""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import redis

from campaigns import ids
from campaigns.batches import Call, packed
from campaigns.folding import fold, fold_early
from campaigns.models import Bulk, Message, Reason
from campaigns.store import store
from campaigns.streams import Stream

log = logging.getLogger(__name__)

STREAM = "stream:receipts"  # the queue of tasks is the key "receipts" of the same server
LOCK = "receipts:consumer"
RETRY_SECONDS = 2  # between two tries of receipts that were too early


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a phone, or the gateway that serves it, said of one message.

    A phone says DELIVERED, SEEN or CLICKED. A gateway may also say ACCEPTED, which settles a
    doubt, and FAILED or EXPIRED with the reason.
    """

    message_id: UUID
    state: Message.State
    at: datetime
    reason: Reason = Reason.NONE
    answer: str = ""  # the gateway's own words, printable


def take(application_id: int, registration_id: int | None, receipts: Sequence[Receipt]) -> None:
    """Accept receipts of one application, and of one of its devices if that is known."""
    if not receipts:
        return
    call = packed_call(application_id, registration_id, receipts)
    try:
        store().xadd(STREAM, {"r": json.dumps(call)})
    except redis.RedisError:
        log.warning("store is away: receipts go straight to the database")
        fold([call])


def packed_call(
    application_id: int, registration_id: int | None, receipts: Iterable[Receipt]
) -> Call:
    told = [packed(r.message_id, r.state, r.at, r.reason, r.answer) for r in receipts]
    return application_id, registration_id, told


def made_here(application_id: int, identifiers: Iterable[UUID]) -> set[UUID]:
    """Those of these ids that belong to a bulk of this application, sent already or not."""
    wanted = set(identifiers)
    numbers = {ids.bulk_number(identifier) for identifier in wanted}
    bulks = Bulk.objects.filter(pk__in=numbers, application=application_id)
    known = {ids.first_id(bulk) >> ids.RECIPIENT_BITS for bulk in bulks.only("pk", "starts_at")}
    return {each for each in wanted if each.int >> ids.RECIPIENT_BITS in known}


def waiting_since() -> datetime | None:
    """When the oldest receipt that is not folded came; None when none waits, or nobody knows."""
    try:
        oldest = cast("list[tuple[bytes, object]]", store().xrange(STREAM, count=1))
    except redis.RedisError:
        return None  # then whoever takes receipts writes them straight to the ledger
    if not oldest:
        return None
    return datetime.fromtimestamp(int(oldest[0][0].split(b"-")[0]) / 1000, UTC)


RECEIPTS = Stream(STREAM, "receipts", LOCK, fold, meanwhile=fold_early, every=RETRY_SECONDS)


def consume(*, seconds: float) -> int:
    """Fold the stream into the ledger for some time; receipts folded."""
    return RECEIPTS.consume(seconds=seconds)
