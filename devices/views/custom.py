"""Custom attributes of a device or a person, set and taken away by hand."""

from collections.abc import Mapping

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect

from devices import attributes, audit, personalizing, registering
from devices.attributes import JSON
from devices.errors import DeviceError, UnknownPersonError
from devices.models import Person, Registration
from devices.people_forms import AttributeForm
from devices.permissions import ApplicationRequest, Right, page
from devices.personalizing import Described
from devices.registering import Device
from devices.views.in_place import answer, newest_entry, undo_of


@page(Right.EDIT_DEVICES)
@require_POST
def device_attribute(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Set an attribute of a device, or take it away."""
    devices = Registration.objects.filter(application=request.application)
    device = get_object_or_404(devices.select_related("address"), pk=pk)
    back = reverse("devices:detail", args=[request.application.pk, pk])
    form = AttributeForm(request.POST, known=attributes.types(request.application))
    if not form.is_valid():
        return _refused(request, back, form)
    given, behind = {form.cleaned_data["name"]: form.kept()}, newest_entry(device)
    try:
        registering.refresh(
            request.application,
            device.address.public_id,
            Device(attributes=given),
            author=audit.author_of(request.user, request),
        )
    except DeviceError as refusal:
        form.add_error(None, f"{refusal}.")
        return _refused(request, back, form)
    return answer(request, back, _done(given), undo=undo_of(request, device, behind))


@page(Right.EDIT_DEVICES)
@require_POST
def person_attribute(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Set an attribute of a person, or take it away."""
    person = Person.objects.filter(pk=pk).first()
    back = reverse("devices:person", args=[request.application.pk, pk])
    form = AttributeForm(request.POST, known=attributes.types(None))
    if person is None:
        return _gone(request)
    if not form.is_valid():
        return _refused(request, back, form)
    given, behind = {form.cleaned_data["name"]: form.kept()}, newest_entry(person)
    try:
        described = Described(attributes=given)
        personalizing.change(pk, described, audit.author_of(request.user, request))
    except UnknownPersonError:
        return _gone(request)
    except DeviceError as refusal:
        form.add_error(None, f"{refusal}.")
        return _refused(request, back, form)
    return answer(request, back, _done(given), undo=undo_of(request, person, behind))


def _gone(request: ApplicationRequest) -> HttpResponse:
    messages.error(request, "The person is gone, so nothing was changed.")
    people = reverse("devices:people", args=[request.application.pk])
    return HttpResponseClientRedirect(people) if request.htmx else redirect(people)


def _refused(request: ApplicationRequest, back: str, form: AttributeForm) -> HttpResponse:
    """The dialog with what is wrong beside its field; without htmx a message tells it."""
    if request.htmx:
        context = {"attribute_form": form, "action": request.path}
        return render(request, "devices/_attribute.html#attribute-form", context, status=422)
    for name, errors in form.errors.items():
        label = f"{form.fields[name].label or name.capitalize()}: " if name in form.fields else ""
        messages.error(request, f"{label}{errors[0]}")
    return redirect(back)


def _done(given: Mapping[str, JSON]) -> str:
    ((name, value),) = given.items()
    return f"The attribute {name} was {'taken away' if value is None else 'set'}."
