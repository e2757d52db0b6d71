"""Header compression, as much of HPACK (RFC 7541) as a sender needs.

Writing: headers that stay the same enter the peer's table once and are one byte each
from then on; those that differ are literals without indexing, which leave the table
alone (contract/providers.md H2-10). Reading: we announce a table of size 0, so a block
can be decoded by itself, in any order or never.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING

from hpack import Decoder
from hpack.exceptions import HPACKError
from hpack.table import HeaderTable

if TYPE_CHECKING:
    from providers.http2.messages import Common

TABLE_SIZE = 4096  # bytes; the default of RFC 7540, and the most we use of a larger one
MAX_HEADER_LIST = 65536  # bytes of one answer's headers, decoded

_STATIC_FIELDS = {field: index for index, field in enumerate(HeaderTable.STATIC_TABLE, 1)}
_STATIC_NAMES = {
    name: index for index, (name, _) in reversed([*enumerate(HeaderTable.STATIC_TABLE, 1)])
}
_FIRST_DYNAMIC = len(HeaderTable.STATIC_TABLE) + 1
_ENTRY_OVERHEAD = 32  # RFC 7541 4.1


class HeaderError(Exception):
    """A header block that cannot be read."""


def integer(value: int, prefix_bits: int, flags: int = 0) -> bytes:
    """RFC 7541 5.1. `flags` are the bits above the prefix."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes((flags | value,))
    out = bytearray((flags | limit,))
    value -= limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _string(value: bytes) -> bytes:
    return integer(len(value), 7) + value


@lru_cache(maxsize=256)
def _literal_name(name: bytes) -> bytes:
    index = _STATIC_NAMES.get(name)
    return integer(index, 4) if index else b"\0" + _string(name)


_LENGTHS = tuple(integer(length, 7) for length in range(1024))


def literal(name: bytes, value: bytes) -> bytes:
    """A field that enters no table."""
    size = len(value)
    return _literal_name(name) + (_LENGTHS[size] if size < 1024 else integer(size, 7)) + value


@lru_cache(maxsize=8192)
def content_length(size: int) -> bytes:
    return literal(b"content-length", b"%d" % size)


class HeaderWriter:
    """Our side of one connection's compression: what the peer's table holds now."""

    def __init__(self) -> None:
        self._capacity = TABLE_SIZE
        self._lowest: int | None = None  # smallest capacity since the last block, if it changed
        self._size = 0
        self._fields: deque[tuple[bytes, bytes]] = deque()  # oldest first
        self._numbers: dict[tuple[bytes, bytes], int] = {}  # field → how many came before it
        self._inserted = 0
        self._cached: tuple[Common, bytes, bytes] | None = None

    def resize(self, peer_size: int) -> None:
        """Follow the peer's SETTINGS_HEADER_TABLE_SIZE.

        The next block opens with the change, and with the lowest size in between:
        a decoder that misses it must give up the connection (RFC 7541 4.2).
        """
        capacity = min(peer_size, TABLE_SIZE)
        if capacity == self._capacity:
            return
        self._lowest = capacity if self._lowest is None else min(self._lowest, capacity)
        self._capacity = capacity
        self._evict(capacity)
        self._cached = None

    def encode(self, common: Common) -> tuple[bytes, bytes]:
        """Pseudo headers and others, for the very next block of this connection."""
        cached = self._cached
        if cached is not None and cached[0] is common:
            return cached[1], cached[2]
        before = self._inserted
        update = self._size_update()
        fitting = self._fitting(common)
        pseudo = update + b"".join([self._encode(field, fitting) for field in common.pseudo])
        regular = b"".join([self._encode(field, fitting) for field in common.regular])
        stable = not update and self._inserted == before  # next time it will be the same
        self._cached = (common, pseudo, regular) if stable else None
        return pseudo, regular

    def _size_update(self) -> bytes:
        if self._lowest is None:
            return b""
        update = integer(self._capacity, 5, 0x20)
        if self._lowest < self._capacity:
            update = integer(self._lowest, 5, 0x20) + update
        self._lowest = None
        return update

    def _fitting(self, common: Common) -> set[tuple[bytes, bytes]]:
        """The fields that fit into the table together; others would push them out again."""
        free = self._capacity
        fitting = set()
        for field in common.pseudo + common.regular:
            if field not in _STATIC_FIELDS and _entry_size(field) <= free:
                free -= _entry_size(field)
                fitting.add(field)
        return fitting

    def _encode(self, field: tuple[bytes, bytes], fitting: set[tuple[bytes, bytes]]) -> bytes:
        static = _STATIC_FIELDS.get(field)
        if static:
            return integer(static, 7, 0x80)
        number = self._numbers.get(field)
        if number is not None:
            return integer(_FIRST_DYNAMIC + self._inserted - 1 - number, 7, 0x80)
        if field not in fitting:
            return literal(*field)
        name, value = field
        self._evict(self._capacity - _entry_size(field))
        self._fields.append(field)
        self._numbers[field] = self._inserted
        self._inserted += 1
        self._size += _entry_size(field)
        index = _STATIC_NAMES.get(name)
        named = integer(index, 6, 0x40) if index else b"\x40" + _string(name)
        return named + _string(value)

    def _evict(self, room: int) -> None:
        while self._size > room:
            oldest = self._fields.popleft()
            del self._numbers[oldest]
            self._size -= _entry_size(oldest)


def _entry_size(field: tuple[bytes, bytes]) -> int:
    return len(field[0]) + len(field[1]) + _ENTRY_OVERHEAD


def decode(block: bytes) -> dict[str, str]:
    """The fields of an answer; of a doubled one the last. Raises HeaderError."""
    decoder = Decoder(max_header_list_size=MAX_HEADER_LIST)
    decoder.max_allowed_table_size = 0
    decoder.header_table_size = 0
    try:
        fields = decoder.decode(block, raw=True)
    except HPACKError as error:
        raise HeaderError(type(error).__name__) from None
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in fields}


def status_of(block: bytes) -> int:
    """The status an answer's header block begins with. Raises HeaderError."""
    if block[:1] == b"\x88":
        return 200
    status = decode(block).get(":status", "")
    if len(status) == 3 and status.isascii() and status.isdigit():
        return int(status)
    raise HeaderError("no :status")
