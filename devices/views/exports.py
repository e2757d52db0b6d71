"""Download devices or people as a CSV file."""

from django.http import Http404, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from devices import audit, exporting
from devices.permissions import ApplicationRequest, Right, page


@page(Right.EXPORT_DEVICES)
@require_POST
def export(request: ApplicationRequest, name: str) -> StreamingHttpResponse:
    """The file, streamed; who took it stands in the audit trail before it begins."""
    wanted = exporting.EXPORTS.get(name)
    if wanted is None:
        raise Http404("There is no such export.")
    audit.record(
        request.user, f"export {name}", request.application,
        application=request.application, request=request,
    )  # fmt: skip
    response = StreamingHttpResponse(
        exporting.rows(request.application, wanted), content_type="text/csv; charset=utf-8"
    )
    filename = f"{name}-{request.application.pk}-{timezone.now():%Y%m%d}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.headers["Cache-Control"] = "no-store"
    return response
