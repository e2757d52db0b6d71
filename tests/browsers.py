"""A browser for the tests and benchmarks, and how somebody is signed in with it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from embedded import browser, packages


@contextmanager
def chromium() -> Iterator[Browser]:
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


def let_in(browsing: BrowserContext, client: Client, url: str) -> None:
    """Give a browser the session of a client."""
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    browsing.add_cookies([{"name": cookie.key, "value": cookie.value, "url": url}])
