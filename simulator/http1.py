"""HTTP/1.1 by hand: the part that the clouds, the control API and the phones need.

Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

MAX_HEAD = 32_768  # bytes
LINE_END = b"\r\n"


class Malformed(Exception):
    """Not HTTP/1.1, or too much of it; `status` is the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(slots=True)
class Message:
    """A request or a response: its first line in three parts."""

    first: tuple[str, str, str]
    headers: dict[str, str]
    doubled: frozenset[str]
    body: bytes = b""

    @property
    def keeps_alive(self) -> bool:
        wish = self.headers.get("connection", "").lower()
        version = self.first[2] if self.first[2].startswith("HTTP/") else self.first[0]
        return wish == "keep-alive" if version == "HTTP/1.0" else wish != "close"


async def read_head(reader: asyncio.StreamReader) -> Message | None:
    """First line and headers; None when the other side has closed. Raises Malformed."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as cut:
        if cut.partial.strip():
            raise Malformed(400, "the request was cut off") from None
        return None
    except asyncio.LimitOverrunError:
        raise Malformed(431, "the headers are too large") from None
    lines = raw[:-4].decode("latin-1").split("\r\n")
    parts = lines[0].split(" ", 2)
    if len(parts) == 2:
        parts.append("")
    if len(parts) != 3:
        raise Malformed(400, "the first line is not HTTP/1.1")
    headers: dict[str, str] = {}
    doubled = set()
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip() or not name:
            raise Malformed(400, "a header line is malformed")
        name = name.lower()
        if name in headers:
            doubled.add(name)
        headers[name] = value.strip()
    return Message((parts[0], parts[1], parts[2]), headers, frozenset(doubled))


async def read_body(reader: asyncio.StreamReader, head: Message, *, limit: int) -> bytes:
    """The body of a request, or of a response that is not ended by closing."""
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        return await _chunks(reader, limit)
    length = head.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or "content-length" in head.doubled:
        raise Malformed(400, "content-length is not a number")
    if int(length) > limit:
        raise Malformed(413, f"the body is larger than {limit} bytes")
    try:
        return await reader.readexactly(int(length))
    except asyncio.IncompleteReadError:
        raise Malformed(400, "the body was cut off") from None


async def _chunks(reader: asyncio.StreamReader, limit: int) -> bytes:
    parts: list[bytes] = []
    room = limit
    try:
        while True:
            line = (await reader.readuntil(LINE_END)).partition(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError:
                raise Malformed(400, "a chunk's size is not a number") from None
            room -= size
            if size < 0 or room < 0:
                raise Malformed(413, f"the body is larger than {limit} bytes")
            if size == 0:
                while (await reader.readuntil(LINE_END)) != LINE_END:
                    pass  # trailers
                return b"".join(parts)
            parts.append(await reader.readexactly(size))
            if await reader.readexactly(2) != LINE_END:
                raise Malformed(400, "a chunk is longer than it says")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise Malformed(400, "the body was cut off") from None


def response(
    status: int,
    headers: tuple[tuple[str, str], ...],
    body: bytes,
    *,
    last: bool,
) -> bytes:
    """A whole response; `last` says that the connection closes after it."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    lines.append(f"content-length: {len(body)}")
    if last:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
