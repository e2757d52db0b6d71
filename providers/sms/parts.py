"""How many SMS a text takes, and what they cost.

Source: contract/providers.md 6; 3GPP TS 23.038, 6.2.1 (the alphabet and its extension).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from providers.base import PayloadTooLarge

MOST_PARTS = 10

GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_7_EXTENSION = frozenset("\f^{}\\[~]|€")  # two septets each: an escape goes before it


class Encoding(StrEnum):
    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


# Units of a text that fits into one SMS, and of each part of a longer one: its header takes
# the rest. A unit is a septet of GSM-7, or two bytes of UCS-2.
SINGLE = {Encoding.GSM_7: 160, Encoding.UCS_2: 70}
PART = {Encoding.GSM_7: 153, Encoding.UCS_2: 67}


@dataclass(frozen=True, slots=True)
class Parts:
    """A text as it goes over the air."""

    encoding: Encoding
    units: int
    count: int  # SMS; 0 for an empty text


class TooManyParts(PayloadTooLarge):
    """A text that nobody would want to pay for, or read; `size` and `limit` are parts."""

    def __str__(self) -> str:
        return f"The text takes {self.size} SMS; at most {self.limit} are allowed."


def parts(text: str) -> Parts:
    """What a text takes. No escape and no surrogate pair is torn between two parts."""
    if all(character in GSM_7 or character in GSM_7_EXTENSION for character in text):
        encoding = Encoding.GSM_7
        widths = [2 if character in GSM_7_EXTENSION else 1 for character in text]
    else:
        encoding = Encoding.UCS_2
        widths = [2 if ord(character) > 0xFFFF else 1 for character in text]
    units = sum(widths)
    if units <= SINGLE[encoding]:
        return Parts(encoding, units, 1 if units else 0)
    count, room = 0, 0
    for width in widths:
        if width > room:
            count, room = count + 1, PART[encoding]
        room -= width
    return Parts(encoding, units, count)


@dataclass(frozen=True, slots=True)
class Price:
    """What a gateway asks for one part."""

    per_part: Decimal
    currency: str  # ISO 4217

    def of(self, count: int) -> Decimal:
        """The price of so many parts."""
        return self.per_part * count
