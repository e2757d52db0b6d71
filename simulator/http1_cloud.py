"""A cloud over HTTP/1.1: keep-alive, chunked bodies, 100-continue. SIM-20."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from simulator.exchange import Answer, Cloud, Ending, Peer, Request
from simulator.http1 import MAX_HEAD, Malformed, Message, read_body, read_head, response


class Http1Connection(asyncio.StreamReaderProtocol):
    """One client; requests are answered in their order."""

    def __init__(self, cloud: Cloud, peer: Peer, before_writing: Callable[[], None]) -> None:
        self._cloud = cloud
        self._peer = peer
        self._before_writing = before_writing
        self._served = 0
        loop = asyncio.get_running_loop()
        super().__init__(asyncio.StreamReader(limit=MAX_HEAD, loop=loop), self._serve, loop=loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cloud.traffic.open_connections -= 1
        super().connection_lost(exc)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, TimeoutError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether another may follow."""
        try:
            async with asyncio.timeout(self._cloud.manners.idle_seconds):
                head = await read_head(reader)
                if head is None:
                    return False
                if head.headers.get("expect", "").lower() == "100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await read_body(reader, head, limit=self._cloud.manners.max_body)
        except Malformed as fault:
            writer.write(response(fault.status, (), b"", last=True))
            await writer.drain()
            return False
        answer = self._ask(head, body)
        self._before_writing()
        return await self._end(answer, head, reader, writer)

    def _ask(self, head: Message, body: bytes) -> Answer:
        traffic = self._cloud.traffic
        traffic.requests += 1
        traffic.max_in_flight = max(traffic.max_in_flight, traffic.in_flight + 1)
        method, path, _ = head.first
        authority = head.headers.get("host", "")
        request = Request(method, path, authority, head.headers, head.doubled, body, self._peer, 0)
        return self._cloud.answer(request)

    async def _end(
        self,
        answer: Answer,
        head: Message,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        if answer.ending is Ending.STALLED:
            await reader.read()  # until the client gives up
            return False
        if answer.ending is not Ending.ANSWERED:
            writer.transport.abort()
            return False
        if answer.delay:
            await asyncio.sleep(answer.delay)
        self._served += 1
        most = self._cloud.manners.requests_per_connection
        last = not head.keeps_alive or self._served == most
        writer.write(response(answer.status, answer.headers, answer.body, last=last))
        await writer.drain()
        return not last
