"""Messages that were handed over, and what is reported of them."""

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from campaigns import dispatch, fanout, folding, ids, reconciling, reports, statistics
from campaigns.batches import Call
from campaigns.models import Bulk, Message
from campaigns.reports import Receipt
from providers.base import Cause, Outcome, Verdict
from tests.campaigns.handing_over import CloudFor
from tests.factories import make_application, make_bulk, make_credential, make_registrations

State = Message.State
ACCEPTED = Outcome(verdict=Verdict.ACCEPTED)
DOUBT = Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER)
REFUSED = Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED, status=400)


def frozen(count: int) -> Bulk:
    application = make_application()
    make_registrations(application, count)
    bulk = make_bulk(application)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def hand_over(bulk: Bulk, cloud_for: CloudFor, outcome: Outcome = ACCEPTED) -> None:
    cloud_for(make_credential(bulk.application)).answer = lambda one: outcome
    dispatch.work(seconds=60)


def recipients(bulk: Bulk) -> list[int]:
    return sorted(pk for chunk in bulk.chunks.all() for pk in chunk.recipients)


def messages(bulk: Bulk) -> list[UUID]:
    return [ids.message_id(bulk, pk) for pk in recipients(bulk)]


def tell(bulk: Bulk, *told: tuple[UUID, State], ago: float = 0, device: int | None = None) -> None:
    """Fold receipts at once, as the consumer does with a batch."""
    at = timezone.now() - timedelta(seconds=ago)
    receipts = [Receipt(each, state, at) for each, state in told]
    folding.fold([call(bulk.application_id, *receipts, device=device)])


def call(application_id: int, *receipts: Receipt, device: int | None = None) -> Call:
    return reports.packed_call(application_id, device, receipts)


def receipt(message: UUID, state: State = State.DELIVERED) -> Receipt:
    return Receipt(message, state, timezone.now())


def counts(bulk: Bulk) -> tuple[int, int, int, int]:
    """Accepted, delivered, seen, clicked; after seeing that counters and rows agree."""
    bulk.refresh_from_db()
    funnel = statistics.funnel(bulk)
    assert funnel == statistics.recount(bulk)
    assert reconciling.differences(bulk) == []
    assert funnel.adds_up
    return funnel.accepted, funnel.delivered, funnel.seen, funnel.clicked
