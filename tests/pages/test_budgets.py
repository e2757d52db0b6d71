"""What a page costs a browser that sees it for the first time, from the web server itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from tests.browsers import let_in, new_profile
from tests.flows.processes import WebServer, collected
from tests.pages.addresses import Page, pages
from tests.pages.installation import Installation

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(900),  # seconds; a hundred pages
]
KILOBYTES, WITH_A_CHART = 250, 550  # compressed, with everything a page needs
SHIFT = 0.05  # of the layout, until nothing is awaited any more
YEAR = 31_536_000  # seconds
# What the browser measured while a page came in.
LOADED = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const rest = performance.getEntriesByType("resource");
  const plain = (one) => one.decodedBodySize > 1000 && one.encodedBodySize >= one.decodedBodySize;
  return {
    bytes: [page, ...rest].reduce((sum, one) => sum + one.transferSize, 0),
    uncompressed: [page, ...rest].filter(plain).map((one) => one.name),
    foreign: rest.map((one) => one.name).filter((name) => !name.startsWith(location.origin)),
    blocking: rest.filter((one) => one.initiatorType === "script"
        && one.renderBlockingStatus === "blocking").map((one) => one.name),
    synchronous: [...document.querySelectorAll("head script[src]")].filter((one) =>
        !one.defer && !one.async && one.type !== "module").map((one) => one.src),
    inline: [...document.scripts].filter((one) => !one.src
        && !["application/json", "speculationrules"].includes(one.type)).length,
    chart: document.querySelector("[data-chart]") !== null,
    shift: window.shifted,
    moved: window.moved,
  };
}"""
WATCH = """
window.shifted = 0;
window.moved = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) {
    window.shifted += one.value;
    for (const { node, previousRect, currentRect } of one.sources) {
      const name = node?.id || node?.className || node?.nodeName;
      window.moved.push(`${name} from ${previousRect.y} to ${currentRect.y}`);
    }
  }
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    environment = {**collected(tmp_path), "PUBLIC_BASE_URL": "http://testserver"}
    web = WebServer(tmp_path / "web.log", environment)
    yield web.url
    web.stop()


@pytest.fixture
def installation_pages(installation: Installation, administrator: Client) -> list[Page]:
    return pages(installation, administrator)


def test_every_page_keeps_its_budget(
    browser: Browser, server: str, installation_pages: list[Page], administrator: Client
) -> None:
    """Bytes, blocking scripts and shifts; how quick it is depends on the machine."""
    broken = []
    for signed_in in (True, False):
        context = new_profile(browser, server)
        context.add_init_script(WATCH)
        if signed_in:
            let_in(context, administrator, server)
        tab = context.new_page()
        tab.emulate_media(reduced_motion="reduce")
        network = context.new_cdp_session(tab)
        network.send("Network.enable")
        network.send("Network.setCacheDisabled", {"cacheDisabled": True})
        for page in installation_pages:
            if page.signed_in == signed_in:
                broken += [f"{page.name}: {each}" for each in too_much(measured(tab, page.address))]
        context.close()

    assert broken == []


def measured(tab: Tab, address: str) -> dict[str, Any]:
    """What a page cost once nothing is awaited any more."""
    answer = tab.goto(address, wait_until="load")
    assert answer is not None
    assert answer.status == 200, f"{address}: {answer.status}"
    expect(tab.locator(".skeleton:visible")).to_have_count(0)
    expect(tab.locator(".htmx-request")).to_have_count(0)
    painted = (
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    tab.evaluate(painted)
    found: dict[str, Any] = tab.evaluate(LOADED)
    return found


def too_much(found: dict[str, Any]) -> list[str]:
    most = WITH_A_CHART if found["chart"] else KILOBYTES
    faults = []
    if found["bytes"] > most * 1000:
        faults.append(f"{found['bytes'] / 1000:.0f} KB of {most}")
    if found["shift"] > SHIFT:
        faults.append(f"its layout shifts by {found['shift']:.3f}: {', '.join(found['moved'])}")
    words = ("uncompressed", "foreign", "blocking", "synchronous", "inline")
    return faults + [f"{word}: {found[word]}" for word in words if found[word]]


def test_static_files_are_compressed_and_kept_for_good(server: str) -> None:
    client = httpx.Client(base_url=server, trust_env=False, timeout=60)
    files = set(static_files(client.get("/login/").text))
    assert len(files) >= 4

    for file in files:
        answer = client.get(file)
        assert answer.status_code == 200, file
        assert f"max-age={10 * YEAR}" in answer.headers["cache-control"], file
        assert "immutable" in answer.headers["cache-control"], file
        if len(answer.content) > 1000:
            assert answer.headers.get("content-encoding") in {"gzip", "br"}, file


def static_files(page: str) -> list[str]:
    return [
        part.partition('"')[0] for part in page.split('="') if part.startswith(settings.STATIC_URL)
    ]
