"""Scenarios in a browser: written by mouse and by keyboard alone, chosen by a campaign."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from campaigns import dispatch, failover, fanout
from campaigns.models import Bulk, Campaign, Scenario
from campaigns.store import store
from devices.models import Application, ProviderCredential, Role
from providers.base import Cause, Outcome, Verdict
from tests.campaigns.conftest import Cloud
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_gateway,
    make_person,
    make_registration,
    make_user,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

WAIT = 30_000  # milliseconds
DEAD = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404)
READY = "#scenario-form[data-ready]"


@pytest.fixture
def shop(sign_in: Callable[[User], None]) -> Application:
    """Three people with a phone number, one without, and a device of nobody."""
    store().flushdb()
    application = make_application(name="Shop")
    make_gateway(application)
    for number in range(3):
        make_registration(application, person=make_person(phone=f"4179000000{number}"))
    make_registration(application, person=make_person(external_id="silent"))
    make_registration(application)
    sign_in(make_user(Role.MARKETER, application))
    return application


def make_scenario(shop: Application) -> Scenario:
    steps = [
        {"channel": "PUSH", "sender": shop.code, "validity": 3600},
        {"channel": "SMS", "sender": "InfoSMS", "validity": 86_400},
    ]
    return Scenario.objects.create(key="A" * 32, name="Push, then SMS", steps=steps, default=True)


def order(page: Page) -> list[str]:
    found: list[str] = page.locator("[data-step]").evaluate_all(
        "steps => steps.map((step) => step.dataset.channel)"
    )
    return found


def stored() -> list[tuple[str, int, bool]]:
    [scenario] = Scenario.objects.all()
    return [
        (each["channel"], each["validity"], each.get("accepted_is_enough", False))
        for each in scenario.steps
    ]


def test_a_scenario_is_written_with_the_mouse(page: Page, shop: Application) -> None:
    page.goto(reverse("campaigns:scenarios", args=[shop.pk]))
    page.get_by_role("link", name="New scenario").first.click()
    expect(page.locator(READY)).to_be_visible(timeout=WAIT)
    expect(page.locator("#scenario-reach")).to_contain_text("at most 0.14 EUR", timeout=WAIT)
    page.get_by_label("Name", exact=True).fill("Text first")
    page.get_by_label("From").fill("InfoSMS")
    page.get_by_label("Wait for its delivery").nth(1).fill("90")
    page.get_by_label("Unit of the time").nth(1).select_option("minutes")
    page.get_by_label("Accepted is enough").nth(0).check()
    page.get_by_role("button", name="Text message").click()
    page.get_by_role("button", name="Remove step 3").click()

    grip = page.locator("[data-step]").nth(1).locator("[data-grip]").bounding_box()
    first = page.locator("[data-step]").nth(0).bounding_box()
    assert grip is not None
    assert first is not None
    page.mouse.move(grip["x"] + 8, grip["y"] + 8)
    page.mouse.down()
    page.mouse.move(grip["x"] + 8, first["y"] + first["height"] / 2, steps=5)
    page.mouse.move(grip["x"] + 8, first["y"] + 4, steps=5)
    page.mouse.up()

    expect(page.locator("#scenario-said")).to_have_text("Text message is step 1 of 2 now.")
    assert order(page) == ["SMS", "PUSH"]
    page.get_by_role("button", name="Save scenario").click()
    expect(page.get_by_role("heading", name="Text first")).to_be_visible(timeout=WAIT)
    assert stored() == [("SMS", 5400, False), ("PUSH", 3600, True)]
    expect(page.get_by_text("Campaigns cannot go by it")).to_be_visible()


def tab_to(page: Page, selector: str, *, back: bool = False) -> None:
    """Go there with the Tab key alone."""
    for _ in range(80):
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
        page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


def test_a_scenario_is_written_and_moved_with_the_keyboard_alone(
    page: Page, shop: Application
) -> None:
    page.goto(reverse("campaigns:scenario-new", args=[shop.pk]))
    expect(page.locator(READY)).to_be_visible(timeout=WAIT)
    tab_to(page, "#id_name")
    page.keyboard.type("By hand")
    tab_to(page, "#step-2 [data-move=up]")
    page.keyboard.press("Enter")
    assert order(page) == ["SMS", "PUSH"]
    expect(page.locator("#step-2 [data-move=down]")).to_be_focused()
    page.keyboard.press("Alt+ArrowDown")
    assert order(page) == ["PUSH", "SMS"]
    expect(page.locator("#scenario-said")).to_have_text("Text message is step 2 of 2 now.")
    tab_to(page, "#wait-2")
    page.keyboard.press("Control+A")
    page.keyboard.type("2")
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#wait-2")).to_be_focused()
    page.keyboard.press("Alt+ArrowDown")
    tab_to(page, "[data-add=SMS]")
    page.keyboard.press("Enter")
    expect(page.locator("#sender-new1")).to_be_focused()
    tab_to(page, "#step-new1 [data-remove]", back=True)
    page.keyboard.press("Enter")
    expect(page.locator("#step-2 [data-remove]")).to_be_focused()
    tab_to(page, "button[type=submit]", back=True)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="By hand")).to_be_visible(timeout=WAIT)
    assert stored() == [("PUSH", 3600, False), ("SMS", 7200, False)]


def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(
    page: Page, shop: Application
) -> None:
    page.goto(reverse("campaigns:scenario-new", args=[shop.pk]))
    expect(page.locator(READY)).to_be_visible(timeout=WAIT)
    page.get_by_label("Wait for its delivery").nth(0).fill("500")
    page.get_by_role("button", name="Move step 2 up").click()
    page.get_by_role("button", name="Save scenario").click()

    expect(page.get_by_text("Give the scenario a name.")).to_be_visible(timeout=WAIT)
    expect(page.locator(READY)).to_be_visible(timeout=WAIT)
    assert order(page) == ["SMS", "PUSH"]
    wrong = page.get_by_label("Wait for its delivery").nth(1)
    expect(wrong).to_have_value("500")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Type a time from 1 minute to 48 hours.")).to_be_visible()


def test_a_campaign_goes_by_a_scenario_and_its_page_tells_step_by_step(
    page: Page,
    shop: Application,
    cloud_for: Callable[[ProviderCredential], Cloud],
    settings: Any,
    screenshots: Path,
) -> None:
    """Every push is refused, so the three with a number get a text."""
    settings.LAUNCH_HOLD_SECONDS = 0
    cloud_for(make_credential(shop)).answer = lambda one: DEAD
    texted = cloud_for(shop.credentials.get(provider="sms"))
    scenario, campaign = make_scenario(shop), make_campaign(shop, name="Friday sale")
    page.goto(reverse("campaigns:edit", args=[shop.pk, campaign.pk]))
    choice = page.locator("#scenario-choice")
    page.get_by_label("If it does not arrive").select_option(str(scenario.pk))
    expect(choice).to_contain_text("1. Push", timeout=WAIT)
    expect(choice).to_contain_text("at most 0.14 EUR for one part each")
    expect(choice).to_contain_text("and 1 device of nobody known")
    page.locator("#id_text").fill("x" * 161)
    expect(choice).to_contain_text("at most 0.27 EUR for 2 parts each", timeout=WAIT)
    page.screenshot(path=screenshots / "composer-scenario.png", full_page=True)
    expect(page.locator("#texts")).to_contain_text("0.27 EUR", timeout=WAIT)
    page.get_by_role("button", name="Send to 5 devices").click()
    expect(page.get_by_role("heading", name="Step by step")).to_be_visible(timeout=WAIT)

    assert Campaign.objects.get().scenario == scenario
    fanout.freeze(Bulk.objects.get(campaign=campaign, step=0))
    while dispatch.work(seconds=5) or failover.advance():
        pass

    assert len(texted.taken) == 3
    steps = page.locator("#steps tbody tr")
    expect(steps.nth(0).locator("[data-label=Failed]")).to_have_text("5", timeout=WAIT)
    expect(steps.nth(1).locator("[data-label='On the way']")).to_have_text("3")
    expect(steps.nth(1).locator("[data-label=Cost]")).to_have_text("0.27 EUR")
    page.screenshot(path=screenshots / "campaign-scenario.png", full_page=True)
    page.goto(reverse("campaigns:scenario", args=[shop.pk, scenario.pk]))
    expect(page.locator("main")).to_contain_text("Friday sale")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_of_scenarios_are_accessible_and_fit_the_screen(
    page: Page,
    shop: Application,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    scenario = make_scenario(shop)
    make_campaign(shop, name="Friday sale", scenario=scenario)
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    page.set_viewport_size({"width": width, "height": 900})
    for name, numbers in (
        ("scenarios", []),
        ("scenario", [scenario.pk]),
        ("scenario-edit", [scenario.pk]),
        ("scenario-new", []),
    ):
        page.goto(reverse(f"campaigns:{name}", args=[shop.pk, *numbers]))
        if name != "scenarios":
            expect(page.locator("#scenario-reach .reach-steps")).to_be_visible(timeout=WAIT)
        page.screenshot(path=screenshots / f"{name}-{scheme}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert accessibility_problems(page) == [], name
