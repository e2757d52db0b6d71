"""When a bulk stops by itself. Source: contract/providers.md 9.3."""

import logging
from collections.abc import Sequence

from django.db.models import Q, Sum

from campaigns.ledger import Row
from campaigns.models import Bulk, Counter, Reason, ReasonCounter

log = logging.getLogger(__name__)

FIRST_ALIKE = 3  # the first so many refused, and nothing else: it is the content
PAGE = 500  # messages from which a share of refusals means something
REFUSED_SHARE = 0.05
REFUSALS = (Reason.PAYLOAD_REFUSED, Reason.TOO_LARGE)


def stop_if_refused(bulk: Bulk, rows: Sequence[Row], answers: int) -> None:
    """Pause a bulk whose notification is refused, and say what the cloud said.

    `answers`: of the window, with those that are tried again.
    """
    refused = [row for row in rows if row.reason in REFUSALS]
    if not refused or bulk.origin in Bulk.SUBMITTED:  # nobody is there to resume it
        return
    if len(refused) >= FIRST_ALIKE and len(refused) == answers and _sent(bulk) < PAGE:
        share = "every device"
    elif _share_refused(bulk) > REFUSED_SHARE:
        share = f"more than {REFUSED_SHARE:.0%} of the devices"
    else:
        return
    said = refused[0].answer or refused[0].reason.sentence
    # With a push that is refused, its text messages wait for somebody's decision too.
    together = Q(pk=bulk.pk) if bulk.flow_id is None else Q(flow=bulk.flow_id)
    stopped = Bulk.objects.filter(together, status=Bulk.Status.SENDING).update(
        status=Bulk.Status.PAUSED,
        status_reason=f"The cloud refuses this notification for {share}: {said}",
    )
    if stopped:
        log.error("bulk %s stopped itself: its notification is refused", bulk.pk)


def _sent(bulk: Bulk) -> int:
    return Counter.objects.filter(bulk=bulk).aggregate(total=Sum("sent"))["total"] or 0


def _share_refused(bulk: Bulk) -> float:
    """Of the messages so far; 0 until there are enough of them."""
    sent = _sent(bulk)
    if sent < PAGE:
        return 0.0
    refused = ReasonCounter.objects.filter(bulk=bulk, reason__in=REFUSALS)
    return (refused.aggregate(total=Sum("messages"))["total"] or 0) / sent
