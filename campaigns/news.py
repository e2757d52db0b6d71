"""Notes → what has happened, and who wants to hear of it (campaigns/outbox.py writes them)."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from campaigns import flow_requests, ids
from campaigns.flow_requests import Told as Step
from campaigns.handing_out import Told
from campaigns.models import (
    Bulk,
    FlowDestination,
    Inbound,
    Journey,
    Webhook,
    WebhookEvent,
    WebhookNote,
)

BATCH = 2000  # notes that are written up together


@dataclass(frozen=True, slots=True)
class MessageNews:
    """Something became of a device message."""

    event: WebhookEvent
    application_id: int
    application_code: str
    told: Told
    seen_at: datetime | None
    clicked_at: datetime | None
    url: str  # of its request; "": it names none
    silent: bool  # its request wants nobody told
    destination: FlowDestination | None  # of a flow


@dataclass(frozen=True, slots=True)
class StepNews:
    """A step of another system's message came to its end."""

    event: WebhookEvent
    application_id: int | None
    url: str
    step: Step


@dataclass(frozen=True, slots=True)
class News:
    """What a batch of notes comes to."""

    messages: Sequence[MessageNews] = ()
    steps: Sequence[StepNews] = ()
    inbound: Sequence[Inbound] = ()
    tests: Sequence[Webhook] = ()
    webhooks: Sequence[Webhook] = ()  # of all applications concerned
    notes: Sequence[int] = ()

    def subscribers(self, application_id: int | None, event: WebhookEvent) -> list[str]:
        """Addresses of an application that are told of such an event."""
        return [
            webhook.url
            for webhook in self.webhooks
            if webhook.application_id == application_id and webhook.events & event
        ]


def take() -> News:
    """The oldest notes that nobody else has in hand. In a transaction; then `forget` them."""
    notes = list(WebhookNote.objects.select_for_update(skip_locked=True).order_by("pk")[:BATCH])
    if not notes:
        return News()
    applications = {note.application_id for note in notes if note.application_id is not None}
    webhooks = list(Webhook.objects.filter(application_id__in=applications, enabled=True))
    tested = {note.webhook_id for note in notes if note.webhook_id is not None}
    inbound = {note.inbound_id for note in notes if note.inbound_id is not None}
    return News(
        messages=_messages([note for note in notes if note.message_id is not None]),
        steps=_steps([note for note in notes if note.destination_id is not None]),
        inbound=list(
            Inbound.objects.filter(pk__in=inbound)
            .select_related("application", "registration__address")
            .order_by("pk")
        ),
        tests=list(Webhook.objects.filter(pk__in=tested)),
        webhooks=webhooks,
        notes=[note.pk for note in notes],
    )


def forget(notes: Collection[int]) -> None:
    WebhookNote.objects.filter(pk__in=notes).delete()


# ------------------------------------------------------------------- messages

_MESSAGES = """
SELECT m.id, b.application_id, app.code, b.flow_id,
       b.bulk_id, CASE WHEN d.devices = 1 THEN d.public_id ELSE m.id::text END,
       a.public_id, coalesce(d."to", ''), coalesce(s.sender, app.code), m.sent_at,
       CASE WHEN m.state BETWEEN 3 AND 5 THEN greatest(m.delivered_at, m.sent_at)
            ELSE coalesce(r.at, now()) END,
       m.state, m.reason, m.platform, coalesce(s.callback_data, ''), coalesce(s.reference, ''),
       coalesce(s.entity_id, ''), coalesce(s.platform_application_id, ''),
       m.seen_at, m.clicked_at, s.webhook
FROM campaigns_message m
JOIN campaigns_bulk b ON b.id = m.bulk_id
JOIN devices_application app ON app.id = b.application_id
LEFT JOIN LATERAL (
    SELECT * FROM campaigns_destination
    WHERE message_from <= m.id ORDER BY message_from DESC LIMIT 1
) d ON d.message_to >= m.id AND b.flow_id IS NULL
LEFT JOIN campaigns_submission s ON s.id = d.submission_id
LEFT JOIN campaigns_report r ON r.message_id = m.id
LEFT JOIN devices_address a ON a.registration_id = m.registration_id
WHERE m.id = ANY(%s) AND m.id BETWEEN %s AND %s
"""


def _messages(notes: Sequence[WebhookNote]) -> list[MessageNews]:
    wanted = sorted({note.message_id for note in notes if note.message_id is not None})
    if not wanted:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_MESSAGES, [wanted, wanted[0], wanted[-1]])
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
    travelling = [key for key, row in rows.items() if row[2] is not None]
    destinations = _destinations_of(travelling)
    news = []
    for note in notes:
        if note.message_id is None or note.message_id not in rows:
            continue
        row = rows[note.message_id]
        destination = destinations.get(note.message_id)
        asked = destination.notify if destination is not None else json.loads(row[-1] or "{}")
        news.append(
            MessageNews(
                event=WebhookEvent(note.event),
                application_id=row[0],
                application_code=row[1],
                told=Told(*row[3:17]),
                seen_at=row[17],
                clicked_at=row[18],
                url=asked.get("url", ""),
                silent=asked.get("notify") is False,
                destination=destination,
            )
        )
    return news


_OF_JOURNEYS = """
SELECT m.id, d.id
FROM unnest(%s::uuid[], %s::int8[]) m (id, recipient)
JOIN campaigns_message x ON x.id = m.id
JOIN campaigns_leg l ON l.bulk_id = x.bulk_id AND l.recipient = m.recipient
JOIN campaigns_flowdestination d ON d.journey_id = l.journey_id
WHERE x.id BETWEEN %s AND %s
"""


def _destinations_of(messages: Sequence[UUID]) -> dict[UUID, FlowDestination]:
    """What the messages of a flow's bulks are part of."""
    if not messages:
        return {}
    recipients = [message.int & ids.RECIPIENT_MASK for message in messages]
    with connection.cursor() as cursor:
        cursor.execute(_OF_JOURNEYS, [list(messages), recipients, min(messages), max(messages)])
        keys: dict[UUID, int] = dict(cursor.fetchall())
    found = FlowDestination.objects.in_bulk(set(keys.values()))
    return {message: found[key] for message, key in keys.items()}


# ------------------------------------------------------------------- steps of a flow


def _steps(notes: Sequence[WebhookNote]) -> list[StepNews]:
    keys = {note.destination_id for note in notes if note.destination_id is not None}
    if not keys:
        return []
    told = flow_requests.steps_of(sorted(keys))
    applications = _applications_of(step[0].destination.journey for step in told.values())
    news = []
    for note in notes:
        steps = told.get(note.destination_id or 0)
        if not steps:
            continue
        destination = steps[0].destination
        journey = destination.journey
        place = 0 if journey is None or note.step is None else journey.step - note.step
        if not 0 <= place < len(steps) or "url" not in destination.notify:
            continue
        flow = journey.flow_id if journey is not None else None
        news.append(
            StepNews(
                event=WebhookEvent(note.event),
                application_id=applications.get(flow) or note.application_id,
                url=destination.notify["url"],
                step=steps[place],
            )
        )
    return news


def _applications_of(journeys: Iterable[Journey | None]) -> dict[int | None, int]:
    """The application of the first step that has one, by flow."""
    flows = {journey.flow_id for journey in journeys if journey is not None}
    bulks = Bulk.objects.filter(flow__in=flows).order_by("-step", "-pk")
    return dict(bulks.values_list("flow_id", "application_id"))
