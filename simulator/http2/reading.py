"""From bytes to frames: everything that can be checked without knowing the streams."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import cast

from simulator.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    ENHANCE_YOUR_CALM,
    FRAME,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    LONG,
    MAX_FRAME,
    MAX_WINDOW,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTING,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    ConnectionFault,
    frame,
    unpadded,
)

MAX_BLOCK = 65536  # bytes of one header block with its continuations
MAX_UNREAD = 4 * 1024 * 1024  # bytes of ours a client may leave unread


class FrameReader(asyncio.BufferedProtocol):
    """Whatever arrives in one read is answered in one write."""

    def __init__(self) -> None:
        self._out: list[bytes] = []
        self._view = memoryview(bytearray(65536))
        self._rest = b""
        self._greeted = False  # the preface came
        self._settled = False  # so did the first SETTINGS
        self._block: tuple[int, int, bytearray] | None = None  # stream, flags, so far
        self._heard = 0.0  # loop time of the newest bytes

    # ----------------------------------------------- what the connection does with it

    @abstractmethod
    def _on_block(self, flags: int, number: int, block: bytes) -> None: ...

    @abstractmethod
    def _on_data(self, flags: int, number: int, payload: bytes) -> None: ...

    @abstractmethod
    def _on_reset(self, number: int) -> None: ...

    @abstractmethod
    def _on_setting(self, name: int, value: int) -> None: ...

    @abstractmethod
    def _on_acknowledged(self) -> None: ...

    @abstractmethod
    def _on_window(self, number: int, grown: int) -> None: ...

    @abstractmethod
    def _on_farewell(self) -> None: ...

    @abstractmethod
    def _after_reading(self) -> None: ...

    @abstractmethod
    def _before_writing(self) -> None: ...

    @abstractmethod
    def _on_fault(self, fault: ConnectionFault) -> None: ...

    # ------------------------------------------------------------------ the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        if self._transport.is_closing():
            return
        self._heard = self._loop.time()
        try:
            self._rest = self._read(self._rest + self._view[:nbytes])
            self._after_reading()
        except ConnectionFault as fault:
            self._rest = b""
            self._on_fault(fault)
        self.flush()

    def flush(self) -> None:
        """Let everything that is ready leave, the ledger's lines first."""
        self._before_writing()
        if self._out and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
            if self._transport.get_write_buffer_size() > MAX_UNREAD:
                self._transport.abort()
        self._out.clear()

    def abort(self) -> None:
        """Reset the connection; what it still owed is never answered."""
        self._before_writing()
        self._out.clear()
        self._transport.abort()

    # ------------------------------------------------------------------------- frames

    def _read(self, data: bytes) -> bytes:
        """Take every whole frame of `data` and return what is left of it."""
        at, end = 0, len(data)
        if not self._greeted:
            if not PREFACE.startswith(data[: len(PREFACE)]):
                raise ConnectionFault(PROTOCOL_ERROR, "no connection preface")
            if end < len(PREFACE):
                return data
            self._greeted = True
            at = len(PREFACE)
        while end - at >= 9:
            high, low, kind, flags, stream = FRAME.unpack_from(data, at)
            size = high << 8 | low
            if size > MAX_FRAME:
                raise ConnectionFault(FRAME_SIZE_ERROR, "frame too large")
            stop = at + 9 + size
            if stop > end:
                break
            payload = data[at + 9 : stop]
            at = stop
            self._on_frame(kind, flags, stream & MAX_WINDOW, payload)
            if self._transport.is_closing():
                return b""
        return data[at:]

    def _on_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block is not None and kind != CONTINUATION:
            raise ConnectionFault(PROTOCOL_ERROR, "header block interrupted")
        if not self._settled and kind != SETTINGS:
            raise ConnectionFault(PROTOCOL_ERROR, "SETTINGS must come first")
        if kind == DATA:
            self._on_data(flags, stream, payload)
        elif kind == HEADERS:
            self._on_headers(flags, stream, payload)
        elif kind in _ON_CONNECTION:
            if stream:
                raise ConnectionFault(PROTOCOL_ERROR, "a frame of the connection on a stream")
            self._on_connection_frame(kind, flags, payload)
        else:
            self._on_stream_frame(kind, flags, stream, payload)

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & PADDED:
            payload = unpadded(payload)
        if flags & WITH_PRIORITY:
            if len(payload) < 5:
                raise ConnectionFault(FRAME_SIZE_ERROR, "HEADERS too short")
            if LONG.unpack_from(payload)[0] & MAX_WINDOW == stream:
                raise ConnectionFault(PROTOCOL_ERROR, "a stream cannot depend on itself")
            payload = payload[5:]
        if flags & END_HEADERS:
            self._on_block(flags, stream, payload)
        else:
            self._block = (stream, flags, bytearray(payload))

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != stream:
            raise ConnectionFault(PROTOCOL_ERROR, "CONTINUATION out of place")
        _, first_flags, block = self._block
        block += payload
        if len(block) > MAX_BLOCK:
            raise ConnectionFault(ENHANCE_YOUR_CALM, "header block too large")
        if flags & END_HEADERS:
            self._block = None
            self._on_block(first_flags, stream, bytes(block))

    def _on_connection_frame(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == SETTINGS:
            self._on_settings(flags, payload)
        elif kind == GOAWAY:
            self._on_farewell()
        elif len(payload) != 8:
            raise ConnectionFault(FRAME_SIZE_ERROR, "PING malformed")
        elif not flags & ACK:
            self._out.append(frame(PING, ACK, 0, payload))

    def _on_settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            if payload:
                raise ConnectionFault(FRAME_SIZE_ERROR, "SETTINGS acknowledgement with a payload")
            self._on_acknowledged()
            return
        if len(payload) % SETTING.size:
            raise ConnectionFault(FRAME_SIZE_ERROR, "SETTINGS cut off")
        self._settled = True
        for name, value in SETTING.iter_unpack(payload):
            self._on_setting(name, value)
        self._out.append(frame(SETTINGS, ACK, 0))

    def _on_stream_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == PUSH_PROMISE:
            raise ConnectionFault(PROTOCOL_ERROR, "a client cannot push")
        if kind == CONTINUATION:
            self._on_continuation(flags, stream, payload)
            return
        expected = _SIZES.get(kind)
        if expected is None:
            return  # a kind we do not know: RFC 9113 5.5 wants it ignored
        if len(payload) != expected:
            raise ConnectionFault(FRAME_SIZE_ERROR, "frame of the wrong size")
        if kind == WINDOW_UPDATE:
            grown = LONG.unpack(payload)[0] & MAX_WINDOW
            if grown == 0:
                raise ConnectionFault(PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
            self._on_window(stream, grown)
        elif stream == 0:
            raise ConnectionFault(PROTOCOL_ERROR, "a frame of a stream on the connection")
        elif kind == RST_STREAM:
            self._on_reset(stream)


_ON_CONNECTION = frozenset({SETTINGS, PING, GOAWAY})
_SIZES = {WINDOW_UPDATE: 4, RST_STREAM: 4, PRIORITY: 5}  # bytes
