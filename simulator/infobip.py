"""Infobip's SMS API, version 3 and the older version 2.

Source: contract/providers.md 6.1 to 6.3.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid

from simulator.behaviour import Decision
from simulator.credentials import SmsAccount
from simulator.exchange import Answer, Ending, Request
from simulator.infobip_bodies import JSON, Refusal, read
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
)
from simulator.webhooks import Post

HOST = "sandbox.api.infobip.com"
BALANCE = "/account/1/balance"
MOST_PARTS = 10
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


class Infobip(SmsGateway):
    name = "infobip"
    hosts = (HOST,)

    def answer(self, request: Request) -> Answer:
        try:
            account = self._account(request)
            if request.path.partition("?")[0] == BALANCE:
                return self._balance(request, account)
            texts, older = read(request)
            return self._send(request, account, texts, older)
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
