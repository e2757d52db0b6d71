"""Each identity, attribute and switch of personalizing by push (contract/people.md 5, 6)."""

from typing import Any

import pytest

from devices.models import Application, Identity, Person, Registration
from tests.api.contact_members import (
    EXACT,
    JDOE,
    PUSH,
    answered,
    device,
    error,
    path,
    registration,
    system,
)
from tests.api.systems import System
from tests.factories import make_application, make_person, make_registration

__all__ = ["device", "path", "system"]  # fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

# ------------------------------------------------------------------- personalize: 5


@pytest.mark.parametrize(
    ("identity", "told"),
    [
        ({"externalId": "x" * 256}, {"externalId": "x" * 256}),
        ({"phoneNumber": "12345"}, {"contactInformation": {"phones": [{"number": "12345"}]}}),
        (
            {"phoneNumber": "+123456789012345"},
            {"contactInformation": {"phones": [{"number": "123456789012345"}]}},
        ),
        (
            {"email": "My.Email@Gmail.com"},
            {"contactInformation": {"emails": [{"address": "my.email@gmail.com"}]}},
        ),
        (
            {"externalId": "nUlL", "email": "a@example.com", "phoneNumber": None},
            {"contactInformation": {"emails": [{"address": "a@example.com"}]}},
        ),
        (
            {"externalId": "jdoe", "email": "a@example.com", "phoneNumber": "79810000000"},
            {
                "externalId": "jdoe",
                "contactInformation": {
                    "phones": [{"number": "79810000000"}],
                    "emails": [{"address": "a@example.com"}],
                },
            },
        ),
    ],
)
def test_each_identity_by_itself(
    system: System, path: str, identity: dict[str, Any], told: dict[str, Any]
) -> None:
    answer = system.post(f"{path}/personalize", {"identity": identity})

    assert answered(answer) == (200, told)


@pytest.mark.parametrize(
    ("identity", "code", "text"),
    [
        *(
            (
                {"phoneNumber": number}, 48023,
                f"Invalid phone number: {number} (5 to 15 digits beginning with a country code)",
            )
            for number in ("1234", "1234567890123456", "0123456789", "++12345", "12 345", "١٢٣٤٥")
        ),
        ({"email": f"{'x' * 244}@example.com"}, 48024, f"Invalid email: {'x' * 244}@example.co"),
        ({"email": "a@b"}, 48024, "Invalid email: a@b"),
        ({"email": 7}, 48025, "identity.email should be string"),
        ({"externalId": 7}, 48025, "identity.externalId should be string"),
        (
            {"externalId": "a\0b"}, 48025,
            "identity.externalId should be a string of at most 256 characters",
        ),
    ],
)  # fmt: skip
def test_an_identity_that_cannot_be_one_is_named(
    system: System, path: str, identity: dict[str, Any], code: int, text: str
) -> None:
    answer = system.post(f"{path}/personalize", {"identity": identity})

    assert answered(answer) == error(code, text)
    assert not Person.objects.exists()


ATTRIBUTES: list[tuple[str, Any, Any]] = [
    ("firstName", "x" * 255, "x" * 255),
    ("lastName", "x" * 255, "x" * 255),
    ("middleName", "x" * 50, "x" * 50),
    ("birthday", "1985-07-12", "1985-07-12"),
    ("birthday", "1985-07-12T23:59:59+03:00", "1985-07-12"),
    ("gender", "MALE", "MALE"),
    ("gender", "FEMALE", "FEMALE"),
    ("customAttributes", EXACT, EXACT),
    ("customAttributes", {"x" * 256: "y" * 4096}, {"x" * 256: "y" * 4096}),
]


@pytest.mark.parametrize(("name", "said", "kept"), ATTRIBUTES)
def test_each_attribute_is_applied_and_cleared_by_null(
    system: System, path: str, name: str, said: Any, kept: Any
) -> None:
    answer = system.post(f"{path}/personalize", {**JDOE, "attributes": {name: said}})

    assert answered(answer) == (200, {"externalId": "jdoe", name: kept})
    unsaid = system.post(f"{path}/personalize", {**JDOE, "attributes": {}})
    assert answered(unsaid) == (200, {"externalId": "jdoe", name: kept})
    cleared = system.post(f"{path}/personalize", {**JDOE, "attributes": {name: None}})
    assert answered(cleared) == (200, {"externalId": "jdoe"})


def test_tags_are_added_and_never_taken_away(system: System, path: str) -> None:
    for said, kept in (
        (["Pizza", "x" * 256], ["Pizza", "x" * 256]),
        (["Books", "Pizza"], ["Books", "Pizza", "x" * 256]),
        ([], ["Books", "Pizza", "x" * 256]),
        (None, ["Books", "Pizza", "x" * 256]),
    ):
        answer = system.post(f"{path}/personalize", {**JDOE, "attributes": {"tags": said}})
        assert answered(answer) == (200, {"externalId": "jdoe", "tags": kept})


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"lastName": "x" * 256}, "attributes.lastName should be string of at most 255 characters"),
        (
            {"middleName": "x" * 51},
            "attributes.middleName should be string of at most 50 characters",
        ),
        ({"birthday": "1985-02-30"}, "attributes.birthday should be date (YYYY-MM-DD)"),
        ({"birthday": 19850712}, "attributes.birthday should be date (YYYY-MM-DD)"),
        ({"gender": "male"}, "attributes.gender should be MALE or FEMALE"),
        ({"tags": "Pizza"}, "attributes.tags should be array"),
        ({"tags": [7]}, "attributes.tags.0 should be string"),
        ({"firstName": 7}, "attributes.firstName should be string"),
        ({"customAttributes": "x"}, "attributes.customAttributes should be object"),
        (
            {"customAttributes": {"a": "x" * 4097}},
            "attributes.customAttributes.a should be string of at most 4096 characters",
        ),
        (
            {"customAttributes": {"a": 2**63}},
            f"attributes.customAttributes.a should be number from {-(2**63)} to {2**63 - 1}",
        ),
        ({"customAttributes": {"": 1}},
         "attributes.customAttributes. should be named with 1 to 256 characters"),
    ],
)  # fmt: skip
def test_an_attribute_that_cannot_be_kept_is_named(
    system: System, path: str, attributes: dict[str, Any], text: str
) -> None:
    answer = system.post(f"{path}/personalize", {**JDOE, "attributes": attributes})

    assert answered(answer) == error(48025, text)
    assert not Person.objects.exists()


@pytest.mark.parametrize("name", ["forceDepersonalize", "keepAsLead", "returnPush"])
@pytest.mark.parametrize("value", ["true", "TRUE", "1", "false", "False", "0"])
def test_each_switch_in_each_spelling(
    system: System, device: Registration, path: str, name: str, value: str
) -> None:
    on = value.lower() in {"true", "1"}
    boris = make_person(external_id="boris")
    if name == "forceDepersonalize":
        Registration.objects.update(person=boris)

    answer = system.post(f"{path}/personalize?{name}={value}", JDOE)

    told: dict[str, Any] = {"externalId": "jdoe"}
    if name == "forceDepersonalize" and not on:
        text = "Installation is not depersonalized. Personalization is prohibited"
        assert answered(answer) == error(48020, text)
        return
    if name == "returnPush" and on:
        told["contactInformation"] = {"push": [registration(device)]}
    assert answered(answer) == (200, told)
    kept = Person.objects.get(identities__value="jdoe")
    assert kept.kind == ("LEAD" if name == "keepAsLead" and on else "CUSTOMER")


@pytest.mark.parametrize("value", ["yes", "", "2", "None"])
@pytest.mark.parametrize(
    "name", ["forceDepersonalize", "keepAsLead", "returnPush", "setDeviceAsPrimary"]
)
def test_a_switch_that_is_none_is_named(system: System, path: str, name: str, value: str) -> None:
    answer = system.post(f"{path}/personalize?{name}={value}", JDOE)

    assert answered(answer) == error(48025, f"{name} should be boolean")
    assert not Person.objects.exists()


@pytest.mark.parametrize(
    ("kind", "made", "identity", "text"),
    [
        (
            Identity.Kind.PHONE, "{}", {"phoneNumber": "79810000000"},
            "phones should be at most 100 of one person",
        ),
        (
            Identity.Kind.EMAIL, "{}@example.com", {"email": "a@example.com"},
            "emails should be at most 100 of one person",
        ),
    ],
)  # fmt: skip
def test_a_person_has_at_most_100_of_a_kind(
    system: System, path: str, kind: int, made: str, identity: dict[str, str], text: str
) -> None:
    person = make_person(external_id="jdoe")
    for number in range(100):
        person.identities.create(kind=kind, value=made.format(49300000000 + number))

    answer = system.post(f"{path}/personalize", {"identity": {"externalId": "jdoe", **identity}})

    assert answered(answer) == error(48025, text)
    assert person.identities.count() == 101


# ------------------------------------------------------------------- depersonalize: 6


def test_an_anonymous_device_may_be_parted_and_other_devices_stay(
    system: System, device: Registration, path: str, application: Application
) -> None:
    for _ in range(2):
        assert answered(system.post(f"{path}/depersonalize")) == (200, b"")
    system.post(f"{path}/personalize?setDeviceAsPrimary=1", JDOE)
    person = Person.objects.get()
    other = make_registration(application, person=person)
    elsewhere = make_registration(make_application(), person=person, primary=True)

    assert answered(system.post(f"{path}/depersonalize", b"anything")) == (200, b"")

    assert answered(system.get(path)) == (200, registration(device))
    assert set(Registration.objects.filter(person=person)) == {other, elsewhere}
    assert answered(system.post(f"{PUSH}/{other.address.public_id}/personalize", JDOE)) == (
        200, {"externalId": "jdoe"},
    )  # fmt: skip
