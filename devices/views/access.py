"""Pages of the keys and users with which other systems call."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from devices import access, audit
from devices.access_forms import KeyForm, UserForm
from devices.models import ApiKey, ApiUser
from devices.permissions import may_manage_access

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def guarded(view: View[P]) -> View[P]:
    """A key of the account reaches every application: only administrators deal with them."""

    @login_required
    @never_cache
    @wraps(view)
    def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not may_manage_access(request.user):
            raise PermissionDenied("Your role may not do this: manage API keys.")
        return view(request, *args, **kwargs)

    return checked


def _member(request: HttpRequest) -> User:
    return cast("User", request.user)


@guarded
@require_GET
def access_list(request: HttpRequest) -> HttpResponse:
    """Everybody who may call: valid keys first."""
    now = timezone.now()
    keys = ApiKey.objects.select_related("application").defer("digest").order_by("name", "-pk")
    rows = [(key, access.state_of(key, now)) for key in keys]
    rows.sort(key=lambda row: row[1] in {"revoked", "expired"})
    users = ApiUser.objects.defer("password").order_by("-enabled", "username")
    return render(request, "devices/access_list.html", {"keys": rows, "users": users})


@guarded
@require_http_methods(["GET", "POST"])
def key_new(request: HttpRequest) -> HttpResponse:
    key = ApiKey()
    form = KeyForm(request.POST or None, key=key)
    if request.method == "POST" and form.is_valid():
        _fill(key, form)
        key.family = form.cleaned_data["family"]
        if key.family == ApiKey.Family.INSIDER:
            key.application, key.scopes = form.cleaned_data["application"], []
        try:
            secret = access.make_key(_member(request), key, form.cleaned_data["secret"], request)
        except access.TakenError:
            form.add_error("secret", "This key is here already. Revoked ones stay taken, too.")
        else:
            return _shown(request, key, secret, "API key")
    return _rendered(request, "devices/access_key.html", form, key)


@guarded
@require_http_methods(["GET", "POST"])
def key_edit(request: HttpRequest, pk: int) -> HttpResponse:
    key = get_object_or_404(ApiKey.objects.select_related("application"), pk=pk)
    form = KeyForm(request.POST or None, key=key)
    if request.method == "POST" and form.is_valid():
        before = access.facts(key)
        _fill(key, form)
        with transaction.atomic():
            key.save()
            audit.record(
                request.user, "change API key", key,
                before=before, after=access.facts(key), request=request,
            )  # fmt: skip
        messages.success(request, f"{key.name} is changed, from its next call on.")
        return redirect("devices:access")
    return _rendered(request, "devices/access_key.html", form, key)


@guarded
@require_POST
def key_replace(request: HttpRequest, pk: int) -> HttpResponse:
    old = get_object_or_404(ApiKey, pk=pk)
    if access.state_of(old, timezone.now()) in {"revoked", "expired"}:
        messages.info(request, "That key is over already: make a new one.")
        return redirect("devices:access")
    key, secret = access.replace_key(_member(request), old, request)
    return _shown(request, key, secret, "API key", replaced=old)


@guarded
@require_POST
def key_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    key = get_object_or_404(ApiKey, pk=pk)
    access.revoke_key(_member(request), key, request)
    messages.success(request, f"{key.name} is revoked: its next call is refused.")
    return redirect("devices:access")


@guarded
@require_http_methods(["GET", "POST"])
def user_new(request: HttpRequest) -> HttpResponse:
    user = ApiUser()
    form = UserForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        user.username, user.scopes = form.cleaned_data["username"], form.cleaned_data["scopes"]
        secret = access.make_user(_member(request), user, form.cleaned_data["secret"], request)
        return _shown(request, user, secret, "password")
    return _rendered(request, "devices/access_user.html", form, user)


@guarded
@require_http_methods(["GET", "POST"])
def user_edit(request: HttpRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(ApiUser, pk=pk)
    form = UserForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        before = access.facts(user)
        user.scopes = form.cleaned_data["scopes"]
        with transaction.atomic():
            user.save(update_fields=["scopes"])
            audit.record(
                request.user, "change API user", user,
                before=before, after=access.facts(user), request=request,
            )  # fmt: skip
        messages.success(request, f"{user.username} is changed, from the next call on.")
        return redirect("devices:access")
    return _rendered(request, "devices/access_user.html", form, user)


@guarded
@require_POST
def user_renew(request: HttpRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(ApiUser, pk=pk)
    secret = access.renew_password(_member(request), user, request)
    return _shown(request, user, secret, "password")


@guarded
@require_POST
def user_switch(request: HttpRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(ApiUser, pk=pk)
    enabled = request.POST.get("enabled") == "1"
    access.switch_user(_member(request), user, enabled=enabled, request=request)
    messages.success(request, f"{user.username} may {'call again' if enabled else 'not call'}.")
    return redirect("devices:access")


def _fill(key: ApiKey, form: KeyForm) -> None:
    data = form.cleaned_data
    key.name, key.scopes, key.addresses = data["name"], data["scopes"], data["addresses"]
    day = data["expires_on"]
    key.expires_at = (
        datetime.combine(day + timedelta(days=1), time(), UTC) if day is not None else None
    )


def _shown(
    request: HttpRequest,
    holder: ApiKey | ApiUser,
    secret: str,
    word: str,
    replaced: ApiKey | None = None,
) -> HttpResponse:
    """The only time a secret leaves the server; no address leads here."""
    context = {
        "holder": holder,
        "secret": secret,
        "word": word,
        "replaced": replaced,
        "example": _example(request, holder, secret),
    }
    return render(request, "devices/access_secret.html", context)


def _example(request: HttpRequest, holder: ApiKey | ApiUser, secret: str) -> str:
    base = request.build_absolute_uri("/").rstrip("/")
    if isinstance(holder, ApiUser):
        return f"curl -u '{holder.username}:{secret}' {base}/…"
    if holder.family == ApiKey.Family.INSIDER:
        return ""  # it stands in the body of each call
    return f"curl -H 'Authorization: App {secret}' {base}/…"


def _rendered(
    request: HttpRequest, template: str, form: forms.Form, holder: ApiKey | ApiUser
) -> HttpResponse:
    status = 422 if form.is_bound else 200
    return render(request, template, {"form": form, "holder": holder}, status=status)
