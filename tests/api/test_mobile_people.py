"""api.mobile_people: whose a device is, as the SDK says it. Sections: contract/mobile-sdk.md."""

import json
import uuid
from typing import Any

import pytest

from devices.models import Address, Identity, Person, Registration
from tests.api.apps import INSTANCES, App, assert_refused
from tests.api.sdk_people import JDOE, USER, Phone, identity, phone
from tests.factories import make_application, make_person, make_registration

__all__ = ["phone"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

# ------------------------------------------------------------------- personalize: 3.1


def test_personalizing_answers_with_the_whole_person(phone: Phone) -> None:
    answer = phone.personalize(JDOE)

    assert (answer.status_code, answer.json()) == (200, USER)
    assert phone.user() == USER


def test_a_second_device_of_the_same_phone_number_joins_the_person(app: App, phone: Phone) -> None:
    phone.personalize(JDOE)
    other = Phone(app)

    answer = other.personalize(identity(phones=[{"number": "+79810000000"}]))

    assert answer.json() == USER
    assert Person.objects.count() == 1


def test_a_device_of_somebody_else_moves_by_force_alone(phone: Phone) -> None:
    phone.personalize(identity(externalUserId="boris"))

    assert_refused(
        phone.personalize(JDOE), 400, "PERSONALIZATION_IMPOSSIBLE",
        "Installation is not depersonalized. Personalization is prohibited",
    )  # fmt: skip
    assert phone.user() == {"externalUserId": "boris", "type": "CUSTOMER"}

    assert phone.personalize(JDOE, "?forceDepersonalize=true").json() == USER
    assert Person.objects.count() == 2


@pytest.mark.parametrize("query", ["", "?forceDepersonalize=1"])
def test_an_identity_of_two_people_is_refused(phone: Phone, query: str) -> None:
    make_person(external_id="jdoe")
    make_person(phone="79810000000")

    assert_refused(
        phone.personalize(JDOE, query), 400, "AMBIGUOUS_PERSONALIZE_CANDIDATES",
        "Several users satisfy supplied user identity",
    )  # fmt: skip


def test_another_external_id_of_the_same_phone_number_is_refused(phone: Phone) -> None:
    make_person(external_id="another", phone="79810000000")

    assert_refused(
        phone.personalize(JDOE), 400, "USER_MERGE_INTERRUPTED",
        "User update violates unique key constraint",
    )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"userIdentity": None},
        {"userIdentity": {}, "userAttributes": None},
        identity(externalUserId="null"),
        identity(externalUserId="NULL", phones=None, emails=[]),
    ],
)
def test_an_identity_must_be_given(phone: Phone, body: dict[str, Any]) -> None:
    assert_refused(
        phone.personalize(body), 400, "USER_IDENTITY_INVALID",
        "UserIdentity does not have any identity field set",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (
            identity(phones=[{"number": "12-34"}]),
            "PHONE_INVALID",
            "Invalid phone number: 12-34 (5 to 15 digits beginning with a country code)",
        ),
        (identity(emails=[{"address": "john"}]), "EMAIL_INVALID", "Invalid email: john"),
        (
            identity(externalUserId="x" * 257),
            "REQUEST_FORMAT_INVALID",
            "externalUserId should be a string of at most 256 characters",
        ),
        (
            identity(externalUserId=7),
            "REQUEST_FORMAT_INVALID",
            "userIdentity.externalUserId should be string",
        ),
        (
            identity(phones=["79810000000"]),
            "REQUEST_FORMAT_INVALID",
            "userIdentity.phones.0 should be object",
        ),
        (
            identity(phones=[{"number": str(79810000000 + each)} for each in range(101)]),
            "REQUEST_FORMAT_INVALID",
            "userIdentity.phones should be array of at most 100 members",
        ),
        (
            {**JDOE, "userAttributes": {"firstName": "x" * 256}},
            "REQUEST_FORMAT_INVALID",
            "userAttributes.firstName should be string of at most 255 characters",
        ),
        (
            {**JDOE, "userAttributes": {"middleName": "x" * 51}},
            "REQUEST_FORMAT_INVALID",
            "userAttributes.middleName should be string of at most 50 characters",
        ),
        (
            {**JDOE, "userAttributes": {"gender": "MALE"}},
            "REQUEST_FORMAT_INVALID",
            "userAttributes.gender should be Male or Female",
        ),
        (
            {**JDOE, "userAttributes": {"birthday": "1985-02-30"}},
            "REQUEST_FORMAT_INVALID",
            "userAttributes.birthday should be date (YYYY-MM-DD)",
        ),
        (
            {**JDOE, "userAttributes": {"tags": [""]}},
            "REQUEST_FORMAT_INVALID",
            "tags should be a string of 1 to 256 characters",
        ),
        (
            {**JDOE, "userAttributes": {"customAttributes": {"size": {"eu": 42}}}},
            "REQUEST_FORMAT_INVALID",
            (
                "customAttributes.size should be string, number, boolean, date (YYYY-MM-DD) "
                "or list of flat objects"
            ),
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_with_nothing_written(
    phone: Phone, body: dict[str, Any], code: str, text: str
) -> None:
    assert_refused(phone.personalize(body), 400, code, text)
    assert not Person.objects.exists()


def test_a_lead_may_stay_one(phone: Phone) -> None:
    answer = phone.personalize(identity(externalUserId="jdoe"), "?keepAsLead=true")

    assert answer.json() == {"externalUserId": "jdoe", "type": "LEAD"}


def test_the_device_becomes_primary_if_asked(app: App, phone: Phone) -> None:
    other = Phone(app)
    for each in (phone, other):
        each.personalize(identity(externalUserId="jdoe"), "?setDeviceAsPrimary=1")

    assert (phone.registration.primary, other.registration.primary) == (False, True)


@pytest.mark.parametrize("call", ["personalize", "repersonalize", "depersonalize"])
def test_an_unknown_registration_is_not_found(app: App, call: str) -> None:
    elsewhere = make_registration(make_application())
    for identifier in (uuid.uuid4(), elsewhere.address.public_id, "shoe"):
        answer = app.post(f"{INSTANCES}/{identifier}/{call}", identity(externalUserId="jdoe"))

        assert_refused(answer, 404, "NO_REGISTRATION", "Registration not found")
    assert not Person.objects.exists()


def test_repersonalizing_takes_the_device_from_anybody(phone: Phone) -> None:
    phone.personalize(identity(externalUserId="boris"))

    answer = phone.app.post(f"{phone.path}/repersonalize", JDOE)

    assert (answer.status_code, answer.json()) == (200, {})
    assert phone.user() == USER


# ------------------------------------------------------------------- depersonalize: 3.5


@pytest.mark.parametrize("body", [None, {}])
def test_a_device_leaves_its_person(phone: Phone, body: Any) -> None:
    phone.personalize(JDOE, "?setDeviceAsPrimary=true")

    answer = phone.app.post(f"{phone.path}/depersonalize", body)

    assert (answer.status_code, answer.json()) == (200, {})
    assert phone.user() == {"type": "LEAD"}
    assert not phone.registration.primary
    assert Identity.objects.count() == 3


def test_only_a_device_of_the_same_person_may_part_another(app: App, phone: Phone) -> None:
    mine, strangers = Phone(app), Phone(app)
    for each in (phone, mine):
        each.personalize(JDOE)

    refused = app.post(f"{phone.path}/depersonalize", pushregistrationid=strangers.id)
    assert_refused(refused, 404, "NO_REGISTRATION", "Registration not found")
    assert phone.user() == USER

    assert app.post(f"{phone.path}/depersonalize", pushregistrationid=mine.id).json() == {}
    assert phone.user() == {"type": "LEAD"}
    assert mine.user() == USER


# ------------------------------------------------------------------- the rest: 2.4, 3.6


def test_a_phone_drops_its_expired_duplicate(app: App, phone: Phone) -> None:
    old = Phone(app)

    for _ in range(2):  # the second time it is gone already
        answer = app.call("DELETE", old.path, pushregistrationid=phone.id)
        assert (answer.status_code, answer.json()) == (200, {})

    assert list(Address.objects.values_list("public_id", flat=True)) == [uuid.UUID(phone.id)]


def test_a_phone_that_is_gone_itself_drops_nothing(app: App, phone: Phone) -> None:
    answer = app.call("DELETE", phone.path, pushregistrationid=str(uuid.uuid4()))

    assert_refused(answer, 400, "NO_REGISTRATION", "Registration not found")
    assert Registration.objects.exists()


def test_a_session_tells_what_the_device_is_like(phone: Phone) -> None:
    before = phone.app.call("GET", phone.path).json()

    answer = phone.app.post(
        f"{phone.path}/user/events/session",
        {
            "systemData": {"appVersion": "1.17.0", "language": "de", "isPrimary": True},
            "sessionStarts": ["2024-01-01T10:00:00Z"],
            "sessionBounds": {"2024-01-01T10:00:00Z": "2024-01-01T10:05:00Z"},
        },
    )

    assert (answer.status_code, answer.json()) == (200, {})
    after = {**before, "appVersion": "1.17.0", "language": "de"}
    assert phone.app.call("GET", phone.path).json() == after


def test_there_is_no_chat(phone: Phone) -> None:
    answer = phone.app.call("GET", f"{phone.path}/user/livechatinfo")

    assert answer.json() == {"liveChatDestinations": []}


def test_personalizing_takes_few_statements(
    phone: Phone, django_assert_max_num_queries: Any
) -> None:
    phone.personalize(JDOE)

    with django_assert_max_num_queries(14):
        phone.personalize(json.loads(json.dumps(JDOE)))
