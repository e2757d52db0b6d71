"""Put right whose a device is: move it, part it, make it primary, and take that back."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from devices import audit, personalizing, registering
from devices.errors import (
    ContactLimitError,
    DeviceError,
    IdentityTakenError,
    NothingToUndoError,
    SeveralPeopleError,
)
from devices.models import AuditEntry, Person, Registration
from devices.people_forms import OwnerForm
from devices.permissions import ApplicationRequest, Right, page
from devices.personalizing import Choice
from devices.registering import Device
from devices.views.in_place import answer, newest_entry, undo_of
from devices.views.registrations import show

# A support agent has seen what will happen, so the device may be taken from another person.
FORCE = Choice(force=True)


def _device(request: ApplicationRequest, pk: int) -> Registration:
    devices = Registration.objects.filter(application=request.application)
    return get_object_or_404(devices.select_related("address", "person", "application"), pk=pk)


def explain(refusal: DeviceError) -> str:
    """Why it cannot be done, and what to do."""
    match refusal:
        case SeveralPeopleError():
            return (
                "These belong to different people. Use only what names the right one, "
                "or erase the person who exists by mistake."
            )
        case IdentityTakenError():
            return (
                "This person has another external ID already. "
                "Leave the external ID empty to move the device to them anyway."
            )
        case ContactLimitError():
            return f"The person would have more than {refusal.most} {refusal.name}."
        case NothingToUndoError():
            return "The device has changed hands since, so this cannot be undone."
    return f"{refusal}."


def _seen(request: ApplicationRequest, device: Registration, form: OwnerForm) -> dict[str, Any]:
    """What moving the device would do, for its dialog."""
    told: dict[str, Any] = {"owner_form": form}
    if form.is_valid():
        seen = personalizing.preview(device, form.identities(), FORCE)
        told |= {"seen": seen, "refusal": explain(seen.refusal) if seen.refusal else ""}
    return told


def _home(device: Registration) -> str:
    return reverse("devices:detail", args=[device.application_id, device.pk])


@page(Right.EDIT_DEVICES)
@require_GET
def owner_preview(request: ApplicationRequest, pk: int) -> HttpResponse:
    """What moving the device would do, while it is typed."""
    device = _device(request, pk)
    context = _seen(request, device, OwnerForm(request.GET))
    context |= {"application": request.application, "device": device}
    return render(request, "devices/_owner.html#owner-preview", context)


@page(Right.EDIT_DEVICES)
@require_POST
def owner_change(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Move a device to the person who is known by what was typed."""
    device = _device(request, pk)
    form = OwnerForm(request.POST)
    if "preview" in request.POST or not form.is_valid():  # without scripts
        status = 200 if form.is_valid() else 422
        return _ask_again(request, device, _seen(request, device, form), status)
    behind = newest_entry(device)
    try:
        person = personalizing.personalize(
            request.application,
            device.address.public_id,
            form.identities(),
            audit.author_of(request.user, request),
            choice=FORCE,
        )
    except DeviceError as refusal:
        told = {**_seen(request, device, form), "refusal": explain(refusal)}
        return _ask_again(request, device, told, 422)
    undo = undo_of(request, device, behind)
    return answer(request, _home(device), f"The device belongs to {person} now.", undo=undo)


def _ask_again(
    request: ApplicationRequest, device: Registration, told: dict[str, Any], status: int
) -> HttpResponse:
    """The dialog with both sides, and why the device cannot be moved like this."""
    if not request.htmx:
        return show(request, device.pk, opened="owner", status=status, more=told)
    context = {"application": request.application, "device": device, **told}
    return render(request, "devices/_owner.html#owner-preview", context, status=status)


@page(Right.EDIT_DEVICES)
@require_POST
def owner_part(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Part a device from its person: nobody is known to use it."""
    device = _device(request, pk)
    behind = newest_entry(device)
    parted = personalizing.depersonalize(
        request.application, device.address.public_id, audit.author_of(request.user, request)
    )
    if not parted:
        text = "The device was anonymous already."
        return answer(request, _home(device), text, level=messages.INFO)
    undo = undo_of(request, device, behind)
    return answer(request, _home(device), "The device is anonymous now.", undo=undo)


@page(Right.EDIT_DEVICES)
@require_POST
def primary_change(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Make a device the primary one of its person, or let them have none."""
    device, wanted = _device(request, pk), request.POST.get("primary") == "1"
    behind = newest_entry(device)
    registering.refresh(
        request.application,
        device.address.public_id,
        Device(primary=wanted),
        author=audit.author_of(request.user, request),
    )
    done = "is the primary one now" if wanted else "is not the primary one any more"
    back = _home(device)
    if request.POST.get("person") and device.person_id is not None:  # asked from their page
        back = reverse("devices:person", args=[request.application.pk, device.person_id])
    return answer(request, back, f"The device {done}.", undo=undo_of(request, device, behind))


@page(Right.EDIT_DEVICES)
@require_POST
def owner_undo(request: ApplicationRequest, pk: int, entry: int) -> HttpResponse:
    """Take back the last time a device changed hands."""
    device = _device(request, pk)
    move = get_object_or_404(
        AuditEntry, pk=entry, object_type="registration", object_id=str(device.pk)
    )
    try:
        undone = personalizing.undo(
            request.application,
            device.address.public_id,
            move,
            audit.author_of(request.user, request),
        )
    except DeviceError as refusal:
        return answer(request, _home(device), explain(refusal), level=messages.ERROR)
    whose = f"belongs to {undone.person} again" if undone.person else "is anonymous again"
    return answer(request, _home(device), f"The device {whose}.")


@page(Right.EDIT_DEVICES)
@require_POST
def change_undo(request: ApplicationRequest, entry: int) -> HttpResponse:
    """Take back what was changed of a person, or of a device of this application."""
    wanted = get_object_or_404(AuditEntry, pk=entry, object_type__in=("person", "registration"))
    author = audit.author_of(request.user, request)
    if wanted.object_type == "person":
        person = get_object_or_404(Person, pk=wanted.object_id)
        back = reverse("devices:person", args=[request.application.pk, person.pk])
    else:
        back = _home(_device(request, int(wanted.object_id)))
    try:
        if wanted.object_type == "person":
            personalizing.revert_person(wanted, author)
        else:
            personalizing.revert_device(wanted, author)
    except NothingToUndoError:
        text = "It has been changed since, so this cannot be undone."
        return answer(request, back, text, level=messages.ERROR)
    except DeviceError as refusal:
        return answer(request, back, explain(refusal), level=messages.ERROR)
    return answer(request, back, "The change was undone.")
