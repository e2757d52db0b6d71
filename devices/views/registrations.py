"""Pages of devices."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from devices import attributes, audit, finding, numbers, subscriptions
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
from devices.views.in_place import answer, newest_entry, undo_of
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
    kind: str = ""  # the same type, as forms know it

    @property
    def editable(self) -> bool:
        return not isinstance(self.value, list | dict)

    @property
    def objects(self) -> list[list[tuple[str, str]]]:
        """Of a list, each object member by member."""
        return [
            [(name, typed_value(value)) for name, value in each.items()]
            for each in self.value
            if isinstance(each, dict)
        ]

    @property
    def fill(self) -> str:
        """What the fields of its form say first."""
        typed = typed_value(self.value)
        return json.dumps({"id_name": self.name, "id_type": self.kind, "id_value": typed})


def typed_value(value: Any) -> str:
    """The value of an attribute as somebody types it."""
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def initial_attribute(
    request: ApplicationRequest, values: dict[str, Any], types: dict[str, AttributeDefinition.Type]
) -> dict[str, str]:
    """What the form of an attribute says first, where it is opened without scripts."""
    name = request.GET.get("attribute", "")
    if name not in values:
        return {}
    return {"name": name, "type": types.get(name, ""), "value": typed_value(values[name])}


@page(Right.SEE_DEVICES)
@require_GET
def device_detail(request: ApplicationRequest, pk: int) -> HttpResponse:
    """One device: whose it is, what a rule can ask of it, where a push goes; its messages."""
    return show(request, pk, opened=request.GET.get("open", ""))


def show(
    request: ApplicationRequest,
    pk: int,
    *,
    opened: str = "",
    status: int = 200,
    more: dict[str, Any] | None = None,
) -> HttpResponse:
    """The page of a device, or what an action changed of it; `opened` is the dialog that is."""
    device = get_object_or_404(
        Registration.objects.filter(application=request.application)
        .select_related("address", "person")
        .prefetch_related("person__identities"),
        pk=pk,
    )
    device.application = request.application
    types = attributes.types(request.application) if request.GET.get("attribute") else {}
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
        "attribute_form": AttributeForm(
            initial=initial_attribute(request, device.attributes, types)
        ),
        "opened": opened,
        "in_place": bool(request.htmx),
        **_person(device.person, device),
        **(more or {}),
    }
    return page_or_partial(
        request, "devices/device_detail.html", "device-parts", context, status=status
    )


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
    types = {each.name: (each.get_type_display(), each.type) for each in definitions}
    found = []
    for name, value in sorted(values.items()):
        label, kind = types.get(name, ("", ""))
        found.append(Attribute(name, label, value, kind))
    return found


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
    return answer(request, _home(device), "Text messages may go to this number again.")


def _home(device: Registration) -> str:
    return reverse("devices:detail", args=[device.application_id, device.pk])


@page(Right.EDIT_DEVICES)
@require_POST
def device_switch(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Switch a device off, so that nothing is sent to it, or on again."""
    wanted = request.POST.get("enabled") == "1"
    with transaction.atomic():
        device = get_object_or_404(
            Registration.objects.select_for_update().filter(application=request.application), pk=pk
        )
        behind = newest_entry(device)
        if wanted and Address.objects.filter(pk=pk, closed_at__isnull=False).exists():
            return answer(
                request,
                _home(device),
                "The cloud calls this address dead, so it stays off until the app registers again.",
                level=messages.ERROR,
            )
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
    undo = undo_of(request, device, behind)
    return answer(request, _home(device), f"The device {done}.", undo=undo)
