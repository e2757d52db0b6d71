"""The frame and the pages of devices in a browser: by keyboard, on a phone, in both themes."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from devices.models import Application, Role
from tests.complaints import Complaints
from tests.factories import (
    make_application,
    make_credential,
    make_person,
    make_registration,
    make_user,
)

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], None]
Ask = Callable[[Page], list[str]]


@pytest.fixture
def application(sign_in: SignIn) -> Application:
    application = make_application(name="Shop")
    make_credential(application, hint="Project shop, key …9f3a")
    for name in ("ana", "ben"):
        person = make_person(external_id=name, first_name=name.title())
        make_registration(application, person=person, model="Galaxy S24")
    sign_in(make_user(Role.ADMINISTRATOR, application))
    return application


def pages(application: Application) -> list[str]:
    device = application.registrations.first()
    assert device is not None
    return [
        reverse("devices:list", args=[application.pk]),
        reverse("devices:list", args=[application.pk]) + "?q=nobody",
        reverse("devices:detail", args=[application.pk, device.pk]),
        reverse("devices:people", args=[application.pk]),
        reverse("devices:people", args=[application.pk]) + "?q=nobody",
        reverse("devices:person", args=[application.pk, device.person_id]),
        reverse("devices:base", args=[application.pk]),
        reverse("devices:applications"),
        reverse("devices:application-detail", args=[application.pk]),
        reverse("devices:credential-new", args=[application.pk, "apns"]),
        reverse("campaigns:overview", args=[application.pk]),
        reverse("account_change_password"),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_are_accessible_and_fit_the_screen(
    page: Page,
    application: Application,
    accessibility_problems: Ask,
    scheme: str,
    width: int,
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    for url in pages(application):
        page.goto(url)
        expect(page.locator(".skeleton:visible")).to_have_count(0)
        assert accessibility_problems(page) == [], url
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), url


def test_the_login_page_is_accessible(page: Page, accessibility_problems: Ask) -> None:
    page.goto("/login/")

    assert accessibility_problems(page) == []


def test_somebody_signs_in_by_keyboard(page: Page, application: Application) -> None:
    user = make_user(Role.SUPPORT, application)
    page.context.clear_cookies()
    page.goto("/")
    page.keyboard.type(user.username)
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_label("Your account")).to_have_count(1)


def test_the_first_tab_offers_to_skip_to_the_content(page: Page, application: Application) -> None:
    page.goto(reverse("devices:list", args=[application.pk]))
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.locator("#content")).to_be_focused()


def test_a_menu_works_by_keyboard_alone(page: Page, application: Application) -> None:
    page.goto(reverse("devices:list", args=[application.pk]))
    summary = page.get_by_label("Theme", exact=True)
    summary.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="Like the system")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("Escape")
    expect(summary).to_be_focused()
    expect(page.get_by_role("button", name="Like the system")).to_be_hidden()


def test_a_chosen_theme_stays_and_never_flashes(page: Page, application: Application) -> None:
    page.goto(reverse("devices:list", args=[application.pk]))
    page.get_by_label("Theme", exact=True).click()
    page.get_by_role("button", name="Dark", exact=True).click()
    page.reload(wait_until="commit")
    page.wait_for_selector("body", state="attached")

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_typing_narrows_the_list_and_the_address_remembers_it(
    page: Page, application: Application
) -> None:
    page.goto(reverse("devices:list", args=[application.pk]))
    page.keyboard.press("/")
    page.keyboard.type("ana")

    expect(page.get_by_text("1 device", exact=True)).to_be_visible()
    expect(page.get_by_text("Ben", exact=True)).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Find devices")).to_have_value("ana")
    expect(page.get_by_text("1 device", exact=True)).to_be_visible()


def test_a_credential_is_removed_only_after_its_name_was_typed(
    page: Page, application: Application
) -> None:
    credential = application.credentials.get()
    page.goto(reverse("devices:credential-edit", args=[application.pk, credential.pk]))
    page.get_by_role("button", name="Remove credential").click()
    dialog = page.get_by_role("dialog")
    remove = dialog.get_by_role("button", name="Remove credential")

    expect(remove).to_be_disabled()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Remove credential").click()
    dialog.get_by_role("textbox").fill("Shop")
    remove.click()

    expect(page.get_by_text("is removed")).to_be_visible()
    assert not application.credentials.exists()


def test_more_opens_above_the_bottom_bar_of_a_phone(page: Page, application: Application) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(reverse("devices:people", args=[application.pk]))
    bar = page.get_by_role("navigation", name="Main, at the bottom")
    bar.get_by_text("More", exact=True).click()
    link = bar.get_by_role("link", name="Devices", exact=True)
    expect(link).to_be_in_viewport()
    expect(page.get_by_role("button", name="Keyboard shortcuts")).to_be_hidden()
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Devices")


def test_shortcuts_are_listed_and_work(page: Page, application: Application) -> None:
    page.goto(reverse("devices:list", args=[application.pk]))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Open campaigns")
    expect(page.get_by_role("dialog")).to_contain_text("Open API calls")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("a")

    expect(page).to_have_url(page.url.split("/apps/")[0] + reverse("devices:applications"))


def test_a_definition_shows_on_focus_and_hides_on_escape(
    page: Page, application: Application
) -> None:
    page.goto(reverse("campaigns:overview", args=[application.pk]))
    page.locator(".define").first.focus()
    tip = page.get_by_role("tooltip").first

    expect(tip).to_be_visible()
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_times_are_shown_in_the_readers_zone_with_its_name(
    page: Page, application: Application
) -> None:
    device = application.registrations.first()
    assert device is not None
    page.goto(reverse("devices:detail", args=[application.pk, device.pk]))
    zone = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")

    title = re.compile(rf"\({re.escape(zone)}\)")
    expect(page.locator("time[data-moment]").first).to_have_attribute("title", title)


def test_a_failed_request_says_what_is_safe_and_can_be_closed(
    page: Page, application: Application, complaints: Complaints
) -> None:
    complaints.expect("500")
    page.goto(reverse("devices:list", args=[application.pk]))
    page.route("**/devices/?*", lambda route: route.fulfill(status=500, body="<h1>no</h1>"))
    page.get_by_label("Find devices").fill("ana")

    toast = page.locator(".toast")
    expect(toast).to_contain_text("Nothing was changed")
    expect(page.get_by_text("2 devices", exact=True)).to_be_visible()
    # Leaving the field asks once more, which may succeed now and says nothing.
    page.unroute("**/devices/?*")
    toast.get_by_role("button", name="Close this message").click()
    expect(toast).to_have_count(0)
