"""The inbox of a person: messages with a topic, kept past their time to live.

Source: contract/mobile-sdk.md 4.2, 4.5; contract/push.md 2.1.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from campaigns import handing_out, ids, pulling
from campaigns.merging import MissingValueError
from campaigns.models import Bulk, Destination, InboxMessage
from devices import normalizing
from devices.errors import ExternalIdError
from devices.models import Application, Identity, Registration
from providers.base import PushNotification

MOST = 100  # an inbox keeps the newest of a person
DELETED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Copy:
    """A message of an inbox, in no vendor's words."""

    message_id: UUID
    notification: PushNotification
    sent_at: datetime
    seen: bool


def copies(application: Application, external_id: str) -> list[Copy]:
    """The newest messages of a person's inbox; nobody's is empty."""
    person = person_of(external_id)
    if person is None:
        return []
    rows = (
        _of(person, application)
        .filter(expires_at__gt=timezone.now())
        .select_related("bulk")
        .order_by("-sent_at", "-bulk")[:MOST]
    )
    found = []
    for row in rows:
        with suppress(MissingValueError):  # nobody could fill it in any more
            said = pulling.said(
                row.bulk, application, row.language, row.variant, row.registration_id
            )
            message_id = ids.message_id(row.bulk, row.registration_id)
            found.append(Copy(message_id, said, row.sent_at, row.seen_at is not None))
    return found


def mark_seen(
    application: Application, external_id: str, told: Sequence[tuple[UUID, datetime]]
) -> dict[UUID, tuple[UUID, datetime]]:
    """Note when a person saw copies; of those that the inbox has, the message and the time.

    An id names its bulk, so a copy is found whichever device of the person it was sent to.
    """
    person = person_of(external_id)
    if person is None:
        return {}
    wanted = {ids.bulk_number(each): (each, at) for each, at in reversed(told)}
    found = {}
    for row in _of(person, application).filter(bulk__in=wanted).select_related("bulk"):
        each, at = wanted[row.bulk_id]
        mine = ids.message_id(row.bulk, row.registration_id)
        if each.int >> ids.RECIPIENT_BITS != mine.int >> ids.RECIPIENT_BITS:
            continue
        at = max(at, row.sent_at)
        InboxMessage.objects.filter(pk=row.pk, seen_at=None).update(seen_at=at)
        found[each] = mine, at
    return found


def person_of(external_id: str) -> int | None:
    """The key of whoever has an external id."""
    try:
        external_id = normalizing.external_id(external_id)
    except ExternalIdError:
        return None
    known = Identity.objects.filter(kind=Identity.Kind.EXTERNAL_ID, value=external_id)
    return known.values_list("person_id", flat=True).first()


def _of(person: int, application: Application) -> QuerySet[InboxMessage]:
    """One copy of each message for a person or, before they were known, for their devices."""
    devices = Registration.objects.filter(person=person, application=application).values("pk")
    theirs = InboxMessage.objects.filter(
        Q(person=person) | Q(person=None, registration__in=devices), bulk__application=application
    )
    once = theirs.order_by("bulk", "person").distinct("bulk")
    return InboxMessage.objects.filter(pk__in=once.values("pk"))


def delete_campaign(name: str, *, person: int | None = None) -> int:
    """Take a campaign out of inboxes, or out of one: ours by its number, or another system's."""
    bulks = Destination.objects.filter(submission__reference=name).values_list("bulk", flat=True)
    theirs = Q(bulk__in=bulks)
    if name.isascii() and name.isdecimal() and len(name) < 19:
        theirs |= Q(bulk__campaign=int(name))
    return _delete(theirs, person)


def delete_bulk(bulk_id: str, *, person: int | None = None) -> int:
    return _delete(Q(bulk__in=Bulk.objects.filter(bulk_id=bulk_id).values("pk")), person)


def delete_message(name: str, *, person: int | None = None) -> int:
    """Take out what an id names: one device's message, or all of a destination's."""
    theirs = Q(pk__in=())
    for low, high in handing_out.ranges_of([name]):
        of_bulk = Q(bulk=ids.bulk_number(low))
        if low == high:
            device = low.int & ids.RECIPIENT_MASK
            owner = Registration.objects.filter(pk=device).values("person")
            of_bulk &= Q(registration=device) | Q(person__in=owner)
        theirs |= of_bulk
    return _delete(theirs, person)


def _delete(theirs: Q, person: int | None) -> int:
    found = InboxMessage.objects.filter(theirs)
    if person is not None:
        devices = Registration.objects.filter(person=person).values("pk")
        found = found.filter(Q(person=person) | Q(person=None, registration__in=devices))
    return found.delete()[0]


def drop_expired() -> int:
    """Delete what nobody can see any more; how many there were."""
    count = 0
    while True:
        gone = InboxMessage.objects.filter(expires_at__lt=timezone.now() - timedelta(hours=1))
        batch = list(gone.values_list("pk", flat=True)[:DELETED_AT_ONCE])
        count += len(batch)
        InboxMessage.objects.filter(pk__in=batch).delete()
        if len(batch) < DELETED_AT_ONCE:
            return count
