"""What Huawei's answers mean. Source: contract/providers.md 1.2 and 4.5.

An answer concerns every token of its call. Its `code` says more than its HTTP status.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from providers.answers import json_object, retry_after, unanswered, word
from providers.base import Cause, Outcome, Scope, Verdict
from providers.gateway import Answered, Exchange, Inside

TAKEN, PARTLY, NO_VALID_TOKEN = "80000000", "80100000", "80300007"
TOKEN_REFUSED = frozenset({"80200001", "80200003", "80200005"})  # a fresh one may help
A_DAY = 86_400.0  # seconds

_REFUSED_PAYLOAD = Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED)
_CLOUD_ERROR = Outcome(verdict=Verdict.REJECTED, cause=Cause.CLOUD_ERROR)
_MISCONFIGURED = Outcome(verdict=Verdict.MISCONFIGURED, cause=Cause.CREDENTIAL_REFUSED)
_DOUBT = Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER)
_ACCOUNT_BUSY = Outcome(
    verdict=Verdict.TRY_LATER,
    cause=Cause.CLOUD_UNAVAILABLE,
    scope=Scope.ACCOUNT,
    retry_after=5,
)
_AWAY = replace(_ACCOUNT_BUSY, scope=Scope.SERVICE)
_BROKEN = replace(_AWAY, may_have_sent=True)  # inside Huawei, perhaps after it was taken
_TEST_LIMIT = replace(_ACCOUNT_BUSY, scope=Scope.DEVICE, retry_after=A_DAY, asked=True)

BY_CODE = {
    TAKEN: Outcome(verdict=Verdict.ACCEPTED),
    NO_VALID_TOKEN: Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.MALFORMED_TOKEN),
    "80100001": _REFUSED_PAYLOAD,
    "80100002": _REFUSED_PAYLOAD,  # a sync message takes one token
    "80100003": _REFUSED_PAYLOAD,
    "80100004": _REFUSED_PAYLOAD,
    "80100013": _REFUSED_PAYLOAD,
    "80100016": _REFUSED_PAYLOAD,  # sensitive words
    "80100017": _ACCOUNT_BUSY,  # over 100 topic tasks
    "80100018": _MISCONFIGURED,  # signature in review
    "80100022": _REFUSED_PAYLOAD,
    "80200001": _MISCONFIGURED,
    "80200003": _MISCONFIGURED,
    "80200005": _MISCONFIGURED,
    "80300002": _MISCONFIGURED,  # often another app's tokens
    "80300008": Outcome(verdict=Verdict.REJECTED, cause=Cause.TOO_LARGE),
    "80300010": Outcome(verdict=Verdict.REJECTED, cause=Cause.INTERNAL),  # over 1000 tokens
    "80300011": _MISCONFIGURED,  # HIGH is not permitted
    "80300013": _MISCONFIGURED,  # receipt address
    "80300029": _TEST_LIMIT,
    "80300030": _TEST_LIMIT,
    "80300036": _MISCONFIGURED,  # JWT lives too long
    "80300037": _MISCONFIGURED,  # penalty
    "80600003": _AWAY,  # Huawei's OAuth
    "81000001": _BROKEN,
}
BY_HTTP_STATUS = {
    400: _REFUSED_PAYLOAD,
    401: _MISCONFIGURED,
    403: _MISCONFIGURED,
    404: _MISCONFIGURED,  # the path: client id or project id
    413: Outcome(verdict=Verdict.REJECTED, cause=Cause.TOO_LARGE),
    429: _ACCOUNT_BUSY,
    500: _BROKEN,
    503: _ACCOUNT_BUSY,  # flow control
}


def read(result: Exchange, tokens: Sequence[str], now: float) -> list[Outcome]:
    """One outcome for each token of a call."""
    if isinstance(result, Inside):
        return [replace(_MISCONFIGURED, reason=result.reason)] * len(tokens)
    if not isinstance(result, Answered):
        return [unanswered(result)] * len(tokens)
    told = json_object(result.body)
    code, request_id = _code(told), word(told.get("requestId"))
    if code == PARTLY and result.status < 500:
        return _partly(told, result.status, request_id, tokens)
    meaning = _meaning(result.status, code, from_huawei=bool(told))
    reason = f"{code} {word(told.get('msg'))}".strip() or f"HTTP {result.status}"
    outcome = replace(meaning, status=result.status, reason=reason[:100], provider_id=request_id)
    if outcome.verdict is Verdict.TRY_LATER:
        asked = retry_after(result.retry_after, now)
        if asked is not None:
            outcome = replace(outcome, retry_after=asked, asked=True)
    return [outcome] * len(tokens)


def is_token_refused(outcome: Outcome) -> bool:
    """Whether our access token was the trouble."""
    code = outcome.reason[:8]
    return outcome.verdict is Verdict.MISCONFIGURED and (
        code in TOKEN_REFUSED or (outcome.status == 401 and code not in BY_CODE)
    )


def with_request(outcome: Outcome) -> Outcome:
    """Huawei's support asks for the id of the request, most of all where something failed."""
    final = outcome.verdict in {Verdict.UNREGISTERED, Verdict.REJECTED, Verdict.UNKNOWN}
    if not (final and outcome.provider_id):
        return outcome
    return replace(outcome, reason=f"{outcome.reason} (request {outcome.provider_id})")


def says_no_valid_token(outcome: Outcome) -> bool:
    return outcome.verdict is Verdict.UNREGISTERED and outcome.reason[:8] == NO_VALID_TOKEN


def _code(told: dict[str, object]) -> str:
    code = told.get("code")
    return str(code) if isinstance(code, int) else word(code)


def _meaning(status: int, code: str, *, from_huawei: bool) -> Outcome:
    if status == 503:
        return _ACCOUNT_BUSY  # flow control, whatever it says beside
    if code in BY_CODE:
        return BY_CODE[code]
    if status in (502, 504) or status not in BY_HTTP_STATUS:
        if status >= 500:
            return _BROKEN if from_huawei else _DOUBT  # else from a gateway in between
        # Never a retry loop over a code we do not know; without any it is no answer at all.
        return _CLOUD_ERROR if code or status >= 300 else _DOUBT
    return BY_HTTP_STATUS[status]


def _partly(
    told: dict[str, object], status: int, request_id: str, tokens: Sequence[str]
) -> list[Outcome]:
    """Some were taken: `msg` is itself JSON text and lists those that were not."""
    message = told.get("msg")
    try:
        listed = json.loads(message)["illegal_tokens"] if isinstance(message, str) else None
    except (ValueError, RecursionError, KeyError, TypeError):
        listed = None
    if not isinstance(listed, list):
        doubt = replace(_DOUBT, status=status, reason=f"{PARTLY} without a list of tokens")
        return [replace(doubt, provider_id=request_id)] * len(tokens)
    taken = replace(BY_CODE[TAKEN], status=status, reason=PARTLY, provider_id=request_id)
    gone = Outcome(
        verdict=Verdict.UNREGISTERED,
        cause=Cause.UNINSTALLED,
        status=status,
        reason=f"{PARTLY} illegal token",
        provider_id=request_id,
    )
    illegal = {token for token in listed if isinstance(token, str)}
    return [gone if token in illegal else taken for token in tokens]
