"""The calls of Infobip's push API (contract/push.md)."""

from api.infobip import push_schemas, statuses
from api.infobip.push_family import LOGS, SEND
from api.infobip.push_reports import REPORTS
from api.openapi.calls import (
    ANY_OBJECT,
    SWITCH,
    TEXT,
    WHOLE,
    Call,
    Family,
    Parameter,
    array,
    known,
    one_of,
    only,
)
from api.openapi.push_shapes import (
    BULK,
    ENROUTE,
    FAULT,
    LIMIT,
    MESSAGE,
    PRICE,
    REPORT_COMMON,
    REPORT_EXAMPLE,
    SECURITY,
    STATUS,
    TIME,
    TIME_IN_QUERY,
    line,
)
from api.openapi.push_words import WORDS
from campaigns.logbook import Phase

PLATFORM = only({}, {"entityId": TEXT, "applicationId": TEXT})
API_ERROR = only(
    {
        "errorCode": TEXT,
        "description": TEXT,
        "action": TEXT,
        "violations": array(only({"property": TEXT, "violation": TEXT})),
        "resources": array(only({"name": TEXT, "url": TEXT})),
    }
)
REFERENCE = line("campaignReferenceId", "Of this reference only.")
ENTITY = line("entityId", "Of this entity only.")
THEIR_APPLICATION = line("applicationId", "Of this application of the caller's platform only.")

SENT = only(
    {
        "bulkId": TEXT,
        "messages": array(only({"messageId": TEXT, "status": STATUS, "destination": TEXT})),
    }
)
_SEND_EXAMPLE = {
    "messages": [
        {
            "sender": "F5E6B95AFBEDEC426344318E1BD3D42E",
            "destinations": [
                {"type": "EXTERNAL_USER_ID", "externalUserId": "customer_21234"},
                {
                    "type": "MULTIPLE",
                    "$and": [{"platform": "iOS"}, {"phoneNumber": "441134960001"}],
                },
            ],
            "content": {"type": "TEXT", "title": "Hi", "text": "Order shipped"},
            "options": {
                "category": "mm_accept_decline",
                "customPayload": {"orderId": 7},
                "validityPeriod": {"amount": 2, "timeUnit": "HOURS"},
            },
            "webhooks": {"delivery": {"url": "https://example.com/dlr"}, "callbackData": "o-7"},
        }
    ],
    "options": {"schedule": {"bulkId": "orders"}},
}
_SENT_EXAMPLE = {
    "bulkId": "orders",
    "messages": [
        {
            "messageId": "a28dd97c-1ffb-4fcf-99f1-0b557ed381da",
            "status": ENROUTE,
            "destination": "customer_21234",
        },
        {
            "messageId": "5a2c8f3e-6c5e-4a9f-8d55-0d9a8f0f7c11",
            "status": statuses.ACCEPTED.as_json(),
            "destination": '{"$and":[{"platform":"iOS"},{"phoneNumber":"441134960001"}]}',
        },
    ],
}

PUSH = Family(
    name="Push messages",
    says="Send push messages and learn what became of them. Paths and bodies of Infobip's push"
    " API, version 3.",
    prefix="Push",
    security=SECURITY,
    error=API_ERROR,
    words=WORDS,
    refusals=(400, 401, 403, 405, 429, 500, 503),
    body_refusals=(413, 415),
    calls=(
        Call(
            method="post",
            path="/push/3/messages",
            title="Send push messages",
            says="Up to 1,000 messages, each with one content for up to 1,000 destinations of one"
            " application. One fault in the body, and nothing is sent; a destination that"
            " cannot be reached gets a status of its own.",
            body=known(push_schemas.Request),
            answer=SENT,
            replays=True,
            scopes=SEND,
            limit="2,500 a second",
            example=_SEND_EXAMPLE,
            answer_example=_SENT_EXAMPLE,
        ),
        Call(
            method="get",
            path="/push/3/reports",
            title="Take delivery reports",
            says="What became of messages of the last 48 hours, newest first. A report that was"
            " handed out once is not handed out again.",
            parameters=(BULK, MESSAGE, LIMIT, ENTITY, THEIR_APPLICATION, REFERENCE),
            answer=only(
                {
                    "results": array(
                        only(
                            {**REPORT_COMMON, "sender": TEXT},
                            {
                                "callbackData": TEXT,
                                "campaignReferenceId": TEXT,
                                "platform": PLATFORM,
                            },
                        )
                    )
                }
            ),
            scopes=REPORTS,
            limit="2,500 a second",
            answer_example={"results": [REPORT_EXAMPLE]},
        ),
        Call(
            method="get",
            path="/push/3/logs",
            title="Read the logs of messages",
            says="Messages of the last 48 hours, newest first, as often as you like. Ask for a"
            " cursor to read page by page.",
            parameters=(
                line("sender", "The sender as it was given."),
                line("destination", "The destination as it was given.", 10_000),
                line("bulkId", "Bulks, with commas between them.", 2048),
                line("messageId", "Messages, with commas between them.", 2048),
                line("campaignReferenceId", "References, with commas between them.", 2048),
                Parameter("generalStatus", "In this group.", one_of(*Phase.__members__)),
                Parameter("sentSince", "Sent after this moment.", TIME_IN_QUERY),
                Parameter("sentUntil", "Sent before this moment.", TIME_IN_QUERY),
                LIMIT,
                ENTITY,
                THEIR_APPLICATION,
                Parameter("useCursor", "Answer with a cursor.", SWITCH),
                line("cursor", "The nextCursor of an earlier answer.", 500),
            ),
            answer=only(
                {
                    "results": array(
                        only(
                            {
                                "sender": TEXT,
                                "destination": TEXT,
                                "bulkId": TEXT,
                                "messageId": TEXT,
                                "sentAt": TIME,
                                "messageCount": WHOLE,
                                "price": PRICE,
                                "status": STATUS,
                                "error": FAULT,
                                "content": ANY_OBJECT,
                            },
                            {"doneAt": TIME, "platform": PLATFORM, "campaignReferenceId": TEXT},
                        )
                    )
                },
                {"cursor": only({"limit": WHOLE}, {"nextCursor": TEXT})},
            ),
            scopes=LOGS,
            limit="120 a minute",
            answer_example={
                "results": [
                    {
                        "sender": "F5E6B95AFBEDEC426344318E1BD3D42E",
                        "destination": "customer_21234",
                        "bulkId": "orders",
                        "messageId": "a28dd97c-1ffb-4fcf-99f1-0b557ed381da",
                        "sentAt": "2026-01-01T10:00:00.000+0000",
                        "doneAt": "2026-01-01T10:00:01.000+0000",
                        "messageCount": 1,
                        "price": {"pricePerMessage": 0, "currency": "UNKNOWN"},
                        "status": statuses.DELIVERED.as_json(),
                        "error": statuses.NO_ERROR.as_json(),
                        "content": {"type": "TEXT", "title": "Hi", "text": "Order shipped"},
                    }
                ]
            },
        ),
    ),
)
