"""Messages from devices, and deleting from inboxes: /push/1/inbox (contract/push.md 12)."""

from http import HTTPStatus

from django.conf import settings
from django.db import transaction

from api.endpoint import Json, Refusal, endpoint
from api.infobip.push_family import (
    INBOUND,
    MANAGE,
    KnownRequest,
    family,
    limit_of,
    moment,
    text_of,
)
from api.infobip.push_reports import optional
from campaigns import inbound, inbox
from campaigns.models import Inbound

FAMILY = family(INBOUND, "inbound", lambda: settings.INBOUND_CALLS_PER_SECOND, older=True)
DELETING = family(
    MANAGE,
    "inbox deletions",
    lambda: settings.INBOX_DELETIONS_PER_MINUTE,
    60,
    older=True,
    success=HTTPStatus.ACCEPTED,
)
DELETING_OF_ONE = family(
    MANAGE,
    "inbox deletions of one",
    lambda: settings.OLDER_PUSH_CALLS_PER_SECOND,
    older=True,
    success=HTTPStatus.ACCEPTED,
)
NAMES = ("campaignId", "bulkId", "messageId")
NONE_GIVEN = (
    "Missing required request parameter: campaignId, bulkId or messageId."
    " Please provide one of them."
)
SEVERAL_GIVEN = (
    "Ambiguous request parameters: more than one of campaignId, bulkId, or messageId are"
    " specified. Please provide only one of them."
)


@transaction.atomic
def take(request: KnownRequest) -> Json:
    """GET /push/1/inbox/reports: what people wrote in the app, each once, oldest first."""
    taken = inbound.take(limit_of(request))
    return {
        "results": [inbound_json(each) for each in taken],
        "messageCount": len(taken),
        "pendingMessageCount": inbound.waiting(),
    }


def inbound_json(written: Inbound) -> Json:
    return {
        "messageId": written.message_id,
        "from": str(written.registration.address.public_id),
        "to": written.destination,
        "applicationCode": written.application.code,
        "receivedAt": moment(written.received_at),
        "text": written.text,
        "cleanText": written.text,
        **optional(
            customPayload=written.custom_payload,
            bulkId=written.bulk_id,
            initialMessageId=written.initial_message_id,
        ),
    }


def delete(request: KnownRequest) -> Json:
    """DELETE /push/1/inbox/messages: from everybody's inbox."""
    return _delete(request, None)


def delete_of_one(request: KnownRequest, external_id: str) -> Json:
    """DELETE /push/1/user/{externalUserId}/inbox/messages."""
    person = inbox.person_of(external_id)
    if person is None:
        raise Refusal(404, "NOT_FOUND", "Not found")
    return _delete(request, person)


def _delete(request: KnownRequest, person: int | None) -> Json:
    given = {name: value for name in NAMES if (value := text_of(request, name))}
    if len(given) != 1:
        raise Refusal(400, "BAD_REQUEST", SEVERAL_GIVEN if given else NONE_GIVEN)
    ((name, value),) = given.items()
    match name:
        case "campaignId":
            inbox.delete_campaign(value, person=person)
        case "bulkId":
            inbox.delete_bulk(value, person=person)
        case _:
            inbox.delete_message(value, person=person)
    return {name: value, "message": "Your request has been submitted successfully."}


reports = endpoint(FAMILY, GET=take)
deletions = endpoint(DELETING, DELETE=delete)
deletions_of_one = endpoint(DELETING_OF_ONE, DELETE=delete_of_one)
