"""Pages of a team: its members, and how somebody joins it."""

import logging
from smtplib import SMTPException
from typing import cast

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from devices import team
from devices.access import digest_of
from devices.errors import TeamError
from devices.models import Invitation, Membership, Role
from devices.permissions import RIGHTS, WORDS, ApplicationRequest, Right, page
from devices.team_forms import AccountForm, InvitationForm, RoleForm
from pushadmin.web import page_or_partial, toast

INVITATION = "invitation"  # key of the session: the digest of the link that was opened
BACKEND = "django.contrib.auth.backends.ModelBackend"
log = logging.getLogger(__name__)


@page(Right.MANAGE_TEAM)
@require_GET
def team_page(request: ApplicationRequest) -> HttpResponse:
    """Who is in the team, and who is invited."""
    return _show(request)


def _show(
    request: ApplicationRequest,
    *,
    refusal: TeamError | None = None,
    form: InvitationForm | None = None,
) -> HttpResponse:
    context = {
        "application": request.application,
        "members": team.members_of(request.application),
        "invitations": team.open_invitations(request.application).select_related("invited_by"),
        "roles": Role.choices,
        "may_switch": request.user.is_superuser,
        "refusal": refusal,
        "form": form or InvitationForm(mails=bool(settings.EMAIL_HOST)),
    }
    status = 422 if refusal or form else 200
    return page_or_partial(request, "devices/team.html", "team-members", context, status=status)


@page(Right.MANAGE_TEAM)
@never_cache
@require_POST
def invitation_new(request: ApplicationRequest) -> HttpResponse:
    """The link, for the only time; also mailed, where there is a mail server."""
    form = InvitationForm(request.POST, mails=bool(settings.EMAIL_HOST))
    if not form.is_valid():
        return _show(request, form=form)
    role, email = Role(form.cleaned_data["role"]), form.cleaned_data["email"]
    invitation, secret = team.invite(request.user, request.application, role, email, request)
    link = request.build_absolute_uri(f"{reverse('devices:join')}?invitation={secret}")
    context = {
        "application": request.application,
        "invitation": invitation,
        "link": link,
        "mailed": _mail(invitation, link) if email and settings.EMAIL_HOST else None,
    }
    return render(request, "devices/team_link.html", context)


def _mail(invitation: Invitation, link: str) -> bool:
    """Whether the mail server took it."""
    name = " ".join(invitation.application.name.split())
    text = (
        f"{invitation.invited_by.get_username()} invites you to {name} on pushadmin, as "
        f"{invitation.get_role_display().lower()}.\n\nJoin the team with this link within "
        f"{team.VALID.days} days. It works once:\n{link}\n"
    )
    try:
        return send_mail(f"Join {name} on pushadmin", text, None, [invitation.email]) == 1
    except (OSError, SMTPException) as trouble:
        log.warning("an invitation could not be mailed: %s", type(trouble).__name__)
        return False


@page(Right.MANAGE_TEAM)
@require_POST
def invitation_withdraw(request: ApplicationRequest, pk: int) -> HttpResponse:
    invitation = get_object_or_404(Invitation, pk=pk, application=request.application)
    team.withdraw(request.user, invitation, request)
    messages.success(request, "The invitation is withdrawn: its link leads nowhere any more.")
    return redirect("devices:team", request.application.pk)


@page(Right.MANAGE_TEAM)
@require_POST
def role_change(request: ApplicationRequest, pk: int) -> HttpResponse:
    membership = _membership(request, pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return _show(request, refusal=TeamError("There is no such role. Choose one of the list."))
    role = Role(form.cleaned_data["role"])
    try:
        team.change_role(request.user, membership, role, request)
    except TeamError as refusal:
        return _show(request, refusal=refusal)
    text = f"{membership.user.get_username()} is {role.label.lower()} now."
    own = membership.user_id == request.user.pk
    if request.htmx and not own:
        return toast(_show(request), text)
    messages.success(request, text)
    url = reverse("devices:home") if own else _here(request)
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


@page(Right.MANAGE_TEAM)
@require_POST
def member_remove(request: ApplicationRequest, pk: int) -> HttpResponse:
    membership = _membership(request, pk)
    try:
        team.remove(request.user, membership, request)
    except TeamError as refusal:
        return _show(request, refusal=refusal)
    name = membership.user.get_username()
    messages.success(request, f"{name} is not in the team of {request.application.name} any more.")
    return redirect("devices:home" if membership.user_id == request.user.pk else _here(request))


@page(Right.MANAGE_TEAM)
@require_POST
def sessions_end(request: ApplicationRequest, pk: int) -> HttpResponse:
    membership = _membership(request, pk)
    count = team.end_sessions(request.user, membership, request)
    name = membership.user.get_username()
    messages.success(request, f"{name} is signed out everywhere. Sessions ended: {count}.")
    return redirect(_here(request))


@page(Right.MANAGE_TEAM)
@require_POST
def account_switch(request: ApplicationRequest, pk: int) -> HttpResponse:
    """An account opens every application it is in: only who runs the installation decides."""
    if not request.user.is_superuser:
        raise PermissionDenied("Your role may not do this: deactivate accounts.")
    membership = _membership(request, pk)
    active = request.POST.get("active") == "1"
    try:
        team.switch_account(request.user, membership, active=active, request=request)
    except TeamError as refusal:
        return _show(request, refusal=refusal)
    name = membership.user.get_username()
    text = f"{name} may sign in again." if active else f"{name} is signed out and cannot sign in."
    messages.success(request, text)
    return redirect(_here(request))


def _membership(request: ApplicationRequest, pk: int) -> Membership:
    members = Membership.objects.select_related("user", "application")
    return get_object_or_404(members, pk=pk, application=request.application)


def _here(request: ApplicationRequest) -> str:
    return reverse("devices:team", args=[request.application.pk])


@never_cache
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """Where the link of an invitation leads: join as who is signed in, or with a new account.

    The secret leaves the address at once, so that neither history nor a log line keeps it.
    """
    if secret := request.GET.get("invitation"):
        request.session[INVITATION] = digest_of(secret).hex()
        return redirect("devices:join")
    digest: str = request.session.get(INVITATION, "")
    invitation = team.invitation_of(bytes.fromhex(digest)) if digest else None
    if invitation is None:
        return render(request, "devices/join.html", {"invitation": None}, status=404)
    known = request.user.is_authenticated
    form = AccountForm(request.POST or None, initial={"email": invitation.email})
    refusal: TeamError | None = None
    if request.method == "POST" and (known or form.is_valid()):
        try:
            with transaction.atomic():
                user = cast("User", request.user) if known else _account(form)
                team.accept(user, invitation, request)
        except TeamError as found:
            refusal = found
        except IntegrityError:  # somebody took the name at this very moment
            form.add_error("username", "Somebody has this name already. Choose another.")
        else:
            return _welcome(request, user, invitation)
    context = {"invitation": invitation, "form": form, "refusal": refusal}
    status = 422 if request.method == "POST" else 200
    return render(request, "devices/join.html", context, status=status)


def _account(form: AccountForm) -> User:
    data = form.cleaned_data
    return User.objects.create_user(data["username"], data["email"], data["password"])


def _welcome(request: HttpRequest, user: User, invitation: Invitation) -> HttpResponse:
    if not request.user.is_authenticated:
        login(request, user, backend=BACKEND)
        UserSession.objects.create_from_request(request)
    request.session.pop(INVITATION, None)
    name = invitation.application.name
    messages.success(request, f"You are in the team of {name}, as {invitation.get_role_display()}.")
    return redirect("devices:application-home", invitation.application.pk)


@login_required
@require_GET
def roles(request: HttpRequest) -> HttpResponse:
    """What each role may do: the table that permissions are checked by."""
    rows = [
        (words, [(role.label, right in RIGHTS[role]) for role in Role])
        for right, words in WORDS.items()
    ]
    return render(
        request, "devices/roles.html", {"roles": [role.label for role in Role], "rows": rows}
    )
