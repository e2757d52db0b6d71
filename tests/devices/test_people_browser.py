"""A support agent in a browser: finds somebody, sees why, and puts right whose a device is."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import BrowserContext, Locator, Page, expect

from campaigns import fanout, ids
from campaigns.models import Bulk, Message, Reason
from devices import audit, personalizing
from devices.models import Application, Registration, Role
from devices.personalizing import Described
from tests.complaints import Complaints
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
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
    sign_in(make_user(Role.SUPPORT, application))
    return application


@pytest.fixture
def device(application: Application) -> Registration:
    """Boris's second phone, which is Anna's in truth."""
    make_person(
        external_id="crm-1", phone="447700900123", email="anna@example.com",
        first_name="Anna", last_name="Meyer", tags=["vip"], attributes={"loyalty": "gold"},
    )  # fmt: skip
    boris = make_person(external_id="crm-2", first_name="Boris", last_name="Doe", tags=["new"])
    make_registration(application, person=boris, model="Pixel 8", primary=True)
    return make_registration(application, person=boris, model="Galaxy S24", person_tags=["new"])


def send(device: Registration, **given: object) -> Message:
    """A message that a campaign of yesterday sent to it."""
    campaign = make_campaign(device.application, name="Friday sale")
    at = timezone.now() - timedelta(hours=20)
    bulk = make_bulk(device.application, campaign=campaign, starts_at=at, status="done")
    return Message.objects.create(
        id=ids.message_id(bulk, device.pk),
        bulk=bulk,
        registration_id=device.pk,
        platform=device.platform,
        sent_at=at,
        **given,
    )


def test_support_finds_a_person_sees_why_and_moves_a_device_there_and_back(
    page: Page, application: Application, device: Registration
) -> None:
    """Anna says that yesterday's push did not come to her Galaxy; it is filed under Boris."""
    send(device, state=Message.State.FAILED, reason=Reason.UNINSTALLED, answer="UNREGISTERED")
    page.goto(reverse("devices:people", args=[application.pk]))
    page.get_by_role("searchbox").click()
    page.keyboard.type("+44 7700 9001")
    expect(page.locator("#person-list tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Anna Meyer").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Anna Meyer")
    expect(page.locator("main")).to_contain_text("Has no device in Shop")

    page.locator(".nav").get_by_role("link", name="People").click()
    page.get_by_role("searchbox").click()
    page.keyboard.type("crm-2")
    expect(page.locator("#person-list tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Boris Doe").click()
    timeline = page.get_by_role("region", name="Timeline")
    expect(timeline).to_contain_text("Friday sale")
    expect(timeline).to_contain_text(Reason.UNINSTALLED.label)
    expect(timeline).to_contain_text(Reason.UNINSTALLED.remedy)
    timeline.get_by_role("link", name="Galaxy S24").click()

    page.get_by_role("button", name="Move device").click()
    page.get_by_label("Phone").click()
    page.keyboard.type("+44 7700 900123")
    preview = page.locator("#owner-preview")
    expect(preview).to_contain_text("Boris Doe keeps the other device")
    for side in ("Belongs to now", "Will belong to"):
        expect(preview.get_by_role("region", name=side)).to_be_visible()
    preview.get_by_role("button", name="Move device to Anna Meyer").click()

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("link", name="Anna Meyer")).to_be_visible()
    device.refresh_from_db()
    assert device.person is not None
    assert (device.person.first_name, device.person_tags) == ("Anna", ["vip"])
    toast = page.get_by_role("status").filter(has_text="The device belongs to Anna Meyer now.")
    toast.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="Boris Doe")).to_be_visible()
    device.refresh_from_db()
    assert device.person is not None
    assert (device.person.first_name, device.person_tags) == ("Boris", ["new"])


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the focus is there, as somebody without a mouse does."""
    expect(target).to_be_visible()
    for _ in range(150):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError("Tab never comes there.")


def test_support_does_the_same_by_keyboard_alone(
    page: Page, application: Application, device: Registration
) -> None:
    """By phone to the person, why yesterday's push did not come, the device to Anna, and back."""
    boris = device.person
    assert boris is not None
    boris.identities.create(kind=2, value="41790000001")
    send(device, state=Message.State.FAILED, reason=Reason.UNINSTALLED, answer="UNREGISTERED")
    Bulk.objects.update(frozen_at=timezone.now())
    page.goto(reverse("campaigns:overview", args=[application.pk]))
    expect(page.locator(".define").first).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.get_by_role("searchbox")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("+41 79 000")
    row = page.get_by_role("link", name="Boris Doe")
    expect(page.locator("#person-list tbody tr")).to_have_count(1)
    tab_to(page, row)
    page.keyboard.press("Enter")

    campaign = page.locator("#why-not").get_by_label("Campaign")
    tab_to(page, campaign)
    page.keyboard.press("ArrowDown")
    way = page.get_by_role("region", name="To Galaxy S24")
    expect(way.get_by_role("img", name="Stopped here")).to_have_count(1)
    expect(way).to_contain_text(Reason.UNINSTALLED.label)

    tab_to(page, way.get_by_role("link", name="Galaxy S24"))
    page.keyboard.press("Enter")
    move = page.get_by_role("button", name="Move device", exact=True)
    tab_to(page, move)
    page.keyboard.press("Enter")
    tab_to(page, page.locator("#id_phone"))
    page.keyboard.type("447700900123")
    confirm = page.get_by_role("button", name="Move device to Anna Meyer")
    tab_to(page, confirm)
    page.keyboard.press("Enter")

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(move).to_be_focused()
    expect(page.get_by_role("link", name="Anna Meyer")).to_be_visible()
    device.refresh_from_db()
    assert device.person_id != boris.pk
    expect(page.locator("#toasts").get_by_role("button", name="Undo")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_role("link", name="Boris Doe")).to_be_visible()
    expect(move).to_be_focused()
    device.refresh_from_db()
    assert device.person_id == boris.pk


def test_an_action_in_place_keeps_the_focus_is_announced_and_undone(
    page: Page, application: Application, device: Registration
) -> None:
    page.goto(reverse("devices:detail", args=[application.pk, device.pk]))
    expect(page.locator(".skeleton")).to_have_count(0)
    page.evaluate("window.untouched = true")
    button = page.locator("#switch-button")
    button.focus()
    page.keyboard.press("Enter")

    expect(button).to_have_text("Switch device on")
    expect(button).to_be_focused()
    announced = page.locator("#toasts[aria-live=polite]")
    expect(announced).to_contain_text("The device is off: nothing is sent to it.")
    timeline = page.get_by_role("region", name="Timeline")
    undo = timeline.get_by_role("button", name="Undo this change")
    undo.focus()
    page.keyboard.press("Enter")

    expect(button).to_have_text("Switch device off")
    expect(timeline).to_be_focused()
    expect(announced).to_contain_text("The change was undone.")
    expect(announced.get_by_role("button", name="Undo")).to_have_count(0)
    assert page.evaluate("window.untouched"), "the page was loaded anew"
    device.refresh_from_db()
    assert device.enabled


def test_the_focus_of_a_closed_message_goes_back_to_the_page(
    page: Page, application: Application, device: Registration
) -> None:
    page.goto(reverse("devices:detail", args=[application.pk, device.pk]))
    page.locator("#primary-button").click()
    undo = page.locator("#toasts").get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    expect(page.locator("#primary-button")).to_have_text("Take primary mark away")
    undo.focus()
    page.keyboard.press("Enter")

    expect(page.locator("#primary-button")).to_have_text("Make device primary")
    expect(page.locator("#content")).to_be_focused()


def test_a_phone_of_somebody_else_is_refused_in_the_dialog_and_mended_there(
    page: Page, application: Application, device: Registration, complaints: Complaints
) -> None:
    complaints.expect("422")
    page.goto(reverse("devices:person", args=[application.pk, device.person_id]))
    expect(page.locator(".skeleton")).to_have_count(0)
    page.get_by_role("button", name="Edit person").click()
    dialog = page.get_by_role("dialog", name="Edit person")
    dialog.get_by_label("First name").fill("Bo")
    dialog.get_by_label("Phone numbers").fill("+44 7700 900123")
    dialog.get_by_role("button", name="Save person").click()

    field = dialog.locator("#id_phones_field")
    expect(field).to_contain_text("447700900123 belongs to Anna Meyer")
    expect(field.get_by_role("link", name="Anna Meyer")).to_be_visible()
    expect(dialog.get_by_label("First name")).to_have_value("Bo")
    dialog.get_by_label("Phone numbers").fill("+44 7700 900124")
    dialog.get_by_role("button", name="Save person").click()

    expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Bo Doe")
    expect(page.get_by_role("button", name="Edit person")).to_be_focused()
    expect(page.locator("#person-facts")).to_contain_text("447700900124")
    page.keyboard.press("u")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Boris Doe")
    expect(page.locator("#person-facts")).not_to_contain_text("447700900124")
    page.get_by_role("button", name="Edit person").click()
    expect(dialog.get_by_label("First name")).to_have_value("Boris")
    expect(dialog.locator(".errorlist")).to_have_count(0)


def test_an_attribute_is_changed_where_it_stands(
    page: Page, application: Application, device: Registration, complaints: Complaints
) -> None:
    complaints.expect("422")
    personalizing.change(
        device.person_id or 0, Described(attributes={"member": True}), audit.author_of(None)
    )
    page.goto(reverse("devices:person", args=[application.pk, device.person_id]))
    page.get_by_role("button", name="Change member").click()
    dialog = page.get_by_role("dialog", name="Set attribute")
    expect(dialog.get_by_label("Value")).to_have_value("yes")
    dialog.get_by_label("Value").fill("perhaps")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("Enter yes or no.")
    dialog.get_by_label("Value").fill("no")
    page.keyboard.press("Enter")

    expect(dialog).to_have_count(0)
    expect(page.locator("#person-facts")).to_contain_text("No")
    assert device.person is not None
    device.person.refresh_from_db()
    assert device.person.attributes == {"member": False}


def test_without_scripts_a_device_is_moved_and_moved_back(
    browsing: BrowserContext, page: Page, application: Application, device: Registration
) -> None:
    assert browsing.browser is not None
    plain = browsing.browser.new_context(
        java_script_enabled=False, storage_state=browsing.storage_state()
    )
    page.goto(reverse("devices:detail", args=[application.pk, device.pk]))
    still = plain.new_page()
    still.goto(page.url)
    still.get_by_role("button", name="Move device", exact=True).click()
    still.get_by_label("Phone").fill("+44 7700 900123")
    still.get_by_role("button", name="Show what will happen").click()
    still.get_by_role("button", name="Move device to Anna Meyer").click()

    expect(still.locator("#toasts")).to_contain_text("belongs to Anna Meyer now")
    still.get_by_role("button", name="Undo").click()
    expect(still.locator("#toasts")).to_contain_text("belongs to Boris Doe again")
    plain.close()


def test_a_timeline_is_filtered_and_leads_to_what_is_older(
    page: Page, application: Application, device: Registration
) -> None:
    for number in range(35):
        audit.record(None, "switch device off", device, after={"enabled": bool(number % 2)})
    send(device, state=Message.State.DELIVERED)
    page.goto(reverse("devices:person", args=[application.pk, device.person_id]))
    timeline = page.get_by_role("region", name="Timeline")
    entries = timeline.get_by_role("listitem")

    timeline.get_by_role("link", name="Messages").click()
    expect(entries).to_have_count(1)
    timeline.get_by_role("link", name="Everything").click()
    timeline.get_by_role("button", name="Show older entries").click()

    expect(entries).to_have_count(36)
    expect(timeline.get_by_role("button", name="Show older entries")).to_have_count(0)


def test_support_asks_why_a_campaign_never_went_out_to_a_device(
    page: Page, application: Application, device: Registration
) -> None:
    before = timezone.now() - timedelta(days=30)
    Registration.objects.update(created_at=before)
    Registration.objects.filter(pk=device.pk).update(notifications_enabled=False)
    bulk = make_bulk(application, campaign=make_campaign(application, name="Friday sale"))
    fanout.freeze(bulk)
    page.goto(reverse("devices:person", args=[application.pk, device.person_id]))

    card = page.locator("#why-not")
    card.get_by_label("Campaign").select_option(str(bulk.pk))

    way = card.get_by_role("region", name="To Galaxy S24")
    expect(way).to_contain_text("Notifications are switched off, at the launch.")
    expect(way.get_by_role("img", name="Stopped here")).to_have_count(1)
    expect(card.get_by_role("region", name="To Pixel 8")).to_contain_text("It waits for its turn")


def test_a_conflict_shows_every_side_and_offers_no_move(
    page: Page, application: Application, device: Registration
) -> None:
    make_person(email="anna.work@example.com", first_name="Anna", last_name="Work")
    page.goto(reverse("devices:detail", args=[application.pk, device.pk]))
    page.get_by_role("button", name="Move device").click()
    page.get_by_label("Phone").fill("447700900123")
    page.get_by_label("E-mail").fill("anna.work@example.com")

    preview = page.locator("#owner-preview")
    expect(preview).to_contain_text("Fits 2 people")
    for text in ("Anna Meyer", "Anna Work", "These belong to different people"):
        expect(preview).to_contain_text(text)
    expect(preview.get_by_role("button")).to_have_count(0)


def test_an_attribute_is_set_by_the_enter_key_and_undone(
    page: Page, application: Application, device: Registration
) -> None:
    page.goto(reverse("devices:person", args=[application.pk, device.person_id]))
    page.get_by_role("button", name="Set attribute").first.click()
    dialog = page.get_by_role("dialog", name="Set attribute")
    dialog.get_by_label("Name").fill("loyalty")
    dialog.get_by_label("Value").fill("gold")
    page.keyboard.press("Enter")

    expect(page.get_by_text("The attribute loyalty was set.")).to_be_visible()
    assert device.person is not None
    device.person.refresh_from_db()
    assert device.person.attributes == {"loyalty": "gold"}

    page.get_by_role("button", name="Undo this change").click()

    expect(page.get_by_text("The change was undone.")).to_be_visible()
    device.person.refresh_from_db()
    assert device.person.attributes == {}


def test_a_person_is_erased_only_by_typing_it(
    page: Page, application: Application, device: Registration
) -> None:
    page.goto(reverse("devices:person", args=[application.pk, device.person_id]))
    page.get_by_role("button", name="Erase person").click()
    dialog = page.get_by_role("dialog", name="Erase person")
    erase = dialog.get_by_role("button", name="Erase person")
    expect(erase).to_be_disabled()
    dialog.get_by_label("Type erase to confirm").fill("erase")
    erase.click()

    expect(page).to_have_url(re.compile("/people/$"))
    device.refresh_from_db()
    assert device.person is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_dialogs_are_accessible_and_fit_the_screen(
    page: Page,
    application: Application,
    device: Registration,
    accessibility_problems: Ask,
    scheme: str,
    width: int,
) -> None:
    send(device, state=Message.State.FAILED, reason=Reason.UNINSTALLED, answer="UNREGISTERED")
    Bulk.objects.update(frozen_at=timezone.now())
    page.set_viewport_size({"width": width, "height": 844})
    colours: Literal["light", "dark"] = "light" if scheme == "light" else "dark"
    page.emulate_media(color_scheme=colours, reduced_motion="reduce")
    page.goto(reverse("devices:detail", args=[application.pk, device.pk]))
    page.get_by_role("button", name="Move device").click()
    page.get_by_label("Phone").fill("447700900123")
    expect(page.locator("#owner-preview")).to_contain_text("Will belong to")
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.goto(reverse("devices:person", args=[application.pk, device.person_id]))
    expect(page.locator(".skeleton")).to_have_count(0)
    page.get_by_label("Campaign").select_option(index=1)
    expect(page.locator(".gates")).to_have_count(2)
    assert accessibility_problems(page) == []
    page.get_by_role("button", name="Edit person").click()
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.keyboard.press("Escape")
    page.get_by_role("button", name="Set attribute").first.click()
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
