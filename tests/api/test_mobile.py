"""api.mobile: who may call, bodies and paths. Sections: contract/mobile-sdk.md."""

import json
import time
import uuid
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from api import endpoint
from devices.models import Application, Registration
from tests.api.apps import DELIVERED, DEVICE, INSTANCES, SEEN, App, assert_refused
from tests.factories import make_application

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

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
