"""What the members of push requests mean (contract/push.md 2.1, 10)."""

from api.infobip import push_older, push_schemas
from api.openapi.calls import Words

_TYPE = "Decides which members are needed."
_PRIMARY = "Only devices that are somebody's primary one. False unless given."
_OWN_ID = "An id of your own, unused for 48 hours; one is made where none is given."
_TITLE = "Empty: the application's name stands there."
_TEXT = "What the message says."

WORDS: Words = {
    push_schemas.Request: {
        "messages": "What is sent, and to whom.",
        "options": "Options of the whole request.",
    },
    push_schemas.RequestOptions: {"schedule": "When, how fast and under which name it is sent."},
    push_schemas.Schedule: {
        "bulkId": "A name for all messages of the request; made where none is given.",
        "sendAt": "Not before this moment, at most 180 days ahead.",
        "sendingSpeedLimit": "How fast, at most.",
    },
    push_schemas.SpeedLimit: {
        "amount": "Messages to devices in one unit.",
        "timeUnit": "MINUTE unless given.",
    },
    push_schemas.Message: {
        "sender": "Application code or application id; the older name is `from`.",
        "destinations": "Who gets it.",
        "content": "What it says.",
        "options": "How it is shown and delivered; the older name is `notificationOptions`.",
        "webhooks": "Where reports go.",
    },
    push_schemas.ToRegistration: {
        "type": _TYPE,
        "pushRegistrationId": "One installation of the application.",
        "targetOnlyPrimaryDevices": _PRIMARY,
        "messageId": _OWN_ID,
    },
    push_schemas.ToExternalId: {
        "type": _TYPE,
        "externalUserId": "All devices of the person with this id.",
        "targetOnlyPrimaryDevices": _PRIMARY,
        "messageId": _OWN_ID,
    },
    push_schemas.ToEmail: {
        "type": _TYPE,
        "email": "All devices of the person with this address.",
        "targetOnlyPrimaryDevices": _PRIMARY,
        "messageId": _OWN_ID,
    },
    push_schemas.ToPhone: {
        "type": _TYPE,
        "phoneNumber": "All devices of the person with this number, international digits.",
        "targetOnlyPrimaryDevices": _PRIMARY,
        "messageId": _OWN_ID,
    },
    push_schemas.ToMany: {
        "type": _TYPE,
        "$or": "Objects of attributes, any of which fits. One of the two lists is needed.",
        "$and": "Objects of attributes, all of which fit.",
        "targetOnlyPrimaryDevices": _PRIMARY,
    },
    push_schemas.TextContent: {"type": _TYPE, "title": _TITLE, "text": _TEXT},
    push_schemas.ImageContent: {
        "type": _TYPE,
        "title": _TITLE,
        "text": _TEXT,
        "url": "Of a picture.",
    },
    push_schemas.Options: {
        "platform": "Ids of your own platform, given back in reports and logs.",
        "validityPeriod": "How long it may be tried; 48 hours unless given.",
        "deliveryTimeWindow": "The hours at which it may be delivered.",
        "soundEnabled": "False: without a sound.",
        "soundName": "A sound file inside the app, or `default`.",
        "vibrationEnabled": "Android only. True unless given.",
        "contentAvailable": "iOS only: wake the app.",
        "isSilent": "Not shown; carries data or something to show inside the app.",
        "badge": "iOS only: the number on the app's icon.",
        "category": "Of actions, such as `mm_accept_decline`.",
        "showMirroredPush": "Shown inside the app as well.",
        "mirroredPushStyle": "How it is shown there. MODAL unless given.",
        "mirroredPushExpirationPeriod": "How long it is shown there, from the moment of sending.",
        "mirroredPushExpirationTimeUnit": "HOURS unless given.",
        "mirroredPushDismissTitle": "Text of the button that dismisses. MODAL only.",
        "mirroredPushOpenTitle": "Text of the button that opens. MODAL only.",
        "onTapButtonAction": "What a tap does.",
        "inboxTopic": "Kept in the inbox under this topic, which must exist.",
        "inboxMessageExpirationPeriod": "How long it stays in the inbox. Needs inboxTopic.",
        "inboxMessageExpirationTimeUnit": "DAYS unless given.",
        "sendAt": "Not before this moment, at most 180 days ahead; goes before the schedule's.",
        "customPayload": "Delivered to the app as it is.",
        "campaignReferenceId": "A name of yours, given back in reports and logs.",
    },
    push_schemas.PlatformIds: {
        "entityId": "Given back in reports and logs.",
        "applicationId": "Given back in reports and logs.",
    },
    push_schemas.Validity: {
        "amount": "Under 30 seconds the message is rejected; over 48 hours are 48 hours.",
        "timeUnit": "MINUTES unless given.",
    },
    push_schemas.Window: {
        "days": "The days of the week, in UTC.",
        "from": "The beginning, in UTC; needs `to`.",
        "to": "The end, at least an hour later; before `from` it is after midnight.",
    },
    push_schemas.Clock: {"hour": "0 to 23.", "minute": "0 to 59."},
    push_schemas.Action: {
        "resource": "What is opened. With one member only the message is rejected.",
        "type": "How it is opened.",
    },
    push_schemas.Webhooks: {
        "delivery": "Where reports go.",
        "contentType": "application/json unless given.",
        "callbackData": "Given back in reports.",
    },
    push_schemas.Delivery: {
        "url": "Where reports are posted to.",
        "intermediateReport": "Also when a message is on its way. False unless given.",
        "notify": "False: nothing is posted.",
    },
}

OLDER_WORDS: Words = {
    push_older.Several: {"messages": "Each is a bulk of its own."},
    push_older.OlderMessage: {
        "from": "Application code.",
        "to": "Attributes that all fit, or lists of such objects under `$and` and `$or`.",
        "text": "Without it the message is rejected.",
        "validityPeriod": "How long it may be tried; 48 hours unless given, 72 at most.",
        "validityPeriodTimeUnit": "HOURS unless given.",
        "sendAt": "Not before this moment, at most 180 days ahead.",
        "customPayload": "Delivered to the app as it is.",
        "notificationOptions": "How it is shown.",
        "notifyUrl": "Where reports are posted to.",
        "notifyContentType": "application/json unless given.",
        "callbackData": "Given back in reports.",
        "targetOnlyPrimaryDevices": _PRIMARY,
    },
    push_older.OlderOptions: {
        "title": _TITLE,
        "contentUrl": "Of a picture.",
        "soundEnabled": "False: without a sound.",
        "soundName": "A sound file inside the app.",
        "vibrationEnabled": "Android only. True unless given.",
        "isSilent": "Not shown.",
        "badge": "iOS only: the number on the app's icon.",
        "category": "Of actions, such as `mm_accept_decline`.",
        "showInApp": "Shown inside the app as well.",
        "inAppStyle": "How it is shown there.",
        "inAppExpirationPeriod": "How long it is shown there.",
        "inAppExpirationTimeUnit": "HOURS unless given.",
        "inAppDismissTitle": "Text of the button that dismisses.",
        "inAppOpenTitle": "Text of the button that opens.",
        "primaryButtonAction": "What a tap does.",
        "inboxTopic": "Kept in the inbox under this topic, which must exist.",
    },
    push_schemas.Action: WORDS[push_schemas.Action],
}
