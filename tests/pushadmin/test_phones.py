"""Calls of the mobile API, and what they are spared."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client

pytestmark = pytest.mark.django_db


def test_a_call_of_a_phone_meets_nothing_that_is_for_browsers(
    client: Client, settings: Any
) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[: settings.MIDDLEWARE.index("pushadmin.phones.PhoneMiddleware") + 1],
        "tests.pushadmin.test_phones.for_browsers",
    ]

    answer = Client().post("/mobile/1/appinstance", {}, content_type="application/json")

    assert answer.status_code == 401
    assert answer.json()["requestError"]["serviceException"]["messageId"] == "APP_CODE_MISSING"
    assert Client().get("/login/").status_code == 418


def for_browsers(get_response: object) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that no call of a phone comes to."""
    return lambda request: HttpResponse(status=418)


def test_a_call_of_a_phone_is_answered_like_all_others(client: Client) -> None:
    answer = client.get("/mobile/1/baseurl")

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Request-Id"]
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert "Cookie" not in answer.headers.get("Vary", "")


def test_a_path_that_phones_do_not_know_is_refused_in_their_words(client: Client) -> None:
    for path in ("/mobile/", "/mobile/nothing/", "/mobile//1/nothing\n"):
        answer = client.get(path)

        assert answer.status_code == 404
        assert answer.json()["requestError"]["serviceException"]["messageId"] == "NOT_FOUND"


def test_a_host_that_is_not_ours_is_refused(client: Client, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["push.example.com"]

    assert client.get("/mobile/1/baseurl", HTTP_HOST="elsewhere.example").status_code == 400
    assert client.get("/mobile/1/baseurl", HTTP_HOST="push.example.com").status_code != 400
