"""Download devices or people as a CSV file."""

from django.http import Http404, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from devices import audit, exporting, finding
from devices.exporting import Chosen
from devices.forms import DeviceSearchForm
from devices.people_forms import PersonSearchForm
from devices.permissions import ApplicationRequest, Right, page
from devices.views.registrations import STATES


@page(Right.EXPORT_DEVICES)
@require_POST
def export(request: ApplicationRequest, name: str) -> StreamingHttpResponse:
    """The file, streamed, of what the page shows: all, or what was searched and filtered for.

    Who took it stands in the audit trail before it begins.
    """
    wanted = exporting.EXPORTS.get(name)
    if wanted is None:
        raise Http404("There is no such export.")
    chosen = _devices(request) if wanted is exporting.DEVICES else _people(request)
    asked = {name: request.POST[name] for name in ("platform", "state") if request.POST.get(name)}
    if chosen.keys is not None:  # not what was typed, which may be a phone number
        asked["found"] = str(len(chosen.keys))
    audit.record(
        request.user, f"export {name}", request.application,
        after=asked or None, application=request.application, request=request,
    )  # fmt: skip
    response = StreamingHttpResponse(
        exporting.rows(request.application, wanted, chosen), content_type="text/csv; charset=utf-8"
    )
    filename = f"{name}-{request.application.pk}-{timezone.now():%Y%m%d}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _devices(request: ApplicationRequest) -> Chosen:
    form = DeviceSearchForm(request.POST)
    form.is_valid()  # as on the page: what cannot be read filters nothing
    asked = form.cleaned_data
    typed = asked.get("q", "").strip()
    return Chosen(
        keys=finding.find(request.application, typed).keys if typed else None,
        platform=asked.get("platform") or None,
        **STATES.get(asked.get("state", ""), {}),
    )


def _people(request: ApplicationRequest) -> Chosen:
    typed, form = request.POST.get("q", "").strip(), PersonSearchForm(request.POST)
    if not typed:
        return exporting.ALL
    return Chosen(finding.find_people(request.application, typed).keys if form.is_valid() else [])
