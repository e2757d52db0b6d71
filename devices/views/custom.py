"""Custom attributes of a device or a person, set and taken away by hand."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from devices import attributes, audit, personalizing, registering
from devices.attributes import JSON
from devices.errors import DeviceError, UnknownPersonError
from devices.models import Application, Registration
from devices.people_forms import AttributeForm
from devices.permissions import ApplicationRequest, Right, page
from devices.personalizing import Described
from devices.registering import Device


@page(Right.EDIT_DEVICES)
@require_POST
def device_attribute(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Set an attribute of a device, or take it away."""
    devices = Registration.objects.filter(application=request.application)
    device = get_object_or_404(devices.select_related("address"), pk=pk)
    if (given := _given(request, request.application)) is not None:
        try:
            registering.refresh(
                request.application,
                device.address.public_id,
                Device(attributes=given),
                author=audit.author_of(request.user, request),
            )
        except DeviceError as refusal:
            messages.error(request, f"{refusal}.")
        else:
            _say(request, given)
    return redirect("devices:detail", request.application.pk, pk)


@page(Right.EDIT_DEVICES)
@require_POST
def person_attribute(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Set an attribute of a person, or take it away."""
    if (given := _given(request, None)) is not None:
        described = Described(attributes=given)
        try:
            personalizing.change(pk, described, audit.author_of(request.user, request))
        except UnknownPersonError:
            messages.error(request, "The person is gone, so nothing was changed.")
            return redirect("devices:people", request.application.pk)
        except DeviceError as refusal:
            messages.error(request, f"{refusal}.")
        else:
            _say(request, given)
    return redirect("devices:person", request.application.pk, pk)


def _given(request: ApplicationRequest, owner: Application | None) -> dict[str, JSON] | None:
    """The attribute that was typed; None as a value takes it away. None: it cannot be read."""
    form = AttributeForm(request.POST, known=attributes.types(owner))
    if form.is_valid():
        return {form.cleaned_data["name"]: form.kept()}
    for name, errors in form.errors.items():
        label = form.fields[name].label or name.capitalize()
        messages.error(request, f"{label}: {errors[0]}")
    return None


def _say(request: ApplicationRequest, given: dict[str, JSON]) -> None:
    for name, value in given.items():
        done = "taken away" if value is None else "set"
        messages.success(request, f"The attribute {name} was {done}.")
