"""Reports, handed out once, and logs: /omni/1/reports and /omni/1/logs (contract/omni.md 4, 5)."""

from datetime import datetime
from itertools import islice

from django.conf import settings
from django.http import HttpRequest

from api.endpoint import Json, endpoint
from api.infobip.omni_family import CHANNELS, omni_family
from api.infobip.omni_statuses import REJECTED, of_step
from api.infobip.push_family import KnownRequest, limit_of, list_of, moment, text_of
from api.infobip.push_schemas import read_time
from api.infobip.statuses import GROUPS, Fault, Status
from api.infobip.violations import Violation, violated
from campaigns import flow_requests
from campaigns.flow_requests import Told, Wish
from campaigns.models import FlowDestination

FAMILY = omni_family("reports", reading=True)
LOGS_FAMILY = omni_family("logs", lambda: settings.PUSH_LOGS_PER_MINUTE, 60, reading=True)


def take(request: KnownRequest) -> Json:
    """GET /omni/1/reports."""
    bulk_id, message_id = text_of(request, "bulkId", 100), text_of(request, "messageId", 100)
    wish = Wish(
        bulk_ids=[bulk_id] if bulk_id else (),
        message_ids=[message_id] if message_id else (),
        channel=_channel(request),
    )
    found = flow_requests.take(wish, limit_of(request))
    return {"results": [report_json(each) for each in found]}


def show(request: KnownRequest) -> Json:
    """GET /omni/1/logs."""
    wanted, limit = _status_group(request), limit_of(request)
    wish = Wish(
        bulk_ids=list_of(request, "bulkId"),
        message_ids=list_of(request, "messageId"),
        channel=_channel(request),
        to=text_of(request, "to"),
        sender=text_of(request, "from"),
        since=_time(request, "sentSince"),
        until=_time(request, "sentUntil"),
    )
    rows = flow_requests.history(wish)
    fitting = (row for row in rows if not wanted or GROUPS[_status(row)[0].group] == wanted)
    return {"results": [log_json(each) for each in islice(fitting, limit)]}


def _status(told: Told) -> tuple[Status, Fault]:
    if told.destination.rejection:
        return REJECTED[told.destination.rejection]
    return of_step(told.state, told.reason, told.channel, told.answer)


def to_of(destination: FlowDestination) -> str:
    """The number, else the e-mail address, else the registration."""
    given = destination.to
    phone = str(given.get("phoneNumber", "")).strip().removeprefix("+")
    return phone or given.get("emailAddress", "") or given.get("pushRegistrationId", "")


def _price(told: Told) -> Json:
    currency = told.currency or settings.CURRENCY
    each = float(told.price)
    return {"pricePerMessage": each or 0, "currency": currency}


def report_json(told: Told) -> Json:
    status, fault = _status(told)
    report: Json = {
        "bulkId": told.destination.bulk_id,
        "messageId": told.destination.public_id,
        "to": to_of(told.destination),
        "sentAt": moment(told.sent_at),
        "doneAt": moment(told.done_at or told.sent_at),
        "messageCount": _count(told),
        "price": _price(told),
        "status": status.as_json(),
        "error": fault.as_json(),
        "channel": told.channel,
        "callbackData": told.destination.callback_data,
    }
    return {name: value for name, value in report.items() if value != ""}


def _count(told: Told) -> int:
    return told.parts or 1


def log_json(told: Told) -> Json:
    status, _ = _status(told)
    entry: Json = {
        "bulkId": told.destination.bulk_id,
        "messageId": told.destination.public_id,
        "to": to_of(told.destination),
        "from": told.sender,
        "text": told.text,
        "sentAt": moment(told.sent_at),
        "doneAt": moment(told.done_at) if told.done_at else "",
        "messageCount": _count(told),
        "price": _price(told),
        "status": status.as_json(),
        "channel": told.channel,
    }
    return {name: value for name, value in entry.items() if value != ""}


# ------------------------------------------------------------------- queries


def _channel(request: HttpRequest) -> str:
    given = text_of(request, "channel")
    if given and given not in CHANNELS:
        raise violated(Violation("channel", f"must be one of {', '.join(CHANNELS)}"))
    return given


def _status_group(request: HttpRequest) -> str:
    given = text_of(request, "generalStatus")
    if given and given not in GROUPS.values():
        raise violated(Violation("generalStatus", f"must be one of {', '.join(GROUPS.values())}"))
    return given


def _time(request: HttpRequest, name: str) -> datetime | None:
    given = text_of(request, name)
    try:
        # In a query a plus is a blank.
        return read_time(given.replace(" ", "+")) if given else None
    except ValueError as refused:
        raise violated(Violation(name, str(refused))) from None


reports = endpoint(FAMILY, GET=take)
logs = endpoint(LOGS_FAMILY, GET=show)
