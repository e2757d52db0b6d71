"""POST /api/v1/notification/get_statistics (contract/insider.md 7)."""

from datetime import UTC
from decimal import ROUND_HALF_UP, Decimal

from django.db.models import Exists, OuterRef
from django.http import HttpResponse
from django.utils import timezone

from api.endpoint import Json
from api.insider.calling import Call, Endpoint, PlainRefusal, json_answer, text_answer
from campaigns import push_api
from campaigns.models import PushApiCampaign, PushApiSend
from campaigns.push_api import Totals


def show(call: Call) -> HttpResponse:
    """Campaigns that began today, in UTC."""
    midnight = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    campaigns = PushApiCampaign.objects.filter(created_at__gte=midnight).order_by("camp_id")
    application = call.key.application
    if application is not None:
        sends = PushApiSend.objects.filter(campaign=OuterRef("pk"), application=application)
        campaigns = campaigns.filter(Exists(sends))
    found = push_api.totals(list(campaigns), application)
    delivered, opened = sum(each.delivered for each in found), sum(each.opened for each in found)
    return json_answer(
        {
            "campaigns": [_campaign_json(each) for each in found],
            "total_camp_count": len(found),
            "total_delivery_count": delivered,
            "total_session_count": opened,
            "total_open_rate": rate(opened, delivered),
        }
    )


def _campaign_json(totals: Totals) -> Json:
    campaign = totals.campaign
    return {
        "id": campaign.camp_id,
        "name": campaign.name,
        "delivery_count": totals.delivered,
        "session_count": totals.opened,
        "open_rate": rate(totals.opened, totals.delivered),
        "message": campaign.message,
        "title": campaign.title,
        "segment_name": "",
        "deep_link": campaign.deep_link,
        "push_image": campaign.image_url,
    }


def rate(opened: int, delivered: int) -> str:
    """Per cent, as the vendor writes it.

    >>> rate(1085, 1640069)
    '% 0.07'
    """
    share = Decimal(100 * opened) / delivered if delivered else Decimal(0)
    return f"% {share.quantize(Decimal('0.01'), ROUND_HALF_UP)}"


def _refuse_key(told: str) -> PlainRefusal:
    """An empty key is told so in plain text, a wrong one is not."""
    if not told:
        return PlainRefusal(text_answer("Api key can not be empty.", 401))
    return PlainRefusal(json_answer({"error": "Bad Api Key."}, 401))


statistics = Endpoint(handler=show, refuse_key=_refuse_key).view()
