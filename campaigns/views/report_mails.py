"""Who is mailed the report of an application."""

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from campaigns import letters
from campaigns.models import ReportOrder
from devices import audit
from devices.permissions import ApplicationRequest, Right, page


def whom(request: ApplicationRequest) -> list[User]:
    """Whom the reader may have it mailed to: themselves, and as an administrator the team."""
    members = letters.may_get(request.application)
    if Right.MANAGE_TEAM in request.rights:
        return members
    return [each for each in members if each.pk == request.user.pk]


def orders(request: ApplicationRequest) -> list[ReportOrder]:
    """Those that the reader may end."""
    found = ReportOrder.objects.filter(application=request.application).select_related("user")
    if Right.MANAGE_TEAM not in request.rights:
        found = found.filter(user=request.user)
    return list(found.order_by("user__username"))


@require_POST
@page(Right.SEE_REPORTS)
def report_mail(request: ApplicationRequest) -> HttpResponse:
    """Mail it to somebody from now on."""
    chosen = {str(each.pk): each for each in whom(request)}.get(request.POST.get("user", ""))
    every = request.POST.get("every", "")
    if chosen is None or every not in ReportOrder.Every:
        messages.error(request, "Choose a member with an e-mail address, and how often.")
    else:
        made = letters.order(request.application, chosen, every)
        audit.record(
            request.user, "mail report", request.application,
            after={"to": chosen.get_username(), "every": made.every},
        )  # fmt: skip
        often = letters.WORDS[ReportOrder.Every(made.every)].lower()
        messages.success(request, f"{chosen.get_username()} is mailed it {often}.")
    return redirect("campaigns:reports", request.application.pk)


@require_POST
@page(Right.SEE_REPORTS)
def report_mail_end(request: ApplicationRequest, pk: int) -> HttpResponse:
    made = get_object_or_404(ReportOrder, pk=pk, application=request.application)
    if made.user_id != request.user.pk and Right.MANAGE_TEAM not in request.rights:
        raise PermissionDenied("Only administrators end the mails of others.")
    audit.record(
        request.user, "end report mails", request.application,
        before={"to": made.user.get_username(), "every": made.every},
    )  # fmt: skip
    made.delete()
    return redirect("campaigns:reports", request.application.pk)


@csrf_exempt  # mail programs post it with one click; what it may do is in its signature
@never_cache
@require_http_methods(["GET", "POST"])
def report_stop(request: HttpRequest, token: str) -> HttpResponse:
    """Where the link of a mail leads. Only a POST ends it: mail scanners follow links."""
    made = letters.order_of(token)
    context: dict[str, object] = {"made": made, "ended": False}
    if made is not None and request.method == "POST":
        audit.record(
            made.user, "end report mails", made.application,
            before={"to": made.user.get_username(), "every": made.every},
        )  # fmt: skip
        made.delete()
        context["ended"] = True
    return render(request, "campaigns/report_stop.html", context)
