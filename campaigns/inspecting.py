"""What became of a recorded call: its messages, and what their clouds were posted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from django.db.models import Q

from campaigns import channels, recipients
from campaigns.calls import masked
from campaigns.models import Destination, Message, RecordedCall
from campaigns.outcomes import Recipient
from campaigns.rendering import Renderer
from devices.models import Application, ProviderCredential
from providers import showing
from providers.base import CredentialError, NotPossible, PayloadTooLarge

MOST = 10  # messages of a call that are shown

Credentials: TypeAlias = Mapping[tuple[str, str], ProviderCredential]


@dataclass(frozen=True, slots=True)
class Resulted:
    """A device message of a call."""

    message_id: UUID
    registration_id: int
    platform: str
    state: str  # "waiting" before there is an outcome
    payload: str  # JSON, without token and what names people; "": it cannot be built any more
    problem: str  # why it could not


def resulted(call: RecordedCall, application: Application) -> list[Resulted]:
    """The first messages of a call that belong to an application, with their payloads."""
    if not call.names:
        return []
    named = Q(public_id__in=call.names) | Q(submission__bulk_id__in=call.names)
    found = Destination.objects.filter(
        named, bulk__application=application, registration__isnull=False,
        message_from__isnull=False,
    )  # fmt: skip
    rows = found.select_related("bulk__application", "registration").order_by("pk")[:MOST]
    shown = list(rows)
    messages = _messages(row.message_from for row in shown)
    keys = [row.registration_id for row in shown if row.registration_id]
    devices = recipients.load(keys, application)
    credentials = channels.credentials_of(application.pk) if shown else {}
    return [_resulted(row, devices, credentials, messages) for row in shown]


def _resulted(
    row: Destination,
    devices: Mapping[int, Recipient],
    credentials: Credentials,
    messages: Mapping[UUID, Message],
) -> Resulted:
    assert row.bulk is not None
    assert row.message_from is not None
    assert row.registration is not None
    message = messages.get(row.message_from)
    payload, problem = _payload(row, devices.get(row.registration.pk), credentials)
    return Resulted(
        message_id=row.message_from,
        registration_id=row.registration.pk,
        platform=row.registration.get_platform_display(),
        state=Message.State(message.state).name.lower() if message is not None else "waiting",
        payload=payload,
        problem=problem,
    )


def _payload(
    row: Destination, device: Recipient | None, credentials: Credentials
) -> tuple[str, str]:
    """What is posted of a message, and why nothing is."""
    assert row.bulk is not None
    assert row.message_from is not None
    assert row.registration is not None
    if device is None:
        return "", "The device was deleted."
    renderer = Renderer(row.bulk)
    renderer.credentials = dict(credentials)
    try:
        _, payload = renderer.payload(row.registration.platform, 0, device)
    except (PayloadTooLarge, NotPossible, CredentialError) as problem:
        return "", str(problem)
    if payload is None:
        return "", "The application has no credential for this platform."
    body = showing.body_of(payload, row.message_from, row.bulk.ttl)
    return masked(body.decode()), ""


def _messages(wanted: Iterable[UUID | None]) -> dict[UUID, Message]:
    keys = sorted(key for key in wanted if key is not None)
    if not keys:
        return {}
    between = Message.objects.filter(pk__gte=keys[0], pk__lte=keys[-1])  # prunes partitions
    return {message.pk: message for message in between.filter(pk__in=keys)}
