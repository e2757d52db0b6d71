"""Versions in a browser: an old rule is compared with the new one and restored, by mouse."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from campaigns import segmenting
from campaigns.models import Segment
from campaigns.targeting import Rule
from devices.models import Role
from tests.factories import make_application, make_person, make_registration, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
GERMAN: Rule = {"all": [{"field": "language", "op": "in", "value": ["de", "de-AT"]}]}


@pytest.fixture
def segment(sign_in: Callable[[User], None]) -> Segment:
    application = make_application(name="Shop")
    for name, language in (("Ana", "de"), ("Bo", "de-AT"), ("Carl", "fr")):
        make_registration(application, language=language, person=make_person(first_name=name))
    user = make_user(Role.MARKETER, application)
    sign_in(user)
    return segmenting.create(application, user, name="Readers", rule=GERMAN)


def test_a_rule_is_changed_compared_and_restored_with_the_mouse(
    page: Page, segment: Segment, screenshots: Path
) -> None:
    page.goto(segment.get_absolute_url())
    page.get_by_role("link", name="Edit segment").click()
    page.get_by_label("Remove de from condition 1").click()
    expect(page.get_by_label("Remove de from condition 1")).to_have_count(0)
    page.get_by_role("button", name="Save segment").click()
    versions = page.get_by_role("region", name="Versions")
    expect(versions).to_contain_text("Version 2, current")

    versions.get_by_role("link", name="Compare versions").click()

    before = page.get_by_role("region", name="Version 1")
    after = page.get_by_role("region", name="Version 2", exact=True)
    expect(before).to_contain_text("language is any of removed: de or de-AT")
    expect(after).to_contain_text("language is any of de-AT")
    expect(page.locator("#entering")).to_have_text("0")
    expect(page.locator("#leaving")).to_have_text("1")
    expect(page.locator("#moved-leave")).to_contain_text("Ana")
    expect(page.locator("#moved-enter")).to_contain_text("Nobody")
    page.screenshot(path=screenshots / "segment-versions.png", full_page=True)

    before.get_by_role("button", name="Restore version 1").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("no version is lost")
    dialog.get_by_role("button", name="Restore version 1").click()

    expect(page.get_by_role("region", name="Versions")).to_contain_text("Version 3, current")
    segment.refresh_from_db()
    assert segment.rule == GERMAN
