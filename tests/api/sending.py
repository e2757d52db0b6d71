"""Sends by API, and what becomes of them, without a cloud."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from campaigns import batches, fanout, folding, ids, ledger
from campaigns.ledger import Row, WindowResult
from campaigns.models import Bulk, Chunk, Message, Reason
from devices.models import Application
from tests.api.pushing import SEND, message
from tests.api.systems import System

Outcome = tuple[Message.State, Reason]
LONG_AGO = timezone.now() - timedelta(days=1)  # before the clock of any transaction
ACCEPTED: Outcome = (Message.State.ACCEPTED, Reason.NONE)


def send(
    system: System, application: Application, *destinations: Any, bulk_id: str = "", **given: Any
) -> list[str]:
    """Send one message; the ids it was answered with."""
    body = {"messages": [message(application, *destinations, **given)]}
    answer = system.post(SEND, body | {"options": {"schedule": {"bulkId": bulk_id}}})
    assert answer.status_code == 200, answer.content
    return [each["messageId"] for each in answer.json()["messages"]]


def carry_out(
    outcome: Outcome = ACCEPTED,
    *,
    devices: Mapping[int, Outcome] | None = None,
    at: datetime | None = None,
) -> list[UUID]:
    """Hand over whatever is due, each with the same outcome or that of its device; ids."""
    for bulk in Bulk.objects.filter(status=Bulk.Status.PENDING):
        fanout.freeze(bulk)
    Chunk.objects.update(not_before=LONG_AGO)
    sent = []
    for urgent in (True, False):
        while (chunk := ledger.claim_chunk(urgent=urgent)) is not None:
            bulk = Bulk.objects.get(pk=chunk.bulk_id)
            assert ledger.claim_window(chunk, chunk.size)
            rows = [Row(pk, *(devices or {}).get(pk, outcome)) for pk in chunk.recipients]
            ledger.record(bulk, chunk, WindowResult(rows=rows), now=at or timezone.now())
            ledger.finish(bulk.pk)
            sent += [ids.message_id(bulk, pk) for pk in chunk.recipients]
    return sent


def receive(
    application: Application,
    *messages: UUID,
    state: Message.State = Message.State.DELIVERED,
    at: datetime | None = None,
) -> None:
    """Let the devices say that they have it."""
    moment = at or timezone.now()
    receipts = [batches.packed(each, state, moment) for each in messages]
    folding.fold([(application.pk, None, receipts)])
