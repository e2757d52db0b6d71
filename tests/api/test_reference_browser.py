"""The reference of the APIs in a browser: accessible in both themes, at both widths."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from devices.models import Role
from tests.factories import make_application, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def reader(sign_in: Callable[[User], None]) -> None:
    sign_in(make_user(Role.DEVELOPER, make_application(name="Shop")))


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_accessible_and_fit_the_screen(
    page: Page,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    ways: tuple[tuple[str, list[str], str], ...] = (
        ("calls", [], "API reference"),
        ("call", ["PushPostPush3Messages"], "Send push messages"),
        ("call", ["InsiderPostApiV2NotificationUser"], "Send to people"),
    )
    for name, place, title in ways:
        page.goto(reverse(f"reference:{name}", args=place))
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
        assert accessibility_problems(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shown = "-".join(["reference", *place, str(width), scheme])
        page.screenshot(path=screenshots / f"{shown}.png", full_page=True)


@pytest.mark.usefixtures("reader")
def test_a_call_is_found_as_one_types_and_opened_by_the_keyboard(page: Page) -> None:
    page.goto(reverse("reference:calls"))
    page.get_by_label("Search paths, calls and members").fill("mirroredPushStyle")
    expect(page.get_by_role("status").filter(has_text="1 call with")).to_be_visible()

    page.get_by_role("link", name="Send push messages").press("Enter")
    expect(page.get_by_role("heading", name="Body")).to_be_visible()

    page.keyboard.press("j")
    expect(page.get_by_role("heading", name="Take delivery reports")).to_be_visible()
