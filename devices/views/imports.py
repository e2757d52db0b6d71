"""Pages of imports: upload a file, watch it become devices, take back what was refused."""

from functools import partial

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from devices import audit, importing, tasks
from devices.csv_refusals import refused_rows
from devices.forms import ImportForm
from devices.models import ImportRun
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial

SHOWN_REFUSALS = 50
STATES = {
    ImportRun.Status.WAITING: "waiting",
    ImportRun.Status.RUNNING: "running",
    ImportRun.Status.DONE: "done",
    ImportRun.Status.FAILED: "stopped",
}


@page(Right.IMPORT_DEVICES)
@require_http_methods(["GET", "POST"])
def import_list(request: ApplicationRequest) -> HttpResponse:
    """Files of an application, newest first, and the form for another."""
    posted = request.method == "POST"
    form = ImportForm(request.POST, request.FILES) if posted else ImportForm()
    if posted and form.is_valid():
        run = _receive(request, form)
        messages.success(request, f"{run.filename} is here. You may leave this page meanwhile.")
        return redirect("devices:import-detail", request.application.pk, run.pk)
    runs = _runs(request).select_related("started_by")
    pager = newest_first(request, runs, one="import", many="imports")
    context = {
        "application": request.application,
        "form": form,
        "pager": pager,
        "rows": [(run, STATES[ImportRun.Status(run.status)]) for run in pager.rows],
    }
    status = 422 if form.is_bound else 200
    return render(request, "devices/import_list.html", context, status=status)


def _runs(request: ApplicationRequest) -> QuerySet[ImportRun]:
    return ImportRun.objects.filter(
        application=request.application, purpose=ImportRun.Purpose.DEVICES
    )


def _receive(request: ApplicationRequest, form: ImportForm) -> ImportRun:
    file = form.cleaned_data["file"]
    with transaction.atomic():
        run = importing.receive(
            request.application, request.user, file.name, file.chunks(importing.PIECE)
        )
        audit.record(
            request.user,
            "import devices",
            run,
            after={"file": run.filename, "bytes": run.size},
            request=request,
        )
        transaction.on_commit(partial(tasks.run_import.delay, run.pk))
    return run


@page(Right.IMPORT_DEVICES)
@require_GET
def import_detail(request: ApplicationRequest, pk: int) -> HttpResponse:
    """How far one file got, what it changed, what it refused; while it runs, only that."""
    run = get_object_or_404(_runs(request).select_related("started_by"), pk=pk)
    context = {
        "application": request.application,
        "run": run,
        "state": STATES[ImportRun.Status(run.status)],
        "unfinished": run.status in (ImportRun.Status.WAITING, ImportRun.Status.RUNNING),
        "share": min(run.bytes_read / run.size, 1.0) if run.size else 0.0,
        "same": run.rows - run.created - run.updated - run.refused,
        "refusals": run.refusals.all()[:SHOWN_REFUSALS],
    }
    return page_or_partial(request, "devices/import_detail.html", "import-progress", context)


@page(Right.IMPORT_DEVICES)
@require_GET
def import_refusals(request: ApplicationRequest, pk: int) -> StreamingHttpResponse:
    """The refused rows as a file: mend them there, drop the first three columns, upload it."""
    run = get_object_or_404(_runs(request), pk=pk)
    response = StreamingHttpResponse(refused_rows(run), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="import-{pk}-refused.csv"'
    return response
