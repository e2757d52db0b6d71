"""Write, preview, review, launch."""

import math
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget, trigger_client_event

from campaigns import (
    approving,
    checking,
    composing,
    contents,
    previewing,
    scheduling,
    tasks,
    templating,
    variants,
)
from campaigns.content_forms import where
from campaigns.errors import CampaignError, TemplateError
from campaigns.forms import ComposerForm, typed
from campaigns.languages import name_of
from campaigns.models import Campaign, CampaignContent
from campaigns.targeting import sentence
from campaigns.views.campaigns import address_of, campaign_of
from campaigns.views.previews import shown
from campaigns.views.reviewing import (
    form_faults,
    panel,
    refused_by,
    review_of,
    save_typed,
    standing_of,
    version_in,
)
from campaigns.views.sizes import size_of
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import toast

SOON = 60  # seconds
MOST_OFFERED = 12  # languages that devices report


@require_http_methods(["GET", "POST"])
@page(Right.EDIT_CAMPAIGNS)
def campaign_edit(request: ApplicationRequest, pk: int) -> HttpResponse:
    """The composer. A POST saves the draft, by itself while somebody types."""
    campaign = campaign_of(request, pk)
    if not campaign.is_draft:
        if request.method == "POST":
            return HttpResponseClientRedirect(campaign.get_absolute_url())
        return redirect(campaign)
    if request.method == "GET":
        form = ComposerForm(typed(campaign), application=request.application, campaign=campaign)
        review = review_of(campaign, form, mark="saved")
        review.approval = standing_of(request, campaign)
        context = {
            "review": review,
            "campaign": campaign,
            "form": form,
            "languages": form.known_languages(),
            **shown_contents(form),
            "shown": shown(form),
            "candidates": previewing.candidates(campaign, composing.rule_of(campaign)),
        }
        return render(request, "campaigns/campaign_form.html", context)
    form = ComposerForm(request.POST, application=request.application, campaign=campaign)
    campaign, refused = save_typed(request, campaign, form)
    return panel(request, refused or review_of(campaign, form, mark="saved"))


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def campaign_contents(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Save what is typed, then add or remove a language or a variant.

    What cannot be done is said in the panel, and what was typed stays as it is.
    """
    campaign = campaign_of(request, pk)
    if not campaign.is_draft:
        return HttpResponseClientRedirect(address_of(request, campaign))
    form = ComposerForm(request.POST, application=request.application, campaign=campaign)
    campaign, refused = save_typed(request, campaign, form)
    if refused is None:
        try:
            shown = _change_contents(request, campaign)
        except CampaignError as refusal:
            refused = refused_by(review_of(campaign, form, mark="saved"), refusal)
    if refused is not None:
        answer = reswap(retarget(panel(request, refused), "#composer-status"), "innerHTML")
    else:
        answer = contents_changed(request, campaign_of(request, pk), *shown)
    if request.POST.get("do") != "apply-template":
        return answer
    if refused is not None:
        toast(answer, "The template was not taken over: look at what Review says.", "warning")
    return trigger_client_event(answer, "changed")  # its dialog closes


def contents_changed(
    request: ApplicationRequest, campaign: Campaign, language: str = "", variant: int = 0
) -> HttpResponse:
    """The contents as they are now, one of them in front, and the panel beside the send button."""
    form = ComposerForm(typed(campaign), application=request.application, campaign=campaign)
    review = review_of(campaign, form, mark="saved")
    review.approval = standing_of(request, campaign)
    context = {
        "campaign": campaign,
        "form": form,
        "languages": form.known_languages(),
        "review": review,
        **shown_contents(form, language, variant),
    }
    return render(request, "campaigns/_contents_changed.html", context)


def _change_contents(request: ApplicationRequest, campaign: Campaign) -> tuple[str, int]:
    """Do what was asked; the language and the variant to show then: those in front, or the new."""
    asked, version = request.POST, campaign.version
    language = asked.get("language") or asked.get("add_language", "")
    shown, in_front = asked.get("shown_language", ""), _place(asked.get("shown_variant", "")) or 0
    match asked.get("do", ""):
        case "add-language":
            shown = contents.add_language(campaign, language, version=version, user=request.user)
        case "remove-language":
            contents.remove_language(campaign, language, version=version, user=request.user)
            shown = ""
        case "add-variant":
            in_front = contents.add_variant(campaign, version=version, user=request.user)
        case "remove-variant" if (variant := _place(asked.get("variant", ""))) is not None:
            contents.remove_variant(campaign, variant, version=version, user=request.user)
            in_front = 0
        case "apply-template":
            _take_over(request, campaign)
    return shown, in_front


def _place(text: str) -> int | None:
    """The number of a variant; None for what cannot be one."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 3 else None


def _take_over(request: ApplicationRequest, campaign: Campaign) -> None:
    """Let the draft say what a template does; the message offers the words of before."""
    asked = request.POST.get("template", "")
    known = asked.isascii() and asked.isdecimal() and len(asked) < 19
    found = templating.used(request.application).filter(pk=asked).first() if known else None
    if found is None:
        raise TemplateError(templating.DELETED)
    found.application, before = request.application, campaign.versions.first()
    templating.apply(found, campaign, request.user, version=campaign.version)
    keys = [request.application.pk, campaign.pk, before.number if before else 0]
    text = f"The draft says what the template “{found.name}” does."
    messages.success(request, text, extra_tags=reverse("campaigns:contents-restore", args=keys))


def shown_contents(form: ComposerForm, language: str = "", variant: int = 0) -> dict[str, Any]:
    """Every content with its form, and which one is in front."""
    default = CampaignContent(language="", variant=0)
    forms = [(default, form), *((other.of, other) for other in form.others)]
    panels: list[dict[str, Any]] = [
        {"form": each, "where": where(of), "language": of.language, "variant": of.variant}
        for of, each in forms
    ]
    spoken = sorted({panel["language"] for panel in panels})
    if (language, variant) not in {(panel["language"], panel["variant"]) for panel in panels}:
        language, variant = "", 0  # what was in front is no more
    return {
        "panels": panels,
        "spoken": [(each, name_of(each) if each else "Default") for each in spoken],
        "variants": list(enumerate(variants.NAMES[: 1 + max(p["variant"] for p in panels)])),
        "shares": [form[name] for name in form.parts],
        "offered": [(each, name_of(each)) for each in form.known_languages() if each not in spoken][
            :MOST_OFFERED
        ],
        "shown_language": language,
        "shown_variant": variant,
    }


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def audience_size(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Who the typed audience would reach now, whatever the other fields hold.

    A page that shows an estimate asks again, once typing has ceased, for the exact count.
    """
    campaign = campaign_of(request, pk)
    form = ComposerForm(request.POST, application=request.application, campaign=campaign)
    context: dict[str, Any] = {"campaign": campaign}
    if form.audience_is_valid():
        primary, rule = form.cleaned_data["primary_only"], form.rule()
        exactly = "exactly" in request.POST
        size = size_of(request.application, rule, primary_only=primary, exactly=exactly)
        context["review"] = {"size": size, "sentence": sentence(rule)}
    else:
        context["review"] = {"faults": form_faults(form, form.AUDIENCE)}
    return render(request, "campaigns/campaign_form.html#audience-size", context)


@require_POST
@page(Right.LAUNCH_CAMPAIGNS)
def campaign_launch(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Save what is typed, then launch it. Who may not edit launches what is stored."""
    campaign = campaign_of(request, pk)
    if not campaign.is_draft:
        return HttpResponseClientRedirect(address_of(request, campaign))
    if Right.EDIT_CAMPAIGNS in request.rights:
        form = ComposerForm(request.POST, application=request.application, campaign=campaign)
        campaign, refused = save_typed(request, campaign, form)
        if refused:
            return panel(request, refused)
    else:
        form = ComposerForm(typed(campaign), application=request.application, campaign=campaign)
        if version_in(request.POST) != campaign.version:
            return panel(request, review_of(campaign, form, mark="stale"))
    try:
        bulk = composing.launch(campaign, request.user)
    except CampaignError as refusal:
        return panel(request, refused_by(review_of(campaign, form, mark="refused"), refusal))

    def freeze() -> None:
        hold = math.ceil((bulk.starts_at - timezone.now()).total_seconds())
        if hold <= SOON:  # what is later is for the timetable: brokers keep no task for days
            tasks.freeze_audience.apply_async(kwargs={"bulk_pk": bulk.pk}, countdown=max(hold, 0))

    # Without a broker the timetable finds it: a launch that stands is not answered by an error.
    transaction.on_commit(freeze, robust=True)
    launched = reverse("campaigns:detail", args=[request.application.pk, campaign.pk])
    return HttpResponseClientRedirect(launched)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def approval_ask(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Save what is typed, and ask a second person to approve it."""
    campaign = campaign_of(request, pk)
    if not campaign.is_draft:
        return HttpResponseClientRedirect(address_of(request, campaign))
    form = ComposerForm(request.POST, application=request.application, campaign=campaign)
    campaign, refused = save_typed(request, campaign, form)
    if refused:
        return panel(request, refused)
    try:
        checking.check_content(campaign)
        checking.check_delivery(campaign)
        scheduling.starts_at(campaign)
        approving.ask(campaign, composing.rule_now(campaign), request.user)
    except CampaignError as refusal:
        return panel(request, refused_by(review_of(campaign, form, mark="refused"), refusal))
    return panel(request, review_of(campaign, form, mark="saved"))


@require_GET
@page(Right.SEE_CAMPAIGNS)
def approval_news(request: ApplicationRequest, pk: int) -> HttpResponse:
    """What became of an approval that a page waits for; 204 as long as nothing did."""
    campaign = campaign_of(request, pk)
    if not campaign.is_draft:
        return HttpResponseClientRedirect(address_of(request, campaign))
    form = ComposerForm(typed(campaign), application=request.application, campaign=campaign)
    known = version_in(request.GET)
    if known != campaign.version:
        return panel(request, review_of(campaign, form, mark="stale", version=known))
    if standing_of(request, campaign).state is approving.State.ASKED:
        return HttpResponse(status=204)
    return panel(request, review_of(campaign, form, mark="saved"))


@require_POST
@page(Right.LAUNCH_CAMPAIGNS)
def approval_decide(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Approve what is stored, or send it back. What was typed meanwhile voids it."""
    campaign = campaign_of(request, pk)
    if not campaign.is_draft:
        return HttpResponseClientRedirect(address_of(request, campaign))
    form = ComposerForm(typed(campaign), application=request.application, campaign=campaign)
    if version_in(request.POST) != campaign.version:
        return panel(request, review_of(campaign, form, mark="stale"))
    note = request.POST.get("note", "").replace("\x00", "").strip()[:500]
    approved = request.POST.get("decision") == "approve"
    try:
        rule = composing.rule_now(campaign)
        approving.decide(campaign, rule, request.user, approved=approved, note=note)
    except CampaignError as refusal:
        return panel(request, refused_by(review_of(campaign, form, mark="refused"), refusal))
    return panel(request, review_of(campaign, form, mark="saved"))


def draft_of(request: ApplicationRequest, campaign: Campaign) -> HttpResponse:
    """A draft for those who may not edit it: to read, and to launch for whoever may."""
    form = ComposerForm(typed(campaign), application=request.application, campaign=campaign)
    review = review_of(campaign, form, mark="saved")
    review.approval = standing_of(request, campaign)
    context = {
        "campaign": campaign,
        "contents": [(where(each), each) for each in campaign.contents.all()],
        "review": review,
    }
    return render(request, "campaigns/campaign_draft.html", context)
