"""From an empty installation to a campaign whose figures move: by mouse, and by keyboard alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns import statistics, tasks
from campaigns.models import Bulk
from campaigns.store import store
from devices.models import Application, Platform, ProviderCredential
from tests.campaigns.composer import saved
from tests.factories import make_token, make_user, service_account
from tests.flows.journeys import Hands
from tests.flows.processes import Gateways, Worker
from tests.simulator.running import CALM
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(300),
]
DEVICES = 20


def devices_file(folder: Path) -> Path:
    rows = [f"Android,{make_token(Platform.ANDROID)},en" for _ in range(DEVICES)]
    file = folder / "devices.csv"
    file.write_text("\n".join(["platform,token,language", *rows]) + "\n")
    return file


def test_somebody_who_has_never_seen_it_sends_a_first_campaign(
    page: Page,
    live_server: LiveServer,
    sign_in: Callable[[User], None],
    gateways: Gateways,
    worker: Callable[..., Worker],
    settings: Any,
    tmp_path: Path,
    screenshots: Path,
    by: str,
) -> None:
    hands = Hands(page, by)
    press, write = hands.press, hands.write
    settings.LAUNCH_HOLD_SECONDS = 3
    store().flushdb()
    gateways.ask("POST", "/behaviour", {"latency_ms": 20, **CALM})
    worker(queues="dispatch", children=1)
    # One of the two children waits for receipts most of the time.
    worker("quick", queues="urgent,receipts,default", children=2, LAUNCH_HOLD_SECONDS="3")
    sign_in(make_user(is_superuser=True))
    assert not Application.objects.exists()

    # nothing is there: the first page says what to do
    page.goto("/")
    press(page.get_by_role("link", name="New application").first)
    write(page.get_by_label("Name"), "Corner shop")
    press(page.get_by_role("button", name="Create application"))
    expect(page.get_by_text("Add a credential to reach devices").first).to_be_visible()
    shop = Application.objects.get()
    phones = {"base_url": live_server.url, "applications": {"shop-test": shop.code}}
    gateways.ask("POST", "/phones", {**phones, "rates": {"speed": 30}})

    # a credential, which its cloud knows
    press(page.get_by_text("Add credential").first)
    press(page.get_by_role("link", name="Firebase").first)
    write(page.get_by_label("Or paste what it holds"), json.dumps(service_account()))
    press(page.get_by_role("button", name="Save credential"))
    expect(page.get_by_text("shop-test").first).to_be_visible()
    credential = ProviderCredential.objects.get()
    press(page.get_by_role("button", name="Test").first)
    eventually(
        lambda: ProviderCredential.objects.filter(pk=credential.pk, test_ok=True).exists(),
        what="the cloud has said that the credential works",
    )

    # devices
    page.goto(reverse("devices:imports", args=[shop.pk]))
    page.set_input_files("input[type=file]", devices_file(tmp_path))
    press(page.get_by_role("button", name="Import file"))
    eventually(lambda: shop.registrations.count() == DEVICES, what="the devices are there")

    # a campaign
    press(page.get_by_role("link", name="Campaigns").first)
    press(page.get_by_role("button", name="New campaign").first)
    expect(page.locator("#preview .push-text").first).to_have_text("What you write appears here.")
    write(page.get_by_label("Title"), "Open now")
    write(page.get_by_label("Text", exact=True), "The shop around the corner")
    expect(page.locator("#preview .push-title").first).to_have_text("Open now")
    saved(page)
    press(page.get_by_role("button", name=f"Send to {DEVICES} devices"))
    expect(page.get_by_role("button", name="Undo launch")).to_be_visible()

    # the figures move
    def arrived() -> bool:
        tasks.revive()
        tasks.consume_receipts.delay()
        funnel = statistics.funnel(Bulk.objects.get())
        return funnel.accepted == DEVICES and funnel.delivered > DEVICES // 2

    eventually(arrived, seconds=90, what="the phones have reported")
    expect(page.locator("#balance")).to_contain_text("delivered")
    expect(page.get_by_text("Done").first).to_be_visible()
    assert gateways.ledger()["fcm"]["distinct"] == DEVICES
    page.screenshot(path=screenshots / f"first-campaign-{by}.png", full_page=True)
