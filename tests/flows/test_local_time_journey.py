"""Two languages in two variants, at each recipient's time: composed, slowed, paused, finished."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from campaigns.models import Bulk, Chunk, Segment
from devices.models import Application, Platform, Registration, Role
from tests.campaigns.composer import saved
from tests.factories import make_person, make_registration
from tests.flows.conftest import make_shop
from tests.flows.journeys import (
    Figures,
    Hands,
    everybody_reported,
    in_front,
    new_campaign,
    push_rows,
    said,
    say,
    state,
    table,
)
from tests.flows.processes import Gateways

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(300),
]

INDIA, HAWAII = 330, -600  # minutes east of UTC
IN_INDIA, IN_HAWAII, DEAD, OTHERS = 32, 8, 2, 3
FANS = IN_INDIA + IN_HAWAII + DEAD
# By the language that a device reports, and the variant.
TITLES = {
    ("en", "A"): "Doors open",
    ("en", "B"): "Come early",
    ("de-AT", "A"): "Wir haben offen",
    ("de-AT", "B"): "Sei bald da",
}
GREETING = {"en": "Hello", "de-AT": "Servus"}
FALLBACK = {"en": "friend", "de-AT": "du"}


@pytest.fixture
def shop() -> Application:
    """Fans in two languages on both sides of the world, half of whose names nobody knows."""
    application = make_shop()
    everybody = {"all": [{"field": "tag", "op": "has", "value": "fan"}]}
    Segment.objects.create(application=application, name="Fans", rule=everybody)
    for zone, count in ((INDIA, IN_INDIA), (HAWAII, IN_HAWAII)):
        for place in range(count):
            make_fan(application, place, timezone_offset=zone)
    for place in range(DEAD):
        token = f"fate-unregistered-{place}:APA91b{'x' * 120}"
        make_fan(application, 2 * DEAD + place, timezone_offset=INDIA, token=token)
    for _ in range(OTHERS):
        make_registration(application, language="en", timezone_offset=INDIA)
    return application


def make_fan(application: Application, place: int, **given: Any) -> Registration:
    person = make_person(first_name="Ana" if place % 4 < 2 else "", tags=["fan"])
    platform = Platform.IOS if place % 3 == 1 and "token" not in given else Platform.ANDROID
    return make_registration(
        application, platform=platform, language=("en", "de-AT")[place % 2], person=person,
        person_tags=["fan"], **given,
    )  # fmt: skip


def compose(hands: Hands, shop: Application) -> None:
    """Everything is set on the composer's page."""
    page = hands.page
    new_campaign(hands, shop)
    hands.write(page.get_by_label("Name", exact=True), "Opening day")
    write_content(hands, "en", "A")
    hands.press(page.get_by_role("button", name="Variant", exact=True))
    expect(in_front(page, "Title")).to_be_focused()  # of the new one: that comes next
    expect(page.get_by_role("button", name="Variant B")).to_have_attribute("aria-pressed", "true")
    write_content(hands, "en", "B")
    hands.press(page.locator("#add-language summary"))
    hands.write(page.get_by_label("Another language"), "de")
    page.keyboard.press("Enter")
    german = page.get_by_role("button", name=re.compile("^German"))
    expect(german).to_have_attribute("aria-pressed", "true")
    expect(in_front(page, "Title")).to_be_focused()
    write_content(hands, "de-AT", "B")  # the variant in front stays there
    hands.press(page.get_by_role("button", name="Variant A"))
    write_content(hands, "de-AT", "A")
    fans = Segment.objects.get(name="Fans")
    hands.choose(page.get_by_label("Segment optional", exact=True), str(fans.pk))
    expect(page.locator("#audience-size")).to_contain_text(str(FANS))
    choose_delivery(hands)


def write_content(hands: Hands, language: str, variant: str) -> None:
    text = f'{GREETING[language]} {{{{ first_name | default: "{FALLBACK[language]}" }}}}'
    say(hands, TITLES[language, variant], text)


def choose_delivery(hands: Hands) -> None:
    """What Hawaii's clocks show in an hour: in India that was this morning."""
    page = hands.page
    wall = timezone.now().astimezone(UTC) + timedelta(hours=1, minutes=HAWAII)
    hands.pick(page.get_by_role("radio", name="In recipients' time"))
    hands.set_day(page.locator("#id_start_date"), wall.date())
    hands.set_time(page.locator("#id_start_time"), wall.time())
    hands.choose(page.get_by_label("Where this time has passed"), "now")
    hands.write(page.get_by_label("Messages a second"), "1")
    expect(page.locator("#goes-out")).to_contain_text(f"{wall:%H:%M} in each recipient's time")
    expect(page.locator("[data-lack='first name']")).to_contain_text("the fallback stands there")
    expect(page.locator("#by-language dd")).to_have_text([str(FANS // 2), str(FANS // 2)])
    saved(page)


def test_it_is_composed_and_goes_out_part_by_part_as_its_page_says(
    seat: Callable[[Role], Hands], shop: Application, gateways: Gateways, screenshots: Path
) -> None:
    hands = seat(Role.MARKETER)
    page = hands.page
    compose(hands, shop)
    hands.press(page.get_by_role("button", name=f"Schedule for {FANS} devices"))

    # it goes out one a second, is stopped, made faster and let go
    balance = page.locator("#balance")
    expect(state(page)).to_have_text("Sending")
    expect(balance).to_contain_text(re.compile(r"[1-9]\d* accepted without|[1-9]\d* delivered"))
    hands.press(page.get_by_role("button", name=re.compile(r"^Pause \d+ devices")))
    expect(state(page)).to_have_text("Paused")
    go_on = page.get_by_role("button", name=re.compile(r"^Send to \d+ more"))
    expect(go_on).to_be_focused()
    hands.press(page.get_by_role("button", name="Change pace"))
    expect(page.get_by_role("dialog", name="Change pace")).to_be_visible()
    hands.write(page.get_by_role("dialog").get_by_label("Messages a second"), "500")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("at most 500/s")).to_be_visible()
    expect(page.get_by_role("button", name="Change pace")).to_be_focused()
    expect(page.locator("main").get_by_role("alert")).to_have_count(0)
    expect(state(page)).to_have_text("Paused")
    hands.press(go_on)
    expect(balance).to_contain_text(re.compile(rf"\b{IN_HAWAII} waiting"))
    expect(state(page)).to_have_text("Sending")
    assert len(push_rows(gateways)) == IN_INDIA

    # an hour later, in Hawaii
    bulk = Bulk.objects.get()
    waiting = Chunk.objects.filter(bulk=bulk, status=Chunk.Status.OPEN)
    assert {each.timezone_offset for each in waiting} == {HAWAII}
    waiting.update(not_before=timezone.now() - timedelta(seconds=1))
    expect(state(page)).to_have_text("Done")
    everybody_reported(gateways)
    whole = IN_INDIA + IN_HAWAII
    expect(balance).to_contain_text(f"{FANS} targeted = {whole} delivered + 0 accepted without")
    expect(balance).to_contain_text(f"{DEAD} failed")

    # every part of the page says what the clouds' ledger says
    hands.press(page.locator("#by-language summary"))
    expect(page.locator("#language-figures tbody tr")).to_have_count(2)
    page.screenshot(path=screenshots / f"local-time-{hands.by}.png", full_page=True)
    by_language, by_variant, refused = by_ledger(gateways)
    of_languages, of_variants = parts(page, "#language-figures"), parts(page, "#variants")
    for column in ("Accepted", "Delivered"):
        assert {name: each[column] for name, each in of_languages.items()} == by_language
        assert {name: each[column] for name, each in of_variants.items()} == by_variant
    assert {name: each["Failed"] for name, each in of_languages.items()} == refused
    assert sum(each["Failed"] for each in of_variants.values()) == DEAD


def by_ledger(gateways: Gateways) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """What was taken by language and by variant, and what was refused by language.

    Each phone got the words of its own language, and whose it is stands in them.
    """
    devices = {
        each.address.token: each
        for each in Registration.objects.select_related("address", "person")
    }
    languages: Counter[str] = Counter()
    variants: Counter[str] = Counter()
    for row in push_rows(gateways):
        device, told = devices[row["token"]], said(row)
        assert device.person is not None
        [(language, variant)] = [key for key, title in TITLES.items() if title in told]
        name = device.person.first_name or FALLBACK[language]
        assert language == device.language
        assert f"{GREETING[language]} {name}" in told
        languages[language] += 1
        variants[variant] += 1
    dead = {row["token"] for row in gateways.refusals()}
    return languages, variants, Counter(devices[token].language for token in dead)


def parts(page: Page, part: str) -> dict[str, Figures]:
    """A table of the campaign's page, its rows by the last word of their names."""
    return {name.split()[-1]: each for name, each in table(page.locator(part)).items()}
