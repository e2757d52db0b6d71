"""Message logs, and what a credential's cloud answers."""

import uuid
from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from campaigns import statistics
from campaigns.models import Bulk, Campaign, Message, Reason
from devices.models import Address, Platform, Registration
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial

SHOWN = 50  # messages of a device


@dataclass(frozen=True, slots=True)
class Line:
    """A message as a log shows it."""

    message: Message
    device: uuid.UUID | None  # registration id; None when it was deleted

    @property
    def state(self) -> str:
        return Message.State(self.message.state).name.lower()

    @property
    def reason(self) -> Reason | None:
        return Reason(self.message.reason) if self.message.reason else None


def _choice(text: str, choices: type[Message.State] | type[Reason] | type[Platform]) -> int | None:
    return int(text) if text.isdecimal() and int(text) in choices.values else None


@require_GET
@page(Right.SEE_CAMPAIGNS)
def message_log(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Every message of a campaign, filtered by state, reason, platform or device."""
    campaign = get_object_or_404(Campaign, pk=pk, application=request.application)
    bulk = get_object_or_404(
        Bulk.objects.order_by("-pk"), campaign=campaign, origin=Bulk.Origin.CAMPAIGN
    )
    messages = statistics.messages(bulk)
    chosen = {
        "state": _choice(request.GET.get("state", ""), Message.State),
        "reason": _choice(request.GET.get("reason", ""), Reason),
        "platform": _choice(request.GET.get("platform", ""), Platform),
    }
    messages = messages.filter(**{key: value for key, value in chosen.items() if value is not None})
    search = request.GET.get("q", "").strip()
    if search:
        messages = messages.filter(registration_id__in=_named(request, search))
    pager = newest_first(request, messages, one="message", many="messages")
    ids = dict(
        Address.objects.filter(
            registration_id__in=[message.registration_id for message in pager.rows]
        ).values_list("registration_id", "public_id")
    )
    context = {
        "campaign": campaign,
        "bulk": bulk,
        "pager": pager,
        "lines": [Line(message, ids.get(message.registration_id)) for message in pager.rows],
        "chosen": chosen,
        "search": search,
        "states": Message.State.choices,
        "platforms": Platform.choices,
        "reason": Reason(chosen["reason"]) if chosen["reason"] is not None else None,
    }
    return page_or_partial(request, "campaigns/message_log.html", "message-table", context)


def _named(request: ApplicationRequest, text: str) -> list[int]:
    """The registration that a registration id or a message id names."""
    try:
        wanted = uuid.UUID(text)
    except ValueError:
        return []
    found = Address.objects.filter(application=request.application, public_id=wanted)
    devices = list(found.values_list("registration_id", flat=True))
    if not devices:
        named = Message.objects.filter(pk=wanted)
        devices = list(named.values_list("registration_id", flat=True))
    return devices


@require_GET
@page(Right.SEE_DEVICES)
def device_messages(request: ApplicationRequest, pk: int) -> HttpResponse:
    """What a device was sent, newest first: a part of its page."""
    device = get_object_or_404(Registration, pk=pk, application=request.application)
    messages = list(
        Message.objects.filter(registration_id=device.pk)
        .select_related("bulk__campaign")
        .order_by("-pk")[: SHOWN + 1]
    )
    context = {
        "lines": [Line(message, None) for message in messages[:SHOWN]],
        "more": len(messages) > SHOWN,
    }
    return render(request, "campaigns/_device_messages.html", context)
