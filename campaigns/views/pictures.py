"""What is wrong with a picture, beside its address in the composer."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from campaigns import pictures
from devices.permissions import ApplicationRequest, Right, page

LONGEST = 2000  # characters of an address


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def picture_check(request: ApplicationRequest) -> HttpResponse:
    """Load what is typed, once, and say what is wrong with it; 503 while others are loaded."""
    url = request.POST.get("url", "").replace("\x00", "").strip()
    context: dict[str, Any] = {"insecure": not pictures.is_secure(url)}
    if url and len(url) <= LONGEST and not context["insecure"]:
        try:
            found = pictures.check(url, again="again" in request.POST)
        except pictures.BusyError:
            return HttpResponse("Busy", status=503, headers={"Retry-After": "2"})
        platforms = pictures.platforms_of(request.application)
        context["picture"] = found
        context["is_none"] = pictures.is_none(found)
        context["faults"] = list(pictures.faults(found, platforms, card="card" in request.POST))
    return render(request, "campaigns/_picture_check.html", context)
