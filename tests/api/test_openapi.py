"""The OpenAPI document tells of everything that other systems may call, and of nothing else."""

import io
import json
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern
from django.urls.resolvers import RoutePattern
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import AliasChoices

from api.openapi.document import FAMILIES, calls, document, operation_id
from api.openapi.own import HUAWEI, SMS
from api.urls import urlpatterns
from devices.access import SCOPES
from devices.models import Platform
from tests.api.insider import KEY, connect, make_insider_key
from tests.api.systems import make_key
from tests.factories import make_application

BASE = "https://push.example.com"
DOCUMENT = document(BASE)
ALL_CALLS = list(calls())


def anonymous(path: str) -> str:
    """A path whatever its parameters are called."""
    return re.sub(r"<\w+:\w+>|\{\w+\}", "{}", path)


def test_every_path_of_the_apis_is_documented_and_no_other() -> None:
    answered = {
        anonymous(f"/{each.pattern}")
        for each in urlpatterns
        if isinstance(each, URLPattern) and isinstance(each.pattern, RoutePattern)
    }

    assert {anonymous(path) for path in DOCUMENT["paths"]} == answered
    assert len(answered) > 45


def test_the_document_is_valid_openapi() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert [*OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_every_call_has_a_name_of_its_own() -> None:
    names = [operation_id(*each) for each in ALL_CALLS]

    assert len(set(names)) == len(names)


@pytest.mark.django_db
@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    "path", sorted({call.path for family, call in ALL_CALLS if family not in (HUAWEI, SMS)})
)
def test_a_path_answers_the_documented_methods_and_no_other(path: str) -> None:
    application = make_application()
    make_key(scopes=list(SCOPES))
    make_insider_key(application)
    connect(application, Platform.ANDROID)
    operations = DOCUMENT["paths"][path]
    told = next(iter(operations.values()))
    schemes = {name for each in told["security"] for name in each}
    word = application.code if "applicationCode" in schemes else "key-of-a-shop"
    concrete = re.sub(r"\{(\w+)\}", lambda found: filled(found[1]), path)

    answer = Client().generic(
        "PROPFIND",
        concrete,
        json.dumps({"api_key": KEY}),
        content_type="application/json",
        headers={"Authorization": f"App {word}", "AppCode": application.code},
    )

    assert answer.status_code == 405, answer.content
    allowed = {each.strip() for each in answer["Allow"].split(",")} - {"HEAD"}
    assert allowed == {method.upper() for method in operations}


def filled(parameter: str) -> str:
    match parameter:
        case "id" | "content":
            return "0"
        case "messageId":
            return "a28dd97c-1ffb-4fcf-99f1-0b557ed381da"
        case "cloud":
            return "gcm"
    return "x"


def test_every_member_of_every_body_is_explained() -> None:
    silent = {
        f"{model}.{member}"
        for model, schema in DOCUMENT["components"]["schemas"].items()
        for member, told in schema.get("properties", {}).items()
        if not model.endswith("Error") and not told.get("description")
    }

    assert silent == set()


def test_what_is_explained_exists() -> None:
    for family in FAMILIES:
        for model, words in family.words.items():
            members = {each.alias or name for name, each in model.model_fields.items()}
            members |= {
                str(each.validation_alias.choices[0])
                for each in model.model_fields.values()
                if isinstance(each.validation_alias, AliasChoices)
            }
            assert set(words) <= members, model


def examples() -> list[tuple[str, dict[str, Any]]]:
    """Every place of the document that has an example, with its schema."""
    return [
        (f"{method} {path} {place}", media)
        for path, operations in DOCUMENT["paths"].items()
        for method, told in operations.items()
        for place, content in {"request": told.get("requestBody", {}), **told["responses"]}.items()
        for media in content.get("content", {}).values()
        if "example" in media
    ]


@pytest.mark.parametrize(
    "media", [media for _, media in examples()], ids=[place for place, _ in examples()]
)
def test_every_example_fits_its_schema(media: dict[str, Any]) -> None:
    schema = {**media["schema"], "components": DOCUMENT["components"]}
    faults = Draft202012Validator(schema).iter_errors(media["example"])

    assert [each.message for each in faults] == []


def test_most_calls_have_an_example() -> None:
    without = [
        f"{call.method} {call.path}"
        for family, call in ALL_CALLS
        if (call.body is not None and call.example is None and family is not SMS)
        or (call.answer is not None and call.answer_example is None)
    ]

    assert without == []


def test_the_document_is_served_with_the_server_that_was_asked() -> None:
    answer = Client().get("/openapi.json")

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == document("http://testserver")


def test_a_command_prints_the_document() -> None:
    printed = io.StringIO()
    call_command("openapi", base_url=f"{BASE}/", stdout=printed)

    assert json.loads(printed.getvalue()) == DOCUMENT
