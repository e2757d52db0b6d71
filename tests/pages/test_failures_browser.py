"""Requests that fail: the page says so where it can be read, and nothing typed is lost."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.urls import reverse
from playwright.sync_api import Page, expect

from campaigns.models import Campaign
from devices.models import Application, Membership, Role
from tests.campaigns.composer import saved
from tests.campaigns.test_views_palette import sending
from tests.complaints import Complaints
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
SignIn = Callable[[User], None]


@pytest.fixture
def user() -> User:
    application = make_application(name="Shop")
    make_credential(application)
    make_registrations(application, 3)
    return make_user(Role.ADMINISTRATOR, application)


@pytest.fixture
def shop(user: User, sign_in: SignIn) -> Application:
    sign_in(user)
    return Application.objects.get()


def composer(page: Page, shop: Application) -> Campaign:
    campaign = make_campaign(shop, name="Back in stock")
    page.goto(reverse("campaigns:edit", args=[shop.pk, campaign.pk]))
    page.wait_for_load_state("load")
    return campaign


def test_a_draft_is_kept_while_offline_and_saved_afterwards(
    page: Page, shop: Application, complaints: Complaints
) -> None:
    for said in ("ERR_INTERNET_DISCONNECTED", "htmx:"):
        complaints.expect(said)
    campaign = composer(page, shop)
    page.context.set_offline(True)
    page.get_by_label("Text").fill("Typed in a tunnel")
    expect(page.locator("#save-mark")).to_contain_text("Not saved yet")
    expect(page.locator(".toast")).to_contain_text("What you typed is kept")
    expect(page.get_by_label("Text")).to_have_value("Typed in a tunnel")
    page.context.set_offline(False)

    saved(page)
    assert campaign.contents.get().text == "Typed in a tunnel"


def test_a_form_is_not_sent_into_the_void(page: Page, shop: Application) -> None:
    """The browser's own page about it would take the place of what was typed."""
    page.goto(reverse("devices:application-detail", args=[shop.pk]))
    page.wait_for_load_state("load")
    name = page.locator("#settings").get_by_label("Name", exact=True)
    name.fill("Shop of the tunnel")
    page.context.set_offline(True)
    name.press("Enter")
    expect(page.locator(".toast")).to_contain_text("You are offline, so this was not sent")
    expect(name).to_have_value("Shop of the tunnel")
    page.context.set_offline(False)
    name.press("Enter")

    expect(page.locator(".header .switcher-name, .sidebar .switcher-name").first).to_have_text(
        "Shop of the tunnel"
    )


def test_a_list_keeps_what_it_shows_while_the_server_fails(
    page: Page, shop: Application, complaints: Complaints
) -> None:
    complaints.expect("500")
    page.goto(reverse("devices:list", args=[shop.pk]))
    page.wait_for_load_state("load")
    page.route("**/devices/?*", lambda route: route.fulfill(status=500, body="<h1>no</h1>"))
    search = page.get_by_label("Find devices")
    search.fill("ana")

    expect(page.locator(".toast")).to_contain_text("The server could not do this")
    expect(search).to_have_value("ana")
    expect(page.get_by_text("3 devices", exact=True)).to_be_visible()


def test_a_right_that_was_taken_away_is_told_where_it_was_used(
    page: Page, shop: Application, user: User, complaints: Complaints
) -> None:
    complaints.expect("403")
    campaign = sending(shop, "Friday sale")
    page.goto(campaign.get_absolute_url())
    page.wait_for_load_state("load")
    Membership.objects.filter(user=user).update(role=Role.ANALYST)
    page.get_by_role("button", name="Pause 3 devices").click()

    expect(page.locator(".toast")).to_contain_text(
        "Your role may not do this. Nothing was changed."
    )


def test_a_message_is_read_and_closed_in_front_of_a_dialog(
    page: Page, shop: Application, complaints: Complaints
) -> None:
    complaints.expect("500")
    page.goto(reverse("devices:list", args=[shop.pk]))
    page.wait_for_load_state("load")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    page.evaluate("pushadmin.toast('Behind or before?', 'error')")
    page.get_by_role("button", name="Close this message").click()
    expect(page.locator(".toast")).to_have_count(0)
    expect(dialog).to_be_visible()
    page.evaluate("pushadmin.toast('And afterwards?', 'error')")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    expect(page.get_by_text("And afterwards?")).to_be_visible()


def test_who_typed_signs_in_beside_the_page_and_goes_on(
    page: Page, shop: Application, user: User
) -> None:
    campaign = composer(page, shop)
    Session.objects.all().delete()
    page.get_by_label("Text").fill("Typed after the session ended")
    told = page.locator("#signed-out")
    expect(told).to_contain_text("What you typed is kept")
    with page.context.expect_page() as opened:
        told.get_by_role("link", name="Sign in").click()
    beside = opened.value
    beside.get_by_label("Username or e-mail").fill(user.username)
    beside.get_by_label("Password", exact=True).fill("correct horse")
    beside.keyboard.press("Enter")
    beside.wait_for_url(re.compile(r".*/campaigns/\d+/edit/"))
    beside.close()
    page.get_by_label("Title").fill("And on")

    saved(page)
    expect(told).to_have_count(0)
    content = campaign.contents.get()
    assert (content.title, content.text) == ("And on", "Typed after the session ended")


def test_who_typed_nothing_is_led_to_the_login_and_back(
    page: Page, shop: Application, user: User
) -> None:
    page.goto(reverse("devices:list", args=[shop.pk]))
    page.wait_for_load_state("load")
    Session.objects.all().delete()
    page.get_by_label("Find devices").fill("ana")

    page.wait_for_url(re.compile(r"/login/\?next=/apps/"))
