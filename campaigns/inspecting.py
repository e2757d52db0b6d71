"""What became of a recorded call: its messages, and what their clouds were posted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from campaigns import channels, ids, recipients
from campaigns.calls import masked
from campaigns.merging import MissingValueError
from campaigns.models import (
    Bulk,
    Destination,
    FlowDestination,
    Leg,
    Medium,
    Message,
    RecordedCall,
)
from campaigns.outcomes import Recipient
from campaigns.rendering import Renderer
from devices.models import Application, Registration
from providers import showing
from providers.base import CredentialError, NotPossible, PayloadTooLarge

MOST = 10  # messages of a call that are shown


@dataclass(frozen=True, slots=True)
class Resulted:
    """A message of a call to one device or number."""

    message_id: UUID
    registration_id: int | None  # None: a text message
    medium: str  # for people: Android, SMS
    step: str  # "step 1 of 2"; "" without a scenario
    state: str  # "waiting" before there is an outcome
    payload: str  # JSON, without token and what names people; "": it cannot be built any more
    problem: str  # why it could not


@dataclass(frozen=True, slots=True)
class _Sent:
    """A message as its id is made."""

    bulk: Bulk
    recipient: int
    medium: int

    @property
    def message_id(self) -> UUID:
        return ids.message_id(self.bulk, self.recipient)


def resulted(call: RecordedCall, application: Application) -> list[Resulted]:
    """The first messages of a call that belong to an application, with their payloads."""
    if not call.names:
        return []
    sent = [*_of_one_step(call, application), *_of_steps(call, application)][:MOST]
    if not sent:
        return []
    messages = _messages(each.message_id for each in sent)
    devices = recipients.load(
        [each.recipient for each in sent if each.medium != Medium.SMS], application
    )
    credentials = channels.credentials_of(application.pk)
    renderers: dict[int, Renderer] = {}
    found = []
    for each in sent:
        renderer = renderers.setdefault(each.bulk.pk, Renderer(each.bulk))
        renderer.credentials = credentials
        # The number is of no matter: it is not shown.
        to_number = each.medium == Medium.SMS
        device = recipients.phone(0, "") if to_number else devices.get(each.recipient)
        payload, problem = _payload(each, device, renderer)
        found.append(
            Resulted(
                message_id=each.message_id,
                registration_id=None if to_number else each.recipient,
                medium=Medium(each.medium).label,
                step=_step(each.bulk),
                state=_state(messages.get(each.message_id)),
                payload=payload,
                problem=problem,
            )
        )
    return found


def _of_one_step(call: RecordedCall, application: Application) -> list[_Sent]:
    named = Q(public_id__in=call.names) | Q(submission__bulk_id__in=call.names)
    found = Destination.objects.filter(
        named, bulk__application=application, registration__isnull=False,
        message_from__isnull=False,
    )  # fmt: skip
    rows = found.select_related("bulk__application", "registration").order_by("pk")[:MOST]
    return [
        _Sent(row.bulk, row.registration.pk, row.registration.platform)
        for row in rows
        if row.bulk is not None and row.registration is not None
    ]


def _of_steps(call: RecordedCall, application: Application) -> list[_Sent]:
    """What the steps that have begun send: a message to each device, one to a number."""
    named = Q(public_id__in=call.names) | Q(bulk_id__in=call.names)
    asked = FlowDestination.objects.filter(named, journey__isnull=False).order_by("pk")
    journeys = list(asked.values_list("journey", flat=True)[:MOST])
    found = Leg.objects.filter(journey__in=journeys, bulk__application=application)
    legs = list(
        found.select_related("bulk__application", "bulk__flow").order_by(
            "journey", "bulk__step", "pk"
        )[:MOST]
    )
    devices = {leg.recipient for leg in legs if not _by_sms(leg.bulk)}
    platforms = dict(Registration.objects.filter(pk__in=devices).values_list("pk", "platform"))
    return [
        _Sent(
            leg.bulk,
            leg.recipient,
            Medium.SMS if _by_sms(leg.bulk) else platforms[leg.recipient],
        )
        for leg in legs
        if _by_sms(leg.bulk) or leg.recipient in platforms
    ]


def _by_sms(bulk: Bulk) -> bool:
    return bulk.flow is not None and bulk.flow.steps[bulk.step]["channel"] == "SMS"


def _step(bulk: Bulk) -> str:
    return f"step {bulk.step + 1} of {len(bulk.flow.steps)}" if bulk.flow is not None else ""


def _state(message: Message | None) -> str:
    return Message.State(message.state).name.lower() if message is not None else "waiting"


def _payload(sent: _Sent, device: Recipient | None, renderer: Renderer) -> tuple[str, str]:
    """What is posted of a message, and why nothing is."""
    if device is None:
        return "", "The device was deleted."
    try:
        renderer.learn([device.id])
        credential, payload = renderer.payload(sent.medium, 0, device)
        if credential is None or payload is None:
            return "", "The application has no credential for this platform."
        provider = channels.channel(credential).provider
    except MissingValueError:
        return "", "The text has a gap that nothing is known for."
    except (PayloadTooLarge, NotPossible, CredentialError) as problem:
        return "", str(problem)
    body = showing.body_of(provider, payload, sent.message_id, sent.bulk.ttl)
    return masked(body.decode()), ""


def _messages(wanted: Iterable[UUID]) -> Mapping[UUID, Message]:
    keys = sorted(wanted)
    between = Message.objects.filter(pk__gte=keys[0], pk__lte=keys[-1])  # prunes partitions
    return {message.pk: message for message in between.filter(pk__in=keys)}
