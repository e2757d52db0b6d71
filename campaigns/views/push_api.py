"""Push API campaigns: what other systems sent under one number, and what became of it."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET

from campaigns import push_api
from campaigns.models import Message, PushApiCampaign, PushApiSend, Reason
from devices.models import Application
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial, searched

LONGEST_NUMBER = 19  # digits of a camp_id


@dataclass(frozen=True, slots=True)
class Line:
    """A push as the campaign's page shows it."""

    send: PushApiSend
    message: Message | None  # None while it waits

    @property
    def state(self) -> str:
        return Message.State(self.message.state).name.lower() if self.message else "waiting"

    @property
    def reason(self) -> Reason | None:
        return Reason(self.message.reason) if self.message and self.message.reason else None


def _campaigns_of(application: Application) -> QuerySet[PushApiCampaign]:
    sends = PushApiSend.objects.filter(campaign=OuterRef("pk"), application=application)
    return PushApiCampaign.objects.filter(Exists(sends))


@require_GET
@page(Right.SEE_REPORTS)
def push_api_list(request: ApplicationRequest) -> HttpResponse:
    """Campaigns that reached devices of this application, newest first."""
    campaigns = _campaigns_of(request.application)
    search = searched(request)
    if search:
        named = Q(name__icontains=search)
        if search.isascii() and search.isdigit() and len(search) <= LONGEST_NUMBER:
            named |= Q(camp_id=int(search))
        campaigns = campaigns.filter(named)
    pager = newest_first(request, campaigns, one="campaign", many="campaigns")
    context = {
        "pager": pager,
        "lines": push_api.totals(pager.rows, request.application),
        "search": search,
    }
    return page_or_partial(request, "campaigns/push_api_list.html", "push-api-table", context)


@require_GET
@page(Right.SEE_REPORTS)
def push_api_detail(request: ApplicationRequest, camp_id: int) -> HttpResponse:
    """One campaign: its figures, why devices did not get it, its latest content, every push."""
    campaign = _campaigns_of(request.application).filter(camp_id=camp_id).first()
    if campaign is None:
        raise Http404("No Push API campaign of this number reached this application.")
    sends = PushApiSend.objects.filter(campaign=campaign, application=request.application)
    pager = newest_first(request, sends.select_related("person"), one="push", many="pushes")
    messages = Message.objects.in_bulk([each.message_id for each in pager.rows])
    context = {
        "campaign": campaign,
        "totals": push_api.totals([campaign], request.application)[0],
        "reasons": push_api.reasons(campaign, request.application),
        "pager": pager,
        "lines": [Line(each, messages.get(each.message_id)) for each in pager.rows],
    }
    return page_or_partial(request, "campaigns/push_api_detail.html", "push-table", context)
