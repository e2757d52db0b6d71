"""Load a picture as a phone would, as far as it tells what it is: kind, measures, bytes.

Every hop is guarded as providers/guarded.py says, and bounded in time and in bytes.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urljoin

import httpx

from providers import guarded
from providers.outside import IPNetwork

SECONDS = 5.0  # for everything, with all redirects
HEAD = 262_144  # bytes that are looked into; the measures of a JPEG stand behind its notes
MOST = 10_485_760  # bytes that are counted: more is too large for every phone
HOPS = 4  # addresses, one leading to the next


class Kind(StrEnum):
    """What a file is by its own first bytes, whatever its server calls it."""

    JPEG = "JPEG"
    PNG = "PNG"
    GIF = "GIF"
    BMP = "BMP"
    WEBP = "WebP"
    AVIF = "AVIF"
    HEIC = "HEIC"
    SVG = "SVG"


@dataclass(frozen=True, slots=True)
class Picture:
    """What was found at an address. Without a kind it is no picture, or was not loaded."""

    kind: str = ""  # one of Kind
    width: int = 0  # pixels; 0: unknown
    height: int = 0
    size: int = 0  # bytes; above MOST: at least so many
    status: int = 0  # 0: there was no answer
    named: str = ""  # what the server calls it: text/html
    problem: str = ""  # why there was no answer


async def load(
    url: str,
    *,
    allowed: Sequence[IPNetwork] = (),
    proxy: str | None = None,
    seconds: float = SECONDS,
) -> Picture:
    """What a phone would find there; `allowed`: networks of ours that may be called."""
    try:
        async with asyncio.timeout(seconds):
            for _ in range(HOPS):
                found = await _hop(url, allowed, proxy)
                if isinstance(found, Picture):
                    return found
                url = urljoin(url, found)
                if not url.startswith("https://"):
                    return Picture(problem="it leads on to an address without https")
        return Picture(problem="its addresses lead on and on")
    except guarded.FAILURES as failure:
        return Picture(problem=guarded.problem(failure, seconds))


async def _hop(url: str, allowed: Sequence[IPNetwork], proxy: str | None) -> Picture | str:
    """What is there, or the address it leads on to."""
    accepted = {"accept": "image/*"}
    async with guarded.asked("GET", url, accepted, allowed=allowed, proxy=proxy) as response:
        if response.has_redirect_location:  # a 3xx may lead nowhere
            return response.headers["location"]
        named = response.headers.get("content-type", "").partition(";")[0].strip().lower()[:60]
        if response.status_code != httpx.codes.OK:
            return Picture(status=response.status_code, named=named)
        said = response.headers.get("content-length", "")
        announced = int(said) if said.isascii() and said.isdecimal() and len(said) < 15 else None
        head, size = bytearray(), 0
        async for piece in response.aiter_raw():
            size += len(piece)
            head += piece[: HEAD - len(head)]
            if size > MOST or (announced is not None and len(head) >= HEAD):
                break
        kind, width, height = look(bytes(head))
        return Picture(
            kind=kind,
            width=width,
            height=height,
            size=size if announced is None else max(size, announced),
            status=response.status_code,
            named=named,
        )


def look(head: bytes) -> tuple[str, int, int]:
    """Kind, width and height of a file by its first bytes; "" for what is no picture.

    >>> look(b"GIF89a" + bytes([32, 0, 16, 0]))
    (<Kind.GIF: 'GIF'>, 32, 16)
    """
    for beginning, kind, measures in _MEASURED:
        if head.startswith(beginning):
            try:
                return kind, *measures(head)
            except struct.error:  # cut off, or another kind of file behind the same letters
                return "", 0, 0
    return _unmeasured(head), 0, 0


def _unmeasured(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        known = {b"avif": Kind.AVIF, b"avis": Kind.AVIF, b"heic": Kind.HEIC, b"heix": Kind.HEIC}
        return known.get(head[8:12], "")
    start = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    drawn = start.startswith((b"<?xml", b"<svg", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in head
    return Kind.SVG if drawn else ""


def _of_png(head: bytes) -> tuple[int, int]:
    measures: tuple[int, int] = struct.unpack_from(">II", head, 16)
    return measures


def _of_gif(head: bytes) -> tuple[int, int]:
    measures: tuple[int, int] = struct.unpack_from("<HH", head, 6)
    return measures


def _of_jpeg(head: bytes) -> tuple[int, int]:
    """Of the first frame header (ITU T.81, B.2.2); unknown where it stands too far behind."""
    at = 2
    while at + 9 <= len(head):
        if head[at] != 0xFF:
            return 0, 0
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        if marker == 0xFF:  # filling
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            at += 2
        else:
            (length,) = struct.unpack_from(">H", head, at + 2)
            at += 2 + length
    return 0, 0


def _of_bmp(head: bytes) -> tuple[int, int]:
    (header,) = struct.unpack_from("<I", head, 14)
    if header == 12:  # that of OS/2
        old: tuple[int, int] = struct.unpack_from("<HH", head, 18)
        return old
    width, height = struct.unpack_from("<ii", head, 18)
    return abs(width), abs(height)


def _of_webp(head: bytes) -> tuple[int, int]:
    """Of its first chunk: lossy (RFC 6386, 9.1), lossless or extended (RFC 9649)."""
    if head[8:12] != b"WEBP":
        raise struct.error("a sound or a film")
    chunk = head[12:16]
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8X":
        low, high = struct.unpack_from("<IH", head, 24)
        return (low & 0xFFFFFF) + 1, (low >> 24 | high << 8) + 1
    return 0, 0


_MEASURED: tuple[tuple[bytes, Kind, Callable[[bytes], tuple[int, int]]], ...] = (
    (b"\x89PNG\r\n\x1a\n", Kind.PNG, _of_png),
    (b"\xff\xd8\xff", Kind.JPEG, _of_jpeg),
    (b"GIF87a", Kind.GIF, _of_gif),
    (b"GIF89a", Kind.GIF, _of_gif),
    (b"BM", Kind.BMP, _of_bmp),
    (b"RIFF", Kind.WEBP, _of_webp),
)
