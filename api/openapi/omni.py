"""The calls of Infobip's OMNI API (contract/omni.md)."""

from api.infobip import omni_schemas, scenarios, statuses
from api.infobip.omni_family import CHANNELS
from api.infobip.push_family import LOGS, SEND
from api.openapi.calls import (
    FLAG,
    SWITCH,
    TEXT,
    Call,
    Family,
    Parameter,
    Shape,
    Words,
    array,
    exception,
    known,
    one_of,
    only,
    whole,
)
from api.openapi.push_shapes import (
    BULK,
    ENROUTE,
    LIMIT,
    MESSAGE,
    PRICE,
    REPORT_COMMON,
    SECURITY,
    STATUS,
    TIME,
    TIME_IN_QUERY,
    line,
)

_PRIMARY = "Only devices that are somebody's primary one. False unless given."
_VALIDITY = {
    "validityPeriod": "The next step starts when it ends; 48 hours unless given, and at most.",
    "validityPeriodTimeUnit": "MINUTES unless given.",
}
_SENT_WORDS = {
    "scenarioKey": "Which scenario; the default one unless given.",
    "bulkId": "A name for all messages of the request; made for more than one destination.",
    "destinations": "Who gets it.",
}
WORDS: Words = {
    scenarios.Body: {
        "name": "What people call it.",
        "flow": "The steps, in order: each starts when the one before has failed or expired.",
        "default": "Used where a request names none; the older name is `defaultScenario`.",
    },
    scenarios.Step: {
        "channel": "Only PUSH and SMS are sent; others are rejected when their turn comes.",
        "from": "PUSH: an application code, needed. SMS: the sender.",
    },
    omni_schemas.Advanced: {
        **_SENT_WORDS,
        "push": "What PUSH steps say.",
        "sms": "What SMS steps say.",
        "notify": "False: no report is posted.",
        "intermediateReport": "Also post the end of each step. False unless given.",
        "notifyUrl": "Where reports are posted to.",
        "callbackData": "Given back in reports.",
        "sendAt": "Not before this moment, at most 180 days ahead.",
    },
    omni_schemas.OneText: {**_SENT_WORDS, "text": "What every channel says."},
    omni_schemas.Destination: {
        "to": "Somebody, by one of these or several.",
        "messageId": "An id of your own, unused for 48 hours; one is made where none is given.",
    },
    omni_schemas.To: {
        "phoneNumber": "International digits. SMS steps need it.",
        "emailAddress": "PUSH steps find the person by it.",
        "pushRegistrationId": "PUSH steps go to this device alone.",
    },
    omni_schemas.Push: {
        "text": "What the message says.",
        "customPayload": "Delivered to the app as it is.",
        "notificationOptions": "How it is shown.",
        "targetOnlyPrimaryDevices": _PRIMARY,
        "includeNotificationsDisabledDevices": "Also devices whose owner switched them off.",
        "personSubscriptions": "Only people with each of these attributes true.",
        "deviceSubscriptions": "Only devices with each of these attributes true.",
        **_VALIDITY,
    },
    omni_schemas.Options: {
        "vibrationEnabled": "Android only. True unless given.",
        "soundEnabled": "False: without a sound.",
        "soundName": "A sound file inside the app.",
        "badge": "iOS only: the number on the app's icon.",
        "contentUrl": "Of a picture.",
        "category": "Of actions, such as `mm_accept_decline`.",
        "inAppStyle": "Also shown inside the app, in this way.",
        "isSilent": "Not shown.",
        "title": "The application's name unless given.",
        "webViewUrl": "A page that opens inside the app.",
        "inboxTopic": "Kept in the inbox under this topic; an unknown one ends the step.",
    },
    omni_schemas.Sms: {"text": "What the message says.", **_VALIDITY},
}

_KEY = "AD9E01A5DC7BEE2C2B828D208182A611"
_CODE = "233623e3c860b49ec69a464834343481-8bj4el4a-256d-23fd-56ad-b5bc3d568b53"
_DRAFT = {
    "name": "My PUSH-SMS scenario",
    "flow": [{"from": _CODE, "channel": "PUSH"}, {"from": "InfoSMS", "channel": "SMS"}],
    "default": True,
}
_SCENARIO = only(
    {
        "key": {"type": "string", "pattern": "^[0-9A-F]{32}$"},
        "name": TEXT,
        "flow": array(only({"channel": one_of(*CHANNELS)}, {"from": TEXT})),
        "default": FLAG,
    }
)
_TO = only({}, dict.fromkeys(("phoneNumber", "emailAddress", "pushRegistrationId"), TEXT))
_SENT = only(
    {"messages": array(only({"to": _TO, "status": STATUS, "messageId": TEXT}))}, {"bulkId": TEXT}
)
_SENT_EXAMPLE = {
    "messages": [
        {
            "to": {"phoneNumber": "41793026727"},
            "status": ENROUTE,
            "messageId": "7046974d-68cd-4648-a4ec-53a73a6b4ae2",
        }
    ]
}
_CHANNEL = Parameter("channel", "Of this channel only.", one_of(*CHANNELS))
_REPORT = {name: at for name, at in REPORT_COMMON.items() if name not in {"bulkId", "mccMnc"}}
_REPORT_EXAMPLE = {
    "messageId": "7046974d-68cd-4648-a4ec-53a73a6b4ae2",
    "to": "41793026727",
    "sentAt": "2026-01-01T10:00:00.000+0000",
    "doneAt": "2026-01-01T10:00:01.000+0000",
    "messageCount": 1,
    "price": {"pricePerMessage": 0, "currency": "EUR"},
    "status": statuses.DELIVERED.as_json(),
    "error": statuses.NO_ERROR.as_json(),
    "channel": "PUSH",
}
_NAMES: Shape = {"bulkId": TEXT}

OMNI = Family(
    name="OMNI: scenarios with failover",
    says="Send through a scenario: push first, SMS where the push fails or expires. Paths and"
    " bodies of Infobip's OMNI API.",
    prefix="Omni",
    security=SECURITY,
    error=exception(),
    words=WORDS,
    refusals=(401, 403, 405, 429, 500, 503),
    body_refusals=(400, 413, 415),
    calls=(
        Call(
            method="post",
            path="/omni/1/scenarios",
            title="Create a scenario",
            body=known(scenarios.Body),
            answer=_SCENARIO,
            refusals=(409,),
            scopes=SEND,
            limit="20 in ten minutes",
            example=_DRAFT,
            answer_example={"key": _KEY, **_DRAFT},
        ),
        Call(
            method="get",
            path="/omni/1/scenarios",
            title="List scenarios",
            says="Oldest first.",
            parameters=(
                Parameter("isDefault", "The default one only.", SWITCH),
                Parameter(
                    "limit", "How many at most; over 1,000 is 1,000.", whole(0, 999_999_999, 100)
                ),
                Parameter("page", "Which page, from 0.", whole(0, 999_999_999, 0)),
            ),
            answer=only({"scenarios": array(_SCENARIO)}),
            refusals=(400,),
            scopes=SEND,
            answer_example={"scenarios": [{"key": _KEY, **_DRAFT}]},
        ),
        Call(
            method="get",
            path="/omni/1/scenarios/{key}",
            title="Read a scenario",
            answer=_SCENARIO,
            refusals=(404,),
            scopes=SEND,
            answer_example={"key": _KEY, **_DRAFT},
        ),
        Call(
            method="put",
            path="/omni/1/scenarios/{key}",
            title="Change a scenario",
            says="What is left out stays; messages on their way keep the steps they began with.",
            body=known(scenarios.Body),
            answer=_SCENARIO,
            refusals=(404, 409),
            scopes=SEND,
            limit="40 in ten minutes",
            example=_DRAFT,
            answer_example={"key": _KEY, **_DRAFT},
        ),
        Call(
            method="post",
            path="/omni/1/advanced",
            title="Send through a scenario",
            body=known(omni_schemas.Advanced),
            answer=_SENT,
            replays=True,
            scopes=SEND,
            limit="2,500 a second",
            example={
                "scenarioKey": _KEY,
                "destinations": [{"to": {"phoneNumber": "41793026727"}}],
                "push": {"text": "This PUSH message will pop up on your mobile device."},
                "sms": {"text": "This is the SMS failover message"},
            },
            answer_example=_SENT_EXAMPLE,
        ),
        Call(
            method="post",
            path="/omni/1/text",
            title="Send one text through all channels",
            body=known(omni_schemas.OneText),
            answer=_SENT,
            replays=True,
            scopes=SEND,
            limit="2,500 a second",
            example={
                "scenarioKey": _KEY,
                "destinations": [{"to": {"phoneNumber": "41793026727"}}],
                "text": "Your order was shipped.",
            },
            answer_example=_SENT_EXAMPLE,
        ),
        Call(
            method="get",
            path="/omni/1/reports",
            title="Take reports",
            says="One for each message that is final, with the channel that delivered it or was"
            " tried last. Each is handed out once.",
            parameters=(BULK, MESSAGE, LIMIT, _CHANNEL),
            answer=only(
                {
                    "results": array(
                        only(
                            {**_REPORT, "channel": one_of(*CHANNELS)},
                            {**_NAMES, "callbackData": TEXT},
                        )
                    )
                }
            ),
            refusals=(400,),
            scopes=(*SEND, *LOGS),
            limit="2,500 a second",
            answer_example={"results": [_REPORT_EXAMPLE]},
        ),
        Call(
            method="get",
            path="/omni/1/logs",
            title="Read the logs of steps",
            says="A row for each step that was tried in the last 48 hours, newest first.",
            parameters=(
                line("from", "The sender of the step."),
                line("to", "The destination."),
                line("bulkId", "Bulks, with commas between them.", 2048),
                line("messageId", "Messages, with commas between them.", 2048),
                Parameter("generalStatus", "In this group.", one_of(*statuses.GROUPS.values())),
                _CHANNEL,
                Parameter("sentSince", "Sent after this moment.", TIME_IN_QUERY),
                Parameter("sentUntil", "Sent before this moment.", TIME_IN_QUERY),
                LIMIT,
            ),
            answer=only(
                {
                    "results": array(
                        only(
                            {
                                **{
                                    name: at
                                    for name, at in _REPORT.items()
                                    if name not in {"error", "doneAt"}
                                },
                                "price": PRICE,
                                "channel": one_of(*CHANNELS),
                            },
                            {**_NAMES, "from": TEXT, "text": TEXT, "doneAt": TIME},
                        )
                    )
                }
            ),
            refusals=(400,),
            scopes=(*SEND, *LOGS),
            limit="120 a minute",
            answer_example={
                "results": [
                    {
                        **{name: at for name, at in _REPORT_EXAMPLE.items() if name != "error"},
                        "from": _CODE,
                        "text": "This PUSH message will pop up on your mobile device.",
                    }
                ]
            },
        ),
    ),
)
