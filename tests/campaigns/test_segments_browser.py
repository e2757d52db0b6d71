"""Segments in a browser: a rule is built by mouse and by keyboard alone, counted and explained."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from campaigns.models import Segment
from devices.models import Application, Event, Platform, Registration, Role
from devices.versions import pack_version
from tests.factories import make_application, make_person, make_registration, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
LAPSED = {
    "all": [
        {"field": "platform", "op": "in", "value": ["iOS", "Huawei"]},
        {"field": "language", "op": "in", "value": ["de", "de-AT"]},
        {"field": "app_version", "op": "lt", "value": "4.10"},
        {"field": "event:purchase", "op": "within_days", "value": 30},
        {"not": {"field": "tag", "op": "has", "value": "vip"}},
    ]
}
SENTENCE = (
    "platform is any of iOS or Huawei and language is any of de or de-AT and app version is older"
    " than 4.10 and did “purchase” in the last 30 days and not (tag has vip)"
)


def make_buyer(
    application: Application,
    name: str,
    *,
    tags: list[str] | None = None,
    days_ago: int = 5,
    platform: Platform = Platform.IOS,
    language: str = "de",
) -> Registration:
    """Somebody with a phone whose app is older than 4.10, who bought something."""
    person = make_person(first_name=name, external_id=f"c-{name.lower()}", tags=tags or [])
    device = make_registration(
        application, platform=platform, language=language, person=person,
        person_tags=tags or [], app_version=pack_version("4.9"),
    )  # fmt: skip
    Event.objects.create(
        id=uuid.uuid4(), at=timezone.now() - timedelta(days=days_ago), application=application,
        registration=device, person=person, kind=Event.Kind.CUSTOM, name="purchase",
    )  # fmt: skip
    return device


@pytest.fixture
def shop(sign_in: Callable[[User], None]) -> Application:
    """Two who match, and one for each condition who does not."""
    application = make_application(name="Shop")
    make_buyer(application, "Ana")
    make_buyer(application, "Bo", platform=Platform.HUAWEI, language="de-AT")
    make_buyer(application, "Carl", tags=["vip"])
    make_buyer(application, "Dora", language="fr")
    make_buyer(application, "Emil", platform=Platform.ANDROID)
    sign_in(make_user(Role.MARKETER, application))
    return application


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_of_segments_are_accessible_and_fit_the_screen(
    page: Page,
    shop: Application,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    rule = {"all": [*LAPSED["all"], {"not": {"any": [LAPSED["all"][0], {"all": LAPSED["all"]}]}}]}
    segment = Segment.objects.create(application=shop, name="Lapsed buyers", rule=rule)
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    for name, one in (
        ("segments", None),
        ("segment", segment),
        ("segment-edit", segment),
        ("segment-new", None),
    ):
        page.goto(reverse(f"campaigns:{name}", args=[shop.pk, *([one.pk] if one else [])]))
        expect(page.locator(".skeleton")).to_have_count(0)
        if name == "segment":
            page.get_by_label("Find a device by").fill("Carl")
            expect(page.locator("#segment-answers")).to_contain_text("It does not match")
        assert accessibility_problems(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        page.screenshot(path=screenshots / f"{name}-{width}-{scheme}.png", full_page=True)
