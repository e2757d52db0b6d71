"""What Infobip's SMS gateway says of a text message, as reports of its step repeat it.

Source: contract/push.md 9, the rows "SMS step". A gateway names a status and perhaps an error;
the names stay with the message (providers.sms). Other gateways have names of their own.
"""

from api.infobip.statuses import NEVER_LEARNED, NOT_DELIVERED, Fault, Status

NOT_SENT = Status(31, 2, "UNDELIVERABLE_NOT_SENT", "Message not sent")
NO_ROUTE = Status(19, 5, "REJECTED_ROUTE_NOT_AVAILABLE", "Route not available")
TOO_LONG = Status(25, 5, "REJECTED_MESSAGE_TOO_LONG", "Message too long")
BAD_NUMBER = Status(52, 5, "REJECTED_DESTINATION", "Destination cannot be reached")
BLOCKLISTED = Status(14, 5, "REJECTED_DESTINATION_BLOCKLISTED", "Destination opted out")
BY_OPERATOR = Status(4, 2, "UNDELIVERABLE_REJECTED_OPERATOR", "Message rejected by operator")
NOBODY_NAMED = Status(51, 5, "MISSING_TO", "Destination missing")

OF_NAME = {
    each.name: each
    for each in (
        NOT_SENT,
        NO_ROUTE,
        TOO_LONG,
        BAD_NUMBER,
        BLOCKLISTED,
        BY_OPERATOR,
        NOBODY_NAMED,
        NOT_DELIVERED,
        NEVER_LEARNED,
        Status(6, 5, "REJECTED_NETWORK", "Network cannot be reached"),
        Status(8, 5, "REJECTED_PREFIX_MISSING", "Number without a known prefix"),
        Status(10, 5, "REJECTED_DND", "Destination wants no messages"),
        Status(11, 5, "REJECTED_SOURCE", "Sender refused"),
        Status(12, 5, "REJECTED_NOT_ENOUGH_CREDITS", "Not enough credits"),
        Status(13, 5, "REJECTED_SENDER", "Sender blocked"),
        Status(17, 5, "REJECTED_PREPAID_PACKAGE_EXPIRED", "Prepaid package expired"),
        Status(18, 5, "REJECTED_DESTINATION_NOT_REGISTERED", "Destination not registered"),
        Status(20, 5, "REJECTED_FLOODING_FILTER", "Too many messages to the destination"),
        Status(21, 5, "REJECTED_SYSTEM_ERROR", "System error"),
        Status(24, 5, "REJECTED_INVALID_UDH", "Invalid user data header"),
    )
}
# As the gateway writes some of them in its reports (contract/providers.md 6.3).
OF_NAME |= {
    "NOT_DELIVERED": NOT_DELIVERED,
    "REJECTED_OPERATOR": BY_OPERATOR,
    "REJECTED_MISSING_TO": NOBODY_NAMED,
}

NO_DELIVERY = Fault(32, 1, "EC_SM_DELIVERY_FAILURE", "SM delivery failure", permanent=False)
BAD_ADDRESS = Fault(
    351, 2, "EC_INVALID_DESTINATION_ADDRESS", "Invalid destination address", permanent=False
)
FAULT_OF_NAME = {
    each.name: each
    for each in (
        NO_DELIVERY,
        BAD_ADDRESS,
        Fault(1, 1, "EC_UNKNOWN_SUBSCRIBER", "Unknown subscriber", permanent=True),
        Fault(5, 1, "EC_UNIDENTIFIED_SUBSCRIBER", "Unidentified subscriber", permanent=False),
        Fault(6, 1, "EC_ABSENT_SUBSCRIBER_SM", "Absent Subscriber", permanent=False),
        Fault(27, 1, "EC_ABSENT_SUBSCRIBER", "Absent Subscriber", permanent=False),
        Fault(502, 3, "EC_NO_RESPONSE", "No response", permanent=False),
        Fault(2048, 3, "EC_TIME_OUT", "Time out", permanent=False),
        Fault(4098, 3, "EC_VP_EXPIRED", "Validity period expired", permanent=False),
        Fault(4103, 2, "EC_DESTINATION_FLOODING", "Destination flooded", permanent=True),
    )
}


def said(answer: str, status: Status, fault: Fault) -> tuple[Status, Fault]:
    """What a gateway's answer, `STATUS, ERROR`, makes of the status and error it came to here."""
    name, _, error = answer.partition(", ")
    return OF_NAME.get(name, status), FAULT_OF_NAME.get(error, fault)
