"""What Apple answers about one notification. Source: contract/providers.md 3.5."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from providers.answers import json_object, unanswered, word
from providers.base import Cause, Outcome, Scope, Verdict
from providers.http2 import Answer, Result

MISCONFIGURED = Outcome(verdict=Verdict.MISCONFIGURED, cause=Cause.CREDENTIAL_REFUSED)
_REFUSED_PAYLOAD = Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED)
_OUR_FAULT = Outcome(verdict=Verdict.REJECTED, cause=Cause.INTERNAL)
_CLOUD_ERROR = Outcome(verdict=Verdict.REJECTED, cause=Cause.CLOUD_ERROR)
_DOUBT = Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER)
MALFORMED = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.MALFORMED_TOKEN)
_GONE = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED)
_ACCEPTED = Outcome(verdict=Verdict.ACCEPTED, status=200)


def _later(scope: Scope, seconds: float) -> Outcome:
    return Outcome(
        verdict=Verdict.TRY_LATER,
        cause=Cause.CLOUD_UNAVAILABLE,
        scope=scope,
        retry_after=seconds,
    )


_AWAY = replace(_later(Scope.SERVICE, 15), retry_after_again=15 * 60)  # 1.4

# Contract/providers.md 3.5.
BY_REASON = {
    "BadDeviceToken": MALFORMED,  # if the token belongs to this environment
    "DeviceTokenNotForTopic": Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.MISMATCHED_SENDER),
    "BadCollapseId": _REFUSED_PAYLOAD,
    "BadExpirationDate": _REFUSED_PAYLOAD,
    "BadMessageId": _REFUSED_PAYLOAD,
    "BadPriority": _REFUSED_PAYLOAD,
    "InvalidPushType": _REFUSED_PAYLOAD,
    "PayloadEmpty": _REFUSED_PAYLOAD,
    "DuplicateHeaders": _REFUSED_PAYLOAD,
    "MissingDeviceToken": _OUR_FAULT,
    "BadTopic": MISCONFIGURED,
    "MissingTopic": MISCONFIGURED,
    "TopicDisallowed": MISCONFIGURED,
    "IdleTimeout": Outcome(verdict=Verdict.NOT_SENT, cause=Cause.NOT_SENT),
    "ExpiredProviderToken": MISCONFIGURED,  # after a repeat with a new one
    "InvalidProviderToken": MISCONFIGURED,
    "MissingProviderToken": MISCONFIGURED,
    "UnrelatedKeyIdInToken": MISCONFIGURED,
    "BadEnvironmentKeyIdInToken": MISCONFIGURED,
    "BadEnvironmentKeyInToken": MISCONFIGURED,
    "Forbidden": MISCONFIGURED,
    "BadCertificate": MISCONFIGURED,
    "BadCertificateEnvironment": MISCONFIGURED,
    "BadPath": _OUR_FAULT,
    "MethodNotAllowed": _OUR_FAULT,
    "Unregistered": _GONE,
    "ExpiredToken": _GONE,
    "PayloadTooLarge": Outcome(verdict=Verdict.REJECTED, cause=Cause.TOO_LARGE),
    "TooManyRequests": _later(Scope.DEVICE, 60),
    "TooManyProviderTokenUpdates": _later(Scope.ACCOUNT, 20 * 60),
    "InternalServerError": _AWAY,
    "ServiceUnavailable": _AWAY,
    "Shutdown": _AWAY,
}


def read(result: Result, *, foreign_token: bool = False) -> Outcome:
    """What Apple's answer about one notification means.

    `foreign_token`: the device token is known to belong to the other environment, so
    that a refusal of it says nothing about the device.
    """
    if not isinstance(result, Answer):
        return unanswered(result)
    if result.status == 200:
        return _ACCEPTED
    told = json_object(result.body)
    reason = word(told.get("reason"))
    meaning = BY_REASON.get(reason) or _by_http_status(result.status, bool(reason))
    since = None
    if meaning is _GONE:
        since = _moment(told.get("timestamp"))
    elif meaning is MALFORMED and foreign_token:
        meaning = MISCONFIGURED
    return replace(
        meaning, status=result.status, reason=reason or f"HTTP {result.status}", since=since
    )


def _by_http_status(status: int, from_apple: bool) -> Outcome:
    """A reason that is in no manual: no device may be dropped for it."""
    if status >= 500:
        return _AWAY if from_apple else _DOUBT
    if status == 403:
        return MISCONFIGURED
    if status == 429:
        return _later(Scope.DEVICE, 60)
    return _CLOUD_ERROR if 400 <= status < 500 else _DOUBT


def _moment(milliseconds: object) -> dt.datetime | None:
    if not isinstance(milliseconds, int | float):
        return None
    try:
        return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return None
