"""Two languages, two variants and merge tags: from the composer to what arrives at the clouds."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from campaigns import dispatch, fanout, variants
from campaigns.models import Bulk, Campaign, Segment
from devices.models import Platform, Role
from tests.campaigns.composer import saved
from tests.factories import make_person, make_registration, make_user
from tests.flows.conftest import make_shop
from tests.flows.processes import Gateways

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.usefixtures("clouds_at_hand"),
]
NAMES = ["Ana", "Bo", "", "Dora", "Emil", "", "Gül", "Zoë 👋"]


def in_front(page: Page, label: str) -> Locator:
    """The field of the content that is shown."""
    return page.get_by_label(label).and_(page.locator("[data-panel] :visible"))


def texts_in(payload: Any) -> set[str]:
    """Every text that stands anywhere in a payload, also in JSON inside a text."""
    if isinstance(payload, str) and payload.startswith("{"):
        payload = json.loads(payload)
    if isinstance(payload, dict):
        return set().union(*(texts_in(each) for each in payload.values()))
    return {payload} if isinstance(payload, str) else set()


def test_everybody_reads_their_language_their_variant_and_their_name(
    page: Page, sign_in: Callable[[User], None], gateways: Gateways, screenshots: Path
) -> None:
    shop = make_shop()
    for number, name in enumerate(NAMES * 2):
        person = make_person(first_name=name)
        make_registration(
            shop,
            person=person,
            person_tags=["vip"],
            language="de-AT" if number % 2 else "en",
            platform=Platform.IOS if number < len(NAMES) else Platform.ANDROID,
        )
    make_registration(shop, language="de")  # not in the segment
    rule = {"all": [{"field": "tag", "op": "has", "value": "vip"}]}
    segment = Segment.objects.create(application=shop, name="VIP", rule=rule)
    sign_in(make_user(Role.MARKETER, shop))

    page.goto(reverse("campaigns:list", args=[shop.pk]))
    page.get_by_role("button", name="New campaign").first.click()
    in_front(page, "Text").fill('Hi {{ first_name | default: "you" }}')
    page.get_by_label("Segment", exact=False).first.select_option(str(segment.pk))
    expect(page.locator("#audience-size strong")).to_have_text("16")
    page.locator("#add-language summary").click()
    page.get_by_label("Another language").fill("de")
    page.get_by_role("button", name="Add language").click()
    german = page.get_by_role("button", name="German 8")
    expect(german).to_have_attribute("aria-pressed", "true")
    in_front(page, "Text").fill("Servus{% if first_name %}, {{ first_name }}{% endif %}")
    page.get_by_role("button", name="Variant", exact=True).click()
    expect(page.get_by_role("button", name="Variant B")).to_have_attribute("aria-pressed", "true")
    in_front(page, "Text").fill("Du, {{ first_name | default: 'du' }}")
    page.get_by_role("button", name="Default").click()
    in_front(page, "Text").fill("{{ first_name | default: 'Friend' | upcase }}!")
    expect(page.locator("[data-lack='first name']")).to_contain_text("the fallback stands there")
    saved(page)
    page.get_by_role("button", name="Send to 16 devices").click()
    expect(page.get_by_text("Sending starts in").first).to_be_visible()

    bulk = Bulk.objects.get(campaign__application=shop)
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(seconds=1))
    assert fanout.freeze(bulk) == 16
    dispatch.work(seconds=60)

    campaign = Campaign.objects.get(application=shop)
    rows = {row["token"]: row["payload"] for row in gateways.messages()}
    assert len(rows) == 16
    split = variants.Split((50, 50))
    for device in shop.registrations.filter(person__isnull=False).select_related("person"):
        variant = variants.variant_of(split, seed=campaign.pk, registration=device.pk)
        assert device.person is not None
        name = device.person.first_name
        wanted = {
            ("en", 0): f"Hi {name or 'you'}",
            ("en", 1): f"{(name or 'Friend').upper()}!",
            ("de-AT", 0): f"Servus, {name}" if name else "Servus",
            ("de-AT", 1): f"Du, {name or 'du'}",
        }[device.language, variant or 0]
        assert wanted in texts_in(rows[device.address.token])
    page.reload()
    expect(page.locator("#variants tbody tr")).to_have_count(2)
    page.locator("#by-language summary").click()
    expect(page.locator("#language-figures tbody tr")).to_have_count(2)
    page.screenshot(path=screenshots / "variants.png", full_page=True)
