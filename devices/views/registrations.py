"""Pages of devices."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from devices import audit, finding, numbers, subscriptions
from devices.forms import DeviceSearchForm
from devices.models import (
    Address,
    Application,
    AttributeDefinition,
    Identity,
    Person,
    Registration,
)
from devices.people_forms import AttributeForm, OwnerForm
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial

STATES = {
    "reachable": {"enabled": True, "notifications_enabled": True},
    "muted": {"enabled": True, "notifications_enabled": False},
    "disabled": {"enabled": False},
}


def state_of(registration: Registration) -> str:
    """Why a push can or cannot be shown there, as a name of pushadmin's states."""
    address = registration.address
    if address.closed_at:
        return "closed"
    if not registration.enabled:
        return "disabled"
    if not registration.notifications_enabled:
        return "muted"
    return "reachable" if address.token else "tokenless"


@page(Right.SEE_DEVICES)
@require_GET
def device_list(request: ApplicationRequest) -> HttpResponse:
    """Devices of an application, newest first; found by who they belong to or what they are."""
    form = DeviceSearchForm(request.GET)
    form.is_valid()  # what cannot be read filters nothing
    asked = form.cleaned_data
    found = finding.find(request.application, asked["q"]) if asked.get("q") else None
    rows = _chosen(request, asked, found)
    pager = newest_first(request, rows, one="device", many="devices")
    context = {
        "application": request.application,
        "form": form,
        "pager": pager,
        "rows": [(device, state_of(device)) for device in pager.rows],
        "more": found is not None and found.more,
        "searching": any(asked.get(name) for name in ("q", "platform", "state")),
    }
    return page_or_partial(request, "devices/device_list.html", "device-list", context)


def _chosen(
    request: ApplicationRequest, asked: dict[str, Any], found: finding.Found | None
) -> QuerySet[Registration]:
    rows = Registration.objects.filter(application=request.application)
    if found is not None:
        rows = rows.filter(pk__in=found.keys)
    if asked.get("platform"):
        rows = rows.filter(platform=asked["platform"])
    if asked.get("state"):
        rows = rows.filter(**STATES[asked["state"]])
    return rows.select_related("address", "person").prefetch_related(
        Prefetch("person__identities", Identity.objects.order_by("kind", "pk"))
    )


@dataclass(frozen=True, slots=True)
class Attribute:
    """A custom attribute with the type it was learned with; empty when nobody defined it."""

    name: str
    type: str
    value: Any


@page(Right.SEE_DEVICES)
@require_GET
def device_detail(request: ApplicationRequest, pk: int) -> HttpResponse:
    """One device: whose it is, what a rule can ask of it, where a push goes; its messages."""
    device = get_object_or_404(
        Registration.objects.filter(application=request.application)
        .select_related("address", "person")
        .prefetch_related("person__identities"),
        pk=pk,
    )
    device.application = request.application
    context = {
        "application": request.application,
        "device": device,
        "address": device.address,
        "token_tail": device.address.token[-finding.TAIL :],
        "push_service": urlsplit(subscriptions.endpoint_of(device.address.token)).hostname,
        "state": state_of(device),
        "attributes": attributes_of(
            device.attributes, AttributeDefinition.Scope.DEVICE, request.application
        ),
        "offset": _offset(device.timezone_offset),
        "owner_form": OwnerForm(),
        "attribute_form": AttributeForm(),
        **_person(device.person, device),
    }
    return render(request, "devices/device_detail.html", context)


def _person(person: Person | None, device: Registration) -> dict[str, Any]:
    if person is None:
        return {"person": None}
    others = (
        Registration.objects.filter(person=person, application_id=device.application_id)
        .exclude(pk=device.pk)
        .select_related("address")
        .order_by("-primary", "-pk")[:20]
    )
    identities = person.identities.all()
    phones = [each.value for each in identities if each.kind == Identity.Kind.PHONE]
    closings = numbers.closings(phones) if phones else {}
    return {
        "person": person,
        "identities": [(each, closings.get(each.value)) for each in identities],
        "person_attributes": attributes_of(
            person.attributes, AttributeDefinition.Scope.PERSON, device.application
        ),
        "other_devices": [(other, state_of(other)) for other in others],
    }


def attributes_of(
    values: dict[str, Any], scope: AttributeDefinition.Scope, application: Application
) -> list[Attribute]:
    """Custom attributes of a device or a person with the types they were learned with."""
    if not values:
        return []
    owner = application if scope == AttributeDefinition.Scope.DEVICE else None
    definitions = AttributeDefinition.objects.filter(
        scope=scope, application=owner, name__in=list(values)
    )
    types = {each.name: each.get_type_display() for each in definitions}
    return [Attribute(name, types.get(name, ""), value) for name, value in sorted(values.items())]


def _offset(minutes: int | None) -> str:
    """Minutes east of UTC as people write them: UTC+01:00."""
    if minutes is None:
        return ""
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


@page(Right.EDIT_DEVICES)
@require_POST
def number_open(request: ApplicationRequest, pk: int, identity: int) -> HttpResponse:
    """Let text messages go to a number of this device's person again."""
    device = get_object_or_404(Registration, application=request.application, pk=pk)
    phone = get_object_or_404(
        Identity, pk=identity, person=device.person_id, kind=Identity.Kind.PHONE
    )
    with transaction.atomic():
        closing = numbers.closings([phone.value]).get(phone.value)
        if closing is not None and numbers.reopen(phone.value):
            audit.record(
                request.user,
                "open a number for text messages",
                device,
                before={"reason": closing.reason, "answer": closing.answer},
                request=request,
            )
    messages.success(request, "Text messages may go to this number again.")
    return redirect("devices:detail", request.application.pk, pk)


@page(Right.EDIT_DEVICES)
@require_POST
def device_switch(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Switch a device off, so that nothing is sent to it, or on again."""
    wanted = request.POST.get("enabled") == "1"
    with transaction.atomic():
        device = get_object_or_404(
            Registration.objects.select_for_update().filter(application=request.application), pk=pk
        )
        if wanted and Address.objects.filter(pk=pk, closed_at__isnull=False).exists():
            messages.error(
                request,
                "The cloud calls this address dead, so it stays off until the app registers again.",
            )
            return redirect("devices:detail", request.application.pk, pk)
        if device.enabled != wanted:
            device.enabled = wanted
            device.save(update_fields=["enabled"])
            audit.record(
                request.user,
                "switch device on" if wanted else "switch device off",
                device,
                before={"enabled": not wanted},
                after={"enabled": wanted},
                request=request,
            )
    done = "is on again" if wanted else "is off: nothing is sent to it"
    messages.success(request, f"The device {done}.")
    return redirect("devices:detail", request.application.pk, pk)
