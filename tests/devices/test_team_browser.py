"""An administrator in a browser: the team, and the pages around it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from devices.models import Application, AuditEntry, Membership, Role
from tests.complaints import Complaints
from tests.factories import make_application, make_user

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], None]
Ask = Callable[[Page], list[str]]


@pytest.fixture
def application(sign_in: SignIn) -> Application:
    application = make_application(name="Shop")
    make_user(Role.ANALYST, application, email="anna@example.com")
    sign_in(make_user(Role.ADMINISTRATOR, application, is_superuser=True))
    return application


def test_a_role_is_changed_in_place_and_the_last_administrator_is_kept(
    page: Page, application: Application, complaints: Complaints
) -> None:
    complaints.expect("422")
    analyst = Membership.objects.get(role=Role.ANALYST)
    boss = Membership.objects.get(role=Role.ADMINISTRATOR)
    page.goto(reverse("devices:team", args=[application.pk]))

    page.get_by_label(f"Role of {analyst.user.get_username()}").select_option("Support")
    expect(page.get_by_text("is support now")).to_be_visible()
    analyst.refresh_from_db()
    assert analyst.role == Role.SUPPORT

    page.get_by_role("button", name=f"Remove {boss.user.get_username()}").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove member").click()
    expect(page.get_by_role("alert")).to_contain_text("last administrator")
    assert AuditEntry.objects.count() == 1


def test_a_guest_joins_by_the_link(page: Page, application: Application) -> None:
    page.goto(reverse("devices:team", args=[application.pk]))
    page.get_by_role("button", name="Invite member").click()
    page.get_by_role("button", name="Make invitation").click()
    link = page.locator("[data-copy]").get_attribute("data-copy")
    assert link
    page.context.clear_cookies()
    page.goto(link)
    page.get_by_label("Username").fill("nora")
    page.get_by_label("E-mail").fill("nora@example.com")
    page.get_by_label("Password").fill("a long one 4711")
    page.get_by_role("button", name="Make account and join").click()
    expect(page.get_by_text("You are in the team of Shop")).to_be_visible()
    assert Membership.objects.get(user__username="nora").role == Role.MARKETER


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_are_accessible_and_fit_the_screen(
    page: Page,
    application: Application,
    accessibility_problems: Ask,
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(
        color_scheme="light" if scheme == "light" else "dark", reduced_motion="reduce"
    )
    team = reverse("devices:team", args=[application.pk])
    page.goto(team)
    page.locator('[data-dialog="invite"]').click()
    assert accessibility_problems(page) == []
    page.get_by_role("button", name="Make invitation").click()
    link = page.locator("[data-copy]").get_attribute("data-copy")
    assert link
    for name, url in (
        ("team", team),
        ("audit", reverse("devices:audit")),
        ("roles", reverse("devices:roles")),
        ("join", link),
    ):
        page.goto(url)
        page.screenshot(path=screenshots / f"{name}-{scheme}-{width}.png", full_page=True)
        assert accessibility_problems(page) == [], url
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), url
