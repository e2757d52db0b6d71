"""api.infobip.contacts: whose a device is (contract/people.md 5, 6)."""

from typing import Any

import pytest

from devices.models import Person, Registration
from tests.api.contacts import (
    JDOE,
    LARGEST,
    PERSON,
    assert_refused,
    device,
    path,
    registration,
    system,
)
from tests.api.systems import System
from tests.factories import make_application, make_person, make_registration

__all__ = ["device", "path", "system"]  # fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

# ------------------------------------------------------------------- personalize: 5


def test_the_vendors_own_example_answers_with_the_person(
    system: System, path: str, device: Registration
) -> None:
    john = make_person(
        external_id="jdoe", phone="79810000000", email="my.email@gmail.com",
        first_name="John", last_name="Doe", birthday="1985-07-12",
    )  # fmt: skip
    Registration.objects.filter(pk=device.pk).update(person=make_person(external_id="boris"))

    answer = system.post(
        f"{path}/personalize?forceDepersonalize=true",
        {"identity": {"phoneNumber": "79810000000"}, "attributes": {"tags": ["Pizza", "Sports"]}},
    )

    assert (answer.status_code, answer.json()) == (200, PERSON)
    assert Registration.objects.get().person == john


def test_a_new_person_is_made(system: System, path: str) -> None:
    assert system.post(f"{path}/personalize", JDOE).json() == PERSON

    person = Person.objects.get()
    assert (person.kind, person.origin, person.changed_from) == ("CUSTOMER", "API", "API")


def test_what_is_not_known_of_a_person_is_left_out(system: System, path: str) -> None:
    answer = system.post(f"{path}/personalize", {"identity": {"externalId": "jdoe"}})

    assert answer.json() == {"externalId": "jdoe"}


def test_attributes_replace_clear_and_add(system: System, path: str) -> None:
    system.post(f"{path}/personalize", JDOE)

    answer = system.post(
        f"{path}/personalize",
        {
            "identity": {"externalId": "jdoe"},
            "attributes": {
                "firstName": "Jane",
                "lastName": None,
                "middleName": "M",
                "birthday": "1990-01-02T00:00:00Z",
                "gender": "FEMALE",
                "tags": ["Books"],
                "customAttributes": {"size": LARGEST, "club": "Gold"},
            },
        },
    )

    told: dict[str, Any] = {
        **PERSON,
        "firstName": "Jane",
        "middleName": "M",
        "birthday": "1990-01-02",
        "gender": "FEMALE",
        "tags": ["Books", "Pizza", "Sports"],
        "customAttributes": {"size": LARGEST, "club": "Gold"},
    }
    del told["lastName"]
    assert answer.json() == told
    again = {"identity": {"externalId": "jdoe"}, "attributes": {"customAttributes": {"club": None}}}
    assert system.post(f"{path}/personalize", again).json() == {
        **told, "customAttributes": {"size": LARGEST},
    }  # fmt: skip


def test_the_answer_has_the_devices_if_asked(
    system: System, path: str, device: Registration
) -> None:
    other = make_registration(make_application(), person=make_person(external_id="jdoe"))
    system.patch(path, {"additionalData": {"receiveOTP": True, "points": LARGEST}})

    answer = system.post(f"{path}/personalize?returnPush=1&setDeviceAsPrimary=TRUE", JDOE)

    mine = registration(
        device, isPrimary=True, additionalData={"receiveOTP": True, "points": LARGEST}
    )
    elsewhere = {
        "registrationId": str(other.address.public_id),
        "applicationId": other.application.application_id,
        "isPrimary": False,
        "systemData": {
            "cloudType": "GCM",
            "os": "Android",
            "registrationEnabled": True,
            "notificationsEnabled": True,
        },
    }
    contacts = {**PERSON["contactInformation"], "push": [mine, elsewhere]}
    assert (answer.status_code, answer.json()) == (200, {**PERSON, "contactInformation": contacts})


def test_a_lead_may_stay_one(system: System, path: str) -> None:
    system.post(f"{path}/personalize?keepAsLead=true", JDOE)

    assert Person.objects.get().kind == Person.Kind.LEAD


def test_the_device_of_somebody_else_is_refused_without_force(
    system: System, path: str, device: Registration
) -> None:
    boris = make_person(external_id="boris")
    Registration.objects.filter(pk=device.pk).update(person=boris)

    text = "Installation is not depersonalized. Personalization is prohibited"
    assert_refused(system.post(f"{path}/personalize", JDOE), 48020, text)
    assert Registration.objects.get().person == boris


@pytest.mark.parametrize("query", ["", "?forceDepersonalize=true"])
def test_an_identity_of_two_people_is_refused(system: System, path: str, query: str) -> None:
    make_person(external_id="jdoe")
    make_person(email="my.email@gmail.com")

    text = "Several users satisfy supplied user identity"
    assert_refused(system.post(f"{path}/personalize{query}", JDOE), 48021, text)


def test_another_external_id_is_refused(system: System, path: str) -> None:
    make_person(external_id="another", phone="79810000000")

    text = "User update violates unique key constraint"
    assert_refused(system.post(f"{path}/personalize", JDOE), 48026, text)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({}, 48022, "UserIdentity does not have any identity field set"),
        ({"identity": None}, 48022, "UserIdentity does not have any identity field set"),
        (
            {"identity": {"externalId": "Null", "phoneNumber": None, "email": ""}},
            48022,
            "UserIdentity does not have any identity field set",
        ),
        (
            {"identity": {"phoneNumber": "call me"}},
            48023,
            "Invalid phone number: call me (5 to 15 digits beginning with a country code)",
        ),
        ({"identity": {"email": "john@"}}, 48024, "Invalid email: john@"),
        ({"identity": {"phoneNumber": 7981000}}, 48025, "identity.phoneNumber should be string"),
        (
            {"identity": {"externalId": "x" * 257}},
            48025,
            "identity.externalId should be a string of at most 256 characters",
        ),
        ({"identity": []}, 48025, "identity should be object"),
        (
            {**JDOE, "attributes": {"gender": "Male"}},
            48025,
            "attributes.gender should be MALE or FEMALE",
        ),
        (
            {**JDOE, "attributes": {"birthday": "12.07.1985"}},
            48025,
            "attributes.birthday should be date (YYYY-MM-DD)",
        ),
        (
            {**JDOE, "attributes": {"firstName": "x" * 256}},
            48025,
            "attributes.firstName should be string of at most 255 characters",
        ),
        (
            {**JDOE, "attributes": {"tags": ["x" * 257]}},
            48025,
            "attributes.tags should be a string of 1 to 256 characters",
        ),
        (
            {**JDOE, "attributes": {"customAttributes": {"a": []}}},
            48025,
            "attributes.customAttributes.a should be string, number, boolean or date (YYYY-MM-DD)",
        ),
        (
            {**JDOE, "attributes": {"customAttributes": {"a": {}}}},
            48025,
            "attributes.customAttributes.a should be string, number, boolean or date (YYYY-MM-DD)",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_with_nothing_written(
    system: System, path: str, body: dict[str, Any], code: int, text: str
) -> None:
    assert_refused(system.post(f"{path}/personalize", body), code, text)
    assert not Person.objects.exists()


@pytest.mark.parametrize(
    "name", ["forceDepersonalize", "keepAsLead", "returnPush", "setDeviceAsPrimary"]
)
def test_a_switch_is_true_or_false(system: System, path: str, name: str) -> None:
    for value in ("true", "FALSE", "1", "0"):
        assert system.post(f"{path}/personalize?{name}={value}", JDOE).status_code == 200

    answer = system.post(f"{path}/personalize?{name}=maybe", JDOE)
    assert_refused(answer, 48025, f"{name} should be boolean")


def test_a_person_has_at_most_100_phones(system: System, path: str) -> None:
    person = make_person(external_id="jdoe")
    for number in range(100):
        person.identities.create(kind=2, value=str(49300000000 + number))

    answer = system.post(f"{path}/personalize", JDOE)

    assert_refused(answer, 48025, "phones should be at most 100 of one person")


# ------------------------------------------------------------------- depersonalize: 6


def test_a_device_leaves_its_person_and_the_answer_is_empty(
    system: System, path: str, device: Registration
) -> None:
    system.patch(path, {"additionalData": {"a": "b"}})
    system.post(f"{path}/personalize?setDeviceAsPrimary=true", JDOE)

    for _ in range(2):  # the second time it is anonymous already
        answer = system.post(f"{path}/depersonalize")

        assert (answer.status_code, answer.content) == (200, b"")
        assert answer["Content-Length"] == "0"
        assert "Content-Type" not in answer

    device.refresh_from_db()
    assert (device.person, device.person_tags) == (None, [])
    assert system.get(path).json() == registration(device, additionalData={"a": "b"})
    assert Person.objects.get().identities.count() == 3
