"""Builders of Push API campaigns."""

from typing import Any

from django.utils import timezone

from campaigns import ids, push_api
from campaigns.models import Message, PushApiCampaign, PushApiSend, Reason
from campaigns.push_api import Described, Sent
from devices.models import Application, Person, Platform
from tests.factories import make_bulk, make_person

_S = Message.State


def make_campaign(camp_id: int = 7, **given: Any) -> PushApiCampaign:
    said = {"name": "Back in stock", "title": "Here again", "message": "Your size", **given}
    described = Described(camp_id=camp_id, image_url="", **said)
    push_api.describe([described], timezone.now())
    return PushApiCampaign.objects.get(camp_id=camp_id)


def push(
    application: Application,
    campaign: PushApiCampaign,
    state: _S | None = None,
    *,
    person: Person | None = None,
    reason: Reason = Reason.NONE,
) -> PushApiSend:
    """A push to somebody, and what became of it."""
    now = timezone.now()
    bulk = make_bulk(application, starts_at=now)
    someone = person or make_person(first_name="Ana")
    message = ids.message_id(bulk, 1)
    sent = Sent(campaign.camp_id, application, someone.pk, message, counted=False)
    push_api.record([sent], {campaign.camp_id: campaign.pk}, bulk.bulk_id, now)
    if state is not None:
        Message.objects.create(
            id=message,
            bulk=bulk,
            registration_id=1,
            sent_at=now,
            state=state,
            reason=reason,
            platform=Platform.ANDROID,
        )
    return PushApiSend.objects.get(message_id=message)


def every_state(application: Application, campaign: PushApiCampaign) -> None:
    ana = make_person(first_name="Ana")
    push(application, campaign)
    push(application, campaign, _S.ACCEPTED)
    push(application, campaign, _S.DELIVERED)
    push(application, campaign, _S.SEEN, person=ana)
    push(application, campaign, _S.CLICKED, person=ana)
    push(application, campaign, _S.FAILED, reason=Reason.UNINSTALLED)
    push(application, campaign, _S.FAILED, reason=Reason.UNINSTALLED)
    push(application, campaign, _S.EXPIRED, reason=Reason.TOO_LATE)
    push(application, campaign, _S.UNKNOWN, reason=Reason.NO_ANSWER)
