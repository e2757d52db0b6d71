"""What the members of an app's requests mean (contract/mobile-sdk.md)."""

from api import mobile, mobile_events, mobile_messages, mobile_people
from api.openapi.calls import Words

_CUSTOM = "By name: strings, numbers, booleans, dates, or lists of flat objects."
_NAMED = {
    "firstName": "At most 255 characters.",
    "lastName": "At most 255 characters.",
    "middleName": "At most 50 characters.",
    "gender": "Male or Female.",
    "birthday": "YYYY-MM-DD.",
    "tags": "What the person is called.",
    "customAttributes": _CUSTOM,
}
_KNOWN_BY = {
    "externalUserId": "At most 256 characters.",
    "phones": "Numbers, of one person only.",
    "emails": "Addresses, of one person only.",
}
WORDS: Words = {
    mobile.Installation: {
        "regEnabled": "The app's wish: may be pushed to.",
        "notificationsEnabled": "Its owner's wish, as the system tells it.",
        "sdkVersion": "Of the SDK.",
        "appVersion": "Of the app.",
        "os": "The system.",
        "osVersion": "Of the system.",
        "deviceManufacturer": "Who made the device.",
        "deviceModel": "Which device it is.",
        "deviceName": "What its owner calls it.",
        "language": "Of the system.",
        "deviceTimezoneOffset": "Such as GMT+03:00.",
        "applicationUserId": "What the app calls whoever uses it; at most 255 characters.",
        "deviceSecure": "Locked by its owner.",
        "isPrimary": "Its person's first device; others cease to be.",
        "customAttributes": _CUSTOM,
        "pushServiceType": "Which cloud the token is of.",
        "pushServiceToken": "By which the cloud reaches the device.",
    },
    mobile_people.Personalization: {
        "userIdentity": "By what the person is known.",
        "userAttributes": "What the person is like.",
    },
    mobile_people.UserIdentity: _KNOWN_BY,
    mobile_people.UserAttributes: _NAMED,
    mobile_people.UserData: {**_NAMED, **_KNOWN_BY},
    mobile_people.Phone: {"number": "International digits."},
    mobile_people.Email: {"address": "Compared in lower case."},
    mobile_people.Session: {"systemData": "What the system says of the device."},
    mobile_events.Sessions: {
        "sessionStarts": "When the app came to the front.",
        "sessionBounds": "Starts of sessions with their ends.",
    },
    mobile_events.CustomEvents: {"events": "At most 500."},
    mobile_events.CustomEvent: {
        "definitionId": "What the app calls it.",
        "date": "When; now unless given.",
        "properties": "What the app says of it.",
    },
    mobile_messages.Sync: {
        "mIDs": "Messages the app has.",
        "drIDs": "Messages that have arrived just now.",
    },
    mobile_messages.Delivered: {"dlrIds": "Messages that have arrived."},
    mobile_messages.Seen: {
        "externalUserId": "Whose inbox, for messages seen there.",
        "messages": "At most 500.",
    },
    mobile_messages.SeenMessage: {
        "messageId": "Which message.",
        "timestampDelta": "How many seconds ago.",
        "inbox": "Seen in the inbox.",
    },
    mobile_messages.Mail: {"from": "Which registration writes.", "messages": "1 to 100."},
    mobile_messages.Written: {
        "messageId": "Of the app's own; made where none is given.",
        "destination": "To whom it is written.",
        "text": "Without it the message is not kept.",
        "initialMessageId": "What it answers.",
        "bulkId": "Of what it answers.",
        "customPayload": "What the app adds.",
    },
}
