"""What a push service's answer means. Source: contract/providers.md 1.2 and 5.4."""

from __future__ import annotations

from dataclasses import replace

from providers.answers import json_object, retry_after, word
from providers.base import Cause, Outcome, Verdict
from providers.gateway import Answered

_GONE = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED)
_REFUSED = Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED)
_TOO_LARGE = Outcome(verdict=Verdict.REJECTED, cause=Cause.TOO_LARGE)
_CLOUD_ERROR = Outcome(verdict=Verdict.REJECTED, cause=Cause.CLOUD_ERROR)
# Of our key: or the subscription was made with another. Whoever sees several answers decides.
_VAPID = Outcome(verdict=Verdict.MISCONFIGURED, cause=Cause.CREDENTIAL_REFUSED)
_LATER = Outcome(verdict=Verdict.TRY_LATER, cause=Cause.CLOUD_UNAVAILABLE, retry_after=60)
_SOON = replace(_LATER, retry_after=1, asked=True)
_DOUBT = Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER)

BY_ERRNO = {  # Mozilla's
    102: _GONE,
    103: _GONE,
    104: _TOO_LARGE,
    105: _GONE,
    106: _GONE,
    109: _VAPID,
    201: _LATER,
    202: _SOON,
}
BY_REASON = {"BadJwtToken": _VAPID, "VapidPkHashMismatch": _VAPID}  # Apple's, whatever the status
BY_STATUS = {
    401: _VAPID,
    403: _VAPID,
    404: _GONE,
    410: _GONE,
    413: _TOO_LARGE,
    429: _LATER,
}


def read(answer: Answered, now: float) -> Outcome:
    """One answer by itself; a 401 or 403 is MISCONFIGURED until others are known."""
    status = answer.status
    if 200 <= status < 300:
        name = answer.location.rstrip("/").rpartition("/")[2]
        return Outcome(verdict=Verdict.ACCEPTED, status=status, provider_id=word(name))
    told = json_object(answer.body)
    errno = told.get("errno")
    errno = errno if isinstance(errno, int) else 0
    reason = word(told.get("reason")) or word(told.get("error")) or word(told.get("message"))
    meaning = BY_ERRNO.get(errno) or BY_REASON.get(reason) or _by_status(status, bool(told))
    said = " ".join(filter(None, [f"errno {errno}" if errno else "", reason]))
    outcome = replace(meaning, status=status, reason=said or f"HTTP {status}")
    if outcome.verdict is Verdict.TRY_LATER:
        asked = retry_after(answer.retry_after, now)
        if asked is not None:
            outcome = replace(outcome, retry_after=asked, asked=True)
    return outcome


def _by_status(status: int, from_service: bool) -> Outcome:
    if status in (502, 504) and not from_service:
        return _DOUBT  # from a gateway in between
    if status >= 500:
        return _LATER
    if status == 400:
        return _REFUSED
    return BY_STATUS.get(status, _CLOUD_ERROR)
