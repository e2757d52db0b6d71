"""Campaigns that are sent again, and phones that count what they got."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import composing, dispatch, fanout, ledger, resending
from campaigns.models import Bulk, Campaign, Reason
from campaigns.targeting import to_q
from devices.models import Application, Registration, Role
from providers.base import Addressed, Cause, Outcome, Verdict
from tests.campaigns.handing_over import CloudFor
from tests.factories import make_application, make_credential, make_user

ACCEPTED = Outcome(verdict=Verdict.ACCEPTED, provider_id="1")
BROKEN = Outcome(verdict=Verdict.REJECTED, cause=Cause.CLOUD_ERROR, status=500)
REFUSED = Outcome(verdict=Verdict.REJECTED, cause=Cause.LIMITED, status=400)
NO_ANSWER = Outcome(verdict=Verdict.UNKNOWN)


@pytest.fixture
def shop() -> Application:
    return make_application(name="Shop")


class Phones:
    """A cloud that answers each device as told, and knows what it took."""

    def __init__(self, cloud: Any) -> None:
        self.answers: dict[str, Outcome] = {}
        self.otherwise = ACCEPTED
        self.taken: Counter[str] = Counter()  # accepted, or perhaps
        cloud.answer = self.answer

    def answer(self, one: Addressed) -> Outcome:
        outcome = self.answers.get(one.token, self.otherwise)
        self.taken[one.token] += outcome.verdict in (Verdict.ACCEPTED, Verdict.UNKNOWN)
        return outcome


@pytest.fixture
def phones(shop: Application, cloud_for: CloudFor) -> Phones:
    return Phones(cloud_for(make_credential(shop)))


def send(campaign: Campaign) -> Bulk:
    """Launch a draft, freeze its audience and send to all of it."""
    return finished(frozen(campaign))


def frozen(campaign: Campaign) -> Bulk:
    bulk = composing.launch(campaign, make_user(Role.MARKETER, campaign.application))
    starts_at = timezone.now() - timedelta(hours=1)
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=starts_at)
    bulk.refresh_from_db()
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def finished(bulk: Bulk) -> Bulk:
    dispatch.work(seconds=60)
    ledger.finish(bulk.pk)
    bulk.refresh_from_db()
    return bulk


def again(bulk: Bulk, *reasons: Reason, unsure: bool = False) -> Campaign:
    user = make_user(Role.MARKETER, bulk.application)
    return resending.create(bulk, user, reasons=reasons, unsure=unsure)


def frozen_or_nobody(draft: Campaign) -> int:
    """How many it would go to."""
    rule = composing.rule_now(draft)
    return Registration.objects.filter(to_q(rule, draft.application)).count()


def tokens(devices: list[Registration]) -> list[str]:
    return [device.address.token for device in devices]
