"""Pages of API calls in a browser: accessible in both themes, at both widths."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from campaigns import calls
from campaigns.models import RecordedCall
from campaigns.store import store
from devices.models import Role
from tests.api.pushing import to
from tests.api.sending import carry_out, send
from tests.api.systems import System, make_key
from tests.factories import make_application, make_credential, make_registration, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_accessible_and_fit_the_screen(
    page: Page,
    sign_in: Callable[[User], None],
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    store().flushdb()
    calls._sample = calls._Sample()
    calls._sample.planned = True  # written below, not after a second
    application = make_application(name="Shop")
    make_credential(application)
    sign_in(make_user(Role.ADMINISTRATOR, application))
    make_key(name="Order system", scopes=["mobile-app-messaging:manage"])
    system = System()
    (name,) = send(system, application, to(make_registration(application)), bulk_id="orders")
    carry_out()
    system.post("/push/3/messages", {"messages": [{"sender": application.code}]})
    system.get(f"/push/3/logs?messageId={name}")
    calls.flush()
    calls.consume(seconds=60)
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")

    page.goto(reverse("campaigns:calls", args=[application.pk]))
    expect(page.get_by_role("heading", name="API calls", level=1)).to_be_visible()
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=screenshots / f"calls-{width}-{scheme}.png", full_page=True)

    page.goto(f"{reverse('campaigns:calls', args=[application.pk])}?q={name}&status=ok")
    first = RecordedCall.objects.order_by("pk").first()
    assert first is not None
    page.locator(f'a[href="{reverse("campaigns:call", args=[application.pk, first.pk])}"]').click()
    expect(page.get_by_role("heading", name="What the cloud gets")).to_be_visible()
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=screenshots / f"call-{width}-{scheme}.png", full_page=True)
