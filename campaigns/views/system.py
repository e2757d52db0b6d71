"""How the installation is: for administrators, live."""

import platform
from typing import Any

import django
import redis
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST
from kombu.exceptions import OperationalError

from campaigns import diagnosing, probing, reconciling, tasks, watching
from devices import audit
from devices.permissions import applications_of, may_see_system
from pushadmin.web import DashboardRequest, page_or_partial, toast

PAGE = "campaigns/system.html"


@login_required
@require_GET
def system(request: DashboardRequest) -> HttpResponse:
    """The page, or its live part. Answers also while the store or the broker is away."""
    _refuse_others(request)
    return page_or_partial(request, PAGE, "system", _context(request.user))


@login_required
@require_POST
def system_reconcile(request: DashboardRequest) -> HttpResponse:
    """Compare counters and rows now, instead of next night."""
    _refuse_others(request)
    run = reconciling.unfinished_or_new()
    if run is not None:
        audit.record(request.user, "compare counters", run, request=request)
    if _queued():
        text, level = "The comparison has begun.", "success"
    else:
        text, level = "The broker is away: the comparison begins when it is back.", "warning"
    return toast(render(request, f"{PAGE}#system", _context(request.user)), text, level)


@login_required
@require_POST
def system_put_back(request: DashboardRequest) -> HttpResponse:
    """Try again what could not be written down. Whoever folds the streams takes it from there."""
    _refuse_others(request)
    try:
        count = sum(stream.put_back() for stream in watching.STREAMS)
    except redis.RedisError:
        text, level = "The store is away: try again when it is back.", "warning"
    else:
        requests = "request is" if count == 1 else "requests are"
        text, level = f"{count} {requests} tried again within seconds.", "success"
    return toast(render(request, f"{PAGE}#system", _context(request.user)), text, level)


def _queued() -> bool:
    """False when the broker is away: the timetable then goes on with what has begun."""
    if probing.broker() is None:
        return False
    try:
        tasks.reconcile.delay()
    except OperationalError:
        return False
    return True


def _refuse_others(request: HttpRequest) -> None:
    if not may_see_system(request.user):
        raise PermissionDenied("Only administrators may see the system.")


def _context(user: User) -> dict[str, Any]:
    found = diagnosing.system(applications_of(user))
    return {
        "system": found,
        "findings": diagnosing.findings(found),
        "version": settings.VERSION,
        "python": platform.python_version(),
        "django": django.get_version(),
    }
