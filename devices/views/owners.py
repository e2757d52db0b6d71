"""Put right whose a device is: move it, part it, make it primary, and take that back."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
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


@page(Right.EDIT_DEVICES)
@require_GET
def owner_preview(request: ApplicationRequest, pk: int) -> HttpResponse:
    """What moving the device would do, while it is typed."""
    device = _device(request, pk)
    form = OwnerForm(request.GET)
    context = {"application": request.application, "device": device, "owner_form": form}
    if form.is_valid():
        seen = personalizing.preview(device, form.identities(), FORCE)
        context |= {"seen": seen, "refusal": explain(seen.refusal) if seen.refusal else ""}
    return render(request, "devices/_owner.html#owner-preview", context)


@page(Right.EDIT_DEVICES)
@require_POST
def owner_change(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Move a device to the person who is known by what was typed."""
    device = _device(request, pk)
    form = OwnerForm(request.POST)
    if not form.is_valid():
        for errors in form.errors.values():
            messages.error(request, str(errors[0]))
        return redirect("devices:detail", request.application.pk, pk)
    try:
        person = personalizing.personalize(
            request.application,
            device.address.public_id,
            form.identities(),
            audit.author_of(request.user, request),
            choice=FORCE,
        )
    except DeviceError as refusal:
        messages.error(request, explain(refusal))
    else:
        messages.success(
            request, f"The device belongs to {person} now. In its timeline you can undo it."
        )
    return redirect("devices:detail", request.application.pk, pk)


@page(Right.EDIT_DEVICES)
@require_POST
def owner_part(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Part a device from its person: nobody is known to use it."""
    device = _device(request, pk)
    parted = personalizing.depersonalize(
        request.application, device.address.public_id, audit.author_of(request.user, request)
    )
    if parted:
        messages.success(request, "The device is anonymous now. In its timeline you can undo it.")
    else:
        messages.info(request, "The device was anonymous already.")
    return redirect("devices:detail", request.application.pk, pk)


@page(Right.EDIT_DEVICES)
@require_POST
def primary_change(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Make a device the primary one of its person, or let them have none."""
    device, wanted = _device(request, pk), request.POST.get("primary") == "1"
    registering.refresh(
        request.application,
        device.address.public_id,
        Device(primary=wanted),
        author=audit.author_of(request.user, request),
    )
    done = "is the primary one now" if wanted else "is not the primary one any more"
    messages.success(request, f"The device {done}.")
    return redirect("devices:detail", request.application.pk, pk)


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
        messages.error(request, explain(refusal))
    else:
        whose = f"belongs to {undone.person} again" if undone.person else "is anonymous again"
        messages.success(request, f"The device {whose}.")
    return redirect("devices:detail", request.application.pk, pk)


@page(Right.EDIT_DEVICES)
@require_POST
def change_undo(request: ApplicationRequest, entry: int) -> HttpResponse:
    """Take back what was changed of a person, or of a device of this application."""
    wanted = get_object_or_404(AuditEntry, pk=entry, object_type__in=("person", "registration"))
    author = audit.author_of(request.user, request)
    if wanted.object_type == "person":
        person = get_object_or_404(Person, pk=wanted.object_id)
        back = redirect("devices:person", request.application.pk, person.pk)
    else:
        device = _device(request, int(wanted.object_id))
        back = redirect("devices:detail", request.application.pk, device.pk)
    try:
        if wanted.object_type == "person":
            personalizing.revert_person(wanted, author)
        else:
            personalizing.revert_device(wanted, author)
    except NothingToUndoError:
        messages.error(request, "It has been changed since, so this cannot be undone.")
    except DeviceError as refusal:
        messages.error(request, explain(refusal))
    else:
        messages.success(request, "The change was undone.")
    return back
