"""When a browser has painted the largest part of a page that it sees for the first time.

`python3 manage.py bench paint [--devices N] [--messages N] [--rounds N]`. Headless Chromium asks
the web server as docs/running.md starts it, with nothing in its cache, and says itself when the
largest contentful paint was (https://web.dev/articles/lcp); browser, web server, database and
whatever else the machine does share its processors.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

# Playwright keeps an event loop in the thread, where Django's ORM is only asked before and after.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

import django

django.setup()

from playwright.sync_api import Page, expect  # noqa: E402

from benchmarks.pages import fill  # noqa: E402
from benchmarks.results import Row, Table, report  # noqa: E402
from tests.browsers import chromium, let_in, new_profile, wait_until  # noqa: E402
from tests.factories import client_of  # noqa: E402
from tests.flows.processes import WebServer, collected  # noqa: E402

CEILING = 1500  # milliseconds
PARTS = ("polled", "timeline", "members", "why not")  # of pages, and what they lead to
WATCH = """
window.painted = 0;
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) window.painted = one.startTime;
}).observe({ type: "largest-contentful-paint", buffered: true });
"""


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """On the database of the benchmark, with static files compressed and kept for good."""
    web = WebServer(folder / "web.log", collected(folder))
    try:
        yield web.url
    finally:
        web.stop()


def painted(tab: Page, address: str) -> float:
    """Milliseconds from the click to the largest paint, once nothing is awaited any more."""
    answer = tab.goto(address, wait_until="load")
    assert answer is not None
    assert answer.status == 200, f"{address}: {answer.status}"
    expect(tab.locator(".skeleton:visible")).to_have_count(0)
    return float(wait_until(tab, "window.painted"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    dashboard = fill(options.devices, options.messages)
    pages = {
        name: address
        for name, address in dashboard.pages.items()
        if not any(part in name for part in PARTS)
    }
    rows = []
    with tempfile.TemporaryDirectory() as folder, web_server(Path(folder)) as url, chromium() as it:
        context = new_profile(it, url)
        let_in(context, client_of(dashboard.user), url)
        context.add_init_script(WATCH)
        tab = context.new_page()
        network = context.new_cdp_session(tab)
        network.send("Network.enable")
        network.send("Network.setCacheDisabled", {"cacheDisabled": True})
        for name, address in pages.items():
            painted(tab, address)  # the first is not counted: the server has not read its templates
            times = [painted(tab, address) for _ in range(options.rounds)]
            note = f"slowest {max(times):.0f} ms"
            rows.append(Row(f"{name}, median", median(times), "ms", note, ceiling=CEILING))
    size = f"--devices {options.devices} --messages {options.messages}"
    how = f"manage.py bench paint {size} --rounds {options.rounds}"
    title = (
        f"Largest paint in a browser, {options.devices:,} devices, {dashboard.messages:,} messages"
    )
    report(Table("paint", title, how, rows))


if __name__ == "__main__":
    main()
