"""Keep what people write back from the app."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from campaigns import outbox
from campaigns.models import Inbound, WebhookEvent
from devices.models import Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One message of an app; its id is the app's own."""

    message_id: str
    text: str
    destination: str = ""
    initial_message_id: str = ""
    bulk_id: str = ""
    custom_payload: Mapping[str, Any] = field(default_factory=dict)


def keep(registration: Registration, notes: Iterable[Note]) -> None:
    """Write messages of a device down, each id once, however often it is sent."""
    notes = list(notes)
    told = outbox.wanted(registration.application_id) & WebhookEvent.INBOUND
    with transaction.atomic():
        known = _known(registration, notes) if told else set()
        _write(registration, notes)
        if told:
            fresh = _known(registration, notes) - known
            outbox.note_inbound(registration.application_id, sorted(fresh))


def _known(registration: Registration, notes: Iterable[Note]) -> set[int]:
    """Keys of those that are there already."""
    names = [note.message_id for note in notes]
    found = Inbound.objects.filter(registration=registration, message_id__in=names)
    return set(found.values_list("pk", flat=True))


def _write(registration: Registration, notes: Iterable[Note]) -> None:
    Inbound.objects.bulk_create(
        (
            Inbound(
                application_id=registration.application_id,
                registration=registration,
                message_id=note.message_id,
                text=note.text,
                destination=note.destination,
                initial_message_id=note.initial_message_id,
                bulk_id=note.bulk_id,
                custom_payload=note.custom_payload,
            )
            for note in notes
        ),
        ignore_conflicts=True,
    )


def take(limit: int) -> list[Inbound]:
    """What nobody has read yet, oldest first; from now on it was read. In a transaction."""
    waiting = Inbound.objects.select_for_update(skip_locked=True).filter(taken_at=None)
    keys = list(waiting.order_by("pk").values_list("pk", flat=True)[:limit])
    Inbound.objects.filter(pk__in=keys).update(taken_at=timezone.now())
    related = Inbound.objects.select_related("application", "registration__address")
    return list(related.filter(pk__in=keys).order_by("pk"))


def waiting() -> int:
    """How many nobody has read yet."""
    return Inbound.objects.filter(taken_at=None).count()
