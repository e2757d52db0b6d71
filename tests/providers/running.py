"""Running the client against the test's server, both on one loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import uvloop

from providers.base import Network
from providers.http2 import Common, Limits, Pool, Request
from tests.providers.certificates import Authority
from tests.providers.cutting import cut_wire
from tests.providers.server import Behaviour, Server, serving

T = TypeVar("T")
HOST = "push.example"
COMMON = Common(HOST, (("authorization", "bearer secret"), ("content-type", "application/json")))


def run(coroutine: Coroutine[Any, Any, T], *, seconds: float = 20) -> T:
    """On the loop that production uses; a hang is a failure."""

    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await coroutine

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


def make_requests(count: int, *, size: int = 100, common: Common = COMMON) -> list[Request]:
    return [Request(common, b"x" * size, b"/%d" % number) for number in range(count)]


@asynccontextmanager
async def pooled(
    authority: Authority,
    tls: ssl.SSLContext,
    behaviour: Behaviour,
    *,
    cuts: Sequence[int] = (),
    **limits: Any,
) -> AsyncIterator[tuple[Pool, Server]]:
    """A pool and its server; at the end the client must have kept to the protocol.

    `cuts`: the n-th connection is reset after so many bytes, both ways together.
    """
    async with serving(tls, behaviour) as server, cut_wire(server.port, cuts) as port:
        network = Network(("127.0.0.1", port), str(authority.file))
        pool = Pool(network, HOST, limits=Limits(**limits))
        try:
            yield pool, server
        finally:
            await pool.close()
    assert server.violations == []


async def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - of a server that is watched, not told
            await asyncio.sleep(0.005)
