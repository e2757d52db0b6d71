"""Every page passes axe and fits the screen: both themes, wide and on a phone; so do dialogs."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import pytest
from django.test import Client
from playwright.sync_api import BrowserContext, expect
from playwright.sync_api import Page as Tab
from pytest_django.live_server_helper import LiveServer

from tests.browsers import let_in
from tests.pages.addresses import pages
from tests.pages.installation import Installation

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(900),  # seconds; a hundred pages
]
# Shows a dialog, and lets no colour be on its way to another.
OPEN = """async (id) => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  document.getElementById(id).showModal();
  await frame();
  for (const one of document.getAnimations()) { try { one.finish(); } catch { one.cancel(); } }
  await frame();
}"""
# The smallest step of the scale; the phones of previews are drawings.
SMALLEST = 12  # px
SMALL_TEXT = """least => [...document.body.querySelectorAll("*")].filter((one) =>
  [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())
  && one.checkVisibility() && !one.closest(".phone, script, style")
  && parseFloat(getComputedStyle(one).fontSize) < least)
  .map((one) => `smaller than ${least} px: ${one.textContent.trim().slice(0, 40)}`)"""
Ask = Callable[..., list[str]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_is_accessible_and_fits_the_screen(
    browsing: BrowserContext,
    live_server: LiveServer,
    installation: Installation,
    administrator: Client,
    accessibility_problems: Ask,
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    """The dark theme changes nothing but colours, so only these are asked about there."""
    only = {"only": ["color-contrast"]} if scheme == "dark" else {}
    tab = browsing.new_page()
    tab.set_viewport_size({"width": width, "height": 844})
    tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    found = sorted(pages(installation, administrator), key=lambda page: page.signed_in)
    problems, seen = [], set[str]()
    for number, page in enumerate(found):
        if page.signed_in and not found[number - 1].signed_in:
            let_in(browsing, administrator, live_server.url)
        tab.goto(page.address)
        expect(tab.locator(".skeleton:visible")).to_have_count(0)
        expect(tab.locator(".htmx-request")).to_have_count(0)
        ask = partial(accessibility_problems, tab, **only)
        problems += [f"{page.name}: {each}" for each in faults(tab, ask, seen)]

    assert not problems, "\n".join(problems)


def faults(tab: Tab, ask: Ask, seen: set[str]) -> list[str]:
    """Of a page, and of each dialog that no page before it held."""
    found = ask()
    if not tab.evaluate("document.documentElement.scrollWidth <= innerWidth"):
        found.append("wider than the screen")
    found += tab.evaluate(SMALL_TEXT, SMALLEST)
    if tab.locator("h1").count() != 1:
        found.append(f"{tab.locator('h1').count()} headings of the first level")
    for name in tab.eval_on_selector_all("dialog[id]", "every => every.map(one => one.id)"):
        if name not in seen:
            seen.add(name)
            tab.evaluate(OPEN, name)
            found += [f"dialog {name}: {each}" for each in ask(part=f"#{name}")]
            tab.evaluate("id => document.getElementById(id).close()", name)
    return found
