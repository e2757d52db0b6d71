"""Reports of push messages, each handed out once (contract/push.md 7)."""

from django.conf import settings
from django.db import transaction

from api.endpoint import Json, endpoint
from api.infobip import statuses
from api.infobip.push_family import SEND, KnownRequest, family, limit_of, moment, text_of
from campaigns import handing_out
from campaigns.handing_out import Told, Wish

FREE = {"pricePerMessage": 0, "currency": "UNKNOWN"}
REPORTS = (*SEND, "mobile-app-messaging:logs:read")
FAMILY = family(REPORTS, "reports", lambda: settings.PUSH_CALLS_PER_SECOND)
OLDER = family(REPORTS, "older reports", lambda: settings.OLDER_PUSH_CALLS_PER_SECOND, older=True)


@transaction.atomic
def take(request: KnownRequest) -> Json:
    """GET /push/3/reports."""
    wish = Wish(
        bulk_id=text_of(request, "bulkId", 100),
        message_id=text_of(request, "messageId", 100),
        reference=text_of(request, "campaignReferenceId"),
        entity_id=text_of(request, "entityId"),
        platform_application_id=text_of(request, "applicationId"),
    )
    return {"results": [report_json(each) for each in handing_out.take(wish, limit_of(request))]}


@transaction.atomic
def take_older(request: KnownRequest) -> Json:
    """GET /push/1/reports: the same reports, with fewer members."""
    wish = Wish(
        bulk_id=text_of(request, "bulkId", 100), message_id=text_of(request, "messageId", 100)
    )
    results = []
    for each in handing_out.take(wish, limit_of(request)):
        report = report_json(each)
        for name in ("sender", "platform", "campaignReferenceId"):
            report.pop(name, None)
        results.append({**report, "channel": "PUSH"})
    return {"results": results}


def report_json(told: Told) -> Json:
    """One end of a message; what was never said is left out."""
    status, fault = statuses.of_message(told.state, told.reason, told.platform)
    return {
        "bulkId": told.bulk_id,
        "messageId": told.message_id,
        "to": str(told.registration_id) if told.registration_id else told.to,
        "sender": told.sender,
        "sentAt": moment(told.sent_at),
        "doneAt": moment(told.done_at),
        "messageCount": 1,
        "mccMnc": None,
        "price": FREE,
        "status": status.as_json(),
        "error": fault.as_json(),
        **optional(
            callbackData=told.callback_data,
            campaignReferenceId=told.reference,
            platform=platform_json(told.entity_id, told.platform_application_id),
        ),
    }


def platform_json(entity_id: str, application_id: str) -> Json:
    return optional(entityId=entity_id, applicationId=application_id)


def optional(**members: object) -> Json:
    return {name: value for name, value in members.items() if value}


reports = endpoint(FAMILY, GET=take)
older_reports = endpoint(OLDER, GET=take_older)
