"""How many SMS a text is cut into. Source: contract/providers.md 6; 3GPP TS 23.038, 23.040.

A concatenated part gives six bytes to its header, which leaves 134 bytes or 153 septets. The
text is really cut here, with neither an escape nor a surrogate pair torn apart.
"""

from __future__ import annotations

_ROWS = (
    "@£$¥èéùìòÇ\nØø\rÅå",
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ",  # the escape stands in this row
    " !\"#¤%&'()*+,-./",
    "0123456789:;<=>?",
    "¡ABCDEFGHIJKLMNO",
    "PQRSTUVWXYZÄÖÑÜ§",
    "¿abcdefghijklmno",
    "pqrstuvwxyzäöñüà",
)
_SEPTETS = {letter: letter for row in _ROWS for letter in row}
_SEPTETS |= {letter: f"\x1b{letter}" for letter in "\f^{}\\[~]|€"}


def cut(text: str) -> list[str]:
    """The parts, in septets or in UTF-16 code units; none for an empty text."""
    if all(letter in _SEPTETS for letter in text):
        return _cut([_SEPTETS[letter] for letter in text], whole=160, part=153)
    units = [letter.encode("utf-16-be", "surrogatepass") for letter in text]
    return _cut(["u" * (len(unit) // 2) for unit in units], whole=70, part=67)


def _cut(pieces: list[str], *, whole: int, part: int) -> list[str]:
    if sum(map(len, pieces)) <= whole:
        return ["".join(pieces)] if pieces else []
    parts = [""]
    for piece in pieces:
        if len(parts[-1]) + len(piece) > part:
            parts.append("")
        parts[-1] += piece
    return parts
