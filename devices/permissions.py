"""What a role may do: one table, and the check every page goes through."""

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from devices.models import Application, Membership, Role

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails


class Right(StrEnum):
    """One thing somebody may do in an application."""

    SEE_CAMPAIGNS = "see_campaigns"
    EDIT_CAMPAIGNS = "edit_campaigns"
    LAUNCH_CAMPAIGNS = "launch_campaigns"  # also pause, resume, cancel, undo
    SEE_DEVICES = "see_devices"
    EDIT_DEVICES = "edit_devices"
    IMPORT_DEVICES = "import_devices"
    EXPORT_DEVICES = "export_devices"  # take them away as a file, and their people
    SEE_REPORTS = "see_reports"
    SEE_SETTINGS = "see_settings"
    EDIT_SETTINGS = "edit_settings"  # the application and its credentials
    MANAGE_TEAM = "manage_team"
    SEE_AUDIT = "see_audit"


# what each right means to whoever gives a role; the order of the table under /help/roles/
WORDS = {
    Right.SEE_CAMPAIGNS: "See campaigns",
    Right.EDIT_CAMPAIGNS: "Write and change campaigns",
    Right.LAUNCH_CAMPAIGNS: "Launch, pause, resume and cancel campaigns",
    Right.SEE_REPORTS: "See the overview and statistics",
    Right.SEE_DEVICES: "Find devices and people, and see why a message did not arrive",
    Right.EDIT_DEVICES: "Change devices and people",
    Right.IMPORT_DEVICES: "Import devices and people",
    Right.EXPORT_DEVICES: "Download devices and people as files",
    Right.SEE_SETTINGS: "See settings and the state of credentials",
    Right.EDIT_SETTINGS: "Change settings and credentials",
    Right.MANAGE_TEAM: "Invite and remove members, change roles, end sessions",
    Right.SEE_AUDIT: "Search the audit trail",
}


_LOOK = frozenset({Right.SEE_CAMPAIGNS, Right.SEE_REPORTS})

RIGHTS: dict[Role, frozenset[Right]] = {
    Role.ADMINISTRATOR: frozenset(Right),
    Role.MARKETER: _LOOK
    | {Right.EDIT_CAMPAIGNS, Right.LAUNCH_CAMPAIGNS, Right.SEE_DEVICES}
    | {Right.IMPORT_DEVICES, Right.EXPORT_DEVICES},
    Role.APPROVER: _LOOK | {Right.LAUNCH_CAMPAIGNS, Right.SEE_DEVICES},
    Role.SUPPORT: _LOOK | {Right.SEE_DEVICES, Right.EDIT_DEVICES},
    Role.ANALYST: _LOOK,
    Role.DEVELOPER: _LOOK | {Right.SEE_DEVICES, Right.SEE_SETTINGS},
}


class ApplicationRequest(HttpRequest):
    """A request of a signed-in person to a page that belongs to one application."""

    user: User
    application: Application
    rights: frozenset[Right]
    htmx: "HtmxDetails"


def rights_of(user: User | AnonymousUser, application: Application) -> frozenset[Right] | None:
    """Everything somebody may do in an application; None for whoever is no member of it."""
    if not user.is_active:
        return None
    if user.is_superuser:
        return frozenset(Right)
    membership = Membership.objects.filter(user_id=user.pk, application=application).first()
    return RIGHTS[Role(membership.role)] if membership else None


def applications_with(right: Right, user: User) -> list[Application]:
    """Where somebody has a right, by name."""
    if not user.is_active:
        return []
    if user.is_superuser:
        return applications_of(user)
    roles = [role for role, rights in RIGHTS.items() if right in rights]
    memberships = Membership.objects.filter(user=user, role__in=roles).select_related("application")
    return sorted((each.application for each in memberships), key=lambda each: each.name.lower())


def applications_of(user: User) -> list[Application]:
    """What the switcher offers."""
    return list(Application.objects.of_user(user.pk, everything=user.is_superuser))


def may_add_application(user: User | AnonymousUser) -> bool:
    """Who runs the installation, or already administers one of its applications."""
    return user.is_active and (
        user.is_superuser
        or Membership.objects.filter(user_id=user.pk, role=Role.ADMINISTRATOR).exists()
    )


def may_see_system(user: User | AnonymousUser) -> bool:
    """Who must be able to trust the installation: the administrators, of whatever."""
    return may_add_application(user)


def may_manage_access(user: User | AnonymousUser) -> bool:
    """Keys of other systems reach every application: administrators only."""
    return may_add_application(user)


P = ParamSpec("P")
R = TypeVar("R", bound=HttpResponseBase)
View = Callable[Concatenate[ApplicationRequest, P], R]


def page(right: Right) -> Callable[[View[P, R]], Callable[Concatenate[HttpRequest, P], R]]:
    """Guard a view whose address holds `<int:application>`.

    The view gets a request that knows its application and what its reader may do there.
    Strangers get 404, so that nobody learns which applications exist; members without the
    right get 403.
    """

    def guard(view: View[P, R]) -> Callable[Concatenate[HttpRequest, P], R]:
        @login_required
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> R:
            number = cast("int", kwargs.pop("application"))
            application = Application.objects.filter(pk=number).first()
            rights = rights_of(request.user, application) if application else None
            if application is None or rights is None:
                raise Http404("No application of this number that you are a member of.")
            if right not in rights:
                raise PermissionDenied(f"Your role may not do this: {right.replace('_', ' ')}.")
            known = cast("ApplicationRequest", request)
            known.application = application
            known.rights = rights
            return view(known, *args, **kwargs)

        return guarded

    return guard
