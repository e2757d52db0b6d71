"""Who may call Infobip's push API, and how often: sections 1.1 and 1.4 of contract/push.md."""

from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection

from devices.models import Application
from tests.api.pushing import SEND, message, refused, request_of, status_of, to
from tests.api.systems import System, basic, make_api_user, make_key
from tests.factories import (
    make_registration,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("", (401, "E401")),
        ("App nobody", (401, "E401")),
        ("IBSSO token", (401, "E401")),
        ("Bearer token", (401, "E401")),
        (basic("crm", "wrong"), (401, "E401")),
        ("App reader", (403, "E403")),
    ],
)
def test_the_caller_comes_before_the_method_before_the_body(
    system: System, header: str, said: tuple[int, str]
) -> None:
    make_key("reader", scopes=["mobile-app-messaging:logs:read"])
    make_api_user("crm", "open sesame", scopes=["message:send"])
    for method in ("POST", "GET"):
        assert refused(system.call(method, SEND, b"{", Authorization=header)) == said


@pytest.mark.parametrize(
    "scope", ["message:send", "mobile-app-messaging:send", "mobile-app-messaging:manage"]
)
def test_each_scope_for_sending_is_enough(application: Application, scope: str) -> None:
    make_api_user("crm", "open sesame", scopes=[scope])
    system = System()
    system.headers = {"Authorization": basic("crm", "open sesame").replace("Basic", "bAsIc")}
    answer = system.post(SEND, request_of(message(application, to(make_registration(application)))))

    assert status_of(answer) == (7, "PENDING_ENROUTE")


def test_unauthorized_is_said_in_the_words_of_this_family(system: System) -> None:
    answer = system.post(SEND, {}, Authorization="")

    assert answer.json() == {
        "errorCode": "E401",
        "description": (
            "The request lacks valid authentication credentials for the requested resource."
        ),
        "action": "Check the resources and adjust authentication credentials.",
        "violations": [],
        "resources": [],
    }


@time_machine.travel("2026-11-20T15:00:00.5+00:00", tick=False)
def test_too_many_sends_are_told_when_to_come_back(system: System, settings: Any) -> None:
    settings.PUSH_CALLS_PER_SECOND = 1
    first, second = (system.post(SEND, {}) for _ in range(2))

    assert first.status_code == 400
    assert refused(second) == (429, "E429")
    assert second["Retry-After"] == "1"


def test_other_methods_and_paths_are_refused_in_the_words_of_their_family(system: System) -> None:
    answer = system.get(SEND)
    assert (refused(answer), answer["Allow"]) == ((405, "E405"), "POST")
    assert refused(system.get("/push/3/nothing")) == (404, "E404")
    for path in ("/push/1/nothing", "/push/2/message", "/push", "/push/4/messages"):
        answer = system.get(path)
        assert answer.status_code == 404
        error = answer.json()["requestError"]["serviceException"]
        assert error["messageId"] == "NOT_FOUND"


def test_a_database_that_is_away_is_said_with_a_body(system: System) -> None:
    def away(*_: object) -> None:
        raise OperationalError("the database is away")

    with connection.execute_wrapper(away):
        answer = system.post(SEND, {})

    assert (refused(answer), answer["Retry-After"]) == ((503, "E503"), "1")


def test_xml_is_not_read(system: System) -> None:
    answer = system.client.post(
        SEND, "<a/>", content_type="application/xml", headers=system.headers
    )
    assert refused(answer) == (415, "E415")


def test_a_body_over_two_mebibytes_is_refused(system: System) -> None:
    assert refused(system.post(SEND, b" " * (2 * 2**20 + 1))) == (413, "E413")
    assert refused(system.post(SEND, b" " * (2 * 2**20))) == (400, "E400")
