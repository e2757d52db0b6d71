"""Order the steps of a scenario, and see whom each of them reaches."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import audience, boarding, flows, reaching, scenario_form, scenarios, texting
from campaigns.errors import CampaignError
from campaigns.forms import ComposerForm
from campaigns.models import Campaign, Scenario, SmsSender
from campaigns.reaching import StepReach
from campaigns.scenario_form import ScenarioForm
from campaigns.views.campaigns import campaign_of
from devices.models import AuditEntry, Registration
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial, searched

FORM = "campaigns/scenario_form.html"
DETAIL = "campaigns/scenario_detail.html"
PATIENCE = 5000  # milliseconds; the page is there already
COMPOSING = 2000  # milliseconds, while somebody writes
CHANGES = 5  # of the history
SHOWN = 20  # campaigns that use it


@dataclass(frozen=True, slots=True)
class Line:
    """A scenario of the list."""

    scenario: Scenario
    steps: list[StepReach]
    campaigns: int


def scenario_of(request: ApplicationRequest, pk: int) -> Scenario:
    return get_object_or_404(scenarios.of(request.application), pk=pk)


@require_GET
@page(Right.SEE_CAMPAIGNS)
def scenario_list(request: ApplicationRequest) -> HttpResponse:
    """Scenarios of the application, newest first."""
    found = scenarios.of(request.application)
    search = searched(request)
    if search:
        found = found.filter(name__icontains=search)
    pager = newest_first(request, found, one="scenario", many="scenarios")
    used = scenarios.times_used(request.application, pager.rows)
    context = {
        "pager": pager,
        "lines": [
            Line(each, reaching.steps(each.steps), used.get(each.pk, 0)) for each in pager.rows
        ],
        "search": search,
    }
    return page_or_partial(request, "campaigns/scenario_list.html", "scenario-table", context)


@require_GET
@page(Right.SEE_CAMPAIGNS)
def scenario_detail(request: ApplicationRequest, pk: int) -> HttpResponse:
    scenario = scenario_of(request, pk)
    campaigns = scenarios.uses(scenario).filter(application=request.application)
    context = {
        "scenario": scenario,
        "steps": reaching.steps(scenario.steps),
        "hindrance": scenarios.hindrance(scenario, request.application),
        "used_by": list(campaigns.only("name", "launched_at", "application")[:SHOWN]),
        "used": campaigns.count(),
        "used_elsewhere": scenarios.uses(scenario).exclude(application=request.application).count(),
        "unfit": _unfit(scenario),
        "changes": AuditEntry.objects.filter(
            object_type="scenario", object_id=str(pk), application=request.application
        )[:CHANGES],
    }
    return render(request, DETAIL, context)


def _unfit(scenario: Scenario) -> str:
    """Why campaigns cannot go by it; empty where they can."""
    channels = [step["channel"] for step in scenario.steps]
    return flows.unfit(channels)


@require_GET
@page(Right.SEE_CAMPAIGNS)
def scenario_reach(request: ApplicationRequest) -> HttpResponse:
    """Whom the steps reach, of everybody with a device here: a part of the pages above."""
    number = request.GET.get("scenario", "")
    scenario = None
    if number.isascii() and number.isdecimal() and len(number) < 18:
        scenario = scenarios.of(request.application).filter(pk=int(number)).first()
    devices = Registration.objects.filter(application=request.application)
    found = reaching.ways(devices, milliseconds=PATIENCE)
    said = scenario.steps if scenario is not None else [{"channel": "PUSH"}, {"channel": "SMS"}]
    context = {
        "ways": found,
        "steps": reaching.steps(said, found, price=boarding.price_of(request.application.pk)),
        "numbered": scenario is not None,
        "whole": "with a device here",
    }
    return render(request, "campaigns/_scenario_reach.html", context)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def scenario_choice(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Whom the steps of the chosen scenario reach, of the audience as it is typed."""
    campaign = campaign_of(request, pk)
    form = ComposerForm(request.POST, application=request.application, campaign=campaign)
    context: dict[str, Any] = {"unreadable": not form.audience_is_valid()}
    scenario: Scenario | None = form.cleaned_data.get("scenario")
    if scenario is not None and form.audience_is_valid():
        primary_only: bool = form.cleaned_data["primary_only"]
        devices = audience.matching(request.application, form.rule())
        found = reaching.ways(devices, primary_only=primary_only, milliseconds=COMPOSING)
        text = form.cleaned_data.get("text") or ""
        length = texting.length(text, request.application, form.rule())
        channels = [step["channel"] for step in scenario.steps]
        context |= {
            "scenario": scenario,
            "ways": found,
            "steps": reaching.steps(
                scenario.steps,
                found,
                price=boarding.price_of(request.application.pk),
                parts=length.most,
            ),
            "numbered": True,
            "length": length,
            "whole": "in the audience",
            "unfit": flows.unfit(channels),
            "no_gateway": "SMS" in channels and boarding.gateway_of(request.application.pk) is None,
        }
    return render(request, "campaigns/_scenario_choice.html", context)


# ------------------------------------------------------------------- writing


@require_http_methods(["GET", "POST"])
@page(Right.EDIT_CAMPAIGNS)
def scenario_new(request: ApplicationRequest) -> HttpResponse:
    if request.method == "GET":
        return _form(request, scenario_form.fresh(request.application, _usual_sender(request)))
    form = scenario_form.posted(request.POST, request.application)
    fault = ""
    if form.is_valid():
        try:
            made = scenarios.compose(request.application, request.user, form.draft())
        except CampaignError as refusal:
            fault = str(refusal)
        else:
            messages.success(request, f"{made} is saved.")
            return redirect("campaigns:scenario", request.application.pk, made.pk)
    return _form(request, form, fault=fault)


@require_http_methods(["GET", "POST"])
@page(Right.EDIT_CAMPAIGNS)
def scenario_edit(request: ApplicationRequest, pk: int) -> HttpResponse:
    scenario = scenario_of(request, pk)
    if problem := scenarios.hindrance(scenario, request.application):
        messages.error(request, problem)
        return redirect("campaigns:scenario", request.application.pk, pk)
    if request.method == "GET":
        seen = scenarios.mark(scenario)
        return _form(request, scenario_form.shown(scenario, request.application, seen), scenario)
    form = scenario_form.posted(request.POST, request.application)
    fault = ""
    if form.is_valid():
        try:
            scenarios.recompose(
                scenario, request.application, request.user, form.draft(), seen=form.seen
            )
        except CampaignError as refusal:
            fault = str(refusal)
        else:
            messages.success(request, f"{form.name} is saved.")
            return redirect("campaigns:scenario", request.application.pk, pk)
    return _form(request, form, scenario, fault=fault)


def _form(
    request: ApplicationRequest,
    form: ScenarioForm,
    scenario: Scenario | None = None,
    *,
    fault: str = "",
) -> HttpResponse:
    usual = _usual_sender(request)
    known = list(SmsSender.objects.values_list("name", flat=True)[:100])
    context: dict[str, Any] = {
        "form": form,
        "scenario": scenario,
        "fault": fault,
        "senders": scenario_form.senders(known, usual),
        "blanks": [scenario_form.blank("new", "PUSH"), scenario_form.blank("new", "SMS", usual)],
        "most": scenario_form.MOST_STEPS,
        "units": list(scenario_form.UNITS),
        "running": _running(scenario),
    }
    return render(request, FORM, context)


def _usual_sender(request: ApplicationRequest) -> str:
    gateway = boarding.gateway_of(request.application.pk)
    return str(gateway.data.get("sender", "")) if gateway is not None else ""


def _running(scenario: Scenario | None) -> int:
    """Drafts that a change concerns."""
    if scenario is None:
        return 0
    return Campaign.objects.filter(scenario=scenario, launched_at=None).count()


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def scenario_delete(request: ApplicationRequest, pk: int) -> HttpResponse:
    scenario = scenario_of(request, pk)
    try:
        scenarios.delete(scenario, request.application, request.user)
    except CampaignError as refusal:
        messages.error(request, str(refusal))
        return redirect("campaigns:scenario", request.application.pk, pk)
    messages.success(request, f"{scenario} is deleted.")
    return redirect("campaigns:scenarios", request.application.pk)
