"""Each member, switch, scope and limit of push contact information, with whole answers.

Sections: contract/people.md 1, 2, 4, 5, 6.
"""

from typing import Any

import pytest

from api.endpoint import BODY_LIMIT
from devices.access import SCOPES
from devices.models import Application, Identity, Person, Registration
from tests.api.systems import System, basic, make_api_user, make_key
from tests.factories import make_application, make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

PUSH = "/people/2/contactInformation/push"
CALLS = [("GET", ""), ("PATCH", ""), ("POST", "/personalize"), ("POST", "/depersonalize")]
JDOE: dict[str, Any] = {"identity": {"externalId": "jdoe"}}
EXACT = {"least": -(2**63), "most": 2**63 - 1, "half": 0.5, "yes": True, "day": "2024-02-29"}


@pytest.fixture
def system(application: Application, settings: Any) -> System:
    make_key()
    settings.CONTACT_CALLS_PER_SECOND = 1000
    return System(application)


@pytest.fixture
def device(application: Application) -> Registration:
    return make_registration(application)


@pytest.fixture
def path(device: Registration) -> str:
    return f"{PUSH}/{device.address.public_id}"


def registration(device: Registration, **changed: Any) -> dict[str, Any]:
    """What is answered about a device of which little is known."""
    return {
        "registrationId": str(device.address.public_id),
        "applicationId": device.application.application_id,
        "isPrimary": False,
        "systemData": {
            "cloudType": "GCM",
            "registrationEnabled": True,
            "notificationsEnabled": True,
            "os": "Android",
        },
        **changed,
    }


def exception(code: str, text: str) -> dict[str, Any]:
    return {"requestError": {"serviceException": {"messageId": code, "text": text}}}


def answered(answer: Any) -> tuple[int, Any]:
    assert int(answer["Content-Length"]) == len(answer.content)
    if answer.content:
        assert answer["Content-Type"] == "application/json"
    return answer.status_code, answer.json() if answer.content else b""


def error(code: int, text: str) -> tuple[int, Any]:
    return 400, {"errorCode": code, "errorMessage": text}


# ------------------------------------------------------------------- who may call: 1


def expected_of(method: str, call: str, device: Registration) -> tuple[int, Any]:
    """The answer to somebody who may call."""
    match call:
        case "/personalize":
            return 200, {"externalId": "jdoe"}
        case "/depersonalize":
            return 200, b""
    return 200, registration(device)


@pytest.mark.parametrize("scope", sorted(SCOPES))
@pytest.mark.parametrize(("method", "call"), CALLS)
@pytest.mark.parametrize("by", ["key", "user"])
def test_each_scope_opens_its_calls(
    system: System, device: Registration, path: str, method: str, call: str, scope: str, by: str
) -> None:
    make_key("key-with-one-scope", scopes=[scope])
    make_api_user("jo", "open sesame", scopes=[scope])
    caller = "App key-with-one-scope" if by == "key" else basic("jo", "open sesame")
    opens = {"people:manage", "mobile-app-messaging:manage"}
    if method == "GET":
        opens.add("people:read")

    answer = system.call(method, f"{path}{call}", JDOE, Authorization=caller)

    if scope in opens:
        assert answered(answer) == expected_of(method, call, device)
    else:
        assert answered(answer) == (403, exception("FORBIDDEN", "Forbidden"))


@pytest.mark.parametrize("caller", ["", "App guess", "Basic eDp5", "IBSSO x", "Bearer x"])
@pytest.mark.parametrize(("method", "call"), CALLS)
def test_a_stranger_opens_none(
    system: System, path: str, method: str, call: str, caller: str
) -> None:
    answer = system.call(method, f"{path}{call}", JDOE, Authorization=caller)

    assert answered(answer) == (401, exception("UNAUTHORIZED", "Unauthorized"))


@pytest.mark.parametrize(("method", "call"), CALLS)
def test_each_call_is_counted_for_itself(
    system: System, device: Registration, path: str, settings: Any, method: str, call: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings.CONTACT_CALLS_PER_SECOND = 1
    monkeypatch.setattr("api.limits.time.time", lambda: 1_700_000_000.0)
    assert system.call(method, f"{path}{call}", JDOE).status_code == 200

    refused = system.call(method, f"{path}{call}", JDOE)

    assert answered(refused) == (429, exception("TOO_MANY_REQUESTS", "Too many requests"))
    assert refused["Retry-After"] == "1"
    for other in CALLS:
        if other != (method, call):
            assert system.call(other[0], f"{path}{other[1]}", JDOE).status_code == 200


@pytest.mark.parametrize(
    ("call", "known"),
    [("", "GET, PATCH"), ("/personalize", "POST"), ("/depersonalize", "POST")],
)
def test_a_path_says_which_methods_it_knows(
    system: System, path: str, call: str, known: str
) -> None:
    answer = system.call("PUT", f"{path}{call}", JDOE)

    assert answered(answer) == (405, exception("METHOD_NOT_ALLOWED", f"This path answers {known}"))
    assert answer["Allow"] == known


@pytest.mark.parametrize(("method", "call"), [("PATCH", ""), ("POST", "/personalize")])
def test_a_body_over_the_limit_is_refused_unread(
    system: System, path: str, method: str, call: str
) -> None:
    answer = system.call(method, f"{path}{call}", b" " * (BODY_LIMIT + 1))

    text = "Request body should be at most 1048576 bytes"
    assert answered(answer) == (413, {"errorCode": 48000, "errorMessage": text})


# ------------------------------------------------------------------- the model: 2, 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("registrationId", "another"),
        ("applicationId", "another"),
        ("unknown", {"deep": [1]}),
        *(
            (f"systemData.{name}", value)
            for name, value in {
                "cloudType": "APNS", "notificationsEnabled": False, "geofencingSdk": True,
                "sdkVersion": "1", "appVersion": "1", "os": "iOS", "osVersion": "1",
                "deviceManufacturer": "x", "deviceModel": "x", "deviceName": "x",
                "deviceSecure": True, "osLanguage": "de", "deviceTimezoneOffset": "GMT+01:00",
            }.items()
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("odd", [False, True])
def test_what_only_the_device_says_is_ignored(
    system: System, device: Registration, path: str, name: str, value: Any, odd: bool
) -> None:
    outer, _, inner = name.partition(".")
    said = [value] if odd else value
    body = {outer: {inner: said} if inner else said, "additionalData": {"a": 1}}

    answer = system.patch(path, body)

    told = registration(device, additionalData={"a": 1})
    assert answered(answer) == (200, told)
    assert answered(system.get(path)) == (200, told)


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({"isPrimary": True}, {"isPrimary": True}),
        ({"isPrimary": False}, {}),
        ({"systemData": {"registrationEnabled": True}}, {}),
        ({"additionalData": EXACT}, {"additionalData": EXACT}),
        ({"additionalData": None}, {}),
        ({"additionalData": {"x" * 256: "y" * 4096}}, {"additionalData": {"x" * 256: "y" * 4096}}),
        ({"additionalData": {"x": "2023-02-29"}}, {"additionalData": {"x": "2023-02-29"}}),
        (
            {"additionalData": {f"n{number}": number for number in range(500)}},
            {"additionalData": {f"n{number}": number for number in range(500)}},
        ),
    ],
)
@pytest.mark.parametrize("override", [False, True])
def test_each_member_that_may_be_changed(
    system: System, device: Registration, path: str, body: Any, changed: Any, override: bool
) -> None:
    if override:
        answer = system.post(path, body, **{"X-HTTP-Method-Override": "PATCH"})
    else:
        answer = system.patch(path, body)

    assert answered(answer) == (200, registration(device, **changed))
    assert answered(system.get(path)) == (200, registration(device, **changed))


def test_a_device_that_is_switched_off_says_so_until_it_is_switched_on(
    system: System, device: Registration, path: str
) -> None:
    off = {**registration(device)["systemData"], "registrationEnabled": False}

    for enabled, system_data in ((False, off), (True, registration(device)["systemData"])):
        answer = system.patch(path, {"systemData": {"registrationEnabled": enabled}})
        assert answered(answer) == (200, registration(device, systemData=system_data))


def test_a_device_has_at_most_500_names_of_additional_data(
    system: System, device: Registration, path: str
) -> None:
    many = {f"n{number}": number for number in range(501)}

    text = "additionalData.n0 should be one of at most 500 attributes of a device"
    assert answered(system.patch(path, {"additionalData": many})) == error(48025, text)
    assert answered(system.get(path)) == (200, registration(device))


def test_a_primary_device_yields_to_the_next_and_to_nobody(
    system: System, application: Application
) -> None:
    person = make_person(external_id="jdoe")
    devices = [make_registration(application, person=person) for _ in range(2)]
    first, second = (f"{PUSH}/{each.address.public_id}" for each in devices)

    def shown() -> list[bool]:
        return [system.get(each).json()["isPrimary"] for each in (first, second)]

    answer = system.patch(first, {"isPrimary": True})
    assert answered(answer) == (200, registration(devices[0], isPrimary=True))
    system.patch(second, {"isPrimary": True})
    assert shown() == [False, True]
    assert answered(system.patch(second, {"isPrimary": False})) == (200, registration(devices[1]))
    assert shown() == [False, False]


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
