"""Send again, find a winner, have reports mailed: in a browser, as people do."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from campaigns import composing, dispatch, fanout, letters, variants, winners
from campaigns.models import Bulk, Campaign, Counter, Message
from devices.models import Application, Platform, ProviderCredential, Role
from providers.base import Cause, Outcome, Verdict
from tests.complaints import Complaints
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
CloudFor = Callable[[ProviderCredential], Any]
WANTS = {"metric": "clicked", "test": 20, "minutes": 60, "answers": None, "unclear": "hold"}


@pytest.fixture
def shop(cloud_for: CloudFor) -> Application:
    """Devices of which some get nothing, and of some nobody knows."""
    application = make_application(name="Shop")
    make_registrations(application, 40)
    cloud = cloud_for(make_credential(application))
    refused = Outcome(verdict=Verdict.REJECTED, cause=Cause.LIMITED, status=400)
    bad = iter([refused, refused, Outcome(verdict=Verdict.UNKNOWN)])
    good = Outcome(verdict=Verdict.ACCEPTED, provider_id="1")
    cloud.answer = lambda one: next(bad, good)
    return application


@pytest.fixture
def marketer(shop: Application, sign_in: Callable[[User], None]) -> User:
    user = make_user(Role.MARKETER, shop, email="ana@shop.example")
    sign_in(user)
    return user


def sent(campaign: Campaign, user: User) -> Bulk:
    bulk = composing.launch(campaign, user)
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)
    dispatch.work(seconds=60)
    bulk.refresh_from_db()
    return bulk


def tried(shop: Application, user: User) -> Bulk:
    """A campaign whose variants were tried, and somebody has to choose."""
    draft = make_campaign(
        shop, name="Two ways to say it", split=variants.evenly(2).as_json(), winner=WANTS
    )
    draft.contents.create(variant=1, text="The other way")
    bulk = sent(draft, user)
    Counter.objects.filter(bulk=bulk).delete()
    for variant, tapped in enumerate((10, 11)):
        Counter.objects.create(
            bulk=bulk, minute=timezone.now(), platform=Platform.ANDROID, variant=variant,
            sent=100, accepted=100, delivered=90, seen=40, clicked=tapped,
        )  # fmt: skip
    Message.objects.of_bulk(bulk).update(sent_at=timezone.now() - timedelta(minutes=61))
    assert winners.judge() == 1
    return bulk


def test_a_campaign_is_sent_again_with_the_keyboard_alone(
    page: Page, shop: Application, marketer: User, complaints: Complaints
) -> None:
    complaints.expect("422")
    bulk = sent(make_campaign(shop, name="Friday sale"), marketer)
    page.goto(reverse("campaigns:detail", args=[shop.pk, bulk.campaign_id]))
    page.get_by_role("link", name="Send again to some").press("Enter")
    page.get_by_role("button", name="Make draft").press("Enter")
    expect(page.get_by_text("Choose whom to send it to.")).to_be_visible()
    page.get_by_label("2 devices: the cloud lets no more through to the device").press("Space")
    unsure = page.get_by_label("Also 1 device of which nobody knows whether it arrived")
    expect(unsure).not_to_be_checked()
    page.get_by_role("button", name="Make draft").press("Enter")

    launch = page.get_by_role("button", name="Send to 2 devices")
    expect(launch).to_be_visible()
    expect(page.locator("#contents [data-panel]:not([hidden])").first).to_be_visible()
    launch.press("Enter")
    expect(page.get_by_text("Nothing has left yet.")).to_be_visible()
    expect(page.locator("#resends")).to_contain_text("Friday sale")


def test_somebody_chooses_the_winner_with_the_keyboard_alone(
    page: Page, shop: Application, marketer: User
) -> None:
    bulk = tried(shop, marketer)
    page.goto(reverse("campaigns:detail", args=[shop.pk, bulk.campaign_id]))
    expect(page.get_by_text("none is clearly tapped more often")).to_be_visible()
    expect(page.locator("[data-chart] svg, [data-chart] canvas").first).to_be_visible()
    page.get_by_role("button", name=re.compile("Send B to")).press("Enter")
    expect(page.locator("#winner")).to_contain_text("Variant B")
    expect(page.locator("#winner")).to_contain_text("somebody chose it")
    bulk.refresh_from_db()
    assert bulk.delivery["winner"]["decided"]["variant"] == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_its_pages_are_accessible_and_fit_the_screen(
    page: Page,
    shop: Application,
    marketer: User,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    bulk = sent(make_campaign(shop, name="Friday sale"), marketer)
    chosen = tried(shop, marketer)
    letters.order(shop, marketer, "week")
    draft = make_campaign(shop, name="Draft", split=variants.evenly(2).as_json(), winner=WANTS)
    draft.contents.create(variant=1, text="The other way")
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    for name, address in (
        ("resend", reverse("campaigns:resend", args=[shop.pk, bulk.campaign_id, bulk.pk])),
        ("winner", reverse("campaigns:detail", args=[shop.pk, chosen.campaign_id])),
        ("winner-form", reverse("campaigns:edit", args=[shop.pk, draft.pk])),
        ("report-mail", reverse("campaigns:reports", args=[shop.pk])),
    ):
        page.goto(address)
        expect(page.locator(".skeleton:visible")).to_have_count(0)
        page.screenshot(path=screenshots / f"{name}-{scheme}-{width}.png", full_page=True)
        assert accessibility_problems(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
