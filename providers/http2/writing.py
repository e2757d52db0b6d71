"""Requests into frames, as fast as the peer's windows allow."""

from __future__ import annotations

from dataclasses import dataclass

from providers.http2 import frames
from providers.http2.frames import FrameError
from providers.http2.headers import HeaderWriter, content_length, literal
from providers.http2.messages import Request


@dataclass(slots=True)
class _Upload:
    """A body that did not fit into the peer's windows; END_STREAM has not been written."""

    rest: memoryview
    credit: int  # bytes; negative after the peer lowered its window


class RequestWriter:
    """What one connection still has to write, and how much its peer takes.

    Rules H2-9 to H2-11 of contract/providers.md; RFC 9113 5.2, 6.9.
    """

    def __init__(self) -> None:
        self.out: list[bytes] = []  # frames that leave with the next write
        self.window = frames.DEFAULT_WINDOW  # bytes all streams together may send
        self.uploads: dict[int, _Upload] = {}  # by stream: requests of which a part has not left
        self._headers = HeaderWriter()
        self._stream_window = frames.DEFAULT_WINDOW
        self._frame_size = frames.LARGEST_FRAME

    def open(self, stream: int, request: Request) -> None:
        """Write a request, or as much of it as the windows allow."""
        common, body, path, fields = request
        size = len(body)
        pseudo, regular = self._headers.encode(common)
        if path or fields:
            literals = b"".join([literal(name, value) for name, value in fields])
            block = pseudo + literal(b":path", path) + regular if path else pseudo + regular
            block += literals + content_length(size)
        else:
            block = pseudo + regular + content_length(size)
        length = len(block)
        if length <= self._frame_size:
            head = frames.pack_head(
                length >> 8, length & 255, frames.HEADERS, frames.END_HEADERS, stream
            )
            self.out += (head, block)
        else:
            self._write_in_parts(stream, block)
        if size <= self._stream_window and size <= self.window and size <= self._frame_size:
            self.window -= size
            head = frames.pack_head(size >> 8, size & 255, frames.DATA, frames.END_STREAM, stream)
            self.out += (head, body)
        else:
            self.uploads[stream] = _Upload(memoryview(body), self._stream_window)
            self._continue(stream)

    def resume(self) -> None:
        """Go on with the bodies that wait for a window."""
        for stream in list(self.uploads):
            if self.window <= 0:
                return
            self._continue(stream)

    def _write_in_parts(self, stream: int, block: bytes) -> None:
        size = self._frame_size
        parts = [block[at : at + size] for at in range(0, len(block), size)]
        self.out.append(frames.frame(frames.HEADERS, 0, stream, parts[0]))
        for part in parts[1:-1]:
            self.out.append(frames.frame(frames.CONTINUATION, 0, stream, part))
        self.out.append(frames.frame(frames.CONTINUATION, frames.END_HEADERS, stream, parts[-1]))

    def _continue(self, stream: int) -> None:
        upload = self.uploads[stream]
        while True:
            size = min(len(upload.rest), upload.credit, self.window, self._frame_size)
            last = size == len(upload.rest)
            if size <= 0 and not last:
                return
            flags = frames.END_STREAM if last else 0
            self.out.append(frames.frame(frames.DATA, flags, stream, bytes(upload.rest[:size])))
            upload.rest = upload.rest[size:]
            upload.credit -= size
            self.window -= size
            if last:
                del self.uploads[stream]
                return

    # What the peer tells

    def grow(self, stream: int, size: int) -> None:
        """WINDOW_UPDATE; a stream that has nothing left to write needs none."""
        if size == 0:
            raise FrameError(frames.PROTOCOL_ERROR, "a window grows by nothing")
        if stream == 0:
            self.window += size
            grown = self.window
        elif upload := self.uploads.get(stream):
            upload.credit += size
            grown = upload.credit
        else:
            return
        if grown > frames.LARGEST_WINDOW:
            raise FrameError(frames.FLOW_CONTROL_ERROR, "a window grows too large")

    def resize_table(self, size: int) -> None:
        self._headers.resize(size)

    def resize_windows(self, size: int) -> None:
        """INITIAL_WINDOW_SIZE; it changes the windows of open streams too (RFC 9113 6.9.2)."""
        if size > frames.LARGEST_WINDOW:
            raise FrameError(frames.FLOW_CONTROL_ERROR, "the first window is too large")
        for upload in self.uploads.values():
            upload.credit += size - self._stream_window
            if upload.credit > frames.LARGEST_WINDOW:
                raise FrameError(frames.FLOW_CONTROL_ERROR, "a window grows too large")
        self._stream_window = size

    def resize_frames(self, size: int) -> None:
        if not frames.LARGEST_FRAME <= size < 2**24:
            raise FrameError(frames.PROTOCOL_ERROR, "a frame size that may not be")
        self._frame_size = size
