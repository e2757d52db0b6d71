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
from campaigns.models import Bulk, Campaign, Journey, Medium, Message, Reason
from devices import audit
from devices.models import Address, Platform
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial

_S = Message.State
# As the funnel counts them: whoever saw it had it delivered, and the cloud accepted it.
STATES: dict[str, tuple[str, tuple[Message.State, ...]]] = {
    "accepted": ("Accepted by the cloud", (_S.ACCEPTED, _S.DELIVERED, _S.SEEN, _S.CLICKED)),
    "silent": ("Accepted, without receipt", (_S.ACCEPTED,)),
    "delivered": ("Delivered", (_S.DELIVERED, _S.SEEN, _S.CLICKED)),
    "seen": ("Seen", (_S.SEEN, _S.CLICKED)),
    "clicked": ("Tapped", (_S.CLICKED,)),
    "failed": ("Failed", (_S.FAILED,)),
    "expired": ("Expired", (_S.EXPIRED,)),
    "unknown": ("Unknown", (_S.UNKNOWN,)),
}


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


def _choice(text: str, choices: type[Reason] | type[Platform]) -> int | None:
    return {str(value): value for value in choices.values}.get(text)


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
    """Every message of a campaign's step, filtered by state, reason, platform or device."""
    campaign, first = _launched(request, pk, run)
    steps = stages.names(first)
    step = next((number for number, _ in steps if str(number) == request.GET.get("step")), 0)
    bulk = first if not step else get_object_or_404(Bulk, flow=first.flow_id, step=step)
    messages = statistics.messages(bulk)
    state = request.GET.get("state", "")
    reason = _choice(request.GET.get("reason", ""), Reason)
    platform = _choice(request.GET.get("platform", ""), Platform)
    if state in STATES:
        messages = messages.filter(state__in=STATES[state][1])
    if reason is not None:
        messages = messages.filter(reason=reason)
    if platform is not None:
        messages = messages.filter(platform=platform)
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
        "lines": _lines(bulk, pager.rows, ids),
        "steps": steps,
        "step": step,
        "search": search,
        "state": state,
        "states": [(key, label) for key, (label, _) in STATES.items()],
        "reason": reason,
        "reasons": [each.reason for each in statistics.reasons(bulk) if each.kind == "failed"],
        "platform": platform,
        "platforms": Platform.choices,
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
