"""pushadmin.masking: nothing that opens a door or names a person gets into a log."""

import json
import logging
import logging.config
import os
import secrets
from typing import Any

import pytest
import structlog
from celery import shared_task
from cryptography.fernet import Fernet
from django.test import Client
from structlog.contextvars import bound_contextvars, get_contextvars

from devices.models import Platform
from devices.models.applications import make_code
from pushadmin.logs import logging_settings
from pushadmin.masking import MASK, mask
from tests.factories import apns_key, make_token

BOTH = pytest.mark.parametrize("as_json", [True, False], ids=["json", "plain"])


def log_to_this_test(*, as_json: bool) -> None:
    logging.config.dictConfig(logging_settings(level="INFO", as_json=as_json))


def planted() -> dict[str, str]:
    """Secrets as they come, made now."""
    return {
        "apns": make_token(Platform.IOS),
        "fcm": make_token(Platform.ANDROID),
        "api key": secrets.token_urlsafe(32) + "0a",
        "application code": make_code(),
        "fernet key": Fernet.generate_key().decode().rstrip("="),
        "pem": apns_key()["key_pem"],
        "phone": "+385911234567",
        "bare phone": "385911234567",
        "e-mail": "ana.p+shop@mail.example.com",
    }


@BOTH
@pytest.mark.parametrize("kind", sorted(planted()))
@pytest.mark.usefixtures("restored_logging")
def test_a_planted_secret_never_reaches_a_line(
    kind: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_this_test(as_json=as_json)
    secret = planted()[kind]
    log, structured = logging.getLogger("test"), structlog.get_logger("test")

    log.info("sent to %s, refused", secret)
    log.info(f"sent to ({secret}), refused")  # noqa: G004
    structured.info("refused", answer={"said": [f"no {secret}!"]})
    with bound_contextvars(about=secret):
        log.warning("refused")
    try:
        dict[str, str]().pop(f"Key (value)=({secret}) already exists.")
    except KeyError:
        log.exception("failed")

    lines = capsys.readouterr().err
    assert lines.count("refused") == 4
    assert lines.count(MASK) >= 5
    for part in (secret, json.dumps(secret)[1:-1], *secret.split("\n")[1:2]):
        assert part not in lines


@BOTH
@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize(
    "name", ["token", "device_token", "password", "api_key", "Authorization", "phone", "email"]
)
def test_a_field_that_is_named_like_a_secret_is_masked_whatever_it_holds(
    name: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_this_test(as_json=as_json)
    structlog.get_logger("test").info("asked", **{name: "short"})

    line = capsys.readouterr().err
    assert "short" not in line
    assert MASK in line


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc.def-12",
        "Basic dXNlcjpwYXNzd29yZA==",
        "App 0a1b2c3d-short",
        "GET /callback?token=abc123&x=1",
        """{"password": "abc123"}""",
        """{\\"password\\": \\"abc123\\"}""",
    ],
)
def test_a_short_secret_is_known_by_what_stands_before_it(text: str) -> None:
    masked = mask(text)

    assert MASK in masked
    assert not any(secret in masked for secret in ("abc", "dXNl", "0a1b"))


@pytest.mark.parametrize(
    "text",
    [
        "bulk 7: 250 devices in doubt after a worker stopped",
        "Task revive[7a1f3c52-52b8-4c8e-9f4e-5a0c2d1b7e11] succeeded in 0.0123456789s",
        "bulk 0d9f7c6e-1111-4222-8333-0123456789ab frozen",
        "violates one_credential_per_application_provider_and_environment",
        "App registrations are slow; Basic authentication is off",
        "2026-11-21T07:26:36.925156Z",
        "celery@worker-1 ready",
        "connection lost after 1234567 requests in 12.5 s",
    ],
)
def test_what_leads_to_the_rows_stays_readable(text: str) -> None:
    assert mask(text) == text


@pytest.mark.django_db
def test_a_request_carries_its_id_into_its_lines_and_its_answer(
    client: Client, capsys: pytest.CaptureFixture[str], restored_logging: None
) -> None:
    log_to_this_test(as_json=True)

    response = client.get("/no-such-page/")
    again = client.get("/no-such-page/", headers={"x-request-id": "from-the-proxy-1"})
    forged = client.get("/no-such-page/", headers={"x-request-id": 'x", "level": "info'})

    lines: list[dict[str, Any]] = [
        json.loads(line) for line in capsys.readouterr().err.splitlines()
    ]
    named = [line["request"] for line in lines if line["event"].startswith("Not Found")]
    ids = [each.headers["X-Request-Id"] for each in (response, again, forged)]
    assert named == ids
    assert ids[1] == "from-the-proxy-1"
    assert len(set(ids)) == 3
    assert len(ids[2]) == 16


def test_the_lines_of_a_task_name_it_and_its_worker() -> None:
    seen: dict[str, Any] = {}

    @shared_task(name="tests.look_around")
    def look_around() -> None:
        seen.update(get_contextvars())

    task_id = look_around.apply().id

    assert seen["task"] == "tests.look_around"
    assert seen["task_id"] == task_id
    assert seen["worker"].endswith(f":{os.getpid()}")
    assert get_contextvars() == {}
