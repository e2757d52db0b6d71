"""Enough of HTTP/1.1 for the token server, FCM's slow road and the control port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from simulator.exchange import Answer, Ending, Head

LARGEST_HEAD = 65536
LARGEST_BODY = 4 * 2**20


class Http1Connection:
    """Requests one after another; answers in order."""

    def __init__(
        self,
        transport: asyncio.Transport,
        answer: Callable[[Head, bytes], Answer],
        commit: Callable[[], None],
    ) -> None:
        self.transport, self.answer, self.commit = transport, answer, commit
        self.pending = bytearray()
        self.busy = False

    def receive(self, data: bytes) -> None:
        self.pending += data
        if not self.busy:
            self._next()

    def _next(self) -> None:
        end = self.pending.find(b"\r\n\r\n")
        if end < 0:
            if len(self.pending) > LARGEST_HEAD:
                self._refuse(431)
            return
        lines = self.pending[:end].decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                self._refuse(400)
                return
            headers[name.strip().lower()] = value.strip()
        length = headers.get("content-length", "0")
        if len(words) != 3 or not length.isdecimal() or "transfer-encoding" in headers:
            self._refuse(400)
            return
        if int(length) > LARGEST_BODY:
            self._refuse(413)
            return
        whole = end + 4 + int(length)
        if len(self.pending) < whole:
            return
        body = bytes(self.pending[end + 4 : whole])
        del self.pending[:whole]
        head = Head(words[0], words[1], headers.get("host", ""), headers)
        answer = self.answer(head, body)
        if answer.ending is Ending.ABORTED or answer.status == 0:
            self.commit()
            self.transport.abort()
        elif answer.ending is not Ending.STALLED:
            self.busy = True
            asyncio.get_running_loop().call_later(answer.delay, self._say, answer)

    def _say(self, answer: Answer) -> None:
        self.commit()
        phrase = HTTPStatus(answer.status).phrase
        lines = [f"HTTP/1.1 {answer.status} {phrase}", f"content-length: {len(answer.body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body)
        self.busy = False
        if self.pending:
            self._next()

    def _refuse(self, status: int) -> None:
        self._say(Answer(status))
        self.transport.close()

    def lost(self) -> None:
        """Nothing to forget."""
