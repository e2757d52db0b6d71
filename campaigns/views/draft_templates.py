"""Templates within the composer: keep what a draft says, take over what another one said."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget, trigger_client_event

from campaigns import drafting, templating
from campaigns.errors import CampaignError, NameTakenError
from campaigns.forms import ComposerForm
from campaigns.template_forms import TemplateForm
from campaigns.views.campaigns import address_of, campaign_of
from campaigns.views.composer import contents_changed
from campaigns.views.reviewing import Review, review_of, save_typed, standing_of
from campaigns.views.templates import sketch
from devices.permissions import ApplicationRequest, Right, page

PAGE = "campaigns/_draft_templates.html"
OFFERED = 30
FAULTY = "It is not kept yet: the draft has marked fields to correct first."


def _offered(request: ApplicationRequest, search: str = "") -> dict[str, Any]:
    """Those that were changed last, or whose names hold what was typed."""
    templates = templating.used(request.application).order_by("-changed_at", "-pk")
    if search:
        templates = templates.filter(name__icontains=search)
    found = [sketch(each) for each in templates[: OFFERED + 1]]
    return {"found": found[:OFFERED], "more": len(found) > OFFERED, "typed": search}


@require_GET
@page(Right.EDIT_CAMPAIGNS)
def draft_templates(request: ApplicationRequest, pk: int) -> HttpResponse:
    """What the dialog offers; a search replaces the list alone."""
    campaign = campaign_of(request, pk)
    typed = request.GET.get("template_q")
    search = (typed or "").replace("\x00", "").strip()[:100]
    context = {"campaign": campaign, "loaded": True, **_offered(request, search)}
    part = "template-panel" if typed is None else "template-found"
    return render(request, f"{PAGE}#{part}", context)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def draft_keep(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Save what is typed, then keep all that the draft says as a template."""
    campaign = campaign_of(request, pk)
    if not campaign.is_draft:
        return HttpResponseClientRedirect(address_of(request, campaign))
    form = ComposerForm(request.POST, application=request.application, campaign=campaign)
    campaign, refused = save_typed(request, campaign, form)
    name = TemplateForm({"name": request.POST.get("template_name", "").replace("\x00", "")})
    replaceable = False
    if refused is not None:
        name.add_error("name", FAULTY)
    elif name.is_valid():
        asked = {"name": name.cleaned_data["name"], "replace": "replace" in request.POST}
        try:
            made = templating.keep(campaign, request.user, **asked)
        except CampaignError as fault:
            name.add_error("name", str(fault))
            replaceable = isinstance(fault, NameTakenError)
        else:
            messages.success(request, f"Kept as the template “{made.name}”.")
            name = TemplateForm()
    context = {"name_form": name, "replaceable": replaceable}
    return _kept(request, refused or review_of(campaign, form, mark="saved"), context)


def _kept(request: ApplicationRequest, review: Review, context: dict[str, Any]) -> HttpResponse:
    """The dialog anew, and the panel beside the send button."""
    review.approval = standing_of(request, review.campaign)
    context |= {"campaign": review.campaign, "review": review, "loaded": True}
    return render(request, f"{PAGE}#template-kept", context | _offered(request))


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def contents_restore(request: ApplicationRequest, pk: int, number: int) -> HttpResponse:
    """Undo a template: the contents of an older version again, with the audience as it is."""
    campaign = campaign_of(request, pk)
    if not campaign.is_draft:
        return HttpResponseClientRedirect(address_of(request, campaign))
    old = campaign.versions.filter(number=number).first()
    if old is None:
        raise Http404("This campaign has no such version.")
    try:
        drafting.restore_contents(campaign, request.user, old=old)
    except CampaignError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "The draft says again what it said before.")
    if not request.htmx:
        return redirect("campaigns:edit", request.application.pk, campaign.pk)
    answer = contents_changed(request, campaign_of(request, pk))
    return trigger_client_event(reswap(retarget(answer, "#contents"), "outerHTML"), "changed")
