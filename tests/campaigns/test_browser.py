"""The pages of campaigns in a browser: accessible in both themes; words are never lost."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from campaigns import composing, dispatch, drafting, fanout
from campaigns.models import Bulk
from devices.models import Application, ProviderCredential, Role
from providers.base import Cause, Outcome, Verdict
from tests.campaigns.composer import saved
from tests.complaints import Complaints
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
    dispatch.work(seconds=60)
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
        expect(page.locator(".skeleton:visible")).to_have_count(0)
        assert accessibility_problems(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_preview_is_a_sheet_behind_a_button(
    page: Page,
    shop: Application,
    accessibility_problems: Callable[[Page], list[str]],
    scheme: str,
) -> None:
    draft = shop.campaigns.get(name="Back in stock")
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    page.goto(reverse("campaigns:edit", args=[shop.pk, draft.pk]))
    sheet = page.get_by_label("Preview", exact=True).and_(page.locator("aside"))
    expect(sheet).to_be_hidden()
    page.get_by_label("Text").fill("Shown in the sheet")

    page.get_by_role("button", name="Preview", exact=True).click()

    expect(sheet.get_by_text("Shown in the sheet").first).to_be_in_viewport()
    assert accessibility_problems(page) == []
    page.get_by_role("button", name="Close the preview").click()
    expect(sheet).to_be_hidden()
    saved(page)


@pytest.mark.parametrize("width", [1440, 390, 320])
def test_every_choice_of_a_switch_can_be_seen(page: Page, shop: Application, width: int) -> None:
    draft = shop.campaigns.get(name="Back in stock")
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(reverse("campaigns:edit", args=[shop.pk, draft.pk]))

    cut_off = "every => every.filter(one => one.scrollWidth > one.clientWidth).length"
    assert page.locator(".segmented").evaluate_all(cut_off) == 0
    preview = page.get_by_label("Preview", exact=True).and_(page.locator("aside"))
    expect(preview).to_be_visible(visible=width == 1440)


def test_two_people_write_one_draft_and_nobody_loses_words(page: Page, shop: Application) -> None:
    draft = shop.campaigns.get(name="Back in stock")
    address = reverse("campaigns:edit", args=[shop.pk, draft.pk])
    page.goto(address)
    page.get_by_label("Text").fill("From the first")
    saved(page)
    content = draft.contents.get()
    assert content.text == "From the first"

    draft.refresh_from_db()
    drafting.save_draft(draft, version=draft.version, draft={}, content={"text": "From the second"})
    page.get_by_label("Text").fill("From the first again")
    expect(page.get_by_text("Somebody else changed this draft.").first).to_be_visible()
    expect(page.locator("#save-mark")).to_contain_text("Not saved")
    page.get_by_label("Title").fill("More")
    expect(page.get_by_role("button", name="Keep what I typed")).to_be_visible()
    content.refresh_from_db()
    assert content.text == "From the second"

    page.get_by_role("button", name="Keep what I typed").click()
    saved(page)
    content.refresh_from_db()
    assert (content.title, content.text) == ("More", "From the first again")


def test_typing_on_while_a_save_is_under_way_is_no_conflict(page: Page, shop: Application) -> None:
    """Each save of a browser builds on the one before, and none is dropped."""
    draft = shop.campaigns.get(name="Back in stock")
    page.goto(reverse("campaigns:edit", args=[shop.pk, draft.pk]))
    answers = []

    def slowly(route: Route) -> None:
        answers.append(route.fetch())  # saved, and the browser does not know yet
        if len(answers) == 1:
            page.get_by_label("Text").fill("Two")
            page.locator("#composer").dispatch_event("save")
        route.fulfill(response=answers[-1])

    page.route("**/edit/", slowly)
    page.get_by_label("Text").fill("One")
    page.locator("#composer").dispatch_event("save")
    expect(page.locator("#draft-version")).to_have_value("3")

    saved(page)
    expect(page.get_by_text("Somebody else changed this draft.")).to_have_count(0)
    assert draft.contents.get().text == "Two"


def test_a_fault_stands_beside_its_field_until_it_is_mended(page: Page, shop: Application) -> None:
    draft = shop.campaigns.get(name="Back in stock")
    page.goto(reverse("campaigns:edit", args=[shop.pk, draft.pk]))
    page.get_by_label("App version").select_option("lt")
    version = page.locator("#id_version")
    version.fill("new")
    beside = page.locator("#id_version_field .errorlist")
    expect(beside).to_have_text("Type a version such as 4.10.")
    expect(version).to_have_attribute("aria-invalid", "true")

    version.fill("4.10")
    expect(beside).to_have_count(0)
    saved(page)


def test_a_save_is_tried_again_after_the_server_was_away(
    page: Page, shop: Application, complaints: Complaints
) -> None:
    for said in ("ERR_FAILED", "htmx:afterRequest", "htmx:sendError"):
        complaints.expect(said)
    draft = shop.campaigns.get(name="Back in stock")
    page.goto(reverse("campaigns:edit", args=[shop.pk, draft.pk]))
    page.route("**/edit/", lambda route: route.abort())
    page.get_by_label("Text").fill("Kept")
    expect(page.locator("#save-mark")).to_contain_text("Not saved yet")
    page.unroute("**/edit/")

    saved(page)
    assert draft.contents.get().text == "Kept"
