"""JSON in and out; errors to responses.

A family is one vendor's API: its paths share how callers prove who they are, and what an
error looks like. Everything that comes in is hostile until its schema has read it.
"""

import json
import logging
import math
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import wraps
from http import HTTPStatus
from typing import Annotated, Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.urls import Resolver404, resolve
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from devices.attributes import is_date
from devices.audit import Author
from devices.models import Application
from devices.unsaid import UNSAID

log = logging.getLogger(__name__)

Json: TypeAlias = dict[str, Any]
View: TypeAlias = Callable[..., HttpResponse]

BODY_LIMIT = 2**20  # bytes
CUT_OFF = "Request body should arrive completely"
FOREIGN_HOST = "Host should be a name of this server: whoever runs it adds it to ALLOWED_HOSTS"
AWAY = (OperationalError, InterfaceError)  # the database is, and comes back in a moment
COME_BACK = {"Retry-After": "1"}  # second


class ApiRequest(HttpRequest):
    """A request whose caller is known."""

    application: Application
    author: Author  # who calls, where a family writes changes down
    answer_headers: Mapping[str, str]  # on the answer, where a handler wants any


class Schema(BaseModel):
    """A body as its sender writes it. Types are strict; members we do not know are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    def said(self, name: str, cleared: Any) -> Any:
        """A member, `cleared` for null, UNSAID if it was left out."""
        if name not in self.model_fields_set:
            return UNSAID
        value = getattr(self, name)
        return cleared if value is None else value


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a string without NUL")
    return text


DEEPEST = 50  # levels of an object that is kept as it came
READ_LEVELS = 200  # levels of a body that are read at all: pydantic's own limit


def _storable(value: Any) -> Any:
    """What PostgreSQL keeps as JSON: no NUL, no infinity, and nobody nests for ever."""
    return _kept(value, DEEPEST)


def _tree(value: Any) -> Any:
    """The same of an object whose reader says itself how deep it may be."""
    return _kept(value, READ_LEVELS)


def _kept(value: Any, deepest: int, depth: int = 0) -> Any:
    match value:
        case str() if "\0" in value:
            raise ValueError("object without NUL")
        case float() if not math.isfinite(value):
            raise ValueError("object with finite numbers")
        case int() if not -(10**100) < value < 10**100:
            raise ValueError("object with numbers of at most 100 digits")
        case dict() | list():
            if depth == deepest:
                raise ValueError(f"object of at most {deepest} levels")
            for each in value.items() if isinstance(value, dict) else value:
                for part in each if isinstance(each, tuple) else (each,):
                    _kept(part, deepest, depth + 1)
    return value


def _day(value: object) -> date:
    """The day of `1985-07-12`, also of a longer ISO text (contract/people.md 5)."""
    if isinstance(value, str) and is_date(value[:10]) and value[10:11] in {"", "T"}:
        return date.fromisoformat(value[:10])
    raise ValueError("date (YYYY-MM-DD)")


class Documented:
    """What a validator asks for, as JSON Schema says it."""

    def __init__(self, **said: Any) -> None:
        self.said = said

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core), **self.said}


NO_NUL = Documented(pattern=r"^[^\x00]*$")
NOT_BLANK = Documented(pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")

Text = Annotated[str, AfterValidator(_without_nul), NO_NUL]  # what Postgres can store
Text50 = Annotated[str, Field(max_length=50), AfterValidator(_without_nul), NO_NUL]
Text100 = Annotated[str, Field(max_length=100), AfterValidator(_without_nul), NO_NUL]
Text255 = Annotated[str, Field(max_length=255), AfterValidator(_without_nul), NO_NUL]
Text256 = Annotated[str, Field(max_length=256), AfterValidator(_without_nul), NO_NUL]
StoredObject = Annotated[dict[str, Any], AfterValidator(_storable)]  # any, kept as it came
StoredTree = Annotated[dict[str, Any], AfterValidator(_tree)]
Text2083 = Annotated[str, Field(max_length=2083), AfterValidator(_without_nul), NO_NUL]
Text4000 = Annotated[str, Field(max_length=4000), AfterValidator(_without_nul), NO_NUL]
Day = Annotated[date, BeforeValidator(_day)]


@dataclass(eq=False)
class Refusal(Exception):
    """An answer other than 2xx, in the words of a family."""

    status: int
    code: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """What the paths of one vendor's API share."""

    authorize: Callable[[HttpRequest], Application | None]  # None: not of one; raises Refusal
    error: Callable[[Refusal], Json]  # the body of an error
    bad_format: str  # the code of a body that cannot be read
    not_found: str  # the code of a path that does not exist
    fault: str  # the code of an error of ours
    headers: Callable[[], Mapping[str, str]]  # on every response
    empty: HTTPStatus = HTTPStatus.NO_CONTENT  # of an answer that has nothing to say
    most: int = BODY_LIMIT  # bytes of a body
    success: HTTPStatus = HTTPStatus.OK  # of an answer with content
    explains_503: bool = True  # Infobip's SDKs repeat a 5xx without a body, and no other


Body = TypeVar("Body", bound=BaseModel)
P = ParamSpec("P")
Answer = TypeVar("Answer", Json, None)


def reading(
    schema: type[Body], family: Family, *, may_be_empty: bool = False
) -> Callable[
    [Callable[Concatenate[ApiRequest, Body, P], Answer]],
    Callable[Concatenate[ApiRequest, P], Answer],
]:
    """Give a handler its body, read by a schema; refuse what the schema cannot read.

    Where it may be empty, no body at all is an object without members.
    """

    def decorate(
        handler: Callable[Concatenate[ApiRequest, Body, P], Answer],
    ) -> Callable[Concatenate[ApiRequest, P], Answer]:
        @wraps(handler)
        def handle(request: ApiRequest, /, *args: P.args, **kwargs: P.kwargs) -> Answer:
            raw = body_of(request, family)
            if may_be_empty and not raw.strip():
                raw = b"{}"
            try:
                body = schema.model_validate_json(raw)
            except ValidationError as errors:
                raise Refusal(400, family.bad_format, explain(errors, raw)) from errors
            return handler(request, body, *args, **kwargs)

        return handle

    return decorate


def body_of(request: HttpRequest, family: Family) -> bytes:
    """The whole body, unzipped, if it is not too long. Raises Refusal."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > family.most:
        sentence = f"Request body should be at most {family.most} bytes"
        raise Refusal(413, family.bad_format, sentence)
    try:
        body = request.body
    except UnreadablePostError as error:
        raise Refusal(400, family.bad_format, CUT_OFF) from error
    if len(body) < int(length):
        raise Refusal(400, family.bad_format, CUT_OFF)
    match request.headers.get("Content-Encoding", "").strip().lower():
        case "gzip" | "x-gzip":
            body = _unzipped(body, family)
        case "" | "identity":
            pass
        case _:
            sentence = "Content-Encoding should be gzip, or left out"
            raise Refusal(400, family.bad_format, sentence)
    return body.removeprefix(BOM_UTF8)  # as clients for .NET begin their JSON


def _unzipped(body: bytes, family: Family) -> bytes:
    reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        plain = reader.decompress(body, family.most + 1)
    except zlib.error as error:
        raise Refusal(400, family.bad_format, "Request body should be gzip, as it says") from error
    if len(plain) > family.most:
        sentence = f"Request body should be at most {family.most} bytes"
        raise Refusal(413, family.bad_format, sentence)
    if not reader.eof:
        raise Refusal(400, family.bad_format, CUT_OFF)
    return plain


_TYPES = {
    "bool_type": "boolean",
    "string_type": "string",
    "int_type": "integer",
    "int_from_float": "integer",
    "float_type": "number",
    "finite_number": "number",
    "list_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "missing": "given",
}


def explain(errors: ValidationError, raw: bytes = b"") -> str:
    """The first thing wrong with a body: `{Field name} should be {supported type}`."""
    first = errors.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        if "recursion limit" in first.get("ctx", {}).get("error", ""):
            return f"{_deep_place(raw)} should be nested at most {READ_LEVELS} levels deep"
        return "Request body should be valid JSON"
    name = ".".join(str(part)[:100] for part in first["loc"]) or "Request body"
    context = first.get("ctx", {})
    match first["type"]:
        case "literal_error" | "enum":
            wanted = str(context["expected"]).replace("'", "")
        case "too_long":
            wanted = f"array of at most {context['max_length']} members"
        case "too_short":
            wanted = f"array of at least {context['min_length']} members"
        case "string_too_long":
            wanted = f"string of at most {context['max_length']} characters"
        case "value_error":
            wanted = str(context["error"])
        case kind:
            wanted = _TYPES.get(kind) or first["msg"]
    return f"{name} should be {wanted}"


_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]')
PLACE_LENGTH = 100  # characters of a place that are said


def _deep_place(raw: bytes) -> str:
    """Where a body goes deeper than it is read, like `rule.all.0.not…`. It is JSON until there."""
    steps: list[str | int] = []  # a name or a number for each level that is open
    last = ""
    for match in _TOKENS.finditer(raw):
        token = match.group()
        if token in (b"{", b"["):
            steps.append("" if token == b"{" else 0)
        elif token in (b"}", b"]"):
            steps.pop()
        elif token == b"," and isinstance(steps[-1], int):
            steps[-1] += 1
        elif token == b":":
            steps[-1] = last
        elif token.startswith(b'"'):
            last = token[1:-1].decode(errors="replace")
        if len(steps) > READ_LEVELS or not steps:
            break
    place = ".".join(map(str, steps)) or "Request body"
    return place if len(place) <= PLACE_LENGTH else f"{place[:PLACE_LENGTH]}…"


_FAMILIES: dict[View, Family] = {}  # of the paths there are


def of_family(family: Family, view: View) -> View:
    """Have it refused in the family's words also where no request gets as far as the view."""
    _FAMILIES[view] = family
    return view


def endpoint(family: Family, **handlers: Callable[..., Json | None]) -> View:
    """One path of a family: a handler for each method it knows; None is an empty answer.

    The caller is checked first, then the method, then the body. `POST` with the header
    `X-HTTP-Method-Override: PATCH` means PATCH, as SDKs for Android write it.
    """
    allowed = ", ".join(sorted(handlers))

    @csrf_exempt
    def view(request: ApiRequest, **captured: Any) -> HttpResponse:
        try:
            if (application := family.authorize(request)) is not None:
                request.application = application
            handler = handlers.get(method_of(request))
            if handler is None:
                refusal = Refusal(405, "METHOD_NOT_ALLOWED", f"This path answers {allowed}")
                return _refuse(family, refusal, {"Allow": allowed})
            content = handler(request, **captured)
            if content is None:
                empty = {"Content-Length": "0"} if family.empty != HTTPStatus.NO_CONTENT else {}
                nothing = HttpResponse(status=family.empty, headers={**family.headers(), **empty})
                del nothing.headers["Content-Type"]  # clients would read it as HTML
                return nothing
            headers = getattr(request, "answer_headers", None)
            return _answer(family, family.success, content, headers)
        except Refusal as refusal:
            return _refuse(family, refusal, refusal.headers)
        except AWAY:
            if family.explains_503:
                return _refuse(
                    family, Refusal(503, family.fault, "Try again in a moment"), COME_BACK
                )
            empty = {**family.headers(), **COME_BACK, "Content-Length": "0"}
            return HttpResponse(status=503, headers=empty)
        except Exception:
            log.exception("%s failed", request.path_info)
            return _refuse(family, Refusal(500, family.fault, "Something went wrong here"))

    return of_family(family, view)


def method_of(request: HttpRequest) -> str:
    """The method that is meant: `POST` may carry another one in a header."""
    if request.method == "POST":
        return request.headers.get("X-HTTP-Method-Override", "POST").upper()
    return request.method or ""


def elsewhere(family: Family) -> View:
    """The view for every other path of a family: 404 in its own words.

    A path with repeated slashes is led to where it belongs: an SDK joins base and path as text.
    """

    @csrf_exempt
    def view(request: HttpRequest) -> HttpResponse:
        path = re.sub("/{2,}", "/", request.path_info)
        if path != request.path_info:
            found = resolve(path, getattr(request, "urlconf", None))
            if found.func is not view:
                return found.func(request, *found.args, **found.kwargs)  # type: ignore[no-any-return]
        return _refuse(family, Refusal(404, family.not_found, "There is nothing at this path"))

    return of_family(family, view)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What was refused before any view saw it, such as a foreign `Host`, in the family's words."""
    try:
        family = _FAMILIES.get(resolve(request.path_info).func)
    except Resolver404:
        family = None
    if family is None:
        return defaults.bad_request(request, exception)
    said = FOREIGN_HOST if isinstance(exception, DisallowedHost) else "This request cannot be read"
    return _refuse(family, Refusal(400, family.bad_format, said))


def _refuse(
    family: Family, refusal: Refusal, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    return _answer(family, refusal.status, family.error(refusal), headers)


def _answer(
    family: Family, status: int, content: Json, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return HttpResponse(
        body,
        status=status,
        content_type="application/json",
        headers={**family.headers(), **(headers or {}), "Content-Length": str(len(body))},
    )


def base_url_headers() -> Mapping[str, str]:
    """Where apps reach us from now on, if somebody has said so."""
    return {"New-Base-URL": settings.NEW_BASE_URL} if settings.NEW_BASE_URL else {}
