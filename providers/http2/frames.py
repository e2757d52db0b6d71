"""The frames of HTTP/2 (RFC 9113), packed and unpacked."""

from __future__ import annotations

import json
import struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9

END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 1, 1, 4, 8, 32  # flags
CROPPED = PADDED | HAS_PRIORITY  # the payload is not all content

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3  # settings
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6

NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR = 0, 1, 3, 6
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 7, 8, 9, 11
_CODES = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_SIZE = 9  # bytes before each frame's payload
LARGEST_FRAME = 16384  # bytes of payload: what we accept, and what everybody must
LARGEST_ID = 2**31 - 1
LARGEST_WINDOW = 2**31 - 1
DEFAULT_WINDOW = 65535

_HEAD = struct.Struct(">HBBBL")  # 24 bits of length, type, flags, stream
unpack_head = _HEAD.unpack_from
pack_head = _HEAD.pack
_SETTING = struct.Struct(">HL")
_NUMBER = struct.Struct(">L")
_TWO_NUMBERS = struct.Struct(">LL")


class FrameError(Exception):
    """Something no peer may send: the connection is given up with this code."""

    def __init__(self, code: int, problem: str) -> None:
        super().__init__(problem)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return pack_head(size >> 8, size & 255, kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    payload = b"".join([_SETTING.pack(name, value) for name, value in values.items()])
    return frame(SETTINGS, 0, 0, payload)


def window_update(stream: int, size: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, _NUMBER.pack(size))


def reset(stream: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream, _NUMBER.pack(code))


def goaway(code: int) -> bytes:
    return frame(GOAWAY, 0, 0, _TWO_NUMBERS.pack(0, code))


def code_name(code: int) -> str:
    return _CODES[code] if code < len(_CODES) else f"code {code}"


def number(payload: bytes) -> int:
    """The one number of RST_STREAM and WINDOW_UPDATE."""
    if len(payload) != 4:
        raise FrameError(FRAME_SIZE_ERROR, "a number is not 4 bytes long")
    return int.from_bytes(payload, "big")


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    if len(payload) % _SETTING.size:
        raise FrameError(FRAME_SIZE_ERROR, "settings are not whole")
    return list(_SETTING.iter_unpack(payload))


def read_goaway(payload: bytes) -> tuple[int, int, bytes]:
    """Last stream id, error code, debug data."""
    if len(payload) < _TWO_NUMBERS.size:
        raise FrameError(FRAME_SIZE_ERROR, "GOAWAY is too short")
    last, code = _TWO_NUMBERS.unpack_from(payload)
    return last & LARGEST_ID, code, payload[_TWO_NUMBERS.size :]


def content(flags: int, payload: bytes) -> bytes:
    """The payload of DATA or HEADERS without padding and priority."""
    start, end = 0, len(payload)
    if flags & PADDED:
        if not payload:
            raise FrameError(FRAME_SIZE_ERROR, "no room for the padding's length")
        start, end = 1, end - payload[0]
    if flags & HAS_PRIORITY:
        start += 5
    if start > end:
        raise FrameError(PROTOCOL_ERROR, "more padding than frame")
    return payload[start:end]


def reason_told(debug: bytes) -> str:
    """The debug data of a GOAWAY: APNs puts `{"reason": "..."}` there (H2-6), others a text
    or nothing. Safe to show."""
    text = debug[:1000].decode("utf-8", "replace")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = text
    if isinstance(told, dict):
        told = told.get("reason", "")
    if not isinstance(told, str):
        return ""
    return "".join([character for character in told if character.isprintable()])[:100]
