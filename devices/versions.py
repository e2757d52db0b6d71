"""Versions as numbers that sort: 4.9 < 4.10 and 1.16.0-SNAPSHOT < 1.16.0 < 1.16.0.1.

The same function stands in the database as pack_version(text), made by a migration; a test
holds the two equal.
"""

import re

# Blanks are named: what else counts as one differs between Python and the database's locale.
_VERSION = re.compile(
    r"[ \t\n\v\f\r]*[vV]?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:\.([0-9]+))?(.*)", re.DOTALL
)
_PRERELEASE = re.compile(r"[-_. ]?[A-Za-z]|-")
_BITS = (15, 16, 16, 15)  # and one bit that says "a release"


def pack_version(text: str) -> int:
    """63 bits of a version; 0 when there is no number in it. Parts too large count as largest."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return 0
    packed = 0
    for bits, part in zip(_BITS, match.groups(), strict=False):
        packed = packed << bits | min(int((part or "0")[:9]), (1 << bits) - 1)
    return packed << 1 | (not _PRERELEASE.match(match[5]))


def unpack_version(packed: int) -> str:
    """A version in its plainest form, for labels; "" for 0."""
    if not packed:
        return ""
    release, packed = packed & 1, packed >> 1
    parts: list[int] = []
    for bits in reversed(_BITS):
        parts.insert(0, packed & (1 << bits) - 1)
        packed >>= bits
    while len(parts) > 2 and not parts[-1]:
        parts.pop()
    return ".".join(map(str, parts)) + ("" if release else "-pre")
