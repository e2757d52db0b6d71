"""What a gateway tells of a message later, in no vendor's words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from providers.answers import word
from providers.base import Cause


class State(StrEnum):
    """How far a message has come. Source: contract/providers.md 6.3."""

    SENT = "sent"  # on its way, or with the operator
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """News of one message."""

    message_id: str  # ours; whoever reads it checks its form
    state: State
    cause: Cause = Cause.NONE  # why it failed or expired
    answer: str = ""  # the gateway's own words
    at: datetime | None = None  # None: now, or a time that cannot be read
    closes: str = ""  # the number that can no longer be sent to, as the gateway writes it


def sentence(told: object) -> str:
    """A gateway's sentence, without the phone numbers that it may repeat."""
    return " ".join(part for part in word(told).split() if sum(map(str.isdigit, part)) < 5)
