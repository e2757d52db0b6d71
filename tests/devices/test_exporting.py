"""devices.exporting: every device and person as a row, and nothing else."""

import csv
import io
from datetime import UTC, date, datetime
from typing import Any

import pytest

from devices import exporting, importing
from devices.csv_refusals import harmless
from devices.models import (
    Address,
    Application,
    AttributeDefinition,
    Identity,
    ImportRun,
    Platform,
    Registration,
)
from tests.factories import make_application, make_person, make_registration, make_registrations

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
