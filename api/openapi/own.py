"""Our own calls: receipts and browsers, and what clouds post to us."""

from api import huawei_receipts, sdk, sms_reports
from api.openapi.calls import (
    ANY_OBJECT,
    TEXT,
    UUID,
    WHOLE,
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
)

WORDS: Words = {
    sdk.Receipts: {"events": "At most 100."},
    sdk.Event: {
        "id": "Of the message.",
        "kind": "What became of it.",
        "ago_ms": "How long ago, by the device's own clock.",
    },
    sdk.Browser: {
        "subscription": "What the browser's push manager gave; `null` takes it away.",
        "language": "Of the browser.",
        "timezoneOffset": "Minutes east of UTC.",
        "browser": "Which browser it is.",
        "os": "The system.",
        "osVersion": "Of the system.",
        "appVersion": "Of the page.",
        "sdkVersion": "Of the receiver.",
        "customAttributes": "By name: strings, numbers, booleans, dates.",
    },
    sms_reports.Results: {"results": "Delivery reports, at most 1,000."},
}

# ------------------------------------------------------------------- our own receiver

_CALLER = Parameter("pushregistrationid", "The registration that calls.", TEXT, "header")
_SDK_ERROR = only({"error": only({"code": TEXT, "message": TEXT})})

RECEIVER = Family(
    name="Receipts and browsers",
    says="What an app or a page with our own receiver calls. Pages of any origin may.",
    prefix="Sdk",
    security=("applicationCode",),
    error=_SDK_ERROR,
    words=WORDS,
    refusals=(401, 405, 500, 503),
    body_refusals=(400, 413),
    calls=(
        Call(
            method="post",
            path="/sdk/1/receipts",
            title="Tell what became of messages",
            parameters=(_CALLER,),
            body=known(sdk.Receipts),
            status=204,
            example={
                "events": [
                    {"id": "a28dd97c-1ffb-4fcf-99f1-0b557ed381da", "kind": "opened", "ago_ms": 20}
                ]
            },
        ),
        Call(
            method="get",
            path="/sdk/1/subscriptions",
            title="Read the key that pages subscribe with",
            answer=only({"publicKey": TEXT}),
            refusals=(404,),
            answer_example={"publicKey": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVl…"},
        ),
        Call(
            method="post",
            path="/sdk/1/subscriptions",
            title="Register a browser",
            says="Or refresh what is known of it, where pushregistrationid names it.",
            parameters=(_CALLER,),
            body=known(sdk.Browser),
            answer=only({"registrationId": UUID}),
            refusals=(404,),
            example={
                "subscription": {
                    "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAA",
                    "keys": {
                        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6"
                        "-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
                    },
                },
                "language": "en",
            },
            answer_example={"registrationId": "8621824c-86b2-41f7-bf6f-20d3b1426005"},
        ),
        Call(
            method="get",
            path="/sdk/1/carousels/{key}/{content}/{messageId}",
            title="Read the pictures of a push",
            says="Asked by a phone as it draws a push too large to carry them, without a login."
            " The address stands in the push; nobody guesses it.",
            public=True,
            answer=only({"type": one_of("", "carousel", "slider"), "items": array(ANY_OBJECT)}),
            refusals=(404,),
            answer_example={"type": "carousel", "items": []},
        ),
    ),
)

# ------------------------------------------------------------------- callbacks

_RECEIPT: Shape = {"type": "object", "properties": {"deliveryStatus": {}}}

HUAWEI = Family(
    name="Callbacks of Huawei",
    says="Receipts that Huawei's cloud posts to us, signed with the key of the credential.",
    prefix="Huawei",
    security=("huaweiSignature",),
    error=only({"errno": WHOLE, "errmsg": TEXT}),
    refusals=(401, 404, 405, 500, 503),
    body_refusals=(400, 413),
    calls=(
        Call(
            method="post",
            path="/callbacks/huawei/{applicationCode}",
            title="Tell what became of messages",
            says="Entries that are no receipts are passed over, so that the others are not lost.",
            body={
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {
                            "statuses": array({}, maxItems=huawei_receipts.MOST_ENTRIES)
                        },
                        "required": ["statuses"],
                    },
                    {**_RECEIPT, "required": ["deliveryStatus"]},
                    array({}, maxItems=huawei_receipts.MOST_ENTRIES),
                ]
            },
            answer=only({"errno": WHOLE, "errmsg": TEXT}),
            example={"statuses": []},
            answer_example={"errno": 0, "errmsg": "success"},
        ),
    ),
)

SMS = Family(
    name="Callbacks of SMS gateways",
    says="Delivery reports that SMS gateways post to us. Each credential has an address of its"
    " own that nobody guesses; Twilio's requests are signed as well.",
    prefix="Sms",
    security=(),
    error=exception(),
    words=WORDS,
    refusals=(404, 405, 500, 503),
    body_refusals=(400, 413),
    calls=(
        Call(
            method="post",
            path="/callbacks/sms/{application}/{token}",
            title="Take reports of Infobip's gateway",
            body=known(sms_reports.Results),
            answer=only({}),
            example={"results": []},
            answer_example={},
        ),
        Call(
            method="post",
            path="/callbacks/sms/{application}/{token}/{messageId}",
            title="Take a report of Twilio",
            parameters=(
                Parameter("X-Twilio-Signature", "Made with the auth token.", TEXT, "header"),
            ),
            body={
                "type": "object",
                "properties": {"MessageSid": TEXT, "MessageStatus": TEXT, "ErrorCode": TEXT},
            },
            body_type="application/x-www-form-urlencoded",
            answer=only({}),
            refusals=(403,),
            answer_example={},
        ),
    ),
)
