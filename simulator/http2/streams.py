"""The open streams of one connection: their limit, their windows, what waits for them.

Source: RFC 9113 sections 5 and 6.9; contract/providers.md SIM-10, SIM-11, SIM-19, SIM-20.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque

from simulator.exchange import Answer, Head, Manners, Traffic
from simulator.http2.frames import (
    DATA,
    DEFAULT_WINDOW,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    LONG,
    MAX_FRAME,
    MAX_WINDOW,
    PADDED,
    PROTOCOL_ERROR,
    RST_STREAM,
    SET_FRAME,
    SET_HEADER_LIST,
    SET_PUSH,
    SET_STREAMS,
    SET_TABLE,
    SET_WINDOW,
    SETTING,
    SETTINGS,
    WINDOW_UPDATE,
    ConnectionFault,
    frame,
)
from simulator.http2.headers import TABLE_SIZE
from simulator.http2.reading import FrameReader

REMEMBERED_RESETS = 1000


class Stream:
    """A request on its way in or its answer on its way out."""

    __slots__ = (
        "answer",
        "body",
        "complete",
        "expected",
        "head",
        "room",
        "size",
        "unsent",
        "window",
    )

    def __init__(self, head: Head, room: int, window: int) -> None:
        self.head = head
        self.body: list[bytes] = []
        self.size = 0
        self.expected = -1  # content-length; -1 when not told
        self.complete = False  # END_STREAM came
        self.room = room  # bytes the client may still send
        self.window = window  # bytes we may still send
        self.answer: Answer | None = None
        self.unsent: bytes | None = None  # what of the answer waits for a window


class Streams(FrameReader):
    """What a connection keeps about its streams."""

    def __init__(self, manners: Manners, traffic: Traffic) -> None:
        super().__init__()
        self.streams: dict[int, Stream] = {}
        self._manners = manners
        self._traffic = traffic
        self._newest = 0  # highest stream id
        self._reset: set[int] = set()  # streams we reset: what still comes is ignored
        self._limit = manners.first_streams or manners.max_streams
        # For each SETTINGS of ours that awaits its acknowledgement: limit, stream window.
        self._unacknowledged: deque[tuple[int | None, int | None]] = deque()
        self._stream_room = DEFAULT_WINDOW  # what a new stream of the client's may send
        self._room = DEFAULT_WINDOW  # what the whole connection may
        self._taken = 0  # bytes of DATA to give back to the connection's window
        self._stream_window = DEFAULT_WINDOW  # what we may send on a new stream
        self._window = DEFAULT_WINDOW  # and on the connection
        self._frame_size = MAX_FRAME
        self._shrink_table = False  # the next block must say that we use no table

    @abstractmethod
    def _on_idle(self) -> None:
        """The last open stream has ended."""

    def _say_settings(self) -> None:
        manners = self._manners
        settings = [(SET_TABLE, TABLE_SIZE), (SET_STREAMS, self._limit), (SET_FRAME, MAX_FRAME)]
        settings.append((SET_WINDOW, manners.window))
        if manners.max_header_list:
            settings.append((SET_HEADER_LIST, manners.max_header_list))
        self._out.append(frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*one) for one in settings)))
        self._unacknowledged.append((None, manners.window))

    def _add(self, number: int, head: Head) -> Stream:
        self.streams[number] = stream = Stream(head, self._stream_room, self._stream_window)
        traffic = self._traffic
        traffic.requests += 1
        traffic.in_flight += 1
        traffic.max_in_flight = max(traffic.max_in_flight, traffic.in_flight)
        return stream

    def _after_reading(self) -> None:
        if self._taken:
            self._out.append(frame(WINDOW_UPDATE, 0, 0, LONG.pack(self._taken)))
            self._room += self._taken
            self._taken = 0

    def _send_body(self, number: int, stream: Stream) -> None:
        """As much of an answer as the windows allow; the stream ends with its last byte."""
        manners = self._manners
        overhead = manners.padding + 1 if manners.padding else 0
        while (body := stream.unsent) is not None:
            room = min(self._window, stream.window, self._frame_size) - overhead
            if room <= 0:
                return
            part = body[: 1 if manners.dribble else room]
            rest = body[len(part) :]
            self._window -= len(part) + overhead
            stream.window -= len(part) + overhead
            self._say(DATA, 0 if rest else END_STREAM, number, part)
            stream.unsent = rest or None
        self._forget(number)

    def _say(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        padding = self._manners.padding
        if padding:
            payload = bytes((padding,)) + payload + bytes(padding)
            flags |= PADDED
        self._out.append(frame(kind, flags, number, payload))

    def _reset_stream(self, number: int, code: int) -> None:
        self._out.append(frame(RST_STREAM, 0, number, LONG.pack(code)))
        self._reset.add(number)
        if len(self._reset) > 2 * REMEMBERED_RESETS:
            self._reset = set(sorted(self._reset)[REMEMBERED_RESETS:])
        self._forget(number)

    def _forget(self, number: int) -> None:
        if self.streams.pop(number, None) is not None:
            self._traffic.in_flight -= 1
            if not self.streams:
                self._on_idle()

    def limit_streams(self, limit: int) -> None:
        """Tell a new MAX_CONCURRENT_STREAMS: a higher one holds at once, a lower one
        when the client has acknowledged it."""
        self._out.append(frame(SETTINGS, 0, 0, SETTING.pack(SET_STREAMS, limit)))
        lower = limit < self._limit
        if not lower:
            self._limit = limit
        self._unacknowledged.append((limit if lower else None, None))

    def _on_acknowledged(self) -> None:
        if not self._unacknowledged:
            return
        limit, room = self._unacknowledged.popleft()
        if limit is not None:
            self._limit = limit
        if room is not None:
            for stream in self.streams.values():
                stream.room += room - self._stream_room
            self._stream_room = room

    def _on_setting(self, name: int, value: int) -> None:
        if name == SET_WINDOW:
            if value > MAX_WINDOW:
                raise ConnectionFault(FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE too large")
            for stream in self.streams.values():
                stream.window += value - self._stream_window
            self._stream_window = value
            self._continue()
        elif name == SET_FRAME:
            if not MAX_FRAME <= value < 2**24:
                raise ConnectionFault(PROTOCOL_ERROR, "MAX_FRAME_SIZE out of range")
            self._frame_size = value
        elif name == SET_PUSH and value > 1:
            raise ConnectionFault(PROTOCOL_ERROR, "ENABLE_PUSH out of range")
        elif name == SET_TABLE and value < TABLE_SIZE:
            self._shrink_table = True  # our next block must say that we comply

    def _on_window(self, number: int, grown: int) -> None:
        if number > self._newest:
            raise ConnectionFault(PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream")
        if number == 0:
            self._window += grown
            if self._window > MAX_WINDOW:
                raise ConnectionFault(FLOW_CONTROL_ERROR, "connection window overflows")
        elif (stream := self.streams.get(number)) is not None:
            stream.window += grown
            if stream.window > MAX_WINDOW:
                self._reset_stream(number, FLOW_CONTROL_ERROR)
        self._continue()

    def _continue(self) -> None:
        for number, stream in [*self.streams.items()]:
            if stream.unsent is not None:
                self._send_body(number, stream)

    def _on_reset(self, number: int) -> None:
        if number > self._newest:
            raise ConnectionFault(PROTOCOL_ERROR, "RST_STREAM on an idle stream")
        self._forget(number)
