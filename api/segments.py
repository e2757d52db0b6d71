"""Saved rules for other systems: /segments/1/. Our own words; no vendor has this.

A caller has a key with the scope `segments:read` or `segments:manage` and names the application
in the header `AppCode`, as in the people API.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

from django.db import transaction
from django.http import HttpRequest
from pydantic import Field

from api import keys, limits
from api.auth import find_application
from api.endpoint import (
    COME_BACK,
    ApiRequest,
    Family,
    Json,
    Refusal,
    Schema,
    StoredTree,
    Text100,
    elsewhere,
    endpoint,
    method_of,
    reading,
)
from campaigns import audience, counting, segmenting
from campaigns.audience import AudienceSize
from campaigns.errors import NameTakenError, RuleError, SegmentInUseError, StaleDraftError
from campaigns.models import Segment
from campaigns.targeting import sentence
from devices.models import ApiKey, Application, Platform

MANAGE = ("segments:manage",)
READ = (*MANAGE, "segments:read")
CALLS_PER_SECOND = 50  # of one application
LIMIT, MOST = 100, 1000  # of one page
LARGEST = 2**63 - 1


def error_json(refusal: Refusal) -> Json:
    return {"error": {"code": refusal.code, "text": refusal.text}}


def _authorize(request: HttpRequest) -> Application:
    """The application of the header `AppCode`, once the caller is known."""
    scopes = READ if method_of(request) == "GET" else MANAGE
    author = keys.author_of(request, ApiKey.Family.INFOBIP, scopes)
    cast("ApiRequest", request).author = author
    application = find_application(request.headers.get("AppCode", "").strip())
    if application is None or not application.enabled:
        text = "The header AppCode should be the code of an application that is switched on"
        raise Refusal(400, "UNKNOWN_APPLICATION", text)
    limits.take(f"segments:{application.pk}", CALLS_PER_SECOND)
    return application


FAMILY = Family(
    authorize=_authorize,
    error=error_json,
    bad_format="BAD_REQUEST",
    not_found="NOT_FOUND",
    fault="GENERAL_ERROR",
    headers=dict,
)


class SegmentBody(Schema):
    name: Text100 = Field(min_length=1)
    rule: StoredTree
    excludes: bool | None = None  # of every send; left out: as it is


class SegmentChange(SegmentBody):
    version: int  # that its writer has seen


def _create(request: ApiRequest, body: SegmentBody) -> Json:
    """POST /segments/1/segments: check a rule and keep it under a name."""
    with _refusing(), transaction.atomic():
        created = segmenting.create(
            request.application, request.author, name=body.name, rule=body.rule
        )
        _exclude(request, created, body)
    return segment_json(created)


def _change(request: ApiRequest, body: SegmentChange, number: int) -> Json:
    """PUT …/{id}: name and rule as a whole, by whoever has seen the version that there is.

    Whether nobody in it gets anything stays as it is where that is left out.
    """
    segment = _segment(request, number)
    with _refusing(), transaction.atomic():
        changed = segmenting.change(
            segment, request.author, version=body.version, name=body.name, rule=body.rule
        )
        _exclude(request, changed, body)
    return segment_json(changed)


def _exclude(request: ApiRequest, segment: Segment, body: SegmentBody) -> None:
    if body.excludes is not None:
        segmenting.exclude(segment, request.author, excludes=body.excludes)


def _delete(request: ApiRequest, number: int) -> None:
    """DELETE …/{id}: refused while a campaign or another segment names it."""
    with _refusing():
        segmenting.delete(_segment(request, number), request.author)


@contextmanager
def _refusing() -> Iterator[None]:
    """Refusals of a change, as this API says them."""
    try:
        yield
    except RuleError as fault:
        raise Refusal(400, "RULE", str(fault)) from fault
    except NameTakenError as fault:
        raise Refusal(409, "NAME_TAKEN", "This application has a segment of that name") from fault
    except StaleDraftError as fault:
        text = "It was changed or deleted meanwhile. Read it again, and send its version"
        raise Refusal(409, "CHANGED", text) from fault
    except SegmentInUseError as fault:
        raise Refusal(409, "IN_USE", str(fault)) from fault


def _list(request: ApiRequest) -> Json:
    """GET /segments/1/segments?after=&limit=, in the order of their numbers."""
    after, limit = page_of(request)
    found = Segment.objects.filter(application=request.application, pk__gt=after).order_by("pk")
    shown = list(found[: limit + 1])
    return {
        "segments": [segment_json(each) for each in shown[:limit]],
        "next": shown[limit - 1].pk if len(shown) > limit else None,
    }


def _read(request: ApiRequest, number: int) -> Json:
    return segment_json(_segment(request, number))


def _count(request: ApiRequest, number: int) -> Json:
    """GET …/count: at once, perhaps estimated; with `?exactly=true`, counted within 20 seconds."""
    segment = _segment(request, number)
    exactly = _choice(request, "exactly", ("false", "true")) == "true"
    try:
        if not exactly:
            return size_json(counting.live(request.application, segment.rule, primary_only=False))
        size = counting.count_exactly(
            request.application, segment.rule, primary_only=False, beside=True
        )
    except RuleError as fault:  # what it names was deleted
        raise Refusal(409, "RULE", str(fault)) from fault
    if size is None:
        text = "To count this exactly takes too long. Ask without exactly, or later"
        raise Refusal(503, "GENERAL_ERROR", text, COME_BACK)
    return size_json(size)


def _members(request: ApiRequest, number: int) -> Json:
    """GET …/members?after=&limit=: devices a push reaches now, in the order of their numbers."""
    segment, (after, limit) = _segment(request, number), page_of(request)
    try:
        devices = audience.of(request.application, segment.rule).filter(pk__gt=after)
    except RuleError as fault:
        raise Refusal(409, "RULE", str(fault)) from fault
    rows = devices.order_by("pk").values_list("pk", "address__public_id", "platform")
    found = list(rows[: limit + 1])
    return {
        "members": [
            {"registrationId": str(public_id), "platform": Platform(platform).label}
            for _, public_id, platform in found[:limit]
        ],
        "next": found[limit - 1][0] if len(found) > limit else None,
    }


def _segment(request: ApiRequest, number: int) -> Segment:
    known = number <= LARGEST
    found = Segment.objects.filter(pk=number, application=request.application) if known else None
    segment = found.first() if found is not None else None
    if segment is None:
        raise Refusal(404, "NOT_FOUND", f"This application has no segment {number}")
    return segment


def page_of(request: ApiRequest) -> tuple[int, int]:
    after = _number(request, "after", 0, least=0, most=LARGEST)
    return after, _number(request, "limit", LIMIT, least=1, most=MOST)


def _number(request: ApiRequest, name: str, default: int, *, least: int, most: int) -> int:
    text = request.GET.get(name, str(default))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
    if not least <= number <= most:
        raise Refusal(400, "BAD_REQUEST", f"{name} should be a number from {least} to {most}")
    return number


def _choice(request: ApiRequest, name: str, choices: tuple[str, ...]) -> str:
    text = request.GET.get(name, choices[0])
    if text not in choices:
        raise Refusal(400, "BAD_REQUEST", f"{name} should be {' or '.join(choices)}")
    return text


def segment_json(segment: Segment) -> Json:
    return {
        "id": segment.pk,
        "name": segment.name,
        "version": segment.version,
        "rule": segment.rule,
        "sentence": sentence(segment.rule),
        "excludes": segment.excludes,
        "createdAt": time_of(segment.created_at),
        "changedAt": time_of(segment.changed_at),
    }


def size_json(size: AudienceSize) -> Json:
    """A count; an estimate with how far it may be off (95 %), or what it is less than."""
    told: dict[str, Any] = {
        "total": size.total,
        "exact": size.exact,
        "byPlatform": {each.label: number for each, number in size.by_platform.items()},
        "leftOut": [
            {"reason": reason.label, "devices": number} for reason, number in size.left_out.items()
        ],
    }
    if size.error:
        told["error"] = size.error
    if size.at_most is not None:
        told["atMost"] = size.at_most
    return told


def time_of(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


segments = endpoint(FAMILY, GET=_list, POST=reading(SegmentBody, FAMILY)(_create))
segment = endpoint(FAMILY, GET=_read, PUT=reading(SegmentChange, FAMILY)(_change), DELETE=_delete)
count = endpoint(FAMILY, GET=_count)
members = endpoint(FAMILY, GET=_members)
nothing = elsewhere(FAMILY)
