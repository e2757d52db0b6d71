"""What other systems submitted is forgotten together with its messages.

Bulks of single sends come by the million; those that an inbox still shows are kept. Of text
messages that name somebody the words are forgotten, also with the person.
"""

import time
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from campaigns.models import (
    Bulk,
    Destination,
    Flow,
    FlowDestination,
    InboxMessage,
    Journey,
    Leg,
    Submission,
)

AT_ONCE = 1000


def drop_submitted(*, seconds: float) -> int:
    """Delete what started before MESSAGE_RETENTION_DAYS; how many bulks and submissions."""
    limit = timezone.now() - timedelta(days=settings.MESSAGE_RETENTION_DAYS)
    until = time.monotonic() + seconds
    count = 0
    while time.monotonic() < until:
        gone = _drop_bulks(limit=limit) + _drop_submissions(limit=limit)
        gone += _drop_flows(limit=limit)
        gone += _drop_texts(limit=limit)
        count += gone
        if not gone:
            break
    return count


def _drop_bulks(*, limit: datetime) -> int:
    """Oldest first, with their chunks, counters and destinations."""
    shown = InboxMessage.objects.filter(bulk=OuterRef("pk"))
    old = Bulk.objects.filter(
        ~Exists(shown),
        origin__in=Bulk.SUBMITTED,
        starts_at__lt=limit,
        status__in=(Bulk.Status.DONE, Bulk.Status.CANCELLED),
    ).order_by("pk")
    keys = list(old.values_list("pk", flat=True)[:AT_ONCE])
    Bulk.objects.filter(pk__in=keys).delete()
    return len(keys)


def _drop_submissions(*, limit: datetime) -> int:
    """Those that no bulk needs any more: their destinations were rejected, or are gone."""
    waits = Destination.objects.filter(submission=OuterRef("pk"), bulk__isnull=False)
    later = Destination.objects.filter(submission=OuterRef("pk"), starts_at__gte=limit)
    old = Submission.objects.filter(~Exists(waits), ~Exists(later), created_at__lt=limit)
    keys = list(old.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    Submission.objects.filter(pk__in=keys).delete()
    return len(keys)


def _drop_flows(*, limit: datetime) -> int:
    """Those whose bulks are gone, with their journeys, and what was rejected beside them."""
    bulks = Bulk.objects.filter(flow=OuterRef("pk"))
    running = Journey.objects.filter(flow=OuterRef("pk"), state=Journey.State.RUNNING)
    old = Flow.objects.filter(~Exists(bulks), ~Exists(running), created_at__lt=limit)
    keys = list(old.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    Flow.objects.filter(pk__in=keys).delete()
    rejected = FlowDestination.objects.filter(journey=None, created_at__lt=limit)
    others = list(rejected.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    FlowDestination.objects.filter(pk__in=others).delete()
    return len(keys) + len(others)


def _drop_texts(*, limit: datetime) -> int:
    """What text messages said to somebody, once their messages are gone."""
    old = Leg.objects.exclude(text="").filter(bulk__starts_at__lt=limit)
    return Leg.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:AT_ONCE])).update(
        text=""
    )


def forget_texts(people: Collection[int], **_: object) -> None:
    """What text messages said to people who are erased and where they went, in the same
    transaction; what is still to be sent to them is not.
    """
    theirs = Journey.objects.filter(person__in=people)
    theirs.exclude(number="").update(number="")
    Leg.objects.filter(journey__in=theirs.values("pk")).exclude(text="").update(text="")
