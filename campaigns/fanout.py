"""Audience → frozen chunks."""

import math

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from campaigns import audience, capping, flows, freezing, resending, starting
from campaigns.models import Bulk
from campaigns.wall_clocks import Quiet


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
        resending.lock(bulk)
        if bulk.origin in Bulk.SUBMITTED:
            bulk.audience = starting.freeze(bulk)
        elif _asks_for_more(bulk):
            frozen = freezing.write_in_turns(
                bulk, audience.statement(bulk), size=settings.CHUNK_SIZE
            )
            bulk.audience, bulk.left_out = frozen.audience, frozen.left_out
            bulk.span = math.ceil(frozen.span.total_seconds())
        else:
            bulk.audience, bulk.left_out = freezing.write_chunks(
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
        bulk.save(
            update_fields=[
                "audience", "left_out", "frozen_at", "status", "finished_at", "delivery", "span",
            ]
        )  # fmt: skip
    return bulk.audience


def _asks_for_more(bulk: Bulk) -> bool:
    """Note the application's settings that hold from now on; whether they matter."""
    if bulk.origin != Bulk.Origin.CAMPAIGN:
        return False
    application = bulk.application
    bulk.delivery["zone"] = application.default_zone
    start, end = application.quiet_from, application.quiet_to
    if not bulk.delivery.get("transactional"):
        if start is not None and end is not None:
            bulk.delivery["quiet"] = Quiet(start, end).as_json()
        if (cap := capping.as_json(application)) is not None:
            bulk.delivery["cap"] = cap
    return freezing.is_needed(bulk)
