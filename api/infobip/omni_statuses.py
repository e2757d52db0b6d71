"""What the steps of a flow come to, in the vendor's words (contract/push.md 9, omni.md 2.3)."""

from collections.abc import Mapping

from api.infobip import sms_statuses, statuses
from api.infobip.sms_statuses import (
    BAD_ADDRESS,
    BAD_NUMBER,
    BLOCKLISTED,
    NO_DELIVERY,
    NO_ROUTE,
    NOT_SENT,
    TOO_LONG,
)
from api.infobip.statuses import FAULTS, NO_ERROR, Fault, Status
from campaigns.models import FlowDestination, Journey, Reason, Rejection

NO_APPLICATION = statuses.REJECTED[Rejection.NO_APPLICATION]
NO_DESTINATION = statuses.REJECTED[Rejection.NOBODY]

_CANCELLED = FAULTS[Reason.TOO_LATE]
_EXPIRED = FAULTS[Reason.NOT_IN_TIME]
_NO_CLOUD = FAULTS[Reason.PROVIDER_OFF]

REJECTED: Mapping[int, tuple[Status, Fault]] = {
    FlowDestination.Rejection.DUPLICATE: (statuses.REJECTED[Rejection.DUPLICATE], NO_ERROR),
    FlowDestination.Rejection.BAD_NUMBER: (BAD_NUMBER, BAD_ADDRESS),
}
FAILED: Mapping[Reason, tuple[Status, Fault]] = {
    Reason.NO_DEVICE: (NO_DESTINATION, NO_ERROR),
    Reason.NO_NUMBER: (NO_DESTINATION, NO_ERROR),
    Reason.NO_CONTENT: (NOT_SENT, NO_ERROR),
    Reason.NO_ROUTE: (NO_ROUTE, NO_ERROR),
    Reason.NO_APPLICATION: (NO_APPLICATION, FAULTS[Reason.PROVIDER_OFF]),
    Reason.PROVIDER_OFF: (NO_APPLICATION, _NO_CLOUD),
    Reason.NO_TOPIC: (statuses.REJECTED[Rejection.UNKNOWN_TOPIC], NO_ERROR),
    Reason.NUMBER_REFUSED: (BAD_NUMBER, BAD_ADDRESS),
    Reason.OPTED_OUT: (BLOCKLISTED, NO_ERROR),
    Reason.DO_NOT_CONTACT: (BLOCKLISTED, NO_ERROR),
    Reason.EXCLUDED: (BLOCKLISTED, NO_ERROR),
    Reason.ACCOUNT_REFUSED: (NO_ROUTE, NO_ERROR),
    Reason.UNDELIVERABLE: (statuses.NOT_DELIVERED, NO_DELIVERY),
}


def of_step(
    state: Journey.State, reason: int, channel: str, answer: str = ""
) -> tuple[Status, Fault]:
    """The status and the error of a step; `answer`: what a gateway said of its text message."""
    status, fault = _of_end(state, reason, channel)
    return sms_statuses.said(answer, status, fault) if answer else (status, fault)


def _of_end(state: Journey.State, reason: int, channel: str) -> tuple[Status, Fault]:
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
    usual = NO_DELIVERY if channel == "SMS" else FAULTS[Reason.CLOUD_ERROR]
    return statuses.NOT_DELIVERED, FAULTS.get(why, usual)
