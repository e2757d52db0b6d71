"""What strangers and mistakes get: a page of ours that says what is wrong."""

from typing import Any

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/", "/login/", "/no-such-page/"])
def test_a_name_that_is_not_ours_is_refused(client: Client, path: str) -> None:
    response = client.get(path, headers={"host": "evil.example"})

    assert response.status_code == 400
    page = response.content.decode()
    assert "could not be read" in page
    assert "ALLOWED_HOSTS" in page, "whoever set it up learns what to mend"


def test_a_page_that_does_not_exist_says_so(client: Client) -> None:
    response = client.get("/no-such-page/")

    assert response.status_code == 404
    assert "<h1>" in response.content.decode()


def test_nobody_signs_up_alone(client: Client) -> None:
    form = {"username": "eve", "email": "eve@example.com"}
    passwords = {"password1": "a-long-password-9", "password2": "a-long-password-9"}

    response = client.post("/signup/", {**form, **passwords})

    assert "_auth_user_id" not in client.session
    assert b"Accounts are made by administrators" in response.content


def test_every_page_tells_the_browser_what_it_may_load(client: Client) -> None:
    policy = client.get("/login/").headers["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


INFOBIP = ("requestError", "serviceException", "text")
SAID = "Host should be a name of this server: whoever runs it adds it to ALLOWED_HOSTS"


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/push/3/messages", ("violations", 0, "violation")),
        ("/push/1/statistics", INFOBIP),
        ("/omni/1/advanced", INFOBIP),
        ("/omni/1/nothing-of-this-name", INFOBIP),
        ("/mobile/1/appinstance", INFOBIP),
        ("/people/2/persons", INFOBIP),
        ("/api/v2/notification/user", ("message",)),
        ("/api/nothing-of-this-name", ("message",)),
    ],
)
def test_a_foreign_host_is_refused_in_the_words_of_the_family(
    client: Client, settings: Any, path: str, where: tuple[str | int, ...]
) -> None:
    settings.ALLOWED_HOSTS = ["push.example.com"]

    answer = client.post(path, b"{}", "application/json", HTTP_HOST="elsewhere.example")

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/json")
    said = answer.json()
    for step in where:
        said = said[step]
    assert said == SAID
