"""The server side of HTTP/2, written for speed, which keeps every rule it is told to break.

Source: RFC 9113; contract/providers.md 11.2 (SIM-10 to SIM-21).
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from simulator.exchange import Answer, Cloud, Ending, Flavour, Head, Manners, Peer, Request
from simulator.headers import CompressionFault, HeadDecoder, MalformedRequest, response_block

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = struct.Struct(">HBBBL")
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
ACK = END_STREAM = 0x1
END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
FRAME_SIZE_ERROR, REFUSED_STREAM, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 6, 7, 9, 11
LARGEST_FRAME = 16384
HIGHEST_STREAM = 2**31 - 1
LARGEST_BODY = 2**20
VIOLATIONS = 20  # streams over the limit, then the connection is ended (SIM-12)
POLITE_PAUSE = 0.2  # seconds between the two GOAWAYs


class ConnectionFault(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Stream:
    """A request that is still coming in, or not answered yet."""

    head: Head | None
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    window: int = 65535


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return HEAD.pack(size >> 8, size & 255, kind, flags, stream) + payload


class Http2Connection:
    """One client. `write` and `close` are the transport's; `commit` runs before answers leave."""

    def __init__(
        self, transport: asyncio.Transport, cloud: Cloud, peer: Peer, commit: Callable[[], None]
    ) -> None:
        self.transport, self.cloud, self.peer, self.commit = transport, cloud, peer, commit
        self.loop = asyncio.get_running_loop()
        self.manners: Manners = cloud.manners
        self.decoder = HeadDecoder(self.manners.max_header_list)
        self.streams: dict[int, Stream] = {}
        self.pending = bytearray()
        self.greeted = self.closed = False
        self.going: Flavour | None = None
        self.last_stream = self.opened = self.answered = 0
        self.unreturned = 0
        self.send_window = self.peer_stream_window = 65535
        self.blocked: deque[tuple[int, bytes]] = deque()
        self.headers_of = 0
        self.block = bytearray()
        self.block_flags = 0
        self.out: list[bytes] = []
        self.flush_planned = False
        self.limit = self.manners.first_streams or self.manners.max_streams
        self._say_settings()
        self.touched = self.loop.time()
        self.idle = self.loop.call_later(self.manners.idle_seconds, self._idle)
        if self.manners.goaway_seconds:
            self.loop.call_later(self.manners.goaway_seconds, self._go_by_age)

    # ------------------------------------------------------------------ in

    def receive(self, data: bytes) -> None:
        self.touched = self.loop.time()
        self.pending += data
        try:
            self._frames()
        except ConnectionFault as fault:
            self._end(fault.code, str(fault).encode())
        self._flush()

    def _frames(self) -> None:
        buffer, at, end = bytes(self.pending), 0, len(self.pending)
        if not self.greeted:
            if end < len(PREFACE):
                return
            if not buffer.startswith(PREFACE):
                raise ConnectionFault(PROTOCOL_ERROR, "no connection preface")
            at, self.greeted = len(PREFACE), True
        unpack = HEAD.unpack_from
        while end - at >= 9 and not self.closed:
            high, low, kind, flags, stream = unpack(buffer, at)
            size = high << 8 | low
            if size > LARGEST_FRAME:
                raise ConnectionFault(FRAME_SIZE_ERROR, "frame larger than allowed")
            if end - at - 9 < size:
                break
            payload = buffer[at + 9 : at + 9 + size]
            at += 9 + size
            if self.headers_of and kind != CONTINUATION:
                raise ConnectionFault(PROTOCOL_ERROR, "expected CONTINUATION")
            self._frame(kind, flags, stream & HIGHEST_STREAM, payload)
        self.pending = bytearray(buffer[at:])

    def _frame(  # noqa: C901 (one branch per kind of frame)
        self, kind: int, flags: int, stream: int, payload: bytes
    ) -> None:
        if kind == DATA:
            self._data(flags, stream, payload)
        elif kind == HEADERS:
            self._headers(flags, stream, payload)
        elif kind == CONTINUATION:
            if stream != self.headers_of:
                raise ConnectionFault(PROTOCOL_ERROR, "CONTINUATION out of place")
            self._block(flags, payload)
        elif kind == SETTINGS:
            self._settings(flags, payload)
        elif kind == PING:
            if len(payload) != 8:
                raise ConnectionFault(FRAME_SIZE_ERROR, "PING of a wrong size")
            if not flags & ACK:
                self.out.append(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            self._window(stream, payload)
        elif kind == RST_STREAM:
            self.streams.pop(stream, None)
        elif kind == PUSH:
            raise ConnectionFault(PROTOCOL_ERROR, "a client does not push")

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            return
        if len(payload) % 6:
            raise ConnectionFault(FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
        for name, value in struct.iter_unpack(">HL", payload):
            if name == 4:
                if value > HIGHEST_STREAM:
                    raise ConnectionFault(FLOW_CONTROL_ERROR, "window too large")
                for stream in self.streams.values():
                    stream.window += value - self.peer_stream_window
                self.peer_stream_window = value
        self.out.append(frame(SETTINGS, ACK, 0))

    def _window(self, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong size")
        grown = struct.unpack(">L", payload)[0] & HIGHEST_STREAM
        if not grown:
            raise ConnectionFault(PROTOCOL_ERROR, "WINDOW_UPDATE of zero")
        if stream:
            if stream in self.streams:
                self.streams[stream].window += grown
        else:
            self.send_window += grown
            if self.send_window > HIGHEST_STREAM:
                raise ConnectionFault(FLOW_CONTROL_ERROR, "window too large")
        waiting, self.blocked = self.blocked, deque()
        for each, body in waiting:
            self._send_body(each, body)

    def _headers(self, flags: int, stream: int, payload: bytes) -> None:
        if not stream & 1 or stream <= self.last_stream:
            raise ConnectionFault(PROTOCOL_ERROR, "stream number out of order")
        self.last_stream = stream
        payload = _unpadded(flags, payload)
        if flags & WITH_PRIORITY:
            payload = payload[5:]
        self.headers_of, self.block, self.block_flags = stream, bytearray(), flags
        self._block(flags, payload)

    def _block(self, flags: int, payload: bytes) -> None:
        self.block += payload
        if len(self.block) > 65536:
            raise ConnectionFault(ENHANCE_YOUR_CALM, "header block too large")
        if not flags & END_HEADERS:
            return
        stream, self.headers_of = self.headers_of, 0
        try:
            head = self.decoder.head(bytes(self.block))
        except CompressionFault as fault:
            raise ConnectionFault(COMPRESSION_ERROR, str(fault)) from None
        except MalformedRequest:
            self.out.append(_reset(stream, PROTOCOL_ERROR))
            return
        if self.going is not None:
            return  # above the last id: never looked at
        if len(self.streams) >= self.limit:
            self.cloud.traffic.refused_streams += 1
            self.peer.violations += 1
            self.out.append(_reset(stream, REFUSED_STREAM))
            if self.peer.violations > VIOLATIONS:
                raise ConnectionFault(ENHANCE_YOUR_CALM, "too many streams over the limit")
            return
        self.opened += 1
        traffic = self.cloud.traffic
        traffic.in_flight += 1
        traffic.max_in_flight = max(traffic.max_in_flight, traffic.in_flight)
        self.streams[stream] = Stream(head, window=self.peer_stream_window)
        if self.block_flags & END_STREAM:
            self._whole(stream)

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        self.unreturned += len(payload)
        if self.unreturned > 32768:
            self.out.append(frame(WINDOW_UPDATE, 0, 0, struct.pack(">L", self.unreturned)))
            self.unreturned = 0
        known = self.streams.get(stream)
        if known is None or known.whole:
            if stream > self.last_stream:
                raise ConnectionFault(PROTOCOL_ERROR, "DATA on an idle stream")
            return
        known.body += _unpadded(flags, payload)
        if len(known.body) > LARGEST_BODY:
            raise ConnectionFault(ENHANCE_YOUR_CALM, "body too large")
        if flags & END_STREAM:
            self._whole(stream)
        elif payload:
            self.out.append(frame(WINDOW_UPDATE, 0, stream, struct.pack(">L", len(payload))))

    # ------------------------------------------------------------------ answering

    def _whole(self, number: int) -> None:
        stream = self.streams[number]
        stream.whole = True
        head = cast("Head", stream.head)
        request = Request(
            head.method,
            head.path,
            head.authority,
            head.headers,
            head.doubled,
            bytes(stream.body),
            self.peer,
            number,
        )
        stream.head, stream.body = None, bytearray()
        answer = self.cloud.answer(request)
        if self.peer.proved and self.limit != self.manners.max_streams:
            self.limit = self.manners.max_streams
            self.out.append(frame(SETTINGS, 0, 0, struct.pack(">HL", 3, self.limit)))
        if answer.ending is Ending.STALLED:
            return
        if answer.delay > 0:
            self.loop.call_later(answer.delay, self._answer_later, number, answer)
        else:
            self._answer(number, answer)

    def _answer_later(self, number: int, answer: Answer) -> None:
        if not self.closed:
            self._answer(number, answer)
            self._plan_flush()

    def _answer(self, number: int, answer: Answer) -> None:
        if number not in self.streams or self.closed:
            return
        if answer.ending is Ending.ABORTED:
            self.commit()
            self.closed = True
            self.transport.abort()
            return
        if answer.ending in (Ending.RESET, Ending.REFUSED):
            refused = answer.ending is Ending.REFUSED
            self.out.append(_reset(number, REFUSED_STREAM if refused else INTERNAL_ERROR))
            self._forget(number)
            return
        length = len(answer.body)
        block = response_block(answer.status, answer.headers, length)
        flags = END_HEADERS | (0 if length else END_STREAM)
        self.out.append(self._padded(HEADERS, flags, number, block))
        if length:
            self._send_body(number, answer.body)
        else:
            self._forget(number)
        self.answered += 1
        if answer.goaway is not None:
            self.go_away(answer.goaway, answer.reason)
        elif self.manners.goaway_every and self.opened >= self.manners.goaway_every:
            self.go_away(self.manners.goaway_flavour, self.manners.goaway_reason.encode())

    def _send_body(self, number: int, body: bytes) -> None:
        stream = self.streams.get(number)
        if stream is None:
            return
        if len(body) > min(self.send_window, stream.window):
            self.blocked.append((number, body))
            return
        self.send_window -= len(body)
        if self.manners.dribble:
            parts = [body[at : at + 1] for at in range(len(body))]
            for part in parts[:-1]:
                self.out.append(frame(DATA, 0, number, part))
            self.out.append(frame(DATA, END_STREAM, number, parts[-1]))
        else:
            self.out.append(self._padded(DATA, END_STREAM, number, body))
        self._forget(number)

    def _padded(self, kind: int, flags: int, number: int, payload: bytes) -> bytes:
        padding = self.manners.padding
        if not padding:
            return frame(kind, flags, number, payload)
        if kind == DATA:
            self.send_window -= padding + 1
        return frame(kind, flags | PADDED, number, bytes((padding,)) + payload + b"\x00" * padding)

    def _forget(self, number: int) -> None:
        if self.streams.pop(number, None) is not None:
            self.cloud.traffic.in_flight -= 1
        if self.going is not None and not self.streams:
            self._close_soon()

    # ------------------------------------------------------------------ going away

    def change_limit(self, limit: int) -> None:
        """Lower or raise MAX_CONCURRENT_STREAMS in mid-flight (SIM-14)."""
        self.limit = limit
        self.out.append(frame(SETTINGS, 0, 0, struct.pack(">HL", 3, limit)))
        self._flush()

    def go_away(self, flavour: Flavour, reason: bytes = b"") -> None:
        if self.going is not None or self.closed:
            return
        self.cloud.traffic.goaways += 1
        if flavour is Flavour.POLITE:
            self.out.append(_goaway(HIGHEST_STREAM, NO_ERROR, reason))
            self.loop.call_later(POLITE_PAUSE, self._go_for_good, reason)
            return
        self.going = flavour
        last = 0 if flavour is Flavour.ZERO else self.last_stream
        self.out.append(_goaway(last, NO_ERROR, reason))
        if flavour in (Flavour.RUDE, Flavour.ZERO) or not self.streams:
            self._close_soon()

    def _go_for_good(self, reason: bytes) -> None:
        if self.closed or self.going is not None:
            return
        self.going = Flavour.POLITE
        self.out.append(_goaway(self.last_stream, NO_ERROR, reason))
        if not self.streams:
            self._close_soon()
        self._flush()

    def _go_by_age(self) -> None:
        self.go_away(self.manners.goaway_flavour, self.manners.goaway_reason.encode())
        self._plan_flush()

    def _idle(self) -> None:
        left = self.touched + self.manners.idle_seconds - self.loop.time()
        if left > 0:
            self.idle = self.loop.call_later(left, self._idle)
        else:
            self.go_away(Flavour.CURT)
            self._plan_flush()

    def _end(self, code: int, reason: bytes) -> None:
        self.out.append(_goaway(self.last_stream, code, reason))
        self._close_soon()

    def _close_soon(self) -> None:
        self._flush()
        self.closed = True
        self.transport.close()

    def lost(self) -> None:
        self.closed = True
        self.idle.cancel()
        self.cloud.traffic.in_flight -= len(self.streams)
        self.streams.clear()

    # ------------------------------------------------------------------ out

    def _say_settings(self) -> None:
        settings = struct.pack(
            ">HLHLHLHL", 1, 4096, 3, self.limit, 4, self.manners.window, 5, LARGEST_FRAME
        )
        if self.manners.max_header_list:
            settings += struct.pack(">HL", 6, self.manners.max_header_list)
        self.transport.write(frame(SETTINGS, 0, 0, settings))

    def _plan_flush(self) -> None:
        if not self.flush_planned:
            self.flush_planned = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self.flush_planned = False
        self.commit()  # the ledger is written before the answers leave
        if self.out and not self.closed:
            self.transport.write(b"".join(self.out))
        self.out.clear()


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(PROTOCOL_ERROR, "more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def _reset(stream: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">L", code))


def _goaway(last: int, code: int, reason: bytes) -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack(">LL", last, code) + reason)
