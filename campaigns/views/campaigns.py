"""Find a campaign, start one."""

from django.db.models import Exists, OuterRef
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from campaigns import drafting, statistics
from campaigns.models import Bulk, Campaign, ContentTemplate
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import address, newest_first, page_or_partial, searched

STATES: dict[str, tuple[str, tuple[Bulk.Status, ...]]] = {
    "draft": ("Drafts", ()),
    "running": ("Running", Bulk.UNFINISHED),
    "done": ("Done", (Bulk.Status.DONE,)),
    "cancelled": ("Cancelled", (Bulk.Status.CANCELLED,)),
}


def state_of(campaign: Campaign, bulk: Bulk | None) -> str:
    """The name of a state, as templates show it."""
    if campaign.is_draft or bulk is None:
        return "draft"
    if bulk.status == Bulk.Status.PENDING:
        return "held" if bulk.starts_at - timezone.now() < statistics.SOON else "scheduled"
    return str(bulk.status)


def campaign_of(request: ApplicationRequest, pk: int) -> Campaign:
    campaign = get_object_or_404(
        Campaign.objects.select_related("segment"), pk=pk, application=request.application
    )
    campaign.application = request.application
    return campaign


def address_of(request: ApplicationRequest, campaign: Campaign) -> str:
    """Where somebody reads a campaign: the composer is for those who may edit drafts."""
    edits = campaign.is_draft and Right.EDIT_CAMPAIGNS in request.rights
    name = "campaigns:edit" if edits else "campaigns:detail"
    return reverse(name, args=[request.application.pk, campaign.pk])


@require_GET
@page(Right.SEE_CAMPAIGNS)
def campaign_list(request: ApplicationRequest) -> HttpResponse:
    """Campaigns, newest first; search and filters replace the table alone."""
    campaigns = Campaign.objects.filter(application=request.application, archived_at=None)
    search = searched(request)
    state = request.GET.get("state", "")
    if search:
        campaigns = campaigns.filter(name__icontains=search)
    if state == "draft":
        campaigns = campaigns.filter(launched_at=None)
    elif state in STATES:
        fitting = Bulk.objects.filter(campaign=OuterRef("pk"), status__in=STATES[state][1])
        campaigns = campaigns.filter(Exists(fitting))
    template = _template(request)
    if template is not None:
        campaigns = campaigns.filter(template=template)
    pager = newest_first(request, campaigns, one="campaign", many="campaigns")
    context = {
        "pager": pager,
        "lines": [
            {
                "row": row,
                "state": state_of(row.campaign, row.bulk),
                "url": address_of(request, row.campaign),
            }
            for row in statistics.campaign_rows(pager.rows)
        ],
        "search": search,
        "filters": [
            (label, address(request, state=key or None, after=None, before=None), key == state)
            for key, label in [("", "All"), *((key, each[0]) for key, each in STATES.items())]
        ],
        "chosen": state if state in STATES else "",
        "template": template,
        "any_template": address(request, template=None, after=None, before=None),
    }
    return page_or_partial(request, "campaigns/campaign_list.html", "campaign-table", context)


def _template(request: ApplicationRequest) -> ContentTemplate | None:
    """The one whose campaigns are asked for; one that is gone asks for none."""
    asked = request.GET.get("template", "")
    known = asked.isascii() and asked.isdecimal() and len(asked) < 19
    templates = ContentTemplate.objects.filter(application=request.application)
    return templates.filter(pk=asked).first() if known else None


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def campaign_new(request: ApplicationRequest) -> HttpResponse:
    campaign = drafting.create(request.application, request.user)
    return redirect("campaigns:edit", request.application.pk, campaign.pk)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def campaign_duplicate(request: ApplicationRequest, pk: int) -> HttpResponse:
    copy = drafting.duplicate(campaign_of(request, pk), request.user)
    return redirect("campaigns:edit", request.application.pk, copy.pk)
