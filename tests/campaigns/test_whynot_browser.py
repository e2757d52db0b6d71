"""Support answers "why did I not get it?", from whichever page they stand on."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from campaigns import dispatch, failover, fanout, folding, ids, reports
from campaigns.models import Bulk, Message
from campaigns.reports import Receipt
from devices.models import Application, Identity, ProviderCredential, Registration, Role
from providers.base import Cause, Outcome, Verdict
from tests.campaigns.conftest import Cloud
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_flow_bulk,
    make_gateway,
    make_person,
    make_registration,
    make_user,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

WAIT = 30_000  # milliseconds
CloudFor = Callable[[ProviderCredential], Cloud]
DEAD = Outcome(
    verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404, reason="UNREGISTERED"
)


@pytest.fixture
def shop(sign_in: Callable[[User], None]) -> Application:
    application = make_application(name="Shop", cap_count=1, cap_hours=24)
    sign_in(make_user(Role.SUPPORT, application))
    return application


def somebody(shop: Application, name: str, **given: Any) -> Registration:
    """With a device that was there before every campaign."""
    person = make_person(first_name=name, last_name="Meyer", external_id=f"c-{name.lower()}")
    device = make_registration(shop, person=person, model=f"Phone of {name}", **given)
    Registration.objects.filter(pk=device.pk).update(created_at=timezone.now() - timedelta(days=30))
    device.refresh_from_db()
    return device


def launched(shop: Application, name: str) -> Bulk:
    bulk = make_bulk(shop, campaign=make_campaign(shop, name=name))
    fanout.freeze(bulk)
    dispatch.work(seconds=5)
    bulk.refresh_from_db()
    return bulk


def way_to(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=f"To Phone of {name}")


def first_no(way: Locator) -> Locator:
    """The one gate that stopped it; those after it were not reached."""
    stopped = way.locator("li.is-stopped")
    expect(stopped).to_have_count(1, timeout=WAIT)
    expect(way.locator("li.is-stopped ~ li:not(.is-unreached)")).to_have_count(0)
    return stopped


def test_the_page_of_a_person_tells_of_the_cap_and_what_they_had(
    page: Page, shop: Application, cloud_for: CloudFor
) -> None:
    cloud_for(make_credential(shop))
    ana = somebody(shop, "Ana")
    launched(shop, "Flash sale")
    bulk = launched(shop, "Friday sale")
    page.goto(reverse("devices:person", args=[shop.pk, ana.person_id]))

    page.get_by_label("Campaign").select_option(str(bulk.pk))

    stopped = first_no(way_to(page, "Ana"))
    expect(stopped).to_contain_text("Frequency cap")
    expect(stopped).to_contain_text("1 push in 24 h was this application's limit: Flash sale")


def test_the_page_of_a_device_tells_that_notifications_were_off(
    page: Page, shop: Application, cloud_for: CloudFor
) -> None:
    cloud_for(make_credential(shop))
    bob = somebody(shop, "Bob", notifications_enabled=False)
    bulk = launched(shop, "Friday sale")
    Registration.objects.update(notifications_enabled=True)
    page.goto(reverse("devices:detail", args=[shop.pk, bob.pk]))

    page.get_by_label("Campaign").select_option(str(bulk.pk))

    stopped = first_no(way_to(page, "Bob"))
    expect(stopped).to_contain_text("Notifications are switched off, at the launch.")
    expect(way_to(page, "Bob").locator("li.is-passed").first).to_contain_text("the audience is of")


def test_the_page_of_a_campaign_tells_what_the_provider_answered_with_the_keyboard_alone(
    page: Page,
    shop: Application,
    cloud_for: CloudFor,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
) -> None:
    cloud_for(make_credential(shop)).answer = lambda one: DEAD
    somebody(shop, "Cleo")
    bulk = launched(shop, "Friday sale")
    assert bulk.campaign is not None
    page.goto(reverse("campaigns:detail", args=[shop.pk, bulk.campaign.pk]))
    link = page.get_by_role("link", name="Why not?")
    expect(link).to_be_visible(timeout=WAIT)
    for _ in range(80):
        if page.evaluate("document.activeElement.textContent.trim() === 'Why not?'"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Whom are you asked about?")).to_be_visible(timeout=WAIT)
    for _ in range(80):
        if page.evaluate("document.activeElement.name === 'q'"):
            break
        page.keyboard.press("Tab")
    page.keyboard.type("Cleo")
    page.keyboard.press("Enter")

    stopped = first_no(way_to(page, "Cleo"))
    expect(stopped).to_contain_text("Accepted by the cloud")
    expect(stopped).to_contain_text("The provider's answer: 404 UNREGISTERED")
    for scheme, width in (("light", 1440), ("dark", 390)):
        page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=screenshots / f"why-not-{scheme}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert accessibility_problems(page) == []


def test_a_message_of_the_log_leads_to_every_gate_it_passed(
    page: Page, shop: Application, cloud_for: CloudFor
) -> None:
    cloud_for(make_credential(shop))
    dora = somebody(shop, "Dora")
    bulk = launched(shop, "Friday sale")
    seen = Receipt(ids.message_id(bulk, dora.pk), Message.State.SEEN, timezone.now())
    folding.fold([reports.packed_call(shop.pk, None, [seen])])
    assert bulk.campaign is not None
    page.goto(reverse("campaigns:messages", args=[shop.pk, bulk.campaign.pk]))

    page.get_by_role("link", name="Every gate").click()

    way = way_to(page, "Dora")
    expect(way.locator("li.is-passed")).to_have_count(9, timeout=WAIT)
    expect(way).to_contain_text("It arrived.")
    expect(way).to_contain_text("The provider's answer: p-1")


def test_whoever_a_push_did_not_reach_is_told_of_the_text_that_followed(
    page: Page, shop: Application, cloud_for: CloudFor
) -> None:
    cloud_for(make_credential(shop)).answer = lambda one: DEAD
    cloud_for(make_gateway(shop))
    emil = somebody(shop, "Emil")
    assert emil.person is not None
    emil.person.identities.create(kind=Identity.Kind.PHONE, value="41790000009")
    bulk = make_flow_bulk(shop)
    bulk.campaign = make_campaign(shop, name="Friday sale")
    Bulk.objects.filter(flow=bulk.flow).update(campaign=bulk.campaign)
    fanout.freeze(bulk)
    while dispatch.work(seconds=5) or failover.advance():
        pass
    assert bulk.campaign is not None
    address = reverse("campaigns:why-not", args=[shop.pk, bulk.campaign.pk])

    page.goto(f"{address}?device={emil.pk}")

    text = way_to(page, "Emil").locator("li", has_text="2. Text message")
    expect(text).to_contain_text("It is waited for until", timeout=WAIT)
    expect(text).to_contain_text("The provider's answer: p-1")
