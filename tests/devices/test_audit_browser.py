"""The audit trail in a browser: what still stands is undone there, in place."""

from collections.abc import Callable
from typing import Literal

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from devices.models import Role
from tests.browsers import wait_until
from tests.factories import make_application, make_person, make_registration, make_user

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], None]
Ask = Callable[[Page], list[str]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_an_administrator_undoes_a_change_from_the_trail(
    page: Page, sign_in: SignIn, accessibility_problems: Ask, scheme: str, width: int
) -> None:
    application = make_application(name="Shop")
    sign_in(make_user(Role.ADMINISTRATOR, application))
    device = make_registration(application, person=make_person(external_id="anna"), model="Pixel 8")
    page.set_viewport_size({"width": width, "height": 844})
    colours: Literal["light", "dark"] = "light" if scheme == "light" else "dark"
    page.emulate_media(color_scheme=colours, reduced_motion="reduce")
    page.goto(reverse("devices:detail", args=[application.pk, device.pk]))
    expect(page.locator(".skeleton")).to_have_count(0)
    page.get_by_role("button", name="Switch device off").click()
    toast = page.locator("#toasts")
    expect(toast.get_by_role("button", name="Undo")).to_be_visible()
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.goto(reverse("devices:audit"))
    wait_until(page, "window.pushadmin && window.htmx")
    undo = page.get_by_role("button", name="Undo: switch device off")
    expect(undo).to_be_visible()
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tops = page.evaluate(
        "[...document.querySelectorAll('.toolbar .field')].map("
        "field => field.querySelector('input, select').getBoundingClientRect().height)"
    )
    assert len(set(tops)) == 1, "fields of one row are equally high"
    undo.focus()
    page.keyboard.press("Enter")

    expect(toast).to_contain_text("The change was undone.")
    expect(page.locator("#audit-list tbody tr")).to_have_count(2)
    expect(page.get_by_role("button", name="Undo: switch device off")).to_have_count(0)
    expect(page.locator("#audit-list")).to_be_focused()
    device.refresh_from_db()
    assert device.enabled
    page.goto(reverse("devices:imports", args=[application.pk]))
    expect(page.get_by_label("Each row is")).to_be_visible()
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
