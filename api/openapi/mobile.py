"""The calls of an app with Infobip's SDK (contract/mobile-sdk.md)."""

from typing import Any

from api import mobile, mobile_events, mobile_messages, mobile_people
from api.openapi.calls import (
    ANY_OBJECT,
    FLAG,
    LINE,
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
    whole,
)
from api.openapi.mobile_words import WORDS

_ID = "8621824c-86b2-41f7-bf6f-20d3b1426005"
_MESSAGE = "a28dd97c-1ffb-4fcf-99f1-0b557ed381da"
_INSTANCE = only(
    {
        "pushRegId": TEXT,
        "regEnabled": FLAG,
        "notificationsEnabled": FLAG,
        "isPrimary": FLAG,
    },
    {
        **dict.fromkeys(
            (
                "sdkVersion", "appVersion", "osVersion", "deviceManufacturer", "deviceModel",
                "deviceName", "language", "deviceTimezoneOffset", "applicationUserId",
                "pushServiceToken",
            ),
            TEXT,
        ),
        "os": one_of(*mobile.PLATFORMS),
        "pushServiceType": one_of(*mobile.CLOUD_NAMES.values(), mobile.HARMONY),
        "deviceSecure": FLAG,
        "customAttributes": ANY_OBJECT,
    },
)  # fmt: skip
_INSTANCE_EXAMPLE: dict[str, Any] = {
    "pushRegId": _ID,
    "regEnabled": True,
    "notificationsEnabled": True,
    "isPrimary": False,
    "os": "Android",
    "osVersion": "14",
    "pushServiceType": "GCM",
}
_TYPE = {"type": one_of("CUSTOMER", "LEAD")}
_KNOWN: dict[str, Shape] = {
    "externalUserId": TEXT,
    "firstName": TEXT,
    "middleName": TEXT,
    "lastName": TEXT,
    "gender": one_of(*mobile_people.GENDERS),
    "birthday": {"type": "string", "format": "date"},
    "phones": array(only({"number": TEXT, "preferred": FLAG})),
    "emails": array(only({"address": TEXT, "preferred": FLAG})),
    "tags": array(TEXT),
    "customAttributes": ANY_OBJECT,
}
_USER = only(_TYPE, _KNOWN)
_USER_WITH_INSTANCES = only(_TYPE, {**_KNOWN, "instances": array(_INSTANCE)})
_USER_EXAMPLE = {
    "externalUserId": "jdoe",
    "firstName": "John",
    "type": "CUSTOMER",
    "phones": [{"number": "79810000000", "preferred": False}],
    "tags": ["Pizza"],
}
_PERSONALIZATION_EXAMPLE = {
    "userIdentity": {"externalUserId": "jdoe", "phones": [{"number": "79810000000"}]},
    "userAttributes": {"firstName": "John", "tags": ["Pizza"]},
}
_NOTHING = only({})
_CALLER = Parameter(
    "pushregistrationid", "The registration that calls.", {**TEXT, "format": "uuid"}, "header"
)
_TOKENS = Parameter("rt", "Answer with tokens.", SWITCH)
_PLATFORM_TYPE = Parameter(
    "platformType",
    "How the SDK reads messages.",
    one_of(*mobile_messages.ITEMS),
    required=True,
)
_ITEM: Shape = {
    "anyOf": [
        {
            "type": "object",
            "required": ["gcm.notification.messageId", "internalData"],
            "additionalProperties": TEXT,
        },
        {
            "type": "object",
            "required": ["messageId", "aps", "internalData"],
            "properties": {"messageId": TEXT, "aps": ANY_OBJECT, "internalData": ANY_OBJECT},
        },
    ]
}
_ITEM_EXAMPLE = {
    "gcm.notification.messageId": _MESSAGE,
    "gcm.notification.title": "Hi",
    "gcm.notification.body": "Order shipped",
    "gcm.notification.vibrate": "true",
    "gcm.notification.silent": "false",
    "internalData": '{"sendDateTime":1700000000000,"bulkId":"orders"}',
}
_MILLISECONDS: Shape = whole(0, 10**15 - 1)
_INSTANCES = "/mobile/1/appinstance"
_ONE = f"{_INSTANCES}/{{pushRegId}}"

MOBILE = Family(
    name="Mobile SDK",
    says="What an app with Infobip's open-source SDK calls. Such an app works here after changing"
    " one base URL. `POST` with the header X-HTTP-Method-Override: PATCH is PATCH.",
    prefix="Mobile",
    security=("applicationCode",),
    error=exception(),
    words=WORDS,
    refusals=(401, 405, 500, 503),
    empty=frozenset({503}),
    body_refusals=(400, 413),
    calls=(
        Call(
            method="post",
            path=_INSTANCES,
            title="Register an installation",
            says="The same token again is the same registration.",
            parameters=(_TOKENS,),
            body=known(mobile.Installation),
            answer=_INSTANCE,
            example={"os": "Android", "osVersion": "14", "pushServiceType": "GCM"},
            answer_example=_INSTANCE_EXAMPLE,
        ),
        Call(
            method="get",
            path=_ONE,
            title="Read an installation",
            parameters=(_TOKENS,),
            answer=_INSTANCE,
            refusals=(404,),
            answer_example=_INSTANCE_EXAMPLE,
        ),
        Call(
            method="patch",
            path=_ONE,
            title="Change an installation",
            says="What is left out stays, `null` clears.",
            parameters=(_CALLER,),
            body=known(mobile.Installation),
            answer=_NOTHING,
            refusals=(404,),
            example={"appVersion": "1.17.0", "notificationsEnabled": False},
            answer_example={},
        ),
        Call(
            method="delete",
            path=_ONE,
            title="Drop an installation",
            parameters=(_CALLER,),
            answer=_NOTHING,
            refusals=(400,),
            answer_example={},
        ),
        Call(
            method="post",
            path=f"{_ONE}/personalize",
            title="Say who uses the device",
            parameters=(
                Parameter("forceDepersonalize", "Part it from its person first.", SWITCH),
                Parameter("keepAsLead", "A lead stays one.", SWITCH),
                Parameter("setDeviceAsPrimary", "Make it the first device.", SWITCH),
            ),
            body=known(mobile_people.Personalization),
            answer=_USER,
            refusals=(403, 404),
            example=_PERSONALIZATION_EXAMPLE,
            answer_example=_USER_EXAMPLE,
        ),
        Call(
            method="post",
            path=f"{_ONE}/repersonalize",
            title="Say again who uses the device",
            says="After the server lost the registration.",
            body=known(mobile_people.Personalization),
            answer=_NOTHING,
            refusals=(403, 404),
            example=_PERSONALIZATION_EXAMPLE,
            answer_example={},
        ),
        Call(
            method="post",
            path=f"{_ONE}/depersonalize",
            title="Say that nobody uses the device",
            parameters=(_CALLER,),
            answer=_NOTHING,
            refusals=(400, 404),
            answer_example={},
        ),
        Call(
            method="get",
            path=f"{_ONE}/user",
            title="Read who uses the device",
            parameters=(Parameter("ri", "Answer with installations.", SWITCH), _TOKENS),
            answer=_USER_WITH_INSTANCES,
            refusals=(404,),
            answer_example=_USER_EXAMPLE,
        ),
        Call(
            method="patch",
            path=f"{_ONE}/user",
            title="Change who uses the device",
            says="What is left out stays, `null` clears, lists replace.",
            body=known(mobile_people.UserData),
            answer=_NOTHING,
            refusals=(403, 404),
            example={"firstName": "John", "tags": ["Pizza"]},
            answer_example={},
        ),
        Call(
            method="post",
            path=f"{_ONE}/user/events/session",
            title="Tell of the app's use",
            parameters=(_CALLER,),
            body={"allOf": [known(mobile_people.Session), known(mobile_events.Sessions)]},
            answer=_NOTHING,
            refusals=(404,),
            example={"sessionStarts": ["2024-01-01T10:00:00Z"]},
            answer_example={},
        ),
        Call(
            method="post",
            path=f"{_ONE}/user/events/custom",
            title="Tell of what happened in the app",
            parameters=(_CALLER,),
            body=known(mobile_events.CustomEvents),
            answer=_NOTHING,
            refusals=(404,),
            example={"events": [{"definitionId": "purchase", "properties": {"total": 12.5}}]},
            answer_example={},
        ),
        Call(
            method="get",
            path=f"{_ONE}/user/livechatinfo",
            title="Ask for chats",
            says="Chat is not offered: the list is empty.",
            answer=only({"liveChatDestinations": array({})}),
            answer_example={"liveChatDestinations": []},
        ),
        Call(
            method="post",
            path="/mobile/5/messages",
            title="Fetch messages, and tell what has arrived",
            parameters=(_PLATFORM_TYPE, _CALLER),
            body=known(mobile_messages.Sync),
            body_is_needed=False,
            answer=only({"payloads": array(_ITEM)}),
            example={"drIDs": [_MESSAGE]},
            answer_example={"payloads": [_ITEM_EXAMPLE]},
        ),
        Call(
            method="post",
            path="/mobile/2/messages/seen",
            title="Tell what was seen",
            parameters=(_CALLER,),
            body=known(mobile_messages.Seen),
            answer=_NOTHING,
            example={"messages": [{"messageId": _MESSAGE, "timestampDelta": 3}]},
            answer_example={},
        ),
        Call(
            method="post",
            path="/mobile/1/messages/deliveryreport",
            title="Tell what has arrived",
            parameters=(_CALLER,),
            body=known(mobile_messages.Delivered),
            answer=_NOTHING,
            example={"dlrIds": [_MESSAGE]},
            answer_example={},
        ),
        Call(
            method="post",
            path="/mobile/1/messages/mo",
            title="Write to whoever runs the app",
            parameters=(_PLATFORM_TYPE, _CALLER),
            body=known(mobile_messages.Mail),
            answer=only(
                {
                    "messages": array(
                        only(
                            {
                                "messageId": TEXT,
                                "text": TEXT,
                                "status": TEXT,
                                "statusCode": {"type": "integer", "enum": [0, 1]},
                            },
                            {
                                "destination": TEXT,
                                "initialMessageId": TEXT,
                                "bulkId": TEXT,
                                "customPayload": ANY_OBJECT,
                            },
                        )
                    )
                }
            ),
            example={"from": _ID, "messages": [{"messageId": "1", "text": "Where is it?"}]},
            answer_example={
                "messages": [
                    {
                        "messageId": "1",
                        "text": "Where is it?",
                        "status": "Message sent",
                        "statusCode": 0,
                    }
                ]
            },
        ),
        Call(
            method="get",
            path="/mobile/1/inapp/click/{messageId}",
            title="Tell of a tap inside the app",
            parameters=(_CALLER,),
            answer=_NOTHING,
            refusals=(400,),
            answer_example={},
        ),
        Call(
            method="get",
            path="/mobile/1/user/{externalUserId}/inbox/{cloud}/messages",
            title="Read a person's inbox",
            parameters=(
                Parameter(
                    "cloud", "How messages are read.", one_of("gcm", "hms", "apns"), "path", True
                ),
                Parameter("messageTopic", "Of this topic only.", LINE),
                Parameter("dateTimeFrom", "Epoch milliseconds.", _MILLISECONDS),
                Parameter("dateTimeTo", "Epoch milliseconds.", _MILLISECONDS),
                Parameter("limit", "How many at most; over 1,000 is 1,000.", _MILLISECONDS),
            ),
            answer=only(
                {"countTotal": WHOLE, "countUnread": WHOLE, "messages": array(_ITEM)},
                {"countTotalFiltered": WHOLE, "countUnreadFiltered": WHOLE},
            ),
            refusals=(400, 404),
            answer_example={"countTotal": 1, "countUnread": 1, "messages": [_ITEM_EXAMPLE]},
        ),
        Call(
            method="get",
            path="/mobile/3/version",
            title="Ask which SDK there is",
            parameters=(_PLATFORM_TYPE,),
            answer=only(
                {
                    "platformType": one_of(*mobile_messages.ITEMS),
                    "libraryVersion": TEXT,
                    "updateUrl": TEXT,
                }
            ),
            refusals=(400,),
            answer_example={
                "platformType": "GCM",
                "libraryVersion": "15.1.0",
                "updateUrl": "https://github.com/infobip/mobile-messaging-sdk-android",
            },
        ),
        Call(
            method="get",
            path="/mobile/1/baseurl",
            title="Ask where to call from now on",
            answer=only({"baseUrl": or_null(TEXT)}),
            answer_example={"baseUrl": None},
        ),
    ),
)
