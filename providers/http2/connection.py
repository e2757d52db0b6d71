"""One HTTP/2 connection: frames out of requests, results out of frames.

Rules H2-1 to H2-14 of contract/providers.md 1.3; which end of a stream means what: 1.2.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from providers.http2 import frames
from providers.http2.answering import RECEIVE_WINDOW, AnswerReader
from providers.http2.frames import FrameError
from providers.http2.headers import MAX_HEADER_LIST, HeaderError
from providers.http2.messages import Answer, Limits, NoAnswer
from providers.http2.reading import FrameReader
from providers.http2.supply import Supply
from providers.http2.window import Window
from providers.http2.writing import RequestWriter

MAX_UNREAD = 2**20  # bytes of replies we hold for a peer that sends but does not read
LAST_STREAM_ID = 2**30
UNGREETED = "before the server's greeting"
SILENT_STREAMS = 3  # timeouts in a row that make us doubt the connection


class Connection(asyncio.BufferedProtocol):
    """Takes requests from its pool whenever it has room, and settles each exactly once."""

    def __init__(self, supply: Supply, limits: Limits) -> None:
        self.answered = 0
        self.ended = ""  # why; "" while it lives
        self.draining = False
        self._supply = supply
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._blocked = False  # the socket takes no more for now
        self._unread = 0  # bytes written since then

        self._writer = RequestWriter()
        self._out = self._writer.out
        self._answers = AnswerReader(self._out)
        self._reader = FrameReader(
            {
                frames.DATA: self._read_data,
                frames.HEADERS: self._read_headers,
                frames.RST_STREAM: self._read_reset,
                frames.SETTINGS: self._read_settings,
                frames.PING: self._read_ping,
                frames.GOAWAY: self._read_goaway,
                frames.WINDOW_UPDATE: self._read_window_update,
            }
        )
        self._greeted = False  # the peer's first SETTINGS came
        self._stream_limit = limits.first_streams  # until it does
        self._next_id = 1
        self._last_processed = frames.LARGEST_ID  # by the peer's GOAWAY
        # In the order of opening, so in the order of their deadlines: window, index, deadline.
        self._streams: dict[int, tuple[Window, int, float]] = {}

        now = self._loop.time()
        self._heard_at = now
        self._busy_at = now
        self._silent = 0  # streams that timed out since the last answer
        self._pong_by: float | None = None
        self._gone_by: float | None = None
        self._hung_up = False
        self._farewell = ""  # the peer's reason for GOAWAY
        self._ticking: asyncio.TimerHandle | None = None

    # What the pool asks

    @property
    def useless(self) -> bool:
        """It answered nothing, and that was not our wish: connecting again is no remedy."""
        return self.answered == 0 and bool(self._farewell or not self._hung_up)

    @property
    def sent_away(self) -> bool:
        """The peer said GOAWAY."""
        return bool(self._farewell)

    @property
    def lost(self) -> bool:
        """It ended, by neither GOAWAY nor our wish."""
        return bool(self.ended) and not self._hung_up and not self._farewell

    @property
    def in_flight(self) -> int:
        return len(self._streams)

    @property
    def full(self) -> bool:
        """All streams busy, of a server that answers and has not closed up to one stream."""
        return self.answered > 0 and len(self._streams) >= self._stream_limit > 1

    def drain(self) -> None:
        """Open no more streams; hang up when those on the wire have ended."""
        if self.draining or self.ended:
            return
        self.draining = True
        self._gone_by = self._loop.time() + self._limits.drain
        self._supply.going(self)
        if not self._streams:
            self._hang_up("drained")

    def pump(self) -> None:
        """Write, in one go, everything that may go now."""
        if self._transport is None or self.ended:
            return
        if self._writer.uploads and not self._blocked:
            self._writer.resume()
        room = self._room()
        if room > 0:
            self._open_streams(room)
        if self._out and self._transport is not None:
            data = b"".join(self._out)
            self._out.clear()
            if self._blocked:  # so these are replies: requests wait for the socket
                self._unread += len(data)
            self._transport.write(data)
            if self._unread > MAX_UNREAD:
                self._give_up(FrameError(frames.ENHANCE_YOUR_CALM, "the server does not read"))

    # Sending

    def _room(self) -> int:
        if self.draining or self._blocked or self._writer.window <= 0 or self._pong_by is not None:
            return 0
        return self._stream_limit - len(self._streams)

    def _open_streams(self, room: int) -> None:
        supply, streams, writer = self._supply, self._streams, self._writer
        write = writer.open
        now = self._loop.time()
        deadline = now + self._limits.answer
        while room > 0 and writer.window > 0 and (window := supply.next_window()) is not None:
            stream = self._next_id
            if stream >= LAST_STREAM_ID:
                self.drain()
                return
            self._next_id = stream + 2
            index = window.waiting.popleft()
            streams[stream] = (window, index, deadline)
            self._busy_at = now
            room -= 1
            write(stream, window.requests[index])

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not registered as one
        tls = transport.get_extra_info("ssl_object")
        if tls is None or tls.selected_alpn_protocol() != "h2":
            self._end("the server does not speak HTTP/2", abort=True)
            return
        ours = {
            frames.HEADER_TABLE_SIZE: 0,
            frames.ENABLE_PUSH: 0,
            frames.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST,
        }
        self._out += [frames.PREFACE, frames.settings(ours)]
        self._out.append(frames.window_update(0, RECEIVE_WINDOW - frames.DEFAULT_WINDOW))
        limits = self._limits
        shortest = min(limits.answer, limits.drain, limits.ping, limits.ping_after, limits.idle)
        self._tick(min(1.0, shortest / 4))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._reader.room()

    def buffer_updated(self, nbytes: int) -> None:
        if self.ended:
            return
        self._heard_at = self._loop.time()
        try:
            self._reader.read(nbytes)
        except FrameError as error:
            self._give_up(error)
        except HeaderError as error:
            self._give_up(FrameError(frames.COMPRESSION_ERROR, f"malformed headers: {error}"))
        if self.draining and not self._streams:
            self._hang_up("drained")
        self._supply.pump()
        self.pump()  # what it owes the peer, also when the pool no longer counts on it

    def eof_received(self) -> bool:
        return False  # close: nothing more will be answered

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        self._unread = 0
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended:
            trouble = "connection closed" if exc is None else f"connection lost: {_word(exc)}"
            self._end(trouble if self._greeted else f"{trouble} {UNGREETED}")
        self._transport = None

    # Reading

    def _read_headers(self, stream: int, flags: int, block: bytes) -> None:
        if stream not in self._streams:
            self._check_opened(stream)
            return
        answer = self._answers.headers(stream, flags, block)
        if answer is not None:
            self._answer(stream, answer)

    def _read_data(self, stream: int, flags: int, payload: bytes) -> None:
        if stream not in self._streams:
            self._answers.give_back(len(payload))
            self._check_opened(stream)
            return
        answer = self._answers.data(stream, flags, payload)
        if answer is not None:
            self._answer(stream, answer)

    def _answer(self, stream: int, answer: Answer) -> None:
        self.answered += 1
        if self.answered == 1:
            self._supply.works()
        self._silent = 0
        window, index, _ = self._streams.pop(stream)
        if stream in self._writer.uploads:  # its body is still on its way
            del self._writer.uploads[stream]
            self._out.append(frames.reset(stream, frames.CANCEL))
        window.settle(index, answer)

    def _read_reset(self, stream: int, flags: int, payload: bytes) -> None:
        code = frames.number(payload)
        if stream not in self._streams:
            self._check_opened(stream)
            return
        refused = code == frames.REFUSED_STREAM and not self._answers.begun(stream)
        window, index = self._forget(stream)
        reason = f"stream reset: {frames.code_name(code)}"
        if refused:
            self._supply.not_processed(window, index, reason)
        else:
            window.settle(index, NoAnswer(reason))

    def _read_window_update(self, stream: int, flags: int, payload: bytes) -> None:
        if stream and stream not in self._streams:
            self._check_opened(stream)
        self._writer.grow(stream, frames.number(payload) & frames.LARGEST_WINDOW)

    def _read_settings(self, stream: int, flags: int, payload: bytes) -> None:
        values = frames.read_settings(payload)
        if stream or (flags & frames.ACK and values):
            raise FrameError(frames.PROTOCOL_ERROR, "settings where none may be")
        if flags & frames.ACK:
            return
        if not self._greeted:
            self._greeted = True
            self._stream_limit = self._limits.streams
        for name, value in values:
            self._set(name, value)
        self._out.append(frames.frame(frames.SETTINGS, frames.ACK, 0))

    def _set(self, name: int, value: int) -> None:
        if name == frames.MAX_CONCURRENT_STREAMS:
            self._stream_limit = min(value, self._limits.streams)
        elif name == frames.HEADER_TABLE_SIZE:
            self._writer.resize_table(value)
        elif name == frames.INITIAL_WINDOW_SIZE:
            self._writer.resize_windows(value)
        elif name == frames.MAX_FRAME_SIZE:
            self._writer.resize_frames(value)

    def _read_ping(self, stream: int, flags: int, payload: bytes) -> None:
        if stream or len(payload) != 8:
            raise FrameError(frames.FRAME_SIZE_ERROR, "a PING that is none")
        if flags & frames.ACK:
            self._pong_by = None
            self._silent = 0
        else:
            self._out.append(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _read_goaway(self, stream: int, flags: int, payload: bytes) -> None:
        """It may come twice: first "open no more", then the true last stream. The lower holds."""
        last, code, debug = frames.read_goaway(payload)
        if stream:
            raise FrameError(frames.PROTOCOL_ERROR, "GOAWAY of a stream")
        self._farewell = f"GOAWAY {frames.reason_told(debug) or frames.code_name(code)}"
        self._last_processed = min(self._last_processed, last)
        unprocessed = [
            opened
            for opened in self._streams
            if opened > self._last_processed and not self._answers.begun(opened)
        ]
        for opened in unprocessed:
            window, index = self._forget(opened)
            self._supply.not_processed(window, index, self._farewell)
        self.drain()

    def _check_opened(self, stream: int) -> None:
        """A frame of a stream we have forgotten is late; of one we never opened, an offence."""
        if stream % 2 == 0 or stream >= self._next_id:
            raise FrameError(frames.PROTOCOL_ERROR, "a frame of a stream that was never opened")

    def _forget(self, stream: int) -> tuple[Window, int]:
        """Drop the state of a stream that has no whole answer."""
        window, index, _ = self._streams.pop(stream)
        self._answers.forget(stream)
        self._writer.uploads.pop(stream, None)
        return window, index

    # Time

    def _tick(self, every: float) -> None:
        self._ticking = self._loop.call_later(every, self._tick, every)
        now = self._loop.time()
        if self._pong_by is not None and now >= self._pong_by:
            self._end("no answer to PING", abort=True)
            return
        if self._gone_by is not None and now >= self._gone_by:
            self._hang_up(f"{self._farewell or 'drain'}: not finished in time")
            return
        self._expire(now)
        if self._silent >= SILENT_STREAMS or now - self._heard_at > self._limits.ping_after:
            self._ping(now)
        if self.draining and not self._streams:
            self._hang_up("drained")
        elif not self._streams and now - self._busy_at > self._limits.idle:
            self._hang_up("idle")
        self._supply.pump()
        self.pump()

    def _expire(self, now: float) -> None:
        while self._streams:
            stream, (window, index, deadline) = next(iter(self._streams.items()))
            if deadline > now:
                return
            whole = stream not in self._writer.uploads
            self._forget(stream)
            self._out.append(frames.reset(stream, frames.CANCEL))
            if whole:
                self._silent += 1
                window.settle(index, NoAnswer("no answer in time"))
            else:
                self._supply.not_processed(window, index, "the server let no whole request in")

    def _ping(self, now: float) -> None:
        if self._pong_by is None:
            self._pong_by = now + self._limits.ping
            self._out.append(frames.frame(frames.PING, 0, 0, b"pushping"))

    # The end

    def _hang_up(self, reason: str) -> None:
        """Politely, for a connection that has done its work."""
        if self._transport is not None and not self.ended:
            self._out.append(frames.goaway(frames.NO_ERROR))
            self._transport.write(b"".join(self._out))
            self._out.clear()
            self._hung_up = True
        self._end(reason)

    def _give_up(self, error: FrameError) -> None:
        """On a peer that breaks the protocol."""
        if self._transport is not None and not self.ended:
            self._transport.write(frames.goaway(error.code))
        self._end(f"protocol error: {error}")

    def close(self) -> None:
        """At once: what is unanswered stays unanswered."""
        self._hang_up("closed")

    def _end(self, reason: str, *, abort: bool = False) -> None:
        if self.ended:
            return
        self.ended = f"{reason} after {self._farewell}" if self._farewell else reason
        self._reader.stop()
        if self._ticking is not None:
            self._ticking.cancel()
        if self._transport is not None:
            if abort:
                self._transport.abort()
            else:
                self._transport.close()
        for stream in list(self._streams):
            whole = stream not in self._writer.uploads
            window, index = self._forget(stream)
            if whole:
                window.settle(index, NoAnswer(self.ended))
            else:  # END_STREAM was never handed to the socket
                self._supply.not_processed(window, index, self.ended)
        self._supply.gone(self)


def _word(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:  # the alert that the peer gave
        return error.reason.lower().replace("_", " ")
    return type(error).__name__
