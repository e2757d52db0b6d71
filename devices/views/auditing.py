"""The Audit page: who changed what, where and when, with what was before and after."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from django import forms
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from devices import audit, auditing, personalizing
from devices.auditing import Key, Line, Search
from devices.models import Application, AuditEntry, Registration
from devices.permissions import Right, applications_with
from devices.views.trail import changes_of
from pushadmin.web import SIZES, Pager, address, page_or_partial

LINES = 4  # of a change that stand open


class SearchForm(forms.Form):
    """What somebody looks for; every part may be left out."""

    who = forms.CharField(required=False, max_length=150)
    action = forms.ChoiceField(required=False)
    object = forms.CharField(required=False, max_length=250)
    application = forms.TypedChoiceField(required=False, coerce=int, empty_value=None)
    since = forms.DateField(required=False, label="From")
    until = forms.DateField(required=False, label="To")

    def __init__(self, *args: Any, applications: list[Application], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("forms.ChoiceField", self.fields["action"]).choices = [
            ("", "Every action"),
            *((each, each.capitalize()) for each in auditing.actions()),
        ]
        cast("forms.ChoiceField", self.fields["application"]).choices = [
            ("", "Every application"),
            *((each.pk, each.name) for each in applications),
        ]

    def search(self, user: User, applications: list[Application]) -> Search:
        """Of entries that belong to no application, only who runs the installation sees any."""
        data = self.cleaned_data
        visible = None if user.is_superuser else [each.pk for each in applications]
        if data["application"] is not None:
            visible = [data["application"]]
        return Search(
            applications=visible, who=data["who"], action=data["action"], what=data["object"],
            since=data["since"], until=data["until"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as the page shows it."""

    entry: AuditEntry
    kind: str  # of the object, in words
    application: str
    lines: list[Line]
    more: list[Line]
    undo: str  # the address that takes it back; "": it cannot be taken back


def _form(request: HttpRequest, data: Any) -> tuple[SearchForm, list[Application]]:
    applications = applications_with(Right.SEE_AUDIT, cast("User", request.user))
    if not applications and not cast("User", request.user).is_superuser:
        raise PermissionDenied("Your role may not do this: see audit.")
    return SearchForm(data, applications=applications), applications


@login_required
@require_GET
def audit_page(request: HttpRequest) -> HttpResponse:
    form, applications = _form(request, request.GET)
    pager: Pager[AuditEntry] = Pager([], "", SIZES[1], [], "", "")
    if form.is_valid():
        pager = _pager(request, form.search(cast("User", request.user), applications))
    names = {each.pk: each.name for each in applications}
    undos = _undos(cast("User", request.user), list(pager.rows))
    rows = []
    for entry in pager.rows:
        lines = auditing.diff(entry)
        name = names.get(entry.application_id or 0, "")
        kind = auditing.kinds().get(entry.object_type, entry.object_type)
        undo = undos.get(entry.pk, "")
        rows.append(Row(entry, kind, name, lines[:LINES], lines[LINES:], undo))
    context = {
        "form": form,
        "pager": pager,
        "rows": rows,
        "searching": any(request.GET.get(name) for name in form.fields),
    }
    status = 200 if form.is_valid() else 422
    return page_or_partial(request, "devices/audit.html", "audit-list", context, status=status)


def _undos(user: User, entries: list[AuditEntry]) -> dict[int, str]:
    """The addresses that take entries back, of changes that still stand and that the reader may.

    A person belongs to no application, so they are put right from any in which the reader may.
    """
    mine = [each.pk for each in applications_with(Right.EDIT_DEVICES, user)]
    wanted = [
        each
        for each in entries
        if each.action in personalizing.UNDOABLE
        and (each.application_id in mine if each.object_type == "registration" else mine)
    ]
    keys = [int(each.object_id) for each in wanted if each.object_type == "registration"]
    devices = {
        str(each.pk): each
        for each in Registration.objects.filter(pk__in=keys, application__in=mine)
    }
    found = {}
    for change in changes_of(wanted, devices) if wanted else []:
        entry, device = change.entry, change.device
        if change.undo == "move" and device is not None:
            keys = [device.application_id, device.pk, entry.pk]
            found[entry.pk] = reverse("devices:owner-undo", args=keys)
        elif change.undo:
            application = entry.application_id if entry.application_id in mine else mine[0]
            found[entry.pk] = reverse("devices:change-undo", args=[application, entry.pk])
    return found


def _pager(request: HttpRequest, search: Search) -> Pager[AuditEntry]:
    """Not counted: a page of millions of entries costs as much as one of a hundred."""
    size = {str(each): each for each in SIZES}.get(request.GET.get("rows", ""), SIZES[1])
    older, newer = _key(request.GET.get("after")), _key(request.GET.get("before"))
    if newer is not None:
        found = list(search.entries(limit=size + 1, after=newer))
        has_newer, has_older = len(found) > size, True
        page = found[:size][::-1]
    else:
        found = list(search.entries(limit=size + 1, before=older))
        has_newer, has_older = older is not None, len(found) > size
        page = found[:size]
    whole = not has_newer and not has_older
    text = f"{len(page)} {'entry' if len(page) == 1 else 'entries'}" if whole else "Newest first"
    return Pager(
        rows=page,
        text=text,
        size=size,
        sizes=[(each, address(request, rows=each, after=None, before=None)) for each in SIZES],
        previous_url=address(request, before=_text(page[0]), after=None)
        if page and has_newer
        else "",
        next_url=address(request, after=_text(page[-1]), before=None) if page and has_older else "",
    )


def _text(entry: AuditEntry) -> str:
    return f"{entry.at.astimezone(UTC):%Y%m%dT%H%M%S.%f}-{entry.pk}"


def _key(typed: str | None) -> Key | None:
    """The key of an address; one that is none starts anew."""
    at, _, pk = (typed or "").partition("-")
    try:
        key = datetime.strptime(at, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC), int(pk)
    except ValueError:
        return None
    return key if 0 < key[1] < 2**63 else None


@login_required
@require_POST
def audit_file(request: HttpRequest) -> HttpResponseBase:
    """All that was found, streamed; who took it stands in the trail before it begins."""
    form, applications = _form(request, request.POST)
    if not form.is_valid():
        return HttpResponse("Correct the search, then download it again.", status=422)
    search = form.search(cast("User", request.user), applications)
    newest: Key = (timezone.now(), 2**63 - 1)
    asked = {name: value for name in form.fields if (value := request.POST.get(name))}
    for application in [each for each in applications if each.pk in (search.applications or ())]:
        audit.record(
            request.user, "export audit trail", application,
            after=asked or None, application=application, request=request,
        )  # fmt: skip
    if search.applications is None:
        audit.record(
            request.user, "export audit trail", cast("User", request.user),
            after=asked or None, request=request,
        )  # fmt: skip
    response = StreamingHttpResponse(
        auditing.csv_rows(search, newest=newest), content_type="text/csv; charset=utf-8"
    )
    filename = f"audit-{timezone.now():%Y%m%d}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.headers["Cache-Control"] = "no-store"
    return response
