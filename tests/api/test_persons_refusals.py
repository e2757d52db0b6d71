"""api.infobip.persons: what is refused, and nothing written (contract/people.md)."""

from typing import Any

import pytest

from api.endpoint import BODY_LIMIT
from devices.models import Person
from tests.api.persons import JDOE, PERSONS, assert_refused, known, system
from tests.api.systems import System, make_key
from tests.factories import make_person

__all__ = ["system"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"externalId": "boris"}, "40003", "External id belongs to another person"),
        (
            {"contactInformation": {"phone": [{"number": "49301234567"}]}},
            "40004",
            "Phone number belongs to another person",
        ),
        (
            {"contactInformation": {"email": [{"address": "Boris@example.com"}]}},
            "40005",
            "E-mail belongs to another person",
        ),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_identity_of_somebody_else_is_refused(
    system: System, method: str, body: dict[str, Any], code: str, text: str
) -> None:
    make_person(external_id="boris", phone="49301234567", email="boris@example.com")
    john = make_person(external_id="jdoe", first_name="John")
    query = "" if method == "POST" else f"?identifier={john.pk}"

    assert_refused(system.call(method, PERSONS + query, body), 400, code, text)
    assert Person.objects.count() == 2
    assert list(john.identities.values_list("value", flat=True)) == ["jdoe"]


@pytest.mark.parametrize(
    ("body", "status", "code", "text"),
    [
        (b"{", 400, "40001", "Request body should be valid JSON"),
        ({"firstName": 7}, 400, "40001", "firstName should be string"),
        ({"city": "x" * 51}, 400, "40001", "city should be string of at most 50 characters"),
        ({"address": "a\0"}, 400, "40001", "address should be a string without NUL"),
        ({"gender": "X"}, 400, "40001", "gender should be MALE or FEMALE"),
        ({"type": "VIP"}, 400, "40001", "type should be CUSTOMER or LEAD"),
        (
            {"preferredLanguage": "English"}, 400, "40001",
            "preferredLanguage should be language such as en or en-GB",
        ),
        ({"birthDate": "1985-02-30"}, 404, "40407", "birthDate should be date (YYYY-MM-DD)"),
        (
            {"customAttributes": {"a": [1]}}, 400, "40007",
            "customAttributes.a should be string, number, boolean or date (YYYY-MM-DD)",
        ),
        (
            {"customAttributes": {"a": "x" * 4097}}, 400, "40007",
            "customAttributes.a should be string of at most 4096 characters",
        ),
        ({"tags": [""]}, 400, "40001", "tags should be a string of 1 to 256 characters"),
        (
            {"externalId": "x" * 257}, 400, "40001",
            "externalId should be a string of at most 256 characters",
        ),
        (
            {"contactInformation": {"phone": [{"number": "0"}]}}, 400, "40001",
            "Invalid phone number: 0 (5 to 15 digits beginning with a country code)",
        ),
        (
            {"contactInformation": {"email": [{"address": "@"}]}}, 400, "40001",
            "Invalid email: @",
        ),
        (
            {"contactInformation": {"push": [{"registrationId": "x"}]}}, 400, "40013",
            "contactInformation.push cannot be changed here: apps register their devices",
        ),
        (b'{"firstName": "\xff"}', 400, "40001", "Request body should be valid JSON"),
        ("{}".encode("utf-16"), 400, "40001", "Request body should be valid JSON"),
        (
            {"customAttributes": {"a": 2**63}}, 400, "40007",
            f"customAttributes.a should be number from {-(2**63)} to {2**63 - 1}",
        ),
        (
            b'{"customAttributes": {"a": 1e999}}', 400, "40007",
            f"customAttributes.a should be number from {-(2**63)} to {2**63 - 1}",
        ),
        (
            {"address": "x" * 257}, 400, "40001",
            "address should be string of at most 256 characters",
        ),
        ({"country": "x" * 51}, 400, "40001", "country should be string of at most 50 characters"),
        (
            {"firstName": "x" * 256}, 400, "40001",
            "firstName should be string of at most 255 characters",
        ),
        (
            {"lastName": "x" * 256}, 400, "40001",
            "lastName should be string of at most 255 characters",
        ),
        (
            {"middleName": "x" * 51}, 400, "40001",
            "middleName should be string of at most 50 characters",
        ),
        (
            {"profilePicture": "x" * 2084}, 400, "40001",
            "profilePicture should be string of at most 2083 characters",
        ),
        (
            {"contactInformation": {"phone": [{"number": "79810000000"}] * 101}}, 400, "40001",
            "contactInformation.phone should be array of at most 100 members",
        ),
        (
            {"contactInformation": {"email": [{"address": "a@example.com"}] * 101}}, 400, "40001",
            "contactInformation.email should be array of at most 100 members",
        ),
        ([], 400, "40001", "Request body should be object"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_what_cannot_be_kept_is_refused_with_nothing_written(
    system: System, method: str, body: Any, status: int, code: str, text: str
) -> None:
    kept = make_person(external_id="boris", first_name="Boris")
    before = system.get(f"{PERSONS}?identifier={kept.pk}").json()
    query = "" if method == "POST" else f"?identifier={kept.pk}"

    assert_refused(system.call(method, f"{PERSONS}{query}", body), status, code, text)
    assert system.get(f"{PERSONS}?identifier={kept.pk}").json() == before
    assert Person.objects.count() == 1


@pytest.mark.parametrize("body", [{}, {"shoes": 42}])
def test_a_person_of_whom_nothing_is_said_is_not_made(system: System, body: Any) -> None:
    text = "Request body should have a member of a person"
    assert_refused(system.post(PERSONS, body), 400, "40001", text)
    assert not Person.objects.exists()


@pytest.mark.parametrize(
    "said",
    [
        {"externalId": "x" * 256},
        {"firstName": "x" * 255},
        {"lastName": "x" * 255},
        {"middleName": "x" * 50},
        {"address": "x" * 256},
        {"city": "x" * 50},
        {"country": "x" * 50},
        {"profilePicture": "x" * 2083},
        {"gender": "FEMALE"},
        {"birthDate": "2000-02-29"},
        {"preferredLanguage": "en"},
        {"preferredLanguage": "en-GB"},
        {"tags": ["x" * 256]},
        {"customAttributes": {"x" * 256: "y" * 4096, "least": -(2**63), "most": 2**63 - 1}},
        {
            "customAttributes": {
                "half": 0.5,
                "yes": True,
                "day": "2000-02-29",
                "no day": "2001-02-29",
            }
        },
        {
            "contactInformation": {
                "phone": [{"number": str(79810000000 + each)} for each in range(100)],
                "email": [{"address": f"{each:03}@example.com"} for each in range(100)],
            }
        },
    ],
)
def test_a_person_may_be_as_long_as_the_limits_say(system: System, said: dict[str, Any]) -> None:
    answer = system.post(PERSONS, said)

    named = "externalId" in said or "contactInformation" in said
    told = known(Person.objects.get(), **said, type="CUSTOMER" if named else "LEAD")
    assert (answer.status_code, answer.json()) == (200, told)


def test_only_who_manages_people_may_write(system: System) -> None:
    make_key("other-key", scopes=["people:read"])
    make_key("push-key", scopes=["mobile-app-messaging:manage"])
    reader, pusher = System(key="other-key"), System(key="push-key")

    assert reader.get(PERSONS).status_code == 200
    assert_refused(reader.post(PERSONS, JDOE), 403, "FORBIDDEN", "Forbidden")
    assert_refused(pusher.get(PERSONS), 403, "FORBIDDEN", "Forbidden")


def test_calls_that_come_too_often_are_put_off(
    system: System, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PERSON_CALLS_PER_SECOND, settings.PERSON_CREATIONS_PER_SECOND = 1, 2
    monkeypatch.setattr("api.limits.time.time", lambda: 1_700_000_000.0)

    assert [system.get(PERSONS).status_code for _ in range(2)] == [200, 429]
    assert [system.post(PERSONS, {"tags": []}).status_code for _ in range(3)] == [200, 200, 429]
    assert_refused(system.get(PERSONS), 429, "42901", "Too many requests")


def test_whoever_is_unknown_is_refused(system: System) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        answer = system.call(method, PERSONS, {}, Authorization="App guess")
        assert_refused(answer, 401, "UNAUTHORIZED", "Unauthorized")


def test_a_body_over_the_limit_is_refused_unread(system: System) -> None:
    answer = system.post(PERSONS, b" " * (BODY_LIMIT + 1))

    assert_refused(answer, 413, "40001", "Request body should be at most 1048576 bytes")


def test_an_unknown_method_names_the_known_ones(system: System) -> None:
    answer = system.call("REPORT", PERSONS)

    assert_refused(
        answer, 405, "METHOD_NOT_ALLOWED", "This path answers DELETE, GET, PATCH, POST, PUT"
    )
    assert answer["Allow"] == "DELETE, GET, PATCH, POST, PUT"
