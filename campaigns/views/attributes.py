"""The registry of custom attributes: what apps and systems told, who asks for it, its index."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from campaigns import usage
from campaigns.segmenting import Use
from campaigns.targeting import ATTRIBUTE, PERSON_ATTRIBUTE
from devices import indexing, tasks
from devices.indexing import HELPS, Condition, IndexRefusedError
from devices.models import Application, AttributeDefinition, Registration
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial, searched

LATEST = 300  # devices whose values are shown
SAMPLES = 3  # values of an attribute
LENGTH = 40  # characters of one
Scope = AttributeDefinition.Scope
Type = AttributeDefinition.Type


@dataclass(frozen=True, slots=True)
class Line:
    """An attribute as the registry shows it."""

    definition: AttributeDefinition
    samples: list[str]
    used_by: list[Use]
    index: Condition
    helps: str  # what an index answers; "": it can have none


@require_GET
@page(Right.SEE_CAMPAIGNS)
def attribute_list(request: ApplicationRequest) -> HttpResponse:
    """Attributes of the application's devices and of people, newest first."""
    owned = Q(application=request.application) | Q(application=None)
    definitions = AttributeDefinition.objects.filter(owned)
    search = searched(request)
    if search:
        definitions = definitions.filter(name__icontains=search)
    pager = newest_first(request, definitions, one="attribute", many="attributes")
    lines = _lines(request, pager.rows)
    context = {
        "pager": pager,
        "lines": lines,
        "search": search,
        "building": any(not line.index.settled for line in lines),
        "sees_values": Right.SEE_DEVICES in request.rights,
    }
    return page_or_partial(request, "campaigns/attribute_list.html", "attribute-table", context)


def _lines(request: ApplicationRequest, definitions: Any) -> list[Line]:
    uses = usage.of_attributes(request.application)
    indexes = indexing.conditions(definitions)
    seen = _seen(request.application) if Right.SEE_DEVICES in request.rights else {}
    return [
        Line(
            definition=each,
            samples=_samples(each, seen.get((each.scope, each.name))),
            used_by=uses.get(field_of(each), []),
            index=indexes[each.pk],
            helps=HELPS.get(Type(each.type), ""),
        )
        for each in definitions
    ]


def field_of(definition: AttributeDefinition) -> str:
    """What a rule calls it."""
    prefix = ATTRIBUTE if definition.scope == Scope.DEVICE else PERSON_ATTRIBUTE
    return prefix + definition.name


def _seen(application: Application) -> dict[tuple[int, str], Counter[str]]:
    """The commonest values among the devices that came last, and among their people."""
    latest = Registration.objects.filter(application=application).order_by("-pk")[:LATEST]
    seen: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for of_device, of_person in latest.values_list("attributes", "person__attributes"):
        for scope, values in ((Scope.DEVICE, of_device), (Scope.PERSON, of_person)):
            for name, value in (values or {}).items():
                seen[scope, name][_said(value)] += 1
    return seen


def _samples(definition: AttributeDefinition, seen: Counter[str] | None) -> list[str]:
    """What the latest devices have; without any of them, what was first told of a device.

    What was first told of a person may be one's of another application: it stays there.
    """
    if seen:
        return [value for value, _ in seen.most_common(SAMPLES)]
    if seen is None or definition.scope == Scope.PERSON:
        return []
    return [_said(value) for value in definition.samples[:SAMPLES]]


def _said(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return f"{len(value)} item{'' if len(value) == 1 else 's'}"
    text = str(value)
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…"


@require_POST
@page(Right.EDIT_SETTINGS)
def attribute_index(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Have an index built, or dropped; a worker does it."""
    owned = Q(application=request.application) | Q(application=None)
    definition = get_object_or_404(AttributeDefinition.objects.filter(owned), pk=pk)
    wanted = request.POST.get("indexed") == "yes"
    try:
        with transaction.atomic():
            changed = indexing.switch(
                definition,
                request.user,
                indexed=wanted,
                application=request.application,
                request=request,
            )
            if changed:
                transaction.on_commit(partial(tasks.fit_indexes.delay))
    except IndexRefusedError as refusal:
        messages.error(request, str(refusal))
    else:
        said = "is being built" if wanted else "is being dropped"
        messages.success(request, f"The index of {definition.name} {said}.")
    return redirect("campaigns:attributes", request.application.pk)
