"""Support is asked "why did I not get it?": from every page, by mouse and by keyboard alone."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Locator, expect

from campaigns import composing, statistics
from campaigns.models import Bulk
from campaigns.targeting import Rule
from devices.models import Application, Registration, Role
from tests.factories import make_campaign, make_person, make_registration, make_user
from tests.flows.conftest import make_shop
from tests.flows.journeys import Hands, everybody_reported
from tests.flows.processes import Gateways
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(300),
]

NAMES = (
    "Registered before the launch", "Matched the audience", "May be notified", "Frequency cap",
    "Time of the day", "Sent", "Accepted by the cloud", "Delivered", "Seen",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """Which gate is the first that did not let a device through, and what it says."""

    gate: str
    passage: str  # the class of its line
    says: tuple[str, ...]


# What support is to find out, by whose device it is.
ANSWERS = {
    "Ana": Answer(
        "Frequency cap", "stopped", ("1 push in 24 h was this application's limit: Flash sale",)
    ),
    "Bo": Answer("May be notified", "stopped", ("Notifications are switched off, at the launch.",)),
    "Cleo": Answer(
        "Accepted by the cloud",
        "stopped",
        ("The app was removed from the device", "The provider's answer: 404 UNREGISTERED"),
    ),
    "Dora": Answer("Seen", "waiting", ("It arrived, and nobody has opened it.",)),
}


@pytest.fixture
def shop() -> Application:
    """One push a day for everybody; each with a phone that is named after its owner."""
    application = make_shop()
    Application.objects.filter(pk=application.pk).update(cap_count=1, cap_hours=24)
    for name in ANSWERS:
        given: dict[str, Any] = {"notifications_enabled": name != "Bo"}
        if name == "Cleo":
            given["token"] = f"fate-unregistered-1:APA91b{'x' * 120}"
        person = make_person(first_name=name, last_name="Meyer", external_id=f"c-{name.lower()}")
        make_registration(application, person=person, model=f"Phone of {name}", **given)
    return Application.objects.get(pk=application.pk)


def device_of(name: str) -> Registration:
    return Registration.objects.select_related("address").get(model=f"Phone of {name}")


def launched(shop: Application, gateways: Gateways, name: str, rule: Rule) -> Bulk:
    """A campaign that the workers have sent, and all it reached have reported."""
    campaign = make_campaign(shop, name=name, rule=rule)
    bulk = composing.launch(campaign, make_user(Role.MARKETER, shop))

    def done() -> bool:
        bulk.refresh_from_db()
        return bulk.status == Bulk.Status.DONE

    eventually(done, seconds=90, what=f"{name} was sent")
    everybody_reported(gateways)
    return bulk


# ------------------------------------------------------------------- the ways to the answer


def from_person(hands: Hands, bulk: Bulk, name: str) -> None:
    page = hands.page
    page.goto(reverse("devices:people", args=[bulk.application_id]))
    search(hands, name)
    hands.follow(page.get_by_role("link", name=f"{name} Meyer"), f"{name} Meyer")
    choose(hands, bulk)


def from_device(hands: Hands, bulk: Bulk, name: str) -> None:
    page = hands.page
    page.goto(reverse("devices:list", args=[bulk.application_id]))
    search(hands, f"c-{name.lower()}")
    hands.follow(page.get_by_role("link", name=f"Phone of {name}"), re.compile(f"Phone of {name}"))
    choose(hands, bulk)


def from_campaign(hands: Hands, bulk: Bulk, name: str) -> None:
    page = hands.page
    page.goto(reverse("campaigns:detail", args=[bulk.application_id, bulk.campaign_id]))
    hands.follow(page.get_by_role("link", name="Why not?"), "Why not?")
    search(hands, name)


def from_message(hands: Hands, bulk: Bulk, name: str) -> None:
    page = hands.page
    page.goto(reverse("campaigns:detail", args=[bulk.application_id, bulk.campaign_id]))
    hands.follow(page.get_by_role("link", name="Open message log"), "Messages")
    device = device_of(name).address.public_id
    hands.follow(page.get_by_role("link", name=f"Every gate of {device}"), "Why not?")


def search(hands: Hands, text: str) -> None:
    hands.write(hands.page.locator("main [data-search]"), text)
    hands.page.keyboard.press("Enter")


def choose(hands: Hands, bulk: Bulk) -> None:
    field = hands.page.get_by_label("Campaign", exact=True)
    hands.choose(field, str(bulk.pk))
    expect(field).to_have_value(str(bulk.pk))


# Who had no message has none in the log.
WAYS = {
    "mouse": [
        *((way, name) for way in (from_person, from_device, from_campaign) for name in ANSWERS),
        *((from_message, name) for name in ("Cleo", "Dora")),
    ],
    "keyboard": [
        (from_person, "Ana"), (from_device, "Bo"), (from_message, "Cleo"), (from_campaign, "Dora"),
    ],
}  # fmt: skip


def test_the_first_gate_that_said_no_is_told_with_its_values_on_every_way(
    seat: Callable[[Role], Hands], shop: Application, gateways: Gateways, screenshots: Path
) -> None:
    hers = {"field": "model", "op": "is", "value": "Phone of Ana"}
    launched(shop, gateways, "Flash sale", {"all": [hers]})
    bulk = launched(shop, gateways, "Friday sale", {"all": []})
    assert statistics.funnel(bulk).delivered == 1
    hands = seat(Role.SUPPORT)
    page = hands.page

    for come, name in WAYS[hands.by]:
        come(hands, bulk, name)
        way = page.get_by_role("region", name=f"To Phone of {name}")
        assert_told(way, ANSWERS[name])
        page.screenshot(path=screenshots / f"why-not-{name}-{come.__name__}-{hands.by}.png")


def assert_told(way: Locator, answer: Answer) -> None:
    """All gates in their order: what let it through, the one that did not, the rest not asked."""
    lines = way.get_by_role("listitem")
    expect(lines).to_have_count(len(NAMES))
    gates: list[tuple[str, str]] = lines.evaluate_all(
        "lines => lines.map((line) => [line.className, line.innerText])"
    )
    stopped = NAMES.index(answer.gate)
    passages = ["passed"] * stopped + [answer.passage]
    passages += ["unreached"] * (len(NAMES) - len(passages))
    assert [passage.removeprefix("is-") for passage, _ in gates] == passages
    assert all(name in text for name, (_, text) in zip(NAMES, gates, strict=True))
    assert all(each in gates[stopped][1] for each in answer.says), gates[stopped][1]
