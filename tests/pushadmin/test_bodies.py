"""pushadmin.bodies: what a client streams arrives whole, or not at all."""

from collections.abc import Iterable
from io import BytesIO
from typing import Any

import pytest

from pushadmin.bodies import measured

MOST = 10  # bytes


def read(**environment: Any) -> tuple[str | None, bytes]:
    """The length and the bytes that an application finds."""
    found: list[tuple[str | None, bytes]] = []

    def application(told: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        found.append((told.get("CONTENT_LENGTH"), told["wsgi.input"].read()))
        return []

    given = {"REQUEST_METHOD": "POST", "wsgi.input_terminated": True, **environment}
    measured(application, MOST)(given, None)
    return found[0]


def body(raw: bytes) -> dict[str, Any]:
    return {"wsgi.input": BytesIO(raw)}


@pytest.mark.parametrize("raw", [b"", b"x", b"x" * MOST])
def test_a_body_without_a_length_gets_one(raw: bytes) -> None:
    assert read(**body(raw)) == (str(len(raw)), raw)
    assert read(**body(raw), CONTENT_LENGTH="") == (str(len(raw)), raw)


def test_a_body_that_is_too_long_is_too_long_and_empty() -> None:
    assert read(**body(b"x" * 100)) == (str(MOST + 1), b"")


@pytest.mark.parametrize(
    "given",
    [
        {"CONTENT_LENGTH": "3"},
        {"REQUEST_METHOD": "GET"},
        {"wsgi.input_terminated": False},  # reading on would wait for ever
    ],
)
def test_any_other_request_is_left_as_it_is(given: dict[str, Any]) -> None:
    assert read(**body(b"abc"), **given) == (given.get("CONTENT_LENGTH"), b"abc")
