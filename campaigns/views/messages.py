"""The message log of a campaign."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from campaigns import message_files, recurring, stages, statistics
from campaigns.ids import RECIPIENT_MASK
from campaigns.languages import name_of
from campaigns.message_filters import NONE_REPORTED, STATES, Filter
from campaigns.models import Bulk, Campaign, Journey, Medium, Message, Reason
from campaigns.variants import NAMES, split_of
from devices import audit
from devices.models import Address, Platform
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial


@dataclass(frozen=True, slots=True)
class Line:
    """A message as a log shows it."""

    message: Message
    device: uuid.UUID | None  # registration id; None when it was deleted
    person: int | None = None  # of a text message

    @property
    def is_text(self) -> bool:
        return self.message.platform == Medium.SMS

    @property
    def state(self) -> str:
        return Message.State(self.message.state).name.lower()

    @property
    def reason(self) -> Reason | None:
        return Reason(self.message.reason) if self.message.reason else None


def _launched(request: ApplicationRequest, pk: int, run: int | None) -> tuple[Campaign, Bulk]:
    """A campaign and the first send of a run of it."""
    campaign = get_object_or_404(Campaign, pk=pk, application=request.application)
    first = recurring.shown(campaign, run)
    if first is None:
        raise Http404("This campaign has not been launched, or has no such run.")
    return campaign, first


@require_GET
@page(Right.SEE_CAMPAIGNS)
def message_log(request: ApplicationRequest, pk: int, run: int | None = None) -> HttpResponse:
    """Every message of a campaign's step, or those that a figure counts, or of one device."""
    campaign, first = _launched(request, pk, run)
    steps = stages.names(first)
    step = next((number for number, _ in steps if str(number) == request.GET.get("step")), 0)
    bulk = first if not step else get_object_or_404(Bulk, flow=first.flow_id, step=step)
    asked = Filter.of(request.GET)
    messages = asked.narrow(statistics.messages(bulk))
    search = request.GET.get("q", "").strip()
    if search:
        messages = messages.filter(registration_id__in=_named(request, search))
    pager = newest_first(
        request, messages, one="message", many="messages", if_many=lambda: asked.count(bulk)
    )
    ids = dict(
        Address.objects.filter(
            registration_id__in=[message.registration_id for message in pager.rows]
        ).values_list("registration_id", "public_id")
    )
    context = {
        "campaign": campaign,
        "bulk": bulk,
        "pager": pager,
        "lines": _lines(bulk, pager.rows, ids),
        "steps": steps,
        "step": step,
        "search": search,
        "asked": asked,
        "states": [(key, label) for key, (label, _) in STATES.items()],
        "reasons": [each.reason for each in statistics.reasons(bulk) if each.kind == "failed"],
        "platforms": Platform.choices,
        "variants": [
            (number, f"Variant {name}")
            for number, name in enumerate(NAMES[: len(split_of(bulk.split).shares)])
        ],
        "language": "No language reported"
        if asked.language == NONE_REPORTED
        else name_of(asked.language),
        "version": "No app version reported"
        if asked.version == NONE_REPORTED
        else f"App version {asked.version}",
    }
    return page_or_partial(request, "campaigns/message_log.html", "message-table", context)


@require_POST
@page(Right.SEE_CAMPAIGNS)
def message_file(
    request: ApplicationRequest, pk: int, run: int | None = None
) -> StreamingHttpResponse:
    """All messages of all steps, streamed; who took it stands in the audit trail before."""
    campaign, first = _launched(request, pk, run)
    audit.record(
        request.user, "export messages", campaign,
        application=request.application, request=request,
    )  # fmt: skip
    response = StreamingHttpResponse(
        message_files.rows(first), content_type="text/csv; charset=utf-8"
    )
    filename = f"messages-{campaign.pk}-{timezone.now():%Y%m%d}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _lines(bulk: Bulk, rows: Iterable[Message], ids: dict[int, uuid.UUID]) -> list[Line]:
    """A text message has no device: its journey says whom it was for."""
    texts = [each.pk.int & RECIPIENT_MASK for each in rows if each.platform == Medium.SMS]
    journeys = Journey.objects.filter(pk__in=texts, flow=bulk.flow_id)
    people = dict(journeys.values_list("pk", "person_id"))
    return [
        Line(
            message,
            ids.get(message.registration_id),
            person=people.get(message.pk.int & RECIPIENT_MASK),
        )
        for message in rows
    ]


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
