"""api.infobip.persons: people of the account. Sections: contract/people.md."""

from typing import Any

import pytest
from django.utils import timezone

from devices.models import Address, AuditEntry, Identity, Person, Registration
from tests.api.persons import JDOE, ORDER, PERSONS, assert_refused, known, system
from tests.api.systems import System
from tests.factories import make_application, make_person, make_registration

__all__ = ["system"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


def test_a_person_is_made_and_read_whole(system: System) -> None:
    answer = system.post(PERSONS, JDOE)

    person = Person.objects.get()
    assert (answer.status_code, answer.json()) == (200, known(person, **JDOE))
    for query in (
        f"identifier={person.pk}",
        "identifier=jdoe&type=EXTERNAL_ID",
        "identifier=%2B79810000000&type=PHONE",
        "identifier=My.Email@gmail.com&type=EMAIL",
    ):
        assert system.get(f"{PERSONS}?{query}").json() == answer.json()


def test_a_person_is_found_by_a_device_and_shown_with_it(system: System) -> None:
    system.post(PERSONS, {"externalId": "jdoe"})
    person, application = Person.objects.get(), make_application()
    device = make_registration(application, person=person, primary=True)
    path = f"{PERSONS}?identifier={device.address.public_id}&type=PUSH&sender="

    push = {
        "registrationId": str(device.address.public_id),
        "applicationId": application.application_id,
        "isPrimary": True,
        "systemData": {
            "cloudType": "GCM", "os": "Android",
            "registrationEnabled": True, "notificationsEnabled": True,
        },
    }  # fmt: skip
    told = known(person, externalId="jdoe", contactInformation={"push": [push]})
    for sender in (application.code, application.application_id):
        assert system.get(path + sender).json() == told
    assert_refused(
        system.get(path + make_application().code), 404, "40401", "Person does not exist"
    )


def make_full_device(person: Person) -> tuple[Registration, dict[str, Any]]:
    """A device of whom everything is known, and how systems read it."""
    application = make_application()
    device = make_registration(
        application, person=person, primary=True, geofencing=False, secure=True, language="en",
        manufacturer="HUAWEI", model="ANE-LX1", timezone_offset=-210,
        attributes={"receiveOTP": True, "points": 9223372036854775807},
    )  # fmt: skip
    Address.objects.filter(registration=device).update(
        sdk_version="2.0.9.1", app_version="1.16.0", os_version="8.0.0", device_name="Anna's",
    )  # fmt: skip
    told = {
        "registrationId": str(device.address.public_id),
        "applicationId": application.application_id,
        "isPrimary": True,
        "systemData": {
            "cloudType": "GCM",
            "registrationEnabled": True,
            "notificationsEnabled": True,
            "geofencingSdk": False,
            "sdkVersion": "2.0.9.1",
            "appVersion": "1.16.0",
            "os": "Android",
            "osVersion": "8.0.0",
            "deviceManufacturer": "HUAWEI",
            "deviceModel": "ANE-LX1",
            "deviceSecure": True,
            "osLanguage": "en",
            "deviceTimezoneOffset": "GMT-03:30",
            "deviceName": "Anna's",
        },
        "additionalData": {"receiveOTP": True, "points": 9223372036854775807},
    }
    return device, told


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("GET", None),
        ("PUT", {"externalId": "jdoe", "contactInformation": {"push": []}}),
        ("PATCH", {"externalId": "jdoe", "contactInformation": {"push": []}}),
        ("DELETE", None),
    ],
)
@pytest.mark.parametrize("by", ["code", "id"])
def test_each_call_finds_a_person_by_a_device_and_tells_everything_of_it(
    system: System, method: str, body: Any, by: str
) -> None:
    person = make_person(external_id="jdoe", kind="CUSTOMER", origin="API", changed_from="API")
    device, push = make_full_device(person)
    application = device.application
    sender = application.code if by == "code" else application.application_id.lower()
    query = f"?identifier={device.address.public_id}&type=PUSH&sender={sender}"

    answer = system.call(method, f"{PERSONS}{query}", body)

    if method == "DELETE":
        assert (answer.status_code, answer.content) == (200, b"")
        assert not Person.objects.exists()
        return
    told = known(person, externalId="jdoe", contactInformation={"push": [push]})
    assert (answer.status_code, answer.json()) == (200, told)
    assert system.get(f"{PERSONS}?orderBy=createdAt:asc&includeTotalCount=1").json() == {
        "persons": [told], "limit": 20, "page": 1, "orderBy": "createdAt:asc", "totalCount": 1,
    }  # fmt: skip


def test_no_device_at_all_may_be_said_of_a_new_person(system: System) -> None:
    body = {**JDOE, "contactInformation": {**JDOE["contactInformation"], "push": []}}

    answer = system.post(PERSONS, body)

    assert (answer.status_code, answer.json()) == (200, known(Person.objects.get(), **JDOE))


@pytest.mark.parametrize(
    "query",
    [
        "identifier=7777777", "identifier=jdoe", "identifier=jdoe&type=EXTERNAL_ID",
        "identifier=79810000000&type=PHONE", "identifier=a%00b&type=EMAIL",
        "identifier=99999999999999999999",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_an_unknown_person_is_not_found(system: System, method: str, query: str) -> None:
    answer = system.call(method, f"{PERSONS}?{query}", {"firstName": "John"})

    assert_refused(answer, 404, "40401", "Person does not exist")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("identifier=", "identifier should be given"),
        ("identifier=1&type=FAX", "type should be ID, EXTERNAL_ID, PHONE, EMAIL or PUSH"),
        ("type=FAX", "type should be ID, EXTERNAL_ID, PHONE, EMAIL or PUSH"),
        ("identifier=1&type=PUSH", "sender should be given where type is PUSH"),
        ("identifier=1&type=PUSH&sender=x", "sender should be an application code or id"),
        ("identifier=1&type=PUSH&sender=%00", "sender should be an application code or id"),
        ("limit=0", "limit should be integer from 1 to 1000"),
        ("limit=1001", "limit should be integer from 1 to 1000"),
        ("page=0", "page should be integer from 1 to 1000000"),
        ("page=one", "page should be integer from 1 to 1000000"),
        ("includeTotalCount=maybe", "includeTotalCount should be boolean"),
        (
            "orderBy=id:asc",
            ORDER,
        ),
        (
            "orderBy=createdAt",
            ORDER,
        ),
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_read_is_refused(system: System, query: str, text: str) -> None:
    assert_refused(system.get(f"{PERSONS}?{query}"), 400, "40019", text)


def test_people_are_listed_a_page_at_a_time(
    system: System, django_assert_max_num_queries: Any
) -> None:
    people = [make_person(first_name=name, external_id=name) for name in "BAC"]
    for person in people:
        make_registration(make_application(), person=person)
    system.get(PERSONS)

    with django_assert_max_num_queries(6):
        answer = system.get(f"{PERSONS}?limit=2&orderBy=firstName:asc&includeTotalCount=true")

    told = answer.json()
    assert [each["firstName"] for each in told.pop("persons")] == ["A", "B"]
    assert told == {"limit": 2, "page": 1, "orderBy": "firstName:asc", "totalCount": 3}
    second = system.get(f"{PERSONS}?limit=2&orderBy=firstName:asc&page=2").json()
    assert [each["firstName"] for each in second["persons"]] == ["C"]
    assert "totalCount" not in second
    assert system.get(f"{PERSONS}?page=3").json()["persons"] == []


@pytest.mark.parametrize("name", ["firstName", "lastName", "createdAt", "modifiedAt"])
@pytest.mark.parametrize("way", ["asc", "desc"])
def test_each_order_of_the_list(system: System, name: str, way: str) -> None:
    column = {"createdAt": "created_at", "modifiedAt": "changed_at"}.get(name)
    values: list[Any] = [f"2026-01-0{day}T00:00:00Z" for day in (2, 1, 3)] if column else [*"BAC"]
    people = [make_person(origin="API", changed_from="API") for _ in values]
    for person, value in zip(people, values, strict=True):
        said = {column or {"firstName": "first_name"}.get(name, "last_name"): value}
        Person.objects.filter(pk=person.pk).update(**said)

    answer = system.get(f"{PERSONS}?orderBy={name}:{way}&limit=1000&page=1&includeTotalCount=true")

    order = (1, 0, 2) if way == "asc" else (2, 0, 1)
    told = [
        known(people[number], type="LEAD", **({} if column else {name: values[number]}))
        for number in order
    ]
    assert (answer.status_code, answer.json()) == (
        200,
        {"persons": told, "limit": 1000, "page": 1, "orderBy": f"{name}:{way}", "totalCount": 3},
    )


def test_who_was_changed_last_is_listed_first(system: System) -> None:
    first, second = make_person(external_id="a"), make_person(external_id="b")
    Person.objects.filter(pk=first.pk).update(changed_at=timezone.now())

    told = system.get(PERSONS).json()

    assert [each["id"] for each in told["persons"]] == [first.pk, second.pk]
    assert (told["limit"], told["page"], told["orderBy"]) == (20, 1, "modifiedAt:desc")


def test_a_change_keeps_the_rest_and_adds_tags_and_contacts(system: System) -> None:
    system.post(PERSONS, JDOE)

    answer = system.patch(
        f"{PERSONS}?identifier=jdoe&type=EXTERNAL_ID",
        {
            "city": None,
            "firstName": "Jane",
            "tags": ["Books"],
            "customAttributes": {"member": None, "club": "Gold"},
            "contactInformation": {"phone": [{"number": "+49301234567"}]},
        },
    )

    told: dict[str, Any] = {
        **JDOE,
        "firstName": "Jane",
        "tags": ["Books", "Pizza", "Sports"],
        "customAttributes": {"bootsize": 9.5, "points": 9223372036854775807, "club": "Gold"},
        "contactInformation": {
            "phone": [{"number": "79810000000"}, {"number": "49301234567"}],
            "email": [{"address": "my.email@gmail.com"}],
        },
    }
    del told["city"]
    assert (answer.status_code, answer.json()) == (200, known(Person.objects.get(), **told))


def test_replacing_a_person_forgets_what_is_not_said_and_keeps_devices(system: System) -> None:
    system.post(PERSONS, JDOE)
    person = Person.objects.get()
    device = make_registration(make_application(), person=person, person_tags=person.tags)

    answer = system.call(
        "PUT", f"{PERSONS}?identifier={person.pk}", {"externalId": "jd", "tags": ["Books"]}
    )

    told = answer.json()
    push = told.pop("contactInformation")["push"]
    assert told == known(person, externalId="jd", tags=["Books"])
    assert [each["registrationId"] for each in push] == [str(device.address.public_id)]
    device.refresh_from_db()
    assert (device.person, device.person_tags) == (person, ["Books"])


def test_an_erased_person_is_gone_and_their_device_is_anonymous(system: System) -> None:
    system.post(PERSONS, JDOE)
    device = make_registration(make_application(), person=Person.objects.get())

    answer = system.call("DELETE", f"{PERSONS}?identifier=jdoe&type=EXTERNAL_ID")

    assert (answer.status_code, answer.content) == (200, b"")
    assert not Person.objects.exists()
    assert Registration.objects.get(pk=device.pk).person is None
    kept = AuditEntry.objects.values_list("object_name", "before", "after")
    assert not any("John" in str(each) or "jdoe" in str(each) for each in kept)


@pytest.mark.parametrize("kind", ["CUSTOMER", "LEAD"])
def test_the_type_may_be_said(system: System, kind: str) -> None:
    answer = system.post(PERSONS, {"externalId": "jdoe", "type": kind})

    assert answer.json() == known(Person.objects.get(), externalId="jdoe", type=kind)


def test_somebody_without_a_contact_is_a_lead(system: System) -> None:
    answer = system.post(PERSONS, {"firstName": "John"})

    assert answer.json() == known(Person.objects.get(), firstName="John", type="LEAD")
    assert not Identity.objects.exists()
