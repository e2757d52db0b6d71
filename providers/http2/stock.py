"""The same face over httpx, for networks that let nothing out but through a proxy.

Ours opens its own connections and cannot ask a proxy for them. This one is slower by far
(benchmarks/sender.py) and less sure: it says NotSent only where no connection was had, and
NoAnswer wherever httpx does not tell how far a request came. Never the other way round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from providers.base import Network
from providers.http2.answering import MAX_ANSWER
from providers.http2.headers import literal
from providers.http2.messages import Answer, Limits, NoAnswer, NotSent, Request, Result

START_WITHIN = 10.0  # seconds a request may wait for a stream

# Raised before a request is written: httpx has no connection for it.
_BEFORE: Mapping[type[Exception], str] = {
    httpx.ConnectError: "cannot connect",
    httpx.ConnectTimeout: "no connection in time",
    httpx.PoolTimeout: "no stream became free in time",
    httpx.ProxyError: "the proxy refused the connection",
}


@dataclass(slots=True)
class _Client:
    """Connections of one generation."""

    http: httpx.AsyncClient
    in_flight: int = 0
    leaving: bool = False
    idle: asyncio.Event = field(default_factory=asyncio.Event)  # nothing is in flight

    def __post_init__(self) -> None:
        self.idle.set()


class StockPool:
    """Connections to one host through `network.proxy`. Results as of Pool.send_many."""

    def __init__(
        self, network: Network, host: str, port: int = 443, *, limits: Limits | None = None
    ) -> None:
        self._limits = limits or Limits()
        self._network = network
        self._base = f"https://{host}:{port}"  # the proxy finds out where that is
        self._client: _Client | None = None
        self._gate = asyncio.Semaphore(self._limits.connections * self._limits.streams)
        self._closed = False

    async def send_many(
        self, requests: Sequence[Request], *, start_within: float = START_WITHIN
    ) -> list[Result]:
        """One result per request, in order; none is ever repeated."""
        sends = [self._send(request, start_within) for request in requests]
        return list(await asyncio.gather(*sends))

    def renew(self) -> None:
        """Use fresh connections from now on; the old ones finish what they have."""
        client, self._client = self._client, None
        if client is not None:
            client.leaving = True

    async def close(self) -> None:
        """Let what is on the wire finish, for the drain limit at most; refuse the rest."""
        self._closed = True
        client = self._client
        self.renew()
        if client is None:
            return
        try:
            async with asyncio.timeout(self._limits.drain):
                await client.idle.wait()
        except TimeoutError:
            pass
        await client.http.aclose()

    async def _send(self, request: Request, start_within: float) -> Result:
        try:
            async with asyncio.timeout(start_within):
                await self._gate.acquire()
        except TimeoutError:
            return NotSent("no stream became free in time")
        try:
            if self._closed:
                return NotSent("the pool is closed")
            client = self._client = self._client or self._connect()
            client.in_flight += 1
            client.idle.clear()
            try:
                return await self._exchange(client.http, request, start_within)
            finally:
                client.in_flight -= 1
                if not client.in_flight:
                    client.idle.set()
                    if client.leaving:
                        await client.http.aclose()
        finally:
            self._gate.release()

    async def _exchange(
        self, client: httpx.AsyncClient, request: Request, start_within: float
    ) -> Result:
        limits = self._limits
        timeout = httpx.Timeout(limits.answer, connect=limits.connect, pool=start_within)
        path = request.path or dict(request.common.pseudo)[b":path"]
        asked = client.build_request(
            "POST",
            self._base + path.decode("ascii"),
            content=request.body,
            headers=[*request.common.regular, *request.headers],
            extensions={"timeout": timeout.as_dict()},
        )
        try:
            async with asyncio.timeout(limits.connect + start_within + limits.answer):
                response = await client.send(asked, stream=True)
                try:
                    return await _read(response)
                finally:
                    await response.aclose()
        except tuple(_BEFORE) as error:
            return NotSent(_BEFORE[type(error)])
        except (httpx.HTTPError, TimeoutError) as error:
            late = isinstance(error, httpx.TimeoutException | TimeoutError)
            return NoAnswer("no answer in time" if late else "connection lost")

    def _connect(self) -> _Client:
        size = self._limits.connections
        return _Client(
            httpx.AsyncClient(
                http1=False,
                http2=True,
                verify=self._network.tls_http2,
                proxy=self._network.proxy,
                trust_env=False,
                limits=httpx.Limits(
                    max_connections=size,
                    max_keepalive_connections=size,
                    keepalive_expiry=self._limits.idle,
                ),
                headers={"accept-encoding": "identity", "user-agent": "pushadmin"},
            )
        )


async def _read(response: httpx.Response) -> Answer:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) >= MAX_ANSWER:
            break
    block = b"".join([literal(name.lower(), value) for name, value in response.headers.raw])
    return Answer(response.status_code, block, bytes(body[:MAX_ANSWER]))
