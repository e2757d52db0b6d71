"""Infobip's SMS API, version 3 and the older version 2.

Source: contract/providers.md 6.1 to 6.3.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from simulator.behaviour import Decision
from simulator.credentials import SmsAccount
from simulator.exchange import Answer, Ending, Request
from simulator.inputs import BadInput
from simulator.operators import Fate as Sms
from simulator.operators import News
from simulator.settings import Fate
from simulator.sms_gateway import (
    AFTER_ACCEPTANCE,
    AWAY,
    NUMBER,
    OF_NUMBERS,
    WITHOUT_ACCEPTANCE,
    SmsGateway,
    Wanted,
    bad_gateway,
    unknown_member,
)
from simulator.sms_text import cut
from simulator.webhooks import Post, check_url

HOST = "sandbox.api.infobip.com"
V3, V2, BALANCE = "/sms/3/messages", "/sms/2/text/advanced", "/account/1/balance"
JSON = (("content-type", "application/json"),)
MOST_PARTS = 10
MAX_MINUTES = 48 * 60
MINUTES = {"SECONDS": 1 / 60, "MINUTES": 1, "HOURS": 60, "DAYS": 1440}
CENTRAL_EUROPE = dt.timezone(dt.timedelta(hours=1))

GROUPS = {1: "PENDING", 2: "UNDELIVERABLE", 3: "DELIVERED", 4: "EXPIRED", 5: "REJECTED"}
STATUSES = {
    2: (3, "DELIVERED_TO_OPERATOR", "Message delivered to operator"),
    5: (3, "DELIVERED_TO_HANDSET", "Message delivered to handset"),
    8: (5, "REJECTED_PREFIX_MISSING", "Number prefix missing"),
    9: (2, "UNDELIVERABLE_NOT_DELIVERED", "Message sent not delivered"),
    11: (5, "REJECTED_SOURCE", "Invalid Source address"),
    12: (5, "REJECTED_NOT_ENOUGH_CREDITS", "Not enough credits"),
    14: (5, "REJECTED_DESTINATION", "By Account"),
    15: (4, "EXPIRED_EXPIRED", "Message expired"),
    23: (5, "REJECTED_DUPLICATE_MESSAGE_ID", "Duplicate message ID"),
    25: (5, "REJECTED_MESSAGE_TOO_LONG", "Message too long"),
    26: (1, "PENDING_ACCEPTED", "Message sent to next instance"),
    29: (4, "EXPIRED_DLR_UNKNOWN", "Message expired without delivery report"),
    51: (5, "MISSING_TO", "Missing TO."),
    52: (5, "REJECTED_DESTINATION", "Invalid destination address."),
}
NO_ERROR = (0, "OK", 0, "NO_ERROR", "No Error", False)
REPORTED = {
    Sms.DELIVERED: (5, NO_ERROR),
    Sms.ON_ITS_WAY: (2, NO_ERROR),
    Sms.ABSENT: (
        9,
        (1, "HANDSET_ERRORS", 6, "EC_ABSENT_SUBSCRIBER_SM", "Absent Subscriber", False),
    ),
    Sms.BARRED: (9, (1, "HANDSET_ERRORS", 1, "EC_UNKNOWN_SUBSCRIBER", "Unknown Subscriber", True)),
    Sms.EXPIRED: (
        15,
        (1, "HANDSET_ERRORS", 27, "EC_ABSENT_SUBSCRIBER", "Absent Subscriber", False),
    ),
    Sms.UNKNOWN: (29, NO_ERROR),
    Sms.STOPPED: (14, (2, "USER_ERRORS", 2051, "EC_DESTINATION_BLOCKED", "Blocked", True)),
}
NUMBERS = {
    Fate.UNREGISTERED: 52,
    Fate.EXPIRED_TOKEN: 52,
    Fate.MALFORMED: 8,
    Fate.MISMATCHED: 14,
}


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


class Infobip(SmsGateway):
    name = "infobip"
    hosts = (HOST,)

    def answer(self, request: Request) -> Answer:
        try:
            account = self._account(request)
            if request.path.partition("?")[0] == BALANCE:
                return self._balance(request, account)
            wanted, older = _wanted(request)
            return self._send(request, account, wanted, older)
        except Refusal as refusal:
            self.refuse(request, refusal.status, refusal.code)
            return refusal.answer()

    def _account(self, request: Request) -> SmsAccount:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        account = self._credentials.infobip.get(key.strip()) if scheme.lower() == "app" else None
        if account is None:
            raise Refusal(401, "UNAUTHORIZED", "Invalid login details")
        return account

    def _balance(self, request: Request, account: SmsAccount) -> Answer:
        if request.method != "GET":
            raise Refusal(405, "METHOD_NOT_ALLOWED", "Use GET")
        told = {"balance": self.balance(account), "currency": account.currency}
        return Answer(200, JSON, json.dumps(told).encode())

    def _send(
        self, request: Request, account: SmsAccount, wanted: list[Wanted], older: bool
    ) -> Answer:
        if self.over_quota(account, len(wanted)):
            raise Refusal(429, "TOO_MANY_REQUESTS", "Too many requests", self.retry_after())
        decisions = [self.decide(one) for one in wanted]
        # A request has one fate: the first one of its numbers that is not a number's own.
        shared = next((one for one in decisions if one.fate not in OF_NUMBERS), decisions[0])
        if shared.fate in WITHOUT_ACCEPTANCE:
            return Answer(503, ending=WITHOUT_ACCEPTANCE[shared.fate])
        refusal = self._met(shared)
        if refusal is not None and shared.fate is not Fate.UNAVAILABLE_DELIVERED:
            self.refuse(request, refusal.status, f"HTTP {refusal.status}")
            return refusal
        ending = AFTER_ACCEPTANCE.get(shared.fate, Ending.ANSWERED)
        told = [
            self._one(request, account, one, decision, ending, older=older)
            for one, decision in zip(wanted, decisions, strict=True)
        ]
        if refusal is not None:
            return refusal
        body = json.dumps({"bulkId": uuid.uuid4().hex, "messages": told}).encode()
        return Answer(200, JSON, body, shared.delay, ending)

    def _met(self, decision: Decision) -> Answer | None:
        """The answer of a gateway that is not well; None from one that is."""
        if decision.fate is Fate.BUSY:
            refusal = Refusal(429, "TOO_MANY_REQUESTS", "Too many requests", self.retry_after())
            return refusal.answer(decision.delay)
        if decision.fate is Fate.INTERNAL:
            return Refusal(500, "GENERAL_ERROR", "Something went wrong").answer(decision.delay)
        if decision.fate is Fate.BAD_GATEWAY:
            return bad_gateway(decision.delay)
        if decision.fate in AWAY | {Fate.UNAVAILABLE_DELIVERED}:
            refusal = Refusal(503, "SERVICE_UNAVAILABLE", "Try again", self.retry_after())
            return refusal.answer(decision.delay)
        return None

    def _one(
        self,
        request: Request,
        account: SmsAccount,
        wanted: Wanted,
        decision: Decision,
        ending: Ending,
        *,
        older: bool,
    ) -> dict[str, object]:
        """Take one destination or not, and tell its status."""
        status = self._status(account, wanted, decision)
        if status == 26:
            self.accept(
                request, self, account, wanted, decision,
                provider_id=wanted.message_id, ending=ending, older=older,
            )  # fmt: skip
        else:
            self.refuse(
                request, 200, STATUSES[status][1],
                number=wanted.number, message_id=wanted.message_id,
            )  # fmt: skip
        told: dict[str, object] = {"messageId": wanted.message_id, "status": _status(status)}
        if older:
            return told | {"to": wanted.number, "smsCount": wanted.parts}
        return told | {"destination": wanted.number, "details": {"messageCount": wanted.parts}}

    def _status(self, account: SmsAccount, wanted: Wanted, decision: Decision) -> int:
        if not wanted.number:
            return 51
        if wanted.number.startswith("0"):
            return 8
        if not NUMBER.fullmatch(wanted.number):
            return 52
        if account.senders and wanted.sender not in account.senders:
            return 11
        if wanted.parts > MOST_PARTS:
            return 25
        if self.is_duplicate(wanted.message_id):
            return 23
        if decision.fate in NUMBERS:
            return NUMBERS[decision.fate]
        return 26 if self.pay(account, wanted.parts) else 12

    # ------------------------------------------------------------------ delivery reports

    def posts(self, url: str, news: list[News]) -> list[Post]:
        results = [self._result(one) for one in news]
        body = json.dumps({"results": results}).encode()
        return [Post("infobip_reports", url, JSON, body)]

    def _result(self, news: News) -> dict[str, object]:
        text = news.text
        status, error = REPORTED[news.fate]
        account = self._credentials.infobip.get(text.account)
        price = account.price if account else 0.0
        currency = account.currency if account else "EUR"
        told: dict[str, object] = {
            "bulkId": str(uuid.uuid5(uuid.NAMESPACE_OID, text.message_id)),
            "messageId": text.message_id,
            "to": text.number,
            "sentAt": _moment(text.sent_at),
            "doneAt": _moment(self._clock.now()),
            "mccMnc": "22801",
            "callbackData": "",
            "price": {"pricePerMessage": price, "currency": currency},
            "status": _status(status),
            "error": dict(
                zip(
                    ("groupId", "groupName", "id", "name", "description", "permanent"),
                    error,
                    strict=True,
                )
            ),
        }
        if text.older:
            return told | {"from": text.sender, "smsCount": text.parts}
        return told | {"sender": text.sender, "messageCount": text.parts}


def _status(number: int) -> dict[str, object]:
    group, name, description = STATUSES[number]
    return {
        "groupId": group,
        "groupName": GROUPS[group],
        "id": number,
        "name": name,
        "description": description,
    }


def _moment(unix: float) -> str:
    """As Infobip writes it: the offset has no colon."""
    moment = dt.datetime.fromtimestamp(unix, CENTRAL_EUROPE)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}+0100"


# ------------------------------------------------------------------------ reading bodies


def _wanted(request: Request) -> tuple[list[Wanted], bool]:
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
