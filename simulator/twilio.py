"""Twilio's Messages API, and its signed status callbacks. Source: contract/providers.md 6.4."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import uuid
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import parse_qsl, urlencode, urlsplit

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
    WITHOUT_ACCEPTANCE,
    SmsGateway,
    Wanted,
    bad_gateway,
    unknown_member,
)
from simulator.sms_text import cut
from simulator.webhooks import Post, check_url

HOST = "api.twilio.com"
PATH = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-f]{32})/(Messages|Balance)\.json")
FIELDS = {
    "To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ValidityPeriod",
    "ApplicationSid", "MaxPrice", "ProvideFeedback", "Attempt", "SmartEncoded", "MediaUrl",
}  # fmt: skip
LONGEST = 1600  # characters of a body
JSON = (("content-type", "application/json"),)
NUMBERS = {
    Fate.UNREGISTERED: (21211, "The 'To' number {} is not a valid phone number."),
    Fate.EXPIRED_TOKEN: (21211, "The 'To' number {} is not a valid phone number."),
    Fate.MALFORMED: (21614, "'To' number {} is not a valid mobile number"),
    Fate.MISMATCHED: (21610, "Attempt to send to unsubscribed recipient {}"),
}
REPORTED = {
    Sms.DELIVERED: ("delivered", ""),
    Sms.ON_ITS_WAY: ("sent", ""),
    Sms.ABSENT: ("undelivered", "30003"),
    Sms.BARRED: ("undelivered", "30005"),
    Sms.EXPIRED: ("undelivered", "30003"),
    Sms.UNKNOWN: ("undelivered", "30008"),
    Sms.STOPPED: ("failed", "21610"),
}


@dataclass(eq=False)
class Refusal(Exception):
    """Any answer that is not 2xx."""

    status: int
    code: int
    message: str
    headers: tuple[tuple[str, str], ...] = ()

    def answer(self, delay: float = 0.0) -> Answer:
        told = {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
        return Answer(self.status, (*JSON, *self.headers), json.dumps(told).encode(), delay)


class Twilio(SmsGateway):
    name = "twilio"
    hosts = (HOST,)

    def answer(self, request: Request) -> Answer:
        wanted: Wanted | None = None
        delay = 0.0
        try:
            account, resource = self._account(request)
            if resource == "Balance":
                return self._balance(request, account)
            wanted = self._wanted(account, _form(request))
            decision = self.decide(wanted)
            delay = decision.delay
            if decision.fate in WITHOUT_ACCEPTANCE:
                return Answer(503, ending=WITHOUT_ACCEPTANCE[decision.fate])
            if decision.fate is Fate.BAD_GATEWAY:
                self.refuse(request, 502, "HTML", number=wanted.number)
                return bad_gateway(delay)
            self._meet(request, account, wanted, decision)
            return self._accept(request, account, wanted, decision)
        except Refusal as refusal:
            number, message_id = (wanted.number, wanted.message_id) if wanted else ("", "")
            self.refuse(
                request, refusal.status, str(refusal.code), number=number, message_id=message_id
            )
            return refusal.answer(delay)

    def _account(self, request: Request) -> tuple[SmsAccount, str]:
        path = PATH.fullmatch(request.path.partition("?")[0])
        sid, token = _basic(request.headers.get("authorization", ""))
        account = self._credentials.twilio.get(sid)
        if account is None or not hmac.compare_digest(account.secret.encode(), token.encode()):
            raise Refusal(401, 20003, "Authenticate")
        if path is None or path.group(1) != sid:
            raise Refusal(404, 20404, "The requested resource was not found")
        return account, path.group(2)

    def _balance(self, request: Request, account: SmsAccount) -> Answer:
        if request.method != "GET":
            raise Refusal(405, 20004, "Method not allowed")
        told = {
            "account_sid": account.key,
            "balance": f"{self.balance(account):.4f}",
            "currency": account.currency,
        }
        return Answer(200, JSON, json.dumps(told).encode())

    def _wanted(self, account: SmsAccount, form: dict[str, str]) -> Wanted:
        """What the form asks for, if it is in order."""
        to = form.get("To", "")
        if not to:
            raise Refusal(400, 21604, "A 'To' phone number is required.")
        if not to.startswith("+") or not NUMBER.fullmatch(to[1:]):
            raise Refusal(400, 21211, f"Invalid 'To' Phone Number: {to}")
        sender = self._sender(account, form)
        body = form.get("Body", "")
        if not body:
            raise Refusal(400, 21602, "Message body is required.")
        if len(body) > LONGEST:
            raise Refusal(
                400, 21617, "The concatenated message body exceeds the 1600 character limit."
            )
        validity = form.get("ValidityPeriod", "36000")
        if not (validity.isascii() and validity.isdigit()) or not 1 <= int(validity) <= 36_000:
            raise Refusal(400, 21630, "ValidityPeriod must be from 1 to 36000 seconds")
        url = form.get("StatusCallback", "")
        if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise Refusal(400, 21609, f"The 'StatusCallback' URL {url} is not a valid URL.")
        return Wanted(to[1:], _our_id(url), sender, body, len(cut(body)), _local(url))

    def _sender(self, account: SmsAccount, form: dict[str, str]) -> str:
        sender = form.get("MessagingServiceSid") or form.get("From", "")
        if not sender:
            raise Refusal(400, 21603, "A 'From' phone number is required.")
        if account.senders and sender not in account.senders:
            number = sender.startswith("+")
            raise Refusal(
                400,
                21606 if number else 21212,
                f"The 'From' number {sender} is not a Twilio phone number or short code."
                if number
                else f"The 'From' number {sender} is not a valid phone number or sender id.",
            )
        return sender

    def _meet(
        self, request: Request, account: SmsAccount, wanted: Wanted, decision: Decision
    ) -> None:
        """Raise what the number's fate is, if it is not acceptance."""
        if self.over_quota(account, 1):
            raise Refusal(429, 20429, "Too Many Requests", self.retry_after())
        if decision.fate in NUMBERS:
            code, sentence = NUMBERS[decision.fate]
            raise Refusal(400, code, sentence.format(f"+{wanted.number}"))
        if decision.fate is Fate.BUSY:
            raise Refusal(429, 20429, "Too Many Requests", self.retry_after())
        if decision.fate is Fate.INTERNAL:
            raise Refusal(500, 20500, "An internal server error has occurred")
        if decision.fate is Fate.UNAVAILABLE_DELIVERED:
            self._accept(request, account, wanted, decision)
        if decision.fate in AWAY | {Fate.UNAVAILABLE_DELIVERED}:
            raise Refusal(503, 20503, "Service unavailable", self.retry_after())

    def _accept(
        self, request: Request, account: SmsAccount, wanted: Wanted, decision: Decision
    ) -> Answer:
        ending = AFTER_ACCEPTANCE.get(decision.fate, Ending.ANSWERED)
        sid = f"SM{uuid.uuid4().hex}"
        self.pay(account, wanted.parts)  # an account in debt is closed later, not at once
        self.accept(request, self, account, wanted, decision, provider_id=sid, ending=ending)
        now = formatdate(self._clock.now())
        service = wanted.sender if wanted.sender.startswith("MG") else None
        told: dict[str, object] = {
            "account_sid": account.key,
            "api_version": "2010-04-01",
            "body": wanted.text,
            "date_created": now,
            "date_sent": None,
            "date_updated": now,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": None if service else wanted.sender,
            "messaging_service_sid": service,
            "num_media": "0",
            "num_segments": str(wanted.parts),
            "price": None,
            "price_unit": account.currency,
            "sid": sid,
            "status": "accepted" if service else "queued",
            "subresource_uris": {},
            "to": f"+{wanted.number}",
            "uri": f"/2010-04-01/Accounts/{account.key}/Messages/{sid}.json",
        }
        return Answer(201, JSON, json.dumps(told).encode(), decision.delay, ending)

    # ------------------------------------------------------------------ status callbacks

    def posts(self, url: str, news: list[News]) -> list[Post]:
        """Each by itself, with its form signed."""
        made = []
        for one in news:
            account = self._credentials.twilio.get(one.text.account)
            if account is None:
                continue  # it was taken away meanwhile
            status, code = REPORTED[one.fate]
            sid = f"SM{uuid.uuid4().hex}" if one.stranger else one.text.message_id
            form = {
                "SmsSid": sid,
                "SmsStatus": status,
                "MessageStatus": status,
                "To": f"+{one.text.number}",
                "From": one.text.sender,
                "MessageSid": sid,
                "AccountSid": account.key,
                "ApiVersion": "2010-04-01",
            }
            if code:
                form["ErrorCode"] = code
            address = url.replace(_our_id(url), str(uuid.uuid4())) if one.stranger else url
            headers = (
                ("content-type", "application/x-www-form-urlencoded; charset=UTF-8"),
                ("x-twilio-signature", _sign(account.secret, address, form)),
                ("user-agent", "TwilioProxy/1.1"),
            )
            made.append(Post("twilio_callbacks", address, headers, urlencode(form).encode()))
        return made


def _sign(secret: str, url: str, form: dict[str, str]) -> str:
    told = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(secret.encode(), told.encode(), "sha1")).decode()


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, told = authorization.partition(" ")
    try:
        read = base64.b64decode(told, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        read = ""
    user, _, password = read.partition(":")
    return user, password


def _form(request: Request) -> dict[str, str]:
    if request.method != "POST":
        raise Refusal(405, 20004, "Method not allowed")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refusal(415, 20415, "Unsupported Media Type")
    try:
        form = dict(
            parse_qsl(
                request.body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict"
            )
        )
    except ValueError:
        raise Refusal(400, 20001, "The form cannot be read") from None
    stranger = unknown_member(form, FIELDS)
    if stranger:
        raise Refusal(400, 20001, f"{stranger} is unknown")
    return form


def _our_id(url: str) -> str:
    """The sender's own id of a message, if its callback address ends in one."""
    last = urlsplit(url).path.rpartition("/")[2]
    try:
        return str(uuid.UUID(last))
    except ValueError:
        return ""


def _local(url: str) -> str:
    """An address that this simulator may report to; "" for another one: it stays silent."""
    try:
        check_url(url)
    except BadInput:
        return ""
    return url
