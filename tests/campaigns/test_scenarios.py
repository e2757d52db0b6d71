"""A campaign that goes on with text messages."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import composing, dispatch, failover, fanout, stages
from campaigns.errors import IncompleteContentError, NoCredentialError
from campaigns.models import Bulk, Campaign, Chunk, Flow, Journey, Reason, Scenario
from devices.models import Application, ProviderCredential, Registration, Role
from providers.base import Cause, Outcome, Verdict
from tests.campaigns.conftest import Cloud
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_gateway,
    make_person,
    make_registration,
    make_user,
)

pytestmark = pytest.mark.django_db

CloudFor = Callable[[ProviderCredential], Cloud]
CAP = {"count": 1, "hours": 24}
DEAD = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404)


@pytest.fixture(autouse=True)
def _no_hold(settings: Any) -> None:
    settings.LAUNCH_HOLD_SECONDS = -2  # before the test's transaction began


@pytest.fixture
def shop() -> Application:
    application = make_application()
    for place in range(3):
        make_registration(application, person=make_person(phone=f"4179100000{place}"))
    make_registration(application)
    return application


@pytest.fixture
def marketer(shop: Application) -> User:
    return make_user(Role.MARKETER, shop)


def make_scenario(*channels: str, shop: Application | None = None) -> Scenario:
    code = shop.code if shop is not None else "Shop"
    senders = {"PUSH": code, "SMS": "Shop"}
    steps = [
        {"channel": each, "sender": senders.get(each, "Shop"), "validity": 3600}
        for each in channels
    ]
    name = ", then ".join(channels)
    return Scenario.objects.create(key=name.lower(), name=name, steps=steps)


def launched(shop: Application, user: User, **given: Any) -> Bulk:
    campaign = make_campaign(shop, scenario=make_scenario("PUSH", "SMS"), **given)
    bulk = composing.launch(campaign, user)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def go() -> None:
    while dispatch.work(seconds=5) or failover.advance():
        pass


def test_people_whose_push_failed_get_the_text_and_the_page_counts_them(
    shop: Application, marketer: User, cloud_for: CloudFor, client: Client
) -> None:
    cloud_for(make_credential(shop)).answer = lambda one: DEAD
    texted = cloud_for(make_gateway(shop))
    bulk = launched(shop, marketer)

    go()

    assert sorted(one.token for one in texted.taken) == [f"4179100000{n}" for n in range(3)]
    push, sms = stages.figures(bulk)
    assert (push.people, push.failed) == (4, 4)
    assert (sms.people, sms.running, sms.failed) == (4, 3, 1)  # one has no number
    assert sms.cost == {"EUR": Decimal("0.135")}
    client.force_login(marketer)
    page = client.get(reverse("campaigns:detail", args=[shop.pk, bulk.campaign_id]))
    assert "2. Text message" in page.content.decode()
    assert "0.14 EUR" in page.content.decode()
    log = client.get(reverse("campaigns:messages", args=[shop.pk, bulk.campaign_id]), {"step": 1})
    assert log.content.decode().count(">Text message<") == 3
    person = Journey.objects.filter(flow=bulk.flow, step=1).exclude(person=None).first()
    assert person is not None
    assert f"/people/{person.person_id}/" in log.content.decode()


def test_a_text_message_says_the_campaigns_text(
    shop: Application, marketer: User, cloud_for: CloudFor
) -> None:
    make_credential(shop)
    make_gateway(shop)

    bulk = launched(shop, marketer, text="Heute alles reduziert")

    sms = Bulk.objects.get(flow=bulk.flow, step=1)
    assert sms.content == [
        {"language": "", "variant": 0, "text": "Heute alles reduziert", "sender": "Shop"}
    ]


@pytest.mark.parametrize("channels", [["SMS", "PUSH"], ["PUSH", "VIBER"]])
def test_a_scenario_that_a_campaign_cannot_take_is_refused(
    shop: Application, marketer: User, channels: list[str]
) -> None:
    make_credential(shop)
    make_gateway(shop)
    campaign = make_campaign(shop, scenario=make_scenario(*channels))

    with pytest.raises(IncompleteContentError, match="Choose another") as refused:
        composing.launch(campaign, marketer)

    assert refused.value.field == "scenario"
    assert not Bulk.objects.exists()


def test_a_text_of_too_many_sms_is_refused(shop: Application, marketer: User) -> None:
    make_credential(shop)
    make_gateway(shop)
    campaign = make_campaign(shop, text="x" * 1600, scenario=make_scenario("PUSH", "SMS"))

    with pytest.raises(IncompleteContentError, match="11 SMS; at most 10"):
        composing.launch(campaign, marketer)


def test_text_messages_need_a_gateway(shop: Application, marketer: User) -> None:
    make_credential(shop)
    campaign = make_campaign(shop, scenario=make_scenario("PUSH", "SMS"))

    with pytest.raises(NoCredentialError, match="no SMS gateway"):
        composing.launch(campaign, marketer)


def test_a_cancelled_campaign_texts_nobody_although_its_push_is_done(
    shop: Application, marketer: User, cloud_for: CloudFor
) -> None:
    cloud_for(make_credential(shop))
    texted = cloud_for(make_gateway(shop))
    bulk = launched(shop, marketer)
    go()
    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.DONE
    assert bulk.campaign is not None

    composing.cancel(bulk.campaign, marketer)
    Journey.objects.update(deadline=timezone.now())
    go()

    assert set(Journey.objects.values_list("state", flat=True)) == {Journey.State.CANCELLED}
    assert texted.taken == []


def test_a_pause_holds_the_texts_back_until_it_ends(
    shop: Application, marketer: User, cloud_for: CloudFor
) -> None:
    cloud_for(make_credential(shop))
    texted = cloud_for(make_gateway(shop))
    bulk = launched(shop, marketer)
    go()
    assert bulk.campaign is not None
    composing.pause(bulk.campaign, marketer)
    Journey.objects.update(deadline=timezone.now())
    go()
    assert texted.taken == []

    composing.resume(bulk.campaign, marketer)
    go()

    assert len(texted.taken) == 3


def test_an_undone_launch_leaves_no_flow(shop: Application, marketer: User, settings: Any) -> None:
    settings.LAUNCH_HOLD_SECONDS = 10
    make_credential(shop)
    make_gateway(shop)
    campaign = make_campaign(shop, scenario=make_scenario("PUSH", "SMS"))
    composing.launch(campaign, marketer)

    composing.undo(campaign, marketer)

    assert (Bulk.objects.count(), Flow.objects.count()) == (0, 0)


def test_the_composer_shows_whom_texts_reach_and_what_they_cost_at_most(
    shop: Application, marketer: User, client: Client
) -> None:
    make_credential(shop)
    make_gateway(shop)
    scenario = make_scenario("PUSH", "SMS", shop=shop)
    campaign = make_campaign(shop)
    client.force_login(marketer)
    address = reverse("campaigns:edit", args=[shop.pk, campaign.pk])

    answer = client.post(
        address,
        {
            "draft_version": campaign.version, "name": "Sale", "text": "x" * 161,
            "on_tap": "app", "hours": "48", "repeat_policy": "when_refused",
            "scenario": scenario.pk,
        },
    )  # fmt: skip

    assert Campaign.objects.get(pk=campaign.pk).scenario == scenario
    shown = answer.content.decode()
    assert "People with a number</dt><dd>3</dd>" in shown
    assert "SMS for each</dt><dd>2</dd>" in shown
    assert "0.27 EUR" in shown


def test_whom_a_campaign_leaves_alone_gets_no_text_either(
    shop: Application, marketer: User, cloud_for: CloudFor
) -> None:
    """The cap holds for all three; a second device that is switched off changes nothing."""
    Application.objects.filter(pk=shop.pk).update(cap_count=1, cap_hours=24)
    cloud_for(make_credential(shop))
    texted = cloud_for(make_gateway(shop))
    owner = shop.registrations.filter(person__isnull=False).first()
    assert owner is not None
    make_registration(shop, person=owner.person, enabled=False)
    first = make_bulk(shop, campaign=make_campaign(shop), delivery={"cap": CAP})
    fanout.freeze(first)
    go()

    capped = launched(shop, marketer)
    go()

    assert capped.left_out == 5
    assert not Journey.objects.filter(flow=capped.flow).exists()
    assert texted.taken == []


def test_whoever_is_held_out_gets_no_text_either(
    shop: Application, marketer: User, cloud_for: CloudFor
) -> None:
    cloud_for(make_credential(shop)).answer = lambda one: DEAD
    texted = cloud_for(make_gateway(shop))
    bulk = launched(shop, marketer, split={"shares": [1], "holdout": 99})
    go()

    held_out = Chunk.objects.filter(bulk=bulk, reason=Reason.HELD_OUT)
    owners = {pk for chunk in held_out for pk in chunk.recipients}
    people = Registration.objects.filter(pk__in=owners, person__isnull=False)
    assert people.exists()
    assert not Journey.objects.filter(person__in=people.values("person")).exists()
    assert len(texted.taken) == 3 - people.count()
