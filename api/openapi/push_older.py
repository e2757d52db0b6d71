"""Infobip's older calls that send, figures of a bulk, applications, inboxes (contract/push.md)."""

from api.infobip import push_inbox, push_older, statuses
from api.infobip.push_family import INBOUND, MANAGE, SEND
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
    array,
    exception,
    known,
    one_of,
    only,
    told,
)
from api.openapi.push_shapes import (
    BULK,
    LIMIT,
    MESSAGE,
    REPORT_COMMON,
    REPORT_EXAMPLE,
    SECURITY,
    STATUS,
    TIME,
    line,
)
from api.openapi.push_words import OLDER_WORDS

_ERROR = exception()

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
    error=_ERROR,
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
                        **{name: at for name, at in REPORT_EXAMPLE.items() if name != "sender"},
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
