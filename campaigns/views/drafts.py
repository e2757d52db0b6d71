"""What a draft was before: compare two versions field by field, and go back to one."""

from itertools import pairwise
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from campaigns import changes, drafting
from campaigns.errors import CampaignError
from campaigns.models import Campaign, CampaignVersion
from campaigns.views.campaigns import campaign_of
from devices.permissions import ApplicationRequest, Right, page


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _asked(versions: list[CampaignVersion], text: str, default: CampaignVersion) -> CampaignVersion:
    if not text:
        return default
    found = next((each for each in versions if each.number == _number(text)), None)
    if found is None:
        raise Http404("This campaign has no such version.")
    return found


@require_GET
@page(Right.SEE_CAMPAIGNS)
def campaign_versions(request: ApplicationRequest, pk: int) -> HttpResponse:
    """All that are kept, with what each changed; and two of them side by side."""
    campaign = campaign_of(request, pk)
    versions = list(campaign.versions.select_related("saved_by"))
    context: dict[str, Any] = {"campaign": campaign, "versions": versions, "lines": []}
    if len(versions) > 1:
        after = _asked(versions, request.GET.get("after", ""), versions[0])
        older = [each for each in versions if each.number < after.number]
        before = _asked(versions, request.GET.get("before", ""), (older or versions)[0])
        context |= {
            "before": before,
            "after": after,
            "changes": changes.changes(before.draft, after.draft),
            "lines": [
                *((new, changes.labels(old.draft, new.draft)) for new, old in pairwise(versions)),
                (versions[-1], ["The oldest that is kept"]),
            ],
        }
    return render(request, "campaigns/campaign_versions.html", context)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def campaign_restore(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Let the draft say again what an older version said."""
    campaign = campaign_of(request, pk)
    old = campaign.versions.filter(number=_number(request.POST.get("number", ""))).first()
    if old is None:
        raise Http404("This campaign has no such version.")
    try:
        restored: Campaign = drafting.restore(
            campaign, request.user, old=old, version=_number(request.POST.get("version", ""))
        )
    except CampaignError as refusal:
        messages.error(request, str(refusal))
        return redirect("campaigns:versions", request.application.pk, campaign.pk)
    messages.success(request, f"{restored.name} says again what version {old.number} said.")
    return redirect("campaigns:edit", request.application.pk, campaign.pk)
