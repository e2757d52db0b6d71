"""Header blocks of HTTP/2: a decoder with a cache, and an encoder without a table.

Written for speed: the `hpack` package takes about 50 microseconds for a request, this
takes two when the block repeats. Its static table and Huffman code are used.
Source: RFC 7541; RFC 9113 section 8.2 and 8.3.
"""

from __future__ import annotations

from collections import deque

from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from simulator.exchange import Head, Headers

TABLE_SIZE = 4096  # bytes of the dynamic table we allow a client
CACHED_BLOCK = 64  # bytes; longer blocks carry literals that rarely repeat
CACHED_BLOCKS = 512
ENTRY_OVERHEAD = 32

STATIC: tuple[tuple[str, str], ...] = tuple(
    (name.decode(), value.decode()) for name, value in HeaderTable.STATIC_TABLE
)
PSEUDO = frozenset({":method", ":scheme", ":path", ":authority"})
CONNECTION_ONLY = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)
CONTENT_LENGTH = b"\x0f\x0d"  # literal without indexing, static name 28
STATUS = {200: b"\x88", 204: b"\x89", 206: b"\x8a", 304: b"\x8b", 400: b"\x8c", 404: b"\x8d"}
STATUS_NAME = b"\x08"  # literal without indexing, static name 8


class CompressionFault(Exception):
    """The header block cannot be decoded: the connection is lost."""


class MalformedRequest(Exception):
    """The headers make no request: the stream is reset."""


class HeadDecoder:
    """Turns header blocks of one connection into checked request heads."""

    def __init__(self, max_list: int = 0) -> None:
        self._table: deque[tuple[str, str]] = deque()  # newest first
        self._size = 0
        self._limit = TABLE_SIZE
        self._max_list = max_list
        self._cache: dict[bytes, Head] = {}

    def head(self, block: bytes) -> Head:
        """Raises CompressionFault or, with the table kept in step, MalformedRequest."""
        known = self._cache.get(block)
        if known is not None:
            return known
        fields, changed = self.decode(block)
        if changed:
            self._cache.clear()
        if self._max_list:
            size = sum(len(name) + len(value) + ENTRY_OVERHEAD for name, value in fields)
            if size > self._max_list:
                raise MalformedRequest("header list too large")
        head = request_head(fields)
        if not changed and len(block) <= CACHED_BLOCK and len(self._cache) < CACHED_BLOCKS:
            self._cache[block] = head
        return head

    def decode(self, block: bytes) -> tuple[list[tuple[str, str]], bool]:
        """The fields of a block, and whether it changed the table."""
        fields: list[tuple[str, str]] = []
        changed = False
        at, end = 0, len(block)
        try:
            while at < end:
                byte = block[at]
                if byte & 0x80:  # indexed
                    index, at = _integer(block, at, 7)
                    fields.append(self._entry(index))
                elif byte & 0x40:  # literal, to be indexed
                    field, at = self._literal(block, at, 6)
                    fields.append(field)
                    self._remember(field)
                    changed = True
                elif byte & 0x20:  # table size
                    size, at = _integer(block, at, 5)
                    if size > TABLE_SIZE or fields:
                        raise CompressionFault("table size out of range or out of place")
                    self._limit = size
                    self._evict()
                    changed = True
                else:  # literal, not to be indexed
                    field, at = self._literal(block, at, 4)
                    fields.append(field)
        except IndexError:
            raise CompressionFault("truncated header block") from None
        return fields, changed

    def _entry(self, index: int) -> tuple[str, str]:
        if index == 0:
            raise CompressionFault("index zero")
        if index <= 61:
            return STATIC[index - 1]
        if index - 62 >= len(self._table):
            raise CompressionFault("index beyond the table")
        return self._table[index - 62]

    def _literal(self, block: bytes, at: int, prefix: int) -> tuple[tuple[str, str], int]:
        index, at = _integer(block, at, prefix)
        if index:
            name = self._entry(index)[0]
        else:
            name, at = _text(block, at)
        value, at = _text(block, at)
        return (name, value), at

    def _remember(self, field: tuple[str, str]) -> None:
        self._table.appendleft(field)
        self._size += len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
        self._evict()

    def _evict(self) -> None:
        while self._size > self._limit:
            name, value = self._table.pop()
            self._size -= len(name) + len(value) + ENTRY_OVERHEAD


def _integer(block: bytes, at: int, prefix: int) -> tuple[int, int]:
    limit = (1 << prefix) - 1
    value = block[at] & limit
    at += 1
    if value < limit:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 28:
            raise CompressionFault("integer too large")


def _text(block: bytes, at: int) -> tuple[str, int]:
    """A string as latin-1, which keeps every octet."""
    coded = block[at] & 0x80
    length, at = _integer(block, at, 7)
    end = at + length
    if end > len(block):
        raise CompressionFault("truncated string")
    raw = block[at:end]
    if coded:
        try:
            raw = decode_huffman(raw)
        except Exception as error:
            raise CompressionFault("bad Huffman code") from error
    return raw.decode("latin-1"), end


def request_head(fields: list[tuple[str, str]]) -> Head:
    """Check the shape of a request. Source: RFC 9113 sections 8.2.1, 8.2.2 and 8.3.1."""
    pseudo: dict[str, str] = {}
    headers: dict[str, str] = {}
    doubled: list[str] = []
    for name, value in fields:
        if name.startswith(":"):
            if headers or name in pseudo or name not in PSEUDO:
                raise MalformedRequest("pseudo header out of place")
            pseudo[name] = value
            continue
        if name != name.lower() or not name or name in CONNECTION_ONLY:
            raise MalformedRequest("forbidden header name")
        if "\r" in value or "\n" in value or "\x00" in value:
            raise MalformedRequest("forbidden octet in a header")
        if name == "te" and value != "trailers":
            raise MalformedRequest("te allows trailers alone")
        if name in headers:
            doubled.append(name)
        headers[name] = value
    if ":method" not in pseudo or ":scheme" not in pseudo or not pseudo.get(":path"):
        raise MalformedRequest("pseudo header missing")
    authority = pseudo.get(":authority") or headers.get("host", "")
    return Head(pseudo[":method"], pseudo[":path"], authority, headers, frozenset(doubled))


def response_block(status: int, headers: Headers, length: int) -> bytes:
    """A header block that leaves the client's table alone."""
    parts = [STATUS.get(status) or STATUS_NAME + _coded(str(status))]
    for name, value in headers:
        parts.append(b"\x00" + _coded(name) + _coded(value))
    parts.append(CONTENT_LENGTH + _coded(str(length)))
    return b"".join(parts)


def _coded(text: str) -> bytes:
    raw = text.encode("latin-1")
    length = len(raw)
    if length < 127:
        return bytes((length,)) + raw
    rest = length - 127
    octets = [127]
    while rest >= 128:
        octets.append(rest & 0x7F | 0x80)
        rest >>= 7
    octets.append(rest)
    return bytes(octets) + raw
