"""Follow a campaign that was launched; undo, pause, resume, cancel it."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from campaigns import (
    canaries,
    composing,
    flows,
    pacing,
    recurring,
    resending,
    scheduling,
    stages,
    statistics,
    tasks,
    variant_figures,
    winners,
)
from campaigns.content_forms import where_stored
from campaigns.errors import CampaignError
from campaigns.forms import PaceForm
from campaigns.models import Bulk, Campaign
from campaigns.statistics import Minute
from campaigns.targeting import sentence
from campaigns.timing import Kind, Timing
from campaigns.views.campaigns import address_of, campaign_of, state_of
from campaigns.views.composer import draft_of
from devices.models import ProviderCredential
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import page_or_partial

TOLD_AFTER = timedelta(minutes=15)  # that a cloud does not answer (contract/providers.md 9.3)
RECEIPTS_COME_FOR = timedelta(minutes=10)  # after the last push; then the page rests
RUNS = 30  # shown of a recurring campaign
FAR = timedelta(minutes=1)  # ahead: nothing moves yet
# A point of the chart for each of so many minutes, while the campaign is no longer than that.
STEPS = [
    (1, "Minute", timedelta(hours=3)),
    (10, "Ten minutes", timedelta(days=1)),
    (60, "Hour", timedelta(days=7)),
    (1440, "Day", timedelta.max),
]
DONE = {
    "undo": "The launch is undone: it is a draft again.",
    "pause": "The campaign is paused. What is on its way still arrives.",
    "resume": "The campaign goes on.",
    "cancel": "The campaign is cancelled. What was sent stays sent.",
}
SERIES = [("Sent", "sent"), ("Delivered", "delivered"), ("Seen", "seen")]


def _bulk_of(campaign: Campaign, run: int | None = None) -> Bulk | None:
    """The run to be shown; its state is that of its first step that goes on."""
    if Timing.of(campaign.timing).kind is not Kind.REPEAT and run is None:
        return flows.latest([campaign]).get(campaign.pk)
    bulk = recurring.shown(campaign, run)
    if bulk is None and run is not None:
        raise Http404("This campaign has no such run.")
    return flows.as_it_goes_on(bulk) if bulk is not None else None


@require_GET
@page(Right.SEE_CAMPAIGNS)
def campaign_detail(request: ApplicationRequest, pk: int, run: int | None = None) -> HttpResponse:
    """What became of it; polled every two seconds while anything still moves."""
    campaign = campaign_of(request, pk)
    bulk = _bulk_of(campaign, run)
    if bulk is None:
        if request.headers.get("HX-Request"):  # somebody undid the launch while we looked
            return HttpResponseClientRedirect(address_of(request, campaign))
        if Right.EDIT_CAMPAIGNS in request.rights:
            return redirect("campaigns:edit", request.application.pk, pk)
        return draft_of(request, campaign)
    context = _progress(campaign, bulk)
    return page_or_partial(request, "campaigns/campaign_detail.html", "campaign-progress", context)


def _progress(campaign: Campaign, bulk: Bulk) -> dict[str, Any]:
    funnel = statistics.funnel(bulk)
    reasons = statistics.reasons(bulk)
    now = timezone.now()
    ended = bulk.finished_at
    return {
        "campaign": campaign,
        "bulk": bulk,
        "state": state_of(campaign, bulk),
        "funnel": funnel,
        "pace": statistics.pace(bulk, funnel) if bulk.status == Bulk.Status.SENDING else None,
        **_trouble(bulk),
        **_runs(campaign, bulk),
        "resend": resending.others(campaign, bulk),
        "not_resendable": resending.refusal(bulk),
        "decides": canaries.asks(bulk),
        "held": canaries.held(bulk),
        "tries_first": canaries.sentence(bulk.delivery.get("canary", {})),
        "goes_out": scheduling.shown(bulk),
        "at_once": Timing.of(bulk.delivery.get("timing", {})).kind is Kind.NOW,
        "held_for": max(0, math.ceil((bulk.starts_at - now).total_seconds())),
        "failed": [each for each in reasons if each.kind == "failed"],
        "waiting": [each for each in reasons if each.kind == "waiting"],
        "left_out": [each for each in reasons if each.kind == "left_out"],
        "platforms": statistics.platforms(bulk),
        "steps": stages.figures(bulk),
        **_variants(bulk),
        "content": bulk.content[0],
        "contents": [(where_stored(each), each) for each in bulk.content[1:] and bulk.content],
        "sentence": sentence(bulk.rule),
        "many_unknown": funnel.sent >= 1000 and funnel.unknown > 0.005 * funnel.sent,
        "live": ended is None or now - ended < RECEIPTS_COME_FOR,
        "every": _every(bulk),
    }


def _variants(bulk: Bulk) -> dict[str, Any]:
    """The variants with their figures, and what can be said of them."""
    figures = variant_figures.figures(bulk)
    if not figures:
        return {}
    held_out = bulk.split["holdout"]
    verdicts = variant_figures.verdicts(figures)
    winner = winners.told(bulk)
    if winner.get("tested"):  # later figures mix whom it was tried on with whom it was sent to
        verdicts = [winner["verdict"]] if winner["verdict"] is not None else []
    return {"variants": figures, "verdicts": verdicts, "held_out": held_out, "winner": winner}


@require_GET
@page(Right.SEE_CAMPAIGNS)
def campaign_languages(request: ApplicationRequest, pk: int) -> HttpResponse:
    """What became of it by the languages that devices reported; asked for when it is opened."""
    bulk = _asked_for(request, pk)
    context = {"languages": variant_figures.languages(bulk), "log": _log_of(request, bulk)}
    return render(request, "campaigns/_languages.html", context)


@require_GET
@page(Right.SEE_CAMPAIGNS)
def campaign_app_versions(request: ApplicationRequest, pk: int) -> HttpResponse:
    """What became of it by the version of the app; asked for when it is opened."""
    bulk = _asked_for(request, pk)
    context = {"versions": variant_figures.app_versions(bulk), "log": _log_of(request, bulk)}
    return render(request, "campaigns/_app_versions.html", context)


def _asked_for(request: ApplicationRequest, pk: int) -> Bulk:
    """The send of a campaign that `bulk` names, by its first step."""
    campaign = campaign_of(request, pk)
    asked = request.GET.get("bulk", "")
    number = int(asked) if asked.isdecimal() and len(asked) < 19 else 0
    bulk: Bulk = get_object_or_404(recurring.runs_of(campaign), pk=number)
    return bulk


def _log_of(request: ApplicationRequest, bulk: Bulk) -> str:
    """The address of the messages of a send."""
    return reverse(
        "campaigns:run-messages", args=[request.application.pk, bulk.campaign_id, bulk.pk]
    )


def _runs(campaign: Campaign, bulk: Bulk) -> dict[str, Any]:
    """The runs of a recurring campaign, each with its figures, and when the next one is."""
    if Timing.of(campaign.timing).kind is not Kind.REPEAT:
        return {}
    runs = list(recurring.runs_of(campaign).exclude(status=Bulk.Status.PENDING)[:RUNS])
    funnels = statistics.funnels([run.pk for run in runs])
    return {
        "recurs": scheduling.sentence(Timing.of(campaign.timing)),
        "next_run": recurring.next_run(campaign),
        "runs": [(run, funnels[run.pk], state_of(campaign, run)) for run in runs],
        "is_newest": not runs or bulk.pk == runs[0].pk,
    }


def _every(bulk: Bulk) -> str:
    """How often the page asks for news."""
    if bulk.status == Bulk.Status.PENDING and bulk.starts_at - timezone.now() > FAR:
        return "20s"
    return "2s" if bulk.finished_at is None else "5s"


def _trouble(bulk: Bulk) -> dict[str, Any]:
    """Why devices wait: credentials that their cloud refuses, and clouds that do not answer."""
    if bulk.status not in Bulk.UNFINISHED:
        return {}
    found = ProviderCredential.objects.filter(application_id=bulk.application_id, enabled=True)
    credentials = list(found.select_related("breaker").defer("data"))
    trusted = [each for each in credentials if each.paused_at is None]
    away = pacing.away_since([pacing.bucket_of(each) for each in trusted])
    long_ago = timezone.now() - TOLD_AFTER
    return {
        "refused": [each for each in credentials if each.paused_at is not None],
        "silent": [
            (each, since)
            for each, since in zip(trusted, away, strict=True)
            if since is not None and since < long_ago
        ],
    }


@require_GET
@page(Right.SEE_CAMPAIGNS)
def campaign_chart(request: ApplicationRequest, pk: int, run: int | None = None) -> HttpResponse:
    """What happened in each minute (or longer step), as static/charts.js draws it."""
    bulk = _bulk_of(campaign_of(request, pk), run)
    return JsonResponse(_course(statistics.minutes(bulk) if bulk else []))


def _course(minutes: list[Minute]) -> dict[str, Any]:
    """Evenly spaced points from the first event to the last: quiet times are zeros."""
    length = minutes[-1].minute - minutes[0].minute if minutes else timedelta(0)
    step, label = next((step, label) for step, label, longest in STEPS if length <= longest)
    counts: dict[int, list[int]] = {}
    for each in minutes:
        slot = counts.setdefault(int(each.minute.timestamp()) // (step * 60), [0] * len(SERIES))
        for index, (_, name) in enumerate(SERIES):
            slot[index] += getattr(each, name)
    slots = range(min(counts), max(counts) + 1) if counts else range(0)
    nothing = [0] * len(SERIES)
    return {
        "kind": "bar",
        "label": f"Sent, delivered and seen, for each {label.lower()}",
        "x": {"type": "time", "label": label},
        "unit": "devices",
        "points": [datetime.fromtimestamp(slot * step * 60, UTC).isoformat() for slot in slots],
        "series": [
            {
                "name": label,
                "colour": name,
                "values": [counts.get(slot, nothing)[index] for slot in slots],
            }
            for index, (label, name) in enumerate(SERIES)
        ],
    }


@require_POST
@page(Right.LAUNCH_CAMPAIGNS)
def campaign_pace(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Another pace for a campaign that is under way."""
    campaign = campaign_of(request, pk)
    form = PaceForm(request.POST)
    refusal = ""
    if form.is_valid():
        try:
            composing.change_pace(campaign, request.user, form.cleaned_data["throttle"])
        except CampaignError as problem:
            refusal = str(problem)
    else:
        refusal = f"The pace was not changed: {form.errors['throttle'][0]}"
    bulk = _bulk_of(campaign)
    if bulk is None:
        return HttpResponseClientRedirect(address_of(request, campaign))
    context = _progress(campaign, bulk) | {"refusal": refusal}
    return render(request, "campaigns/campaign_detail.html#campaign-progress", context)


@require_POST
@page(Right.LAUNCH_CAMPAIGNS)
def campaign_winner(request: ApplicationRequest, pk: int, variant: int) -> HttpResponse:
    """The variant that the rest of the audience gets, as somebody chose it."""
    campaign = campaign_of(request, pk)
    refusal: CampaignError | None = None
    try:
        composing.choose_winner(campaign, request.user, variant)
    except CampaignError as problem:
        refusal = problem
    else:
        transaction.on_commit(tasks.dispatch_chunks.delay, robust=True)
    bulk = _bulk_of(campaign)
    if bulk is None:
        return HttpResponseClientRedirect(address_of(request, campaign))
    context = _progress(campaign, bulk) | {"refusal": refusal}
    return render(request, "campaigns/campaign_detail.html#campaign-progress", context)


@require_POST
@page(Right.LAUNCH_CAMPAIGNS)
def campaign_act(request: ApplicationRequest, pk: int, action: str) -> HttpResponse:
    """Undo, pause, resume or cancel; a refusal is shown above the numbers.

    Asked from another page, by the command palette, it leads to the campaign and says there what
    was done.
    """
    campaign = campaign_of(request, pk)
    act = {
        "undo": composing.undo,
        "pause": composing.pause,
        "resume": composing.resume,
        "cancel": composing.cancel,
    }[action]
    refusal: CampaignError | None = None
    try:
        act(campaign, request.user)
    except CampaignError as problem:
        refusal = problem
    campaign.refresh_from_db()
    if action == "resume" and refusal is None:
        # Without a broker the timetable sees what is left to send.
        transaction.on_commit(tasks.dispatch_chunks.delay, robust=True)
    if not request.htmx:
        if refusal is None:
            messages.success(request, DONE[action])
        else:
            messages.error(request, str(refusal))
        return redirect(address_of(request, campaign))
    bulk = _bulk_of(campaign)
    if bulk is None:
        return HttpResponseClientRedirect(address_of(request, campaign))
    context = _progress(campaign, bulk) | {"refusal": refusal}
    return render(request, "campaigns/campaign_detail.html#campaign-progress", context)
