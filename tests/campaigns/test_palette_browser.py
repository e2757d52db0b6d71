"""The command palette in a browser: by keyboard alone, on a phone, without the server."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, Route, expect

from campaigns.models import Campaign, Segment
from devices.models import Application, Role
from tests.browsers import wait_until
from tests.campaigns.test_views_palette import sending
from tests.complaints import Complaints
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_person,
    make_registration,
    make_user,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
SignIn = Callable[[User], None]
Ask = Callable[..., list[str]]
MARKED = "[role=option][aria-selected=true]"


@pytest.fixture
def shop(sign_in: SignIn) -> Application:
    application = make_application(name="Shop")
    make_credential(application)
    make_registration(
        application, person=make_person(external_id="p1", first_name="Ana"), model="Galaxy S24"
    )
    make_campaign(application, name="Friday sale")
    Segment.objects.create(application=application, name="Friday buyers", rule={"all": []})
    sign_in(make_user(Role.ADMINISTRATOR, application))
    return application


def opened(page: Page, address: str) -> Page:
    """A page with its palette opened by the shortcut."""
    page.goto(address)
    expect(page.locator("[data-palette]")).to_be_visible()
    wait_until(page, "window.pushadmin !== undefined && window.htmx !== undefined")
    page.wait_for_load_state("load")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Find or do something")).to_be_focused()
    return page


def overview(application: Application) -> str:
    return reverse("campaigns:overview", args=[application.pk])


def test_it_jumps_to_a_page_by_keyboard_alone(page: Page, shop: Application) -> None:
    opened(page, overview(shop))
    page.keyboard.type("devi")
    expect(page.locator(MARKED)).to_have_text("Devicesgd")
    page.keyboard.press("ArrowDown")
    expect(page.locator(MARKED)).to_have_text("Device basegb")
    page.keyboard.press("Enter")

    page.wait_for_url(f"**{reverse('devices:base', args=[shop.pk])}")


def test_it_opens_and_closes_by_its_shortcut_and_gives_the_focus_back(
    page: Page, shop: Application
) -> None:
    page.goto(reverse("devices:list", args=[shop.pk]))
    page.wait_for_load_state("load")
    search = page.get_by_label("Find devices")
    search.fill("ana")
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Command palette")
    expect(palette).to_be_visible()
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    expect(search).to_be_focused()
    expect(search).to_have_value("ana")
    page.keyboard.press("Meta+k")
    expect(palette).to_be_visible()
    page.keyboard.press("Control+k")

    expect(palette).to_be_hidden()


def test_it_finds_what_the_server_knows_as_somebody_types(page: Page, shop: Application) -> None:
    campaign = Campaign.objects.get()
    opened(page, overview(shop))
    page.keyboard.type("friday s")
    option = page.get_by_role("option", name="Friday sale")
    expect(option).to_have_attribute("aria-selected", "true")
    expect(page.locator("#palette-said")).to_have_text("1 found")
    page.keyboard.press("Enter")

    page.wait_for_url(f"**{reverse('campaigns:edit', args=[shop.pk, campaign.pk])}")


def test_older_answers_are_neither_shown_nor_chosen(page: Page, shop: Application) -> None:
    opened(page, overview(shop))
    page.keyboard.type("friday")
    expect(page.get_by_role("option", name="Friday buyers")).to_be_visible()
    late: list[Route] = []

    def hold(route: Route) -> None:
        late.append(route)

    page.route("**/palette/?*", hold)
    page.keyboard.type(" b")
    expect(page.locator("#palette-spinner")).to_be_visible()
    assert page.locator(MARKED).count() == 0
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Command palette")).to_be_visible()
    page.unroute("**/palette/?*")
    page.keyboard.type("u")

    expect(page.locator(MARKED)).to_contain_text("Friday buyers")
    expect(page.get_by_role("option", name="Friday sale")).to_have_count(0)


def test_it_presses_the_very_button_of_the_page(page: Page, shop: Application) -> None:
    campaign = sending(shop, "Summer teaser")
    opened(page, campaign.get_absolute_url())
    page.keyboard.type("cancel")
    expect(page.locator(MARKED)).to_have_text("Cancel campaign")
    page.keyboard.press("Enter")
    asking = page.get_by_role("dialog", name="Cancel Summer teaser")
    expect(asking).to_be_visible()
    expect(asking.get_by_role("button", name="Cancel campaign")).to_be_disabled()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("pause")
    expect(page.locator(MARKED)).to_have_text("Pause 1 device")
    page.keyboard.press("Enter")

    expect(page.get_by_role("button", name="Send to 1 more")).to_be_visible()


def test_it_pauses_a_campaign_from_another_page(page: Page, shop: Application) -> None:
    campaign = sending(shop, "Summer teaser")
    opened(page, overview(shop))
    page.keyboard.type("pause summer")
    expect(page.locator(MARKED)).to_contain_text("Pause Summer teaser")
    page.keyboard.press("Enter")

    page.wait_for_url(f"**{campaign.get_absolute_url()}")
    expect(page.locator(".toast")).to_contain_text("The campaign is paused")


def test_it_makes_a_campaign_and_chooses_a_theme(page: Page, shop: Application) -> None:
    opened(page, overview(shop))
    page.keyboard.type("dark")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("Control+k")
    page.keyboard.type("new camp")
    page.keyboard.press("Enter")

    page.wait_for_url("**/campaigns/*/edit/")


def test_the_shortcuts_help_lists_it_and_it_opens_the_help(page: Page, shop: Application) -> None:
    opened(page, overview(shop))
    page.keyboard.type("shortcuts")
    page.keyboard.press("Enter")

    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text(
        "Find or do something"
    )
    expect(page.get_by_role("dialog", name="Command palette")).to_be_hidden()


def test_without_the_server_pages_are_listed_and_it_searches_again_when_online(
    page: Page, shop: Application, complaints: Complaints
) -> None:
    complaints.expect("ERR_INTERNET_DISCONNECTED")
    complaints.expect("htmx:")
    opened(page, overview(shop))
    page.context.set_offline(True)
    page.keyboard.type("fri")
    expect(page.locator("#palette-said")).to_contain_text("The server does not answer")
    expect(page.get_by_role("combobox")).to_have_value("fri")
    expect(page.locator(".toast")).to_have_count(0)
    page.keyboard.press("Control+a")
    page.keyboard.type("pe")
    expect(page.locator(MARKED)).to_contain_text("People")
    page.keyboard.press("Control+a")
    page.keyboard.type("fri")
    page.context.set_offline(False)

    expect(page.get_by_role("option", name="Friday buyers")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_it_is_accessible_fits_the_screen_and_never_moves(
    page: Page, shop: Application, accessibility_problems: Ask, scheme: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(
        color_scheme="light" if scheme == "light" else "dark", reduced_motion="reduce"
    )
    page.goto(overview(shop))
    page.wait_for_load_state("load")
    page.get_by_role("button", name="Command palette").click()
    palette = page.get_by_role("dialog", name="Command palette")
    expect(page.get_by_role("combobox")).to_be_focused()
    assert accessibility_problems(page, part="#palette") == []
    before = palette.bounding_box()
    page.keyboard.type("friday")
    expect(page.get_by_role("option", name="Friday buyers")).to_be_visible()

    assert accessibility_problems(page, part="#palette") == []
    assert palette.bounding_box() == before
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
