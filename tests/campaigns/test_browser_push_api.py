"""Pages of Push API campaigns in a browser: accessible in both themes, at both widths."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from devices.models import Application, Role
from tests.campaigns.push_api import every_state, make_campaign, push
from tests.factories import make_application, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def shop(sign_in: Callable[[User], None]) -> Application:
    application = make_application(name="Shop")
    sign_in(make_user(Role.ADMINISTRATOR, application))
    every_state(application, make_campaign(deep_link={"ins_dl_internal": "https://shop.example"}))
    push(application, make_campaign(8, name="A sale whose name is long, as names of sales are"))
    return application


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_accessible_and_fit_the_screen(
    page: Page,
    shop: Application,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    ways = (
        ("push-api", [shop.pk], "Push API campaigns"),
        ("push-api-detail", [shop.pk, 7], "Back in stock"),
    )
    for name, place, title in ways:
        page.goto(reverse(f"campaigns:{name}", args=place))
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        assert accessibility_problems(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=screenshots / f"{name}-{width}-{scheme}.png", full_page=True)


def test_from_the_campaigns_to_a_campaign_of_the_api(page: Page, shop: Application) -> None:
    page.goto(reverse("campaigns:list", args=[shop.pk]))
    page.get_by_role("link", name="Push API campaigns").click()
    page.get_by_label("Search by name or camp_id").fill("stock")
    expect(page.get_by_role("link", name="A sale")).to_have_count(0)
    page.get_by_role("link", name="Back in stock").click()

    expect(page.get_by_text("The app was removed from these devices.")).to_be_visible()


def test_a_key_of_insiders_has_a_list_of_its_own(page: Page, shop: Application) -> None:
    page.goto(reverse("devices:access-key-new"))
    lists = page.get_by_label("Only from")
    expect(lists.filter(visible=True)).to_have_count(1)  # the script has hidden the other
    expect(lists.filter(visible=True)).to_have_value("")

    page.get_by_text("Insider push API").click()

    expect(lists.filter(visible=True)).to_have_value("127.0.0.1")
    expect(page.get_by_label("Application optional")).to_be_visible()
