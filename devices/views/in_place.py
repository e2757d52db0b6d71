"""Answers to actions: in place where htmx asks, else back on a page; with a way to undo.

An action that htmx asked for answers with its message alone and says that something changed: each
part of a page that shows it asks for itself again (`hx-trigger="changed from:body"`).
"""

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django_htmx.http import reswap, trigger_client_event

from devices.models import AuditEntry, Person, Registration
from devices.permissions import ApplicationRequest
from devices.views.trail import changes_of
from pushadmin.web import DashboardRequest

CHANGED = "changed"


def answer(
    request: ApplicationRequest | DashboardRequest,
    back: str,
    text: str,
    *,
    level: int = messages.SUCCESS,
    undo: str = "",
) -> HttpResponse:
    """Say what was done. `back` is the page without htmx, `undo` the address that takes it back."""
    messages.add_message(request, level, text, extra_tags=undo)
    if not request.htmx:
        return redirect(back)
    return trigger_client_event(reswap(render(request, "_toasts_added.html"), "none"), CHANGED)


def newest_entry(row: Registration | Person) -> int:
    """The key of what the audit trail says last of a device or a person; 0: nothing."""
    return _entries(row).values_list("pk", flat=True).order_by("-pk").first() or 0


def undo_of(request: ApplicationRequest, row: Registration | Person, behind: int) -> str:
    """The address that takes back what the reader has just done; "": it cannot be taken back."""
    mine = _entries(row).filter(pk__gt=behind, actor=request.user).order_by("-pk")[:1]
    devices = {}
    if isinstance(row, Registration):
        devices = {str(row.pk): Registration.objects.get(pk=row.pk)}
    for change in changes_of(list(mine), devices):
        if change.undo == "move" and change.device is not None:
            keys = [request.application.pk, change.device.pk, change.entry.pk]
            return reverse("devices:owner-undo", args=keys)
        if change.undo:
            return reverse("devices:change-undo", args=[request.application.pk, change.entry.pk])
    return ""


def _entries(row: Registration | Person) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(object_type=row._meta.model_name, object_id=str(row.pk))
