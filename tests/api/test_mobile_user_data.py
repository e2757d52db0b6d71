"""api.mobile_people: user data read and changed (contract/mobile-sdk.md 3.3, 3.4)."""

import uuid
from typing import Any

import pytest

from devices.models import Person
from tests.api.apps import DEVICE, INSTANCES, STORED, App, assert_refused, token
from tests.api.sdk_people import JDOE, USER, Phone, phone
from tests.factories import make_application, make_person

__all__ = ["phone"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


def test_of_an_anonymous_person_nothing_is_known(phone: Phone) -> None:
    assert phone.user() == {"type": "LEAD"}


def test_a_person_is_given_with_their_devices_of_this_application(app: App, phone: Phone) -> None:
    body = {**DEVICE, "pushServiceToken": token(), "isPrimary": True}
    other = app.post(INSTANCES, body).json()
    elsewhere = Phone(App(make_application()))
    for path in (phone.path, f"{INSTANCES}/{other['pushRegId']}"):
        app.post(f"{path}/personalize", JDOE)
    elsewhere.personalize(JDOE)
    first = {**STORED, "pushRegId": other["pushRegId"], "isPrimary": True}
    second = {**STORED, "pushRegId": phone.id}

    assert phone.user("?ri=true") == {**USER, "instances": [first, second]}
    assert phone.user("?ri=1&rt=1")["instances"][0] == {
        **first, "pushServiceToken": body["pushServiceToken"],
    }  # fmt: skip
    assert phone.user("?ri=false&rt=true") == USER


def test_an_anonymous_device_is_its_persons_only_one(phone: Phone) -> None:
    instance = {**STORED, "pushRegId": phone.id}

    assert phone.user("?ri=true") == {"type": "LEAD", "instances": [instance]}


def test_a_change_keeps_what_it_does_not_name(phone: Phone) -> None:
    phone.personalize(JDOE)

    answer = phone.patch({"firstName": "Jane", "gender": "Female", "customAttributes": {"a": "b"}})

    assert (answer.status_code, answer.json()) == (200, {})
    assert phone.user() == {
        **USER, "firstName": "Jane", "gender": "Female",
        "customAttributes": {**USER["customAttributes"], "a": "b"},
    }  # fmt: skip


def test_the_override_header_makes_a_post_a_change(phone: Phone) -> None:
    answer = phone.app.post(
        f"{phone.path}/user", {"tags": ["vip"]}, **{"X-HTTP-Method-Override": "PATCH"}
    )

    assert answer.json() == {}
    assert phone.user() == {"type": "LEAD", "tags": ["vip"]}
    assert phone.registration.person_tags == ["vip"]


def test_lists_are_replaced_and_null_clears(phone: Phone) -> None:
    phone.personalize(JDOE)

    answer = phone.patch(
        {
            "phones": [{"number": "49301234567", "preferred": True}],
            "emails": None,
            "tags": ["Sports"],
            "middleName": None,
            "gender": None,
            "birthday": None,
            "customAttributes": {"member": None},
        }
    )

    assert answer.json() == {}
    assert phone.user() == {
        "externalUserId": "jdoe",
        "firstName": "John",
        "lastName": "Doe",
        "type": "CUSTOMER",
        "phones": [{"number": "49301234567", "preferred": False}],
        "tags": ["Sports"],
        "customAttributes": {"bootsize": 9.5, "points": 9223372036854775807},
    }


def test_clearing_everything_leaves_an_anonymous_person(phone: Phone) -> None:
    phone.personalize(JDOE)

    phone.patch(dict.fromkeys((*JDOE["userIdentity"], *JDOE["userAttributes"])))

    assert phone.user() == {"type": "LEAD"}


def test_an_empty_change_makes_nobody(phone: Phone) -> None:
    assert phone.patch({}).json() == {}
    assert not Person.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"externalUserId": "boris"},
        {"phones": [{"number": "49301234567"}]},
        {"emails": [{"address": "Boris@example.com"}]},
    ],
)
def test_an_identity_of_somebody_else_is_refused(phone: Phone, body: dict[str, Any]) -> None:
    make_person(external_id="boris", phone="49301234567", email="boris@example.com")
    phone.personalize(JDOE)

    assert_refused(
        phone.patch({"firstName": "Jane", **body}), 400, "USER_MERGE_INTERRUPTED",
        "User update violates unique key constraint",
    )  # fmt: skip
    assert phone.user() == USER


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (
            {"phones": [{"number": "0"}]},
            "PHONE_INVALID",
            "Invalid phone number: 0 (5 to 15 digits beginning with a country code)",
        ),
        ({"emails": [{"address": "@"}]}, "EMAIL_INVALID", "Invalid email: @"),
        (
            {"externalUserId": "x" * 257},
            "REQUEST_FORMAT_INVALID",
            "externalUserId should be a string of at most 256 characters",
        ),
        ({"tags": "vip"}, "REQUEST_FORMAT_INVALID", "tags should be array"),
        (
            {"lastName": "x" * 256},
            "REQUEST_FORMAT_INVALID",
            "lastName should be string of at most 255 characters",
        ),
        (
            {"customAttributes": {"text": "x" * 4097}},
            "REQUEST_FORMAT_INVALID",
            "customAttributes.text should be string of at most 4096 characters",
        ),
        (
            {"customAttributes": {"number": 2**63}},
            "REQUEST_FORMAT_INVALID",
            (
                "customAttributes.number should be number from "
                "-9223372036854775808 to 9223372036854775807"
            ),
        ),
    ],
)
def test_user_data_that_cannot_be_kept_is_refused(
    phone: Phone, body: dict[str, Any], code: str, text: str
) -> None:
    phone.personalize(JDOE)

    assert_refused(phone.patch({"firstName": "Jane", **body}), 400, code, text)
    assert phone.user() == USER


def test_the_user_of_an_unknown_registration_is_not_found(app: App) -> None:
    path = f"{INSTANCES}/{uuid.uuid4()}/user"

    for method, body in (("GET", None), ("PATCH", {}), ("PATCH", {"firstName": "John"})):
        answer = app.call(method, path, body)
        assert_refused(answer, 404, "NO_REGISTRATION", "Registration not found")


def test_an_application_may_take_no_user_data_from_apps() -> None:
    phone = Phone(App(make_application(user_data_from_apps=False)))

    for answer in (phone.patch({"firstName": "John"}), phone.personalize(JDOE)):
        text = "User update access is restricted"
        assert_refused(answer, 403, "USER_DATA_RESTRICTED", text)
    without_data = {**JDOE, "userAttributes": None}
    assert phone.personalize(without_data).status_code == 200
