"""The pages of campaigns in a browser: accessible, and inside the screen, in both themes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from campaigns import composing, dispatch, fanout
from campaigns.models import Bulk
from devices.models import Application, ProviderCredential, Role
from providers.base import Cause, Outcome, Verdict
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
CloudFor = Callable[[ProviderCredential], Any]


@pytest.fixture
def shop(sign_in: Callable[[User], None], cloud_for: CloudFor) -> Application:
    """A draft, and a campaign of which a part failed."""
    application = make_application(name="Shop")
    make_registrations(application, 6)
    cloud = cloud_for(make_credential(application))
    answers = iter([True, False] * 3)

    def answer(_: object) -> Outcome:
        if next(answers):
            return Outcome(verdict=Verdict.ACCEPTED, provider_id="0:1%2")
        return Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404)

    cloud.answer = answer
    marketer = make_user(Role.MARKETER, application)
    make_campaign(application, name="Back in stock")
    bulk = composing.launch(make_campaign(application, name="Friday sale"), marketer)
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)
    dispatch.work(seconds=5)
    sign_in(marketer)
    return application


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_of_campaigns_are_accessible_and_fit_the_screen(
    page: Page,
    shop: Application,
    accessibility_problems: Callable[[Page], list[str]],
    scheme: str,
    width: int,
) -> None:
    draft, launched = shop.campaigns.order_by("pk")
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    for name, one in (
        ("list", None),
        ("edit", draft),
        ("detail", launched),
        ("messages", launched),
    ):
        page.goto(reverse(f"campaigns:{name}", args=[shop.pk, *([one.pk] if one else [])]))
        expect(page.locator(".skeleton")).to_have_count(0)
        assert accessibility_problems(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
