"""devices.exporting: every device and person as a row, and nothing else."""

import csv
import io
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page

from devices import exporting, importing
from devices.csv_refusals import harmless
from devices.models import (
    Address,
    Application,
    AttributeDefinition,
    AuditEntry,
    Identity,
    ImportRun,
    Person,
    Platform,
    Registration,
    Role,
)
from tests.factories import (
    make_application,
    make_person,
    make_registration,
    make_registrations,
    make_user,
)

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Scope = AttributeDefinition.Scope


def define(scope: Scope, application: Application | None, **types: str) -> None:
    for name, type_ in types.items():
        AttributeDefinition.objects.create(
            scope=scope, application=application, name=name, type=type_
        )


def exported(application: Application, export: exporting.Export) -> list[dict[str, str]]:
    text = b"".join(exporting.rows(application, export)).decode()
    assert text.startswith(exporting.BEGINNING)
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


def post(client: Client, application: Application, name: str = "devices") -> Any:
    return client.post(reverse("devices:export", args=[application.pk, name]))


def downloaded(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode()


# ------------------------------------------------------------------- what a row says


def test_a_device_is_a_row_with_everything_but_its_token() -> None:
    application = make_application()
    define(Scope.DEVICE, application, bootsize="number", member="boolean", club="text")
    person = make_person(
        external_id="jdoe", phone="41790000001", email="j@example.com",
        first_name="John", last_name="Doe", tags=["vip", "beta"],
    )  # fmt: skip
    Identity.objects.create(person=person, kind=Identity.Kind.PHONE, value="41790000002")
    device = make_registration(
        application, person=person, platform=Platform.IOS, language="en-GB", model="iPhone 15",
        manufacturer="Apple", timezone_offset=-210, primary=True, person_tags=["vip", "beta"],
        attributes={"bootsize": 9.5, "member": True}, created_at=NOON,
    )  # fmt: skip
    Address.objects.update(
        app_version="1.16.0", os_version="17.1", sdk_version="15.5.2", device_name="John's, phone",
        last_contact_at=NOON, environment="sandbox",
    )  # fmt: skip

    assert exported(application, exporting.DEVICES) == [
        {
            "registration_id": str(device.address.public_id),
            "platform": "iOS",
            "environment": "sandbox",
            "external_id": "jdoe",
            "phone": "41790000001",
            "email": "j@example.com",
            "first_name": "John",
            "last_name": "Doe",
            "tags": "vip|beta",
            "app_version": "1.16.0",
            "os_version": "17.1",
            "sdk_version": "15.5.2",
            "language": "en-GB",
            "manufacturer": "Apple",
            "model": "iPhone 15",
            "device_name": "John's, phone",
            "application_user_id": "",
            "timezone": "GMT-03:30",
            "enabled": "true",
            "notifications_enabled": "true",
            "primary_device": "true",
            "registered_at": "2026-03-01T12:00:00Z",
            "last_contact_at": "2026-03-01T12:00:00Z",
            "closed": "",
            "bootsize": "9.5",
            "club": "",
            "member": "true",
        }
    ]


def test_a_device_of_nobody_says_what_is_known() -> None:
    application = make_application()
    make_registration(application, platform=Platform.HUAWEI, enabled=False)
    Address.objects.update(closed_at=NOON, closed_reason="uninstalled", kind="harmony")

    (row,) = exported(application, exporting.DEVICES)

    told = {"platform": "HarmonyOS", "enabled": "false", "closed": "uninstalled"}
    assert {name: row[name] for name in told} == told
    assert {row[name] for name in ("external_id", "phone", "email", "tags", "timezone")} == {""}


def test_a_person_is_a_row_with_all_identities(time_machine: Any) -> None:
    time_machine.move_to(NOON, tick=False)
    application = make_application()
    define(Scope.PERSON, None, since="date")
    person = make_person(
        external_id="jdoe", phone="41790000001", first_name="John", middle_name="M",
        last_name="Doe", gender="MALE", birthday=date(1985, 7, 12), kind="CUSTOMER",
        tags=["vip"], attributes={"since": "2020-01-01"}, city="Zürich", country="Schweiz",
        address="Bahnhofstrasse 1", preferred_language="de",
    )  # fmt: skip
    for number in (2, 3):
        phone = f"4179000000{number}"
        Identity.objects.create(person=person, kind=Identity.Kind.PHONE, value=phone)
    make_registrations(application, 2, person=person)
    make_registration(make_application(), person=person)

    assert exported(application, exporting.PEOPLE) == [
        {
            "person": str(person.pk),
            "external_id": "jdoe",
            "phones": "41790000001|41790000002|41790000003",
            "emails": "",
            "first_name": "John",
            "middle_name": "M",
            "last_name": "Doe",
            "gender": "MALE",
            "birthday": "1985-07-12",
            "type": "CUSTOMER",
            "tags": "vip",
            "address": "Bahnhofstrasse 1",
            "city": "Zürich",
            "country": "Schweiz",
            "preferred_language": "de",
            "profile_picture": "",
            "devices": "2",
            "created_at": "2026-03-01T12:00:00Z",
            "changed_at": "2026-03-01T12:00:00Z",
            "since": "2020-01-01",
        }
    ]


def test_rows_are_those_of_the_application_alone() -> None:
    application, other = make_application(), make_application()
    mine = make_registration(application, person=make_person(external_id="mine"))
    make_registration(other, person=make_person(external_id="theirs"))
    make_person(external_id="without a device")

    devices = exported(application, exporting.DEVICES)
    people = exported(application, exporting.PEOPLE)

    assert [row["registration_id"] for row in devices] == [str(mine.address.public_id)]
    assert [row["external_id"] for row in people] == ["mine"]


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1+1", "-cmd", "@SUM(A1)", "\tx", "\rx", "+41 79 000", "-5", "a,b", 'say "hi"',
        "two\nlines", "plain", "100 %", "%(name0)s", "'; DROP TABLE x", "ünï", "{}",
    ],
)  # fmt: skip
def test_no_cell_is_a_formula_and_every_text_comes_back(text: str) -> None:
    application = make_application()
    define(Scope.DEVICE, application, **{text: "text"})
    person = make_person(external_id=text, first_name=text)
    make_registration(application, person=person, model=text, attributes={text: text})

    (row,) = exported(application, exporting.DEVICES)

    cells = [row[name] for name in ("external_id", "first_name", "model", harmless(text))]
    assert cells == [harmless(text)] * 4


def test_an_attribute_named_like_a_column_says_that_it_is_one() -> None:
    application = make_application()
    define(Scope.DEVICE, application, phone="text", OS="text", closed="text")
    make_registration(application, attributes={"phone": "pink", "OS": "none"})

    (row,) = exported(application, exporting.DEVICES)

    assert (row["attribute phone"], row["attribute OS"], row["phone"]) == ("pink", "none", "")
    assert row["attribute closed"] == ""


def test_lists_are_json() -> None:
    application = make_application()
    define(Scope.DEVICE, application, cart="list")
    make_registration(application, attributes={"cart": [{"sku": "a"}]})

    assert exported(application, exporting.DEVICES)[0]["cart"] == '[{"sku": "a"}]'


def test_a_file_can_be_mended_and_imported_again() -> None:
    application = make_application()
    define(Scope.DEVICE, application, club="text", size="number", member="boolean")
    person = make_person(external_id="jdoe", phone="41790000001", first_name="John", tags=["vip"])
    make_registration(
        application, person=person, platform=Platform.IOS, language="de", timezone_offset=330,
        person_tags=["vip"], attributes={"club": "Gold", "size": 42, "member": False},
        notifications_enabled=False,
    )  # fmt: skip
    make_registration(application, platform=Platform.HUAWEI)
    before = everything()
    file = b"".join(exporting.rows(application, exporting.DEVICES))

    run = again(application, file)
    assert (run.refused, run.created, run.updated) == (0, 0, 0)
    assert everything() == before
    run = again(application, file.replace(b"Gold", b"Silver"))
    assert (run.refused, run.created, run.updated) == (0, 0, 1)
    assert {"club": "Silver", "size": 42, "member": False} in [
        each.attributes for each in Registration.objects.all()
    ]


def again(application: Application, file: bytes) -> ImportRun:
    run = importing.receive(application, None, "devices.csv", [file])
    finished = importing.run_upload(run.pk)
    assert finished is not None
    return finished


def everything() -> list[Any]:
    return [
        list(model.objects.order_by("pk").values())
        for model in (Registration, Address, Identity, AttributeDefinition)
    ]


# ------------------------------------------------------------------- piece by piece


@pytest.mark.parametrize("export", exporting.EXPORTS.values(), ids=exporting.EXPORTS.keys())
@pytest.mark.parametrize("count", [0, 1, 2, 5, 6])
def test_every_row_comes_once_in_pieces(
    export: exporting.Export, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PIECE", 2)
    application, other = make_application(), make_application()
    for number in range(count):
        make_registration(application, person=make_person(external_id=f"p{number}"))
        make_registration(other)

    pieces = list(exporting.rows(application, export))

    assert len(pieces) == 1 + (count + 1) // 2
    rows = exported(application, export)
    assert [row["external_id"] for row in rows] == [f"p{number}" for number in range(count)]


def test_a_device_that_goes_while_it_is_written_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "PIECE", 2)
    application = make_application()
    devices = make_registrations(application, 5)
    pieces = exporting.rows(application, exporting.DEVICES)
    assert next(pieces)
    assert next(pieces).count(b"\n") == 2

    devices[2].delete()

    assert b"".join(pieces).count(b"\n") == 2


# ------------------------------------------------------------------- who may


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", exporting.EXPORTS)
def test_only_who_may_export_gets_the_file(client: Client, role: Role, name: str) -> None:
    application = make_application()
    make_registration(application, person=make_person(external_id="jdoe"))
    client.force_login(make_user(role, application))

    answer = post(client, application, name)

    if role in {Role.ADMINISTRATOR, Role.MARKETER}:
        assert answer.status_code == 200
        assert "jdoe" in downloaded(answer)
    else:
        assert answer.status_code == 403
        assert not AuditEntry.objects.filter(action=f"export {name}").exists()


def test_strangers_learn_nothing_and_who_is_signed_out_signs_in(client: Client) -> None:
    application = make_application()
    assert post(client, application).status_code == 302

    client.force_login(make_user(Role.ADMINISTRATOR, make_application()))

    assert post(client, application).status_code == 404


def test_an_export_is_a_file_and_stands_in_the_audit_trail(client: Client) -> None:
    application = make_application()
    user = make_user(Role.MARKETER, application)
    client.force_login(user)

    answer = post(client, application, "people")

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    pattern = rf'attachment; filename="people-{application.pk}-\d{{8}}\.csv"'
    assert re.fullmatch(pattern, answer["Content-Disposition"])
    assert answer["Cache-Control"] == "no-store"
    entry = AuditEntry.objects.get(action="export people")
    assert (entry.actor_id, entry.application) == (user.pk, application)


@pytest.mark.parametrize(
    ("asked", "models"),
    [
        ({"q": "anna"}, ["A1", "A2"]), ({"platform": "2"}, ["A2", "B2"]),
        ({"state": "muted"}, ["B1"]), ({"state": "disabled", "q": "bo"}, ["B2"]),
        ({"state": "reachable", "platform": "1"}, ["A1"]), ({"q": "nobody"}, []),
        ({"platform": "x", "state": "y"}, ["A1", "A2", "B1", "B2"]),
        ({"q": "x" * 5000}, ["A1", "A2", "B1", "B2"]),
    ],
)  # fmt: skip
def test_devices_are_exported_as_the_page_is_filtered(
    client: Client, asked: dict[str, str], models: list[str]
) -> None:
    application = make_application()
    anna, boris = make_person(external_id="anna"), make_person(first_name="Boris")
    ios = Platform.IOS
    make_registration(application, person=anna, model="A1")
    make_registration(application, person=anna, model="A2", platform=ios)
    make_registration(application, person=boris, model="B1", notifications_enabled=False)
    make_registration(application, person=boris, model="B2", platform=ios, enabled=False)
    client.force_login(make_user(Role.ADMINISTRATOR, application))
    page = client.get(reverse("devices:list", args=[application.pk]), asked)
    assert sorted(each.model for each, _ in page.context["rows"]) == models

    answer = client.post(reverse("devices:export", args=[application.pk, "devices"]), asked)

    rows = csv.DictReader(io.StringIO(downloaded(answer)[1:]))
    assert [row["model"] for row in rows] == models


def test_people_are_exported_as_the_page_is_searched(client: Client) -> None:
    application = make_application()
    for name in ("Anna", "Annabel", "Boris"):
        make_person(first_name=name, phone=f"4179{len(name)}00")
    client.force_login(make_user(Role.ADMINISTRATOR, application))

    answer = client.post(reverse("devices:export", args=[application.pk, "people"]), {"q": "ann"})

    rows = csv.DictReader(io.StringIO(downloaded(answer)[1:]))
    assert [row["first_name"] for row in rows] == ["Anna", "Annabel"]
    entry = AuditEntry.objects.get(action="export people")
    assert entry.after == {"found": "2"}, "what was typed may be a phone number"


@pytest.mark.parametrize(("page", "name"), [("list", "device"), ("people", "person")])
def test_the_button_exports_what_typing_found(client: Client, page: str, name: str) -> None:
    application = make_application()
    make_registration(application, person=make_person(external_id="anna"))
    client.force_login(make_user(Role.ADMINISTRATOR, application))

    part = client.get(
        reverse(f"devices:{page}", args=[application.pk]),
        {"q": "anna"},
        headers={"HX-Request": "true"},
    ).content.decode()

    form = part.split(f'<form id="{name}-export"')[1].split("</form>")[0]
    assert 'hx-swap-oob="true"' in form
    assert '<input type="hidden" name="q" value="anna">' in form
    assert "Export these as CSV" in form


def test_it_is_asked_for_by_a_button_and_by_nothing_else(client: Client) -> None:
    application = make_application()
    client.force_login(make_user(Role.ADMINISTRATOR, application))
    address = reverse("devices:export", args=[application.pk, "devices"])

    assert client.get(address).status_code == 405
    assert post(client, application, "tokens").status_code == 404
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(("page", "name"), [("list", "devices"), ("people", "people")])
def test_the_pages_offer_it_to_who_may(client: Client, page: str, name: str) -> None:
    application = make_application()
    export = reverse("devices:export", args=[application.pk, name]).encode()
    address = reverse(f"devices:{page}", args=[application.pk])

    client.force_login(make_user(Role.SUPPORT, application))
    assert export not in client.get(address).content
    client.force_login(make_user(Role.MARKETER, application))
    assert export in client.get(address).content


def test_an_export_changes_nothing(client: Client) -> None:
    application = make_application()
    make_registration(application, person=make_person(external_id="jdoe"))
    client.force_login(make_user(Role.ADMINISTRATOR, application))
    before = Registration.objects.values().get(), Person.objects.values().get()

    downloaded(post(client, application))

    assert (Registration.objects.values().get(), Person.objects.values().get()) == before


@pytest.mark.django_db(transaction=True)
def test_a_marketer_downloads_the_devices(page: Page, sign_in: Any, screenshots: Path) -> None:
    application = make_application()
    make_registration(application, person=make_person(external_id="jdoe"))
    sign_in(make_user(Role.MARKETER, application))
    page.goto(reverse("devices:list", args=[application.pk]))

    with page.expect_download() as download:
        page.get_by_role("button", name="Export all as CSV").click()

    rows = csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig")))
    assert [row["external_id"] for row in rows] == ["jdoe"]
    for name, width in (("wide", 1440), ("phone", 390)):
        page.set_viewport_size({"width": width, "height": 800})
        page.screenshot(path=screenshots / f"export-{name}.png")
    page.goto(reverse("devices:people", args=[application.pk]))
    page.screenshot(path=screenshots / "export-people.png")
