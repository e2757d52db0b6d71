"""The whole journey, as a marketer and a support agent take it in the browser."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns import statistics, tasks
from campaigns.models import Bulk, Message
from campaigns.store import store
from devices.models import Role
from simulator.demo_csv import write_csv
from tests.factories import make_user
from tests.flows.conftest import make_shop
from tests.flows.processes import Gateways, Worker
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(240),
]

DEVICES = 400
BAD_ROW = "not-a-uuid,Symbian,token,,,,,,,,,,,,,,,,,,\n"


def everything_runs(
    gateways: Gateways,
    worker: Callable[..., Worker],
    live_server: LiveServer,
    codes: dict[str, str],
) -> None:
    store().flushdb()
    gateways.ask("POST", "/behaviour", {"latency_ms": 20, "busy": 0, "unregistered": 0.05})
    phones = {"base_url": live_server.url, "applications": codes, "rates": {"speed": 30}}
    gateways.ask("POST", "/phones", phones)
    worker(queues="dispatch", children=1)
    worker("quick", queues="urgent,receipts,default", children=2, LAUNCH_HOLD_SECONDS="6")


def test_from_a_csv_to_a_delivered_campaign(
    page: Page,
    live_server: LiveServer,
    gateways: Gateways,
    worker: Callable[..., Worker],
    settings: Any,
    tmp_path: Path,
    screenshots: Path,
) -> None:
    settings.LAUNCH_HOLD_SECONDS = 6
    shop = make_shop()
    marketer = make_user(Role.MARKETER, shop, first_name="Mia")
    codes = {"shop-test": shop.code, "com.example.shop": shop.code}
    everything_runs(gateways, worker, live_server, codes)
    file = tmp_path / "devices.csv"
    write_csv(file, DEVICES, seed=3)
    with file.open("a") as out:
        out.write(BAD_ROW)

    # sign in
    page.goto("/login/")
    page.get_by_label("Username").or_(page.locator("[name=login]")).first.fill(marketer.username)
    page.locator("[name=password]").fill("correct horse")
    page.locator("main button[type=submit], form button[type=submit]").first.click()

    # import a CSV, with one row that cannot be read
    page.get_by_role("link", name="Imports").first.click()
    page.set_input_files("input[type=file]", file)
    page.get_by_role("button", name="Import file").click()
    expect(page.get_by_text("The platform is one of Android")).to_be_visible()
    page.screenshot(path=screenshots / "import.png")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download refused rows").click()
    assert "Symbian" in Path(download.value.path()).read_text()

    # compose, and see the preview and the audience follow
    page.get_by_role("link", name="Campaigns").first.click()
    page.get_by_role("button", name="New campaign").click()
    page.get_by_label("Name").fill("Back in stock")
    page.get_by_label("Title").fill("Back in stock")
    page.get_by_label("Text").fill("The trail shoes you looked at are here again.")
    expect(page.locator(".phone.is-ios .push-text")).to_have_text(re.compile("trail shoes"))
    expect(page.locator("#composer-status")).to_contain_text("Saved")
    everybody = int(page.locator(".audience-number strong").inner_text().replace(",", ""))
    page.get_by_text("iOS", exact=True).first.click()
    expect(page.locator("#audience-size")).to_contain_text("platform is any of iOS")
    some = int(page.locator(".audience-number strong").inner_text().replace(",", ""))
    assert 0 < some < everybody
    page.get_by_text("iOS", exact=True).first.click()
    launch = page.get_by_role("button", name=f"Send to {everybody} devices")
    expect(launch).to_be_enabled()
    page.screenshot(path=screenshots / "composer.png", full_page=True)

    # launch, undo once, launch again
    launch.click()
    undo = page.get_by_role("button", name="Undo launch")
    expect(undo).to_be_visible()
    page.wait_for_load_state("load")  # scripts run
    undo.click()
    expect(page.get_by_text("Draft").first).to_be_visible()
    page.wait_for_load_state("load")
    page.get_by_role("button", name=f"Send to {everybody} devices").click()
    expect(page.get_by_role("button", name="Undo launch")).to_be_visible()

    # watch
    def arrived() -> bool:
        tasks.revive()
        tasks.consume_receipts.delay()
        bulk = Bulk.objects.get()
        funnel = statistics.funnel(bulk)
        return bulk.status == Bulk.Status.DONE and funnel.delivered > 0.7 * funnel.accepted

    eventually(arrived, seconds=60, what="the phones have reported")
    bulk = Bulk.objects.get()

    def agreed() -> bool:
        """Counters, rows and page at one instant; phones go on reporting."""
        page_says = page.locator("#balance").inner_text()
        funnel = statistics.funnel(bulk)
        return funnel == statistics.recount(bulk) and f"{funnel.delivered} delivered" in page_says

    eventually(agreed, seconds=30, what="counters, rows and page agree")
    funnel = statistics.funnel(bulk)
    assert funnel.adds_up
    assert funnel.targeted == everybody
    assert 0 < funnel.seen < funnel.delivered < funnel.accepted
    ledger = gateways.ledger()
    assert sum(ledger[cloud]["accepted"] for cloud in ("fcm", "apns")) == funnel.accepted
    assert sum(ledger[cloud]["distinct"] for cloud in ("fcm", "apns")) == funnel.accepted
    expect(page.get_by_text("Done").first).to_be_visible()
    page.screenshot(path=screenshots / "campaign.png", full_page=True)

    # open the errors, find one device and its message
    row = page.get_by_role("row").filter(has_text="The app was removed from these devices.")
    row.get_by_role("link").click()
    expect(page.get_by_text("The app was removed from the device").first).to_be_visible()
    failed = Message.objects.of_bulk(bulk).filter(state=Message.State.FAILED).count()
    expect(page.locator("tbody tr")).to_have_count(failed)
    page.locator("tbody tr a").first.click()
    expect(page.get_by_text("Back in stock").filter(visible=True).first).to_be_visible()
    expect(page.get_by_text("The app was removed from the device").first).to_be_visible()
    page.screenshot(path=screenshots / "device.png", full_page=True)
