"""Figures of everything that shares one public bulk id, from counters."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Sum

from campaigns import ids, statistics
from campaigns.models import Bulk, Counter, Message, Reason, ReasonCounter

EXACT_UP_TO = 1000  # bulks or messages whose rows are looked at for the time of a delivery


@dataclass(frozen=True, slots=True)
class Totals:
    sent: int  # device messages that are sent, waiting or done with
    delivered: int
    seen: int
    reasons: dict[Reason, int]  # of those that ended otherwise
    last_delivery: datetime | None  # to the minute where there are many


def of(bulk_id: str) -> Totals:
    """Zeros for an id that nobody used. Test sends and text messages are not counted."""
    found = Bulk.objects.filter(bulk_id=bulk_id).exclude(origin=Bulk.Origin.TEST)
    bulks = [
        bulk
        for bulk in found.select_related("flow").only("pk", "starts_at", "step", "flow__steps")
        if bulk.flow is None or bulk.flow.steps[bulk.step]["channel"] == "PUSH"
    ]
    funnels = statistics.funnels([bulk.pk for bulk in bulks]).values()
    reasons = (
        ReasonCounter.objects.filter(bulk__in=bulks, messages__gt=0)
        .values_list("reason")
        .annotate(total=Sum("messages"))
    )
    return Totals(
        sent=sum(each.targeted - each.cancelled for each in funnels),
        delivered=sum(each.delivered for each in funnels),
        seen=sum(each.seen for each in funnels),
        reasons={Reason(reason): total for reason, total in reasons},
        last_delivery=_last_delivery(bulks, sum(each.delivered for each in funnels)),
    )


def _last_delivery(bulks: list[Bulk], delivered: int) -> datetime | None:
    if not delivered:
        return None
    minutes = Counter.objects.filter(bulk__in=bulks, delivered__gt=0)
    last: datetime | None = minutes.aggregate(last=Max("minute"))["last"]
    if delivered > EXACT_UP_TO or last is None:
        return last
    latest = minutes.filter(minute=last).values_list("bulk_id", flat=True)[:EXACT_UP_TO]
    numbered = {bulk.pk: bulk for bulk in bulks}
    moments = []
    for pk in set(latest):
        low, high = ids.id_range(numbered[pk])
        rows = Message.objects.filter(pk__gte=low, pk__lte=high, delivered_at__gte=last)
        moments.append(rows.aggregate(last=Max("delivered_at"))["last"])
    return max((each for each in moments if each is not None), default=last)
