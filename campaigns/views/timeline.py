"""The timeline of a person or a device: a part of their pages, and its older pages."""

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from campaigns import timeline
from campaigns.timeline import Entry, Kind, Place, Subject
from devices.models import Person, Registration
from devices.permissions import ApplicationRequest, Right, page
from devices.views.trail import Change, changes_of
from pushadmin.web import address

SHOWN = 30  # entries of a page
DEVICES = 50  # of a person
FILTERS = {"": "Everything", **{kind.value: kind.name.capitalize() for kind in Kind}}


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as a page shows it; a change is told in words."""

    entry: Entry
    change: Change | None = None

    @property
    def at(self) -> datetime:
        return self.entry.at


@require_GET
@page(Right.SEE_DEVICES)
def device_timeline(request: ApplicationRequest, pk: int) -> HttpResponse:
    """What a device was sent, what was changed about it, what its app told."""
    device = get_object_or_404(Registration, pk=pk, application=request.application)
    device.application = request.application
    return _show(request, Subject(request.application, {pk: device}))


@require_GET
@page(Right.SEE_DEVICES)
def person_timeline(request: ApplicationRequest, pk: int) -> HttpResponse:
    """The same of a person and their devices here, with the text messages they were sent."""
    get_object_or_404(Person, pk=pk)
    devices = Registration.objects.filter(person=pk, application=request.application)
    newest = devices.order_by("-primary", "-pk")[:DEVICES]
    return _show(request, Subject(request.application, {each.pk: each for each in newest}, pk))


def _show(request: ApplicationRequest, subject: Subject) -> HttpResponse:
    asked = request.GET.get("show", "")
    kinds = [Kind(asked)] if asked in {each.value for each in Kind} else list(Kind)
    place = Place.read(request.GET.get("before", ""))
    found = timeline.read(subject, kinds, SHOWN, place)
    changes = {
        change.entry.pk: change
        for change in changes_of(
            [each.change for each in found.entries if each.change is not None],
            {str(pk): device for pk, device in subject.devices.items()},
        )
    }
    context = {
        "application": request.application,
        "subject": subject,
        "lines": [
            Line(each, changes[each.change.pk] if each.change is not None else None)
            for each in found.entries
        ],
        "filters": [
            (address(request, show=value or None, before=None), label, value == asked)
            for value, label in FILTERS.items()
        ],
        "older_url": address(request, before=found.older) if found.older else "",
        "filtered": len(kinds) == 1,
    }
    part = "#timeline-entries" if place is not None else ""
    return render(request, f"campaigns/_timeline.html{part}", context)
