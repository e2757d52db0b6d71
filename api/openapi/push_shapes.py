"""What answers and queries of Infobip's push and OMNI APIs have in common."""

from api.infobip import statuses
from api.infobip.push_family import HIGHEST_LIMIT
from api.openapi.calls import (
    FLAG,
    LINE,
    NUMBER,
    TEXT,
    WHOLE,
    Parameter,
    Shape,
    one_of,
    only,
    or_null,
    whole,
)

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
REPORT_EXAMPLE = {
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
SECURITY = ("apiKey", "basic")
