"""Find a segment, read it, ask it."""

from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import audience, counting, excluding, explaining, segmenting, trends
from campaigns.errors import RuleError, SegmentInUseError
from campaigns.explaining import Verdict
from campaigns.models import Reason, Segment
from campaigns.segmenting import Use
from campaigns.targeting import Rule, sentence
from campaigns.views.sizes import clauses_of, opened_in, size_of
from devices import finding
from devices.models import Application, AuditEntry, Registration
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial, searched

SAMPLE = 10  # members shown
PATIENCE = 2000  # milliseconds for them
DEVICES = 5  # of whoever was asked for
CHANGES = 5  # of the history
LISTED = 30  # days of the line in the list
VERSIONS = 5  # listed on the segment's page
DETAIL = "campaigns/segment_detail.html"


@dataclass(slots=True)
class Answer:
    """Whether one device matches."""

    device: Registration
    verdict: Verdict
    hindrance: str = ""  # it matches, and a push still does not reach it
    remedy: str = ""
    no: list[Verdict] = field(default_factory=list)


def segment_of(request: ApplicationRequest, pk: int) -> Segment:
    segments = Segment.objects.select_related("created_by")
    segment = get_object_or_404(segments, pk=pk, application=request.application)
    segment.application = request.application
    return segment


@require_GET
@page(Right.SEE_CAMPAIGNS)
def segment_list(request: ApplicationRequest) -> HttpResponse:
    """Segments, newest first; each asks for its size by itself."""
    segments = Segment.objects.filter(application=request.application).select_related("created_by")
    search = searched(request)
    if search:
        segments = segments.filter(name__icontains=search)
    pager = newest_first(request, segments, one="segment", many="segments")
    uses = segmenting.uses(request.application)
    days = trends.lines([segment.pk for segment in pager.rows], days=LISTED)
    context = {
        "pager": pager,
        "lines": [
            (segment, uses.get(segment.pk, []), *_line(days.get(segment.pk, [])))
            for segment in pager.rows
        ],
        "search": search,
    }
    return page_or_partial(request, "campaigns/segment_list.html", "segment-table", context)


def _line(devices: list[int]) -> tuple[list[int], str]:
    """What the line of a segment shows, and says to screen readers."""
    if not devices:
        return [], ""
    return devices, f"From {devices[0]:,} to {devices[-1]:,} devices in the last {LISTED} days"


@require_GET
@page(Right.SEE_CAMPAIGNS)
def segment_detail(request: ApplicationRequest, pk: int) -> HttpResponse:
    segment = segment_of(request, pk)
    used_by: list[Use] = segmenting.uses(request.application).get(segment.pk, [])
    context = {
        "segment": segment,
        "sentence": sentence(segment.rule),
        "trend": trend_of(segment),
        "kept": trends.KEPT,
        "used_by": used_by,
        "versions": list(segment.versions.select_related("made_by")[:VERSIONS]),
        "changes": AuditEntry.objects.filter(
            object_type="segment", object_id=str(segment.pk), application=request.application
        )[:CHANGES],
        **_size(request, segment),
    }
    if Right.SEE_SETTINGS in request.rights:
        context["sql"] = sql_of(request.application, segment.rule)
    return render(request, DETAIL, context)


def trend_of(segment: Segment) -> dict[str, Any] | None:
    """The days of a segment as static/charts.js reads them; None before two were counted."""
    trend = trends.of(segment)
    if sum(devices is not None for devices in trend.devices) < 2:
        return None
    chart = {
        "kind": "line",
        "label": f"Devices that would get a push, last {len(trend.days)} days",
        "x": {"type": "day", "label": "Day"},
        "unit": "devices",
        "points": [day.isoformat() for day in trend.days],
        "series": [{"name": "Devices", "colour": "sent", "values": trend.devices}],
    }
    return {"chart": chart, "estimated": trend.estimated, "changed": trend.changed}


@require_http_methods(["GET", "POST"])
@page(Right.SEE_CAMPAIGNS)
def segment_size(request: ApplicationRequest, pk: int) -> HttpResponse:
    """How many it reaches: the number alone for the list, all of it for its page.

    A page that shows an estimate asks again by POST, until it is exact.
    """
    segment = segment_of(request, pk)
    part = "segment-size" if request.method == "POST" else "segment-number"
    context = {"segment": segment, **_size(request, segment)}
    return render(request, f"{DETAIL}#{part}", context)


def _size(request: ApplicationRequest, segment: Segment) -> dict[str, Any]:
    try:
        exactly = request.method == "POST"
        return {"size": size_of(request.application, segment.rule, exactly=exactly)}
    except RuleError as fault:  # what it names was deleted
        return {"size": None, "fault": str(fault)}


@require_http_methods(["GET", "POST"])
@page(Right.SEE_CAMPAIGNS)
def segment_clauses(request: ApplicationRequest, pk: int) -> HttpResponse:
    """How many devices each clause leaves, and `exactly` where that is asked for."""
    segment = segment_of(request, pk)
    exactly = "exactly" in request.POST
    context: dict[str, Any] = {"exactly": exactly}
    try:
        opened, rule = opened_in(request.POST), segment.rule
        context["clauses"] = clauses_of(request.application, rule, opened, exactly=exactly)
    except RuleError as fault:  # what it names was deleted
        context["fault"] = str(fault)
    context["url"] = reverse("campaigns:segment-clauses", args=[request.application.pk, pk])
    return render(request, "campaigns/_waterfall.html", context)


def sql_of(application: Application, rule: Rule) -> str:
    """The statement that finds who gets a push, as PostgreSQL is asked."""
    try:
        query = audience.of(application, rule).values("id").query
    except RuleError:
        return ""
    sql, parameters = query.sql_with_params()
    return str(connection.ops.compose_sql(sql, parameters))  # type: ignore[attr-defined]


@require_GET
@page(Right.SEE_DEVICES)
def segment_members(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Some of whom it reaches."""
    return members_page(request, segment_of(request, pk).rule)


def members_page(request: ApplicationRequest, rule: Rule) -> HttpResponse:
    context: dict[str, Any] = {"asked": True}
    try:
        with counting.patience(PATIENCE):
            keys = counting.some(request.application, rule, most=SAMPLE)
            devices = Registration.objects.filter(pk__in=keys)
            devices = devices.select_related("person", "address").order_by("-pk")
            context["members"] = list(devices)
    except OperationalError:
        context["late"] = True
    except RuleError as fault:
        context["fault"] = str(fault)
    return render(request, f"{DETAIL}#segment-members", context)


@require_GET
@page(Right.SEE_DEVICES)
def segment_match(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Does this device match, and which condition says no?"""
    return match_page(request, segment_of(request, pk).rule, request.GET.get("q", ""))


def match_page(request: ApplicationRequest, rule: Rule, asked: str) -> HttpResponse:
    typed = asked.replace("\x00", "").strip()[:4096]
    context: dict[str, Any] = {"typed": typed}
    if typed:
        devices = finding.devices_meant(request.application, typed, most=DEVICES + 1)
        try:
            context["answers"] = [_answer(rule, device) for device in devices[:DEVICES]]
            context["more"] = len(devices) > DEVICES
        except RuleError as fault:
            context["fault"] = str(fault)
    return render(request, f"{DETAIL}#segment-answers", context)


def _answer(rule: Rule, device: Registration) -> Answer:
    verdict = explaining.explain(rule, device)
    answer = Answer(device, verdict, no=list(verdict.no))
    if not device.enabled:
        reason = Reason.SWITCHED_OFF
    elif not device.notifications_enabled:
        reason = Reason.NOTIFICATIONS_OFF
    elif excluded := excluding.reasons(device.application, {device.pk}):
        reason = excluded[device.pk]
    else:
        return answer
    answer.hindrance, answer.remedy = str(reason.label), reason.remedy
    return answer


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def segment_delete(request: ApplicationRequest, pk: int) -> HttpResponse:
    segment = segment_of(request, pk)
    try:
        segmenting.delete(segment, request.user)
    except SegmentInUseError as refusal:
        messages.error(request, str(refusal))
        return redirect(segment)
    messages.success(request, f"{segment.name} is deleted.")
    return redirect("campaigns:segments", request.application.pk)
