"""What a device has not received yet: an app that asks gets it without any cloud.

Source: contract/mobile-sdk.md 4.1.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from django.db.models import (
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    Value,
)
from django.utils import timezone

from campaigns import ids, merging, rendering
from campaigns.languages import choose
from campaigns.merging import MissingValueError
from campaigns.models import PULLED_REASONS, Bulk, Leg, Message
from devices.models import Application
from providers.base import PushNotification

OLDEST = timedelta(days=7)
MOST = 100  # messages of one answer

_ENDS = ExpressionWrapper(
    F("bulk__starts_at")
    + ExpressionWrapper(F("bulk__ttl") * Value(timedelta(seconds=1)), DurationField()),
    DateTimeField(),
)
_PENDING = Q(state__in=(Message.State.UNKNOWN, Message.State.ACCEPTED)) | Q(
    state=Message.State.FAILED, reason__in=PULLED_REASONS, delivered_at=None
)

# The next step took its place.
_LEFT_BEHIND = Leg.objects.filter(
    bulk=OuterRef("bulk"),
    recipient=OuterRef("registration"),
    journey__step__gt=OuterRef("bulk__step"),
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that may still arrive, in no vendor's words."""

    message_id: UUID
    notification: PushNotification


def waiting(
    application: Application, registration_id: int, *, besides: Collection[UUID] = ()
) -> list[Waiting]:
    """The messages of a device without a sign of having arrived, oldest first, at most 100.

    Also those that no cloud could take because it has no token, or its platform no credential.
    Being given out is no delivery: the same come again until the app reports them.
    """
    now = timezone.now()
    rows = (
        Message.objects.filter(_PENDING, registration_id=registration_id)
        .filter(pk__gte=ids.lowest_id(now - OLDEST), bulk__application=application)
        .alias(ends=_ENDS)
        .filter(ends__gt=now)
        .exclude(bulk__status=Bulk.Status.CANCELLED)
        .exclude(Exists(_LEFT_BEHIND))
        .exclude(pk__in=besides)
        .select_related("bulk")
        .order_by("pk")[:MOST]
    )
    found = []
    for row in rows:
        with suppress(MissingValueError):  # nobody could fill it in: it is not for this device
            notification = said(row.bulk, application, row.language, row.variant, registration_id)
            found.append(Waiting(row.pk, notification))
    return found


def said(
    bulk: Bulk, application: Application, language: str, variant: int, registration_id: int
) -> PushNotification:
    """What a bulk says to a device of this language, for the SDK that asks for it.

    Raises MissingValueError.
    """
    content = choose(bulk.content, language, variant)
    filled = content
    if "merge" in content:
        values = merging.values_of([registration_id]).get(registration_id, merging.NOBODY)
        filled = {**content, **merging.merged(content, values)}
    notification = rendering.notification(
        filled,
        application,
        bulk_id=bulk.bulk_id,
        sent_at_ms=int(bulk.starts_at.timestamp() * 1000),
        ttl=bulk.ttl,
        place=bulk.content.index(content),
    )
    return replace(notification, display="sdk", dialect="infobip")
