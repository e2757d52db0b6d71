"""Pages of files of members: choose what the columns hold, see what would happen, say yes."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import listing_files, tasks
from campaigns.listing_forms import ListFileForm
from campaigns.membership import KEYS
from campaigns.models import ListUpload, StaticList
from devices import audit, importing
from devices.csv_refusals import refused_rows
from devices.models import ImportRun
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import page_or_partial

SHOWN_REFUSALS = 50
Status = ImportRun.Status
STATES: dict[str, str] = {
    Status.WAITING: "waiting",
    Status.RUNNING: "running",
    Status.DONE: "done",
    Status.FAILED: "stopped",
}


def receive(request: ApplicationRequest, to: StaticList, file: UploadedFile[bytes]) -> str:
    """Keep a file of members, and say where its page is."""
    with transaction.atomic():
        upload = listing_files.receive(
            to, request.user, file.name or "members.csv", file.chunks(importing.PIECE)
        )
        transaction.on_commit(partial(tasks.read_list_upload.delay, upload.pk))
    return _url(upload)


def _url(upload: ListUpload) -> str:
    return reverse(
        "campaigns:list-upload", args=[upload.run.application_id, upload.list_id, upload.pk]
    )


def _upload(request: ApplicationRequest, pk: int, upload: int) -> ListUpload:
    uploads = ListUpload.objects.select_related("run__started_by", "list__application")
    return get_object_or_404(uploads, pk=upload, list=pk, list__application=request.application)


@require_http_methods(["GET", "POST"])
@page(Right.EDIT_CAMPAIGNS)
def upload_new(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Another file for a list."""
    to = get_object_or_404(StaticList, pk=pk, application=request.application)
    posted = request.method == "POST"
    form = ListFileForm(request.POST, request.FILES) if posted else ListFileForm()
    if posted and form.is_valid():
        return redirect(receive(request, to, form.cleaned_data["file"]))
    status = 422 if form.is_bound else 200
    return render(request, "campaigns/list_file.html", {"list": to, "form": form}, status=status)


@require_GET
@page(Right.EDIT_CAMPAIGNS)
def upload_detail(request: ApplicationRequest, pk: int, upload: int) -> HttpResponse:
    """What a file would do, or did; while it is being read, how far that is."""
    shown = _upload(request, pk, upload)
    return page_or_partial(
        request, "campaigns/list_upload.html", "upload-progress", _context(shown)
    )


def _context(upload: ListUpload) -> dict[str, Any]:
    run = upload.run
    rows = upload.example[1:] if upload.named else upload.example
    headings = [heading for heading, _ in run.columns]
    return {
        "list": upload.list,
        "upload": upload,
        "run": run,
        "state": STATES[run.status],
        "unfinished": run.status in (Status.WAITING, Status.RUNNING),
        "tried": run.status == Status.DONE and upload.dry,
        "share": min(run.bytes_read / run.size, 1.0) if run.size else 0.0,
        "keys": list(KEYS.items()),
        "columns": [
            (number, heading, chosen, [row[number] for row in rows if number < len(row)])
            for number, (heading, chosen) in enumerate(zip(headings, upload.columns, strict=False))
        ],
        "refusals": run.refusals.all()[:SHOWN_REFUSALS],
    }


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def upload_columns(request: ApplicationRequest, pk: int, upload: int) -> HttpResponse:
    """Say what each column holds; the file is tried again."""
    shown = _upload(request, pk, upload)
    chosen = [request.POST.get(f"column-{n}", "") for n in range(len(shown.columns))]
    columns = [key if key in KEYS else "" for key in chosen]
    picked = [key for key in columns if key]
    if not picked:
        messages.error(request, "Choose the column that names the members.")
    elif len(set(picked)) < len(picked):
        messages.error(request, "Two columns hold the same. Choose one of them.")
    else:
        named = request.POST.get("named") == "on"
        with transaction.atomic():
            if listing_files.choose(shown, named=named, columns=columns):
                transaction.on_commit(partial(tasks.read_list_upload.delay, shown.pk))
    return redirect(_url(shown))


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def upload_add(request: ApplicationRequest, pk: int, upload: int) -> HttpResponse:
    """Put the members of a tried file on the list."""
    shown = _upload(request, pk, upload)
    with transaction.atomic():
        if listing_files.confirm(shown, audit.author_of(request.user, request)):
            transaction.on_commit(partial(tasks.read_list_upload.delay, shown.pk))
    return redirect(_url(shown))


@require_GET
@page(Right.EDIT_CAMPAIGNS)
def upload_refusals(request: ApplicationRequest, pk: int, upload: int) -> StreamingHttpResponse:
    """The refused rows as a file: mend them there, drop the first three columns, upload it."""
    run = _upload(request, pk, upload).run
    response = StreamingHttpResponse(refused_rows(run), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="list-{pk}-refused.csv"'
    return response
