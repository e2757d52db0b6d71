"""What stands behind "Sound, badge, buttons …" in a browser, and the push inside the app."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from campaigns.models import Campaign
from tests.campaigns.composer import opened, saved

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(300),
]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("dark", 390)])
def test_a_push_inside_the_app_is_chosen_and_seen_with_the_keyboard(
    page: Page,
    draft: Campaign,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    opened(page, draft)
    expect(page.get_by_label("Sound", exact=True)).to_be_hidden()

    page.get_by_text("Sound, badge, buttons").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Push only", exact=True).focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Also a banner", exact=True)).to_be_checked()
    expect(page.get_by_label("Button that opens")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    page.get_by_label("Button that opens").fill("Show me")
    page.get_by_label("Data for the app").fill('{"order": }')
    expect(page.locator("#id_custom_payload_field .errorlist")).to_contain_text("column 11")
    page.get_by_label("Data for the app").fill('{"order": 7}')
    expect(page.locator("#id_custom_payload_field .errorlist")).to_have_count(0)
    saved(page)
    assert draft.contents.get().options == {
        "in_app_style": "MODAL",
        "in_app_open_title": "Show me",
        "custom_payload": {"order": 7},
    }

    if width == 390:
        page.get_by_role("button", name="Preview", exact=True).click()
    phone = page.locator("#preview .phone:visible")
    expect(phone).to_have_attribute("data-platform", "app")
    expect(phone.locator(".push-buttons")).to_contain_text("Show me")
    cut_off = "every => every.filter(one => one.scrollWidth > one.clientWidth).length"
    assert page.locator(".segmented").evaluate_all(cut_off) == 0
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=screenshots / f"in-app-{scheme}-{width}.png")
    page.get_by_role("button", name="Android", exact=True).click()
    expect(phone).to_have_attribute("data-platform", "android")
