"""Recent calls of other systems: what they asked, what we answered, what the clouds got."""

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from campaigns import inspecting
from campaigns.calls import BY_PHONES
from campaigns.models import RecordedCall
from devices.permissions import ApplicationRequest, Right, may_manage_access, page
from pushadmin.web import newest_first, page_or_partial

STATUSES = {
    "ok": ("Done (2xx)", Q(status__lt=300)),
    "refused": ("Refused (4xx)", Q(status__gte=400, status__lt=500)),
    "failed": ("Failed here (5xx)", Q(status__gte=500)),
}
SOURCES = {
    "systems": ("Other systems", ~Q(path__regex=BY_PHONES)),
    "apps": ("Apps and gateways", Q(path__regex=BY_PHONES)),
}


def _calls(request: ApplicationRequest) -> QuerySet[RecordedCall]:
    """Of the application; whoever manages keys also sees those that belong to none."""
    mine = Q(application=request.application)
    if may_manage_access(request.user):
        mine |= Q(application=None)
    return RecordedCall.objects.filter(mine)


@require_GET
@page(Right.SEE_SETTINGS)
def call_list(request: ApplicationRequest) -> HttpResponse:
    rows = _calls(request)
    status = request.GET.get("status", "")
    if status in STATUSES:
        rows = rows.filter(STATUSES[status][1])
    source = request.GET.get("from", "")
    if source in SOURCES:
        rows = rows.filter(SOURCES[source][1])
    search = request.GET.get("q", "").strip().replace("\0", "")
    if search:
        rows = rows.filter(
            Q(names__contains=[search[:100]])
            | Q(path__icontains=search)
            | Q(request_id=search)
            | Q(caller__icontains=search)
        )
    pager = newest_first(request, rows.defer("body", "answer"), one="call", many="calls")
    context = {
        "pager": pager,
        "status": status,
        "statuses": [(key, label) for key, (label, _) in STATUSES.items()],
        "source": source,
        "sources": [(key, label) for key, (label, _) in SOURCES.items()],
        "search": search,
    }
    return page_or_partial(request, "campaigns/call_list.html", "calls", context)


@require_GET
@page(Right.SEE_SETTINGS)
def call_detail(request: ApplicationRequest, pk: int) -> HttpResponse:
    call = get_object_or_404(_calls(request), pk=pk)
    context = {"call": call, "resulted": inspecting.resulted(call, request.application)}
    return render(request, "campaigns/call_detail.html", context)
