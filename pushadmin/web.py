"""What every dashboard view may use: the typed request; a page or a part of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django_htmx.middleware import HtmxDetails


class DashboardRequest(HttpRequest):
    """The request of a signed-in person, for views behind a login."""

    user: "User"
    htmx: "HtmxDetails"


def page_or_partial(
    request: HttpRequest,
    page: str,
    partial: str,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    """Render a page, or only its partial when htmx asks for a part of it.

    One address then has two answers, so caches are told what they differ by.
    """
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]
    wants_part = bool(htmx) and not htmx.boosted and not htmx.history_restore_request
    template = f"{page}#{partial}" if wants_part else page
    response = render(request, template, dict(context or {}), status=status)
    response.headers["Vary"] = ", ".join(
        filter(None, [response.headers.get("Vary"), "HX-Request", "HX-Boosted"])
    )
    return response
