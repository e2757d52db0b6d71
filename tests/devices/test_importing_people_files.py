"""devices.importing_people: files of people, and that what was exported comes back."""

import csv
import io
from datetime import date
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks

from devices import (
    attributes,
    exporting,
    import_batches,
    import_reviews,
    importing,
    importing_people,
)
from devices.models import (
    Address,
    Application,
    AttributeDefinition,
    Identity,
    ImportRun,
    Person,
    Platform,
    Registration,
    Role,
)
from devices.versions import pack_version
from tests.factories import make_application, make_person, make_registration, make_user

pytestmark = pytest.mark.django_db
Purpose = ImportRun.Purpose
HEADER = "external_id,phones,emails,first_name,tags,club\n"


@pytest.fixture(autouse=True)
def _fresh() -> Any:
    """No type of an attribute is remembered of an earlier test."""
    attributes._known.clear()
    yield
    attributes._known.clear()


def run(
    application: Application, text: str | bytes, purpose: Purpose = Purpose.PEOPLE
) -> ImportRun:
    file = text.encode() if isinstance(text, str) else text
    upload = importing.receive(application, None, "people.csv", [file], purpose)
    finished = importing_people.run_upload(upload.pk)
    assert finished is not None
    return finished


def told(finished: ImportRun) -> tuple[int, int, int]:
    return finished.created, finished.updated, finished.refused


def known(person: Person) -> list[str]:
    return list(person.identities.values_list("value", flat=True))


def test_a_row_is_a_person_with_everything_it_says() -> None:
    finished = run(
        make_application(),
        "external_id,phone,emails,first_name,middle_name,last_name,gender,birthday,type,tags,"
        "address,city,country,preferred_language,profile_picture,club,visits\n"
        "crm-1,+41 79 000 00 01|0041790000002,A@example.com|b@example.com,Anna,M,Meyer,female,"
        "1990-01-02,lead,vip|new,Bahnhofstrasse 1,Zürich,Schweiz,de-CH,https://example.com/a.png,"
        "gold,7\n",
    )

    assert (finished.status, told(finished)) == (ImportRun.Status.DONE, (1, 0, 0))
    person = Person.objects.get()
    assert known(person) == [
        "crm-1",
        "41790000001",
        "41790000002",
        "a@example.com",
        "b@example.com",
    ]
    expected = {
        "first_name": "Anna", "middle_name": "M", "last_name": "Meyer", "gender": "FEMALE",
        "birthday": date(1990, 1, 2), "kind": "LEAD", "tags": ["new", "vip"],
        "address": "Bahnhofstrasse 1", "city": "Zürich", "country": "Schweiz",
        "preferred_language": "de-CH", "profile_picture": "https://example.com/a.png",
        "attributes": {"club": "gold", "visits": 7}, "origin": "PORTAL",
    }  # fmt: skip
    assert {name: getattr(person, name) for name in expected} == expected
    types = dict(AttributeDefinition.objects.values_list("name", "type"))
    assert types == {"club": "text", "visits": "number"}


def test_a_known_person_keeps_what_the_row_does_not_say_and_their_devices_know_the_tags() -> None:
    application = make_application()
    person = make_person(
        phone="41790000001", first_name="Anna", city="Bern", tags=["old"],
        attributes={"club": "silver", "size": 9},
    )  # fmt: skip
    device = make_registration(application, person=person, person_tags=["old"])

    finished = run(application, HEADER + "crm-1,41790000001,,,new,gold\n")

    assert told(finished) == (0, 1, 0)
    person.refresh_from_db()
    device.refresh_from_db()
    assert (person.first_name, person.city) == ("Anna", "Bern")
    assert person.tags == device.person_tags == ["new", "old"]
    assert person.attributes == {"club": "gold", "size": 9}
    assert known(person) == ["crm-1", "41790000001"]


def test_the_same_file_twice_changes_nothing() -> None:
    application = make_application()
    file = HEADER + "crm-1,41790000001,a@example.com,Anna,vip,gold\ncrm-2,,,Boris,,\n"
    assert told(run(application, file)) == (2, 0, 0)
    before = list(Person.objects.order_by("pk").values())

    assert told(run(application, file)) == (0, 0, 0)
    assert list(Person.objects.order_by("pk").values()) == before


@pytest.mark.parametrize(
    ("row", "column", "problem"),
    [
        (",,,Anna,,", "", "The row needs an external ID, a phone number or an e-mail address."),
        ("crm-1,call me,,,,", "phones", "A phone number has 5 to 15 digits"),
        ("crm-1,,anna@,,,", "emails", "An e-mail address looks like"),
        ("crm-1,41790000009,,,,", "external_id", "These identities belong to different people."),
        ("crm-3,41790000009,,,,", "external_id", "belong to another external ID"),
        ("crm-3,,,,," + "x" * 4097, "club", "A text has at most 4,096 characters."),
        ("crm-3,,,," + "|".join(map(str, range(501))) + ",", "tags", "at most 500 tags"),
        ("crm-3,,,,", "", "The row has 5 cells"),
        ("crm-3,,,a\0,,", "first_name", "NUL"),
        ("crm-3,,," + "x" * 256 + ",,", "first_name", "It has at most 255 characters."),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_kept_is_refused_with_its_column(
    row: str, column: str, problem: str
) -> None:
    make_person(external_id="crm-1")
    make_person(external_id="crm-2", phone="41790000009")
    before = list(Identity.objects.order_by("pk").values())

    finished = run(make_application(), HEADER + row + "\n")

    assert told(finished) == (0, 0, 1)
    refusal = finished.refusals.get()
    assert (refusal.line, refusal.column) == (2, column)
    assert problem in refusal.reason
    assert list(Identity.objects.order_by("pk").values()) == before


@pytest.mark.parametrize(
    ("column", "cell", "problem"),
    [
        ("gender", "other", "Write MALE or FEMALE"), ("birthday", "2.1.1990", "like 1990-11-30"),
        ("type", "king", "Write CUSTOMER or LEAD"), ("preferred_language", "german", "such as de"),
    ],
)  # fmt: skip
def test_what_a_member_cannot_be_is_refused(column: str, cell: str, problem: str) -> None:
    finished = run(make_application(), f"external_id,{column}\ncrm-1,{cell}\n")

    refusal = finished.refusals.get()
    assert (refusal.column, problem in refusal.reason) == (column, True)


def test_a_file_that_names_nobody_is_refused_as_a_whole() -> None:
    finished = run(make_application(), "first_name,tags\nAnna,vip\n")

    assert finished.status == ImportRun.Status.FAILED
    assert "A column “external_id”, “phones” or “emails” is missing" in finished.error


def test_rows_see_each_other_however_the_file_is_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "crm-1,41790000001,,Anna,,\n,41790000001,a@example.com,,vip,\ncrm-2,41790000001,,,,\n"
    for size in (1, 2, 2000):
        Person.objects.all().delete()
        monkeypatch.setattr(import_batches, "BATCH", size)

        finished = run(make_application(), HEADER + rows)

        assert finished.refused == 1
        person = Person.objects.get()
        assert known(person) == ["crm-1", "41790000001", "a@example.com"]
        assert (person.first_name, person.tags) == ("Anna", ["vip"])


def test_a_dry_run_of_people_changes_nothing_and_tells_the_same() -> None:
    application = make_application()
    file = HEADER + "crm-1,41790000001,,Anna,,gold\ncrm-2,41790000001,,Boris,,\n"
    upload = importing.receive(
        application, None, "p.csv", [file.encode()], Purpose.PEOPLE, review=True
    )
    assert import_reviews.start(upload, [], dry=True)

    checked = importing_people.run_upload(upload.pk)

    assert checked is not None
    assert (checked.status, told(checked)) == (ImportRun.Status.CHECKED, (1, 0, 1))
    assert not Person.objects.exists()
    assert not AttributeDefinition.objects.exists()
    assert told(run(application, file)) == (1, 0, 1)


# ------------------------------------------------------------------- out and in again


def emptied(*models: type[Model]) -> None:
    for model in models:
        model._default_manager.all().delete()
    attributes._known.clear()


def people() -> list[dict[str, Any]]:
    """Everything of everybody that a file can say."""
    named = Identity.objects.order_by()
    left_out = {"id", "created_at", "changed_at", "origin", "changed_from"}
    return sorted(
        (
            {name: value for name, value in row.items() if name not in left_out}
            | {"identities": sorted(named.filter(person=row["id"]).values_list("kind", "value"))}
            for row in Person.objects.values()
        ),
        key=lambda each: each["identities"],
    )  # fmt: skip


def test_exported_people_come_back_in_an_empty_installation() -> None:
    application = make_application()
    run(
        application,
        "external_id,phones,emails,first_name,last_name,gender,birthday,type,tags,city,club,visits,"
        "since,member\n"
        'crm-1,41790000001|41790000002,a@example.com,=1+1,"O\'Neil, ""A""",FEMALE,1990-01-02,'
        "CUSTOMER,vip|a b,Zürich,''=x,7.5,2020-01-01,true\n"
        ",,b@example.com,+41,'quoted',,,LEAD,,,@gold,-3,,false\n",
    )
    for person in Person.objects.all():
        make_registration(application, person=person, person_tags=person.tags)
    before = people()
    assert [each["first_name"] for each in before] == ["=1+1", "+41"]
    file = b"".join(exporting.rows(application, exporting.PEOPLE))
    emptied(Registration, Person, AttributeDefinition)

    finished = run(make_application(), file)

    assert (finished.refused, finished.created) == (0, 2), list(finished.refusals.values())
    assert people() == before


def devices() -> list[dict[str, Any]]:
    """Everything of every device that a file can say; its token stays behind."""
    facts = []
    for device in Registration.objects.select_related("address", "person"):
        row: dict[str, Any] = {**Registration.objects.filter(pk=device.pk).values().get()}
        address: dict[str, Any] = {**Address.objects.filter(pk=device.pk).values().get()}
        for name in ("id", "application_id", "person_id", "created_at", "last_seen_day"):
            del row[name]
        named = ("public_id", "kind", "environment", "app_version", "os_version", "sdk_version",
                 "device_name", "application_user_id")  # fmt: skip
        row |= {name: address[name] for name in named}
        owner = device.person
        row["owner"] = (owner.first_name, owner.tags, known(owner)) if owner else None
        facts.append(row)
    return sorted(facts, key=lambda each: str(each["public_id"]))


def test_exported_devices_come_back_in_an_empty_installation() -> None:
    application = make_application()
    attributes.check(
        application, {"club": "gold", "size": 9.5, "member": True, "since": "2020-01-01"}
    )
    anna = make_person(
        external_id="=crm", phone="41790000001", email="a@example.com", first_name="-Anna",
        last_name="Meyer", tags=["vip"], kind="CUSTOMER",
    )  # fmt: skip
    make_registration(
        application, person=anna, person_tags=["vip"], platform=Platform.IOS, language="en-GB",
        model="iPhone 15", manufacturer="Apple", timezone_offset=-210, enabled=False,
        attributes={"club": "@gold", "size": 9.5, "member": False, "since": "2021-02-03"},
    )  # fmt: skip
    make_registration(application, platform=Platform.HUAWEI, notifications_enabled=False)
    Address.objects.filter(registration__person=anna).update(
        environment="sandbox",
        device_name="+phone",
        app_version="1.2.3",
        application_user_id="@anna",
    )
    Registration.objects.filter(person=anna).update(app_version=pack_version("1.2.3"))
    before = devices()
    file = b"".join(exporting.rows(application, exporting.DEVICES))
    emptied(Registration, Person, AttributeDefinition)

    finished = run(make_application(), file, Purpose.DEVICES)

    assert (finished.refused, finished.created) == (0, 2), list(finished.refusals.values())
    assert devices() == before


# ------------------------------------------------------------------- the pages


def test_a_file_of_people_is_uploaded_looked_at_and_imported(
    client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    application = make_application()
    client.force_login(make_user(Role.MARKETER, application))
    uploads = reverse("devices:imports", args=[application.pk])
    file = io.BytesIO(b"customer id,mobile\ncrm-1,41790000001\n")
    file.name = "people.csv"
    asked = {"file": file, "contents": "people", "review": "1"}

    page = client.post(uploads, asked, follow=True)

    form = page.context["mapping"]
    assert [column.field.value() for column in form.columns()] == ["external_id", "attribute"]
    upload = ImportRun.objects.get()
    start = reverse("devices:import-start", args=[application.pk, upload.pk])
    with django_capture_on_commit_callbacks(execute=False):
        client.post(start, {"column_0": "external_id", "column_1": "phones"})
    finished = importing_people.run_upload(upload.pk)
    assert finished is not None
    assert told(finished) == (1, 0, 0)
    assert known(Person.objects.get()) == ["crm-1", "41790000001"]
    shown = client.get(reverse("devices:import-detail", args=[application.pk, upload.pk]))
    assert "People that were not known before." in shown.content.decode()


def test_an_export_of_people_is_read_by_its_own_headings() -> None:
    application = make_application()
    make_registration(application, person=make_person(external_id="crm-1"))
    (line, *_) = b"".join(exporting.rows(application, exporting.PEOPLE)).decode()[1:].splitlines()

    headings = next(csv.reader([line]))
    became = [importing_people.SHEETS[Purpose.PEOPLE].suggested(each) for each in headings]
    assert "attribute" not in became
    assert [each for each, name in zip(headings, became, strict=True) if name == "skip"] == [
        "person", "devices", "created_at", "changed_at",
    ]  # fmt: skip
