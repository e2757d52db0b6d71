"""Switch on and off what leaves people out of every send."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from campaigns import listing, segmenting
from campaigns.errors import ListError
from campaigns.views.lists import list_of
from campaigns.views.segments import segment_of
from devices import audit
from devices.permissions import ApplicationRequest, Right, page


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def segment_exclude(request: ApplicationRequest, pk: int) -> HttpResponse:
    segment, excludes = segment_of(request, pk), request.POST.get("excludes") == "1"
    author = audit.author_of(request.user, request)
    segmenting.exclude(segment, author, excludes=excludes)
    told = "is left out of every send" if excludes else "can be sent to again"
    messages.success(request, f"Whoever is in {segment.name} {told}.")
    return redirect(segment)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def list_do_not_contact(request: ApplicationRequest, pk: int) -> HttpResponse:
    shown, excludes = list_of(request, pk), request.POST.get("excludes") == "1"
    author = audit.author_of(request.user, request)
    try:
        listing.refuse_contact(shown, author, refused=excludes)
    except ListError as refusal:
        messages.error(request, str(refusal))
        return redirect(shown)
    told = "gets nothing any more" if excludes else "can be sent to again"
    messages.success(request, f"Whoever is on {shown.name} {told}.")
    return redirect(shown)
