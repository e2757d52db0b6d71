"""A TLS HTTP/2 server that does what a test tells it, and remembers what it did.

Written from RFC 9113 over `hyperframe` and `hpack`; it shares nothing with the client.
It counts what a client must not do as violations.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ENDLESS = 2**31 - 1
FRAME_NAMES = {
    DataFrame: "DATA",
    HeadersFrame: "HEADERS",
    ContinuationFrame: "CONTINUATION",
    PriorityFrame: "PRIORITY",
    RstStreamFrame: "RST_STREAM",
    SettingsFrame: "SETTINGS",
    PingFrame: "PING",
    GoAwayFrame: "GOAWAY",
    WindowUpdateFrame: "WINDOW_UPDATE",
}


@dataclass
class Received:
    """One request, whole."""

    session: Session
    stream: int
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.headers[":path"]

    def answer(
        self, status: int = 200, headers: tuple[tuple[str, str], ...] = (), body: bytes = b""
    ) -> None:
        self.session.answer(self.stream, status, headers, body)

    def process(self) -> None:
        """Write it to the ledger: from here on it has happened."""
        self.session.server.ledger[self.path] += 1


Handler = Callable[[Received], None]


def accept(request: Received) -> None:
    request.process()
    request.answer()


def slowly(request: Received) -> None:
    """So that streams are open at the same time."""
    request.process()
    asyncio.get_running_loop().call_later(0.02, request.answer)


@dataclass
class Behaviour:
    """What a server announces and how it treats requests."""

    handler: Handler = accept
    streams: int | None = 100  # MAX_CONCURRENT_STREAMS; None announces no limit
    table: int = 4096
    window: int = 65535
    frame_size: int = 16384
    greets: bool = True  # sends SETTINGS by itself
    returns_window: bool = True
    answers_ping: bool = True


@dataclass
class Server:
    behaviour: Behaviour
    port: int = 0
    ledger: Counter[str] = field(default_factory=Counter)  # path → times processed
    sessions: list[Session] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class Session(asyncio.Protocol):
    """One connection, seen from the server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.behaviour = server.behaviour
        self.transport: asyncio.Transport | None = None
        self.open: dict[int, tuple[dict[str, str], bytearray]] = {}
        self.seen = 0  # requests received whole
        self.last_stream = 0
        self.most_open = 0
        self.kinds: Counter[str] = Counter()  # frames by their name, acknowledgements left out
        self.limit = server.behaviour.streams
        self.windows: dict[int, int] = {0: 65535}  # what the client may still send
        self._first_window = 65535  # of a stream, as far as the client knows
        self._unacknowledged: list[dict[int, int]] = []  # settings it may not have read yet
        self.pings = 0
        self.pongs = 0  # answers to ours
        self.resets: dict[int, int] = {}
        self.goaway_code: int | None = None
        self.settings: dict[int, int] = {}  # the client's
        self.window_updates: Counter[int] = Counter()
        self.closed = asyncio.Event()
        self.block_sizes: list[int] = []
        self._buffer = b""
        self._headers = bytearray()
        self._decoder = Decoder()
        self._encoder = Encoder()
        self._encoder.header_table_size = 0
        self._greeted = False
        self._told = False  # our SETTINGS went out; nothing may go before
        self._early: list[Frame] = []
        self._promised = ENDLESS

    # Doing

    def send(self, *frames: Frame) -> None:
        if not self._told:
            self._early += frames
        elif self.transport is not None and not self.transport.is_closing():
            self.transport.write(b"".join(frame.serialize() for frame in frames))

    def announce(self, **settings: int) -> None:
        ids = {"streams": 3, "table": 1, "window": 4, "frame_size": 5}
        if "streams" in settings:
            self.limit = settings["streams"]
        self._tell({ids[name]: value for name, value in settings.items()})

    def _tell(self, settings: dict[int, int]) -> None:
        """A setting holds for the client's frames from its acknowledgement on."""
        self._unacknowledged.append(settings)
        self.send(SettingsFrame(0, settings))

    def _told_of(self, settings: dict[int, int]) -> None:
        self._decoder.max_allowed_table_size = settings.get(1, self._decoder.max_allowed_table_size)
        if 4 in settings:
            # Also of refused streams: the client may write on until it has read the refusal.
            for stream in self.windows.keys() - {0}:
                self.windows[stream] += settings[4] - self._first_window
            self._first_window = settings[4]

    def block(self, status: int, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
        return bytes(self._encoder.encode([(":status", str(status)), *headers]))

    def answer(
        self, stream: int, status: int, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> None:
        self.open.pop(stream, None)
        if stream in self.resets:
            return
        head = HeadersFrame(stream, self.block(status, headers), flags=["END_HEADERS"])
        if not body:
            head.flags.add("END_STREAM")
            self.send(head)
        else:
            self.send(head, DataFrame(stream, body, flags=["END_STREAM"]))

    def reset(self, stream: int, code: int) -> None:
        self.open.pop(stream, None)
        self.send(RstStreamFrame(stream, code))

    def goaway(self, last: int, code: int = 0, debug: bytes = b"") -> None:
        """From here on, streams above `last` are not processed, as promised."""
        self._promised = min(self._promised, last)
        self.send(GoAwayFrame(0, last, code, debug))

    def ping(self) -> None:
        self.send(PingFrame(0, b"12345678"))

    def give_window(self, stream: int, size: int) -> None:
        self.windows[stream] = self.windows.get(stream, 0) + size
        self.send(WindowUpdateFrame(stream, size))

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    # Reading

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.server.sessions.append(self)
        if self.behaviour.greets:
            self.greet()

    def greet(self) -> None:
        told = self.behaviour
        settings = {1: told.table, 4: told.window, 5: told.frame_size}
        if told.streams is not None:
            settings[3] = told.streams
        self._told = True
        self._tell(settings)
        self.send(*self._early)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self._buffer += data
        if not self._greeted:
            if len(self._buffer) < len(PREFACE):
                return
            if not self._buffer.startswith(PREFACE):
                self._violation("no preface")
            self._buffer = self._buffer[len(PREFACE) :]
            self._greeted = True
        while len(self._buffer) >= 9:
            frame, size = Frame.parse_frame_header(memoryview(self._buffer[:9]))
            if len(self._buffer) < 9 + size:
                return
            if size > self.behaviour.frame_size:
                self._violation("a frame too large")
            frame.parse_body(memoryview(self._buffer[9 : 9 + size]))
            self._buffer = self._buffer[9 + size :]
            self._received(frame)

    def _received(self, frame: Frame) -> None:
        self._count(frame)
        match frame:
            case HeadersFrame() | ContinuationFrame():
                self._header_frame(frame)
            case DataFrame():
                self._data(frame)
            case PingFrame():
                self._ping(frame)
            case SettingsFrame():
                if "ACK" in frame.flags:
                    self._told_of(self._unacknowledged.pop(0))
                else:
                    self.settings.update(frame.settings)
                    self.send(SettingsFrame(0, flags=["ACK"]))
            case RstStreamFrame():
                self.resets[frame.stream_id] = frame.error_code
                self.open.pop(frame.stream_id, None)
            case GoAwayFrame():
                self.goaway_code = frame.error_code
            case WindowUpdateFrame():
                self.window_updates[frame.stream_id] += frame.window_increment

    def _count(self, frame: Frame) -> None:
        if "ACK" not in frame.flags:
            self.kinds[FRAME_NAMES[type(frame)]] += 1
        if isinstance(frame, PriorityFrame) or "PRIORITY" in frame.flags:
            self._violation("a priority")  # contract/providers.md H2-11

    def _header_frame(self, frame: HeadersFrame | ContinuationFrame) -> None:
        if isinstance(frame, HeadersFrame):
            if frame.stream_id <= self.last_stream or frame.stream_id % 2 == 0:
                self._violation("stream ids must rise and be odd")
            self._headers = bytearray()
            self.last_stream = frame.stream_id
        self._headers += frame.data
        if "END_HEADERS" in frame.flags:
            self._opened(frame.stream_id)

    def _ping(self, frame: PingFrame) -> None:
        if "ACK" in frame.flags:
            self.pongs += frame.opaque_data == b"12345678"
            return
        self.pings += 1
        if self.behaviour.answers_ping:
            self.send(PingFrame(0, frame.opaque_data, flags=["ACK"]))

    def _opened(self, stream: int) -> None:
        self.block_sizes.append(len(self._headers))
        fields = self._decoder.decode(bytes(self._headers))
        headers = {str(name): str(value) for name, value in fields}
        regular = False
        for name, _ in fields:
            if str(name).startswith(":"):
                if regular:
                    self._violation("a pseudo header after a regular one")
            else:
                regular = True
        self.open[stream] = (headers, bytearray())
        self.windows[stream] = self._first_window
        self.most_open = max(self.most_open, len(self.open))
        if self.limit is not None and len(self.open) > self.limit:
            self.open.pop(stream)
            self.send(RstStreamFrame(stream, 7))

    def _data(self, frame: DataFrame) -> None:
        size = frame.flow_controlled_length
        for window in (0, frame.stream_id):
            if window == 0 or window in self.windows:
                self.windows[window] -= size
                if self.windows[window] < 0:
                    self._violation(f"more data than the window of {window} allows")
        if size and self.behaviour.returns_window:
            self.give_window(0, size)
            if frame.stream_id in self.open and "END_STREAM" not in frame.flags:
                self.give_window(frame.stream_id, size)
        if frame.stream_id not in self.open:
            return
        headers, body = self.open[frame.stream_id]
        body += frame.data
        if "END_STREAM" in frame.flags:
            self.seen += 1
            if int(headers["content-length"]) != len(body):
                self._violation("content-length is not the body's")
            request = Received(self, frame.stream_id, headers, bytes(body))
            if frame.stream_id <= self._promised:
                self.behaviour.handler(request)

    def _violation(self, what: str) -> None:
        self.server.violations.append(what)


@asynccontextmanager
async def serving(context: ssl.SSLContext, behaviour: Behaviour) -> AsyncIterator[Server]:
    """A server on a free port of loopback; whatever is still open is cut at the end."""
    server = Server(behaviour)
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Session(server), "127.0.0.1", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for session in server.sessions:
            session.abort()
