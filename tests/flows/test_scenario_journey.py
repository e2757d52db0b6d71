"""A push, and a text message for whomever it does not reach: made and followed in the browser."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from campaigns.models import Bulk, Journey, Scenario
from devices.models import Application, Role
from tests.campaigns.composer import saved
from tests.factories import make_gateway, make_person, make_registration
from tests.flows.conftest import QUIET, make_shop
from tests.flows.journeys import (
    Hands,
    new_campaign,
    push_rows,
    say,
    state,
    table,
)
from tests.flows.processes import Gateways
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(300),
]

# What becomes of the push, and how many people it becomes of.
REACHED, DEAD, SILENT = 3, 2, 2
PEOPLE = REACHED + DEAD + SILENT + 1  # and one whose phone is dead and has no number
UNREACHED = DEAD + SILENT


@pytest.fixture
def shop(gateways: Gateways) -> Application:
    """People whose phones take a push, refuse it, or never say that it came."""
    application, key = make_shop(), secrets.token_hex(16)
    make_gateway(application, api_key=key)
    gateways.ask("POST", "/credentials", {"infobip": [{"api_key": key, "senders": ["Shop"]}]})
    gateways.ask("POST", "/operators", QUIET)
    fates = ["accepted"] * REACHED + ["unregistered"] * DEAD + ["silent"] * SILENT
    for place, fate in enumerate(fates):
        person = make_person(phone=f"4179000000{place}", first_name=fate)
        make_registration(application, person=person, token=token(fate, place))
    lonely = make_person(external_id="no-number", first_name="lonely")
    make_registration(application, person=lonely, token=token("unregistered", len(fates)))
    return application


def token(fate: str, place: int) -> str:
    return f"fate-{fate}-{place}:APA91b{'x' * 120}"


def numbers_of(*names: str) -> set[str]:
    people = Journey.objects.filter(person__first_name__in=names)
    found = people.values_list("person__identities__value", flat=True)
    return {each for each in found if each}


def make_scenario(hands: Hands, shop: Application) -> Scenario:
    """Somebody writes down the steps: a push for a minute, then a text message."""
    page = hands.page
    page.goto(reverse("campaigns:scenarios", args=[shop.pk]))
    hands.follow(page.get_by_role("link", name="New scenario").first, "New scenario")
    expect(page.locator("#scenario-form[data-ready]")).to_be_visible()
    hands.write(page.get_by_label("Name", exact=True), "Push, then SMS")
    hands.write(page.get_by_label("Wait for its delivery").first, "1")
    hands.choose(page.get_by_label("Unit of the time").first, "minutes")
    hands.write(page.get_by_label("From"), "Shop")
    hands.press(page.get_by_role("button", name="Save scenario"))
    expect(page.get_by_role("heading", name="Push, then SMS", level=1)).to_be_visible()
    return Scenario.objects.get()


def test_whom_the_push_does_not_reach_gets_a_text_message_as_the_page_says(
    seat: Callable[[Role], Hands], shop: Application, gateways: Gateways, screenshots: Path
) -> None:
    hands = seat(Role.MARKETER)
    page = hands.page
    scenario = make_scenario(hands, shop)
    new_campaign(hands, shop)
    hands.write(page.get_by_label("Name", exact=True), "Friday sale")
    say(hands, "Friday sale", "Half price until six")
    hands.choose(page.get_by_label("If it does not arrive"), str(scenario.pk))
    expect(page.locator("#scenario-choice")).to_contain_text("2. Text message")
    expect(page.locator("#texts")).to_contain_text("Cost if all fall back")
    saved(page)
    hands.press(page.get_by_role("button", name=f"Send to {PEOPLE} devices"))
    expect(state(page)).to_have_text("Sending")

    # refused pushes are followed at once; the silent ones still have their time
    steps = page.locator("#steps")
    text = steps.get_by_role("row").filter(has_text="2. Text message")
    expect(text.locator("[data-label=Delivered]")).to_have_text(str(DEAD))
    push = steps.get_by_role("row").filter(has_text="1. Push")
    expect(push.locator("[data-label=Delivered]")).to_have_text(str(REACHED))
    expect(push.locator("[data-label='On the way']")).to_have_text(str(SILENT))
    assert texted(gateways) == numbers_of("unregistered")

    # their minute is over
    running = Journey.objects.filter(state=Journey.State.RUNNING)
    assert running.update(deadline=timezone.now() - timedelta(seconds=1)) == SILENT
    expect(text.locator("[data-label=Delivered]")).to_have_text(str(UNREACHED))
    expect(state(page)).to_have_text("Done")
    assert table(steps) == {
        "1. Push": {
            "People": PEOPLE, "On the way": 0, "Delivered": REACHED, "Failed": DEAD + 1,
            "Expired": SILENT,
        },
        "2. Text message": {
            "People": UNREACHED + 1, "On the way": 0, "Delivered": UNREACHED, "Failed": 1,
            "Expired": 0,
        },
    }  # fmt: skip
    expect(text.locator("[data-label=Cost]")).to_have_text(f"{UNREACHED * 0.045:.2f} EUR")
    page.screenshot(path=screenshots / f"push-then-sms-{hands.by}.png", full_page=True)
    assert len(push_rows(gateways)) == REACHED + SILENT
    assert texted(gateways) == numbers_of("unregistered", "silent")

    # the log of the second step has one row for each of them
    hands.follow(text.get_by_role("link", name="2. Text message"), "Messages")
    expect(page.locator("#message-table tbody tr")).to_have_count(UNREACHED)
    expect(page.locator("#message-table tbody tr").filter(has_text="Delivered")).to_have_count(
        UNREACHED
    )
    assert Bulk.objects.filter(step=1, campaign__name="Friday sale").count() == 1


def texted(gateways: Gateways) -> set[str]:
    """The numbers that the gateway took a text for; none of them twice."""

    def numbers() -> list[str]:
        return [row["token"] for row in gateways.messages() if row["provider"] == "infobip"]

    eventually(numbers, what="the gateway took a text")
    found = numbers()
    assert len(set(found)) == len(found)
    return set(found)
