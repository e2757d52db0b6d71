"""The page of a campaign that runs: what is over is not offered; times of two zones say which."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from campaigns import composing, dispatch, fanout
from campaigns.models import Bulk
from campaigns.timing import Kind, Timing
from devices.models import Application, ProviderCredential, Role
from providers.base import Outcome, Verdict
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
)

CloudFor = Callable[[ProviderCredential], Any]
BERLIN, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def shop(sign_in: Callable[[User], None], cloud_for: CloudFor) -> Application:
    application = make_application(name="Shop")
    make_registrations(application, 3)
    cloud = cloud_for(make_credential(application))
    cloud.answer = lambda one: Outcome(verdict=Verdict.ACCEPTED, provider_id="1")
    sign_in(make_user(Role.MARKETER, application))
    return application


def test_a_dialog_about_a_campaign_that_ends_meanwhile_closes(
    page: Page, shop: Application
) -> None:
    campaign = make_campaign(shop)
    bulk = composing.launch(campaign, make_user(Role.MARKETER, shop))
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)
    page.goto(reverse("campaigns:detail", args=[shop.pk, campaign.pk]))
    page.get_by_role("button", name="Cancel campaign").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("3 devices will not get it")

    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.DONE, finished_at=timezone.now())

    expect(page.get_by_role("dialog")).to_have_count(0, timeout=30_000)
    expect(page.locator(".toast")).to_contain_text("There is nothing left to cancel.")


def test_the_chart_follows_without_being_drawn_anew(page: Page, shop: Application) -> None:
    campaign = make_campaign(shop)
    bulk = composing.launch(campaign, make_user(Role.MARKETER, shop))
    page.goto(reverse("campaigns:detail", args=[shop.pk, campaign.pk]))
    expect(page.get_by_text("Sending starts in").first).to_be_visible()
    expect(page.locator("[data-chart]")).to_have_count(0)  # there is nothing to draw yet

    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)
    expect(page.locator("[data-chart] canvas")).to_be_visible()
    drawn = page.locator("[data-chart] canvas").element_handle()
    page.get_by_role("button", name="Show as table").click()
    table = page.locator(".chart-table")
    expect(table.get_by_role("cell", name="3", exact=True)).to_have_count(0)
    dispatch.work(seconds=60)

    expect(page.get_by_text("3 targeted =")).to_contain_text("3 accepted without receipt")
    expect(table.get_by_role("cell", name="3", exact=True)).to_be_visible()
    page.get_by_role("button", name="Show as chart").click()
    assert drawn.evaluate("canvas => canvas.isConnected")


def test_a_time_beside_one_of_another_zone_names_its_own(page: Page, shop: Application) -> None:
    page.context.new_cdp_session(page).send(
        "Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"}
    )
    nine = datetime.combine(timezone.now().date() + timedelta(days=40), time(9), BERLIN)
    timing = Timing(kind=Kind.AT, day=nine.date(), clock=nine.time(), zone=str(BERLIN))
    campaign = make_campaign(shop, timing=timing.as_json())

    page.goto(reverse("campaigns:edit", args=[shop.pk, campaign.pk]))

    out = page.locator("#goes-out")
    expect(out).to_contain_text("09:00 (Europe/Berlin)")
    expect(out).to_contain_text(f"{nine.astimezone(TOKYO):%H:%M} (Asia/Tokyo)")
