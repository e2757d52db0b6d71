"""Each way to say whose a device is. Sections: contract/mobile-sdk.md 3.1, 3.2, 3.5."""

import uuid
from typing import Any

import pytest

from tests.api.apps import STORED, App, assert_refused
from tests.api.sdk_devices import JDOE, path
from tests.factories import make_application, make_person, make_registration

__all__ = ["path"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

USER: dict[str, Any] = {"externalUserId": "jdoe", "type": "CUSTOMER"}
LEAD: dict[str, Any] = {"type": "LEAD"}


# ------------------------------------------------------------------- switches: 3.1


TRUE, FALSE = ("true", "True", "1"), ("", "false", "0", "maybe")


@pytest.mark.parametrize("spelling", [*TRUE, *FALSE])
def test_each_spelling_of_force(app: App, path: str, spelling: str) -> None:
    app.post(f"{path}/personalize", {"userIdentity": {"externalUserId": "boris"}})

    answer = app.post(f"{path}/personalize?forceDepersonalize={spelling}", JDOE)

    if spelling in TRUE:
        assert (answer.status_code, answer.json()) == (200, USER)
    else:
        text = "Installation is not depersonalized. Personalization is prohibited"
        assert_refused(answer, 400, "PERSONALIZATION_IMPOSSIBLE", text)


@pytest.mark.parametrize("spelling", [*TRUE, *FALSE])
def test_each_spelling_of_keeping_a_lead(app: App, path: str, spelling: str) -> None:
    answer = app.post(f"{path}/personalize?keepAsLead={spelling}", JDOE)

    kind = "LEAD" if spelling in TRUE else "CUSTOMER"
    assert (answer.status_code, answer.json()) == (200, {**USER, "type": kind})
    assert app.call("GET", f"{path}/user").json() == {**USER, "type": kind}


@pytest.mark.parametrize("spelling", [*TRUE, *FALSE])
def test_each_spelling_of_the_primary_device(app: App, path: str, spelling: str) -> None:
    answer = app.post(f"{path}/personalize?setDeviceAsPrimary={spelling}", JDOE)

    assert (answer.status_code, answer.json()) == (200, USER)
    told = {**STORED, "pushRegId": path.rpartition("/")[2], "isPrimary": spelling in TRUE}
    assert app.call("GET", f"{path}/user?ri=1").json() == {**USER, "instances": [told]}


@pytest.mark.parametrize("attributes", [{}, {"userAttributes": None}, {"userAttributes": {}}])
def test_a_person_needs_no_attributes(app: App, path: str, attributes: Any) -> None:
    answer = app.post(f"{path}/personalize", {**JDOE, **attributes})

    assert (answer.status_code, answer.json()) == (200, USER)


# ------------------------------------------------------------------- repersonalize: 3.2


@pytest.mark.parametrize(
    ("identity", "code", "text"),
    [
        ({}, "USER_IDENTITY_INVALID", "UserIdentity does not have any identity field set"),
        (
            {"externalUserId": "anna", "phones": [{"number": "49301234567"}]},
            "AMBIGUOUS_PERSONALIZE_CANDIDATES",
            "Several users satisfy supplied user identity",
        ),
        (
            {"externalUserId": "new", "phones": [{"number": "49301234567"}]},
            "USER_MERGE_INTERRUPTED",
            "User update violates unique key constraint",
        ),
        (
            {"phones": [{"number": "x"}]},
            "PHONE_INVALID",
            "Invalid phone number: x (5 to 15 digits beginning with a country code)",
        ),
        ({"emails": [{"address": "x"}]}, "EMAIL_INVALID", "Invalid email: x"),
        (
            {"externalUserId": 7},
            "REQUEST_FORMAT_INVALID",
            "userIdentity.externalUserId should be string",
        ),
    ],
)
def test_repersonalizing_refuses_as_personalizing_does(
    app: App, path: str, identity: dict[str, Any], code: str, text: str
) -> None:
    make_person(external_id="anna")
    make_person(external_id="boris", phone="49301234567")

    for call in ("repersonalize", "personalize?forceDepersonalize=1"):
        answer = app.post(f"{path}/{call}", {"userIdentity": identity})
        assert_refused(answer, 400, code, text)
    assert app.call("GET", f"{path}/user").json() == LEAD


# ------------------------------------------------------------------- depersonalize: 3.5


def test_parting_a_device_is_refused_to_strangers_and_those_who_are_gone(
    app: App, path: str
) -> None:
    app.post(f"{path}/personalize", JDOE)
    elsewhere = make_registration(make_application()).address.public_id

    for caller, status in ((uuid.uuid4(), 404), (elsewhere, 404), ("shoe", 400)):
        answer = app.post(f"{path}/depersonalize", pushregistrationid=str(caller))
        assert_refused(answer, status, "NO_REGISTRATION", "Registration not found")
    assert app.call("GET", f"{path}/user").json() == USER

    for _ in range(2):  # the second time it is anonymous already
        answer = app.post(f"{path}/depersonalize", {})
        assert (answer.status_code, answer.json()) == (200, {})
        assert app.call("GET", f"{path}/user").json() == LEAD
