"""The system page in a browser: accessible in both themes, and alive."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from campaigns import metrics, pacing, reports, tasks, watching
from campaigns.models import Bulk, Reconciliation
from campaigns.store import store
from devices.models import Provider
from tests.factories import make_application, make_bulk, make_campaign, make_credential, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
URL = "/settings/system/"
SOON = 30_000  # milliseconds: several polls


@pytest.fixture(autouse=True)
def _busy(sign_in: Callable[[User], None]) -> Iterator[None]:
    """An administrator of an installation of which each part has something to show."""
    store().flushdb()
    sign_in(make_user(is_superuser=True))
    application = make_application(name="Shop")
    now = timezone.now()
    make_credential(application, Provider.FCM, paused_at=now, pause_reason="403 refused")
    pacing.pause(pacing.bucket_of(make_credential(application, Provider.APNS)), 3000)
    campaign = make_campaign(application, name="Friday sale")
    bulk = make_bulk(application, campaign=campaign, status=Bulk.Status.PAUSED)
    difference = {
        "bulk": bulk.pk, "what": "sent", "counted": 11, "found": 9, "places": 1, "repaired": False
    }  # fmt: skip
    Reconciliation.objects.create(
        since=now - timedelta(days=8),
        finished_at=now,
        bulks=12,
        differing=1,
        differences=[difference, {**difference, "what": "delivered", "repaired": True}],
    )
    watching.say_alive("worker@here", ["dispatch"], 2)
    store().hset(f"{reports.STREAM}:aside", "1-0", "[")
    has = {"at": time.time(), "hosts": {"fcm.googleapis.com": [2, 40]}}
    store().hset(metrics.PROCESSES, "here:1", json.dumps(has))
    yield
    store().flushdb()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_system_page_is_accessible_and_fits_the_screen(
    page: Page, accessibility_problems: Callable[[Page], list[str]], scheme: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")

    page.goto(URL)

    expect(page.get_by_role("link", name="Friday sale")).to_have_count(3)  # paused, twice counted
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_is_set_aside_is_tried_again_with_the_keyboard(page: Page) -> None:
    page.goto(URL)
    expect(page.get_by_text("Requests that are set aside: 1 with receipts.")).to_be_visible()

    page.get_by_role("button", name="Try again").press("Enter")

    expect(page.get_by_text("1 request is tried again within seconds.")).to_be_visible()
    expect(page.get_by_text("Requests that are set aside")).to_have_count(0)
    assert store().xlen(reports.STREAM) == 1


def test_what_changes_shows_itself(page: Page) -> None:
    page.goto(URL)
    expect(page.get_by_text("No worker takes the queue receipts")).to_be_visible()
    expect(page.get_by_text("quick@here")).to_have_count(0)

    watching.say_alive("quick@here", ["urgent", "receipts", "default"], 3)

    expect(page.get_by_text("quick@here")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("No worker takes the queue receipts")).to_have_count(0)


def test_a_comparison_is_begun_and_followed_on_the_page(page: Page) -> None:
    page.goto(URL)
    expect(page.get_by_text("1 of 12 sends still differs")).to_be_visible()

    page.get_by_role("button", name="Compare now").click()

    expect(page.get_by_text("The comparison has begun")).to_be_visible()
    expect(page.get_by_role("button", name="Compare now")).to_be_disabled()
    tasks.reconcile()
    expect(page.get_by_text("There was nothing to compare")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("button", name="Compare now")).to_be_enabled()
