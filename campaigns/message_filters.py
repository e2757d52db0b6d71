"""Figures of a campaign → the messages that they count: what an address of the log asks for.

A figure's address is made of these names, so that a number and its rows cannot disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from django.db import OperationalError
from django.db.models import QuerySet, Sum

from campaigns import counting, statistics
from campaigns.models import Bulk, Counter, Message, Reason, ReasonCounter
from campaigns.variants import NAMES
from devices.models import Platform
from devices.versions import pack_version, unpack_version

PATIENCE = 250  # milliseconds for counting what no counter tells
_S = Message.State
# As the funnel counts them: whoever saw it had it delivered, and the cloud accepted it.
STATES: dict[str, tuple[str, tuple[Message.State, ...]]] = {
    "accepted": ("Accepted by the cloud", (_S.ACCEPTED, _S.DELIVERED, _S.SEEN, _S.CLICKED)),
    "silent": ("Accepted, without receipt", (_S.ACCEPTED,)),
    "delivered": ("Delivered", (_S.DELIVERED, _S.SEEN, _S.CLICKED)),
    "seen": ("Seen", (_S.SEEN, _S.CLICKED)),
    "clicked": ("Tapped", (_S.CLICKED,)),
    "failed": ("Failed", (_S.FAILED,)),
    "expired": ("Expired", (_S.EXPIRED,)),
    "unknown": ("Unknown", (_S.UNKNOWN,)),
}
NONE_REPORTED = "-"  # of languages and versions
LONGEST = 35  # characters of a language


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages are asked for; what is empty or None may be anything."""

    state: str = ""
    reason: int | None = None
    platform: int | None = None
    variant: int | None = None
    language: str = ""  # as devices reported it
    version: str = ""  # of the app, in its plainest form

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """From an address; what it cannot be asks for nothing."""
        variant, version = query.get("variant", ""), query.get("version", "")
        return cls(
            state=query["state"] if query.get("state", "") in STATES else "",
            reason=_choice(query.get("reason", ""), Reason),
            platform=_choice(query.get("platform", ""), Platform),
            variant=int(variant) if variant in map(str, range(len(NAMES))) else None,
            language=query.get("language", "").replace("\x00", "")[:LONGEST],
            version=(unpack_version(pack_version(version)) or NONE_REPORTED) if version else "",
        )

    @property
    def asks(self) -> bool:
        return self != Filter()

    def narrow(self, messages: QuerySet[Message]) -> QuerySet[Message]:
        if self.state:
            messages = messages.filter(state__in=STATES[self.state][1])
        if self.language:
            language = "" if self.language == NONE_REPORTED else self.language
            messages = messages.filter(language=language)
        if self.version:
            messages = messages.filter(app_version=pack_version(self.version))
        for column in ("reason", "platform", "variant"):
            if (value := getattr(self, column)) is not None:
                messages = messages.filter(**{column: value})
        return messages

    def count(self, bulk: Bulk) -> int | None:
        """How many there are of a bulk, of any number; None where that takes too long."""
        parts = {
            name: value
            for name in ("reason", "platform", "variant")
            if (value := getattr(self, name)) is not None
        }
        if self.language or self.version or ("reason" in parts and (self.state or len(parts) > 1)):
            return self._count_rows(bulk)
        if self.reason is not None:
            reasons = ReasonCounter.objects.filter(bulk=bulk, **parts)
            return int(reasons.aggregate(total=Sum("messages", default=0))["total"])
        names = {"": "sent", "silent": "accepted"}
        sums = Counter.objects.filter(bulk=bulk, **parts).aggregate(
            total=Sum(names.get(self.state, self.state), default=0),
            delivered=Sum("delivered", default=0),
        )
        return int(sums["total"] - (sums["delivered"] if self.state == "silent" else 0))

    def _count_rows(self, bulk: Bulk) -> int | None:
        try:
            with counting.patience(PATIENCE):
                return self.narrow(statistics.messages(bulk)).order_by().count()
        except OperationalError:
            return None


def _choice(text: str, choices: type[Reason] | type[Platform]) -> int | None:
    return {str(value): value for value in choices.values}.get(text)
