"""Templates in a browser: kept, taken over, undone and started, by mouse and by keyboard."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from campaigns import templating
from campaigns.models import Campaign, ContentTemplate
from devices.models import Role
from tests.campaigns.composer import opened, saved
from tests.factories import make_campaign, make_user

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(300),
]


def keep(draft: Campaign, name: str, **said: str) -> ContentTemplate:
    writer = make_user(Role.MARKETER, draft.application)
    return templating.keep(make_campaign(draft.application, **said), writer, name=name)


def test_a_draft_is_kept_and_a_template_taken_over_and_undone(page: Page, draft: Campaign) -> None:
    keep(draft, "Welcome", title="Hello", text="Good to see you")
    opened(page, draft)
    text, shown = page.get_by_label("Text", exact=True), page.locator("#preview .push-text").first
    text.fill("Tomorrow, too")
    page.get_by_role("button", name="Templates", exact=True).click()
    dialog = page.get_by_role("dialog", name="Templates")
    dialog.get_by_label("Keep what this draft says as").fill("Sale")
    dialog.get_by_role("button", name="Save as template").click()
    expect(page.get_by_text("Kept as the template “Sale”")).to_be_visible()
    assert ContentTemplate.objects.get(name="Sale").contents[0]["text"] == "Tomorrow, too"

    dialog.get_by_label("Search templates").fill("welc")
    expect(dialog.get_by_role("button", name="Use the template")).to_have_count(1)
    dialog.get_by_role("button", name="Use the template Welcome").click()

    expect(dialog).to_be_hidden()
    expect(text).to_have_value("Good to see you")
    expect(shown).to_have_text("Good to see you")
    saved(page)
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(text).to_have_value("Tomorrow, too")
    expect(shown).to_have_text("Tomorrow, too")
    text.fill("And on Monday")
    saved(page)
    assert draft.contents.get().text == "And on Monday"


def test_a_template_is_taken_over_and_undone_with_the_keyboard_alone(
    page: Page, draft: Campaign
) -> None:
    keep(draft, "Welcome", text="Good to see you")
    opened(page, draft)
    page.get_by_role("button", name="Templates", exact=True).focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Templates")
    use = dialog.get_by_role("button", name="Use the template Welcome")
    expect(use).to_be_visible()
    for _ in range(6):
        if use.evaluate("one => one === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(use).to_be_focused()
    page.keyboard.press("Enter")

    text = page.get_by_label("Text", exact=True)
    expect(text).to_have_value("Good to see you")
    expect(page.get_by_role("button", name="Templates", exact=True)).to_be_focused()
    page.keyboard.press("u")
    expect(text).to_have_value("Today only")


def test_a_campaign_is_started_from_the_page_of_templates(page: Page, draft: Campaign) -> None:
    keep(draft, "Welcome", text="Good to see you")
    page.goto(reverse("campaigns:list", args=[draft.application_id]))
    page.get_by_role("link", name="From a template").click()
    page.get_by_role("button", name="Start campaign from Welcome").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
    expect(page.get_by_label("Text", exact=True)).to_have_value("Good to see you")
    page.get_by_role("link", name="Templates").first.click()
    page.get_by_role("link", name="1 campaign").click()
    expect(page.get_by_role("link", name="Welcome", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Friday sale")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_templates_are_accessible_and_fit_the_screen(
    page: Page,
    draft: Campaign,
    accessibility_problems: Callable[..., list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    keep(draft, "Welcome", title="Good to see you", text="Your first order is on us. " * 4)
    keep(draft, "Back in stock", text="It is here again", image_url="https://cdn.example/a.png")
    shown = keep(draft, "Goodbye, until we meet again in the autumn", title="Bye", text="See you")
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(
        color_scheme="light" if scheme == "light" else "dark", reduced_motion="reduce"
    )
    places = {
        "templates": reverse("campaigns:templates", args=[draft.application_id]),
        "template": shown.get_absolute_url(),
    }
    for name, place in places.items():
        page.goto(place)
        assert accessibility_problems(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=screenshots / f"{name}-{scheme}-{width}.png", full_page=True)
    opened(page, draft)
    page.get_by_role("button", name="Templates", exact=True).click()
    dialog = page.get_by_role("dialog", name="Templates")
    expect(dialog.get_by_role("button", name="Use the template Welcome")).to_be_visible()
    assert accessibility_problems(page, part="#templates") == []
    page.screenshot(path=screenshots / f"template-dialog-{scheme}-{width}.png")
