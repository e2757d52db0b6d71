"""The calls of Infobip's push API (contract/push.md)."""

from api.infobip import push_inbox, push_older, push_schemas, statuses
from api.infobip.push_family import HIGHEST_LIMIT, INBOUND, LOGS, MANAGE, SEND
from api.infobip.push_reports import REPORTS
from api.openapi.calls import (
    ANY_OBJECT,
    FLAG,
    LINE,
    NUMBER,
    SWITCH,
    TEXT,
    WHOLE,
    Call,
    Family,
    Parameter,
    Shape,
    array,
    exception,
    known,
    one_of,
    only,
    or_null,
    told,
    whole,
)
from api.openapi.push_words import OLDER_WORDS, WORDS
from campaigns.logbook import Phase

TIME: Shape = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}[+-]\d{4}$",
    "examples": ["2026-07-23T12:55:35.086+0000"],
}
TIME_IN_QUERY: Shape = {"type": "string", "format": "date-time", "maxLength": 255}
STATUS = only(
    {
        "groupId": {"type": "integer", "enum": list(statuses.GROUPS)},
        "groupName": one_of(*statuses.GROUPS.values()),
        "id": WHOLE,
        "name": TEXT,
        "description": TEXT,
    }
)
FAULT = only(
    {
        "groupId": {"type": "integer", "enum": list(statuses.ERROR_GROUPS)},
        "groupName": one_of(*statuses.ERROR_GROUPS.values()),
        "id": WHOLE,
        "name": TEXT,
        "description": TEXT,
        "permanent": FLAG,
    }
)
PRICE = only({"pricePerMessage": NUMBER, "currency": TEXT})
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
ENROUTE = statuses.ENROUTE.as_json()
REPORT_COMMON: dict[str, Shape] = {
    "bulkId": TEXT,
    "messageId": TEXT,
    "to": TEXT,
    "sentAt": TIME,
    "doneAt": TIME,
    "messageCount": WHOLE,
    "mccMnc": or_null(TEXT),
    "price": PRICE,
    "status": STATUS,
    "error": FAULT,
}
_REPORT_EXAMPLE = {
    "bulkId": "orders",
    "messageId": "a28dd97c-1ffb-4fcf-99f1-0b557ed381da",
    "to": "dbe0b0b6-668e-491e-8ee8-2a3db2c71cbe",
    "sender": "F5E6B95AFBEDEC426344318E1BD3D42E",
    "sentAt": "2026-01-01T10:00:00.000+0000",
    "doneAt": "2026-01-01T10:00:01.000+0000",
    "messageCount": 1,
    "mccMnc": None,
    "price": {"pricePerMessage": 0, "currency": "UNKNOWN"},
    "status": statuses.DELIVERED.as_json(),
    "error": statuses.NO_ERROR.as_json(),
    "callbackData": "o-7",
}


def line(name: str, says: str, longest: int = 255) -> Parameter:
    return Parameter(name, says, {**LINE, "maxLength": longest})


BULK = line("bulkId", "Of this bulk only.", 100)
MESSAGE = line("messageId", "Of this message only.", 100)
LIMIT = Parameter("limit", "How many at most.", whole(1, HIGHEST_LIMIT, 50))
REFERENCE = line("campaignReferenceId", "Of this reference only.")
ENTITY = line("entityId", "Of this entity only.")
THEIR_APPLICATION = line("applicationId", "Of this application of the caller's platform only.")

SECURITY = ("apiKey", "basic")
_OLDER = exception()

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
            answer_example={"results": [_REPORT_EXAMPLE]},
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

# ------------------------------------------------------------------- older calls

_BULK = only(
    {"to": ANY_OBJECT, "status": STATUS, "messageCount": WHOLE, "bulkId": TEXT},
)
_BULKS = only({"bulks": array(_BULK)})
_OLDER_EXAMPLE = {
    "from": "F5E6B95AFBEDEC426344318E1BD3D42E",
    "to": {"externalUserId": "customer_21234"},
    "text": "Order shipped",
    "validityPeriod": 2,
    "notificationOptions": {"title": "Hi", "badge": 1},
}
_BULKS_EXAMPLE = {
    "bulks": [
        {
            "to": {"externalUserId": "customer_21234"},
            "status": statuses.ACCEPTED.as_json(),
            "messageCount": 2,
            "bulkId": "5a2c8f3e-6c5e-4a9f-8d55-0d9a8f0f7c11",
        }
    ]
}
_APPLICATION = only(
    {
        "applicationCode": TEXT,
        "applicationId": TEXT,
        "name": TEXT,
        "description": TEXT,
        "registrationsCount": WHOLE,
        "apns": only({"enabled": FLAG}),
        "gcm": only({"enabled": FLAG}),
    }
)
_APPLICATION_EXAMPLE = {
    "applicationCode": "233623e3c860b49ec69a464834343481-8bj4el4a-256d-23fd-56ad-b5bc3d568b53",
    "applicationId": "192CCB67425B90FE8A419EB0F350F058",
    "name": "Shop",
    "description": "Our shop's app",
    "registrationsCount": 456655,
    "apns": {"enabled": False},
    "gcm": {"enabled": True},
}
_DELETED = only(
    {"message": TEXT}, {name: told(TEXT, "As it was given.") for name in push_inbox.NAMES}
)
_DELETED_EXAMPLE = {
    "bulkId": "orders",
    "message": "Your request has been submitted successfully.",
}
_WHICH = tuple(line(name, "One of the three is needed.") for name in push_inbox.NAMES)

OLDER = Family(
    name="Push: older calls, statistics, inbox",
    says="Infobip's older calls that send, figures of a bulk, applications, messages from devices"
    " and deleting from inboxes.",
    prefix="OlderPush",
    security=SECURITY,
    error=_OLDER,
    words=OLDER_WORDS,
    refusals=(401, 403, 405, 429, 500, 503),
    body_refusals=(400, 413, 415),
    calls=(
        Call(
            method="post",
            path="/push/2/message/single",
            title="Send one message",
            body=known(push_older.OlderMessage),
            answer=_BULKS,
            replays=True,
            scopes=SEND,
            limit="100 a second",
            example=_OLDER_EXAMPLE,
            answer_example=_BULKS_EXAMPLE,
        ),
        Call(
            method="post",
            path="/push/2/message/multi",
            title="Send several messages",
            body=known(push_older.Several),
            answer=_BULKS,
            replays=True,
            scopes=SEND,
            limit="100 a second",
            example={"messages": [_OLDER_EXAMPLE]},
            answer_example=_BULKS_EXAMPLE,
        ),
        Call(
            method="get",
            path="/push/1/statistics",
            title="Count what became of a bulk",
            parameters=(
                Parameter(
                    "bulkId",
                    "The bulk; one that nobody knows has zeros.",
                    {**LINE, "minLength": 1, "maxLength": 100},
                    required=True,
                ),
            ),
            answer=only(
                {
                    "totalSent": told(WHOLE, "Messages to devices, rejected ones left out."),
                    "delivered": WHOLE,
                    "seen": WHOLE,
                    "errors": only({"registration": WHOLE, "expired": WHOLE, "cloud": WHOLE}),
                    "delivery": only(
                        {
                            "rate": told(NUMBER, "Per cent of totalSent, two decimals."),
                            "time": told(WHOLE, "Of the latest delivery, in epoch milliseconds."),
                        }
                    ),
                }
            ),
            refusals=(400,),
            scopes=MANAGE,
            limit="100 a second",
            answer_example={
                "totalSent": 31569,
                "delivered": 29568,
                "seen": 25632,
                "errors": {"registration": 1654, "expired": 301, "cloud": 46},
                "delivery": {"rate": 93.66, "time": 1580727771155},
            },
        ),
        Call(
            method="get",
            path="/push/1/reports",
            title="Take delivery reports, older form",
            says="The same reports as /push/3/reports, each handed out once by either call.",
            parameters=(BULK, MESSAGE, LIMIT),
            answer=only(
                {
                    "results": array(
                        only({**REPORT_COMMON, "channel": one_of("PUSH")}, {"callbackData": TEXT})
                    )
                }
            ),
            refusals=(400,),
            scopes=REPORTS,
            limit="100 a second",
            answer_example={
                "results": [
                    {
                        **{name: at for name, at in _REPORT_EXAMPLE.items() if name != "sender"},
                        "channel": "PUSH",
                    }
                ]
            },
        ),
        Call(
            method="get",
            path="/push/1/applications",
            title="List applications",
            answer=only({"applications": array(_APPLICATION)}),
            scopes=MANAGE,
            limit="100 a second",
            answer_example={"applications": [_APPLICATION_EXAMPLE]},
        ),
        Call(
            method="get",
            path="/push/1/applications/{applicationCode}",
            title="Read an application",
            parameters=(
                Parameter("useAppCodeAsAppId", "The path names an application id.", SWITCH),
            ),
            answer=_APPLICATION,
            refusals=(400, 404),
            scopes=MANAGE,
            limit="100 a second",
            answer_example=_APPLICATION_EXAMPLE,
        ),
        Call(
            method="get",
            path="/push/1/inbox/reports",
            title="Take messages that people wrote",
            says="What people wrote in the app, each handed out once, oldest first.",
            parameters=(LIMIT,),
            answer=only(
                {
                    "results": array(
                        only(
                            {
                                "messageId": TEXT,
                                "from": TEXT,
                                "to": TEXT,
                                "applicationCode": TEXT,
                                "receivedAt": TIME,
                                "text": TEXT,
                                "cleanText": TEXT,
                            },
                            {
                                "customPayload": ANY_OBJECT,
                                "bulkId": TEXT,
                                "initialMessageId": TEXT,
                            },
                        )
                    ),
                    "messageCount": WHOLE,
                    "pendingMessageCount": WHOLE,
                }
            ),
            refusals=(400,),
            scopes=INBOUND,
            limit="10 a second",
            answer_example={
                "results": [
                    {
                        "messageId": "a28dd97c-1ffb-4fcf-99f1-0b557ed381da",
                        "from": "dbe0b0b6-668e-491e-8ee8-2a3db2c71cbe",
                        "to": "support",
                        "applicationCode": _APPLICATION_EXAMPLE["applicationCode"],
                        "receivedAt": "2026-01-01T10:00:00.000+0000",
                        "text": "Where is my order?",
                        "cleanText": "Where is my order?",
                    }
                ],
                "messageCount": 1,
                "pendingMessageCount": 0,
            },
        ),
        Call(
            method="delete",
            path="/push/1/inbox/messages",
            title="Delete from everybody's inbox",
            parameters=_WHICH,
            status=202,
            answer=_DELETED,
            refusals=(400,),
            scopes=MANAGE,
            limit="2 a minute",
            answer_example=_DELETED_EXAMPLE,
        ),
        Call(
            method="delete",
            path="/push/1/user/{externalUserId}/inbox/messages",
            title="Delete from one person's inbox",
            parameters=_WHICH,
            status=202,
            answer=_DELETED,
            refusals=(400, 404),
            scopes=MANAGE,
            limit="100 a second",
            answer_example=_DELETED_EXAMPLE,
        ),
    ),
)
