"""Pages on which people read what the APIs are like."""

import html
import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from api.openapi import curl
from api.openapi.document import calls, document, operation_id
from api.openapi.push import PUSH
from api.openapi.rows import Row, kind_of, rows_of
from devices.models import Role
from tests.factories import make_application, make_user

KNOWN = document("")["components"]["schemas"]
SEND = operation_id(PUSH, PUSH.calls[0])


@pytest.fixture
def reader(client: Client) -> Client:
    client.force_login(make_user(Role.DEVELOPER, make_application()))
    return client


@pytest.mark.django_db
def test_the_pages_ask_who_reads(client: Client) -> None:
    for address in (reverse("reference:calls"), reverse("reference:call", args=[SEND])):
        assert client.get(address)["Location"].startswith("/login/")


@pytest.mark.django_db
def test_every_call_is_listed_with_its_page(reader: Client) -> None:
    page = reader.get(reverse("reference:calls")).content.decode()

    for family, call in calls():
        assert reverse("reference:call", args=[operation_id(family, call)]) in page
        assert call.title in html.unescape(page)


@pytest.mark.django_db
@pytest.mark.parametrize("name", [operation_id(*each) for each in calls()])
def test_every_call_has_a_page_that_costs_no_query_of_its_own(
    reader: Client, name: str, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(6):  # the session, the reader, and what the frame shows
        answer = reader.get(reverse("reference:call", args=[name]))

    assert answer.status_code == 200


@pytest.mark.django_db
def test_a_call_that_does_not_exist_has_no_page(reader: Client) -> None:
    assert reader.get(reverse("reference:call", args=["PushPostNothing"])).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("customPayload", "/push/3/messages"),
        ("OMNI scenario", "/omni/1/scenarios"),
        ("livechat", "/mobile/1/appinstance/{pushRegId}/user/livechatinfo"),
        ("get_statistics", "/api/v1/notification/get_statistics"),
    ],
)
def test_calls_are_found_by_words_of_paths_titles_and_members(
    reader: Client, words: str, found: str
) -> None:
    page = reader.get(reverse("reference:calls"), {"q": words}).content.decode()

    assert f"<code>{found}</code>" in page
    assert "<code>/push/1/applications</code>" not in page


@pytest.mark.django_db
def test_a_search_that_finds_nothing_says_what_to_try(reader: Client) -> None:
    page = reader.get(reverse("reference:calls"), {"q": "teapot"}).content.decode()

    assert "No call has such a word" in page


@pytest.mark.django_db
def test_a_page_tells_members_limits_and_the_command(reader: Client) -> None:
    page = html.unescape(
        reader.get(reverse("reference:call", args=[SEND]), headers={"host": "testserver"})
        .content.decode()
    )  # fmt: skip

    assert '<span class="faint">messages[].content.</span>text</code>' in page
    assert "string, at most 4,000 characters" in page
    assert 'curl -sS "http://testserver/push/3/messages"' in page
    assert "REJECTED" in page
    assert "2,500 a second" in page
    assert "the older name is <code>from</code>" in page


def test_forms_of_an_object_have_headings_of_their_own() -> None:
    body = document("")["paths"]["/push/3/messages"]["post"]["requestBody"]
    rows = rows_of(body["content"]["application/json"]["schema"], KNOWN)

    headings = [row.heading for row in rows if row.heading]
    assert "messages[].destinations[] with type MULTIPLE" in headings
    assert "messages[].content with type IMAGE" in headings
    assert (
        Row(
            parents="messages[].options.deliveryTimeWindow.from.",
            name="hour",
            kind="integer, 0 to 23",
            needed=True,
            says="0 to 23.",
        )
        in rows
    )


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string", "maxLength": 5000}, "string, at most 5,000 characters"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "true or false"),
        (
            {"type": "array", "items": {"type": "string"}, "maxItems": 7},
            "array of strings, at most 7",
        ),
        ({"type": "boolean", "default": False}, "true or false, false unless given"),
        ({"enum": ["A", "B"]}, "A, B"),
        ({}, "anything"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "string or integer"),
    ],
)
def test_a_schema_is_told_in_words(schema: dict[str, Any], kind: str) -> None:
    assert kind_of(schema, {}) == kind


def test_a_command_carries_the_example_quoted_for_the_shell() -> None:
    for family, call in calls():
        command = curl.command("https://push.example.com", family, call)
        assert command.startswith('curl -sS "https://push.example.com/')
        if call.example is not None:
            (quoted,) = re.findall(r"-d '(.*)'$", command, re.DOTALL)
            assert json.loads(quoted.replace("'\\''", "'")) == call.example
