"""Lists and the registry of attributes in a browser: a file becomes members, an index is built."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from campaigns import listing, listing_files, membership, tasks
from campaigns.membership import Members
from campaigns.models import ListMember, Segment, StaticList
from devices import attributes, indexing
from devices import tasks as device_tasks
from devices.audit import Author
from devices.models import Application, AttributeDefinition, ImportRun, Registration, Role
from tests.complaints import Complaints
from tests.factories import make_application, make_person, make_registration, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
SOMEBODY = Author("somebody")
GUESTS = (
    "guest,mobile\n"
    "Ana,+49 151 2345678\n"
    "Bo,+49 151 2345679\n"
    "Ana again,00491512345678\n"
    "Nobody,+49 151 0000000\n"
)


@pytest.fixture
def shop(sign_in: Callable[[User], None]) -> Application:
    application = make_application(name="Shop")
    for name, phone in (("Ana", "491512345678"), ("Bo", "491512345679")):
        person = make_person(first_name=name, phone=phone, attributes={"loyalty": 700})
        make_registration(application, person=person, attributes={"ltv": 120, "plan": "gold"})
    attributes.check(application, {"ltv": 120, "plan": "gold", "beta": True})
    AttributeDefinition.objects.create(
        scope=AttributeDefinition.Scope.PERSON, name="loyalty", type="number", samples=[700]
    )
    sign_in(make_user(Role.ADMINISTRATOR, application))
    return application


def test_a_file_becomes_members_of_a_new_list(
    page: Page, shop: Application, monkeypatch: pytest.MonkeyPatch, screenshots: Path
) -> None:
    queued: list[int] = []
    monkeypatch.setattr(tasks.read_list_upload, "delay", queued.append)
    page.goto(reverse("campaigns:lists", args=[shop.pk]))
    page.get_by_role("link", name="New list").first.click()
    page.get_by_label("Name").fill("Guests of Friday")
    page.get_by_label("CSV file").set_input_files(
        {"name": "guests.csv", "mimeType": "text/csv", "buffer": GUESTS.encode()}
    )
    page.get_by_role("button", name="Make list").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()

    listing_files.run(queued.pop())
    expect(page.get_by_text("Choose the column that names the members")).to_be_visible()
    page.get_by_label("What mobile holds").select_option("phone")
    page.get_by_role("button", name="Try again with these columns").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    listing_files.run(queued.pop())
    expect(page.get_by_text("Nothing has changed yet")).to_be_visible()
    expect(page.get_by_text("Nobody is known by this phone number.")).to_be_visible()
    assert not ListMember.objects.exists()
    page.screenshot(path=screenshots / "list-upload.png", full_page=True)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download refused rows").click()
    assert "+49 151 0000000" in Path(download.value.path()).read_text()

    page.get_by_role("button", name="Add 2 members to Guests of Friday").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    listing_files.run(queued.pop())
    page.get_by_role("link", name="Show Guests of Friday").click()

    expect(page.get_by_text("2 people")).to_be_visible()
    expect(page.locator("#list-members tbody tr")).to_have_count(2)
    assert ListMember.objects.count() == 2


def test_single_members_are_added_found_and_removed(
    page: Page, shop: Application, complaints: Complaints
) -> None:
    complaints.expect("422")
    guests = listing.create(shop, SOMEBODY, "Guests")
    page.goto(guests.get_absolute_url())
    for phone in ("+49 151 2345678", "+49 151 2345679"):
        page.get_by_label("Known by").select_option("phone")
        page.get_by_label("Value").fill(phone)
        page.get_by_role("button", name="Add member").click()
        expect(page.get_by_text("One member more.")).to_be_visible()
    page.get_by_label("Known by").select_option("email")
    page.get_by_label("Value").fill("nobody@example.com")
    page.get_by_role("button", name="Add member").click()
    expect(page.get_by_text("Nobody is known by this e-mail.")).to_be_visible()
    page.goto(guests.get_absolute_url(), wait_until="load")
    page.get_by_label("Find a member by").fill("Bo")
    expect(page.locator("#list-members tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Remove Bo from this list").click()
    expect(page.get_by_text("One member less.")).to_be_visible()
    expect(page.get_by_text("1 person")).to_be_visible()


def test_a_list_in_use_stays_and_one_that_is_not_goes(page: Page, shop: Application) -> None:
    guests = listing.create(shop, SOMEBODY, "Guests")
    rule = {"field": "list", "op": "in", "value": guests.pk}
    segment = Segment.objects.create(application=shop, name="Invited", rule=rule)
    for said in ("It is in use by the segment “Invited”", "Guests is deleted."):
        page.goto(guests.get_absolute_url(), wait_until="load")
        page.get_by_role("button", name="Delete list").click()
        page.locator("#delete-dialog").get_by_role("button", name="Delete list").click()
        expect(page.get_by_text(said)).to_be_visible()
        Segment.objects.filter(pk=segment.pk).delete()
    assert not StaticList.objects.exists()


def test_an_index_is_built_and_dropped(
    page: Page, shop: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_tasks.fit_indexes, "delay", lambda: None)
    page.goto(reverse("campaigns:attributes", args=[shop.pk]))
    row = page.locator("tr", has_text="ltv")
    row.get_by_role("button", name="Build index of ltv").click()
    expect(row.get_by_text("Waiting")).to_be_visible()
    indexing.fit()
    expect(row.get_by_text("Indexed")).to_be_visible()  # the page asks by itself
    row.get_by_role("button", name="Drop index of ltv").click()
    expect(row.get_by_text("Dropping")).to_be_visible()
    indexing.fit()
    expect(row.get_by_role("button", name="Build index of ltv")).to_be_visible()
    assert not AttributeDefinition.objects.filter(indexed=True).exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_of_lists_and_attributes_are_accessible_and_fit_the_screen(
    page: Page,
    shop: Application,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    guests = listing.create(shop, SOMEBODY, "Guests of Friday")
    people = Registration.objects.filter(person__isnull=False).values_list("person__pk", flat=True)
    membership.add(guests, Members(frozenset(people)))
    rule = {"all": [{"field": "list", "op": "in", "value": guests.pk},
                    {"field": "attribute:ltv", "op": "gt", "value": 100}]}  # fmt: skip
    Segment.objects.create(application=shop, name="Invited", rule=rule)
    user = User.objects.get(memberships__application=shop)
    upload = listing_files.receive(guests, user, "guests.csv", [GUESTS.encode()])
    listing_files.run(upload.pk)
    listing_files.choose(upload, named=True, columns=["", "phone"])
    listing_files.run(upload.pk)
    assert ImportRun.objects.get().refused == 1
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    for name, more in (
        ("lists", []),
        ("list-new", []),
        ("list-detail", [guests.pk]),
        ("list-upload-new", [guests.pk]),
        ("list-upload", [guests.pk, upload.pk]),
        ("attributes", []),
    ):
        page.goto(reverse(f"campaigns:{name}", args=[shop.pk, *more]))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert accessibility_problems(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        page.screenshot(path=screenshots / f"{name}-{width}-{scheme}.png", full_page=True)
