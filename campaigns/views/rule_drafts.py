"""Try a rule that is not saved yet: clause by clause, on single devices, as SQL."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST

from campaigns.errors import RuleError
from campaigns.views.builder import drafted_rule
from campaigns.views.segments import DETAIL, match_page, members_page, sql_of
from campaigns.views.sizes import clauses_of, opened_in
from devices.permissions import ApplicationRequest, Right, page


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def clauses(request: ApplicationRequest) -> HttpResponse:
    """How many devices each complete clause leaves; asked once nobody types for a moment."""
    exactly = "exactly" in request.POST
    context: dict[str, Any] = {"exactly": exactly}
    try:
        rule = drafted_rule(request)
        opened = opened_in(request.POST)
        context["clauses"] = clauses_of(request.application, rule, opened, exactly=exactly)
    except RuleError as fault:
        context["fault"] = str(fault)
    context["url"] = reverse("campaigns:segment-draft-clauses", args=[request.application.pk])
    return render(request, "campaigns/_waterfall.html", context)


@require_POST
@page(Right.SEE_DEVICES)
def members(request: ApplicationRequest) -> HttpResponse:
    """Some of whom it would reach."""
    return members_page(request, drafted_rule(request))


@require_POST
@page(Right.SEE_DEVICES)
def match(request: ApplicationRequest) -> HttpResponse:
    """Does this device match, and which condition says no?"""
    return match_page(request, drafted_rule(request), request.POST.get("q", ""))


@require_POST
@page(Right.SEE_SETTINGS)
def sql(request: ApplicationRequest) -> HttpResponse:
    """The statement that would find them."""
    context = {"sql": sql_of(request.application, drafted_rule(request))}
    return render(request, f"{DETAIL}#segment-sql", context)
