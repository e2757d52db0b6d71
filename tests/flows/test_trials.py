"""A test of a draft in a browser: the simulated clouds answer, and no figure moves."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from campaigns.models import Message
from devices.models import Platform, Role
from tests.campaigns.composer import opened, saved
from tests.factories import make_campaign, make_person, make_registration, make_user
from tests.flows.conftest import make_shop
from tests.flows.processes import Gateways

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("clouds_at_hand"),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_test_goes_to_named_devices_with_the_keyboard_and_their_clouds_answer(
    page: Page,
    sign_in: Callable[[User], None],
    gateways: Gateways,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
) -> None:
    shop = make_shop()
    ana = make_person(external_id="ana-1", first_name="Ana")
    make_registration(shop, person=ana, platform=Platform.IOS)
    make_registration(shop, person=ana, platform=Platform.ANDROID)
    draft = make_campaign(shop, name="Friday sale", text="Today only")
    sign_in(make_user(Role.MARKETER, shop))
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    if scheme == "dark":
        page.set_viewport_size({"width": 390, "height": 844})
    opened(page, draft)
    page.get_by_label("Text", exact=True).fill("Hi {{ first_name }}")

    page.get_by_role("button", name="Send test").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Send a test")
    for platform in ("iOS", "Android"):
        dialog.get_by_label("Find a device").fill("ana-1")
        use = dialog.get_by_role("button", name=f"Use Ana, {platform}")
        use.focus()
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("checkbox", name=f"Ana, {platform}")).to_be_checked()
    dialog.get_by_role("button", name="Send test").focus()
    page.keyboard.press("Enter")

    answers = dialog.locator("[data-answer]")
    expect(answers).to_have_count(2)
    expect(answers.nth(0)).to_contain_text("Accepted")
    expect(answers.nth(1)).to_contain_text("The cloud answered: 200")
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=screenshots / f"trial-{scheme}.png")
    texts = [str(row["payload"]) for row in gateways.messages()]
    assert len(texts) == 2
    assert all("Hi Ana" in text for text in texts)
    assert not Message.objects.exists()
    dialog.get_by_role("button", name="Close").click()
    saved(page)
    expect(page.get_by_role("button", name="Send to 2 devices")).to_be_visible()
