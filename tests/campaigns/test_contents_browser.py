"""The composer's languages and variants in a browser, by mouse and by keyboard."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from campaigns.models import Campaign
from tests.campaigns.composer import opened, saved
from tests.factories import (
    make_credential,
    make_person,
    make_registration,
    make_registrations,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def draft(draft: Campaign) -> Campaign:
    """To devices in two languages."""
    make_credential(draft.application)
    draft.application.registrations.update(language="de-AT")
    make_registrations(draft.application, 2, language="en")
    return draft


def test_two_languages_and_two_variants_are_written_and_counted(
    page: Page, draft: Campaign, screenshots: Path
) -> None:
    opened(page, draft)
    page.locator("#add-language summary").click()
    page.get_by_label("Another language").fill("de")
    page.keyboard.press("Enter")
    german = page.get_by_role("button", name="German 3")
    expect(german).to_have_attribute("aria-pressed", "true")
    title = page.locator("[data-panel]:not([hidden]) [name$=-title]").first
    expect(title).to_be_focused()  # the words of what was added come next
    page.get_by_label("Text").and_(page.locator(":visible")).fill("Nur heute")
    expect(page.locator("#preview .push-text").first).to_have_text("Nur heute")
    page.get_by_role("button", name="Variant", exact=True).click()
    expect(page.get_by_role("button", name="Variant B")).to_have_attribute("aria-pressed", "true")
    expect(title).to_be_focused()
    expect(german).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("Text").and_(page.locator(":visible"))).to_have_value("Nur heute")
    page.get_by_label("Text").and_(page.locator(":visible")).fill("Heute nur")
    page.get_by_role("button", name="Default").click()
    page.get_by_label("Text").and_(page.locator(":visible")).fill("Only today")
    page.get_by_label("Variant A", exact=True).and_(page.locator("input")).fill("70")
    page.get_by_label("Variant B", exact=True).and_(page.locator("input")).fill("20")
    expect(page.get_by_text("90 % in sum")).to_be_visible()
    page.get_by_label("Nobody").fill("10")
    expect(page.get_by_text("in sum")).to_have_count(0)
    saved(page)
    page.screenshot(path=screenshots / "contents.png", full_page=True)

    assert list(draft.contents.values_list("language", "variant", "text")) == [
        ("", 0, "Today only"), ("", 1, "Only today"),
        ("de", 0, "Nur heute"), ("de", 1, "Heute nur"),
    ]  # fmt: skip
    draft.refresh_from_db()
    assert draft.split == {"shares": [70, 20], "holdout": 10}
    expect(page.locator("#by-language dd")).to_have_text(["2", "3"])


def test_a_section_folds_to_a_line_and_opens_for_a_fault(page: Page, draft: Campaign) -> None:
    opened(page, draft)
    lines = {
        "Content": "Sale: Today only",
        "Audience": "5 devices · every device",
        "Delivery": "As soon as it is launched",
    }
    for title, line in lines.items():
        page.locator("summary", has_text=title).press("Enter")
        expect(page.locator("summary", has_text=title).locator("[data-line]")).to_have_text(line)
    expect(page.get_by_label("Title")).to_be_hidden()
    expect(page.locator("#id_throttle")).to_be_hidden()

    page.locator("summary", has_text="Content").press("Enter")
    page.get_by_label("Title").fill("Hi {{ nobody")
    page.locator("summary", has_text="Content").press("Enter")
    expect(page.get_by_label("Title")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Title")).to_be_visible()
    expect(page.locator("#id_throttle")).to_be_hidden()


def test_a_new_name_stands_wherever_the_old_one_stood(page: Page, draft: Campaign) -> None:
    opened(page, draft)
    page.get_by_label("Name", exact=True).fill("Black $& Friday")
    expect(page.get_by_role("heading", level=1)).to_have_text("Black $& Friday")
    expect(page.locator(".breadcrumb [aria-current]")).to_have_text("Black $& Friday")
    expect(page).to_have_title("Black $& Friday · Shop · pushadmin")
    page.get_by_label("Name", exact=True).fill("")
    expect(page.locator(".breadcrumb [aria-current]")).to_have_text("Campaign without a name")


def test_words_typed_while_a_language_is_added_are_kept(page: Page, draft: Campaign) -> None:
    opened(page, draft)

    def slowly(route: Route) -> None:
        answer = route.fetch()
        page.get_by_label("Title").and_(page.locator(":visible")).fill("Typed meanwhile")
        route.fulfill(response=answer)

    page.route("**/contents/", slowly)
    page.locator("#add-language summary").click()
    page.get_by_label("Another language").fill("fr")
    page.get_by_role("button", name="Add language").click()
    expect(page.get_by_role("button", name="French 0")).to_be_visible()
    page.get_by_role("button", name="Default 5").click()

    expect(page.get_by_label("Title").and_(page.locator(":visible"))).to_have_value(
        "Typed meanwhile"
    )
    expect(page.locator("#draft-version")).to_have_value("4")
    saved(page)
    assert draft.contents.get(language="").title == "Typed meanwhile"


def test_a_fault_leads_to_its_language(page: Page, draft: Campaign) -> None:
    draft.contents.create(language="de", text="Nur heute", image_url="http://shop.example/a.png")
    opened(page, draft)
    german = page.get_by_role("button", name="German")
    german.click()
    image = page.get_by_label("Image").and_(page.locator(":visible"))
    image.fill("nothing")
    expect(page.locator("#composer-status").get_by_role("link", name="German")).to_be_visible()
    page.get_by_role("button", name="Default").click()
    expect(german).to_have_attribute("aria-pressed", "false")

    page.locator("#composer-status").get_by_role("link", name="German").click()

    expect(german).to_have_attribute("aria-pressed", "true")
    expect(image).to_have_value("nothing")
    image.fill("")
    saved(page)


def test_the_preview_follows_as_a_real_person(
    page: Page, draft: Campaign, screenshots: Path
) -> None:
    ana = make_person(first_name="Ana", city="Berlin")
    make_registration(draft.application, person=ana, language="de")
    opened(page, draft)
    text = page.get_by_label("Text").and_(page.locator(":visible"))
    text.fill("Hi {{ first_name }}")
    shown = page.locator("#preview .push-text").first
    expect(shown).to_have_text("Hi {{ first_name }}")
    page.get_by_label("As", exact=True).select_option(label="Ana, Berlin, Android, de")
    expect(shown).to_have_text("Hi Ana")
    text.fill("Hello {{ first_name }}")
    expect(shown).to_have_text("Hello Ana")
    expect(page.locator("#preview .push-picture:visible")).to_have_count(0)
    expect(page.locator("[data-lack='first name']")).to_contain_text("5 devices")
    saved(page)
    page.screenshot(path=screenshots / "merge-tags.png", full_page=True)

    text.fill("Hello {{ first_nam }}")
    expect(page.locator("#id_text_field .errorlist")).to_contain_text("Nobody has a first_nam")
    saved(page)
    page.get_by_label("As", exact=True).select_option("")
    expect(shown).to_have_text("Hello {{ first_nam }}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_contents_are_accessible_and_fit_the_screen(
    page: Page,
    draft: Campaign,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    other = draft.contents.create(language="de", text="Nur heute")
    draft.contents.create(language="", variant=1, text="Only today")
    draft.contents.create(language="de", variant=1, text="Heute nur")
    draft.split = {"shares": [50, 40], "holdout": 10}
    draft.save()
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    opened(page, draft)
    page.get_by_role("button", name="German").click()
    expect(page.locator(f"#id_content-{other.pk}-text")).to_be_visible()

    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#add-language summary").click()
    assert accessibility_problems(page) == []
    page.screenshot(path=screenshots / f"contents-{scheme}-{width}.png", full_page=True)
