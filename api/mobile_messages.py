"""What an app with Infobip's SDK says of its messages (contract/mobile-sdk.md 4)."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from django.utils import timezone
from pydantic import Field

from api.endpoint import ApiRequest, Json, Refusal, Schema, endpoint, reading
from api.mobile import FAMILY, caller_of
from campaigns import reports
from campaigns.models import Message
from devices import registering
from devices.errors import UnknownRegistrationError

MOST_RECEIPTS = 500  # in one call
OLDEST = 7 * 86_400  # seconds: the SDK keeps messages for a week


class Delivered(Schema):
    """Ids of messages that an iOS extension has received (4.3)."""

    ids: Annotated[list[str], Field(alias="dlrIds", max_length=MOST_RECEIPTS)]


class SeenMessage(Schema):
    """A message, and how many seconds ago it was seen."""

    message_id: str = Field(alias="messageId")
    seconds_ago: int | None = Field(None, alias="timestampDelta")


class Seen(Schema):
    """Messages that were looked at (4.2)."""

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
    _take(request, Message.State.SEEN, told)
    return {}


def _take(request: ApiRequest, state: Message.State, told: list[tuple[str, int]]) -> None:
    """Hand receipts on; what cannot be an id of ours is left out.

    A time in the future is now; one before the SDK's memory is as old as that.
    """
    caller, key, now = caller_of(request), None, timezone.now()
    if caller is not None:
        try:
            key = registering.find_key(request.application, caller)
        except UnknownRegistrationError as error:
            raise Refusal(400, "NO_REGISTRATION", "Registration not found") from error
    receipts = []
    for text, seconds in told:
        try:
            identifier = UUID(text)
        except ValueError:
            continue
        ago = timedelta(seconds=min(max(seconds, 0), OLDEST))
        receipts.append(reports.Receipt(identifier, state, now - ago))
    reports.take(request.application.pk, key, receipts)


# ------------------------------------------------------------------- paths

delivery_reports = endpoint(FAMILY, POST=delivery_report)
seen_messages = endpoint(FAMILY, POST=seen)
