"""The document, and pages on which people read it: no other server is asked for anything."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from api.endpoint import Json
from api.openapi import curl
from api.openapi.calls import Call, Family
from api.openapi.document import FAMILIES, calls, document, operation_id
from api.openapi.rows import Row, kind_of, rows_of
from pushadmin.web import page_or_partial

LONGEST_SEARCH = 100  # characters


def base_url(request: HttpRequest) -> str:
    """Where systems reach us: as somebody has said, else as this request did."""
    return settings.NEW_BASE_URL or request.build_absolute_uri("/").rstrip("/")


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """GET /openapi.json, for programs that make clients: it holds no secret."""
    told = json.dumps(document(base_url(request)), ensure_ascii=False, separators=(",", ":"))
    return HttpResponse(told.encode(), content_type="application/json")


# ------------------------------------------------------------------- all calls


@dataclass(frozen=True, slots=True)
class Line:
    """A call in the list of all."""

    call: Call
    name: str


@login_required
@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """Every call, by family; found by a word of its path, its title or its members."""
    search = request.GET.get("q", "").strip()[:LONGEST_SEARCH]
    words = search.lower().split()
    found = [(family, lines) for family in FAMILIES if (lines := _fitting(family, words))]
    context = {
        "families": found,
        "search": search,
        "base_url": base_url(request),
        "count": sum(len(lines) for _, lines in found),
    }
    return page_or_partial(request, "reference/reference.html", "calls", context)


def _fitting(family: Family, words: Sequence[str]) -> list[Line]:
    lines = [Line(call, operation_id(family, call)) for call in family.calls]
    return [each for each in lines if all(word in _searched()[each.name] for word in words)]


@cache
def _searched() -> Mapping[str, str]:
    """What a call is found by."""
    known = document("")["components"]["schemas"]
    return {
        operation_id(family, call): " ".join(
            [family.name, call.method, call.path, call.title, *_members_of(family, call, known)]
        ).lower()
        for family, call in calls()
    }


def _members_of(family: Family, call: Call, known: Mapping[str, Json]) -> Iterator[str]:
    told = _operation(family, call)
    yield from (each["name"] for each in told.get("parameters", ()))
    for schema in _schemas_of(told):
        yield from (row.name for row in rows_of(schema, known))


def _operation(family: Family, call: Call) -> Json:
    told: Json = document("")["paths"][call.path][call.method]
    return told


def _schemas_of(told: Json) -> Iterator[Json]:
    for place in (told.get("requestBody", {}), *told["responses"].values()):
        for media in place.get("content", {}).values():
            yield media["schema"]


# ------------------------------------------------------------------- one call


@dataclass(frozen=True, slots=True)
class Answer:
    """One status, with what its body has."""

    status: str
    says: str
    rows: Sequence[Row]
    example: str


@login_required
@require_safe
def call_detail(request: HttpRequest, name: str) -> HttpResponse:
    """One call: what goes in, what comes out, and how it is typed into a shell."""
    everything = list(calls())
    names = [operation_id(*each) for each in everything]
    if name not in names:
        raise Http404("There is no such call.")
    place = names.index(name)
    family, call = everything[place]
    told, known = _operation(family, call), document("")["components"]["schemas"]
    answers = [_answer(status, at, known) for status, at in told["responses"].items()]
    body = told.get("requestBody", {}).get("content", {}).get(call.body_type)
    context = {
        "family": family,
        "call": call,
        "parameters": [
            (each, kind_of(each["schema"], known)) for each in told.get("parameters", ())
        ],
        "rows": rows_of(body["schema"], known) if body else (),
        "command": curl.command(base_url(request), family, call),
        "answers": [each for each in answers if each.status < "300"],
        "refusals": [each for each in answers if each.status >= "300"],
        "refusal_rows": rows_of(family.error, known),
        "previous": _neighbour(everything, names, place - 1) if place else None,
        "next": _neighbour(everything, names, place + 1),
    }
    return render(request, "reference/call.html", context)


def _neighbour(
    everything: Sequence[tuple[Family, Call]], names: Sequence[str], place: int
) -> Line | None:
    return Line(everything[place][1], names[place]) if place < len(names) else None


def _answer(status: str, told: Json, known: Mapping[str, Json]) -> Answer:
    media = next(iter(told.get("content", {}).values()), None)
    example = media.get("example") if media else None
    return Answer(
        status=status,
        says=told["description"],
        rows=rows_of(media["schema"], known) if media else (),
        example="" if example is None else json.dumps(example, ensure_ascii=False, indent=2),
    )
