"""What reading a cloud's answers has in common. Source: contract/providers.md 1.2."""

from __future__ import annotations

import datetime as dt
import json
from email.utils import parsedate_to_datetime
from typing import Any

from providers.base import Cause, Outcome, Verdict
from providers.http2 import NoAnswer, NotSent


def unanswered(result: NotSent | NoAnswer) -> Outcome:
    """*Refused* and *unknown* never share a class: repeating the wrong one sends twice."""
    if isinstance(result, NotSent):
        return Outcome(
            verdict=Verdict.NOT_SENT,
            reason=result.reason,
            cause=Cause.NOT_SENT,
            retry_after=result.retry_after,
        )
    return Outcome(verdict=Verdict.UNKNOWN, reason=result.reason, cause=Cause.NO_ANSWER)


def json_object(body: bytes) -> dict[str, Any]:
    """The object in a body; empty when it holds anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def word(value: object) -> str:
    """A provider's own word as it may be stored and shown: text, printable, short."""
    if not isinstance(value, str):
        return ""
    return "".join([character for character in value if character.isprintable()])[:100]


def retry_after(header: str, now: float) -> float | None:
    """Seconds of a Retry-After, given as seconds or as a date; None when it is neither."""
    header = header.strip()
    if header.isascii() and header.isdigit():
        return min(float(header), 86400.0)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return min(max(0.0, moment.timestamp() - now), 86400.0)
