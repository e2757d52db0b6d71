"""A peer that breaks the protocol, by malice or by accident, costs it the connection."""

from __future__ import annotations

import asyncio
import struct
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.http2 import Answer, Limits, NoAnswer, NotSent, Result
from providers.http2.answering import MAX_ANSWER
from providers.http2.connection import MAX_UNREAD, Connection
from providers.http2.window import Window
from tests.providers.running import make_requests, run

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING = range(7)
GOAWAY, WINDOW_UPDATE, CONTINUATION = 7, 8, 9
PROTOCOL, FLOW, SIZE, COMPRESSION, CALM = 1, 3, 6, 9, 11

REQUESTS = 8


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">L", len(payload))[1:] + struct.pack(">BBL", kind, flags, stream) + payload


def number(value: int) -> bytes:
    return struct.pack(">L", value)


class FakeTransport:
    """Takes everything and sends nothing; `unread` is what a peer has not read."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False
        self.blocked = False

    def get_extra_info(self, name: str) -> Any:
        assert name == "ssl_object"
        return SimpleNamespace(selected_alpn_protocol=lambda: "h2")

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def get_write_buffer_size(self) -> int:
        return len(self.written) if self.blocked else 0

    def close(self) -> None:
        self.closed = True

    abort = close

    def goaway_code(self) -> int | None:
        """Of the GOAWAY that was written last, if one was."""
        data, at, code = bytes(self.written), 24, None
        while at < len(data):
            size = int.from_bytes(data[at : at + 3], "big")
            if data[at + 3] == GOAWAY:
                code = int.from_bytes(data[at + 13 : at + 17], "big")
            at += 9 + size
        return code


class CountedWindow(Window):
    """Remembers every ending, also one too many."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(make_requests(REQUESTS), 0, loop.create_future())
        self.endings: list[tuple[int, Result]] = []

    def settle(self, index: int, result: Result) -> None:
        self.endings.append((index, result))
        super().settle(index, result)


class FakePool:
    """Hands one window to one connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.window = CountedWindow(loop)

    def next_window(self) -> Window | None:
        return self.window if self.window.waiting else None

    def pump(self) -> None:
        pass

    def not_processed(self, window: Window, index: int, reason: str) -> None:
        window.settle(index, NotSent(reason))

    def going(self, connection: Connection) -> None:
        pass

    def works(self) -> None:
        pass

    def gone(self, connection: Connection) -> None:
        pass


class Peer:
    """A connection with REQUESTS streams open, and nobody at the other end."""

    def __init__(self, *, greeted: bool = True) -> None:
        self.pool = FakePool(asyncio.get_running_loop())
        self.transport = FakeTransport()
        self.connection = Connection(self.pool, Limits())
        self.connection.connection_made(cast("asyncio.Transport", self.transport))
        if greeted:
            self.feed(frame(SETTINGS))
            assert self.connection.in_flight == REQUESTS

    def feed(self, data: bytes, *, piece: int = 1 << 20) -> None:
        at = 0
        while at < len(data) and not self.transport.closed:
            buffer = self.connection.get_buffer(-1)
            assert len(buffer) > 0
            size = min(len(buffer), piece, len(data) - at)
            buffer[:size] = data[at : at + size]
            self.connection.buffer_updated(size)
            at += size

    def end(self) -> list[Result]:
        """Hang up, and return what became of the requests: of each exactly one thing."""
        self.connection.connection_lost(None)
        started = REQUESTS - len(self.pool.window.waiting)
        endings = sorted(self.pool.window.endings, key=lambda ending: ending[0])
        assert [index for index, _ in endings] == list(range(started))
        return [result for _, result in endings]


OFFENCES = {
    "a frame larger than we allow": (frame(DATA, 0, 1, bytes(16385)), SIZE),
    "a header block interrupted": (frame(HEADERS, 0, 1, b"\x88") + frame(PING, 0, 0, b"8" * 8),
                                   PROTOCOL),
    "CONTINUATION of nothing": (frame(CONTINUATION, 4, 1, b"\x88"), PROTOCOL),
    "CONTINUATION of another stream": (
        frame(HEADERS, 0, 1, b"\x88") + frame(CONTINUATION, 4, 3, b""), PROTOCOL),
    "headers without end": (
        frame(HEADERS, 0, 1, b"\x88") + frame(CONTINUATION, 0, 1, bytes(16000)) * 5, CALM),
    "empty CONTINUATION without end": (
        frame(HEADERS, 0, 1, b"\x88") + frame(CONTINUATION, 0, 1) * 100, CALM),
    "an index of a table we do not have": (frame(HEADERS, 5, 1, b"\xbe"), COMPRESSION),
    "a header block cut short": (frame(HEADERS, 5, 1, b"\x40\x7f"), COMPRESSION),
    "an answer without status": (frame(HEADERS, 5, 1, b"\x00\x01a\x01b"), COMPRESSION),
    "a table larger than announced": (frame(HEADERS, 5, 1, b"\x3f\xe1\x1f\x88"), COMPRESSION),
    "headers that swell": (
        frame(HEADERS, 4, 1, b"\x20\x8d" + b"\x0f\x00\x7f\xff\x7f" + b"x" * 16000), COMPRESSION),
    "DATA before HEADERS": (frame(DATA, 1, 1, b"x"), PROTOCOL),
    "more padding than frame": (
        frame(HEADERS, 4, 1, b"\x88") + frame(DATA, 8, 1, b"\xffabc"), PROTOCOL),
    "no room for padding": (frame(HEADERS, 4, 1, b"\x88") + frame(DATA, 8, 1), SIZE),
    "a notice that ends the answer": (frame(HEADERS, 5, 1, b"\x08\x03103"), PROTOCOL),
    "trailers that end nothing": (frame(HEADERS, 4, 1, b"\x88") * 2, PROTOCOL),
    "DATA of a stream never opened": (frame(DATA, 0, 99, b"x"), PROTOCOL),
    "HEADERS of a stream of the server": (frame(HEADERS, 5, 2, b"\x88"), PROTOCOL),
    "a reset of the connection": (frame(RST_STREAM, 0, 0, number(0)), PROTOCOL),
    "a reset of a wrong size": (frame(RST_STREAM, 0, 1, b"123"), SIZE),
    "settings of a stream": (frame(SETTINGS, 0, 1), PROTOCOL),
    "settings not whole": (frame(SETTINGS, 0, 0, b"12345"), SIZE),
    "an acknowledgement with settings": (frame(SETTINGS, 1, 0, b"123456"), PROTOCOL),
    "a first window too large": (frame(SETTINGS, 0, 0, b"\x00\x04\x80\x00\x00\x00"), FLOW),
    "a frame size too small": (frame(SETTINGS, 0, 0, b"\x00\x05\x00\x00\x00\x01"), PROTOCOL),
    "a push": (frame(PUSH_PROMISE, 4, 1, number(2)), PROTOCOL),
    "a PING of a wrong size": (frame(PING, 0, 0, b"1234"), SIZE),
    "a GOAWAY too short": (frame(GOAWAY, 0, 0, b"1234"), SIZE),
    "a GOAWAY of a stream": (frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "a window that grows by nothing": (frame(WINDOW_UPDATE, 0, 0, number(0)), PROTOCOL),
    "a window that grows too large": (frame(WINDOW_UPDATE, 0, 0, number(2**31 - 1)), FLOW),
}  # fmt: skip


@pytest.mark.parametrize("offence", OFFENCES)
def test_an_offence_ends_the_connection_with_its_code(offence: str) -> None:
    data, code = OFFENCES[offence]

    async def scenario() -> None:
        peer = Peer()
        peer.feed(data)

        assert peer.transport.closed
        assert peer.transport.goaway_code() == code
        assert {type(result) for result in peer.end()} == {NoAnswer}

    run(scenario())


def test_a_server_must_begin_with_settings() -> None:
    async def scenario() -> None:
        peer = Peer(greeted=False)
        peer.feed(frame(PING, 0, 0, b"12345678"))

        assert peer.transport.goaway_code() == PROTOCOL

    run(scenario())


def test_frames_nobody_knows_and_late_ones_are_ignored() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.feed(frame(HEADERS, 5, 1, b"\x88"))
        late = [
            frame(0x10, 0xFF, 1, b"extension"),
            frame(PRIORITY, 0, 1, b"12345"),
            frame(SETTINGS, 0, 0, b"\xff\x00\x00\x00\x00\x01"),
            frame(HEADERS, 5, 1, b"\x88"),
            frame(DATA, 1, 1, b"x"),
            frame(RST_STREAM, 0, 1, number(0)),
            frame(WINDOW_UPDATE, 0, 1, number(5)),
        ]
        peer.feed(b"".join(late))

        assert not peer.transport.closed
        assert [type(result) for result in peer.end()] == [Answer] + [NoAnswer] * (REQUESTS - 1)

    run(scenario())


@pytest.mark.parametrize(
    ("debug", "told"),
    [
        (b'{"reason":"Shutdown"}', "Shutdown"),  # H2-6
        (b"too many pings", "too many pings"),
        (b"", "NO_ERROR"),
        (b'{"reason":{"a":1}}', "NO_ERROR"),
        (b"[" * 5000, "[" * 100),
        (b"\xff\x00\x1b[31mred", "\ufffd[31mred"),
        (b'"' + b"x" * 10_000 + b'"', '"' + "x" * 99),
    ],
)
def test_the_debug_data_of_a_goaway_is_told_and_does_no_harm(debug: bytes, told: str) -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.feed(frame(GOAWAY, 0, 0, number(1) + number(0) + debug))

        assert {result.reason for result in peer.end()[1:] if isinstance(result, NotSent)} == {
            f"GOAWAY {told}"
        }

    run(scenario())


def test_an_answer_in_the_smallest_pieces_is_read_without_delay() -> None:
    """Its cost grows with its size, not with the square of it."""

    async def scenario() -> None:
        peer = Peer()
        peer.feed(frame(HEADERS, 4, 1, b"\x88"))
        peer.feed(frame(DATA, 0, 1, b"x") * MAX_ANSWER)

        assert type(peer.connection._answers._readings[1].body) is bytearray
        peer.feed(frame(DATA, 1, 1, b"x"))
        assert peer.pool.window.results[0] == Answer(200, b"\x88", b"x" * MAX_ANSWER)

    run(scenario())


def test_a_peer_that_asks_and_never_reads_is_given_up() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.connection.pause_writing()
        peer.transport.blocked = True
        pings = frame(PING, 0, 0, b"12345678") * 1000
        for _ in range(2 * MAX_UNREAD // len(pings)):
            peer.feed(pings)

        assert peer.transport.closed
        assert len(peer.transport.written) < MAX_UNREAD + 2 * len(pings)

    run(scenario())


def test_endless_answers_take_no_memory() -> None:
    async def scenario() -> None:
        peer = Peer()
        streams = range(1, 2 * REQUESTS, 2)
        peer.feed(b"".join(frame(HEADERS, 4, stream, b"\x88") for stream in streams))
        piece = b"".join(frame(DATA, 0, stream, bytes(16384)) for stream in streams)
        for _ in range(50):
            peer.feed(piece)

        kept = sum(len(reading.body) for reading in peer.connection._answers._readings.values())
        assert kept <= REQUESTS * MAX_ANSWER

    run(scenario())


FRAMES = st.lists(
    st.one_of(
        st.builds(  # anything
            frame,
            st.integers(0, 12),
            st.integers(0, 255),
            st.sampled_from([0, 1, 2, 3, 5, 15, 17, 2**31 - 1]),
            st.binary(max_size=40),
        ),
        st.builds(  # nearly an answer
            frame,
            st.sampled_from([HEADERS, DATA, CONTINUATION, RST_STREAM]),
            st.sampled_from([0, 1, 4, 5, 8, 12, 13, 0x2D]),
            st.sampled_from([1, 3, 5, 7, 9]),
            st.sampled_from([b"", b"\x88", b"\x8d", b"\x00\x88", b"\x02\x88ab", number(7)]),
        ),
        st.binary(max_size=30),
    ),
    max_size=25,
)


@settings(max_examples=400, deadline=None)
@given(frames=FRAMES, piece=st.sampled_from([1, 7, 1000]), greeted=st.booleans())
def test_no_bytes_crash_it_or_end_a_request_twice(
    frames: list[bytes], piece: int, greeted: bool
) -> None:
    async def scenario() -> None:
        peer = Peer(greeted=greeted)
        peer.feed(b"".join(frames), piece=piece)
        peer.end()
        assert not peer.connection._streams
        assert len(peer.connection._answers) == len(peer.connection._writer.uploads) == 0

    asyncio.run(scenario())


def conversation() -> bytes:
    """What a good server sends: settings, answers in several shapes, a farewell."""
    parts = [frame(SETTINGS, 0, 0, b"\x00\x03" + number(100) + b"\x00\x04" + number(1000))]
    for stream in range(1, 2 * REQUESTS, 2):
        parts += [
            frame(HEADERS, 4, stream, b"\x08\x03103"),
            frame(HEADERS, 0, stream, b"\x88\x0f\x0d"),
            frame(CONTINUATION, 4, stream, b"\x015"),
            frame(DATA, 8, stream, b"\x02hel\0\0"),
            frame(WINDOW_UPDATE, 0, 0, number(5)),
            frame(DATA, 1, stream, b"lo"),
        ]
    parts += [frame(PING, 0, 0, b"12345678"), frame(GOAWAY, 0, 0, number(15) + number(0))]
    return b"".join(parts)


def test_the_conversation_that_is_spoilt_below_is_a_good_one() -> None:
    async def scenario() -> None:
        peer = Peer(greeted=False)
        peer.feed(conversation(), piece=7)
        results = peer.end()

        assert [(type(one), getattr(one, "body", b"")) for one in results] == [
            (Answer, b"hello")
        ] * REQUESTS

    run(scenario())


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(conversation()) - 1), st.integers(0, 255)), max_size=6
    ),
    cut=st.none() | st.integers(0, len(conversation())),
    piece=st.sampled_from([1, 13, 4096]),
)
def test_a_spoilt_conversation_ends_each_request_once_and_holds_little(
    changes: list[tuple[int, int]], cut: int | None, piece: int
) -> None:
    spoilt = bytearray(conversation())
    for place, value in changes:
        spoilt[place] = value

    async def scenario() -> None:
        peer = Peer(greeted=False)
        peer.feed(bytes(spoilt[:cut]), piece=piece)
        assert len(peer.transport.written) < 20_000
        peer.end()
        assert not peer.connection._streams
        assert len(peer.connection._answers) == len(peer.connection._writer.uploads) == 0

    asyncio.run(scenario())
