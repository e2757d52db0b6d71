"""A browser for the tests and benchmarks, and how somebody is signed in with it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from embedded import browser, packages
from tests.waiting import eventually

PATIENCE = 60_000  # milliseconds; a busy machine may take its time
# Hidden from whoever asks for roles and names; what has the cursor keeps it.
UNSEEN_UNTIL_LOADED = """
const hide = () => {
  if (document.readyState === "complete") return;
  document.documentElement?.setAttribute("aria-hidden", "true");
};
hide();
const begun = new MutationObserver(() => { hide(); begun.disconnect(); });
begun.observe(document, { childList: true });
addEventListener("load", () => document.documentElement.removeAttribute("aria-hidden"));
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless, and patient: what is waited for is a state, not a speed."""
    expect.set_options(timeout=PATIENCE)
    program = browser.chromium()
    # Playwright's own Node needs a library that small systems lack.
    os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(packages.node())
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=program.program,
            env=dict(program.environment),
            args=["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"],
        )
        with launched as opened:
            yield opened


def new_profile(opened: Browser, url: str) -> BrowserContext:
    """A fresh one at a server, on a wide screen."""
    context = opened.new_context(base_url=url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    return context


def new_page(context: BrowserContext) -> Page:
    """One on which no button and no link is found until its scripts run.

    Nobody presses what is not there yet, also where a link or a form led to the page: those
    return before it has loaded, and a key pressed then is pressed for nothing.
    """
    page = context.new_page()
    page.add_init_script(UNSEEN_UNTIL_LOADED)
    return page


def wait_until(page: Page, expression: str) -> Any:
    """What a script says once it is true.

    Asked by the debugger each time: our pages let nobody else evaluate a text, so that
    `wait_for_function` fails unless it is true at once.
    """
    return eventually(lambda: page.evaluate(expression), expression, seconds=PATIENCE / 1000)


def let_in(browsing: BrowserContext, client: Client, url: str) -> None:
    """Give a browser the session of a client."""
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    browsing.add_cookies([{"name": cookie.key, "value": cookie.value, "url": url}])
