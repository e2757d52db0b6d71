"""What tests of devices and people share: somebody signed in, and somebody to look for."""

from collections.abc import Iterator

import pytest
from django.test import Client

from devices import attributes
from devices.models import Application, Person, Role
from tests.factories import make_application, make_person, make_registration, make_user


@pytest.fixture
def application(client: Client) -> Application:
    """One whose support agent is signed in."""
    application = make_application(name="Shop")
    client.force_login(make_user(Role.SUPPORT, application))
    return application


@pytest.fixture
def fresh() -> Iterator[None]:
    """No type of an attribute is remembered of an earlier test."""
    yield
    attributes._known.clear()


@pytest.fixture
def anna(application: Application) -> Person:
    person = make_person(
        external_id="crm-1", phone="447700900123", email="anna@example.com",
        first_name="Anna", last_name="Łukasz", tags=["vip", "Vip", "Gold Card", "it's \\ odd"],
    )  # fmt: skip
    make_registration(application, person=person, token="x" * 20 + "TAILTAIL")
    make_person(external_id="other", first_name="Boris", last_name="Doe")
    return person
