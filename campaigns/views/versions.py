"""What a segment was before: compare two versions, and go back to one."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import OperationalError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import comparing, counting, segmenting
from campaigns.errors import CampaignError, RuleError
from campaigns.models import Segment, SegmentVersion
from campaigns.targeting import Rule, to_q
from campaigns.views.segments import PATIENCE, segment_of
from campaigns.views.sizes import size_of
from devices.models import Registration
from devices.permissions import ApplicationRequest, Right, page

PAGE = "campaigns/segment_versions.html"
EXAMPLES = 5  # devices shown of those who enter, or leave
WAYS = {"enter": comparing.entering, "leave": comparing.leaving}


@dataclass(frozen=True, slots=True)
class Pair:
    """The two versions that are compared."""

    before: SegmentVersion
    after: SegmentVersion


def _pair(request: ApplicationRequest, segment: Segment) -> Pair | None:
    """Those that are asked for; else the last two. None where there is one version only."""
    newest = list(segment.versions.select_related("made_by")[:2])
    if len(newest) < 2:
        return None
    asked = {
        name: _version(segment, request.GET.get(name, ""), default)
        for name, default in (("before", newest[1]), ("after", newest[0]))
    }
    return Pair(**asked)


def _version(segment: Segment, text: str, default: SegmentVersion) -> SegmentVersion:
    if not text:
        return default
    known = text.isascii() and text.isdecimal() and len(text) < 10
    versions = segment.versions.select_related("made_by")
    found = versions.filter(number=int(text)).first() if known else None
    if found is None:
        raise Http404("This segment has no such version.")
    return found


@require_GET
@page(Right.SEE_CAMPAIGNS)
def segment_versions(request: ApplicationRequest, pk: int) -> HttpResponse:
    """The sentences of two versions, and who enters and leaves from one to the other."""
    segment = segment_of(request, pk)
    pair = _pair(request, segment)
    context: dict[str, Any] = {
        "segment": segment,
        "versions": list(segment.versions.select_related("made_by")),
        "pair": pair,
    }
    if pair is not None:
        before, after = comparing.compare(pair.before.rule, pair.after.rule)
        context |= {"sides": [(pair.before, before, "del"), (pair.after, after, "ins")]}
        context |= _moving(request, segment, pair)
        context["current"] = context["versions"][0].number
    return render(request, PAGE, context)


@require_http_methods(["GET", "POST"])
@page(Right.SEE_CAMPAIGNS)
def segment_moving(request: ApplicationRequest, pk: int) -> HttpResponse:
    """How many enter and leave; a page that shows an estimate asks again by POST."""
    segment = segment_of(request, pk)
    pair = _pair(request, segment)
    if pair is None:
        raise Http404("This segment has one version.")
    context = {"segment": segment, "pair": pair, **_moving(request, segment, pair)}
    return render(request, f"{PAGE}#segment-moving", context)


def _moving(request: ApplicationRequest, segment: Segment, pair: Pair) -> dict[str, Any]:
    exactly = request.method == "POST"
    try:
        sizes = {
            way: size_of(
                segment.application, rule(pair.before.rule, pair.after.rule), exactly=exactly
            )
            for way, rule in WAYS.items()
        }
    except RuleError as fault:
        return {"fault": _fault(segment, pair, fault)}
    estimates = [size for size in sizes.values() if not size.exact]
    return {
        "sizes": sizes,
        "exact": not estimates,
        "stays": bool(estimates) and all(size.stays for size in estimates),
    }


def _fault(segment: Segment, pair: Pair, fault: RuleError) -> str:
    """Which of the two cannot be read; or that both can, and are too large together."""
    for version in (pair.before, pair.after):
        try:
            to_q(version.rule, segment.application)
        except RuleError as problem:
            return f"Version {version.number} cannot be read any more: {problem}"
    return f"Both versions together are too large to be counted: {fault.problem}"


@require_GET
@page(Right.SEE_DEVICES)
def segment_moved(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Some of those who enter, or leave."""
    segment, way = segment_of(request, pk), request.GET.get("way", "")
    pair = _pair(request, segment)
    if pair is None or way not in WAYS:
        raise Http404("There is nothing to compare.")
    rule: Rule = WAYS[way](pair.before.rule, pair.after.rule)
    context: dict[str, Any] = {"asked": True}
    try:
        with counting.patience(PATIENCE):
            keys = counting.some(request.application, rule, most=EXAMPLES)
            devices = Registration.objects.filter(pk__in=keys).select_related("person", "address")
            context["members"] = list(devices.order_by("-pk"))
    except OperationalError:
        context["late"] = True
    except RuleError:
        context["asked"] = False  # the page says it
    return render(request, f"{PAGE}#segment-moved", context)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def segment_restore(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Let an older version count again; the page says whom it is done to before."""
    segment = segment_of(request, pk)
    old = _posted(request, segment)
    seen = request.POST.get("version", "")
    number = int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < 10 else 0
    try:
        segmenting.restore(segment, request.user, number=old.number, version=number)
    except RuleError as fault:
        messages.error(request, f"Version {old.number} cannot be read any more: {fault}")
        return redirect("campaigns:segment-versions", request.application.pk, segment.pk)
    except CampaignError as refusal:
        messages.error(request, str(refusal))
        return redirect("campaigns:segment-versions", request.application.pk, segment.pk)
    messages.success(request, f"{segment.name} says again what version {old.number} said.")
    return redirect(segment)


def _posted(request: ApplicationRequest, segment: Segment) -> SegmentVersion:
    text = request.POST.get("number", "")
    known = text.isascii() and text.isdecimal() and len(text) < 10
    found = segment.versions.filter(number=int(text)).first() if known else None
    if found is None:
        raise Http404("This segment has no such version.")
    return found
