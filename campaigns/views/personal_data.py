"""Take along everything about a person: what is known of them and what they were sent."""

import json
from collections.abc import Iterable, Iterator
from itertools import starmap
from typing import Any

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.text import slugify
from django.views.decorators.http import require_GET

from campaigns import timeline
from campaigns.languages import choose
from campaigns.models import Message, Reason
from devices import audit, personal_data
from devices.models import Application, Person, Registration
from devices.permissions import ApplicationRequest, Right, page
from devices.views.people import name_of

PIECE = 1000  # messages of one statement


@require_GET
@page(Right.SEE_DEVICES)
def person_export(request: ApplicationRequest, pk: int) -> StreamingHttpResponse:
    """A JSON document, streamed; who took it stands in the audit trail before it begins."""
    person = get_object_or_404(Person, pk=pk)
    audit.record(
        request.user, "export person", person, application=request.application, request=request
    )
    name = slugify(name_of(person)) or f"person-{pk}"
    return StreamingHttpResponse(
        _document(person, request.application),
        content_type="application/json",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.json"',
            "Cache-Control": "no-store",
        },
    )


def _document(person: Person, application: Application) -> Iterator[str]:
    devices = personal_data.devices(person, application)
    yield f'{{"person": {_json(personal_data.profile(person))}'
    lists: dict[str, Iterable[dict[str, Any]]] = {
        "identities": personal_data.identities(person),
        "devices": map(personal_data.described, devices),
        "changes": personal_data.changes(person),
        "messages": _messages(devices),
        "text_messages": starmap(_as_text, timeline.texts(application, person.pk)),
        "events": personal_data.events(person, application),
    }
    for name, rows in lists.items():
        yield f',\n"{name}": ['
        for number, row in enumerate(rows):
            yield f"{',' if number else ''}\n  {_json(row)}"
        yield "]"
    yield "}\n"


def _json(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _messages(devices: Iterable[Registration]) -> Iterator[dict[str, Any]]:
    """What the devices they have now were sent, oldest first.

    Piece by piece, so that a slow reader holds no statement open; of all devices together.
    """
    known, after = {device.pk: device for device in devices}, None
    while known:
        sent = Message.objects.all().oldest_of(known, PIECE, after)
        rows = list(sent.select_related("bulk__campaign"))
        for message in rows:
            yield _described(message, known[message.registration_id])
        if len(rows) < PIECE:
            return
        after = rows[-1].pk


def _described(message: Message, device: Registration) -> dict[str, Any]:
    return {"registration_id": device.address.public_id, **_as_text(message)}


def _as_text(message: Message, filled_in: str = "") -> dict[str, Any]:
    """As it was written, before names were filled in; a text message as it was sent."""
    contents = message.bulk.content
    content = choose(contents, message.language, message.variant) if contents else {}
    campaign = message.bulk.campaign
    return {
        "message_id": message.pk,
        "campaign": campaign.name if campaign else None,
        "title": content.get("title", ""),
        "text": filled_in or content.get("text", ""),
        "state": message.get_state_display(),
        "reason": Reason(message.reason).label if message.reason else None,
        "sent_at": message.sent_at,
        "delivered_at": message.delivered_at,
        "seen_at": message.seen_at,
        "clicked_at": message.clicked_at,
    }
