"""What does not go together is said beside the option, with the reason, while somebody composes."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import composing, dispatch, fanout
from campaigns.errors import IncompleteContentError
from campaigns.models import Bulk, Campaign, Scenario
from campaigns.variants import evenly
from devices.models import Application, Role
from providers.base import Cause, Outcome, Verdict
from tests.campaigns import composer
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_gateway,
    make_person,
    make_registration,
    make_user,
    signed_in,
)

pytestmark = pytest.mark.django_db
TYPED = composer.TYPED | {"share_0": "50", "share_1": "50", "holdout": "0"}
WINNER = {"win_metric": "clicked", "win_test": "20", "win_minutes": "60"}
CANARY = {"try_first": "share", "try_size": "10", "try_minutes": "15", "try_failed": "5"}
LOCAL = {
    "when": "local", "start_date": "2027-07-24", "start_time": "09:00", "zone": "Europe/Berlin",
}  # fmt: skip
DEAD = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404)


@pytest.fixture
def shop() -> Application:
    application = make_application()
    make_registration(application, person=make_person(phone="41791000001"))
    make_credential(application)
    make_gateway(application)
    return application


@pytest.fixture
def marketer(shop: Application) -> Client:
    return signed_in(shop)


def push_then_sms(shop: Application) -> Scenario:
    steps = [
        {"channel": "PUSH", "sender": shop.code, "validity": 7200},
        {"channel": "SMS", "sender": "Shop", "validity": 7200},
    ]
    return Scenario.objects.create(key="A" * 32, name="Both", steps=steps)


def with_variants(shop: Application, **given: Any) -> Campaign:
    campaign = make_campaign(shop, split=evenly(2, 0).as_json(), **given)
    campaign.contents.create(variant=1, text="Now")
    return campaign


def faults(page: str) -> dict[str, str]:
    """What the panel says, by the field beside which it stands."""
    return {
        line.split('data-fault="')[1].split('"')[0]: line.split('data-text="')[1].split('"')[0]
        for line in page.split("<li")
        if 'data-text="' in line
    }


@pytest.mark.parametrize(
    ("typed", "field", "reason"),
    [
        (WINNER | {"scenario": "both"}, "id_win_metric", "while they wait for the winner"),
        (WINNER | CANARY, "id_try_first", "tried on a part already"),
        (WINNER | LOCAL, "id_win_metric", "hour would pass while they wait"),
        (CANARY | {"scenario": "both"}, "id_try_first", "text message while they wait"),
        (CANARY | LOCAL, "id_try_first", "hour would pass while they wait"),
        (WINNER | {"hours": "1", "win_minutes": "90"}, "id_win_minutes", "would end while they"),
    ],
)
def test_what_does_not_go_together_is_said_as_soon_as_it_is_chosen(
    shop: Application, marketer: Client, typed: dict[str, str], field: str, reason: str
) -> None:
    campaign, scenario = with_variants(shop), push_then_sms(shop)
    if "scenario" in typed:
        typed = typed | {"scenario": str(scenario.pk)}
    address = reverse("campaigns:edit", args=[shop.pk, campaign.pk])

    saved = marketer.post(address, TYPED | typed | {"draft_version": "1"}).content.decode()
    opened = marketer.get(address).content.decode()

    for page in (saved, opened):
        assert reason in faults(page)[field]
    campaign.refresh_from_db()
    assert campaign.version == 2  # what was typed is kept
    with pytest.raises(IncompleteContentError):
        composing.launch(campaign, make_user(Role.ADMINISTRATOR, shop))


def test_options_say_beforehand_what_they_do_not_go_with(
    shop: Application, marketer: Client
) -> None:
    address = reverse("campaigns:edit", args=[shop.pk, with_variants(shop).pk])
    page = marketer.get(address).content.decode()

    assert "Not with a scenario, nor with another part tried first, nor in recipients" in page
    assert "Not with a scenario, nor in recipients" in page
    assert "goes with no winner and no part tried first" in page


def test_what_is_sent_again_has_no_scenario_and_says_so_beside_it(
    shop: Application, marketer: Client
) -> None:
    first = make_bulk(shop, campaign=make_campaign(shop), frozen_at=timezone.now())
    told = {"bulk": first.pk, "reasons": [11], "unsure": False}
    again = make_campaign(shop, resend_of=first, resend=told)
    typed = TYPED | {"scenario": push_then_sms(shop).pk, "draft_version": "1"}

    page = marketer.post(reverse("campaigns:edit", args=[shop.pk, again.pk]), typed)

    assert "has one step" in faults(page.content.decode())["id_scenario"]


def test_a_campaign_with_a_scenario_says_why_it_is_not_sent_again(
    shop: Application, marketer: Client, cloud_for: Any, settings: Any
) -> None:
    settings.LAUNCH_HOLD_SECONDS = -1800
    for credential in shop.credentials.all():
        cloud_for(credential).answer = lambda one: DEAD
    campaign = make_campaign(shop, scenario=push_then_sms(shop))
    bulk = composing.launch(campaign, make_user(Role.ADMINISTRATOR, shop))
    fanout.freeze(bulk)
    dispatch.work(seconds=5)

    page = marketer.get(reverse("campaigns:detail", args=[shop.pk, campaign.pk])).content.decode()

    assert "It cannot be sent again to some." in page
    assert "It has a scenario" in page
    assert "Send again to some</a>" not in page
    assert Bulk.objects.filter(flow=bulk.flow).count() == 2
