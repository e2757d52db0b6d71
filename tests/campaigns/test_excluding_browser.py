"""Leaving people out of every send, in a browser: what it touches is said before it is done."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from campaigns import excluding, segmenting
from campaigns.models import ListMember, Reason, Segment, StaticList
from devices.models import Application, Platform, Registration, Role
from tests.factories import make_application, make_person, make_registration, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
IOS = {"field": "platform", "op": "is", "value": "iOS"}


@pytest.fixture
def shop(sign_in: Callable[[User], None]) -> Application:
    """Three iPhones, of which one takes no notifications, and an Android phone of Ana's."""
    application = make_application(name="Shop")
    for allowed in (True, True, False):
        make_registration(application, platform=Platform.IOS, notifications_enabled=allowed)
    ana = make_person(first_name="Ana", external_id="c-ana")
    make_registration(application, platform=Platform.ANDROID, person=ana)
    user = make_user(Role.MARKETER, application)
    segmenting.create(application, user, name="iPhones", rule=IOS)
    static = StaticList.objects.create(application=application, name="Never again")
    ListMember.objects.create(list=static, person=ana)
    sign_in(user)
    return application


def reasons(application: Application) -> list[Reason]:
    devices = Registration.objects.filter(application=application).values_list("pk", flat=True)
    return sorted(excluding.reasons(application, list(devices)).values())


def test_a_segment_is_left_out_with_the_mouse_and_sent_to_again(
    page: Page,
    shop: Application,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
) -> None:
    segment = Segment.objects.get()
    page.goto(segment.get_absolute_url())
    expect(page.locator("#segment-members li")).to_have_count(2)  # scripts run
    page.get_by_role("button", name="Leave out of every send").click()
    dialog = page.get_by_role("dialog", name="Leave out of every send")
    expect(dialog).to_contain_text("2 devices that would get a push now will not get any more")
    page.screenshot(path=screenshots / "segment-exclude.png")
    assert not accessibility_problems(page)
    dialog.get_by_role("button", name="Keep sending").click()
    expect(dialog).to_be_hidden()
    assert not reasons(shop)

    page.get_by_role("button", name="Leave out of every send").click()
    dialog.get_by_role("button", name="Leave out of every send").click()

    expect(page.get_by_text("Whoever is in this segment gets nothing")).to_be_visible()
    assert reasons(shop) == [Reason.EXCLUDED] * 3
    reach = page.locator("#segment-size")
    expect(reach).to_contain_text("0 devices would get a push now")
    page.get_by_role("button", name="Send to them again").click()
    expect(page.get_by_text("Whoever is in this segment can be sent to")).to_be_visible()
    expect(reach).to_contain_text("2 devices would get a push now")
    assert not reasons(shop)


def test_a_list_becomes_the_do_not_contact_list_by_keyboard(page: Page, shop: Application) -> None:
    static = StaticList.objects.get()
    page.goto(static.get_absolute_url())
    expect(page.locator("#list-members")).to_contain_text("Ana")
    page.get_by_role("button", name="Leave out of every send").focus()
    dialog = page.get_by_role("dialog", name="Leave out of every send")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("1 device that would get a push now will not get any more")
    confirm = dialog.get_by_role("button", name="Leave out of every send")
    for _ in range(5):
        if confirm.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(confirm).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_text("Whoever is on this list gets nothing")).to_be_visible()
    assert reasons(shop) == [Reason.DO_NOT_CONTACT]
