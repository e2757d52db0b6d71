"""Whatever breaks here, each family says so in its own words: 500, and 503 while it lasts."""

from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection

from api.openapi.calls import Call, Family
from api.openapi.document import calls, operation_id
from api.openapi.insider import INSIDER
from api.openapi.lists import LISTS
from api.openapi.mobile import MOBILE
from api.openapi.own import HUAWEI, RECEIVER, SMS
from api.openapi.push import PUSH
from api.openapi.segments import SEGMENTS
from tests.api.apps import refusal
from tests.api.callers import Everybody

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

API_ERRORS = {
    500: {
        "errorCode": "E500",
        "description": "Something went wrong.",
        "action": "Contact the support.",
        "violations": [],
        "resources": [],
    },
    503: {
        "errorCode": "E503",
        "description": "Something is not available now.",
        "action": "Repeat the request in a moment.",
        "violations": [],
        "resources": [],
    },
}
EVERY_CALL = pytest.mark.parametrize(
    ("family", "call"),
    [pytest.param(family, call, id=operation_id(family, call)) for family, call in calls()],
)


@pytest.fixture
def everybody() -> Everybody:
    return Everybody()


def words_of(family: Family, status: int) -> Any:
    """The whole body of an error of ours."""
    soon, broken = "Try again in a moment", "Something went wrong here"
    contact = "Something went wrong. Please contact support."
    if family is INSIDER:
        return {"error": "internal_error", "message": "Temporarily unavailable. Try again."}
    if family is PUSH:
        return API_ERRORS[status]
    if family in (SEGMENTS, LISTS):
        return {"error": {"code": "GENERAL_ERROR", "text": soon if status == 503 else broken}}
    if family is RECEIVER:
        return {"error": {"code": "INTERNAL", "message": soon if status == 503 else broken}}
    if family is HUAWEI:
        return {"errno": status, "errmsg": soon if status == 503 else broken}
    if family is MOBILE:
        return refusal("0", broken)
    if family is SMS:
        return refusal("GENERAL_ERROR", soon if status == 503 else broken)
    return refusal("GENERAL_ERROR", soon if status == 503 else contact)


@EVERY_CALL
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_while_the_database_is_away_a_call_is_put_off(
    everybody: Everybody,
    monkeypatch: pytest.MonkeyPatch,
    family: Family,
    call: Call,
    error: type[Exception],
) -> None:
    def away(*_: object) -> None:
        raise error("server closed the connection")

    monkeypatch.setattr(connection, "ensure_connection", away)
    answer = everybody.call(family, call)

    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert int(answer["Content-Length"]) == len(answer.content)
    if family is MOBILE:  # Infobip's SDKs repeat what has no body, and nothing else
        assert answer.content == b""
    else:
        assert answer.json() == words_of(family, 503)


@EVERY_CALL
def test_a_fault_is_told_without_its_cause(
    everybody: Everybody, monkeypatch: pytest.MonkeyPatch, family: Family, call: Call
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(connection, "ensure_connection", broken)
    answer = everybody.call(family, call)

    assert (answer.status_code, answer.json()) == (500, words_of(family, 500))
    assert int(answer["Content-Length"]) == len(answer.content)
