"""Phones that got a push: they say so to the public device API, late, twice or never.

Source: contract/mobile-sdk.md 4.2 and 4.3; contract/providers.md 11.8 (SIM-70).
"""

from __future__ import annotations

import asyncio
import heapq
import json
import math
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from simulator.behaviour import Behaviour

CONNECTIONS = 8
TRIES = 6
RATES = {
    "delivered": 0.92,  # of what the cloud took
    "seen": 0.40,  # of what was delivered
    "repeated": 0.03,  # of reports, sent a second time
    "unknown": 0.002,  # of reports, about a message nobody sent
    "speed": 1.0,  # divides every delay
}
DELIVERED_AFTER = 1.5  # seconds, median
SEEN_AFTER = 12.0
Report = tuple[float, int, str, str, dict[str, Any], int]  # due, number, path, code, body, try


class Phones:
    """Reports that are due, and the few connections that carry them."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.rates = dict(RATES)
        self.base_url = ""
        self.codes: dict[str, str] = {}
        self.counted = {"delivered": 0, "seen": 0, "given_up": 0}
        self._queue: list[Report] = []
        self._number = 0
        self._wake = asyncio.Event()

    def place(self, given: dict[str, Any]) -> None:
        """Raises ValueError naming the member that is wrong."""
        base_url, codes = given.get("base_url"), given.get("applications")
        host = urlsplit(str(base_url)).hostname
        if not isinstance(base_url, str) or host not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("base_url must be an address on this machine")
        if not isinstance(codes, dict):
            raise ValueError(  # noqa: TRY004 (one kind of fault for callers)
                "applications must map project ids and topics to application codes"
            )
        rates = given.get("rates", {})
        for name, value in rates.items() if isinstance(rates, dict) else ():
            if name not in RATES:
                raise ValueError(f"rates.{name}: there are only {', '.join(RATES)}")
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise ValueError(f"rates.{name} must be a number that is not negative")
        self.base_url, self.codes = base_url.rstrip("/"), dict(codes)
        self.rates = RATES | rates

    def deliver(self, target: str, address: str, message_id: str) -> None:
        """A cloud took a notification for this address: what will its phone say, and when?"""
        code = self.codes.get(target)
        if code is None or not message_id:
            return
        chance, now = self.behaviour.chance, asyncio.get_running_loop().time()
        who = f"{address}/{message_id}"
        if chance("delivered", who) >= self.rates["delivered"]:
            return
        arrived = now + self._after(DELIVERED_AFTER, chance("when", who))
        self._report(arrived, "/mobile/1/messages/deliveryreport", code, {"dlrIds": [message_id]})
        if chance("seen", who) < self.rates["seen"]:
            seen = arrived + self._after(SEEN_AFTER, chance("when seen", who))
            body = {"messages": [{"messageId": message_id, "timestampDelta": 1}]}
            self._report(seen, "/mobile/2/messages/seen", code, body)
        if chance("unknown", who) < self.rates["unknown"]:
            strange = {"dlrIds": [str(uuid.UUID(int=hash(who) & (2**128 - 1)))]}
            self._report(arrived, "/mobile/1/messages/deliveryreport", code, strange)

    def _after(self, median: float, drawn: float) -> float:
        return median * math.exp(2 * drawn - 1) / max(self.rates["speed"], 0.001)

    def _report(self, due: float, path: str, code: str, body: dict[str, Any]) -> None:
        self._push(due, path, code, body, 1)
        if self.behaviour.chance("repeated", json.dumps(body)) < self.rates["repeated"]:
            self._push(due + 0.5, path, code, body, 1)

    def _push(self, due: float, path: str, code: str, body: dict[str, Any], tried: int) -> None:
        self._number += 1
        heapq.heappush(self._queue, (due, self._number, path, code, body, tried))
        self._wake.set()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def run(self) -> None:
        """Report until cancelled."""
        await asyncio.gather(*[self._carry() for _ in range(CONNECTIONS)])

    async def _next(self) -> Report:
        loop = asyncio.get_running_loop()
        while True:
            if self._queue and self._queue[0][0] <= loop.time():
                return heapq.heappop(self._queue)
            left = min(self._queue[0][0] - loop.time(), 1.0) if self._queue else 1.0
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(left, 0.001))

    async def _carry(self) -> None:
        """One kept-alive connection; it is opened anew when the server closes it."""
        stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while True:
            due, _, path, code, body, tried = await self._next()
            try:
                if stream is None:
                    address = urlsplit(self.base_url)
                    stream = await asyncio.open_connection(address.hostname, address.port or 80)
                status, keep = await asyncio.wait_for(self._post(*stream, path, code, body), 15)
            except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
                status, keep = 503, False
            if not keep and stream is not None:
                stream[1].close()
                stream = None
            if status < 300:
                self.counted["seen" if "seen" in path else "delivered"] += 1
            elif status >= 500 and tried < TRIES:
                self._push(due + 2.0 * tried * tried, path, code, body, tried + 1)
            else:
                self.counted["given_up"] += 1

    async def _post(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        path: str,
        code: str,
        body: dict[str, Any],
    ) -> tuple[int, bool]:
        """The status of the answer, and whether the connection may be used again."""
        content = json.dumps(body).encode()
        host = urlsplit(self.base_url).netloc
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: App {code}\r\n"
            "User-Agent: Simulated phone\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        writer.write(head.encode("latin-1") + content)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(answer.split(" ", 2)[1])
        length = next(
            (int(line[15:]) for line in answer.split("\r\n") if line.startswith("content-length:")),
            None,
        )
        if length is None:
            return status, status == 204
        await reader.readexactly(length)
        return status, "connection: close" not in answer
