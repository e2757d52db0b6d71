"""What tests of persons share: the vendor's person, and a system that calls."""

from typing import Any

import pytest

from devices.models import Person
from tests.api.systems import System, make_key

PERSONS = "/people/2/persons"
ORDER = (
    "orderBy should be one of firstName, lastName, createdAt, modifiedAt, followed by :asc or :desc"
)
JDOE: dict[str, Any] = {
    "externalId": "jdoe",
    "firstName": "John",
    "lastName": "Doe",
    "middleName": "M",
    "gender": "MALE",
    "birthDate": "1985-07-12",
    "address": "1 High Street",
    "city": "London",
    "country": "United Kingdom",
    "preferredLanguage": "en-GB",
    "profilePicture": "https://example.com/john.jpg",
    "tags": ["Pizza", "Sports"],
    "customAttributes": {"bootsize": 9.5, "points": 9223372036854775807, "member": True},
    "contactInformation": {
        "phone": [{"number": "79810000000"}],
        "email": [{"address": "my.email@gmail.com"}],
    },
}


@pytest.fixture
def system(settings: Any) -> System:
    make_key()
    settings.PERSON_CALLS_PER_SECOND = settings.PERSON_CREATIONS_PER_SECOND = 1000
    return System()


def known(person: Person, **members: Any) -> dict[str, Any]:
    """What is answered about a person beside what was said of them."""
    person.refresh_from_db()
    return {
        "id": person.pk,
        "type": "CUSTOMER",
        "origin": "API",
        "modifiedFrom": "API",
        "createdAt": f"{person.created_at:%Y-%m-%dT%H:%M:%S}",
        "modifiedAt": f"{person.changed_at:%Y-%m-%dT%H:%M:%S}",
        **members,
    }


def assert_refused(answer: Any, status: int, code: str, text: str) -> None:
    refusal = {"requestError": {"serviceException": {"messageId": code, "text": text}}}
    assert (answer.status_code, answer.json()) == (status, refusal)
