"""What the calls under /push share: who may call, how often, and what errors look like.

Source: contract/push.md 1.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import TypeVar, cast

from django.http import HttpRequest
from pydantic import ValidationError

from api import keys, limits
from api.endpoint import ApiRequest, Family, Refusal, Schema, body_of, elsewhere
from api.infobip.violations import (
    Violation,
    error_json,
    older_error_json,
    violated,
    violations_of,
)
from devices.audit import Author
from devices.models import ApiKey

SEND = ("message:send", "mobile-app-messaging:send", "mobile-app-messaging:manage")
LOGS = ("mobile-app-messaging:logs:read", "mobile-app-messaging:manage")
MANAGE = ("mobile-app-messaging:manage",)
INBOUND = ("inbound-message:read", "mobile-app-messaging:manage")
LARGEST = 2 * 2**20  # bytes of a body
DEFAULT_LIMIT, HIGHEST_LIMIT = 50, 1000  # reports, or log entries, of one answer

Body = TypeVar("Body", bound=Schema)


class KnownRequest(ApiRequest):
    """A request of a system that is known."""

    author: Author


def _authorize(
    request: HttpRequest,
    *,
    scopes: Collection[str],
    call: str,
    most: Callable[[], int],
    seconds: int,
) -> None:
    author = keys.author_of(request, ApiKey.Family.INFOBIP, scopes)
    limits.take(f"push:{call}", most(), seconds)
    cast("KnownRequest", request).author = author


def family(
    scopes: Collection[str],
    call: str,
    most: Callable[[], int],
    seconds: int = 1,
    *,
    older: bool = False,
    success: HTTPStatus = HTTPStatus.OK,
) -> Family:
    """One call: `most` so many times in so many seconds; `older` ones word errors otherwise."""
    return Family(
        authorize=partial(_authorize, scopes=scopes, call=call, most=most, seconds=seconds),
        error=older_error_json if older else error_json,
        bad_format="BAD_REQUEST",
        not_found="NOT_FOUND",
        fault="GENERAL_ERROR",
        headers=dict,
        most=LARGEST,
        success=success,
    )


def read(
    request: HttpRequest, schema: type[Body], called: Family, tags: frozenset[str] = frozenset()
) -> Body:
    """The body, read by a schema. Raises Refusal: one violation for each fault."""
    if "xml" in (request.content_type or "").lower():
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "Send application/json")
    try:
        return schema.model_validate_json(body_of(request, called))
    except ValidationError as errors:
        raise violated(*violations_of(errors, tags)) from errors


# ------------------------------------------------------------------- queries


def text_of(request: HttpRequest, name: str, longest: int = 255) -> str:
    """A parameter of the query; "" if it is not there."""
    value = request.GET.get(name, "")
    if "\0" in value or len(value) > longest:
        said = "must not contain NUL" if "\0" in value else f"size must be at most {longest}"
        raise violated(Violation(name, said))
    return value


def list_of(request: HttpRequest, name: str, longest: int = 2048) -> Sequence[str]:
    """A parameter that names several, with commas between them."""
    return [each.strip() for each in text_of(request, name, longest).split(",") if each.strip()]


def limit_of(request: HttpRequest) -> int:
    given = request.GET.get("limit", "")
    if not given:
        return DEFAULT_LIMIT
    if not (given.isascii() and given.isdecimal() and len(given) <= 9):
        raise violated(Violation("limit", "must be an integer"))
    if not 1 <= int(given) <= HIGHEST_LIMIT:
        raise violated(Violation("limit", f"must be between 1 and {HIGHEST_LIMIT}"))
    return int(given)


def flag_of(request: HttpRequest, name: str) -> bool:
    match request.GET.get(name, "false").lower():
        case "true":
            return True
        case "false" | "":
            return False
    raise violated(Violation(name, "must be a boolean"))


def moment(at: datetime) -> str:
    """A time as this family writes it: exactly three digits of a second (1.3)."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}{at:%z}"


# ------------------------------------------------------------------- every other path

nothing = elsewhere(family((), "", lambda: 0))
nothing_older = elsewhere(family((), "", lambda: 0, older=True))
