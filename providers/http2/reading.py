"""Bytes into whole frames: nothing out of order gets past here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from providers.http2 import frames
from providers.http2.frames import FrameError
from providers.http2.headers import MAX_HEADER_LIST

READ_BUFFER = 65536  # bytes; a whole frame always fits
MAX_BLOCK_FRAMES = 64  # of one header block
PLAIN = frozenset((frames.DATA, frames.WINDOW_UPDATE))  # handled as they come
# Flags of HEADERS that are a block by themselves, without padding and priority.
WHOLE = frozenset((frames.END_HEADERS, frames.END_HEADERS | frames.END_STREAM))

Handler: TypeAlias = Callable[[int, int, bytes], None]  # stream, flags, payload


class FrameReader:
    """Hands each whole frame to the handler of its kind, a header block as one.

    Holds one buffer and one header block, however long a peer goes on. Sources:
    RFC 9113 3.4 (SETTINGS come first), 4.2 (sizes), 4.3 (nothing between the frames of
    a block), 5.5 (frames nobody knows are ignored).
    """

    def __init__(self, handlers: Mapping[int, Handler]) -> None:
        """`handlers[HEADERS]` gets whole blocks, with the flags of their first frame."""
        self._handlers = handlers
        self._buffer = bytearray(READ_BUFFER)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._stopped = False
        self._begun = False  # the peer's first SETTINGS came
        self._block: bytearray | None = None  # header block waiting for CONTINUATION
        self._block_stream = 0
        self._block_flags = 0
        self._block_frames = 0

    def room(self) -> memoryview:
        """Where the next bytes go; never empty."""
        return self._view[self._filled :]

    def stop(self) -> None:
        """Take no more frames, also not of what has been read."""
        self._stopped = True

    def read(self, size: int) -> None:
        """Take the frames that are whole after `size` more bytes. Raises FrameError."""
        self._filled += size
        end, at = self._filled, 0
        data = bytes(self._view[:end])  # one copy, of which slices are bytes at once
        handlers, calm = self._handlers, self._calm
        while end - at >= frames.HEAD_SIZE and not self._stopped:
            high, low, kind, flags, stream = frames.unpack_head(data, at)
            length = high << 8 | low
            if length > frames.LARGEST_FRAME:
                raise FrameError(frames.FRAME_SIZE_ERROR, "a frame is larger than we allow")
            start = at + frames.HEAD_SIZE
            if start + length > end:
                break
            at = start + length
            # What answers are made of needs no closer look: this loop is where the time goes.
            if calm and (kind in PLAIN or (kind == frames.HEADERS and flags in WHOLE)):
                handlers[kind](stream & frames.LARGEST_ID, flags, data[start:at])
            else:
                self._read(kind, flags, stream & frames.LARGEST_ID, data[start:at])
                calm = self._calm
        self._filled = end - at
        self._buffer[: self._filled] = data[at:end]

    @property
    def _calm(self) -> bool:
        """A frame of any kind may come now."""
        return self._begun and self._block is None

    def _read(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block is not None and kind != frames.CONTINUATION:
            raise FrameError(frames.PROTOCOL_ERROR, "a header block was interrupted")
        if not self._begun:
            if kind != frames.SETTINGS or flags & frames.ACK:
                raise FrameError(frames.PROTOCOL_ERROR, "the server did not begin with SETTINGS")
            self._begun = True
        if kind == frames.HEADERS:
            self._read_headers(stream, flags, payload)
        elif kind == frames.CONTINUATION:
            self._read_continuation(stream, flags, payload)
        elif kind == frames.PUSH_PROMISE:
            raise FrameError(frames.PROTOCOL_ERROR, "pushes are switched off")
        else:
            handler = self._handlers.get(kind)
            if handler is not None:  # else it is an extension, or PRIORITY
                handler(stream, flags, payload)

    def _read_headers(self, stream: int, flags: int, payload: bytes) -> None:
        block = frames.content(flags, payload) if flags & frames.CROPPED else payload
        if flags & frames.END_HEADERS:
            self._handlers[frames.HEADERS](stream, flags, block)
        else:
            self._block = bytearray(block)
            self._block_stream, self._block_flags, self._block_frames = stream, flags, 1

    def _read_continuation(self, stream: int, flags: int, payload: bytes) -> None:
        if self._block is None or stream != self._block_stream:
            raise FrameError(frames.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._block += payload
        self._block_frames += 1
        if len(self._block) > MAX_HEADER_LIST or self._block_frames > MAX_BLOCK_FRAMES:
            raise FrameError(frames.ENHANCE_YOUR_CALM, "headers without end")
        if flags & frames.END_HEADERS:
            block, self._block = bytes(self._block), None
            self._handlers[frames.HEADERS](stream, self._block_flags, block)
