"""The calls of Insider's push API (contract/insider.md)."""

from api.insider import message_center, schemas
from api.openapi.calls import (
    ANY_OBJECT,
    TEXT,
    WHOLE,
    Call,
    Family,
    Parameter,
    Shape,
    Words,
    array,
    known,
    only,
    told,
)

_LINKS = "Addresses by name; `aps` may not be one, and those of ins_dl_internal and ins_dl_external"
_PLATFORM = {
    "sound": "A sound file inside the app.",
    "deep_link": f"{_LINKS} begin with https://.",
    "thread-id": "Pushes with one number are shown together.",
    "thread_id": "The same, as some callers write it.",
}
WORDS: Words = {
    schemas.Options: {
        "report_attributes": "What each success tells of the person and the device.",
        "async": "Answer 202 without results.",
    },
    schemas.Notification: {
        "identifiers": "Who it is for: the first that finds somebody decides.",
        "advanced_push_payload": "Pictures to leaf through.",
        "camp_id": "Groups sends in reports. Greater than zero.",
        "camp_name": "What people call it.",
        "title": "Stands above the message.",
        "message": "What it says.",
        "image_url": "Of a picture.",
        "ttl": "Seconds it may be tried; 28 days for 0.",
        "check_optin": "Count in the answer who lets themselves be notified.",
        "GFC_enabled": "Leave out whoever had enough pushes.",
        "android": "For Android devices alone.",
        "ios": "For iOS devices alone.",
    },
    schemas.Advanced: {
        "advanced_push_type": "`carousel` or `slider`, in any case.",
        "advanced_push_items": "1 to 20, with ids of their own.",
    },
    schemas.Item: {
        "id": "Of its own inside the list.",
        "headline": "Stands above the description.",
        "description": "What it says.",
        "image_url": "Of its picture.",
        "deep_links": f"{_LINKS} begin with https://.",
    },
    schemas.Android: {**_PLATFORM, "channel_id": "Greater than zero."},
    schemas.Ios: {
        **_PLATFORM,
        "badge": "The number on the app's icon.",
        "content-available": "Wake the app; nothing is shown.",
        "mutable-content": "Let the app replace what is shown.",
        "deliver_silently": "Without a sound and a banner.",
    },
    message_center.Question: {
        "identifiers": "One person, by `Email`, `Phone Number` or `UUID`.",
        "start_date": "Epoch seconds.",
        "end_date": "Epoch seconds, not before start_date.",
        "limit": "1 to 100.",
    },
}

_KEY: Shape = told(TEXT, "An API key for the Insider push API.")
_ERROR = only({"error": TEXT}, {"message": TEXT})
_REASONS = (
    "NoUserFound",
    "OptOut",
    "Unregistered",
    "UserGloballyCapped",
    "InvalidCertificate",
)
_SUCCESS: Shape = {"type": "object", "additionalProperties": True}
_RATE: Shape = {"type": "string", "pattern": r"^% \d+\.\d{2}$"}
_COUNTS = ("total", "optin_count", "optout_count")
_NOTIFICATION = {
    "identifiers": {"INSIDER.email": "ana@example.com"},
    "advanced_push_payload": {
        "advanced_push_type": "carousel",
        "advanced_push_items": [
            {
                "id": 1,
                "headline": "Trail shoes",
                "description": "In your size",
                "image_url": "https://example.com/shoes.jpg",
                "deep_links": {"ins_dl_internal": "https://example.com/shoes"},
            }
        ],
    },
    "camp_id": 897,
    "camp_name": "Back in stock",
    "title": "Back in stock",
    "message": "What you looked at is here again.",
    "ttl": 3600,
    "check_optin": True,
    "android": {"channel_id": 1, "sound": "bell"},
    "ios": {"badge": 1, "mutable-content": True},
}

INSIDER = Family(
    name="Insider push",
    says="Send pushes with pictures to leaf through. Paths, bodies and errors of Insider's push"
    " API. A key answers only addresses on its list, which begins with 127.0.0.1.",
    prefix="Insider",
    security=(),
    error=_ERROR,
    words=WORDS,
    refusals=(400, 401, 403, 405, 413, 429, 500, 503),
    body_refusals=(),
    calls=(
        Call(
            method="post",
            path="/api/v2/notification/user",
            title="Send to people",
            says="Up to 20 pushes, each to the last active device of one person. The first fault"
            " of the body is the answer, and nothing is sent.",
            body={
                "allOf": [
                    known(schemas.Options),
                    {
                        "type": "object",
                        "properties": {
                            "api_key": _KEY,
                            "notifications": told(
                                array(
                                    known(schemas.Notification),
                                    minItems=1,
                                    maxItems=schemas.MOST_NOTIFICATIONS,
                                ),
                                "1 to 20 pushes.",
                            ),
                        },
                        "required": ["api_key", "notifications"],
                    },
                ]
            },
            answer=only(
                {
                    "successes": told(
                        array(_SUCCESS), "One for each push that is sent, with its attributes."
                    ),
                    "errors": told(
                        only({}, {reason: array(ANY_OBJECT) for reason in _REASONS}),
                        "The identifiers that were not reached, by reason.",
                    ),
                },
                {"optin": only(dict.fromkeys(_COUNTS, WHOLE))},
            ),
            also={202: only({"message": TEXT})},
            replays=True,
            limit="1,000 a minute",
            example={
                "api_key": "YOUR_KEY",
                "report_attributes": ["INSIDER.email", "INSIDER.platform"],
                "notifications": [_NOTIFICATION],
            },
            answer_example={
                "successes": [{"INSIDER.email": "ana@example.com", "INSIDER.platform": "iOS"}],
                "errors": {},
                "optin": {"total": 1, "optin_count": 1, "optout_count": 0},
            },
        ),
        Call(
            method="post",
            path="/api/v1/notification/get_statistics",
            title="Count today's campaigns",
            says="Campaigns that began since midnight, UTC.",
            body={
                "type": "object",
                "properties": {"api_key": _KEY},
                "required": ["api_key"],
            },
            answer=only(
                {
                    "campaigns": array(
                        only(
                            {
                                "id": WHOLE,
                                "name": TEXT,
                                "delivery_count": WHOLE,
                                "session_count": WHOLE,
                                "open_rate": _RATE,
                                "message": TEXT,
                                "title": TEXT,
                                "segment_name": TEXT,
                                "deep_link": ANY_OBJECT,
                                "push_image": TEXT,
                            }
                        )
                    ),
                    "total_camp_count": WHOLE,
                    "total_delivery_count": WHOLE,
                    "total_session_count": WHOLE,
                    "total_open_rate": _RATE,
                }
            ),
            plain=(401,),
            limit="1,000 a minute",
            example={"api_key": "YOUR_KEY"},
            answer_example={
                "campaigns": [
                    {
                        "id": 897,
                        "name": "Back in stock",
                        "delivery_count": 1640069,
                        "session_count": 1085,
                        "open_rate": "% 0.07",
                        "message": "What you looked at is here again.",
                        "title": "Back in stock",
                        "segment_name": "",
                        "deep_link": {"ins_dl_internal": "https://example.com/shoes"},
                        "push_image": "https://example.com/i.jpg",
                    }
                ],
                "total_camp_count": 1,
                "total_delivery_count": 1640069,
                "total_session_count": 1085,
                "total_open_rate": "% 0.07",
            },
        ),
        Call(
            method="post",
            path="/api/message_center/v1",
            title="Read the messages of one person",
            says="Pushes that were sent to them by this API, newest first.",
            parameters=(
                Parameter("X-INSIDER-API-KEY", "The API key.", TEXT, "header", required=True),
            ),
            body=known(message_center.Question),
            answer=array(
                only(
                    {
                        "camp_id": WHOLE,
                        "camp_type": TEXT,
                        "created_at": TEXT,
                        "deep_links": ANY_OBJECT,
                        "image_url": TEXT,
                        "message": TEXT,
                        "title": TEXT,
                        "variant_id": WHOLE,
                    }
                )
            ),
            plain=(400,),
            limit="1,000 a minute",
            example={"identifiers": {"Email": "ana@example.com"}, "limit": 10},
            answer_example=[
                {
                    "camp_id": 897,
                    "camp_type": "Single Push",
                    "created_at": "2026-05-10T19:08:39Z",
                    "deep_links": {},
                    "image_url": "https://example.com/i.jpg",
                    "message": "What you looked at is here again.",
                    "title": "Back in stock",
                    "variant_id": 1943,
                }
            ],
        ),
    ),
)
