"""Receipts: Huawei is the only cloud that tells what became of a push.

Source: contract/providers.md 4.7.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from providers.answers import word
from providers.base import Cause
from providers.sms.reports import State

PATIENCE = 300.0  # seconds that the clocks may differ


class Effect(Enum):
    """What a result says about the device, beside its message."""

    NONE = "none"
    CLOSE = "close"  # its token is dead
    MUTE = "mute"  # its owner wants no notifications
    REST = "rest"  # nobody has seen it for a month


@dataclass(frozen=True, slots=True)
class Meaning:
    state: State
    cause: Cause = Cause.NONE
    effect: Effect = Effect.NONE
    words: str = ""


DELIVERED = 0
RESULTS = {
    DELIVERED: Meaning(State.DELIVERED),
    2: Meaning(State.FAILED, Cause.UNINSTALLED, Effect.CLOSE, "app not installed"),
    5: Meaning(State.FAILED, Cause.UNINSTALLED, Effect.CLOSE, "another user of the phone"),
    6: Meaning(State.EXPIRED, Cause.NOTIFICATIONS_OFF, Effect.MUTE, "notifications are off"),
    10: Meaning(State.FAILED, Cause.DORMANT, Effect.REST, "not seen for 30 days"),
    15: Meaning(State.EXPIRED, Cause.REPLACED, words="replaced by a newer message"),
    27: Meaning(State.SENT, words="app not running, kept for later"),
    102: Meaning(State.FAILED, Cause.LIMITED, words="daily limit of the device"),
    201: Meaning(State.FAILED, Cause.LIMITED, words="switched off by Huawei's rules"),
    256: Meaning(State.FAILED, Cause.LIMITED, words="marketing limit"),
}
OTHER = Meaning(State.FAILED, Cause.CLOUD_ERROR, words="failed")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one push to one token.

    `message_id` is the message's own where `exact`, else that of some message of its bulk.
    """

    message_id: UUID
    exact: bool
    token: str
    meaning: Meaning
    answer: str  # Huawei's code, what it means, and the id of its request
    at: dt.datetime | None


def read(statuses: Iterable[object]) -> list[Receipt]:
    """Entries in either format; what is none of ours is left out."""
    return [receipt for one in statuses if (receipt := _read(one)) is not None]


def _read(one: object) -> Receipt | None:
    if not isinstance(one, Mapping):
        return None
    told = one.get("deliveryStatus")
    if isinstance(told, Mapping):
        result, moment = told.get("result"), told.get("timestamp")
    else:
        result, moment = one.get("status"), one.get("timestamp")
    number, token = _number(result), one.get("token")
    kind, dash, identifier = word(one.get("biTag")).partition("-")
    if number is None or not isinstance(token, str) or not dash or kind not in ("m", "b"):
        return None
    try:
        message_id = UUID(identifier)
    except ValueError:
        return None
    meaning = RESULTS.get(number, OTHER)
    request_id = word(one.get("requestId"))
    answer = f"receipt {number} {meaning.words}"
    if request_id:
        answer += f" (request {request_id})"
    return Receipt(message_id, kind == "m", token, meaning, answer, _moment(moment))


def _number(value: object) -> int | None:
    """A whole number, also one written as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:18])
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _moment(value: object) -> dt.datetime | None:
    """Of Unix milliseconds."""
    number = _number(value)
    if number is None or not 0 <= number < 10**13:
        return None
    return dt.datetime.fromtimestamp(number / 1000, dt.UTC)


@dataclass(frozen=True, slots=True)
class Signature:
    """The header X-HUAWEI-CALLBACK-ID: `timestamp=…;nonce=…;value=…`."""

    timestamp: str
    nonce: str
    value: bytes

    @classmethod
    def read(cls, header: str) -> Signature | None:
        split = (part.partition("=") for part in header.split(";"))
        parts = {name.strip(): value.strip() for name, _, value in split}
        timestamp, nonce = parts.get("timestamp", ""), parts.get("nonce", "")
        try:
            value = base64.b64decode(parts.get("value", ""), validate=True)
        except (binascii.Error, ValueError):
            return None
        readable = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 16
        if not readable or not 0 < len(nonce) <= 200 or not value:
            return None
        return cls(timestamp, nonce, value)

    def fits(self, key: str, user: str) -> bool:
        signed = (self.timestamp + self.nonce + user).encode()
        expected = hmac.new(key.encode(), signed, hashlib.sha256).digest()
        return hmac.compare_digest(expected, self.value)

    def is_recent(self, now: float) -> bool:
        """Within five minutes; milliseconds, or seconds as older senders write them."""
        at = float(self.timestamp)
        return abs(now - (at / 1000 if at > 1e11 else at)) <= PATIENCE
