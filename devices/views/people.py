"""Pages of people: find one, understand them, put it right."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Count, Prefetch
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from devices import attributes, audit, finding, numbers, personalizing
from devices.errors import DeviceError, PersonError
from devices.models import (
    Application,
    AttributeDefinition,
    Identity,
    Person,
    Registration,
)
from devices.people_forms import AttributeForm, PersonForm, PersonSearchForm
from devices.permissions import ApplicationRequest, Right, page
from devices.views.in_place import answer, newest_entry, undo_of
from devices.views.registrations import attributes_of, initial_attribute, state_of
from pushadmin.web import newest_first, page_or_partial

MOST_DEVICES = 50  # on the page of a person


@page(Right.SEE_DEVICES)
@require_GET
def person_list(request: ApplicationRequest) -> HttpResponse:
    """People of the account, newest first; found by whatever names them."""
    form = PersonSearchForm(request.GET)
    typed = request.GET.get("q", "").strip()
    found = None
    if typed:  # what cannot be read names nobody
        known = form.is_valid()
        found = finding.find_people(request.application, typed) if known else finding.Found()
    people = Person.objects.all()
    if found is not None:
        people = people.filter(pk__in=found.keys)
    pager = newest_first(
        request,
        people.prefetch_related(Prefetch("identities", Identity.objects.order_by("kind", "pk"))),
        one="person",
        many="people",
    )
    context = {
        "application": request.application,
        "pager": pager,
        "rows": _rows(request.application, pager.rows),
        "typed": typed,
        "searching": found is not None,
        "more": found is not None and found.more,
    }
    return page_or_partial(request, "devices/person_list.html", "person-list", context)


@dataclass(frozen=True, slots=True)
class Row:
    """A person as the list shows them."""

    person: Person
    name: str  # empty: they have none
    identities: list[Identity]
    devices: int  # of this application


def _rows(application: Application, people: Any) -> list[Row]:
    counted = dict(
        Registration.objects.filter(application=application, person__in=list(people))
        .values_list("person")
        .annotate(devices=Count("pk"))
        .order_by()
    )
    return [
        Row(each, name_of(each), list(each.identities.all()), counted.get(each.pk, 0))
        for each in people
    ]


def name_of(person: Person) -> str:
    return " ".join(filter(None, (person.first_name, person.last_name)))


@page(Right.SEE_DEVICES)
@require_GET
def person_detail(request: ApplicationRequest, pk: int) -> HttpResponse:
    """One person: who they are, their devices, what they were sent, who changed what."""
    person = get_object_or_404(Person.objects.prefetch_related("identities"), pk=pk)
    return show(request, person, PersonForm(person=person), request.GET.get("open", ""))


def show(
    request: ApplicationRequest, person: Person, form: PersonForm, opened: str = ""
) -> HttpResponse:
    """The page, or what an action changed of it.

    With what was typed and could not be kept, its dialog stands open.
    """
    theirs = Registration.objects.filter(person=person, application=request.application)
    devices = list(theirs.select_related("address").order_by("-primary", "-pk")[:MOST_DEVICES])
    everywhere = Registration.objects.filter(person=person).count()
    here = theirs.count()
    reached = theirs.reachable().filter(address__closed_at=None).exclude(address__token="")
    identities = list(person.identities.all())
    phones = [each.value for each in identities if each.kind == Identity.Kind.PHONE]
    closings = numbers.closings(phones) if phones else {}
    types = attributes.types(None) if request.GET.get("attribute") else {}
    context = {
        "application": request.application,
        "person": person,
        "name": name_of(person),
        "identities": [(each, closings.get(each.value)) for each in identities],
        "attributes": attributes_of(
            person.attributes, AttributeDefinition.Scope.PERSON, request.application
        ),
        "devices": [(each, state_of(each)) for each in devices],
        "here": here,
        "hidden": here - len(devices),
        "elsewhere": everywhere - here,
        "reachable": reached.count(),
        "form": form,
        "attribute_form": AttributeForm(
            initial=initial_attribute(request, person.attributes, types)
        ),
        "opened": opened,
        "in_place": bool(request.htmx),
    }
    status = 422 if form.errors else 200
    return page_or_partial(
        request, "devices/person_detail.html", "person-parts", context, status=status
    )


@page(Right.EDIT_DEVICES)
@require_POST
def person_edit(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Change what is known of a person, and by what they are known."""
    person = get_object_or_404(Person, pk=pk)
    form = PersonForm(request.POST, person=person)
    behind = newest_entry(person)
    if form.is_valid():
        try:
            personalizing.change(pk, form.described(), audit.author_of(request.user, request))
        except PersonError as refusal:
            form.refuse(refusal, request.application)
        except DeviceError as refusal:
            form.add_error(None, f"{refusal}.")
        else:
            back = reverse("devices:person", args=[request.application.pk, pk])
            if newest_entry(person) == behind:
                return answer(request, back, "Nothing was different.", level=messages.INFO)
            undo = undo_of(request, person, behind)
            return answer(request, back, "The person was changed.", undo=undo)
    if request.htmx:
        context = {"application": request.application, "person": person, "form": form}
        return render(request, "devices/person_detail.html#edit-form", context, status=422)
    return show(request, person, form)


@page(Right.EDIT_DEVICES)
@require_POST
def person_erase(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Forget a person for good; their devices become anonymous, reports stay."""
    try:
        personalizing.erase(pk, audit.author_of(request.user, request))
    except DeviceError as refusal:
        messages.error(request, f"{refusal}.")
    else:
        messages.success(request, "The person was erased. Their devices are anonymous now.")
    return redirect("devices:people", request.application.pk)
