"""What webhooks say: push reports, OMNI reports, seen, tapped, messages from devices.

Source: contract/push.md 7, contract/omni.md 6. What no contract has (tapped, and whatever an
application's own webhook is told of campaigns) has the form of its neighbour.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from django.db import transaction
from django.utils import timezone

from api.endpoint import Json
from api.infobip.omni_reports import report_json as omni_report_json
from api.infobip.omni_reports import to_of
from api.infobip.push_family import moment
from api.infobip.push_inbox import inbound_json
from api.infobip.push_reports import report_json
from campaigns import deliveries, news
from campaigns.deliveries import Draft
from campaigns.handing_out import Told
from campaigns.models import Medium, Message, Webhook, WebhookEvent
from campaigns.news import MessageNews, News

MOST = 100  # reports of one call: contract/push.md 7

# address, application, event, shape
_Key: TypeAlias = tuple[str, int | None, WebhookEvent, str]
_Item: TypeAlias = tuple[_Key, Json]


@transaction.atomic
def write_up() -> int:
    """Put the oldest notes into the bodies that are posted; how many notes."""
    taken = news.take()
    if not taken.notes:
        return 0
    bodies: dict[_Key, list[Json]] = {}
    for key, item in _items(taken):
        bodies.setdefault(key, []).append(item)
    deliveries.write(
        [
            Draft(application, url, event, items[start : start + MOST])
            for (url, application, event, _), items in bodies.items()
            for start in range(0, len(items), MOST)
        ]
    )
    news.forget(taken.notes)
    return len(taken.notes)


def _items(taken: News) -> Iterator[_Item]:
    for each in taken.messages:
        yield from _of_message(taken, each)
    for step in taken.steps:
        key = step.url, step.application_id, step.event, "omni"
        yield key, omni_report_json(step.step)
    for written in taken.inbound:
        for url in taken.subscribers(written.application_id, WebhookEvent.INBOUND):
            key = url, written.application_id, WebhookEvent.INBOUND, "inbound"
            yield key, inbound_json(written)
    for webhook in taken.tests:
        yield (webhook.url, webhook.application_id, WebhookEvent.TEST, "push"), sample(webhook)


def _of_message(taken: News, each: MessageNews) -> Iterator[_Item]:
    """For the address that its request names, and for those of its application."""
    if each.silent:
        return
    urls = {each.url} if each.url and _is_asked_for(each) else set()
    urls.update(taken.subscribers(each.application_id, each.event))
    if not urls:
        return
    item, shape = _message_json(each)
    for url in sorted(urls):
        yield (url, each.application_id, each.event, shape), item


def _is_asked_for(each: MessageNews) -> bool:
    """Of a flow the ends of its steps are told, and who has seen the message."""
    if each.destination is not None:
        return each.event == WebhookEvent.SEEN
    return each.event in (WebhookEvent.ENDED, WebhookEvent.ON_ITS_WAY)


def _message_json(each: MessageNews) -> tuple[Json, str]:
    match each.event:
        case WebhookEvent.SEEN if each.seen_at is not None:
            return _seen_json(each, "seenAt", each.seen_at), "seen"
        case WebhookEvent.CLICKED if each.clicked_at is not None:
            return _seen_json(each, "clickedAt", each.clicked_at), "clicked"
        case WebhookEvent.ON_ITS_WAY:
            # What it was then: the message may have arrived meanwhile.
            then = replace(
                each.told, state=Message.State.ACCEPTED, reason=0, done_at=each.told.sent_at
            )
            report = report_json(then)
            del report["doneAt"]
            return report, "push"
    return report_json(each.told), "push"


def _seen_json(each: MessageNews, name: str, at: datetime) -> Json:
    """contract/omni.md 6."""
    destination = each.destination
    return {
        "messageId": each.told.message_id if destination is None else destination.public_id,
        "from": each.application_code,
        "to": _to(each),
        "sendAt": moment(each.told.sent_at),
        name: moment(at),
    }


def _to(each: MessageNews) -> str:
    if each.destination is not None:
        return to_of(each.destination)
    return str(each.told.registration_id or each.told.to)


def sample(webhook: Webhook) -> Json:
    """A delivery report of nobody's message, as a test."""
    now = timezone.now()
    return report_json(
        Told(
            bulk_id="test",
            message_id="00000000-0000-4000-8000-000000000000",
            registration_id=None,
            to="00000000-0000-4000-8000-000000000001",
            sender=webhook.application.code,
            sent_at=now,
            done_at=now,
            state=Message.State.DELIVERED,
            reason=0,
            platform=Medium.ANDROID,
            callback_data="",
            reference="",
            entity_id="",
            platform_application_id="",
        )
    )
