"""Who is in the team of an application: invited, promoted, removed, each with its audit entry.

The secret of an invitation is returned once, by what makes it; only its digest is kept.
"""

import secrets
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from devices import audit
from devices.access import digest_of
from devices.errors import TeamError
from devices.models import Application, Invitation, Membership, Role
from devices.permissions import Right, rights_of

VALID = timedelta(days=7)  # that an invitation can be accepted


@dataclass(frozen=True, slots=True)
class Member:
    """One row of the Team page."""

    membership: Membership
    factors: list[str]  # how they prove who they are besides the password
    sessions: int  # devices on which they are signed in


def members_of(application: Application) -> list[Member]:
    """Everybody with a role, by name."""
    memberships = list(
        Membership.objects.filter(application=application)
        .select_related("user", "application")
        .order_by("user__username")
    )
    users = [each.user_id for each in memberships]
    factors: dict[int, list[str]] = {}
    kinds = {Authenticator.Type.TOTP: "App", Authenticator.Type.WEBAUTHN: "Passkey"}
    known = Authenticator.objects.filter(user_id__in=users, type__in=list(kinds))
    for user, kind in known.values_list("user_id", "type").order_by("user_id", "type").distinct():
        factors.setdefault(user, []).append(kinds[Authenticator.Type(kind)])
    sessions = Counter(_sessions(users).values_list("user_id", flat=True))
    return [
        Member(each, factors.get(each.user_id, []), sessions[each.user_id]) for each in memberships
    ]


def open_invitations(application: Application) -> QuerySet[Invitation]:
    return Invitation.objects.filter(
        application=application, closed_at=None, expires_at__gt=timezone.now()
    ).order_by("-pk")


@transaction.atomic
def invite(
    actor: User, application: Application, role: Role, email: str, request: HttpRequest
) -> tuple[Invitation, str]:
    """An invitation and its secret, for the only time."""
    secret = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        application=application, role=role, email=email, digest=digest_of(secret),
        invited_by=actor, expires_at=timezone.now() + VALID,
    )  # fmt: skip
    after = {"role": role.value, "email": email} if email else {"role": role.value}
    audit.record(actor, "invite member", invitation, after=after, request=request)
    return invitation, secret


@transaction.atomic
def withdraw(actor: User, invitation: Invitation, request: HttpRequest) -> None:
    """Its link leads nowhere any more."""
    closed = Invitation.objects.filter(pk=invitation.pk, closed_at=None)
    if closed.update(closed_at=timezone.now()):
        before = {"role": invitation.role}
        audit.record(actor, "withdraw invitation", invitation, before=before, request=request)


def invitation_of(digest: bytes) -> Invitation | None:
    """The invitation of a link, as long as it is good.

    It is as good as who gave it: not any more once they may not invite.
    """
    invitation = (
        Invitation.objects.select_related("application", "invited_by")
        .filter(digest=digest, closed_at=None, expires_at__gt=timezone.now())
        .first()
    )
    if invitation is None:
        return None
    rights = rights_of(invitation.invited_by, invitation.application)
    return invitation if rights and Right.MANAGE_TEAM in rights else None


@transaction.atomic
def accept(user: User, invitation: Invitation, request: HttpRequest) -> Membership:
    """Join the team. Raises TeamError where somebody was faster, or is in it already."""
    open_now = Invitation.objects.select_for_update().filter(pk=invitation.pk, closed_at=None)
    if not open_now.exists():
        raise TeamError("Somebody has used this invitation already, or it was withdrawn.")
    membership, created = Membership.objects.get_or_create(
        user=user, application=invitation.application, defaults={"role": invitation.role}
    )
    if not created:
        raise TeamError(
            f"You are in this team already, as {membership.get_role_display().lower()}. "
            "An administrator can change your role."
        )
    open_now.update(closed_at=timezone.now())
    after = {"role": membership.role, "invited_by": invitation.invited_by.get_username()}
    audit.record(user, "join team", membership, after=after, request=request)
    return membership


@transaction.atomic
def change_role(actor: User, membership: Membership, role: Role, request: HttpRequest) -> None:
    """Raises TeamError where nobody could manage the team any more."""
    membership = _locked(membership)
    before = membership.role
    if before == role:
        return
    if before == Role.ADMINISTRATOR:
        _another_administrator(membership, "keep the role")
    membership.role = role
    membership.save(update_fields=["role"])
    audit.record(
        actor, "change role", membership,
        before={"role": before}, after={"role": role.value}, request=request,
    )  # fmt: skip


@transaction.atomic
def remove(actor: User, membership: Membership, request: HttpRequest) -> None:
    """Take somebody out of the team; their account stays."""
    membership = _locked(membership)
    if membership.role == Role.ADMINISTRATOR:
        _another_administrator(membership, "stay")
    audit.record(
        actor, "remove member", membership, before={"role": membership.role}, request=request
    )
    membership.delete()


@transaction.atomic
def end_sessions(actor: User, membership: Membership, request: HttpRequest) -> int:
    """Sign somebody out everywhere; how many sessions that were."""
    count = _end(membership.user)
    before = {"sessions": count}
    audit.record(
        actor, "end sessions", membership, before=before, after={"sessions": 0}, request=request
    )
    return count


@transaction.atomic
def switch_account(
    actor: User, membership: Membership, *, active: bool, request: HttpRequest
) -> None:
    """Let nobody sign in with an account, or let them again. Not with one's own."""
    user = User.objects.select_for_update().get(pk=membership.user_id)
    if user.pk == actor.pk:
        raise TeamError("You cannot deactivate your own account: somebody else has to.")
    if user.is_active == active:
        return
    user.is_active = active
    user.save(update_fields=["is_active"])
    if not active:
        _end(user)
    audit.record(
        actor, "activate account" if active else "deactivate account", user,
        before={"active": not active}, after={"active": active},
        application=membership.application, request=request,
    )  # fmt: skip


def _end(user: User) -> int:
    sessions = list(_sessions([user.pk]))
    for session in sessions:
        session.end()
    return len(sessions)


def _sessions(users: list[int]) -> QuerySet[UserSession]:
    """Those that have not run out."""
    alive = Session.objects.filter(expire_date__gt=timezone.now())
    return UserSession.objects.filter(
        user_id__in=users, session_key__in=alive.values("session_key")
    )


def _locked(membership: Membership) -> Membership:
    """The row as it is now. All administrators are locked with it, in one order: of two who take
    the role from each other at the same moment, the second sees what the first did.
    """
    rows = (
        Membership.objects.select_for_update(of=("self",))
        .select_related("user", "application")
        .filter(application=membership.application_id)
        .order_by("pk")
    )
    found = {row.pk: row for row in rows}
    if membership.pk not in found:
        raise TeamError("This member was removed by somebody else.")
    return found[membership.pk]


def _another_administrator(membership: Membership, what: str) -> None:
    others = Membership.objects.filter(
        application=membership.application_id, role=Role.ADMINISTRATOR, user__is_active=True
    ).exclude(pk=membership.pk)
    if not others.exists():
        raise TeamError(
            f"{membership.user.get_username()} is the last administrator of "
            f"{membership.application.name} and has to {what}. "
            "Make somebody else an administrator first."
        )
