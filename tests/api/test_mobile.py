"""api.mobile: what an app with Infobip's SDK meets. Sections: contract/mobile-sdk.md."""

import json
import threading
import time
import uuid
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from api import endpoint
from campaigns import reports
from campaigns.models import EarlyReceipt
from campaigns.store import store
from devices import attributes
from devices.models import (
    Address,
    Application,
    AttributeDefinition,
    Platform,
    Provider,
    Registration,
)
from tests.api.apps import DEVICE, INSTANCES, STORED, App, assert_refused, token
from tests.factories import make_application, make_person, make_registration, make_token

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

DELIVERED = "/mobile/1/messages/deliveryreport"
SEEN = "/mobile/2/messages/seen"

# ------------------------------------------------------------------- who calls: 1.1, 1.3


@pytest.mark.parametrize("path", [INSTANCES, DELIVERED, SEEN, f"{INSTANCES}/{uuid.UUID(int=7)}"])
def test_a_call_without_a_code_is_refused(client: Client, path: str) -> None:
    answer = client.post(path, b"{", content_type="application/json")

    assert_refused(answer, 401, "APP_CODE_MISSING", "Application code missing")


@pytest.mark.parametrize("code", ["none-of-ours", "x" * 100, "ü", "a b"])
def test_a_code_of_no_application_is_refused(app: App, code: str) -> None:
    answer = app.post(INSTANCES, DEVICE, Authorization=f"App {code}")

    assert_refused(answer, 401, "1", "Invalid Application Id")
    assert not Registration.objects.exists()


def test_a_disabled_application_is_refused() -> None:
    answer = App(make_application(enabled=False)).post(INSTANCES, DEVICE)

    assert_refused(answer, 401, "1", "Invalid Application Id")


def test_switching_an_application_off_counts_within_seconds(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.register()
    Application.objects.update(enabled=False)
    later = time.monotonic() + 6

    monkeypatch.setattr("api.auth.time.monotonic", lambda: later)

    assert app.post(INSTANCES, DEVICE).status_code == 401


def test_cookies_are_neither_needed_nor_set(app: App) -> None:
    answer = app.post(INSTANCES, DEVICE)

    assert not answer.cookies
    assert "Cookie" not in answer.headers.get("Vary", "")


# ------------------------------------------------------------------- bodies and paths: 1.2


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "Request body should be valid JSON"),
        (b"{", "Request body should be valid JSON"),
        (b'{"os":"\xff"}', "Request body should be valid JSON"),
        (b'{"os":"\\ud800"}', "Request body should be valid JSON"),
        (b'{"x":' + b"[" * 100_000, f"x{'.0' * 49}.… should be nested at most 200 levels deep"),
        (b"[]", "Request body should be object"),
        (b"null", "Request body should be object"),
        (b'{"regEnabled":"yes"}', "regEnabled should be boolean"),
        (b'{"isPrimary":1}', "isPrimary should be boolean"),
        (b'{"appVersion":1.16}', "appVersion should be string"),
        (b'{"deviceModel":"a\\u0000b"}', "deviceModel should be a string without NUL"),
        (b'{"customAttributes":[]}', "customAttributes should be object"),
        (b'{"os":"BeOS"}', "os should be Android, iOS or HarmonyOS"),
        (b"{}", "os should be Android, iOS or HarmonyOS"),
        (
            b'{"os":"iOS","deviceTimezoneOffset":"noon"}',
            "deviceTimezoneOffset should be an offset from GMT such as GMT+03:00",
        ),
        (
            b'{"pushServiceType":"APNS","pushServiceToken":"shoe"}',
            "pushServiceToken should be an APNs token of 32 to 200 hexadecimal digits",
        ),
        (
            b'{"pushServiceType":"GCM","pushServiceToken":"a b"}',
            "pushServiceToken should be 1 to 4096 printable characters without spaces",
        ),
    ],
)
def test_a_body_that_cannot_be_read_names_the_member(app: App, body: bytes, text: str) -> None:
    assert_refused(app.post(INSTANCES, body), 400, "REQUEST_FORMAT_INVALID", text)
    assert not Registration.objects.exists()


@pytest.mark.parametrize(
    ("members", "code", "text"),
    [
        (
            {"pushServiceType": "Pigeon"},
            "2",
            "Invalid cloud type: use one of GCM, Firebase, HMS, Harmony, APNS",
        ),
        (
            {"pushServiceType": "APNS", "os": "Android"},
            "4",
            "Unsupported cloud type: APNS does not reach Android",
        ),
        (
            {"pushServiceType": "HMS", "os": "HarmonyOS"},
            "4",
            "Unsupported cloud type: HMS does not reach HarmonyOS",
        ),
    ],
)
def test_a_wrong_cloud_has_a_code_of_its_own(
    app: App, members: dict[str, Any], code: str, text: str
) -> None:
    assert_refused(app.post(INSTANCES, members), 400, code, text)


def test_a_body_over_the_limit_is_refused_unread(app: App) -> None:
    answer = app.post(INSTANCES, b'{"x":"' + b"x" * endpoint.BODY_LIMIT + b'"}')

    text = "Request body should be at most 1048576 bytes"
    assert_refused(answer, 413, "REQUEST_FORMAT_INVALID", text)


@pytest.mark.parametrize(
    "path", ["/mobile", "/mobile/", "/mobile/9/moon", "/mobile/%0A", f"{INSTANCES}/"]
)
def test_an_unknown_path_answers_in_the_words_of_the_family(app: App, path: str) -> None:
    assert_refused(app.post(path, {}), 404, "NOT_FOUND", "There is nothing at this path")


def test_an_unknown_method_names_the_known_ones(app: App) -> None:
    answer = app.call("DELETE", INSTANCES)

    assert_refused(answer, 405, "METHOD_NOT_ALLOWED", "This path answers POST")
    assert answer["Allow"] == "POST"


def test_repeated_slashes_count_as_one(app: App) -> None:
    def post(path: str, body: Any) -> Any:
        return app.client.generic(
            "POST", "/", json.dumps(body), "application/json", headers=app.headers, PATH_INFO=path
        )

    assert post(f"/{INSTANCES}", DEVICE).status_code == 200
    assert post("///mobile//1/messages/deliveryreport", {"dlrIds": []}).json() == {}
    assert_refused(post("//mobile//9", {}), 404, "NOT_FOUND", "There is nothing at this path")


def test_apps_learn_the_base_url_where_it_is_set(app: App, settings: Any) -> None:
    assert "New-Base-URL" not in app.post(INSTANCES, DEVICE).headers

    settings.NEW_BASE_URL = "https://push.example.com"

    for path in (INSTANCES, "/mobile/9"):  # also on errors
        assert app.post(path, DEVICE).headers["New-Base-URL"] == "https://push.example.com"


def test_while_the_database_is_away_apps_are_asked_to_repeat(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(connection, "cursor", gone)
    answer = app.post(INSTANCES, DEVICE)

    assert (answer.status_code, answer.content) == (503, b"")
    assert answer["Content-Length"] == "0"


def test_a_fault_of_ours_has_the_code_of_faults(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(connection, "cursor", broken)

    assert_refused(app.post(INSTANCES, DEVICE), 500, "0", "Something went wrong here")


# ------------------------------------------------------------------- registering: 2.1


def test_a_registration_is_given_back_whole(app: App) -> None:
    answered = app.register()

    assert answered == {**STORED, "pushRegId": answered["pushRegId"]}
    assert app.call("GET", f"{INSTANCES}/{answered['pushRegId'].upper()}").json() == answered


def test_a_registration_is_stored_sortable_and_as_it_was_told(app: App) -> None:
    address = Address.objects.select_related("registration").get(
        public_id=app.register()["pushRegId"]
    )
    registration = address.registration

    assert registration.application == address.application == app.application
    assert registration.person is None
    assert registration.platform == Platform.ANDROID
    assert registration.app_version == (1 << 48 | 16 << 32 | 1)
    assert (address.app_version, address.os_version) == ("1.16.0", "14")
    assert registration.timezone_offset == 180
    assert registration.last_seen_day == address.last_contact_at.date()
    assert (address.provider, address.environment) == ("fcm", "production")


@pytest.mark.parametrize("flag", ["true", "1"])
def test_the_token_is_given_back_to_who_asks(app: App, flag: str) -> None:
    body = {**DEVICE, "pushServiceToken": token()}

    assert (
        app.post(f"{INSTANCES}?rt={flag}", body).json()["pushServiceToken"]
        == (body["pushServiceToken"])
    )
    assert "pushServiceToken" not in app.post(f"{INSTANCES}?rt=0", body).json()


def test_the_same_token_again_updates_the_same_registration(app: App) -> None:
    same = token()
    first = app.register(pushServiceToken=same)

    second = app.register(pushServiceToken=same, appVersion="2.0", customAttributes={"club": None})

    rest = {name: DEVICE["customAttributes"][name] for name in ("bootsize", "member", "since")}
    assert second == {**first, "appVersion": "2.0", "customAttributes": rest}
    assert Registration.objects.count() == 1


def test_one_token_in_two_applications_is_two_devices(app: App) -> None:
    same = token()

    assert (
        app.register(pushServiceToken=same)["pushRegId"]
        != App(make_application()).register(pushServiceToken=same)["pushRegId"]
    )


def test_registering_a_closed_token_opens_it(app: App) -> None:
    device = make_registration(app.application, enabled=False)
    Address.objects.update(closed_at="2024-01-01T00:00Z", closed_reason="uninstalled")

    app.register(pushServiceToken=device.address.token)

    device.refresh_from_db()
    device.address.refresh_from_db()
    assert device.enabled
    assert (device.address.closed_at, device.address.closed_reason) == (None, "")


def test_without_a_token_each_registration_is_a_new_device(app: App) -> None:
    body = {name: value for name, value in DEVICE.items() if name != "pushServiceType"}

    first, second = (app.post(INSTANCES, body).json()["pushRegId"] for _ in range(2))

    assert first != second
    assert set(Address.objects.values_list("token", "token_digest", "provider")) == {
        ("", None, "fcm")
    }


def test_ios_tokens_are_kept_in_lower_case(app: App) -> None:
    upper = make_token(Platform.IOS).upper()

    for spelling in (upper, upper.lower()):
        app.register(os="iOS", pushServiceType="APNS", pushServiceToken=spelling)

    assert list(Address.objects.values_list("token", "provider")) == [(upper.lower(), "apns")]


@pytest.mark.parametrize(
    ("agent", "os"),
    [
        ("Infobip Mobile API Client/13.1(Android;14)", "Android"),
        ("MobileMessaging/12.0(iOS)", "iOS"),
    ],
)
def test_a_device_that_hides_its_system_is_known_by_its_sdk(app: App, agent: str, os: str) -> None:
    answer = app.post(INSTANCES, {"sdkVersion": "1"}, **{"User-Agent": agent})

    assert answer.json()["os"] == os


def test_a_huawei_phone_stays_one_when_it_says_android(app: App) -> None:
    answered = app.register(pushServiceType="HMS", pushServiceToken="AQAAxyz")
    path = f"{INSTANCES}/{answered['pushRegId']}"

    app.call("PATCH", path, {"os": "Android", "osVersion": "13"})

    assert Registration.objects.get().platform == Platform.HUAWEI
    assert app.call("GET", path).json() == {**answered, "osVersion": "13"}


def test_harmony_5_and_older_phones_of_huawei_have_tokens_of_different_kinds(app: App) -> None:
    answered = app.register(os="HarmonyOS", pushServiceType="Harmony", pushServiceToken="MAMzLg")
    address = Address.objects.get()
    assert (answered["os"], answered["pushServiceType"]) == ("HarmonyOS", "Harmony")
    assert (address.provider, address.kind) == (Provider.HMS, Address.Kind.HARMONY)
    assert address.registration.platform == Platform.HUAWEI
    path = f"{INSTANCES}/{answered['pushRegId']}"

    app.call("PATCH", path, {"os": "HarmonyOS", "osVersion": "5.0.1"})

    assert app.call("GET", path).json() == {**answered, "osVersion": "5.0.1"}

    app.call("PATCH", path, {"pushServiceType": "HMS", "pushServiceToken": "AQAAxyz"})

    address.refresh_from_db()
    assert (address.token, address.kind) == ("AQAAxyz", Address.Kind.TOKEN)


def test_registering_takes_few_statements(app: App, django_assert_max_num_queries: Any) -> None:
    attributes._known[app.application.pk] = (float("inf"), {})
    app.register(customAttributes={})
    same = token()

    with django_assert_max_num_queries(2):  # nobody has the token; one for both rows
        app.register(pushServiceToken=same, customAttributes={})
    with django_assert_max_num_queries(1):  # both rows
        app.register(pushServiceToken=same, customAttributes={})


@pytest.mark.django_db(transaction=True)
def test_one_token_registered_many_times_at_once_is_one_device(app: App) -> None:
    same, together = token(), threading.Barrier(6)
    answers: list[Any] = []

    def phone() -> None:
        each = App(app.application)
        together.wait(timeout=30)
        answers.append(each.post(INSTANCES, {**DEVICE, "pushServiceToken": same}))
        connection.close()

    phones = [threading.Thread(target=phone) for _ in range(6)]
    for each in phones:
        each.start()
    for each in phones:
        each.join(timeout=60)

    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.json()["pushRegId"] for answer in answers}) == 1
    assert Registration.objects.count() == 1


# ------------------------------------------------------------------- changing: 2.3


@pytest.mark.parametrize("override", [False, True])
def test_a_change_keeps_what_it_does_not_name(app: App, override: bool) -> None:
    answered = app.register()
    path = f"{INSTANCES}/{answered['pushRegId']}"
    body = {"language": "de_DE", "deviceName": None, "regEnabled": False}

    if override:
        answer = app.post(path, body, **{"X-HTTP-Method-Override": "PATCH"})
    else:
        answer = app.call("PATCH", path, body)

    assert (answer.status_code, answer.json()) == (200, {})
    del answered["deviceName"]
    assert app.call("GET", path).json() == {**answered, "language": "de-DE", "regEnabled": False}


def test_custom_attributes_are_merged(app: App) -> None:
    answered = app.register(customAttributes={"a": 1, "b": "x"})
    path = f"{INSTANCES}/{answered['pushRegId']}"

    app.call("PATCH", path, {"customAttributes": {"b": None, "c": [{"n": 1}]}})
    assert app.call("GET", path).json()["customAttributes"] == {"a": 1, "c": [{"n": 1}]}

    app.call("PATCH", path, {"customAttributes": None})
    assert "customAttributes" not in app.call("GET", path).json()


def test_a_token_moves_to_the_newest_registration(app: App) -> None:
    older, newer, moving = app.register(), app.register(), token()
    for each in (older, newer):
        path = f"{INSTANCES}/{each['pushRegId']}"
        assert app.call("PATCH", path, {"pushServiceToken": moving}).status_code == 200

    addresses = Address.objects.values_list("token", "closed_reason", "registration__enabled")
    assert addresses.get(public_id=newer["pushRegId"]) == (moving, "", True)
    assert addresses.get(public_id=older["pushRegId"]) == ("", "replaced", False)


def test_a_registration_of_another_application_is_not_found(app: App) -> None:
    stranger = App(make_application()).register()
    missing = (404, "NO_REGISTRATION", "Registration not found")

    for identifier in (stranger["pushRegId"], str(uuid.uuid4()), "shoe"):
        path = f"{INSTANCES}/{identifier}"
        assert_refused(app.call("GET", path), *missing)
        assert_refused(app.call("PATCH", path, {"regEnabled": False}), *missing)
    assert Registration.objects.get().enabled


def test_only_a_device_of_the_same_person_may_speak_for_another(app: App) -> None:
    person = make_person()
    mine, other = (make_registration(app.application, person=person) for _ in range(2))
    stranger = make_registration(app.application)
    path = f"{INSTANCES}/{other.address.public_id}"

    refused = app.call(
        "PATCH", path, {"isPrimary": True}, pushregistrationid=str(stranger.address.public_id)
    )
    assert_refused(refused, 404, "NO_REGISTRATION", "Registration not found")

    allowed = app.call(
        "PATCH", path, {"isPrimary": True}, pushregistrationid=str(mine.address.public_id)
    )
    assert allowed.status_code == 200
    assert list(Registration.objects.filter(primary=True)) == [other]


def test_a_person_has_one_primary_device(app: App) -> None:
    person = make_person()
    first, second = (make_registration(app.application, person=person) for _ in range(2))

    for device in (first, second):
        app.call("PATCH", f"{INSTANCES}/{device.address.public_id}", {"isPrimary": True})

    assert list(Registration.objects.filter(primary=True)) == [second]


def test_the_day_of_the_last_contact_moves_once_a_day(
    app: App, django_assert_num_queries: Any
) -> None:
    path = f"{INSTANCES}/{app.register()['pushRegId']}"
    Registration.objects.update(last_seen_day="2024-01-01")
    Address.objects.update(last_contact_at="2024-01-01T00:00Z")

    with django_assert_num_queries(1):
        app.call("PATCH", path, {})

    address = Address.objects.select_related("registration").get()
    assert address.last_contact_at.year > 2024
    assert address.registration.last_seen_day == address.last_contact_at.date()


# ------------------------------------------------------------------- attributes: people.md 2.1


@pytest.mark.parametrize(
    ("raw", "type_"),
    [
        ("9223372036854775807", "number"),
        ("-9223372036854775808", "number"),
        ("9.5", "number"),
        ("true", "boolean"),
        ('"2024-02-29"', "date"),
        ('"2023-02-29"', "text"),
        ('"' + "x" * 4096 + '"', "text"),
        ('[{"sku":"a","gift":null,"price":1.5}]', "list"),
    ],
)
def test_an_attribute_comes_back_exactly_and_its_type_is_learned(
    app: App, raw: str, type_: str
) -> None:
    answered = app.post(INSTANCES, b'{"os":"iOS","customAttributes":{"x":%s}}' % raw.encode())

    path = f"{INSTANCES}/{answered.json()['pushRegId']}"
    assert f'"customAttributes":{{"x":{raw}}}' in app.call("GET", path).content.decode()
    assert AttributeDefinition.objects.get(application=app.application, name="x").type == type_


LIMITS = "number from -9223372036854775808 to 9223372036854775807"
KINDS = "string, number, boolean, date (YYYY-MM-DD) or list of flat objects"
FLAT = "list of at most 100 flat objects"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("x", "9223372036854775808", LIMITS),
        ("x", "-9223372036854775809", LIMITS),
        ("x", "1e999", LIMITS),
        ("x", "NaN", LIMITS),
        ("x", '"' + "x" * 4097 + '"', "string of at most 4096 characters"),
        ("x", '"\\u0000"', "string of at most 4096 characters"),
        ("x", '{"a":1}', KINDS),
        ("x", "[1]", FLAT),
        ("x", '[{"a":[{"b":1}]}]', FLAT),
        ("x", "[" + ",".join(["{}"] * 101) + "]", FLAT),
        ("", "1", "named with 1 to 256 characters"),
        ("number", '"one"', LIMITS),
        ("day", '"someday"', "date (YYYY-MM-DD)"),
        ("text", "1", "string of at most 4096 characters"),
        ("flag", "1", "boolean"),
    ],
)
def test_an_attribute_that_cannot_be_kept_is_named(
    app: App, name: str, value: str, expected: str
) -> None:
    app.register(customAttributes={"number": 1, "day": "2024-01-01", "text": "t", "flag": True})
    body = f'{{"os":"iOS","customAttributes":{{"new":1,"{name}":{value}}}}}'

    answer = app.post(INSTANCES, body.encode())

    text = f"customAttributes.{name} should be {expected}"
    assert_refused(answer, 400, "REQUEST_FORMAT_INVALID", text)
    assert Registration.objects.count() == 1
    assert AttributeDefinition.objects.count() == 4  # "new" was not learned


def test_a_date_may_stand_where_text_is_kept(app: App) -> None:
    app.register(customAttributes={"note": "soon"})

    assert app.register(customAttributes={"note": "2024-01-01"})["customAttributes"] == {
        "note": "2024-01-01"
    }


def test_a_device_has_at_most_500_attributes(app: App) -> None:
    many = {f"a{number}": number for number in range(500)}
    path = f"{INSTANCES}/{app.register(customAttributes=many)['pushRegId']}"

    answer = app.call("PATCH", path, {"customAttributes": {"more": 1}})

    text = "customAttributes.more should be one of at most 500 attributes of a device"
    assert_refused(answer, 400, "REQUEST_FORMAT_INVALID", text)


# ------------------------------------------------------------------- receipts: 4.2, 4.3


def receipts() -> list[Any]:
    entries: Any = store().xrange(reports.STREAM)
    return [json.loads(fields[b"r"]) for _, fields in entries]


def test_receipts_of_one_call_are_one_entry_of_the_stream(
    app: App, django_assert_num_queries: Any
) -> None:
    one, two = uuid.uuid4(), uuid.uuid4()
    app.post(DELIVERED, {"dlrIds": []})

    with django_assert_num_queries(0):
        answer = app.post(DELIVERED, {"dlrIds": [str(one), "of-somebody-else", str(two).upper()]})

    assert (answer.status_code, answer.json()) == (200, {})
    ((application, registration, told),) = receipts()
    assert (application, registration) == (app.application.pk, None)
    assert [(identifier, state) for identifier, state, _ in told] == [(one.hex, 3), (two.hex, 3)]


@pytest.mark.parametrize(
    ("delta", "seconds"), [(3, 3), (0, 0), (None, 0), (-60, 0), (10**30, 604_800)]
)
def test_seen_was_so_many_seconds_ago(
    app: App, delta: int | None, seconds: int, time_machine: Any
) -> None:
    time_machine.move_to("2026-01-01T00:00:00Z", tick=False)
    message = {"messageId": str(uuid.uuid4()), "timestampDelta": delta}

    assert app.post(SEEN, {"messages": [message]}).json() == {}

    ((_, _, ((_, state, at),)),) = receipts()
    assert (state, at) == (4, (1_767_225_600 - seconds) * 1000)


def test_receipts_of_a_known_device_count_for_it_alone(
    app: App, django_assert_num_queries: Any
) -> None:
    device = make_registration(app.application)
    app.post(DELIVERED, {"dlrIds": []})

    with django_assert_num_queries(1):
        app.post(
            DELIVERED,
            {"dlrIds": [str(uuid.uuid4())]},
            pushregistrationid=str(device.address.public_id),
        )

    assert [entry[1] for entry in receipts()] == [device.pk]


@pytest.mark.parametrize("path", [DELIVERED, SEEN])
def test_receipts_of_an_unknown_device_are_refused(app: App, path: str) -> None:
    body: dict[str, Any] = {"dlrIds": [], "messages": []}
    stranger = make_registration(make_application()).address.public_id

    for identifier in (str(stranger), "shoe"):
        answer = app.post(path, body, pushregistrationid=identifier)
        assert_refused(answer, 400, "NO_REGISTRATION", "Registration not found")


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (DELIVERED, {}, "dlrIds should be given"),
        (DELIVERED, {"dlrIds": "x"}, "dlrIds should be array"),
        (DELIVERED, {"dlrIds": [1]}, "dlrIds.0 should be string"),
        (DELIVERED, {"dlrIds": [""] * 501}, "dlrIds should be array of at most 500 members"),
        (SEEN, {"messages": {}}, "messages should be array"),
        (SEEN, {"messages": [{}]}, "messages.0.messageId should be given"),
        (
            SEEN,
            {"messages": [{"messageId": "x", "timestampDelta": "3"}]},
            "messages.0.timestampDelta should be integer",
        ),
    ],
)
def test_receipts_of_a_wrong_form_name_the_member(
    app: App, path: str, body: dict[str, Any], text: str
) -> None:
    assert_refused(app.post(path, body), 400, "REQUEST_FORMAT_INVALID", text)
    assert not receipts()


def test_no_receipt_is_kept_of_ids_that_nobody_sent(app: App, settings: Any) -> None:
    settings.STORE_URL = "unix:///nowhere/store.sock"  # the store is away: straight to Postgres

    assert app.post(DELIVERED, {"dlrIds": [str(uuid.uuid4())]}).status_code == 200

    assert not EarlyReceipt.objects.exists()
