"""Audience → frozen chunks."""

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from campaigns import audience, flows, ledger, starting
from campaigns.models import Bulk


def freeze(bulk: Bulk) -> int:
    """Write the audience of a bulk as chunks and return how many devices it has.

    Repeating it adds nothing, also at the same moment: the row is locked, and whoever comes
    second does not wait for it. One that is not due yet, or is still held for undo, is left
    for the timetable.
    """
    with transaction.atomic():
        found = Bulk.objects.select_for_update(skip_locked=True).filter(pk=bulk.pk).first()
        if found is None:  # somebody is at it
            return bulk.audience
        bulk = found
        waits = bulk.status == Bulk.Status.PENDING and not bulk.step  # later steps follow
        if not waits or bulk.starts_at > timezone.now():
            return bulk.audience
        if bulk.origin in Bulk.SUBMITTED:
            bulk.audience = starting.freeze(bulk)
        else:
            bulk.audience, bulk.left_out = ledger.write_chunks(
                bulk,
                audience.statement(bulk),
                size=settings.CHUNK_SIZE,
                urgent=bulk.origin != Bulk.Origin.CAMPAIGN,
            )
        bulk.frozen_at = timezone.now()
        if bulk.flow is not None:
            flows.embark(bulk)
        bulk.status = Bulk.Status.SENDING if bulk.audience else Bulk.Status.DONE
        bulk.finished_at = None if bulk.audience else bulk.frozen_at
        bulk.save(update_fields=["audience", "left_out", "frozen_at", "status", "finished_at"])
    return bulk.audience
