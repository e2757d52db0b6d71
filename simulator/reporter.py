"""Carries phones' reports over a few keep-alive connections: one phone, one request.

A report is repeated while the web server is away, a bounded number of times; one that is
given up is counted.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from simulator.http1 import MAX_HEAD, Malformed, read_body, read_head

PATHS = {"delivered": "/mobile/1/messages/deliveryreport", "seen": "/mobile/2/messages/seen"}
PATH_OF_PAGES = "/sdk/1/receipts"  # for service workers
MAX_TRIES = 10
FIRST_PAUSE = 0.25  # seconds, doubled with each try: two minutes in all
TIMEOUT = 15.0  # seconds for one report
MAX_ANSWER = 1_000_000  # bytes


@dataclass(slots=True)
class Report:
    kind: str  # delivered or seen; of a browser delivered, opened or dismissed
    code: str  # of the application
    message_id: str
    ago: int = 0  # seconds since it was seen, by the phone's own clock
    from_page: bool = False  # a browser's service worker says it
    tries: int = 0

    @property
    def path(self) -> str:
        return PATH_OF_PAGES if self.from_page else PATHS[self.kind]

    def body(self) -> bytes:
        if self.from_page:
            event = {"id": self.message_id, "kind": self.kind, "ago_ms": self.ago * 1000}
            return json.dumps({"events": [event]}).encode()
        if self.kind == "delivered":
            return json.dumps({"dlrIds": [self.message_id]}).encode()
        seen = {"messageId": self.message_id, "timestampDelta": self.ago}
        return json.dumps({"messages": [seen]}).encode()


class Reporter:
    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._queue: asyncio.Queue[Report] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []
        self._host, self._port, self._prefix = "", 0, ""
        self._resting = 0  # reports that wait for their next try
        self._on_the_wire = 0
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def waiting(self) -> int:
        """Reports that nobody has answered yet."""
        return self._queue.qsize() + self._resting + self._on_the_wire

    def use(self, base_url: str, connections: int) -> None:
        """Report there from now on, over so many connections."""
        for worker in self._workers:
            worker.cancel()
        self._workers = []
        if not base_url:
            return
        parts = urlsplit(base_url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._prefix = parts.path
        self._workers = [asyncio.create_task(self._work()) for _ in range(connections)]

    def add(self, report: Report) -> None:
        self._queue.put_nowait(report)

    def clear(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._resting = 0

    async def stop(self) -> None:
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        self.clear()

    async def _work(self) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        report: Report | None = None
        try:
            while True:
                report = await self._queue.get()
                self._on_the_wire += 1
                try:
                    async with asyncio.timeout(TIMEOUT):
                        if streams is None or streams[0].at_eof():
                            streams = await asyncio.open_connection(
                                self._host, self._port, limit=MAX_HEAD
                            )
                        status, kept = await self._post(*streams, report)
                except (OSError, Malformed, TimeoutError):
                    status, kept = 0, False
                self._on_the_wire -= 1
                self._conclude(report, status)
                report = None
                if not kept and streams is not None:
                    streams[1].close()
                    streams = None
        finally:
            if report is not None:
                self._on_the_wire -= 1
                self._queue.put_nowait(report)
            if streams is not None:
                streams[1].close()

    async def _post(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, report: Report
    ) -> tuple[int, bool]:
        """The status and whether the connection may be used again."""
        body = report.body()
        writer.write(
            f"POST {self._prefix}{report.path} HTTP/1.1\r\n"
            f"host: {self._host}:{self._port}\r\n"
            f"authorization: App {report.code}\r\n"
            "content-type: application/json\r\naccept: application/json\r\n"
            "user-agent: simulated-phone\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode("latin-1", "replace")
            + body
        )
        head = await read_head(reader)
        if head is None:
            raise Malformed(0, "closed without an answer")
        status = int(head.first[1]) if head.first[1].isdigit() else 0
        sized = "content-length" in head.headers or "transfer-encoding" in head.headers
        if sized:
            await read_body(reader, head, limit=MAX_ANSWER)
        return status, head.keeps_alive and (sized or status == 204)

    def _conclude(self, report: Report, status: int) -> None:
        if 200 <= status < 300:
            self._counts[f"{report.kind}_reported"] += 1
            return
        if 400 <= status < 500 and status not in {408, 429}:
            self._counts["refused"] += 1  # the phone's SDK does not repeat these
            return
        report.tries += 1
        if report.tries >= MAX_TRIES:
            self._counts["given_up"] += 1
            return
        self._counts["repeated_after_failure"] += 1
        self._resting += 1
        pause = FIRST_PAUSE * 2 ** (report.tries - 1)

        def again() -> None:
            self._timers.discard(timer)
            self._resting -= 1
            self.add(report)

        timer = asyncio.get_running_loop().call_later(pause, again)
        self._timers.add(timer)
