"""The streams of one connection, as strict as the clouds are.

Source: RFC 9113; contract/providers.md 11.2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from simulator.exchange import Answer, Cloud, Ending, Flavour, Head, Peer, Request
from simulator.http2.frames import (
    COMPRESSION_ERROR,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    GOAWAY,
    HEADERS,
    INTERNAL_ERROR,
    LONG,
    MAX_WINDOW,
    NO_ERROR,
    PADDED,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    ConnectionFault,
    frame,
    unpadded,
)
from simulator.http2.headers import (
    CompressionFault,
    HeadDecoder,
    MalformedRequest,
    response_block,
)
from simulator.http2.streams import Stream, Streams

MAX_VIOLATIONS = 20  # streams over the limit, then GOAWAY
POLITE_PAUSE = 0.1  # seconds between the two GOAWAYs of a polite farewell
DRAIN_SECONDS = 10.0
FAREWELL_SECONDS = 0.2  # for the last answers to be read before the connection closes


class Surroundings(Protocol):
    """What a connection needs from the process it lives in."""

    def before_writing(self) -> None:
        """Called before anything leaves: the ledger is written first."""
        ...

    def postpone(self, seconds: float, connection: Http2Connection, stream: int) -> None:
        """Call `connection.release([stream])` later."""
        ...

    def closed(self, connection: Http2Connection) -> None: ...


class Http2Connection(Streams):
    """One client of one cloud."""

    def __init__(self, cloud: Cloud, peer: Peer, surroundings: Surroundings) -> None:
        super().__init__(cloud.manners, cloud.traffic)
        self.cloud = cloud
        self.peer = peer
        self._around = surroundings
        self._decoder = HeadDecoder(self._manners.max_header_list)
        self._leaving = False
        self._departing = False
        self._trusted = not self._manners.first_streams  # the full limit holds
        self._cutoff = MAX_WINDOW  # streams above it are ignored
        self._opened = 0
        self._timers: set[asyncio.TimerHandle] = set()

    # ------------------------------------------------------------- its beginning and end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._say_settings()
        self._check_idle()
        manners = self._manners
        if manners.goaway_seconds:
            reason = manners.goaway_reason.encode()
            self._after(manners.goaway_seconds, self.go_away, manners.goaway_flavour, reason)
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()
        self.cloud.traffic.in_flight -= len(self.streams)
        self.streams.clear()
        self._around.closed(self)

    def _before_writing(self) -> None:
        self._around.before_writing()

    def _on_fault(self, fault: ConnectionFault) -> None:
        self._say_goaway(self._newest, fault.code, str(fault).encode())
        self.flush()
        self._transport.close()

    def _after(self, seconds: float, do: Callable[..., None], *arguments: object) -> None:
        timer: asyncio.TimerHandle

        def run() -> None:
            self._timers.discard(timer)
            do(*arguments)

        timer = self._loop.call_later(seconds, run)
        self._timers.add(timer)

    def _check_idle(self) -> None:
        idle = self._loop.time() - self._heard
        left = self._manners.idle_seconds - idle
        if left <= 0 and not self.streams:
            self.go_away(Flavour.CURT, b"")
        else:
            self._after(max(left, 0.1), self._check_idle)

    # ------------------------------------------------------------------ requests coming

    def _on_block(self, flags: int, number: int, block: bytes) -> None:
        known = self.streams.get(number)
        try:
            if known is not None:
                self._decoder.decode(block)  # trailers: only the table matters
                if known.complete or not flags & END_STREAM:
                    raise ConnectionFault(PROTOCOL_ERROR, "a second header block")
                self._finish(number, known)
                return
            if number in self._reset:
                self._decoder.decode(block)
                return
            if number % 2 == 0 or number <= self._newest:
                raise ConnectionFault(PROTOCOL_ERROR, "stream id out of order")
            self._newest = number
            head = self._decoder.head(block)
        except CompressionFault as fault:
            raise ConnectionFault(COMPRESSION_ERROR, str(fault)) from None
        except MalformedRequest:
            if number <= self._cutoff:
                self._reset_stream(number, PROTOCOL_ERROR)
            return
        if number <= self._cutoff:
            self._open(number, head, ends=bool(flags & END_STREAM))

    def _open(self, number: int, head: Head, *, ends: bool) -> None:
        if len(self.streams) >= self._limit:
            self._traffic.refused_streams += 1
            self.peer.violations += 1
            self._reset_stream(number, REFUSED_STREAM)
            if self.peer.violations > MAX_VIOLATIONS:
                raise ConnectionFault(ENHANCE_YOUR_CALM, "too many streams over the limit")
            return
        stream = self._add(number, head)
        self._opened += 1
        length = head.headers.get("content-length")
        if length is not None:
            stream.expected = int(length) if length.isascii() and length.isdigit() else -2
        if ends:
            self._finish(number, stream)
        elif head.headers.get("expect") == "100-continue":
            self._out.append(frame(HEADERS, END_HEADERS, number, b"\x08\x03100"))

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        if number == 0 or number > self._newest:
            raise ConnectionFault(PROTOCOL_ERROR, "DATA on an idle stream")
        self._room -= size
        if self._room < 0:
            raise ConnectionFault(FLOW_CONTROL_ERROR, "connection window exceeded")
        self._taken += size
        stream = self.streams.get(number)
        if stream is None or stream.complete:
            if number not in self._reset and number <= self._cutoff:
                self._reset_stream(number, STREAM_CLOSED)
            return
        stream.room -= size
        if flags & PADDED:
            payload = unpadded(payload)
        stream.size += len(payload)
        if stream.room < 0 or stream.size > self.cloud.manners.max_body:
            self._reset_stream(number, FLOW_CONTROL_ERROR if stream.room < 0 else ENHANCE_YOUR_CALM)
            return
        stream.body.append(payload)
        if flags & END_STREAM:
            self._finish(number, stream)
        elif size:
            stream.room += size
            self._out.append(frame(WINDOW_UPDATE, 0, number, LONG.pack(size)))

    def _finish(self, number: int, stream: Stream) -> None:
        """A whole request is here: ask the cloud, then answer now, later or never."""
        stream.complete = True
        if stream.expected not in (-1, stream.size):
            self._reset_stream(number, PROTOCOL_ERROR)
            return
        head, peer = stream.head, self.peer
        body = stream.body[0] if len(stream.body) == 1 else b"".join(stream.body)
        stream.body = []
        request = Request(
            head.method, head.path, head.authority, head.headers, head.doubled, body, peer, number
        )
        stream.answer = answer = self.cloud.answer(request)
        manners = self._manners
        if peer.proved and not self._trusted:
            self._trusted = True
            self.limit_streams(manners.max_streams)
        every = manners.goaway_every
        if every and self._opened % every == 0 and not self._leaving:
            answer.goaway, answer.reason = manners.goaway_flavour, manners.goaway_reason.encode()
        if answer.ending is Ending.ABORTED or answer.goaway is Flavour.RUDE:
            self._cut(answer)
        elif answer.delay:
            self._around.postpone(answer.delay, self, number)
        else:
            self._answer(number)

    def _cut(self, answer: Answer) -> None:
        if answer.goaway is Flavour.RUDE:
            self.go_away(Flavour.RUDE, answer.reason)
        else:
            self.abort()

    # ------------------------------------------------------------------- answers leaving

    def release(self, numbers: Iterable[int]) -> None:
        """The delay of these answers is over."""
        for number in numbers:
            self._answer(number)
        self.flush()

    def _answer(self, number: int) -> None:
        stream = self.streams.get(number)
        answer = stream.answer if stream is not None else None
        if stream is None or answer is None or stream.unsent is not None:
            return  # the client reset it meanwhile, or it has been answered early
        if answer.ending is Ending.STALLED:
            return
        if answer.ending is not Ending.ANSWERED:
            refused = answer.ending is Ending.REFUSED
            self._reset_stream(number, REFUSED_STREAM if refused else INTERNAL_ERROR)
        else:
            block = response_block(answer.status, answer.headers, len(answer.body))
            if self._shrink_table:
                block, self._shrink_table = b"\x20" + block, False
            if answer.body:
                self._say(HEADERS, END_HEADERS, number, block)
                stream.unsent = answer.body
                self._send_body(number, stream)
            else:
                self._say(HEADERS, END_HEADERS | END_STREAM, number, block)
                self._forget(number)
        if answer.goaway is not None:
            self.go_away(answer.goaway, answer.reason)

    # -------------------------------------------------------------------- leaving

    def go_away(self, flavour: Flavour, reason: bytes) -> None:
        """Leave in one of four ways. Source: contract/providers.md SIM-13."""
        if self._leaving or self._transport.is_closing():
            return
        self._leaving = True
        self.cloud.traffic.goaways += 1
        if flavour is Flavour.POLITE:
            self._say_goaway(MAX_WINDOW, NO_ERROR, reason)
            self._after(POLITE_PAUSE, self._settle, reason)
            self.flush()
            return
        last = self._newest
        if flavour is Flavour.ZERO:
            for number in [number for number, one in self.streams.items() if one.answer]:
                self._answer(number)
            if not any(one.answer for one in self.streams.values()):
                last = 0  # true: nothing that was processed is without its answer
        self._settle(reason, last)
        if flavour is Flavour.RUDE:
            self._transport.close()

    def _settle(self, reason: bytes, last: int | None = None) -> None:
        self._cutoff = self._newest if last is None else last
        self._say_goaway(self._cutoff, NO_ERROR, reason)
        for number in [number for number in self.streams if number > self._cutoff]:
            self._forget(number)
        self._after(DRAIN_SECONDS, self._transport.close)
        self.flush()
        if not self.streams:
            self._on_idle()

    def _on_farewell(self) -> None:
        """The client leaves: finish what it asked for, then close."""
        self._leaving = True
        self._cutoff = min(self._cutoff, self._newest)
        if not self.streams:
            self._on_idle()

    def _on_idle(self) -> None:
        if self._leaving and self._cutoff < MAX_WINDOW and not self._departing:
            self._departing = True
            self._after(FAREWELL_SECONDS, self._transport.close)

    def _say_goaway(self, last: int, code: int, reason: bytes) -> None:
        self._out.append(frame(GOAWAY, 0, 0, LONG.pack(last) + LONG.pack(code) + reason))
