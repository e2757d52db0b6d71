"""Reading what Infobip is asked, member by member: version 3 and the older version 2.

Source: contract/providers.md 6.1 and 6.2.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from simulator.exchange import Answer, Request
from simulator.inputs import BadInput
from simulator.sms_gateway import Wanted, unknown_member
from simulator.sms_text import cut
from simulator.webhooks import check_url

V3, V2 = "/sms/3/messages", "/sms/2/text/advanced"
JSON = (("content-type", "application/json"),)
MAX_MINUTES = 48 * 60
MINUTES = {"SECONDS": 1 / 60, "MINUTES": 1, "HOURS": 60, "DAYS": 1440}


@dataclass(eq=False)
class Refusal(Exception):
    """An answer that concerns the whole request."""

    status: int
    code: str
    text: str
    headers: tuple[tuple[str, str], ...] = field(default=())

    def answer(self, delay: float = 0.0) -> Answer:
        told = {"requestError": {"serviceException": {"messageId": self.code, "text": self.text}}}
        return Answer(self.status, (*JSON, *self.headers), json.dumps(told).encode(), delay)


def read(request: Request) -> tuple[list[Wanted], bool]:
    """What is asked for, and whether in the words of version 2."""
    path = request.path.partition("?")[0]
    if path not in (V3, V2):
        raise Refusal(404, "NOT_FOUND", "Requested URL not found")
    if request.method != "POST":
        raise Refusal(405, "METHOD_NOT_ALLOWED", "Use POST")
    body = _body(request)
    return (_older(body), True) if path == V2 else (_newer(body), False)


def _body(request: Request) -> dict[str, object]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type should be application/json")
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise Refusal(400, "BAD_REQUEST", "Invalid JSON") from None
    return _object(body, "body", {"messages", "options", "bulkId"})


def _newer(body: dict[str, object]) -> list[Wanted]:
    """Version 3."""
    options = _object(
        body.get("options", {}), "options", {"schedule", "tracking", "includeSmsCountInResponse"}
    )
    schedule = _object(
        options.get("schedule", {}), "options.schedule", {"bulkId", "sendAt", "sendingSpeedLimit"}
    )
    _text(schedule.get("bulkId", ""), "options.schedule.bulkId", 100)
    wanted = []
    for place, one in enumerate(_list(body.get("messages"), "messages")):
        field = f"messages[{place}]"
        message = _object(one, field, {"sender", "destinations", "content", "options", "webhooks"})
        content = _object(
            message.get("content"), f"{field}.content", {"text", "transliteration", "language"}
        )
        _message_options(message.get("options", {}), f"{field}.options")
        url = _webhooks(message.get("webhooks", {}), f"{field}.webhooks")
        wanted += _destinations(message, field, message.get("sender"), content.get("text"), url)
    return wanted


def _older(body: dict[str, object]) -> list[Wanted]:
    """Version 2."""
    known = {
        "from", "destinations", "text", "notifyUrl", "notifyContentType", "callbackData",
        "validityPeriod", "intermediateReport", "sendAt", "flash", "transliteration", "language",
    }  # fmt: skip
    _text(body.get("bulkId", ""), "bulkId", 100)
    wanted = []
    for place, one in enumerate(_list(body.get("messages"), "messages")):
        field = f"messages[{place}]"
        message = _object(one, field, known)
        _minutes(message.get("validityPeriod", 1), "MINUTES", f"{field}.validityPeriod")
        _text(message.get("callbackData", ""), f"{field}.callbackData", 4000)
        _content_type(
            message.get("notifyContentType", "application/json"), f"{field}.notifyContentType"
        )
        url = _url(message.get("notifyUrl", ""), f"{field}.notifyUrl")
        wanted += _destinations(message, field, message.get("from"), message.get("text"), url)
    return wanted


def _destinations(
    message: Mapping[str, object], field: str, sender: object, text: object, url: str
) -> list[Wanted]:
    said = _text(text, f"{field}.text", 10_000, required=True)
    name = _text(sender, f"{field}.sender", 64, required=True)
    parts = len(cut(said))
    wanted = []
    for place, one in enumerate(_list(message.get("destinations"), f"{field}.destinations")):
        path = f"{field}.destinations[{place}]"
        told = _object(one, path, {"to", "messageId", "networkId"})
        number = _text(told.get("to", ""), f"{path}.to", 64)
        message_id = _text(told.get("messageId", ""), f"{path}.messageId", 200)
        wanted.append(Wanted(number, message_id or str(uuid.uuid4()), name, said, parts, url))
    return wanted


def _message_options(given: object, field: str) -> None:
    known = {"validityPeriod", "campaignReferenceId", "platform", "deliveryTimeWindow", "flash"}
    options = _object(given, field, known)
    _text(options.get("campaignReferenceId", ""), f"{field}.campaignReferenceId", 255)
    if "validityPeriod" in options:
        path = f"{field}.validityPeriod"
        period = _object(options["validityPeriod"], path, {"amount", "timeUnit"})
        _minutes(period.get("amount"), period.get("timeUnit", "MINUTES"), path)


def _minutes(amount: object, unit: object, field: str) -> None:
    whole = isinstance(amount, int) and not isinstance(amount, bool)
    if not whole or unit not in MINUTES:
        raise Refusal(400, "BAD_REQUEST", f"{field} should be a whole number and a time unit")
    if not 0 < int(str(amount)) * MINUTES[str(unit)] <= MAX_MINUTES:
        raise Refusal(400, "BAD_REQUEST", f"{field} should be at most 48 hours")


def _webhooks(given: object, field: str) -> str:
    """Where reports go to; "" for nowhere."""
    webhooks = _object(given, field, {"delivery", "contentType", "callbackData"})
    delivery = _object(
        webhooks.get("delivery", {}), f"{field}.delivery", {"url", "intermediateReport", "notify"}
    )
    _content_type(webhooks.get("contentType", "application/json"), f"{field}.contentType")
    _text(webhooks.get("callbackData", ""), f"{field}.callbackData", 4000)
    return _url(delivery.get("url", ""), f"{field}.delivery.url")


def _content_type(given: object, field: str) -> None:
    if given not in {"application/json", "application/xml"}:
        raise Refusal(400, "BAD_REQUEST", f"{field} should be application/json or application/xml")


def _url(given: object, field: str) -> str:
    """An address that this simulator may report to; "" for another one: it stays silent."""
    url = _text(given, field, 2000)
    if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        raise Refusal(400, "BAD_REQUEST", f"{field} should be an address")
    try:
        check_url(url)
    except BadInput:
        return ""
    return url


def _object(given: object, field: str, known: set[str]) -> dict[str, object]:
    if not isinstance(given, dict):
        raise Refusal(400, "BAD_REQUEST", f"{field} should be an object")
    stranger = unknown_member(given, known)
    if stranger:
        # The real one ignores it: a misspelled member would go unnoticed.
        raise Refusal(400, "BAD_REQUEST", f"{field}.{stranger} is unknown")
    return given


def _list(given: object, field: str) -> list[object]:
    if not isinstance(given, list) or not given:
        raise Refusal(400, "BAD_REQUEST", f"{field} should be an array that is not empty")
    return given


def _text(given: object, field: str, longest: int, *, required: bool = False) -> str:
    if not isinstance(given, str) or len(given) > longest:
        raise Refusal(400, "BAD_REQUEST", f"{field} should be a text of at most {longest}")
    if required and not given:
        raise Refusal(400, "BAD_REQUEST", f"{field} should not be empty")
    return given
