"""api.infobip.contacts: push contact information. Sections: contract/people.md."""

import uuid
from typing import Any

import pytest
from django.db import connection

from devices.models import Address, Application, Person, Platform, Registration
from tests.api.systems import System, make_key
from tests.factories import make_application, make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

PUSH = "/people/2/contactInformation/push"
SYSTEM_DATA = {
    "cloudType": "GCM",
    "registrationEnabled": True,
    "notificationsEnabled": True,
    "geofencingSdk": True,
    "sdkVersion": "2.0.9.1",
    "appVersion": "1.16.0-SNAPSHOT",
    "os": "Android",
    "osVersion": "8.0.0",
    "deviceManufacturer": "HUAWEI",
    "deviceModel": "ANE-LX1",
    "deviceSecure": True,
    "osLanguage": "en",
    "deviceTimezoneOffset": "GMT+03:00",
    "deviceName": "ANE-LX1",
}
LARGEST = 9223372036854775807
JDOE: dict[str, Any] = {
    "identity": {
        "externalId": "jdoe",
        "phoneNumber": "79810000000",
        "email": "my.email@gmail.com",
    },
    "attributes": {
        "firstName": "John",
        "lastName": "Doe",
        "birthday": "1985-07-12",
        "tags": ["Pizza", "Sports"],
    },
}
PERSON: dict[str, Any] = {
    "externalId": "jdoe",
    "firstName": "John",
    "lastName": "Doe",
    "birthday": "1985-07-12",
    "tags": ["Pizza", "Sports"],
    "contactInformation": {
        "phones": [{"number": "79810000000"}],
        "emails": [{"address": "my.email@gmail.com"}],
    },
}


@pytest.fixture
def system(application: Application) -> System:
    make_key()
    return System(application)


@pytest.fixture
def device(application: Application) -> Registration:
    """The device of the vendor's own example."""
    registration = make_registration(
        application,
        geofencing=True,
        secure=True,
        manufacturer="HUAWEI",
        model="ANE-LX1",
        language="en",
        timezone_offset=180,
    )
    Address.objects.update(
        sdk_version="2.0.9.1",
        app_version="1.16.0-SNAPSHOT",
        os_version="8.0.0",
        device_name="ANE-LX1",
    )
    return registration


@pytest.fixture
def path(device: Registration) -> str:
    return f"{PUSH}/{device.address.public_id}"


def registration(device: Registration, **changed: Any) -> dict[str, Any]:
    """What is answered about a device."""
    return {
        "registrationId": str(device.address.public_id),
        "applicationId": device.application.application_id,
        "isPrimary": False,
        "systemData": SYSTEM_DATA,
        **changed,
    }


def assert_refused(answer: Any, code: int, text: str) -> None:
    assert (answer.status_code, answer.json()) == (400, {"errorCode": code, "errorMessage": text})
    assert int(answer["Content-Length"]) == len(answer.content)


# ------------------------------------------------------------------- whom a call is about: 1

CALLS = [("GET", ""), ("PATCH", ""), ("POST", "/personalize"), ("POST", "/depersonalize")]


@pytest.mark.parametrize(("method", "call"), CALLS)
def test_the_caller_comes_before_the_application_before_the_device_before_the_body(
    system: System, path: str, method: str, call: str
) -> None:
    def answer(identifier: str = "shoe", **headers: str) -> Any:
        return system.call(method, f"{PUSH}/{identifier}{call}", b"{", **headers)

    assert answer(AppCode="", Authorization="").status_code == 401
    assert_refused(answer(AppCode=""), 48001, "Application code missing")
    assert_refused(answer(AppCode="none-of-ours"), 48012, "Push application not found")
    assert_refused(answer(AppCode="ü" * 100), 48012, "Push application not found")
    assert_refused(answer(), 48013, "Push registration not found")
    assert_refused(answer(str(uuid.uuid4())), 48013, "Push registration not found")
    if call == "/personalize" or method == "PATCH":
        known = path.rpartition("/")[2]
        assert_refused(answer(known), 48000, "Request body is not valid JSON")


@pytest.mark.parametrize(("method", "call"), CALLS)
def test_a_device_of_another_application_is_not_found(
    system: System, path: str, method: str, call: str
) -> None:
    code = make_application().code

    answer = system.call(method, f"{path}{call}", JDOE, AppCode=code)

    assert_refused(answer, 48013, "Push registration not found")


def test_a_disabled_application_is_not_found(system: System, path: str) -> None:
    code = make_application(enabled=False).code

    assert_refused(system.get(path, AppCode=code), 48012, "Push application not found")


@pytest.mark.parametrize("path", ["/people", "/people/", "/people/2/shoes", "//people/9"])
def test_an_unknown_path_answers_in_the_words_of_the_family(system: System, path: str) -> None:
    answer = system.client.get("/", headers=system.headers, PATH_INFO=path)

    assert (answer.status_code, answer.json()) == (
        404,
        {
            "requestError": {
                "serviceException": {
                    "messageId": "NOT_FOUND", "text": "Not found",
                }
            }
        },
    )  # fmt: skip


def test_an_unknown_method_names_the_known_ones(system: System, path: str) -> None:
    answer = system.call("DELETE", path)

    assert (answer.status_code, answer["Allow"]) == (405, "GET, PATCH")
    assert answer.json()["requestError"]["serviceException"]["messageId"] == "METHOD_NOT_ALLOWED"


def test_a_fault_of_ours_is_told_in_the_words_of_the_family(
    system: System, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(connection, "cursor", broken)
    answer = system.get(path)

    assert answer.status_code == 500
    assert answer.json()["requestError"]["serviceException"]["messageId"] == "GENERAL_ERROR"


# ------------------------------------------------------------------- GET: 3


def test_a_device_is_answered_as_in_the_vendors_example(
    system: System, path: str, device: Registration
) -> None:
    answer = system.get(path)

    assert (answer.status_code, answer.json()) == (200, registration(device))
    assert system.get(f"{PUSH}/{str(device.address.public_id).upper()}").json() == answer.json()


@pytest.mark.parametrize(
    ("platform", "told"),
    [
        (Platform.ANDROID, {"cloudType": "GCM", "os": "Android"}),
        (Platform.IOS, {"cloudType": "APNS", "os": "iOS"}),
        (Platform.HUAWEI, {"cloudType": "HMS", "os": "Android"}),
        (Platform.WEB, {"cloudType": "WEB"}),
    ],
)
def test_what_is_not_known_of_a_device_is_left_out(
    system: System, application: Application, platform: Platform, told: dict[str, str]
) -> None:
    device = make_registration(application, platform=platform)

    assert system.get(f"{PUSH}/{device.address.public_id}").json() == {
        "registrationId": str(device.address.public_id),
        "applicationId": application.application_id,
        "isPrimary": False,
        "systemData": {**told, "registrationEnabled": True, "notificationsEnabled": True},
    }


# ------------------------------------------------------------------- PATCH: 4


def test_the_vendors_own_example_changes_what_it_spells_right(
    system: System, path: str, device: Registration
) -> None:
    answer = system.patch(
        path,
        {
            "isPrmary": True,
            "systemData": {"registrationEnabled": True},
            "additionalData": {"receiveOTP": True},
        },
    )

    told = registration(device, additionalData={"receiveOTP": True})
    assert (answer.status_code, answer.json()) == (200, told)


def test_a_device_is_changed_and_read_only_members_are_ignored(
    system: System, path: str, device: Registration
) -> None:
    body = {
        "isPrimary": True,
        "registrationId": "x",
        "applicationId": 7,
        "systemData": {"registrationEnabled": False, "notificationsEnabled": False, "os": "iOS"},
        "additionalData": {"a": "b"},
    }

    answer = system.post(path, body, **{"X-HTTP-Method-Override": "PATCH"})

    told = registration(
        device,
        isPrimary=True,
        systemData={**SYSTEM_DATA, "registrationEnabled": False},
        additionalData={"a": "b"},
    )
    assert (answer.status_code, answer.json()) == (200, told)
    assert system.get(path).json() == told


@pytest.mark.parametrize("body", [{}, {"systemData": {}}, {"additionalData": {}}, {"x": [1]}])
def test_a_body_that_says_nothing_changes_nothing(
    system: System, path: str, device: Registration, body: dict[str, Any]
) -> None:
    assert system.patch(path, body).json() == registration(device)


def test_additional_data_is_merged_and_null_takes_away(
    system: System, path: str, device: Registration
) -> None:
    system.patch(path, {"additionalData": {"a": "1", "b": True, "c": 1.5}})

    answer = system.patch(path, {"additionalData": {"a": "2", "b": None, "d": "2024-02-29"}})

    told = {"a": "2", "c": 1.5, "d": "2024-02-29"}
    assert answer.json() == registration(device, additionalData=told)
    cleared = system.patch(path, {"additionalData": dict.fromkeys("acd")})
    assert cleared.json() == registration(device)


@pytest.mark.parametrize(
    "value",
    ["x" * 4096, "", LARGEST, -LARGEST - 1, 0, 0.1, -1.5e300 / 1e290, True, False, "2024-02-30"],
)
def test_additional_data_survives_exactly(system: System, path: str, value: Any) -> None:
    answer = system.patch(path, {"additionalData": {"x" * 256: value}})

    assert answer.json()["additionalData"] == {"x" * 256: value}
    assert type(system.get(path).json()["additionalData"]["x" * 256]) is type(value)
    assert str(value) in system.get(path).content.decode() or isinstance(value, bool)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"isPrimary": 1}, "isPrimary should be boolean"),
        ({"isPrimary": "true"}, "isPrimary should be boolean"),
        ({"isPrimary": None}, "isPrimary should be boolean"),
        (
            {"systemData": {"registrationEnabled": "yes"}},
            "systemData.registrationEnabled should be boolean",
        ),
        ({"systemData": []}, "systemData should be object"),
        ({"additionalData": [{"name": "a"}]}, "additionalData should be object"),
        (
            {"additionalData": {"a": [1]}},
            "additionalData.a should be string, number, boolean or date (YYYY-MM-DD)",
        ),
        (
            {"additionalData": {"a": "x" * 4097}},
            "additionalData.a should be string of at most 4096 characters",
        ),
        (
            {"additionalData": {"a": LARGEST + 1}},
            "additionalData.a should be number from -9223372036854775808 to 9223372036854775807",
        ),
        (
            {"additionalData": {"a": "b\0"}},
            "additionalData.a should be string of at most 4096 characters",
        ),
        ({"additionalData": {"": 1}}, "additionalData. should be named with 1 to 256 characters"),
        (
            {"additionalData": {"x" * 257: 1}},
            f"additionalData.{'x' * 100} should be named with 1 to 256 characters",
        ),
        ([], "Request body should be object"),
    ],
)
def test_one_fault_changes_nothing(
    system: System, path: str, device: Registration, body: Any, text: str
) -> None:
    if isinstance(body, dict):
        body = {"systemData": {"registrationEnabled": False}, **body}

    assert_refused(system.patch(path, body), 48025, text)
    assert system.get(path).json() == registration(device)


def test_an_attribute_keeps_its_type(system: System, path: str) -> None:
    system.patch(path, {"additionalData": {"a": True}})

    answer = system.patch(path, {"additionalData": {"a": "yes"}})

    assert_refused(answer, 48025, "additionalData.a should be boolean")


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"a":1}x', b'{"x":"\xff"}', b"[" * 100_000, b'{"x":NaN'[:7]]
)
def test_a_body_that_is_no_json_is_refused(system: System, path: str, body: bytes) -> None:
    assert_refused(system.patch(path, body), 48000, "Request body is not valid JSON")


def test_a_person_has_one_primary_device_per_application(
    system: System, path: str, device: Registration
) -> None:
    person = make_person(external_id="jdoe")
    mine = make_registration(device.application, person=person, primary=True)
    elsewhere = make_registration(make_application(), person=person, primary=True)
    Registration.objects.filter(pk=device.pk).update(person=person)

    assert system.patch(path, {"isPrimary": True}).json()["isPrimary"] is True
    assert set(Registration.objects.filter(primary=True)) == {device, elsewhere}

    assert system.patch(path, {"isPrimary": False}).json()["isPrimary"] is False
    assert set(Registration.objects.filter(primary=True)) == {elsewhere}
    assert not Registration.objects.get(pk=mine.pk).primary


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

    device.refresh_from_db()
    assert (device.person, device.person_tags) == (None, [])
    assert system.get(path).json() == registration(device, additionalData={"a": "b"})
    assert Person.objects.get().identities.count() == 3
