"""Who may call for push contact information, and each member (contract/people.md 1, 2, 4)."""

from typing import Any

import pytest

from api.endpoint import BODY_LIMIT
from devices.access import SCOPES
from devices.models import Application, Registration
from tests.api.contact_members import (
    EXACT,
    JDOE,
    PUSH,
    answered,
    device,
    error,
    exception,
    path,
    registration,
    system,
)
from tests.api.systems import System, basic, make_api_user, make_key
from tests.factories import make_person, make_registration

__all__ = ["device", "path", "system"]  # fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

CALLS = [("GET", ""), ("PATCH", ""), ("POST", "/personalize"), ("POST", "/depersonalize")]


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
