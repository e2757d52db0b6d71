"""What an app with Infobip's SDK says of its messages (contract/mobile-sdk.md 4)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated
from uuid import UUID, uuid4

from django.utils import timezone
from pydantic import Field

from api.endpoint import (
    ApiRequest,
    Json,
    Refusal,
    Schema,
    StoredObject,
    Text100,
    Text255,
    Text4000,
    endpoint,
    reading,
)
from api.mobile import FAMILY, caller_of
from api.mobile_items import android_item, ios_item
from campaigns import inbound, inbox, pulling, reports
from campaigns.models import Message
from devices import registering
from devices.errors import UnknownRegistrationError
from devices.models import Registration

MOST_RECEIPTS = 500  # in one call
OLDEST = 7 * 86_400  # seconds: the SDK keeps messages for a week

ITEMS: dict[str, Callable[..., Json]] = {  # by platformType
    "GCM": android_item,
    "HMS": android_item,
    "APNS": ios_item,
}
MOST_WRITTEN = 100  # messages in one call

Ids = Annotated[list[str], Field(max_length=MOST_RECEIPTS)]


class Delivered(Schema):
    """Ids of messages that an iOS extension has received (4.3)."""

    ids: Ids = Field(alias="dlrIds")


class SeenMessage(Schema):
    """A message, and how many seconds ago it was seen."""

    message_id: str = Field(alias="messageId")
    seconds_ago: int | None = Field(None, alias="timestampDelta")
    inbox: bool | None = None  # its copy in the inbox of a person


class Seen(Schema):
    """Messages that were looked at (4.2)."""

    external_id: str | None = Field(None, alias="externalUserId")
    messages: Annotated[list[SeenMessage], Field(max_length=MOST_RECEIPTS)]


@reading(Delivered, FAMILY)
def delivery_report(request: ApiRequest, body: Delivered) -> Json:
    """POST /mobile/1/messages/deliveryreport."""
    _take(request, Message.State.DELIVERED, [(each, 0) for each in body.ids])
    return {}


@reading(Seen, FAMILY)
def seen(request: ApiRequest, body: Seen) -> Json:
    """POST /mobile/2/messages/seen."""
    told = [(each.message_id, each.seconds_ago or 0) for each in body.messages]
    if body.external_id:
        copies = {each.message_id for each in body.messages if each.inbox}
        found = _mark_seen(request, body.external_id, [each for each in told if each[0] in copies])
        told = [each for each in told if each[0] not in found]
    _take(request, Message.State.SEEN, told)
    return {}


def _mark_seen(request: ApiRequest, external_id: str, told: list[tuple[str, int]]) -> set[str]:
    """Note what a person saw in their inbox, whatever device it went to; the ids found there."""
    seen = [(each.message_id, each.at) for each in _receipts(Message.State.SEEN, told)]
    found = inbox.mark_seen(request.application, external_id, seen)
    receipts = [reports.Receipt(mine, Message.State.SEEN, at) for mine, at in found.values()]
    reports.take(request.application.pk, None, receipts)
    return {text for text, _ in told if _uuid(text) in found}


def _take(request: ApiRequest, state: Message.State, told: list[tuple[str, int]]) -> None:
    """Hand receipts on: of the calling device, if it says who it is."""
    caller, key = caller_of(request), None
    if caller is not None:
        try:
            key = registering.find_key(request.application, caller)
        except UnknownRegistrationError as error:
            raise Refusal(400, "NO_REGISTRATION", "Registration not found") from error
    reports.take(request.application.pk, key, _receipts(state, told))


def _receipts(state: Message.State, told: list[tuple[str, int]]) -> list[reports.Receipt]:
    """Receipts of messages and how many seconds ago; what cannot be an id is left out.

    A time in the future is now; one before the SDK's memory is as old as that.
    """
    now, receipts = timezone.now(), []
    for text, seconds in told:
        if (identifier := _uuid(text)) is not None:
            at = now - timedelta(seconds=min(seconds, OLDEST)) if seconds > 0 else now
            receipts.append(reports.Receipt(identifier, state, at))
    return receipts


def click(request: ApiRequest, message_id: str) -> Json:
    """GET /mobile/1/inapp/click/{messageId}: a tap in a web view of the app (4.6)."""
    _take(request, Message.State.CLICKED, [(message_id, 0)])
    return {}


# ------------------------------------------------------------------- fetching


class Sync(Schema):
    """Ids that the app has, and ids that it reports as delivered now (4.1)."""

    known: Ids = Field(alias="mIDs", default=[])
    delivered: Ids = Field(alias="drIDs", default=[])


@reading(Sync, FAMILY, may_be_empty=True)
def sync(request: ApiRequest, body: Sync) -> Json:
    """POST /mobile/5/messages: what has arrived, and what has not."""
    item = item_of(request.GET.get("platformType", ""))
    registration = _device(request, caller_of(request))
    arrived = _receipts(Message.State.DELIVERED, [(each, 0) for each in body.delivered])
    reports.take(request.application.pk, registration.pk, arrived)
    if not registration.enabled:
        return {"payloads": []}
    besides = {each for each in map(_uuid, [*body.known, *body.delivered]) if each}
    waiting = pulling.waiting(request.application, registration.pk, besides=besides)
    return {"payloads": [item(each.notification, each.message_id) for each in waiting]}


def item_of(platform_type: str) -> Callable[..., Json]:
    """How the SDK of a platform reads a message. Raises Refusal."""
    item = ITEMS.get(platform_type.upper())
    if item is None:
        raise Refusal(400, "2", f"Invalid cloud type: use one of {', '.join(ITEMS)}")
    return item


def _device(request: ApiRequest, identifier: UUID | None) -> Registration:
    """The registration that calls. Raises Refusal."""
    try:
        if identifier is not None:
            return registering.find(request.application, identifier)
    except UnknownRegistrationError:
        pass
    raise Refusal(400, "NO_REGISTRATION", "Registration not found")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# ------------------------------------------------------------------- messages from people


class Written(Schema):
    """A message that somebody wrote in the app."""

    message_id: Text100 | None = Field(None, alias="messageId")
    destination: Text255 | None = None
    text: Text4000 | None = None
    initial_message_id: Text100 | None = Field(None, alias="initialMessageId")
    bulk_id: Text100 | None = Field(None, alias="bulkId")
    custom_payload: StoredObject | None = Field(None, alias="customPayload")


class Mail(Schema):
    """What an app sends, and from which registration (4.4)."""

    sender: str | None = Field(None, alias="from")
    messages: Annotated[list[Written], Field(min_length=1, max_length=MOST_WRITTEN)]


@reading(Mail, FAMILY)
def mobile_originated(request: ApiRequest, body: Mail) -> Json:
    """POST /mobile/1/messages/mo: kept; repeating one keeps it once."""
    item_of(request.GET.get("platformType", ""))
    caller = caller_of(request)
    sender = caller if body.sender is None else _uuid(body.sender)
    registration = _device(request, sender if caller in {None, sender} else None)
    written = [(each, each.message_id or str(uuid4())) for each in body.messages]
    inbound.keep(
        registration,
        [
            inbound.Note(
                message_id=identifier,
                text=each.text,
                destination=each.destination or "",
                initial_message_id=each.initial_message_id or "",
                bulk_id=each.bulk_id or "",
                custom_payload=each.custom_payload or {},
            )
            for each, identifier in written
            if each.text
        ],
    )
    return {"messages": [_written_json(*each) for each in written]}


def _written_json(written: Written, identifier: str) -> Json:
    """The message as it came, and what became of it."""
    kept = bool(written.text)
    told = {
        "messageId": identifier,
        "destination": written.destination,
        "text": written.text or "",
        "initialMessageId": written.initial_message_id,
        "bulkId": written.bulk_id,
        "customPayload": written.custom_payload,
        "status": "Message sent" if kept else "Message text is missing",
        "statusCode": 0 if kept else 1,
    }
    return {name: value for name, value in told.items() if value is not None}


# ------------------------------------------------------------------- paths

delivery_reports = endpoint(FAMILY, POST=delivery_report)
seen_messages = endpoint(FAMILY, POST=seen)
messages = endpoint(FAMILY, POST=sync)
written_messages = endpoint(FAMILY, POST=mobile_originated)
clicks = endpoint(FAMILY, GET=click)
