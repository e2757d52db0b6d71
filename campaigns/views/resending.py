"""Choose for which reasons a campaign is sent again."""

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from campaigns import resending
from campaigns.errors import CampaignError
from campaigns.models import Bulk, RepeatPolicy
from campaigns.resend_forms import ResendForm
from campaigns.views.campaigns import campaign_of
from devices.permissions import ApplicationRequest, Right, page


@require_http_methods(["GET", "POST"])
@page(Right.EDIT_CAMPAIGNS)
def campaign_resend(request: ApplicationRequest, pk: int, run: int) -> HttpResponse:
    """A POST makes the draft, which is read and launched like any other."""
    campaign = campaign_of(request, pk)
    bulk = get_object_or_404(
        Bulk.objects.select_related("campaign__resend_of"),
        pk=run, campaign=campaign, origin=Bulk.Origin.CAMPAIGN, step=0,
    )  # fmt: skip
    refusal = resending.refusal(bulk)
    outcome = resending.outcome(bulk) if not refusal else None
    context = {"campaign": campaign, "bulk": bulk, "refusal": refusal, "outcome": outcome}
    if outcome is None:
        if request.method == "POST":
            raise Http404("Nothing of it can be sent again now.")
        return render(request, "campaigns/campaign_resend.html", context)
    never = bulk.repeat_policy == RepeatPolicy.NEVER
    form = ResendForm(
        request.POST if request.method == "POST" else None,
        outcome=outcome,
        forbidden=resending.FORBIDDEN if never else "",
    )
    if form.is_bound and form.is_valid():
        reasons = form.cleaned_data.get("reasons", [])
        unsure = form.cleaned_data.get("unsure", False)
        try:
            draft = resending.create(bulk, request.user, reasons=reasons, unsure=unsure)
        except CampaignError as problem:
            context["refusal"] = str(problem)
        else:
            return redirect("campaigns:edit", request.application.pk, draft.pk)
    context["form"] = form
    status = 422 if form.errors else 200
    return render(request, "campaigns/campaign_resend.html", context, status=status)
