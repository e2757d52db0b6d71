"""Twilio's words: forms, answers, callbacks and their signature.

Source: contract/providers.md 6.4.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from providers.answers import json_object, word
from providers.base import Cause, Outcome, Scope, Verdict
from providers.sms.reports import Report, State, sentence

HOST = "api.twilio.com"
MAX_VALIDITY = 36_000  # seconds
SERVICE_PREFIX = "MG"  # of the sid of a messaging service

_MISCONFIGURED = Outcome(verdict=Verdict.MISCONFIGURED, cause=Cause.CREDENTIAL_REFUSED)
_SENDER = Outcome(verdict=Verdict.MISCONFIGURED, cause=Cause.ACCOUNT_REFUSED)
_NO_NUMBER = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.NUMBER_REFUSED)
_OPTED_OUT = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.OPTED_OUT)
_REFUSED = Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED)
_TOO_LONG = Outcome(verdict=Verdict.REJECTED, cause=Cause.TOO_LARGE)
_DOUBT = Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER)
_BUSY = Outcome(
    verdict=Verdict.TRY_LATER, cause=Cause.CLOUD_UNAVAILABLE, scope=Scope.ACCOUNT, retry_after=5
)
_AWAY = Outcome(
    verdict=Verdict.TRY_LATER,
    cause=Cause.CLOUD_UNAVAILABLE,
    scope=Scope.SERVICE,
    retry_after=5,
    may_have_sent=True,
)

BY_CODE: dict[int, Outcome] = {
    20003: _MISCONFIGURED,
    20429: _BUSY,
    21211: _NO_NUMBER,
    21212: _SENDER,
    21606: _SENDER,
    21610: _OPTED_OUT,
    21614: _NO_NUMBER,
    21617: _TOO_LONG,
    21659: _SENDER,
}
BY_HTTP_STATUS: dict[int, Outcome] = {
    400: _REFUSED,
    401: _MISCONFIGURED,
    403: _MISCONFIGURED,
    404: _MISCONFIGURED,  # no such account
    429: _BUSY,
    500: _AWAY,
    503: _AWAY,
}
STATES: dict[str, State] = {
    "queued": State.SENT,
    "sending": State.SENT,
    "sent": State.SENT,
    "delivered": State.DELIVERED,
    "undelivered": State.FAILED,
    "failed": State.FAILED,
}


def messages_path(account_sid: str) -> str:
    return f"/2010-04-01/Accounts/{account_sid}/Messages.json"


def balance_path(account_sid: str) -> str:
    return f"/2010-04-01/Accounts/{account_sid}/Balance.json"


def form(*, sender: str, text: str, number: str, seconds: int, report_url: str) -> dict[str, str]:
    """`number` is digits; `seconds` how long it may wait."""
    from_ = "MessagingServiceSid" if sender.startswith(SERVICE_PREFIX) else "From"
    return {
        "To": f"+{number}",
        from_: sender,
        "Body": text,
        "StatusCallback": report_url,
        "ValidityPeriod": str(min(max(seconds, 1), MAX_VALIDITY)),
    }


def read(status: int, body: bytes) -> Outcome:
    """What the answer about one message means."""
    told = json_object(body)
    if 200 <= status < 300:
        sid = word(told.get("sid"))
        if not sid:
            return replace(_DOUBT, reason="the answer has no sid", status=status)
        return Outcome(verdict=Verdict.ACCEPTED, provider_id=sid, status=status)
    code = told.get("code")
    known = BY_CODE.get(code) if isinstance(code, int) else None
    if known is None:
        known = _by_http_status(status, bool(told))
    said = " ".join(
        filter(None, (str(code) if isinstance(code, int) else "", sentence(told.get("message"))))
    )
    return replace(known, status=status, reason=said[:100] or f"HTTP {status}")


def _by_http_status(status: int, from_twilio: bool) -> Outcome:
    if status in BY_HTTP_STATUS:
        return BY_HTTP_STATUS[status]
    if status >= 500:
        return _AWAY if from_twilio else _DOUBT  # 502 and 504 come from a gateway in between: 1.2
    if status >= 400:
        return Outcome(verdict=Verdict.REJECTED, cause=Cause.CLOUD_ERROR)
    return _MISCONFIGURED  # it leads elsewhere


def report(message_id: str, form: Mapping[str, str]) -> Report | None:
    """A status callback; None for a status that says nothing to us."""
    state = STATES.get(form.get("MessageStatus", ""))
    if state is None:
        return None
    if state is not State.FAILED:
        return Report(message_id=message_id, state=state)
    code = form.get("ErrorCode", "")
    known = BY_CODE.get(int(code)) if code.isascii() and code.isdigit() else None
    closes = known is not None and known.verdict is Verdict.UNREGISTERED
    return Report(
        message_id=message_id,
        state=state,
        cause=known.cause if known is not None else Cause.UNDELIVERABLE,
        answer=word(f"{form['MessageStatus']} {code}".strip()),
        closes=word(form.get("To", "")) if closes else "",
    )


def signature(auth_token: str, url: str, form: Sequence[tuple[str, str]]) -> str:
    """What Twilio writes into X-Twilio-Signature for a form posted to this address."""
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    digest = hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def is_signed(auth_token: str, url: str, form: Sequence[tuple[str, str]], signed: str) -> bool:
    """Whether a callback is Twilio's. It signs the address with or without its port."""
    given = signed.encode("utf-8", "replace")
    fits = [
        hmac.compare_digest(signature(auth_token, each, form).encode(), given)
        for each in _spellings(url)
    ]
    return any(fits)


def _spellings(url: str) -> list[str]:
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    port = parts.port or (443 if parts.scheme == "https" else 80)
    netlocs = dict.fromkeys((host, f"{host}:{port}"))
    return [parts._replace(netloc=netloc).geturl() for netloc in netlocs]
