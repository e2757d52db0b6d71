"""Write, preview, launch, follow."""

from functools import partial
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from campaigns import audience, composing, statistics, tasks
from campaigns.errors import CampaignError, ContentTooLargeError, StaleDraftError
from campaigns.forms import ComposerForm, typed
from campaigns.models import Bulk, Campaign
from campaigns.targeting import sentence
from devices.models import Platform
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import SIZES, page_or_partial

LIMIT = 4096  # bytes FCM and APNs take
STATES: dict[str, tuple[str, dict[str, Any]]] = {
    "draft": ("Drafts", {"launched_at": None}),
    "sending": ("Running", {"bulks__status__in": Bulk.UNFINISHED}),
    "done": ("Done", {"bulks__status": Bulk.Status.DONE}),
    "cancelled": ("Cancelled", {"bulks__status": Bulk.Status.CANCELLED}),
}


def state_of(campaign: Campaign, bulk: Bulk | None) -> str:
    """The name of a state, as templates show it."""
    if campaign.is_draft or bulk is None:
        return "draft"
    if bulk.status == Bulk.Status.PENDING:
        return "held"
    return str(bulk.status)


def _campaign(request: ApplicationRequest, pk: int) -> Campaign:
    campaign = get_object_or_404(
        Campaign.objects.select_related("segment"), pk=pk, application=request.application
    )
    campaign.application = request.application
    return campaign


@require_GET
@page(Right.SEE_CAMPAIGNS)
def campaign_list(request: ApplicationRequest) -> HttpResponse:
    """Campaigns, newest first; search and filters replace the table alone."""
    campaigns = Campaign.objects.filter(application=request.application, archived_at=None)
    search, state = request.GET.get("q", "").strip(), request.GET.get("state", "")
    if search:
        campaigns = campaigns.filter(name__icontains=search.replace("\x00", ""))
    if state in STATES:
        campaigns = campaigns.filter(**STATES[state][1])
    rows = {str(each): each for each in SIZES}.get(request.GET.get("rows", ""), SIZES[0])
    found = Paginator(campaigns.distinct().order_by("-pk"), rows).get_page(request.GET.get("page"))
    lines = [
        {"row": row, "state": state_of(row.campaign, row.bulk)}
        for row in statistics.campaign_rows(list(found))
    ]
    context = {
        "lines": lines,
        "found": found,
        "search": search,
        "chosen": state,
        "states": [(key, label) for key, (label, _) in STATES.items()],
    }
    return page_or_partial(request, "campaigns/campaign_list.html", "campaign-table", context)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def campaign_new(request: ApplicationRequest) -> HttpResponse:
    campaign = composing.create(request.application, request.user)
    return redirect("campaigns:edit", request.application.pk, campaign.pk)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def campaign_duplicate(request: ApplicationRequest, pk: int) -> HttpResponse:
    copy = composing.duplicate(_campaign(request, pk), request.user)
    return redirect("campaigns:edit", request.application.pk, copy.pk)


# ------------------------------------------------------------------- composer


@require_http_methods(["GET", "POST"])
@page(Right.EDIT_CAMPAIGNS)
def campaign_edit(request: ApplicationRequest, pk: int) -> HttpResponse:
    """The composer. A POST saves the draft: by itself while typing, or by the button."""
    campaign = _campaign(request, pk)
    if not campaign.is_draft:
        if request.method == "POST":
            return HttpResponseClientRedirect(campaign.get_absolute_url())
        return redirect(campaign)
    if request.method == "GET":
        form = ComposerForm(typed(campaign), application=request.application)
        return render(
            request, "campaigns/campaign_form.html", _composer(campaign, form, fresh=True)
        )
    form = ComposerForm(request.POST, application=request.application)
    refusal: CampaignError | None = None
    if form.is_valid():
        try:
            campaign = _save(request, campaign, form)
        except CampaignError as problem:
            refusal = problem
    context = _composer(campaign, form) | {
        "refusal": refusal,
        "stale": isinstance(refusal, StaleDraftError),
        "saved": refusal is None and form.is_valid(),
    }
    return render(request, "campaigns/campaign_form.html#composer-status", context)


def _save(request: ApplicationRequest, campaign: Campaign, form: ComposerForm) -> Campaign:
    version = request.POST.get("draft_version", "")
    return composing.save_draft(
        campaign,
        version=int(version) if version.isdecimal() else 0,
        draft=form.draft(),
        content=form.content(),
    )


def _composer(campaign: Campaign, form: ComposerForm, *, fresh: bool = False) -> dict[str, Any]:
    size = None
    refusal: CampaignError | None = None
    meters: list[dict[str, Any]] = []
    if form.is_valid():
        try:
            rule = form.rule()
            primary = form.cleaned_data["primary_only"]
            size = audience.size(campaign.application, rule, primary_only=primary)
            meters = _meters(campaign)
        except ContentTooLargeError as problem:
            refusal = problem
        except CampaignError as problem:
            refusal = problem
    return {
        "campaign": campaign,
        "form": form,
        "size": size,
        "meters": meters,
        "refusal": refusal,
        "fresh": fresh,
        "sentence": sentence(form.rule()) if form.is_valid() and refusal is None else "",
        "languages": form.known_languages() if fresh else [],
    }


def _meters(campaign: Campaign) -> list[dict[str, Any]]:
    sizes = composing.check_size(campaign, set(Platform))
    return [
        {"platform": platform, "size": size, "limit": LIMIT, "close": size > LIMIT * 0.9}
        for platform, size in sizes.items()
    ]


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def audience_size(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Who the typed audience would reach now; faults stand beside their field."""
    campaign = _campaign(request, pk)
    form = ComposerForm(request.POST, application=request.application)
    form.is_valid()
    return render(request, "campaigns/campaign_form.html#audience-size", _composer(campaign, form))


@require_POST
@page(Right.LAUNCH_CAMPAIGNS)
def campaign_launch(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Save what is typed, then launch it; a refusal is shown beside its field."""
    campaign = _campaign(request, pk)
    form = ComposerForm(request.POST, application=request.application)
    refusal: CampaignError | None = None
    if Right.EDIT_CAMPAIGNS in request.rights and campaign.is_draft:
        if not form.is_valid():
            context = _composer(campaign, form) | {"launching": True}
            return render(request, "campaigns/campaign_form.html#composer-status", context)
        try:
            campaign = _save(request, campaign, form)
        except CampaignError as problem:
            refusal = problem
    if refusal is None:
        try:
            bulk = composing.launch(campaign, request.user)
        except CampaignError as problem:
            refusal = problem
        else:
            freeze = partial(
                tasks.freeze_audience.apply_async,
                args=(bulk.pk,),
                countdown=settings.LAUNCH_HOLD_SECONDS,
            )
            transaction.on_commit(freeze)
            campaign.refresh_from_db()
            return HttpResponseClientRedirect(campaign.get_absolute_url())
    context = _composer(campaign, form) | {
        "refusal": refusal,
        "stale": isinstance(refusal, StaleDraftError),
        "launching": True,
    }
    return render(request, "campaigns/campaign_form.html#composer-status", context)


# ------------------------------------------------------------------- following


@require_GET
@page(Right.SEE_CAMPAIGNS)
def campaign_detail(request: ApplicationRequest, pk: int) -> HttpResponse:
    """What became of it; polled every two seconds while anything still moves."""
    campaign = _campaign(request, pk)
    bulk = _bulk(campaign)
    if bulk is None:
        return redirect("campaigns:edit", request.application.pk, pk)
    context = _progress(campaign, bulk)
    return page_or_partial(request, "campaigns/campaign_detail.html", "campaign-progress", context)


def _bulk(campaign: Campaign) -> Bulk | None:
    return (
        Bulk.objects.filter(campaign=campaign, origin=Bulk.Origin.CAMPAIGN).order_by("-pk").first()
    )


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
        "percent": round(funnel.progress * 100),
        "pace": statistics.pace(bulk, funnel) if bulk.status == Bulk.Status.SENDING else None,
        "held": bulk.status == Bulk.Status.PENDING and bulk.starts_at > now,
        "failed": [each for each in reasons if each.kind == "failed"],
        "waiting": [each for each in reasons if each.kind == "waiting"],
        "left_out": [each for each in reasons if each.kind == "left_out"],
        "platforms": statistics.platforms(bulk),
        "content": bulk.content[0],
        "sentence": sentence(bulk.rule),
        # Receipts go on arriving after the last push left.
        "live": ended is None or (now - ended).total_seconds() < 600,
        "every": "2s" if ended is None else "5s",
        "now": now,
    }


@require_GET
@page(Right.SEE_CAMPAIGNS)
def campaign_chart(request: ApplicationRequest, pk: int) -> HttpResponse:
    """What happened in each minute, as charts.js draws it."""
    bulk = _bulk(_campaign(request, pk))
    minutes = statistics.minutes(bulk) if bulk else []
    series = [
        {"name": name, "colour": colour, "values": [getattr(each, colour) for each in minutes]}
        for name, colour in (("Sent", "sent"), ("Delivered", "delivered"), ("Seen", "seen"))
    ]
    return JsonResponse(
        {
            "kind": "bar",
            "label": "Sent, delivered and seen in each minute",
            "x": {"type": "time", "label": "Minute"},
            "unit": "devices",
            "points": [each.minute.isoformat() for each in minutes],
            "series": series,
        }
    )


@require_POST
@page(Right.LAUNCH_CAMPAIGNS)
def campaign_act(request: ApplicationRequest, pk: int, action: str) -> HttpResponse:
    """Undo, pause, resume or cancel; a refusal is shown above the numbers."""
    campaign = _campaign(request, pk)
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
    bulk = _bulk(campaign)
    if bulk is None:
        return HttpResponseClientRedirect(campaign.get_absolute_url())
    if action == "resume" and refusal is None:
        transaction.on_commit(tasks.dispatch_chunks.delay)
    context = _progress(campaign, bulk) | {"refusal": refusal}
    return render(request, "campaigns/campaign_detail.html#campaign-progress", context)
