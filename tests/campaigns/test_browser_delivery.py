"""Delivery options in a browser, as the people use them who send."""

import re
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from campaigns import dispatch, fanout
from campaigns.models import Bulk, Chunk
from devices.models import Application, ProviderCredential, Role
from providers.base import Outcome, Verdict
from tests.campaigns.composer import saved
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
CloudFor = Callable[[ProviderCredential], Any]


@pytest.fixture
def shop(cloud_for: CloudFor) -> Application:
    """Devices in India and in Hawaii."""
    application = make_application(name="Shop", default_zone="Europe/Berlin")
    make_registrations(application, 4, timezone_offset=330)
    make_registrations(application, 3, timezone_offset=-600)
    cloud = cloud_for(make_credential(application))
    cloud.answer = lambda one: Outcome(verdict=Verdict.ACCEPTED, provider_id="1")
    return application


def opened(page: Page, shop: Application) -> Any:
    """The composer of a draft, once its scripts run."""
    draft = make_campaign(shop, name="Spring teaser")
    page.goto(reverse("campaigns:edit", args=[shop.pk, draft.pk]))
    expect(page.locator("#contents [data-panel]:not([hidden])").first).to_be_visible()
    return draft


def test_a_campaign_in_recipients_time_is_throttled_paused_resumed_and_finished(
    page: Page, shop: Application, sign_in: Callable[[User], None]
) -> None:
    sign_in(make_user(Role.MARKETER, shop))
    draft = opened(page, shop)
    later = timezone.now().astimezone(UTC) + timedelta(days=3)
    expect(page.locator("#id_start_date")).to_be_hidden()
    page.get_by_text("In recipients' time", exact=True).click()
    page.locator("#id_start_date").fill(f"{later:%Y-%m-%d}")
    page.locator("#id_start_time").fill("09:00")
    expect(page.locator("#id_zone")).to_be_hidden()
    page.get_by_label("Where this time has passed").select_option("skip")
    page.locator("#id_throttle").fill("500")
    expect(page.locator("#goes-out")).to_contain_text("09:00 in each recipient's time")
    page.get_by_role("button", name="Schedule for 7 devices").click()
    expect(page.locator(".page-title .state")).to_have_text("Scheduled")

    # The day comes: India's morning is over, Hawaii's is an hour away.
    bulk = Bulk.objects.get(campaign=draft)
    assert bulk.throttle == 500
    now = timezone.now().astimezone(UTC).replace(second=0, microsecond=0)
    wall = now + timedelta(hours=1) - timedelta(minutes=600)
    timing = bulk.delivery["timing"] | {"date": f"{wall:%Y-%m-%d}", "time": f"{wall:%H:%M}"}
    Bulk.objects.filter(pk=bulk.pk).update(
        starts_at=wall - timedelta(minutes=840), delivery={"timing": timing}
    )
    fanout.freeze(bulk)
    page.reload()
    expect(page.locator(".page-title .state")).to_have_text("Sending")
    page.get_by_role("button", name="Pause 7 devices").click()
    expect(page.locator(".page-title .state")).to_have_text("Paused")
    dispatch.work(seconds=60)
    assert sum(chunk.size for chunk in Chunk.objects.filter(bulk=bulk, status=0)) == 7
    expect(page.get_by_role("button", name="Send to 7 more")).to_be_focused()
    page.get_by_role("button", name="Change pace").press("Enter")
    expect(page.get_by_role("dialog", name="Change pace")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Change pace")).to_be_focused()
    expect(page.get_by_text("Only a campaign that is being sent")).to_have_count(0)
    page.get_by_role("button", name="Send to 7 more").click()
    expect(page.locator(".page-title .state")).to_have_text("Sending")
    dispatch.work(seconds=60)
    expect(page.locator("#balance")).to_contain_text("3 waiting")

    Chunk.objects.filter(bulk=bulk).update(not_before=timezone.now() - timedelta(seconds=1))
    dispatch.work(seconds=60)
    expect(page.locator(".page-title .state")).to_have_text("Done")
    expect(page.locator("#balance")).to_contain_text("0 waiting")


def test_opening_a_draft_saves_nothing(
    page: Page, shop: Application, sign_in: Callable[[User], None]
) -> None:
    sign_in(make_user(Role.MARKETER, shop))
    draft = opened(page, shop)
    page.reload(wait_until="load")
    saved(page)
    page.get_by_text("At a time").click()
    expect(page.locator("#save-mark")).to_contain_text("Saving")
    saved(page)
    draft.refresh_from_db()
    assert draft.version == 2


def test_a_second_person_approves_with_the_keyboard_alone(
    page: Page, shop: Application, sign_in: Callable[[User], None]
) -> None:
    Application.objects.filter(pk=shop.pk).update(needs_approval=True)
    writer, reader = make_user(Role.MARKETER, shop), make_user(Role.APPROVER, shop)
    sign_in(writer)
    draft = opened(page, shop)
    expect(page.locator("#launch")).to_have_count(0)
    page.get_by_role("button", name="Ask for approval").press("Enter")
    expect(page.locator("#approval")).to_contain_text("Waits for approval")

    page.goto("about:blank")  # leave it, and let somebody else sit down
    page.context.clear_cookies()
    sign_in(reader)
    page.goto(reverse("campaigns:overview", args=[shop.pk]))
    page.get_by_role("link", name="Spring teaser").first.press("Enter")
    page.get_by_role("button", name="Approve campaign").press("Enter")
    expect(page.locator("#approval")).to_contain_text("Approved by")
    expect(page.locator("#launch")).to_have_count(0)

    page.goto("about:blank")  # leave it, and let somebody else sit down
    page.context.clear_cookies()
    sign_in(writer)
    page.goto(reverse("campaigns:edit", args=[shop.pk, draft.pk]))
    page.locator("#launch").press("Enter")
    expect(page.get_by_text("Nothing has left yet.")).to_be_visible()
    assert Bulk.objects.get(campaign=draft).campaign is not None


def test_a_note_to_the_writer_is_not_saved_as_part_of_the_draft(
    page: Page, shop: Application, sign_in: Callable[[User], None]
) -> None:
    Application.objects.filter(pk=shop.pk).update(needs_approval=True)
    sign_in(make_user(Role.MARKETER, shop))
    draft = opened(page, shop)
    page.get_by_role("button", name="Ask for approval").click()
    expect(page.locator("#approval")).to_contain_text("Waits for approval")
    version = page.locator("#draft-version").input_value()

    page.goto("about:blank")  # leave it, and let somebody else sit down
    page.context.clear_cookies()
    sign_in(make_user(Role.MARKETER, shop))
    page.goto(reverse("campaigns:edit", args=[shop.pk, draft.pk]))
    page.get_by_label("Why it goes back").fill("Nobody says teaser")
    page.get_by_role("button", name="Send it back").click()

    expect(page.locator("#approval")).to_contain_text("Nobody says teaser")
    expect(page.locator("#draft-version")).to_have_value(version)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_of_delivery_are_accessible_and_fit_the_screen(
    page: Page,
    shop: Application,
    sign_in: Callable[[User], None],
    accessibility_problems: Callable[[Page], list[str]],
    scheme: str,
    width: int,
) -> None:
    Application.objects.filter(pk=shop.pk).update(
        needs_approval=True, quiet_from="22:00", quiet_to="08:00", cap_count=2, cap_hours=24
    )
    sign_in(make_user(Role.ADMINISTRATOR, shop))
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    tomorrow = timezone.now() + timedelta(days=1)
    repeat = {
        "kind": "repeat", "date": f"{tomorrow:%Y-%m-%d}", "time": "09:00", "every": "day",
        "zone": "Europe/Berlin", "until": None, "count": 5,
    }  # fmt: skip
    campaign = make_campaign(
        shop, name="Morning news", timing=repeat, launched_at=timezone.now(),
        canary={"devices": 2, "minutes": 15, "failed": 5, "then": "go_on"},
    )  # fmt: skip
    make_bulk(
        shop, campaign=campaign, delivery={"timing": repeat}, status="done",
        frozen_at=timezone.now(), finished_at=timezone.now(), audience=7,
    )  # fmt: skip
    draft = make_campaign(shop, name="Draft", timing=repeat, canary=campaign.canary)
    for name, arguments in (
        ("calendar", [shop.pk]),
        ("detail", [shop.pk, campaign.pk]),
        ("edit", [shop.pk, draft.pk]),
    ):
        page.goto(reverse(f"campaigns:{name}", args=arguments))
        expect(page.locator(".skeleton:visible")).to_have_count(0)
        assert accessibility_problems(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    page.goto(f"{reverse('campaigns:calendar', args=[shop.pk])}?view=week")
    assert accessibility_problems(page) == []
    page.get_by_role("link", name="Later").click()
    expect(page).to_have_url(re.compile("day="))
