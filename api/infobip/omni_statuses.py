"""What the steps of a flow come to, in the vendor's words (contract/push.md 9, omni.md 2.3)."""

from collections.abc import Mapping

from api.infobip import statuses
from api.infobip.statuses import FAULTS, NO_ERROR, Fault, Status
from campaigns.models import FlowDestination, Journey, Reason, Rejection

NO_ROUTE = Status(19, 5, "REJECTED_ROUTE_NOT_AVAILABLE", "Route not available")
NOT_SENT = Status(31, 2, "UNDELIVERABLE_NOT_SENT", "Message not sent")
NO_APPLICATION = statuses.REJECTED[Rejection.NO_APPLICATION]
NO_DESTINATION = statuses.REJECTED[Rejection.NOBODY]
TOO_LONG = Status(25, 5, "REJECTED_MESSAGE_TOO_LONG", "Message too long")
BAD_NUMBER = Status(52, 5, "REJECTED_DESTINATION", "Destination cannot be reached")
BLOCKLISTED = Status(14, 5, "REJECTED_DESTINATION_BLOCKLISTED", "Destination opted out")

_NO_DELIVERY = Fault(32, 1, "EC_SM_DELIVERY_FAILURE", "SM delivery failure", permanent=False)
_BAD_ADDRESS = Fault(
    351, 2, "EC_INVALID_DESTINATION_ADDRESS", "Invalid destination address", permanent=False
)
_CANCELLED = FAULTS[Reason.TOO_LATE]
_EXPIRED = FAULTS[Reason.NOT_IN_TIME]
_NO_CLOUD = FAULTS[Reason.PROVIDER_OFF]

REJECTED: Mapping[int, tuple[Status, Fault]] = {
    FlowDestination.Rejection.DUPLICATE: (statuses.REJECTED[Rejection.DUPLICATE], NO_ERROR),
    FlowDestination.Rejection.BAD_NUMBER: (BAD_NUMBER, _BAD_ADDRESS),
}
FAILED: Mapping[Reason, tuple[Status, Fault]] = {
    Reason.NO_DEVICE: (NO_DESTINATION, NO_ERROR),
    Reason.NO_NUMBER: (NO_DESTINATION, NO_ERROR),
    Reason.NO_CONTENT: (NOT_SENT, NO_ERROR),
    Reason.NO_ROUTE: (NO_ROUTE, NO_ERROR),
    Reason.NO_APPLICATION: (NO_APPLICATION, FAULTS[Reason.PROVIDER_OFF]),
    Reason.PROVIDER_OFF: (NO_APPLICATION, _NO_CLOUD),
    Reason.NO_TOPIC: (statuses.REJECTED[Rejection.UNKNOWN_TOPIC], NO_ERROR),
    Reason.NUMBER_REFUSED: (BAD_NUMBER, _BAD_ADDRESS),
    Reason.OPTED_OUT: (BLOCKLISTED, NO_ERROR),
    Reason.DO_NOT_CONTACT: (BLOCKLISTED, NO_ERROR),
    Reason.EXCLUDED: (BLOCKLISTED, NO_ERROR),
    Reason.ACCOUNT_REFUSED: (NO_ROUTE, NO_ERROR),
    Reason.UNDELIVERABLE: (statuses.NOT_DELIVERED, _NO_DELIVERY),
}


def of_step(state: Journey.State, reason: int, channel: str) -> tuple[Status, Fault]:
    """The status and the error of a step."""
    match state:
        case Journey.State.RUNNING | Journey.State.ACCEPTED:
            return statuses.ENROUTE, NO_ERROR
        case Journey.State.DELIVERED:
            return statuses.DELIVERED, NO_ERROR
        case Journey.State.CANCELLED:
            return NOT_SENT, _CANCELLED
        case Journey.State.EXPIRED:
            never = reason == Reason.NEVER_LEARNED
            return statuses.NEVER_LEARNED if never else statuses.EXPIRED, _EXPIRED
    why = Reason(reason)
    if why == Reason.TOO_LARGE and channel == "SMS":
        return TOO_LONG, NO_ERROR
    if why in FAILED:
        return FAILED[why]
    usual = _NO_DELIVERY if channel == "SMS" else FAULTS[Reason.CLOUD_ERROR]
    return statuses.NOT_DELIVERED, FAULTS.get(why, usual)
