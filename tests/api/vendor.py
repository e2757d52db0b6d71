"""The tables of contract/push.md 9, copied from there and not from our code."""

from typing import Any

GROUPS = {1: "PENDING", 2: "UNDELIVERABLE", 3: "DELIVERED", 4: "EXPIRED", 5: "REJECTED"}
ERROR_GROUPS = {0: "OK", 1: "HANDSET_ERRORS", 2: "USER_ERRORS", 3: "OPERATOR_ERRORS"}

# id → group, name
STATUSES = {
    3: (1, "PENDING_WAITING_DELIVERY"),
    7: (1, "PENDING_ENROUTE"),
    26: (1, "PENDING_ACCEPTED"),
    4: (2, "UNDELIVERABLE_REJECTED_OPERATOR"),
    9: (2, "UNDELIVERABLE_NOT_DELIVERED"),
    31: (2, "UNDELIVERABLE_NOT_SENT"),
    66: (2, "UNDELIVERABLE_NO_DESTINATION"),
    2: (3, "DELIVERED_TO_OPERATOR"),
    5: (3, "DELIVERED_TO_HANDSET"),
    15: (4, "EXPIRED_EXPIRED"),
    29: (4, "EXPIRED_DLR_UNKNOWN"),
    6: (5, "REJECTED_NETWORK"),
    8: (5, "REJECTED_PREFIX_MISSING"),
    10: (5, "REJECTED_DND"),
    11: (5, "REJECTED_SOURCE"),
    12: (5, "REJECTED_NOT_ENOUGH_CREDITS"),
    13: (5, "REJECTED_SENDER"),
    14: (5, "REJECTED_DESTINATION_BLOCKLISTED"),
    17: (5, "REJECTED_PREPAID_PACKAGE_EXPIRED"),
    18: (5, "REJECTED_DESTINATION_NOT_REGISTERED"),
    19: (5, "REJECTED_ROUTE_NOT_AVAILABLE"),
    20: (5, "REJECTED_FLOODING_FILTER"),
    21: (5, "REJECTED_SYSTEM_ERROR"),
    23: (5, "REJECTED_DUPLICATE_MESSAGE_ID"),
    24: (5, "REJECTED_INVALID_UDH"),
    25: (5, "REJECTED_MESSAGE_TOO_LONG"),
    51: (5, "MISSING_TO"),
    52: (5, "REJECTED_DESTINATION"),
    65: (5, "REJECTED_NO_APPLICATION"),
    68: (5, "REJECTED_PAYLOAD_TOO_BIG"),
    69: (5, "REJECTED_NO_CONTENT"),
    70: (5, "REJECTED_INVALID_VALIDITY_PERIOD"),
    71: (5, "REJECTED_INVALID_QUERY"),
    73: (5, "REJECTED_INVALID_INBOX_TOPIC"),
    74: (5, "REJECTED_INVALID_PRIMARY_BUTTON_ACTION"),
}
DESCRIPTIONS = {  # of those that the contract words
    7: "Message sent to next instance",
    26: "Message accepted, pending for delivery",
    4: "Message rejected by operator",
    9: "Message sent not delivered",
    31: "Message not sent",
    66: "No destination found for the target",
    5: "Message delivered to handset",
    15: "Message expired",
    29: "Expired, delivery state unknown",
    65: "Application not found",
    68: "Payload too big",
    69: "Neither text nor textKey",
    70: "Validity period under 30 seconds",
    71: "Target cannot be parsed",
    73: "Inbox topic does not exist",
    74: "Button action incomplete",
}
# id → group, name, whether permanent
ERRORS = {
    0: (0, "NO_ERROR", False),
    8001: (1, "EC_DEVICE_APP_UNINSTALL", True),
    8002: (1, "EC_FCM_MISMATCH_SENDER_ID", True),
    8003: (1, "EC_NO_APPLICATION_FOUND", True),
    8004: (1, "EC_NO_REGISTRATION_ID_FOUND", True),
    8005: (3, "EC_SYS_ERROR_FROM_CLOUD", True),
    8006: (3, "EC_INVALID_FCM_AUTH_DATA", True),
    8007: (3, "EC_INVALID_APNS_CERT", True),
    8008: (3, "EC_APPLICATION_CLOUD_TYPE_DISABLED", True),
    8009: (3, "EC_PUSH_INTERNAL_REQUEST_ERROR", True),
    8010: (3, "EC_INVALID_PUSH_PAYLOAD", True),
    8011: (3, "EC_PUSH_INTERNAL_GW_ERROR", True),
    8012: (3, "EC_PUSH_CLOUD_TEMP_UNAVAILABLE", True),
    8013: (3, "EC_REGISTRATION_ID_DISABLED", True),
    1: (1, "EC_UNKNOWN_SUBSCRIBER", True),
    5: (1, "EC_UNIDENTIFIED_SUBSCRIBER", False),
    6: (1, "EC_ABSENT_SUBSCRIBER_SM", False),
    27: (1, "EC_ABSENT_SUBSCRIBER", False),
    32: (1, "EC_SM_DELIVERY_FAILURE", False),
    351: (2, "EC_INVALID_DESTINATION_ADDRESS", False),
    4100: (2, "EC_MESSAGE_CANCELED", True),
    4101: (2, "EC_VALIDITY_EXPIRED", True),
    4103: (2, "EC_DESTINATION_FLOODING", True),
    502: (3, "EC_NO_RESPONSE", False),
    2048: (3, "EC_TIME_OUT", False),
    4098: (3, "EC_VP_EXPIRED", False),
}
# No message here ends so: docs/compatibility.md says why.
LEFT_OUT = {2, 3, 8003, 8011}


def assert_status(told: dict[str, Any], number: int) -> None:
    """A status object is the row of the table, whole."""
    group, name = STATUSES[number]
    assert told["description"] == DESCRIPTIONS.get(number, told["description"]) != ""
    assert told == {
        "groupId": group,
        "groupName": GROUPS[group],
        "id": number,
        "name": name,
        "description": told["description"],
    }


def assert_error(told: dict[str, Any], number: int) -> None:
    """An error object is the row of the table, whole."""
    group, name, permanent = ERRORS[number]
    assert told["description"]
    assert told == {
        "groupId": group,
        "groupName": ERROR_GROUPS[group],
        "id": number,
        "name": name,
        "description": told["description"],
        "permanent": permanent,
    }
