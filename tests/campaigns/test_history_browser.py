"""Versions of a draft in a browser: looked at, compared, restored with the keyboard."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from campaigns import drafting
from campaigns.models import Campaign
from devices.models import Role
from tests.campaigns.composer import opened, saved
from tests.factories import make_user

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(300),
]


def test_what_was_typed_is_compared_and_taken_back_with_the_keyboard(
    page: Page, draft: Campaign
) -> None:
    opened(page, draft)
    page.get_by_label("Text", exact=True).focus()
    page.keyboard.press("End")
    page.keyboard.type(", and tomorrow")
    expect(page.locator("#draft-version")).to_have_value("2")
    saved(page)
    page.get_by_role("link", name="Versions").focus()
    page.keyboard.press("Enter")

    expect(page.locator("#changes ins")).to_contain_text(["only, and tomorrow"])
    page.get_by_role("button", name="Restore version 1").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Restore version 1")
    dialog.get_by_role("button", name="Restore version 1").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_label("Text", exact=True)).to_have_value("Today only")
    expect(page.get_by_text("says again what version 1 said")).to_be_visible()
    page.get_by_role("link", name="Versions").click()
    expect(page.get_by_role("cell", name="Version 1 again")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_of_versions_is_accessible_and_fits_the_screen(
    page: Page,
    draft: Campaign,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    for number, text in enumerate(("Today and tomorrow only", "Tomorrow"), start=1):
        writer = make_user(Role.MARKETER, draft.application)
        said = {"text": text, "image_url": f"https://cdn.example/{number}.png"}
        drafting.save_draft(draft, version=number, draft={"ttl": 3600}, content=said, user=writer)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    page.goto(reverse("campaigns:versions", args=[draft.application_id, draft.pk]) + "?before=1")

    expect(page.locator("#versions tbody tr")).to_have_count(3)
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=screenshots / f"versions-{scheme}-{width}.png", full_page=True)
