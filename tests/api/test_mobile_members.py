"""Each member that an app with Infobip's SDK sends, by itself and all at once.

Sections: contract/mobile-sdk.md 2, 2.3, 3.3, 3.4, 3.6.
"""

from typing import Any

import pytest

from tests.api.apps import DEVICE, INSTANCES, STORED, App, assert_refused, token

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

ANOTHER: dict[str, Any] = {  # than DEVICE, in each member
    "regEnabled": False,
    "notificationsEnabled": False,
    "sdkVersion": "15.1.0",
    "appVersion": "2.0.0",
    "osVersion": "15",
    "deviceManufacturer": "Google",
    "deviceModel": "Pixel 8",
    "deviceName": "Boris's phone",
    "language": "de",
    "deviceTimezoneOffset": "GMT-09:30",
    "applicationUserId": "boris-7",
    "deviceSecure": False,
    "isPrimary": True,
    "customAttributes": {"bootsize": 10, "member": False, "since": "2025-01-01", "club": "Silver"},
}
CLEARED: dict[str, Any] = {  # what a member is after `null`
    "regEnabled": True,
    "notificationsEnabled": True,
    "isPrimary": False,
}


class Phone:
    """A registered app."""

    def __init__(self, app: App, **members: Any) -> None:
        self.app = app
        self.path = f"{INSTANCES}/{app.register(**members)['pushRegId']}"

    def patch(self, body: Any, path: str = "") -> Any:
        return self.app.call("PATCH", f"{self.path}{path}", body)

    def read(self, query: str = "") -> Any:
        answer = self.app.call("GET", f"{self.path}{query}")
        assert answer.status_code == 200, answer.content
        return answer.json()


@pytest.fixture
def phone(app: App) -> Phone:
    return Phone(app)


# ------------------------------------------------------------------- registering: 2, 2.1


@pytest.mark.parametrize("name", [*DEVICE, "isPrimary", "pushServiceToken"])
def test_what_an_app_does_not_say_is_left_out_or_as_it_is_for_a_new_one(
    app: App, name: str
) -> None:
    body = {**DEVICE, "pushServiceToken": token(), "isPrimary": True}
    if name == "pushServiceType":  # else it would be a token of no cloud
        del body["pushServiceToken"]
    del body[name]

    answered = app.post(f"{INSTANCES}?ri=true&rt=true", body).json()

    expected = {**body, "pushRegId": answered["pushRegId"], "pushServiceType": "GCM"}
    unsaid = {"regEnabled": True, "notificationsEnabled": True, "isPrimary": False}
    if name in unsaid:
        expected[name] = unsaid[name]
    elif name == "os":
        expected["os"] = "Android"  # as its cloud tells
    assert answered == expected


@pytest.mark.parametrize("name", ANOTHER)
def test_each_member_may_be_null_when_registering(app: App, name: str) -> None:
    answered = app.register(**{name: None})

    expected = {**STORED, "pushRegId": answered["pushRegId"]}
    if name in CLEARED:
        expected[name] = CLEARED[name]
    else:
        del expected[name]
    assert answered == expected


@pytest.mark.parametrize(
    ("said", "platform", "os"),
    [
        ("GCM", "GCM", "Android"),
        ("Firebase", "GCM", "Android"),
        ("HMS", "HMS", "Android"),
        ("APNS", "APNS", "iOS"),
    ],
)
def test_each_kind_of_token(app: App, said: str, platform: str, os: str) -> None:
    cloud_token = "0a1b2c3d" * 8
    body = {"pushServiceType": said, "pushServiceToken": cloud_token}

    answered = app.post(f"{INSTANCES}?rt=1", body).json()

    assert answered == {
        "pushRegId": answered["pushRegId"],
        "regEnabled": True,
        "notificationsEnabled": True,
        "isPrimary": False,
        "os": os,
        "pushServiceType": platform,
        "pushServiceToken": cloud_token,
    }


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("text", "text"),
        (7, 7),
        (9.5, 9.5),
        (False, False),
        ("2024-02-29", "2024-02-29"),
        ("2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z"),
        ([{"sku": "a", "price": 1.5, "gift": None}], [{"sku": "a", "price": 1.5, "gift": None}]),
    ],
)
def test_each_type_of_a_custom_attribute(app: App, said: Any, kept: Any) -> None:
    answered = app.register(customAttributes={"x": said})

    expected = {**STORED, "pushRegId": answered["pushRegId"], "customAttributes": {"x": kept}}
    assert answered == expected
    assert app.call("GET", f"{INSTANCES}/{answered['pushRegId']}").json() == expected


@pytest.mark.parametrize(("name", "most"), [("applicationUserId", 255), ("deviceName", 100)])
def test_a_description_that_is_too_long_is_cut(app: App, name: str, most: int) -> None:
    answered = app.register(**{name: "x" * (most + 1)})

    assert answered == {**STORED, "pushRegId": answered["pushRegId"], name: "x" * most}


# ------------------------------------------------------------------- changing: 2.3


@pytest.mark.parametrize("name", ANOTHER)
def test_each_member_is_changed_by_itself_and_cleared_by_null(phone: Phone, name: str) -> None:
    before = phone.read()

    answer = phone.patch({name: ANOTHER[name]})

    assert (answer.status_code, answer.json()) == (200, {})
    assert phone.read() == {**before, name: ANOTHER[name]}
    assert phone.patch({name: None}).json() == {}
    rest = {each: value for each, value in before.items() if each != name}
    assert phone.read() == {**rest, **({name: CLEARED[name]} if name in CLEARED else {})}


def test_a_new_token_comes_with_its_cloud(phone: Phone) -> None:
    before, moved = phone.read(), token()

    body = {"os": "Android", "pushServiceType": "Firebase", "pushServiceToken": moved}
    assert phone.patch(body).json() == {}

    assert phone.read("?rt=true") == {**before, "pushServiceToken": moved}
    assert phone.read("?rt=0") == before
    assert phone.patch({"pushServiceToken": None}).json() == {}
    assert phone.read("?rt=1") == before


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        *((name, 7, f"{name} should be string") for name, value in ANOTHER.items()
          if isinstance(value, str)),
        *((name, "yes", f"{name} should be boolean") for name, value in ANOTHER.items()
          if isinstance(value, bool)),
        ("customAttributes", "x", "customAttributes should be object"),
        ("pushServiceType", 7, "pushServiceType should be string"),
        ("pushServiceToken", 7, "pushServiceToken should be string"),
        ("os", 7, "os should be Android, iOS or HarmonyOS"),
    ],
)  # fmt: skip
def test_a_member_of_another_type_is_named_and_nothing_changes(
    phone: Phone, name: str, value: Any, text: str
) -> None:
    before = phone.read("?rt=1")

    assert_refused(
        phone.patch({"appVersion": "9", "isPrimary": True, name: value}),
        400, "REQUEST_FORMAT_INVALID", text,
    )  # fmt: skip
    assert phone.read("?rt=1") == before


# ------------------------------------------------------------------- user data: 3.3, 3.4

LONGEST_EMAIL = f"{'x' * 63}@{'.'.join(['y' * 63] * 3)}"  # 255 characters
USER: dict[str, Any] = {
    "externalUserId": "jdoe",
    "firstName": "John",
    "lastName": "Doe",
    "middleName": "M",
    "gender": "Male",
    "birthday": "1985-07-12",
    "phones": [{"number": "79810000000"}],
    "emails": [{"address": "my.email@gmail.com"}],
    "tags": ["Pizza"],
    "customAttributes": {"bootsize": 9.5, "member": True},
}
SOMEBODY_ELSE: dict[str, Any] = {
    "externalUserId": "boris",
    "firstName": "Boris",
    "lastName": "Meyer",
    "middleName": "N",
    "gender": "Female",
    "birthday": "1990-01-02",
    "phones": [{"number": "49301234567"}, {"number": "49307654321"}],
    "emails": [{"address": "boris@example.com"}],
    "tags": ["Books", "Sports"],
    "customAttributes": {"bootsize": 10, "member": False},
}


def told(said: dict[str, Any]) -> dict[str, Any]:
    """Somebody as the SDK reads them."""
    contacts: dict[str, Any] = {
        name: [{**each, "preferred": False} for each in said[name]]
        for name in ("phones", "emails")
        if name in said
    }
    known = contacts or "externalUserId" in said
    return {**said, **contacts, "type": "CUSTOMER" if known else "LEAD"}


def test_user_data_of_every_member_is_read_as_it_was_said(phone: Phone) -> None:
    answer = phone.patch(USER, "/user")

    assert (answer.status_code, answer.json()) == (200, {})
    assert phone.read("/user") == told(USER)


@pytest.mark.parametrize("name", USER)
def test_each_member_of_a_user_is_changed_by_itself_and_cleared_by_null(
    phone: Phone, name: str
) -> None:
    phone.patch(USER, "/user")

    answer = phone.patch({name: SOMEBODY_ELSE[name]}, "/user")

    assert (answer.status_code, answer.json()) == (200, {})
    assert phone.read("/user") == told({**USER, name: SOMEBODY_ELSE[name]})
    assert phone.patch({name: None}, "/user").json() == {}
    assert phone.read("/user") == told({at: value for at, value in USER.items() if at != name})


@pytest.mark.parametrize(
    "body",
    [
        {"externalUserId": "x" * 256},
        {"firstName": "x" * 255},
        {"lastName": "x" * 255},
        {"middleName": "x" * 50},
        {"emails": [{"address": LONGEST_EMAIL}]},
        {"phones": [{"number": str(79810000000 + each)} for each in range(100)]},
        {"emails": [{"address": f"{each:03}@example.com"} for each in range(100)]},
        {"tags": ["x" * 256]},
        {"customAttributes": {"x" * 256: "y" * 4096}},
        {"customAttributes": {"least": -(2**63), "most": 2**63 - 1}},
    ],
    ids=lambda body: next(iter(body)),
)
def test_a_user_may_be_as_long_as_the_limits_say(phone: Phone, body: dict[str, Any]) -> None:
    answer = phone.patch(body, "/user")

    assert (answer.status_code, answer.json()) == (200, {})
    assert phone.read("/user") == told(body)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (
            {"externalUserId": "x" * 257}, "REQUEST_FORMAT_INVALID",
            "externalUserId should be a string of at most 256 characters",
        ),
        (
            {"firstName": "x" * 256}, "REQUEST_FORMAT_INVALID",
            "firstName should be string of at most 255 characters",
        ),
        (
            {"lastName": "x" * 256}, "REQUEST_FORMAT_INVALID",
            "lastName should be string of at most 255 characters",
        ),
        (
            {"middleName": "x" * 51}, "REQUEST_FORMAT_INVALID",
            "middleName should be string of at most 50 characters",
        ),
        (
            {"gender": "FEMALE"}, "REQUEST_FORMAT_INVALID",
            "gender should be Male or Female",
        ),
        (
            {"birthday": "12.07.1985"}, "REQUEST_FORMAT_INVALID",
            "birthday should be date (YYYY-MM-DD)",
        ),
        (
            {"phones": [{"number": str(79810000000 + each)} for each in range(101)]},
            "REQUEST_FORMAT_INVALID", "phones should be array of at most 100 members",
        ),
        (
            {"emails": [{"address": f"{each}@example.com"} for each in range(101)]},
            "REQUEST_FORMAT_INVALID", "emails should be array of at most 100 members",
        ),
        (
            {"emails": [{"address": f"x{LONGEST_EMAIL}"}]}, "EMAIL_INVALID",
            f"Invalid email: {f'x{LONGEST_EMAIL}'[:255]}",
        ),
        (
            {"phones": [{"number": 79810000000}]}, "REQUEST_FORMAT_INVALID",
            "phones.0.number should be string",
        ),
        ({"tags": [7]}, "REQUEST_FORMAT_INVALID", "tags.0 should be string"),
        (
            {"customAttributes": []}, "REQUEST_FORMAT_INVALID",
            "customAttributes should be object",
        ),
    ],
)  # fmt: skip
def test_a_user_beyond_the_limits_stays_as_they_were(
    phone: Phone, body: dict[str, Any], code: str, text: str
) -> None:
    phone.patch(USER, "/user")

    assert_refused(phone.patch({"city": "Zagreb", "tags": ["x"], **body}, "/user"), 400, code, text)
    assert phone.read("/user") == told(USER)


# ------------------------------------------------------------------- sessions: 3.6

OF_THE_SYSTEM = {
    name: value
    for name, value in ANOTHER.items()
    if name not in {"regEnabled", "isPrimary", "customAttributes"}
}


def session(phone: Phone, system: dict[str, Any]) -> Any:
    return phone.app.post(f"{phone.path}/user/events/session", {"systemData": system})


@pytest.mark.parametrize("name", OF_THE_SYSTEM)
def test_a_session_tells_each_member_of_the_system(phone: Phone, name: str) -> None:
    before = phone.read()

    answer = session(phone, {name: ANOTHER[name]})

    assert (answer.status_code, answer.json()) == (200, {})
    assert phone.read() == {**before, name: ANOTHER[name]}


def test_a_session_changes_nothing_that_is_not_of_the_system(phone: Phone) -> None:
    before = phone.read("?rt=1")
    whole = {**ANOTHER, "os": "Android", "pushServiceType": "GCM", "pushServiceToken": token()}

    answer = session(phone, whole)

    assert (answer.status_code, answer.json()) == (200, {})
    assert phone.read("?rt=1") == {**before, **OF_THE_SYSTEM}
