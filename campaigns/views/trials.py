"""Send a test: choose devices, send them what is typed, and read what the clouds say."""

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from campaigns import checking, trials
from campaigns.content_forms import where
from campaigns.errors import CampaignError
from campaigns.forms import ComposerForm
from campaigns.models import Campaign
from campaigns.views.campaigns import address_of, campaign_of
from campaigns.views.reviewing import Review, refused_by, review_of, save_typed, standing_of
from devices import finding
from devices.models import Platform, Registration
from devices.permissions import ApplicationRequest, Right, page

FOUND = 6  # devices shown of those that a search finds


def _panel(request: ApplicationRequest, campaign: Campaign, **more: Any) -> HttpResponse:
    saved = trials.saved(request.application, request.user)
    context = {
        "campaign": campaign,
        "saved": saved,
        "contents": [
            (f"{each.language}:{each.variant}", where(each)) for each in campaign.contents.all()
        ],
        **more,
    }
    return render(request, "campaigns/_trial.html#trial-panel", context)


@require_GET
@page(Right.EDIT_CAMPAIGNS)
def trial_panel(request: ApplicationRequest, pk: int) -> HttpResponse:
    """My test devices, or what a search finds."""
    campaign = campaign_of(request, pk)
    typed = request.GET.get("trial_q")
    if typed is None:
        return _panel(request, campaign)
    context: dict[str, Any] = {"campaign": campaign, "typed": typed.strip(), "found": []}
    if Right.SEE_DEVICES in request.rights and typed.strip():
        context["found"] = finding.devices_meant(request.application, typed[:200], most=FOUND)
    return render(request, "campaigns/_trial.html#trial-found", context)


def _device(request: ApplicationRequest) -> Registration:
    text = request.POST.get("registration", "")
    if Right.SEE_DEVICES not in request.rights or not (text.isdecimal() and len(text) < 19):
        raise Http404("There is no such device.")
    devices = Registration.objects.filter(application=request.application)
    return get_object_or_404(devices.select_related("application"), pk=int(text))


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def trial_device(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Remember a device for tests, or forget it."""
    campaign, device = campaign_of(request, pk), _device(request)
    full = False
    if request.POST.get("do") == "forget":
        trials.forget(device, request.user)
    else:
        full = not trials.save(device, request.user)
    return _panel(request, campaign, full=full, most=trials.MOST)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def trial_send(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Save what is typed, and send it to the chosen ones of my test devices."""
    campaign = campaign_of(request, pk)
    if not campaign.is_draft:
        return HttpResponseClientRedirect(address_of(request, campaign))
    form = ComposerForm(request.POST, application=request.application, campaign=campaign)
    campaign, refused = save_typed(request, campaign, form)
    context: dict[str, Any] = {"campaign": campaign}
    if refused is None:
        refused = _send(request, campaign, form, context)
    review = refused or review_of(campaign, form, mark="saved")
    review.approval = standing_of(request, campaign)
    context["review"] = review
    return render(request, "campaigns/_trial_answers.html", context)


def _send(
    request: ApplicationRequest, campaign: Campaign, form: ComposerForm, context: dict[str, Any]
) -> Review | None:
    """Put the answers into the context. Where nothing can be sent, the review that says why."""
    chosen = set(request.POST.getlist("registration"))
    mine = trials.saved(request.application, request.user)
    devices = [device for device in mine if str(device.pk) in chosen]
    language, _, variant = request.POST.get("trial_content", ":0").rpartition(":")
    contents = {(each.language, str(each.variant)): each for each in campaign.contents.all()}
    content = contents.get((language, variant))
    if not devices:
        context["problem"] = "Choose a device to send the test to."
    elif content is None:
        context["problem"] = "This content was removed. Choose another."
    else:
        try:
            checking.check_one(content)
            checking.check_options_of(content, {Platform(device.platform) for device in devices})
        except CampaignError as refusal:
            context["problem"] = str(refusal)
            return refused_by(review_of(campaign, form, mark="saved"), refusal)
        context["answers"] = trials.send(campaign, content, devices, request.user)
        context["where"] = where(content) if len(contents) > 1 else ""
        context["left_out"] = trials.left_out(content)
    return None
