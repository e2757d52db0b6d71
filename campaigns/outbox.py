"""What somebody outside wants to hear of is noted where it happens, in the same transaction.

api.webhooks writes the notes up. Whoever asked for nothing pays nothing: what a request asks for
stands in its bulk or flow, what an application asks for is remembered by each process for some
seconds.
"""

import time
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import connection

from campaigns.models import (
    Bulk,
    Flow,
    FlowDestination,
    Journey,
    Webhook,
    WebhookEvent,
    WebhookNote,
)

REMEMBERED = 5.0  # seconds after which a change of an application's webhooks is known everywhere

_known: tuple[float, dict[int, int]] = (0.0, {})


def wanted(application_id: int) -> int:
    """What an application's webhooks are told: bits of WebhookEvent."""
    global _known
    until, masks = _known
    if time.monotonic() >= until:
        masks = {}
        switched_on = Webhook.objects.filter(enabled=True).values_list("application_id", "events")
        for key, events in switched_on:
            masks[key] = masks.get(key, 0) | events
        _known = (time.monotonic() + REMEMBERED, masks)
    return masks.get(application_id, 0)


def forget() -> None:
    """Look again at once."""
    global _known
    _known = (0.0, {})


_NOTE_MESSAGES = """
INSERT INTO campaigns_webhooknote (event, application_id, bulk_id, message_id)
SELECT event, %s, %s, id FROM unnest(%s::int2[], %s::uuid[]) x (event, id)
"""


def note_messages(bulk: Bulk, told: Iterable[tuple[UUID, WebhookEvent]]) -> None:
    """Note what became of messages that were just recorded."""
    mask = bulk.tells | wanted(bulk.application_id)
    if not mask & (WebhookEvent.ENDED | WebhookEvent.ON_ITS_WAY):
        return
    news = [(message, event) for message, event in told if mask & event]
    if news:
        with connection.cursor() as cursor:
            cursor.execute(
                _NOTE_MESSAGES,
                [
                    bulk.application_id, bulk.pk, [int(event) for _, event in news],
                    [message for message, _ in news],
                ],
            )  # fmt: skip


_NOTE_JOURNEYS = """
INSERT INTO campaigns_webhooknote (event, destination_id, step)
SELECT x.event, d.id, x.step
FROM unnest(%s::int2[], %s::int8[], %s::int2[]) x (event, journey_id, step)
JOIN campaigns_flowdestination d ON d.journey_id = x.journey_id
WHERE d.notify ? 'url' AND (x.event = 1 OR (d.notify ->> 'intermediate')::bool)
"""


def note_journeys(flow: Flow, closed: Sequence[tuple[int, int, bool]]) -> None:
    """Note steps that were closed: the journey, the step, and whether it was the end."""
    if not flow.tells or not closed:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _NOTE_JOURNEYS,
            [
                [_event(over=over) for _, _, over in closed],
                [journey for journey, _, _ in closed],
                [step for _, step, _ in closed],
            ],
        )


def _event(*, over: bool) -> int:
    return int(WebhookEvent.ENDED if over else WebhookEvent.ON_ITS_WAY)


def note_destinations(destinations: Iterable[FlowDestination], application_id: int | None) -> None:
    """Note what became at once of destinations that were just written.

    Those that were rejected belong to no flow: `application_id` says whose they are.
    """
    notes = []
    for each in destinations:
        if "url" not in each.notify:
            continue
        journey = each.journey
        if journey is None or journey.state != Journey.State.RUNNING:
            step = journey.step if journey is not None else None
            notes.append(
                WebhookNote(
                    event=WebhookEvent.ENDED,
                    application_id=application_id,
                    destination_id=each.pk,
                    step=step,
                )
            )
        if journey is not None and each.notify.get("intermediate"):
            notes += [
                WebhookNote(event=WebhookEvent.ON_ITS_WAY, destination_id=each.pk, step=step)
                for step in range(journey.step)
            ]
    WebhookNote.objects.bulk_create(notes)


def note_inbound(application_id: int, keys: Iterable[int]) -> None:
    """Note messages that came from devices, if anybody wants them."""
    WebhookNote.objects.bulk_create(
        WebhookNote(event=WebhookEvent.INBOUND, application_id=application_id, inbound_id=key)
        for key in keys
    )


def note_test(webhook: Webhook) -> None:
    """Have a sample sent, whatever else the webhook is told."""
    WebhookNote.objects.create(
        event=WebhookEvent.TEST, application_id=webhook.application_id, webhook_id=webhook.pk
    )


def tells_of(asked: object) -> int:
    """The bits of what a request asks for: {"url", "intermediate": bool}."""
    if not isinstance(asked, dict) or not asked.get("url"):
        return 0
    on_its_way = WebhookEvent.ON_ITS_WAY if asked.get("intermediate") else 0
    return int(WebhookEvent.ENDED | on_its_way)
