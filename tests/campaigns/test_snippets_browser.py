"""Snippets in a browser: put in at the cursor, by mouse and by keyboard, and taken back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from campaigns import snippets
from campaigns.models import Campaign
from devices.models import Role
from tests.campaigns.composer import opened, saved
from tests.factories import make_user

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(300),
]
GREETING = 'Hi {{ first_name | default: "there" }},\n'


@pytest.fixture
def draft(draft: Campaign) -> Campaign:
    """In an application that has snippets."""
    application = draft.application
    ana = make_user(Role.MARKETER, application)
    snippets.create(application, ana, name="Greeting", text=GREETING)
    snippets.create(application, ana, name="Legal line", text=" Until 24 November. No cash.")
    snippets.create(application, ana, name="Long", text="x" * 190)
    return draft


def test_a_snippet_goes_to_the_cursor_and_is_taken_back(page: Page, draft: Campaign) -> None:
    opened(page, draft)
    text, title = page.get_by_label("Text", exact=True), page.get_by_label("Title optional")
    page.get_by_title("Insert a snippet into Text").click()
    page.get_by_role("button", name="Legal line").click()
    expect(text).to_have_value("Today only Until 24 November. No cash.")  # no cursor: at the end
    expect(text).to_be_focused()
    text.press("Control+Home")
    page.get_by_title("Insert a snippet into Text").click()
    page.get_by_role("button", name="Greeting").click()
    expect(text).to_have_value(f"{GREETING}Today only Until 24 November. No cash.")
    text.press("Control+z")  # the browser's own
    expect(text).to_have_value("Today only Until 24 November. No cash.")

    page.get_by_title("Insert a snippet into Title").click()
    page.get_by_role("button", name="Greeting").click()
    expect(title).to_have_value('SaleHi {{ first_name | default: "there" }}, ')  # one line
    page.get_by_title("Insert a snippet into Title").click()
    page.get_by_role("button", name="Long").click()
    expect(page.get_by_text("It does not fit: at most 200 characters")).to_be_visible()
    expect(page.locator("#preview .push-title").first).to_contain_text("SaleHi")
    expect(page.locator("#draft-version")).not_to_have_value("1")
    saved(page)


def test_a_snippet_is_put_in_with_the_keyboard_alone(page: Page, draft: Campaign) -> None:
    opened(page, draft)
    text = page.get_by_label("Text", exact=True)
    text.focus()
    for key in ("Control+Home", "Shift+Control+ArrowRight"):  # "Today" is to be replaced
        page.keyboard.press(key)
    page.keyboard.press("Tab")
    expect(page.get_by_title("Insert a snippet into Text")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="Greeting")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(text).to_be_focused()
    expect(text).to_have_value(" Until 24 November. No cash. only")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Manage snippets")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_title("Insert a snippet into Text")).to_be_focused()
    saved(page)


def test_a_snippet_is_written_with_the_keyboard_and_offered_at_once(
    page: Page, draft: Campaign
) -> None:
    page.goto(reverse("campaigns:templates", args=[draft.application_id]))
    page.get_by_role("link", name="Snippets").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Snippets")).to_be_visible()
    page.keyboard.press("c")
    page.get_by_label("Name").focus()
    page.keyboard.type("Footer")
    page.keyboard.press("Tab")
    page.keyboard.type("Shop Ltd")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Footer")).to_be_visible()

    opened(page, draft)
    page.get_by_title("Insert a snippet into Text").click()
    page.get_by_role("button", name="Footer").click()
    expect(page.get_by_label("Text", exact=True)).to_have_value("Today onlyShop Ltd")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_snippets_are_accessible_and_fit_the_screen(
    page: Page,
    draft: Campaign,
    accessibility_problems: Callable[..., list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(
        color_scheme="light" if scheme == "light" else "dark", reduced_motion="reduce"
    )
    for name, route in (("snippets", "snippets"), ("snippet-new", "snippet-new")):
        page.goto(reverse(f"campaigns:{route}", args=[draft.application_id]))
        assert accessibility_problems(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=screenshots / f"{name}-{scheme}-{width}.png", full_page=True)
    opened(page, draft)
    page.get_by_title("Insert a snippet into Text").click()
    expect(page.get_by_role("link", name="Manage snippets")).to_be_visible()
    # What the open menu covers is no target meanwhile.
    assert accessibility_problems(page, part=".snippet-menu[open]") == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=screenshots / f"snippet-menu-{scheme}-{width}.png")
