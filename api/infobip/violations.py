"""Errors of the newer calls: one violation for each fault of a body (contract/push.md 1.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError

from api.endpoint import Json, Refusal

MOST_SHOWN = 100  # violations of one answer
LONGEST_NAME = 100  # characters of a member's name, in a path


class Violation(NamedTuple):
    property: str
    violation: str


@dataclass(eq=False)
class Violated(Refusal):
    """A request that says something it may not."""

    violations: Sequence[Violation] = ()


def violated(*violations: Violation) -> Violated:
    return Violated(400, "E400", "Bad request", violations=violations)


_SAYINGS = {
    400: (
        "Request cannot be processed.",
        "Check the syntax, violations and adjust the request.",
    ),
    401: (
        "The request lacks valid authentication credentials for the requested resource.",
        "Check the resources and adjust authentication credentials.",
    ),
    403: (
        "Insufficient permissions to access the requested resource.",
        "Repeat the request with new or different credentials.",
    ),
    404: ("The requested resource could not be found.", "Check the path."),
    405: (
        "The requested resource does not support this method.",
        "Use a method of the header Allow.",
    ),
    413: ("The request is too large.", "Send fewer messages in a request."),
    415: ("The content type of the request is not supported.", "Send application/json."),
    429: (
        "Too many requests sent.",
        "Check request rate limit specified in the API endpoint documentation resource.",
    ),
    500: ("Something went wrong.", "Contact the support."),
    503: ("Something is not available now.", "Repeat the request in a moment."),
}


def error_json(refusal: Refusal) -> Json:
    """`ApiError`: all five members are always there."""
    description, action = _SAYINGS.get(refusal.status, _SAYINGS[400])
    found = refusal.violations if isinstance(refusal, Violated) else ()
    if refusal.status == 400 and not found:
        found = (Violation("", refusal.text),)
    return {
        "errorCode": f"E{refusal.status}",
        "description": description,
        "action": action,
        "violations": [each._asdict() for each in found[:MOST_SHOWN]],
        "resources": [],
    }


EXCEPTIONS = {
    401: ("UNAUTHORIZED", "Unauthorized"),
    403: ("FORBIDDEN", "Forbidden"),
    404: ("NOT_FOUND", "Not found"),
    429: ("TOO_MANY_REQUESTS", "Too many requests"),
    500: ("GENERAL_ERROR", "Something went wrong. Please contact support."),
}


def exception_json(code: str, text: str) -> Json:
    return {"requestError": {"serviceException": {"messageId": code, "text": text}}}


def older_error_json(refusal: Refusal) -> Json:
    """`ApiException`: of the calls under /push/1 and /push/2."""
    code, text = EXCEPTIONS.get(refusal.status, (refusal.code, refusal.text))
    if refusal.status == 400:
        code = "BAD_REQUEST"
    if isinstance(refusal, Violated) and refusal.violations:
        first = refusal.violations[0]
        text = f"{first.property} {first.violation}".strip()
    return exception_json(code, text)


# ------------------------------------------------------------------- reading pydantic's errors

_TYPES = {
    "bool_type": "must be a boolean",
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "missing": "must not be null",
    "union_tag_not_found": "must not be null",
}
_LIMITS = {
    "string_too_long": "size must be at most {max_length}",
    "too_long": "size must be at most {max_length}",
    "too_short": "must not be empty",
    "string_too_short": "must not be blank",
    "greater_than_equal": "must be greater than or equal to {ge}",
    "less_than_equal": "must be less than or equal to {le}",
    "int_parsing_size": "must be an integer of at most 4300 digits",
}


def violations_of(errors: ValidationError, tags: frozenset[str]) -> list[Violation]:
    """One for each fault; `tags` are values of `type`, which pydantic puts into its paths."""
    return [_violation(each, tags) for each in errors.errors(include_url=False)[:MOST_SHOWN]]


def _violation(error: Mapping[str, Any], tags: frozenset[str]) -> Violation:
    kind, context = error["type"], error.get("ctx", {})
    place = path(part for part in error["loc"] if part not in tags)
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        place = f"{place}.type"
    if kind == "json_invalid":
        return Violation(place, "must be valid JSON")
    if error.get("input", ...) is None and kind != "missing":
        return Violation(place, "must not be null")
    match kind:
        case "literal_error" | "enum":
            said = f"must be one of {context['expected']}".replace("'", "").replace(" or ", ", ")
        case "union_tag_invalid":
            said = f"must be one of {context['expected_tags']}".replace("'", "")
        case "value_error":
            said = str(context["error"])
        case "member":
            place, said = f"{place}.{context['name']}".removeprefix("."), context["said"]
        case _ if kind in _LIMITS:
            said = _LIMITS[kind].format(**context)
        case _:
            said = _TYPES.get(kind) or "cannot be read"
    return Violation(place, said)


def path(location: Any) -> str:
    """`messages[0].content.text`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{str(part)[:LONGEST_NAME]}"
    return text.removeprefix(".")
