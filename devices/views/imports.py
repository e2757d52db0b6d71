"""Pages of imports: upload a file, watch it become devices, take back what was refused."""

from functools import partial

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from devices import audit, import_batches, import_reviews, importing, tasks
from devices.csv_refusals import refused_rows
from devices.csv_rows import FileFault
from devices.forms import ImportForm
from devices.import_forms import MappingForm
from devices.importing_people import SHEETS
from devices.models import ImportRun
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial

SHOWN_REFUSALS = 50
SAMPLES = 3  # rows of a file that is looked at
STATES = {
    ImportRun.Status.REVIEW: "draft",
    ImportRun.Status.CHECKED: "checked",
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
        if run.status != ImportRun.Status.REVIEW:
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
    return ImportRun.objects.filter(application=request.application, purpose__in=SHEETS)


def _receive(request: ApplicationRequest, form: ImportForm) -> ImportRun:
    file = form.cleaned_data["file"]
    with transaction.atomic():
        run = importing.receive(
            request.application, request.user, file.name, file.chunks(importing.PIECE),
            purpose=ImportRun.Purpose(form.cleaned_data["contents"] or ImportRun.Purpose.DEVICES),
            review="review" in request.POST,
        )  # fmt: skip
        audit.record(
            request.user,
            "upload file" if run.status == ImportRun.Status.REVIEW else f"import {run.purpose}",
            run,
            after={"file": run.filename, "bytes": run.size},
            request=request,
        )
        if run.status == ImportRun.Status.WAITING:
            transaction.on_commit(partial(tasks.run_import.delay, run.pk))
    return run


@page(Right.IMPORT_DEVICES)
@require_GET
def import_detail(request: ApplicationRequest, pk: int) -> HttpResponse:
    """How far one file got, what it changed, what it refused; while it runs, only that."""
    run = get_object_or_404(_runs(request).select_related("started_by"), pk=pk)
    return _show(request, run, _mapping(run))


def _mapping(run: ImportRun, typed: QueryDict | None = None) -> MappingForm | None:
    """The choices for the columns of a file that waits for somebody; None: of no other."""
    if run.status not in (ImportRun.Status.REVIEW, ImportRun.Status.CHECKED):
        return None
    try:
        beginning = import_reviews.beginning(run, SAMPLES)
    except FileFault as fault:
        importing.fail(run, str(fault))
        return None
    if not beginning:
        importing.fail(run, "The file is empty. Its first line must name the columns.")
        return None
    return MappingForm(typed, beginning=beginning, mapping=run.mapping, sheet=SHEETS[run.purpose])


def _show(request: ApplicationRequest, run: ImportRun, mapping: MappingForm | None) -> HttpResponse:
    context = {
        "application": request.application,
        "run": run,
        "mapping": mapping,
        "state": STATES[ImportRun.Status(run.status)],
        "people": run.purpose == ImportRun.Purpose.PEOPLE,
        "unfinished": run.status in (ImportRun.Status.WAITING, ImportRun.Status.RUNNING),
        "share": min(run.bytes_read / run.size, 1.0) if run.size else 0.0,
        "same": run.rows - run.created - run.updated - run.refused,
        # that sees itself alone
        "batch": 0 if run.size <= import_batches.EXACT else import_batches.BATCH,
        "refusals": run.refusals.all()[:SHOWN_REFUSALS],
    }
    status = 422 if mapping is not None and mapping.errors else 200
    return page_or_partial(
        request, "devices/import_detail.html", "import-progress", context, status=status
    )


@page(Right.IMPORT_DEVICES)
@require_POST
def import_start(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Check a file that waits, or import it, with what its columns should become."""
    run = get_object_or_404(_runs(request).select_related("started_by"), pk=pk)
    form, dry = _mapping(run, request.POST), "check" in request.POST
    if form is not None and not form.is_valid():
        return _show(request, run, form)
    if form is not None and import_reviews.start(run, form.mapping(), dry=dry):
        if not dry:
            audit.record(
                request.user,
                f"import {run.purpose}",
                run,
                after={"file": run.filename},
                request=request,
            )
        transaction.on_commit(partial(tasks.run_import.delay, run.pk))
    else:
        messages.info(request, "Somebody has started it already.")
    return redirect("devices:import-detail", request.application.pk, pk)


@page(Right.IMPORT_DEVICES)
@require_GET
def import_refusals(request: ApplicationRequest, pk: int) -> StreamingHttpResponse:
    """The refused rows as a file: mend them there, drop the first three columns, upload it."""
    run = get_object_or_404(_runs(request), pk=pk)
    response = StreamingHttpResponse(refused_rows(run), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="import-{pk}-refused.csv"'
    return response
