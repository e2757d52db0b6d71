"""Our states and reasons ↔ the vendor's groups, ids and names (contract/push.md 9)."""

from collections.abc import Mapping
from dataclasses import dataclass

from api.endpoint import Json
from campaigns.logbook import EXPIRY
from campaigns.models import Message, Reason, Rejection
from devices.models import Platform

GROUPS = {1: "PENDING", 2: "UNDELIVERABLE", 3: "DELIVERED", 4: "EXPIRED", 5: "REJECTED"}
ERROR_GROUPS = {0: "OK", 1: "HANDSET_ERRORS", 2: "USER_ERRORS", 3: "OPERATOR_ERRORS"}


@dataclass(frozen=True, slots=True)
class Status:
    id: int
    group: int
    name: str
    description: str

    def as_json(self) -> Json:
        return {
            "groupId": self.group,
            "groupName": GROUPS[self.group],
            "id": self.id,
            "name": self.name,
            "description": self.description,
        }


@dataclass(frozen=True, slots=True)
class Fault:
    """What the vendor calls an error of a message."""

    id: int
    group: int
    name: str
    description: str
    permanent: bool

    def as_json(self) -> Json:
        return {
            "groupId": self.group,
            "groupName": ERROR_GROUPS[self.group],
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "permanent": self.permanent,
        }


ACCEPTED = Status(26, 1, "PENDING_ACCEPTED", "Message accepted, pending for delivery")
ENROUTE = Status(7, 1, "PENDING_ENROUTE", "Message sent to next instance")
NOT_DELIVERED = Status(9, 2, "UNDELIVERABLE_NOT_DELIVERED", "Message sent not delivered")
DELIVERED = Status(5, 3, "DELIVERED_TO_HANDSET", "Message delivered to handset")
EXPIRED = Status(15, 4, "EXPIRED_EXPIRED", "Message expired")
NEVER_LEARNED = Status(29, 4, "EXPIRED_DLR_UNKNOWN", "Expired, delivery state unknown")

REJECTED: Mapping[Rejection, Status] = {
    Rejection.NO_APPLICATION: Status(65, 5, "REJECTED_NO_APPLICATION", "Application not found"),
    Rejection.DUPLICATE: Status(
        23, 5, "REJECTED_DUPLICATE_MESSAGE_ID", "Message id was used within 48 hours"
    ),
    Rejection.TOO_SHORT: Status(
        70, 5, "REJECTED_INVALID_VALIDITY_PERIOD", "Validity period under 30 seconds"
    ),
    Rejection.BAD_RULE: Status(71, 5, "REJECTED_INVALID_QUERY", "Target cannot be parsed"),
    Rejection.UNKNOWN_TOPIC: Status(
        73, 5, "REJECTED_INVALID_INBOX_TOPIC", "Inbox topic does not exist"
    ),
    Rejection.INCOMPLETE_BUTTON: Status(
        74, 5, "REJECTED_INVALID_PRIMARY_BUTTON_ACTION", "Button action incomplete"
    ),
    Rejection.TOO_LARGE: Status(68, 5, "REJECTED_PAYLOAD_TOO_BIG", "Payload too big"),
    Rejection.NOBODY: Status(
        66, 2, "UNDELIVERABLE_NO_DESTINATION", "No destination found for the target"
    ),
    Rejection.NO_CONTENT: Status(69, 5, "REJECTED_NO_CONTENT", "Neither text nor textKey"),
}

NO_ERROR = Fault(0, 0, "NO_ERROR", "No Error", permanent=False)
UNAVAILABLE = Fault(
    8012, 3, "EC_PUSH_CLOUD_TEMP_UNAVAILABLE", "Cloud temporarily unavailable", permanent=True
)
_NEVER_SENT = Fault(4100, 2, "EC_MESSAGE_CANCELED", "Message canceled", permanent=True)
_NOT_IN_TIME = Fault(4101, 2, "EC_VALIDITY_EXPIRED", "Validity period expired", permanent=True)
_GONE = Fault(8004, 1, "EC_NO_REGISTRATION_ID_FOUND", "Registration not found", permanent=True)
_DISABLED = Fault(8013, 3, "EC_REGISTRATION_ID_DISABLED", "Registration disabled", permanent=True)
_FROM_CLOUD = Fault(8005, 3, "EC_SYS_ERROR_FROM_CLOUD", "System error from cloud", permanent=True)
_NO_FCM_LOGIN = Fault(
    8006, 3, "EC_INVALID_FCM_AUTH_DATA", "Invalid FCM authorization data", permanent=True
)
NO_APNS_LOGIN = Fault(8007, 3, "EC_INVALID_APNS_CERT", "Invalid APNs certificate", permanent=True)
_PAYLOAD = Fault(8010, 3, "EC_INVALID_PUSH_PAYLOAD", "Invalid push payload", permanent=True)
_NO_CLOUD = Fault(
    8008, 3, "EC_APPLICATION_CLOUD_TYPE_DISABLED", "Cloud type disabled", permanent=True
)
_INTERNAL = Fault(
    8009, 3, "EC_PUSH_INTERNAL_REQUEST_ERROR", "Internal request error", permanent=True
)

# contract/providers.md 9.1. What is not here says nothing of an error.
FAULTS: Mapping[Reason, Fault] = {
    Reason.UNINSTALLED: Fault(
        8001, 1, "EC_DEVICE_APP_UNINSTALL", "Application uninstalled", permanent=True
    ),
    Reason.MISMATCHED_SENDER: Fault(
        8002, 1, "EC_FCM_MISMATCH_SENDER_ID", "Mismatched sender id", permanent=True
    ),
    Reason.MALFORMED_TOKEN: _GONE,
    Reason.REGISTRATION_GONE: _GONE,
    Reason.NO_TOKEN: _GONE,
    Reason.DISABLED: _DISABLED,
    Reason.SWITCHED_OFF: _DISABLED,
    Reason.DO_NOT_CONTACT: _DISABLED,  # no vendor has a word for it: disabled by us
    Reason.EXCLUDED: _DISABLED,
    Reason.PAYLOAD_REFUSED: _PAYLOAD,
    Reason.TOO_LARGE: _PAYLOAD,
    Reason.NO_VALUE: _PAYLOAD,
    Reason.CLOUD_ERROR: _FROM_CLOUD,
    Reason.CLOUD_UNAVAILABLE: _FROM_CLOUD,
    Reason.DORMANT: _FROM_CLOUD,
    Reason.LIMITED: _FROM_CLOUD,
    Reason.REPLACED: _FROM_CLOUD,
    Reason.CREDENTIAL_REFUSED: _NO_FCM_LOGIN,
    Reason.PROVIDER_OFF: _NO_CLOUD,
    Reason.INTERNAL: _INTERNAL,
    Reason.TOO_LATE: _NEVER_SENT,
    Reason.QUIET_HOURS: _NEVER_SENT,
    Reason.NOT_IN_TIME: _NOT_IN_TIME,
    Reason.WITHDRAWN: _NOT_IN_TIME,
    Reason.NOTIFICATIONS_OFF: _NOT_IN_TIME,
    Reason.NEVER_LEARNED: _NOT_IN_TIME,
}
# Nobody knows yet what became of these: they are on their way.
_IN_DOUBT = (Reason.WORKER_LOST, Reason.NO_ANSWER)


def counted_as(reason: Reason) -> str:
    """As which error statistics count a message that ended so; "" while it has not ended.

    Each counts once, so that with the delivered they are all (contract/push.md 6).
    """
    fault = FAULTS.get(reason, _FROM_CLOUD)
    if reason in _IN_DOUBT:
        return ""
    if fault.group == 1 or fault is _DISABLED:
        return "registration"
    return "expired" if fault in (_NEVER_SENT, _NOT_IN_TIME) else "cloud"


def of_message(state: int, reason: int, platform: int) -> tuple[Status, Fault]:
    """The status and the error of a device message that has left, or will not."""
    match state:
        case Message.State.DELIVERED | Message.State.SEEN | Message.State.CLICKED:
            return DELIVERED, NO_ERROR
        case Message.State.ACCEPTED | Message.State.UNKNOWN:
            return ENROUTE, NO_ERROR
    fault = FAULTS.get(Reason(reason), _FROM_CLOUD)
    if reason == Reason.CREDENTIAL_REFUSED and platform == Platform.IOS:
        fault = NO_APNS_LOGIN
    if reason == Reason.NEVER_LEARNED:
        return NEVER_LEARNED, fault
    if state == Message.State.EXPIRED or reason in EXPIRY:
        return EXPIRED, fault
    return NOT_DELIVERED, fault
