"""Two people at two desks: one writes a campaign, the other approves it, and it goes out."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from campaigns.models import Bulk
from devices.models import Application, Role
from tests.campaigns.composer import saved
from tests.factories import make_registrations
from tests.flows.conftest import make_shop
from tests.flows.journeys import (
    Hands,
    everybody_reported,
    in_front,
    new_campaign,
    push_rows,
    said,
    say,
    state,
)
from tests.flows.processes import Gateways

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(300),
]
DEVICES = 6


@pytest.fixture
def shop() -> Application:
    application = make_shop()
    Application.objects.filter(pk=application.pk).update(needs_approval=True)
    make_registrations(application, DEVICES)
    return Application.objects.get(pk=application.pk)


def test_what_a_second_person_sends_back_is_corrected_approved_and_sent(
    seat: Callable[[Role], Hands], shop: Application, gateways: Gateways, screenshots: Path
) -> None:
    mia, ben = seat(Role.MARKETER), seat(Role.APPROVER)

    # Mia writes it, and cannot launch it by herself
    new_campaign(mia, shop)
    mia.write(mia.page.get_by_label("Name", exact=True), "Teaser")
    say(mia, "Teaser", "Something comes")
    saved(mia.page)
    expect(mia.page.locator("#launch")).to_have_count(0)
    ask(mia)

    # Ben finds it on his first page, and sends it back
    ben.page.goto(reverse("campaigns:overview", args=[shop.pk]))
    ben.follow(ben.page.get_by_role("link", name="Teaser").first, "Teaser")
    expect(ben.page.get_by_text("Something comes").first).to_be_visible()
    ben.write(ben.page.get_by_label("Why it goes back"), "Say what comes, and when")
    ben.press(ben.page.get_by_role("button", name="Send it back"))
    expect(ben.page.locator("#approval")).to_contain_text("Sent back by")
    expect(ben.page.locator("#approval")).to_be_focused()

    # Mia, whose page hears of it, reads why and asks again
    expect(mia.page.locator("#approval")).to_contain_text("Say what comes, and when")
    mia.write(in_front(mia.page, "Text"), "The sale comes on Friday")
    expect(mia.page.locator("#approval")).to_contain_text("It was changed since")
    ask(mia)

    # Ben approves what it says now, and leaves the launch to her
    ben.page.reload()
    ben.page.wait_for_load_state("load")
    expect(ben.page.get_by_text("The sale comes on Friday").first).to_be_visible()
    ben.press(ben.page.get_by_role("button", name="Approve campaign"))
    expect(ben.page.locator("#approval")).to_contain_text("Approved by")
    expect(ben.page.locator("#approval")).to_be_focused()
    expect(ben.page.get_by_text("You approved it: somebody else launches it.")).to_be_visible()
    expect(ben.page.locator("#launch")).to_have_count(0)
    ben.page.screenshot(path=screenshots / f"approved-{ben.by}.png", full_page=True)
    assert not Bulk.objects.exists()

    # Mia launches it, and the phones get the words that Ben approved
    expect(mia.page.locator("#approval")).to_contain_text("Approved by")
    mia.press(mia.page.get_by_role("button", name=f"Send to {DEVICES} devices"))
    expect(state(mia.page)).to_have_text("Done")
    everybody_reported(gateways)
    expect(mia.page.locator("#balance")).to_contain_text(f"{DEVICES} delivered")
    rows = push_rows(gateways)
    assert len(rows) == DEVICES
    assert all("The sale comes on Friday" in said(row) for row in rows)


def ask(hands: Hands) -> None:
    hands.press(hands.page.get_by_role("button", name="Ask for approval"))
    expect(hands.page.locator("#approval")).to_contain_text("Waits for approval")
    expect(hands.page.locator("#approval")).to_be_focused()
