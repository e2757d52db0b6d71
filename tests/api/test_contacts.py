"""api.infobip.contacts: a device read and changed. Sections: contract/people.md."""

import uuid
from typing import Any

import pytest
from django.db import connection

from devices.models import Application, Platform, Registration
from tests.api.contacts import (
    JDOE,
    LARGEST,
    PUSH,
    SYSTEM_DATA,
    assert_refused,
    device,
    path,
    registration,
    system,
)
from tests.api.systems import System
from tests.factories import make_application, make_person, make_registration

__all__ = ["device", "path", "system"]  # fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

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
