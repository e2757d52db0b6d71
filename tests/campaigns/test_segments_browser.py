"""Segments in a browser: a rule is built by mouse and by keyboard alone, counted and explained."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, Route, expect

from campaigns import segmenting
from campaigns.models import Segment, SegmentDay
from campaigns.targeting import Rule
from devices.models import Application, Event, Platform, Registration, Role
from devices.versions import pack_version
from tests.factories import make_application, make_person, make_registration, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
LAPSED = {
    "all": [
        {"field": "platform", "op": "in", "value": ["iOS", "Huawei"]},
        {"field": "language", "op": "in", "value": ["de", "de-AT"]},
        {"field": "app_version", "op": "lt", "value": "4.10"},
        {"field": "event:purchase", "op": "within_days", "value": 30},
        {"not": {"field": "tag", "op": "has", "value": "vip"}},
    ]
}
SENTENCE = (
    "platform is any of iOS or Huawei and language is any of de or de-AT and app version is older"
    " than 4.10 and did “purchase” in the last 30 days and not (tag has vip)"
)


def make_buyer(
    application: Application,
    name: str,
    *,
    tags: list[str] | None = None,
    days_ago: int = 5,
    platform: Platform = Platform.IOS,
    language: str = "de",
) -> Registration:
    """Somebody with a phone whose app is older than 4.10, who bought something."""
    person = make_person(first_name=name, external_id=f"c-{name.lower()}", tags=tags or [])
    device = make_registration(
        application, platform=platform, language=language, person=person,
        person_tags=tags or [], app_version=pack_version("4.9"),
    )  # fmt: skip
    Event.objects.create(
        id=uuid.uuid4(), at=timezone.now() - timedelta(days=days_ago), application=application,
        registration=device, person=person, kind=Event.Kind.CUSTOM, name="purchase",
    )  # fmt: skip
    return device


@pytest.fixture
def shop(sign_in: Callable[[User], None]) -> Application:
    """Two who match, and one for each condition who does not."""
    application = make_application(name="Shop")
    make_buyer(application, "Ana")
    make_buyer(application, "Bo", platform=Platform.HUAWEI, language="de-AT")
    make_buyer(application, "Carl", tags=["vip"])
    make_buyer(application, "Dora", language="fr")
    make_buyer(application, "Emil", platform=Platform.ANDROID)
    sign_in(make_user(Role.MARKETER, application))
    return application


def the_segment_is_saved_and_says_why_carl_is_not_in_it(page: Page) -> None:
    expect(page.get_by_role("heading", name="Lapsed buyers")).to_be_visible()
    segment = Segment.objects.get(name="Lapsed buyers")
    assert segment.rule == LAPSED
    expect(page.locator("#segment-size")).to_contain_text("2 devices would get a push now")
    expect(page.locator("#segment-members li")).to_have_count(2)
    left = page.locator("#rule-clauses tbody tr td:nth-child(2)")
    expect(left).to_have_text(["5", "4", "3", "3", "3", "2", "2"])


def counted(page: Page, devices: int) -> None:
    expect(page.locator("#segment-live .audience-number strong")).to_have_text(str(devices))


def add_condition(page: Page, key: int) -> None:
    page.locator("#add-test-0").click()
    expect(page.locator(f"#f{key}")).to_be_focused()


def test_a_segment_is_built_with_the_mouse(
    page: Page, shop: Application, screenshots: Path
) -> None:
    page.goto(reverse("campaigns:segments", args=[shop.pk]))
    page.get_by_role("link", name="New segment").first.click()
    counted(page, 5)
    page.get_by_label("Name", exact=True).fill("Lapsed buyers")
    page.get_by_label("What condition 1 asks").select_option("platform")
    first = page.get_by_role("group", name="Condition 1")
    first.get_by_label("iOS").check()
    first.get_by_label("Huawei").check()
    counted(page, 4)
    add_condition(page, 2)
    page.get_by_label("What condition 2 asks").select_option("language")
    for language in ("de", "de-AT"):
        page.get_by_label("Value of condition 2").fill(language)
        page.keyboard.press("Enter")
        expect(page.get_by_label(f"Remove {language} from condition 2")).to_be_visible()
    counted(page, 3)
    add_condition(page, 3)
    page.get_by_label("What condition 3 asks").select_option("app_version")
    page.get_by_label("How condition 3 asks").select_option("lt")
    value = page.get_by_label("Value of condition 3")
    value.fill("new")
    fault = page.get_by_role("group", name="Condition 3").locator("[data-fault]")
    expect(fault).to_have_text("Expected a version such as 4.10.2.")
    expect(value).to_have_attribute("aria-invalid", "true")
    value.fill("4.10")
    expect(fault).to_be_hidden()
    add_condition(page, 4)
    page.get_by_label("What condition 4 asks").select_option("event:")
    page.get_by_label("Event of condition 4").fill("purchase")
    page.get_by_label("Days of condition 4").fill("30")
    add_condition(page, 5)
    page.get_by_label("What condition 5 asks").select_option("tag")
    page.get_by_label("Value of condition 5").fill("vip")
    counted(page, 1)
    page.get_by_label("Not, condition 5").click()
    counted(page, 2)
    expect(page.locator("#segment-live")).to_contain_text(f"In words: {SENTENCE}.")
    clauses = page.locator("#rule-clauses tbody tr")
    expect(clauses).to_have_count(7)
    expect(clauses.nth(1)).to_contain_text("Platform is any of iOS or Huawei")
    expect(clauses.nth(6)).to_contain_text("Gets a push")
    expect(clauses.nth(6).locator("td").nth(1)).to_have_text("2")
    expect(page.locator("#segment-members li")).to_have_count(2)
    page.get_by_label("Find a device by").fill("Carl")
    answers = page.locator("#segment-answers")
    expect(answers).to_contain_text("What says no: not: tag has vip")
    page.get_by_label("Not, condition 5").click()  # told anew of the changed rule
    expect(answers).to_contain_text("It matches, and a push reaches it")
    page.get_by_label("Not, condition 5").click()
    expect(answers).to_contain_text("What says no: not: tag has vip")
    page.screenshot(path=screenshots / "segment-builder.png", full_page=True)

    page.get_by_role("button", name="Save segment").click()

    the_segment_is_saved_and_says_why_carl_is_not_in_it(page)
    page.get_by_label("Find a device by").fill("Carl")
    answers = page.locator("#segment-answers")
    expect(answers).to_contain_text("What says no: not: tag has vip")
    expect(answers).to_contain_text("This device: vip")
    page.screenshot(path=screenshots / "segment.png", full_page=True)


def tab_to(page: Page, element: str, *, back: bool = False) -> None:
    """Go with the Tab key alone to the element of an id."""
    for _ in range(80):
        if page.evaluate("document.activeElement.id") == element:
            return
        page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"the keyboard does not reach #{element}")


def choose(page: Page, element: str, label: str, *, then: str) -> None:
    """Pick from a list by typing; wait until the page shows what follows."""
    tab_to(page, element)
    page.keyboard.type(label)
    expect(page.locator(f"#{then}")).to_be_visible()
    expect(page.locator(f"#{element}")).to_be_focused()


def test_a_segment_is_built_with_the_keyboard_alone(page: Page, shop: Application) -> None:
    page.goto(reverse("campaigns:segment-new", args=[shop.pk]))
    tab_to(page, "id_name")
    page.keyboard.type("Lapsed buyers")
    choose(page, "f1", "Platform", then="o1")
    tab_to(page, "v1-iOS")
    page.keyboard.press("Space")
    tab_to(page, "v1-Huawei")
    page.keyboard.press("Space")
    counted(page, 4)
    for key, label in ((2, "Language"), (3, "App version"), (4, "Event of the app"), (5, "Tag")):
        tab_to(page, "add-test-0")
        page.keyboard.press("Enter")
        expect(page.locator(f"#f{key}")).to_be_focused()
        choose(page, f"f{key}", label, then=f"o{key}")
        if key == 2:
            tab_to(page, "w2")
            for language in ("de", "de-AT"):
                page.keyboard.type(language)
                page.keyboard.press("Enter")
                expect(page.get_by_label(f"Remove {language} from condition 2")).to_be_visible()
                expect(page.locator("#w2")).to_be_focused()
            counted(page, 3)
        elif key == 3:
            tab_to(page, "o3")
            page.keyboard.type("is older")
            tab_to(page, "v3-0")
            page.keyboard.type("4.10")
        elif key == 4:
            tab_to(page, "n4")
            page.keyboard.type("purchase")
            tab_to(page, "v4")
            page.keyboard.type("30")
        else:
            tab_to(page, "v5-0")
            page.keyboard.type("vip")
            counted(page, 1)
    tab_to(page, "not-5", back=True)
    page.keyboard.press("Space")
    counted(page, 2)
    expect(page.locator("#not-5")).to_be_focused()

    # moved up and down again, once by Alt and an arrow, once by its button
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#up-5")).to_be_focused()
    expect(page.get_by_role("group", name="Condition 4").locator("#f5")).to_be_visible()
    tab_to(page, "down-5")
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Condition 5").locator("#f5")).to_be_visible()
    expect(page.locator("#down-5")).to_be_focused()
    # duplicated, and the copy wrapped, dissolved and removed
    tab_to(page, "duplicate-5")
    page.keyboard.press("Enter")
    expect(page.locator("#duplicate-6")).to_be_focused()
    tab_to(page, "wrap-6")
    page.keyboard.press("Enter")
    expect(page.locator("#k7")).to_be_focused()
    tab_to(page, "unwrap-7")
    page.keyboard.press("Enter")
    expect(page.locator("#k7")).to_have_count(0)
    tab_to(page, "remove-6", back=True)
    page.keyboard.press("Enter")
    expect(page.locator("#node-6")).to_have_count(0)
    expect(page.locator("#segment-live")).to_contain_text(f"In words: {SENTENCE}.")
    tab_to(page, "save-segment", back=True)
    page.keyboard.press("Enter")

    the_segment_is_saved_and_says_why_carl_is_not_in_it(page)
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "q":
            break
    page.keyboard.type("Carl")
    expect(page.locator("#segment-answers")).to_contain_text("What says no: not: tag has vip")


def test_a_group_of_conditions_is_opened_and_stays_open_while_the_rule_changes(
    page: Page, shop: Application
) -> None:
    ios = {"field": "platform", "op": "in", "value": ["iOS"]}
    german = {"field": "language", "op": "in", "value": ["de"]}
    vip = {"field": "tag", "op": "has", "value": "vip"}
    rule: Rule = {"all": [ios, {"any": [vip, german]}]}
    user = make_user(Role.MARKETER, shop)
    segment = segmenting.create(shop, user, name="German or important", rule=rule)
    page.goto(reverse("campaigns:segment-edit", args=[shop.pk, segment.pk]))
    clauses = page.locator("#rule-clauses")
    numbers = clauses.locator("tbody tr td:nth-child(2)")
    expect(numbers).to_have_text(["5", "3", "2", "2"])

    tab_to(page, "clause-1")
    page.keyboard.press("Enter")
    expect(clauses.get_by_text("Of the 3 that come here, those found so far")).to_be_visible()
    expect(numbers).to_have_text(["5", "3", "2", "1", "2", "2"])
    expect(page.locator("#clause-1")).to_be_focused()
    expect(page.locator("#clause-1")).to_have_attribute("aria-expanded", "true")

    page.get_by_role("group", name="Condition 1").get_by_label("Android").check()
    expect(clauses.get_by_text("Of the 4 that come here, those found so far")).to_be_visible()

    page.locator("#clause-1").click()
    expect(clauses.get_by_text("that come here")).to_have_count(0)
    expect(page.locator("#clause-1")).to_have_text("Show its 2 conditions")


def hold(page: Page, url: str) -> Callable[[], Route]:
    """Keep the next request of a URL back; gives what lets it go on."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(url, keep, times=1)
    return lambda: held[0]


def test_what_is_asked_while_an_answer_is_under_way_is_done_after_it(
    page: Page, shop: Application
) -> None:
    page.goto(reverse("campaigns:segment-new", args=[shop.pk]), wait_until="load")
    answer = hold(page, "**/segments/build/")

    page.locator("#f1").select_option("platform")
    page.locator("#add-test-0").click()
    page.locator("#not-1").click()
    page.get_by_label("Name", exact=True).fill("Everybody else")
    expect(page.locator("#o1")).to_have_count(0)  # the first answer is still under way
    answer().continue_()

    expect(page.locator("#o1")).to_be_visible()
    expect(page.locator("#f2")).to_be_visible()
    expect(page.locator("#not-1")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Everybody else")


def test_what_is_chosen_before_the_scripts_are_there_counts(
    browsing: BrowserContext, shop: Application
) -> None:
    page = browsing.new_page()
    answer = hold(page, "**/segment.js")
    page.goto(reverse("campaigns:segment-new", args=[shop.pk]), wait_until="commit")
    page.locator("#f1").select_option("platform")

    answer().continue_()

    expect(page.get_by_role("group", name="Condition 1").get_by_label("iOS")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_of_segments_are_accessible_and_fit_the_screen(
    page: Page,
    shop: Application,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    rule = {"all": [*LAPSED["all"], {"not": {"any": [LAPSED["all"][0], {"all": LAPSED["all"]}]}}]}
    user = make_user(Role.MARKETER, shop)
    segment = segmenting.create(shop, user, name="Lapsed buyers", rule={"all": rule["all"][:3]})
    segmenting.change(segment, user, version=1, name="Lapsed buyers", rule=rule)
    for ago in range(3):
        SegmentDay.objects.create(
            segment=segment, version=2, devices=2 + ago,
            day=timezone.now().date() - timedelta(days=ago),
        )  # fmt: skip
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    for name, one in (
        ("segments", None),
        ("segment", segment),
        ("segment-versions", segment),
        ("segment-edit", segment),
        ("segment-new", None),
    ):
        page.goto(reverse(f"campaigns:{name}", args=[shop.pk, *([one.pk] if one else [])]))
        expect(page.locator(".skeleton:visible")).to_have_count(0)
        if name in ("segment", "segment-edit"):
            page.get_by_label("Find a device by").fill("Carl")
            expect(page.locator("#segment-answers")).to_contain_text("It does not match")
        assert accessibility_problems(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        page.screenshot(path=screenshots / f"{name}-{width}-{scheme}.png", full_page=True)
