"""Pages of webhooks in a browser: accessible in both themes, at both widths; a test is sent."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from api import tasks
from campaigns import deliveries, signing
from campaigns.deliveries import Draft
from campaigns.models import WebhookDelivery, WebhookEvent
from campaigns.store import store
from devices.models import Application, Role
from providers.posting import Posted
from tests.factories import make_application, make_user, make_webhook
from tests.receiver import receiving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def shop(sign_in: Callable[[User], None]) -> Application:
    application = make_application(name="Shop")
    sign_in(make_user(Role.ADMINISTRATOR, application))
    return application


def make_history(application: Application) -> WebhookDelivery:
    """Deliveries in every state, to an address that works and one that is paused."""
    works = "https://crm.example.com/push/events?key=k"
    broken = "https://warehouse.example.com/a/long/path/to/whatever/takes/delivery-reports"
    make_webhook(application, works, events=31)
    make_webhook(application, broken, events=WebhookEvent.SEEN)
    make_webhook(application, "https://old.example.com/", enabled=False)
    signing.make_secret(make_user(), application)
    report = {"messageId": "7e5c3a0e", "to": "+4915112345678", "status": {"id": 5}}
    now = timezone.now()
    for event in (WebhookEvent.ENDED, WebhookEvent.SEEN):
        drafts = [Draft(application.pk, works, event, [report] * 42)]
        for made in deliveries.write(drafts):
            deliveries.record(made, Posted(200, '{"ok": true}', seconds=0.042), now)
    for number in range(7):
        [made] = deliveries.write([Draft(application.pk, broken, WebhookEvent.SEEN, [report])])
        posted = Posted(503, "Service Unavailable", seconds=1.2)
        deliveries.record(made, posted, now - timedelta(minutes=2))
        if number < 2:
            WebhookDelivery.objects.filter(pk=made.pk).update(state=2, due_at=None)
    deliveries.record(made, Posted(problem="no answer within 10 seconds", seconds=10), now)
    return made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_accessible_and_fit_the_screen(
    page: Page,
    shop: Application,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    delivery = make_history(shop)
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    ways: tuple[tuple[str, list[int], str], ...] = (
        ("webhooks", [shop.pk], "Webhooks"),
        ("webhook-new", [shop.pk], "New webhook"),
        ("webhook-log", [shop.pk], "Delivery log"),
        ("webhook-delivery", [shop.pk, delivery.pk], "Seen"),
    )
    for name, place, title in ways:
        page.goto(reverse(f"campaigns:{name}", args=place))
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        assert accessibility_problems(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=screenshots / f"{name}-{width}-{scheme}.png", full_page=True)


def test_a_webhook_is_added_and_tried(page: Page, shop: Application, settings: Any) -> None:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    store().flushdb()
    with receiving() as receiver:
        page.goto(reverse("campaigns:webhooks", args=[shop.pk]))
        page.get_by_role("link", name="Add webhook").click()
        page.get_by_label("Address").fill(f"{receiver.url}/hook")
        page.get_by_label("Tapped").check()
        page.get_by_role("button", name="Add webhook").click()
        expect(page.get_by_text("it is told of what happens from now on")).to_be_visible()

        page.get_by_role("button", name="Send test").click()
        expect(page.get_by_text("The test is on its way")).to_be_visible()
        tasks.tell_webhooks()

        expect(page.get_by_role("cell", name="200")).to_be_visible()
        expect(page.get_by_text("The test is on its way")).to_have_count(0)
        page.get_by_role("link", name=f"{receiver.url}/hook").click()
        page.get_by_role("button", name="Replay delivery").click()
        expect(page.get_by_text("It is posted again in a moment")).to_be_visible()
        expect(page.get_by_role("button", name="Try now")).to_be_visible()
        tasks.tell_webhooks()
        # its page tells by itself that it was taken again
        tries = page.get_by_role("row").filter(has_text="200")
        expect(tries).to_have_count(2)
        expect(page.get_by_role("button", name="Replay delivery")).to_be_visible()

    first, again = receiver.received
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body


def test_what_was_given_up_is_replayed_from_the_log(
    page: Page, shop: Application, settings: Any
) -> None:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    store().flushdb()
    with receiving() as receiver:
        report = [{"messageId": "7e5c"}]
        drafts = [Draft(shop.pk, f"{receiver.url}/hook", WebhookEvent.SEEN, report)]
        made = [deliveries.write(drafts)[0] for _ in range(2)]
        given_up = {"state": WebhookDelivery.State.GIVEN_UP, "due_at": None, "tries": 20}
        WebhookDelivery.objects.filter(pk__in=[each.pk for each in made]).update(**given_up)
        page.goto(reverse("campaigns:webhook-log", args=[shop.pk]))
        page.get_by_role("button", name="Replay all that were given up").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("2 deliveries were given up after two days")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        assert not WebhookDelivery.objects.filter(due_at__isnull=False).exists()

        page.get_by_role("button", name="Replay all that were given up").press("Enter")
        dialog.get_by_role("button", name="Replay 2 deliveries").press("Enter")
        expect(page.get_by_text("2 deliveries are posted again.")).to_be_visible()
        expect(page.get_by_role("button", name="Replay all")).to_have_count(0)
        tasks.tell_webhooks()

        page.reload()
        expect(page.get_by_role("cell", name="200")).to_have_count(2)
    posted = [each.headers["webhook-id"] for each in receiver.received]
    assert sorted(posted) == sorted(f"{each.public_id}" for each in made)
