"""Keys by which a customer's server says who has signed in to the app."""

import secrets

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from devices import audit
from devices.models import UserTokenKey
from devices.permissions import ApplicationRequest, Right, page
from devices.token_forms import TokenKeyForm


@never_cache
@page(Right.EDIT_SETTINGS)
@require_http_methods(["GET", "POST"])
def token_key_new(request: ApplicationRequest) -> HttpResponse:
    """A new key; one that was made here is shown, and never again."""
    typed = request.POST if request.method == "POST" else None
    form = TokenKeyForm(typed, application=request.application)
    context = {"application": request.application, "form": form}
    if form.is_bound and form.is_valid():
        given = form.cleaned_data["secret"]
        secret = given or secrets.token_urlsafe(32)
        with transaction.atomic():
            key = UserTokenKey.objects.create(
                application=request.application,
                kid=form.cleaned_data["kid"] or secrets.token_hex(8),
                data={"secret": secret},
            )
            after = {"kid": key.kid}
            audit.record(request.user, "add user token key", key, after=after, request=request)
        if given:
            messages.success(request, "The key is saved: tokens that it signs are taken.")
            return redirect(_home(request))
        context |= {"key": key, "secret": secret}
        return render(request, "devices/token_key.html", context)
    status = 422 if form.is_bound else 200
    return render(request, "devices/token_key.html", context, status=status)


@page(Right.EDIT_SETTINGS)
@require_POST
def token_key_remove(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Take a key away: what it signed is refused from now on."""
    key = get_object_or_404(request.application.user_token_keys.defer("data"), pk=pk)
    with transaction.atomic():
        before = {"kid": key.kid}
        audit.record(request.user, "remove user token key", key, before=before, request=request)
        key.delete()
    messages.success(request, f"The key {key.kid} is removed: its tokens are refused.")
    return redirect(_home(request))


def _home(request: ApplicationRequest) -> str:
    address = reverse("devices:application-detail", args=[request.application.pk])
    return f"{address}#user-tokens"
