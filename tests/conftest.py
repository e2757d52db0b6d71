"""Fixtures everybody shares: a signed-in browser, a page that must not complain."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, BrowserContext, Page
from pytest_django.live_server_helper import LiveServer

from embedded import packages
from tests.browsers import chromium, let_in, new_page, new_profile
from tests.complaints import Complaints
from tests.factories import client_of

AXE = packages.NODE_MODULES / "axe-core/axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a module's tests.

    Not for the whole session: as long as it is open, Playwright keeps an event loop in this
    thread, and a test of another module could run none of its own.
    """
    with chromium() as opened:
        yield opened


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def browsing(
    browser: Browser, live_server: LiveServer, complaints: Complaints
) -> Iterator[BrowserContext]:
    """A fresh browser profile at the live server; its pages must not complain."""
    context = new_profile(browser, live_server.url)
    context.on("page", complaints.listen)
    yield context
    context.close()
    assert complaints.unexpected() == []


@pytest.fixture
def page(browsing: BrowserContext) -> Page:
    """A page at the live server: any console error, page error or failed request fails."""
    return new_page(browsing)


@pytest.fixture
def sign_in(browsing: BrowserContext, live_server: LiveServer) -> Callable[[User], None]:
    """Sign a user in without the login page, for tests of other pages."""

    def sign(user: User) -> None:
        let_in(browsing, client_of(user), live_server.url)

    return sign


# What still fades in has less contrast than what anybody reads. What is hidden never gets there.
AT_REST = """() => Promise.race([
    Promise.allSettled(
        document.getAnimations()
            .filter((each) => each.effect.getComputedTiming().iterations !== Infinity)
            .map((each) => each.finished)),
    new Promise((over) => setTimeout(over, 1000)),
]).then(() => null)"""


@pytest.fixture
def accessibility_problems() -> Callable[..., list[str]]:
    """Ask axe-core about a page, or a part of it: one line per broken rule of WCAG 2.2 AA."""
    axe = AXE.read_text()

    def ask(page: Page, part: str = "html", only: Sequence[str] = WCAG) -> list[str]:
        if not page.evaluate("window.axe !== undefined"):
            # Evaluated by the debugger, which the page's content security policy allows.
            page.evaluate(axe)
        page.evaluate(AT_REST)
        rules = json.dumps({"runOnly": only, "resultTypes": ["violations"]})
        found = page.evaluate(f"axe.run({json.dumps(part)}, {rules})")
        return [
            f"{rule['id']}: {rule['help']}: {[node['target'] for node in rule['nodes']]}"
            for rule in found["violations"]
        ]

    return ask


@pytest.fixture
def screenshots() -> Path:
    """Where tests leave pictures of pages."""
    folder = Path(os.environ["PUSHADMIN_TEST_HOME"]) / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder
