"""Pictures in a browser: checked while somebody types, card by card, by mouse and by keyboard."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from campaigns.models import Campaign
from tests.campaigns.composer import opened, saved
from tests.campaigns.picture_server import serving
from tests.drawings import gif, png
from tests.receiver import Received, Receiver

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(300),
]
FILES = {
    "/good.png": (200, {"Content-Type": "image/png"}, png()),
    "/tall.png": (200, {"Content-Type": "image/png"}, png(300, 900, size=700_000)),
    "/moving.gif": (200, {"Content-Type": "image/gif"}, gif(64, 32)),
    "/page": (200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8", "::1/128"]

    def answer(got: Received) -> Any:
        return FILES.get(got.path, (404, {}, b""))

    with serving(tmp_path, monkeypatch) as receiver:
        receiver.answer = answer
        yield receiver


@pytest.fixture
def draft(draft: Campaign, server: Receiver) -> Campaign:
    """With a picture that can be loaded."""
    draft.contents.update(title="", image_url=f"{server.url}/good.png")
    return draft


def test_a_picture_is_checked_as_it_is_typed_and_a_page_is_refused(
    page: Page, draft: Campaign, server: Receiver
) -> None:
    opened(page, draft)
    image = page.get_by_label("Image optional")
    said = page.locator("#id_image_url_field [role=status]")
    expect(said).to_contain_text("PNG, 1,024 × 512")
    image.fill(f"{server.url}/moving.gif")
    expect(said).to_contain_text("Android and Huawei show no GIF")
    image.fill(f"{server.url}/none.png")
    expect(said).to_contain_text("there is nothing at this address")
    image.fill("http://cdn.example/a.png")
    expect(said).to_contain_text("https alone")
    image.fill("")
    expect(said).to_be_empty()

    image.fill(f"{server.url}/page")
    expect(said).to_contain_text("This is no picture but text/html")
    saved(page)
    page.locator("#launch").click()
    refusal = page.locator("#composer-status").get_by_role("link", name="Image")
    expect(refusal).to_be_visible()
    expect(page.locator("#id_image_url_error")).to_contain_text("no device can show it")
    assert draft.bulks.count() == 0


def test_pictures_of_cards_are_checked_with_the_keyboard_alone(
    page: Page, draft: Campaign, server: Receiver
) -> None:
    opened(page, draft)
    page.get_by_label("One picture").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Add card").focus()
    page.keyboard.press("Enter")
    page.keyboard.type(f"{server.url}/later.png")
    said = page.locator("[data-card] [role=status]").first
    expect(said).to_contain_text("there is nothing at this address")
    asked = len(server.received)
    now = {**FILES, "/later.png": (200, {}, png(500, 500))}
    server.answer = lambda got: now.get(got.path, (404, {}, b""))
    page.keyboard.press("Tab")
    expect(said.get_by_role("button", name="Check again")).to_be_focused()
    page.keyboard.press("Enter")

    expect(said).to_contain_text("PNG, 500 × 500")
    expect(page.get_by_label("Picture", exact=False).last).to_be_focused()
    assert len(server.received) == asked + 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_what_is_said_of_pictures_is_accessible_and_fits_the_screen(
    page: Page,
    draft: Campaign,
    server: Receiver,
    accessibility_problems: Callable[..., list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    draft.contents.update(image_url=f"{server.url}/tall.png")
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(
        color_scheme="light" if scheme == "light" else "dark", reduced_motion="reduce"
    )
    opened(page, draft)
    said = page.locator("#id_image_url_field [role=status]")
    expect(said).to_contain_text("It is too large with 700 KB")
    expect(said).to_contain_text("cut off on Android")
    assert accessibility_problems(page, part="#contents") == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=screenshots / f"picture-check-{scheme}-{width}.png")
