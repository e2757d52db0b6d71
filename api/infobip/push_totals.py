"""Figures of a bulk: GET /push/1/statistics (contract/push.md 6)."""

from django.conf import settings

from api.endpoint import Json, Refusal, endpoint
from api.infobip import statuses
from api.infobip.push_family import MANAGE, KnownRequest, family, text_of
from campaigns import totals

FAMILY = family(MANAGE, "statistics", lambda: settings.OLDER_PUSH_CALLS_PER_SECOND, older=True)


def show(request: KnownRequest) -> Json:
    bulk_id = text_of(request, "bulkId", 100)
    if not bulk_id:
        raise Refusal(400, "BAD_REQUEST", "Missing required request parameter: bulkId")
    figures = totals.of(bulk_id)
    rate = 100 * figures.delivered / figures.sent if figures.sent else 0
    last = figures.last_delivery
    errors = dict.fromkeys(("registration", "expired", "cloud"), 0)
    for reason, count in figures.reasons.items():
        if kind := statuses.counted_as(reason):
            errors[kind] += count
    return {
        "totalSent": figures.sent,
        "delivered": figures.delivered,
        "seen": figures.seen,
        "errors": errors,
        "delivery": {
            "rate": round(rate, 2),
            "time": round(last.timestamp() * 1000) if last else 0,
        },
    }


statistics = endpoint(FAMILY, GET=show)
