"""Frames into answers, and the windows they come through."""

from __future__ import annotations

from dataclasses import dataclass

from providers.http2 import frames
from providers.http2.frames import FrameError
from providers.http2.headers import status_of
from providers.http2.messages import Answer

RECEIVE_WINDOW = 2**20  # bytes all answers together may be ahead of us
MAX_ANSWER = 65536  # bytes kept of one answer's body; its status is never given up for its size


@dataclass(slots=True)
class _Reading:
    """An answer whose END_STREAM has not come."""

    status: int
    block: bytes
    body: bytes | bytearray = b""
    unreturned: int = 0  # bytes to give back to the stream's window


class AnswerReader:
    """The answers of one connection that have begun.

    Gives received DATA back to both windows (H2-9), also of streams nobody waits for any
    longer; keeps at most MAX_ANSWER bytes of a stream, and nothing of one that has ended.
    Source of the shape of an answer: RFC 9113 8.1.
    """

    def __init__(self, out: list[bytes]) -> None:
        """`out` takes the frames that go back to the peer."""
        self._out = out
        self._readings: dict[int, _Reading] = {}
        self._unreturned = 0  # bytes to give back to the connection's window

    def __len__(self) -> int:
        """Answers that have begun and not ended."""
        return len(self._readings)

    def begun(self, stream: int) -> bool:
        """The peer has sent a status, so it has processed the request."""
        return stream in self._readings

    def forget(self, stream: int) -> None:
        self._readings.pop(stream, None)

    def headers(self, stream: int, flags: int, block: bytes) -> Answer | None:
        """The whole answer, if it ends here. Raises FrameError, HeaderError."""
        ended = flags & frames.END_STREAM
        reading = self._readings.get(stream)
        if reading is not None:  # trailers
            if not ended:
                raise FrameError(frames.PROTOCOL_ERROR, "trailers that do not end the answer")
            del self._readings[stream]
            return Answer(reading.status, reading.block, bytes(reading.body))
        status = 200 if block[:1] == b"\x88" else status_of(block)
        if status < 200:  # a notice that the answer will follow
            if ended:
                raise FrameError(frames.PROTOCOL_ERROR, "a notice that ends the answer")
            return None
        if ended:
            return Answer(status, block, b"")
        self._readings[stream] = _Reading(status, block)
        return None

    def give_back(self, size: int) -> None:
        """To the connection's window: bytes of DATA, of whatever stream."""
        self._unreturned += size
        if self._unreturned > RECEIVE_WINDOW // 2:
            self._out.append(frames.window_update(0, self._unreturned))
            self._unreturned = 0

    def data(self, stream: int, flags: int, payload: bytes) -> Answer | None:
        """The whole answer, if it ends here. Raises FrameError."""
        self.give_back(len(payload))
        reading = self._readings.get(stream)
        if reading is None:
            raise FrameError(frames.PROTOCOL_ERROR, "DATA before HEADERS")
        part = frames.content(frames.PADDED, payload) if flags & frames.PADDED else payload
        if not reading.body:
            reading.body = part
        elif (room := MAX_ANSWER - len(reading.body)) > 0:
            if isinstance(reading.body, bytes):
                reading.body = bytearray(reading.body)
            reading.body += part[:room]
        if flags & frames.END_STREAM:
            del self._readings[stream]
            return Answer(reading.status, reading.block, bytes(reading.body))
        reading.unreturned += len(payload)
        if reading.unreturned > frames.DEFAULT_WINDOW // 2:
            self._out.append(frames.window_update(stream, reading.unreturned))
            reading.unreturned = 0
        return None
