"""What the OpenAPI document says of an answer: tests of the APIs compare every one with it."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from api.openapi.document import document

_PREFLIGHTS = {"OPTIONS", "HEAD"}


@cache
def paths() -> list[tuple[re.Pattern[str], str]]:
    """Paths of the document with what matches them; those without parameters first."""
    templates = sorted(document("http://testserver")["paths"], key=lambda each: "{" in each)
    return [(_pattern(each), each) for each in templates]


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\})", template)
    # An external id may hold slashes, also quoted ones.
    wild = {"{externalUserId}": r"[\s\S]+"}
    return re.compile(
        "".join(
            wild.get(part, r"[^/]+") if part.startswith("{") else re.escape(part) for part in parts
        )
    )


def template_of(path: str) -> str | None:
    """The documented path that this one is an instance of."""
    plain = re.sub("/{2,}", "/", path.partition("?")[0])
    return next((told for pattern, told in paths() if pattern.fullmatch(plain)), None)


def members_of(value: Any, path: str = "") -> Iterator[tuple[str, bool]]:
    """The members of a body by their paths, `messages[].content.text`, and which say something."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            inner = f"{path}.{name}" if path else str(name)
            yield inner, member is not None
            yield from members_of(member, inner)
    elif isinstance(value, list):
        for member in value:
            yield from members_of(member, f"{path}[]")


def _names(value: Any, *, say_something: bool = True) -> set[str]:
    return {name for name, says in members_of(value) if says is say_something}


def _record(folder: Path, call: str, path: str, answer: Any, sent: Any) -> None:
    """Write down what a test sent and got, for tests/api/compatibility.py."""
    test = os.environ["PYTEST_CURRENT_TEST"].partition(" ")[0].partition("[")[0]
    got = json.loads(answer.content) if answer["Content-Type"] == "application/json" else None
    told = {
        "test": test,
        "call": call,
        "status": answer.status_code,
        "sent": sorted(_names(sent) | {*parse_qs(path.partition("?")[2])}),
        "got": sorted(_names(got)),
        "null": sorted(_names(got, say_something=False)),
        "states": sorted(set(_states_in(got))),
    }
    with (folder / f"{os.getpid()}.jsonl").open("a") as file:
        file.write(json.dumps(told) + "\n")


def _states_in(value: Any) -> Iterator[str]:
    """Statuses and errors of messages, wherever an answer has them."""
    if isinstance(value, Mapping):
        if {"groupId", "id", "name"} <= set(value):
            yield f"{value['id']} {value['name']}"
        for member in value.values():
            yield from _states_in(member)
    elif isinstance(value, list):
        for member in value:
            yield from _states_in(member)


@cache
def _validator(template: str, method: str, status: str) -> Draft202012Validator | None:
    """None: the answer has no body. Raises KeyError for an answer nobody documented."""
    told = document("http://testserver")
    response = told["paths"][template][method]["responses"][status]
    if "content" not in response:
        return None
    schema = response["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": told["components"]})


def check(method: str, path: str, answer: Any, sent: Any = None) -> None:
    """See that an answer is as the document tells: its status, its type, each of its members.

    `sent`: the body. Who sent and got what is written down where somebody asks for it.
    """
    template = template_of(path)
    if template is not None and (folder := os.environ.get("PUSHADMIN_RECORD")):
        _record(Path(folder), f"{method} {template}", path, answer, sent)
    if template is None or method in _PREFLIGHTS:
        return
    operations = document("http://testserver")["paths"][template]
    if method.lower() not in operations:
        assert answer.status_code in {401, 403, 404, 405, 415, 429, 503}, (method, path)
        return
    status, place = str(answer.status_code), f"{method} {template} {answer.status_code}"
    assert status in operations[method.lower()]["responses"], f"not documented: {place}"
    validator = _validator(template, method.lower(), status)
    if validator is None:
        assert answer.content == b"", place
        return
    if answer["Content-Type"].startswith("text/plain"):
        told = operations[method.lower()]["responses"][status]
        assert "text/plain" in told["content"], place
        return
    assert answer["Content-Type"] == "application/json", place
    fault = best_match(validator.iter_errors(json.loads(answer.content)))
    assert fault is None, f"{place}: {fault and fault.json_path}: {fault and fault.message}"
