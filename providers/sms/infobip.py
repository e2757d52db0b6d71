"""Infobip's words: bodies, answers and delivery reports.

Source: contract/providers.md 6.1 to 6.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from providers.answers import json_object, word
from providers.base import Cause, Outcome, Scope, Verdict
from providers.dialects import Fields
from providers.sms.reports import Report, State, sentence

PATH_V3 = "/sms/3/messages"
PATH_V2 = "/sms/2/text/advanced"
BALANCE_PATH = "/account/1/balance"
MOST_DESTINATIONS = 100  # of one request
MAX_VALIDITY = 48 * 60  # minutes


@dataclass(frozen=True, slots=True)
class Status:
    """A row of 6.3: what a status means in an answer, and in a report."""

    name: str
    outcome: Outcome
    state: State
    cause: Cause = Cause.NONE  # in a report
    closes: bool = False


def _taken(name: str, state: State = State.SENT) -> Status:
    return Status(name, Outcome(verdict=Verdict.ACCEPTED), state)


def _ended(
    name: str,
    verdict: Verdict = Verdict.REJECTED,
    cause: Cause = Cause.UNDELIVERABLE,
    state: State = State.FAILED,
) -> Status:
    closes = verdict is Verdict.UNREGISTERED
    return Status(name, Outcome(verdict=verdict, cause=cause), state, cause, closes)


_ACCOUNT = (Verdict.MISCONFIGURED, Cause.ACCOUNT_REFUSED)
# It may have been taken all the same. Nobody gets it twice by that: a repeat has the same id,
# and is answered with status 23.
_AWAY = Outcome(
    verdict=Verdict.TRY_LATER,
    cause=Cause.CLOUD_UNAVAILABLE,
    scope=Scope.SERVICE,
    retry_after=5,
)
_BUSY = Outcome(
    verdict=Verdict.TRY_LATER,
    cause=Cause.CLOUD_UNAVAILABLE,
    scope=Scope.ACCOUNT,
    retry_after=5,
)
_MISCONFIGURED = Outcome(verdict=Verdict.MISCONFIGURED, cause=Cause.CREDENTIAL_REFUSED)
_REFUSED = Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED)
_DOUBT = Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER)

STATUSES: dict[int, Status] = {
    2: _taken("DELIVERED_TO_OPERATOR"),  # not final
    3: _taken("PENDING_WAITING_DELIVERY"),
    4: _ended("REJECTED_OPERATOR"),
    5: _taken("DELIVERED_TO_HANDSET", State.DELIVERED),
    6: _ended("REJECTED_NETWORK"),
    7: _taken("PENDING_ENROUTE"),
    8: _ended("REJECTED_PREFIX_MISSING", Verdict.UNREGISTERED, Cause.NUMBER_REFUSED),
    9: _ended("NOT_DELIVERED"),
    10: _ended("REJECTED_DND", cause=Cause.OPTED_OUT),
    11: _ended("REJECTED_SOURCE", *_ACCOUNT),
    12: _ended("REJECTED_NOT_ENOUGH_CREDITS", *_ACCOUNT),
    13: _ended("REJECTED_SENDER", *_ACCOUNT),
    14: _ended("REJECTED_DESTINATION_BLOCKLISTED", Verdict.UNREGISTERED, Cause.OPTED_OUT),
    15: _ended("EXPIRED_EXPIRED", cause=Cause.NOT_IN_TIME, state=State.EXPIRED),
    17: _ended("REJECTED_PREPAID_PACKAGE_EXPIRED", *_ACCOUNT),
    18: _ended("REJECTED_DESTINATION_NOT_REGISTERED", *_ACCOUNT),
    19: _ended("REJECTED_ROUTE_NOT_AVAILABLE", *_ACCOUNT),
    20: _ended("REJECTED_FLOODING_FILTER"),
    21: Status("REJECTED_SYSTEM_ERROR", _AWAY, State.FAILED, Cause.CLOUD_ERROR),
    # Our ids are never used twice, so this one was taken by an earlier try: 6.2.
    23: _taken("REJECTED_DUPLICATE_MESSAGE_ID"),
    24: _ended("REJECTED_INVALID_UDH", cause=Cause.PAYLOAD_REFUSED),
    25: _ended("REJECTED_MESSAGE_TOO_LONG", cause=Cause.TOO_LARGE),
    26: _taken("PENDING_ACCEPTED"),
    29: _ended("EXPIRED_DLR_UNKNOWN", cause=Cause.NEVER_LEARNED, state=State.EXPIRED),
    31: _ended("UNDELIVERABLE_NOT_SENT"),
    51: _ended("REJECTED_MISSING_TO", cause=Cause.PAYLOAD_REFUSED),
    52: _ended("REJECTED_DESTINATION", Verdict.UNREGISTERED, Cause.NUMBER_REFUSED),
}
# Of a status that is not in the table only its group is believed; it closes nothing.
GROUPS: dict[int, Status] = {
    1: _taken("PENDING"),
    2: _ended("UNDELIVERABLE"),
    3: _taken("DELIVERED"),
    4: _ended("EXPIRED", cause=Cause.NOT_IN_TIME, state=State.EXPIRED),
    5: _ended("REJECTED", cause=Cause.CLOUD_ERROR),
}
BY_HTTP_STATUS: dict[int, Outcome] = {
    400: _REFUSED,
    401: _MISCONFIGURED,
    403: _MISCONFIGURED,
    404: _MISCONFIGURED,  # the base URL is not Infobip's
    429: _BUSY,
    500: _AWAY,
    503: _AWAY,
}


@dataclass(frozen=True, slots=True)
class Destination:
    number: str  # digits
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One text of a request, and to whom it goes."""

    sender: str
    text: str
    minutes: int  # of validity
    report_url: str
    destinations: Sequence[Destination]


def body_v3(*batches: Batch) -> Fields:
    return {
        "messages": [
            {
                "sender": batch.sender,
                "destinations": [
                    {"to": one.number, "messageId": one.message_id} for one in batch.destinations
                ],
                "content": {"text": batch.text},
                "options": {"validityPeriod": {"amount": batch.minutes, "timeUnit": "MINUTES"}},
                "webhooks": {
                    "delivery": {"url": batch.report_url},
                    "contentType": "application/json",
                },
            }
            for batch in batches
        ]
    }


def body_v2(*batches: Batch) -> Fields:
    return {
        "messages": [
            {
                "from": batch.sender,
                "destinations": [
                    {"to": one.number, "messageId": one.message_id} for one in batch.destinations
                ],
                "text": batch.text,
                "validityPeriod": batch.minutes,
                "notifyUrl": batch.report_url,
                "notifyContentType": "application/json",
            }
            for batch in batches
        ]
    }


def read(status: int, body: bytes, message_ids: Sequence[str]) -> list[Outcome]:
    """An outcome for each id of a request, in order."""
    if not 200 <= status < 300:
        return [refused(status, body)] * len(message_ids)
    told = json_object(body).get("messages")
    by_id = {
        one.get("messageId"): one for one in _objects(told) if isinstance(one.get("messageId"), str)
    }
    return [_one(by_id.get(each), each, status) for each in message_ids]


def _one(told: Mapping[str, Any] | None, message_id: str, http: int) -> Outcome:
    if told is None:
        return replace(_DOUBT, reason="the answer does not mention it", status=http)
    known = meaning(told.get("status"))
    if known is None:
        return replace(_DOUBT, reason="the answer has no status", status=http)
    status, name = known
    if status.outcome.verdict is Verdict.ACCEPTED:
        return replace(status.outcome, provider_id=message_id, status=http)
    return replace(status.outcome, reason=name, status=http)


def refused(status: int, body: bytes) -> Outcome:
    """What an answer other than 2xx says of a whole request."""
    error = _service_exception(body)
    told = word(error.get("messageId"))
    known = BY_HTTP_STATUS.get(status)
    if known is None:
        if status >= 500:
            known = _AWAY if told else _DOUBT  # 502 and 504 come from a gateway in between: 1.2
        elif status >= 400:
            known = Outcome(verdict=Verdict.REJECTED, cause=Cause.CLOUD_ERROR)
        else:
            known = _MISCONFIGURED  # it leads elsewhere
    said = ": ".join(filter(None, (told, sentence(error.get("text")))))
    return replace(known, status=status, reason=said[:100] or f"HTTP {status}")


def _service_exception(body: bytes) -> Mapping[str, Any]:
    error = json_object(body).get("requestError")
    exception = error.get("serviceException") if isinstance(error, dict) else None
    return exception if isinstance(exception, dict) else {}


def meaning(told: object) -> tuple[Status, str] | None:
    """The row of a status object, and the gateway's name of it; None for what is none."""
    if not isinstance(told, dict):
        return None
    status = STATUSES.get(_number(told.get("id"))) or GROUPS.get(_number(told.get("groupId")))
    if status is None:
        return None
    return status, word(told.get("name")) or status.name


def reports(results: Sequence[object]) -> list[Report]:
    """The delivery reports of both shapes; what cannot be read is left out."""
    return [
        report for one in results if isinstance(one, dict) for report in [_report(one)] if report
    ]


def _report(told: Mapping[str, Any]) -> Report | None:
    message_id, known = told.get("messageId"), meaning(told.get("status"))
    if not isinstance(message_id, str) or known is None:
        return None
    status, name = known
    error = told.get("error")
    error = word(error.get("name")) if isinstance(error, dict) else ""
    said = [name] if error in ("", "NO_ERROR") else [name, error]
    return Report(
        message_id=message_id,
        state=status.state,
        cause=status.cause,
        answer=", ".join(said) if status.cause else "",
        at=moment(told.get("doneAt")),
        closes=word(told.get("to")) if status.closes else "",
    )


def moment(told: object) -> datetime | None:
    """A time such as 2026-11-09T16:00:00.000+0100: its offset has no colon."""
    if not isinstance(told, str):
        return None
    try:
        read = datetime.fromisoformat(told)
    except ValueError:
        return None
    return read if read.tzinfo is not None else None


def _objects(told: object) -> list[Mapping[str, Any]]:
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _number(told: object) -> int:
    """A number of their tables; -1 for what is none."""
    return told if isinstance(told, int) and not isinstance(told, bool) else -1
