"""Rules of contract/providers.md 1.3 that hold beneath every request.

The others stand, each with its number, in test_http2_sending and test_http2_endings.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
import tracemalloc

import pytest

from providers.base import Network
from providers.http2 import Answer, Common, Limits, NotSent, Pool, Request
from tests.providers.certificates import Authority
from tests.providers.running import HOST, make_requests, pooled, run
from tests.providers.server import Behaviour, Server, serving


def test_tls_older_than_1_2_is_refused(authority: Authority) -> None:
    """H2-1."""
    old = authority.server_context([HOST])
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    async def scenario() -> None:
        async with serving(old, Behaviour()) as server:
            pool = Pool(Network(("127.0.0.1", server.port), str(authority.file)), HOST)
            [result] = await pool.send_many(make_requests(1), start_within=0.4)
            await pool.close()

            assert isinstance(result, NotSent)
            assert server.ledger == {}

    run(scenario())


def test_what_differs_each_time_stays_out_of_the_peers_table(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-10."""
    common = Common(HOST, (("authorization", "bearer secret"), ("apns-topic", "com.example")))
    requests = [
        Request(
            common,
            b"{}",
            b"/3/device/%d" % number,
            ((b"apns-id", b"%d" % number), (b"apns-expiration", b"%d" % (number + 10**9))),
        )
        for number in range(300)
    ]

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(), connections=1) as (pool, server):
            await pool.send_many(requests)
            [session] = server.sessions
            table = [name for name, _ in session._decoder.header_table.dynamic_entries]

            assert sorted(table) == [b":authority", b"apns-topic", b"authorization"]

    run(scenario())


def test_nobody_is_given_a_priority(authority: Authority, tls: ssl.SSLContext) -> None:
    """H2-11."""

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour()) as (pool, server):
            await pool.send_many(make_requests(300))
            sent = {kind for session in server.sessions for kind in session.kinds}

            assert sent == {"SETTINGS", "WINDOW_UPDATE", "HEADERS", "DATA"}

    run(scenario())


def test_requests_that_ended_take_no_memory(authority: Authority, tls: ssl.SSLContext) -> None:
    """H2-12: ten times as many requests on a connection, and it holds no more than before."""

    async def scenario() -> None:
        behaviour = Behaviour(lambda request: request.answer())
        async with pooled(authority, tls, behaviour, connections=1) as (pool, server):

            async def held_after(rounds: int) -> int:
                for _ in range(rounds):
                    results = await pool.send_many(make_requests(500, size=20))
                    assert all(isinstance(result, Answer) for result in results)
                del results
                forget(server)
                gc.collect()
                return sum(
                    one.size
                    for one in tracemalloc.take_snapshot().statistics("filename")
                    if "/providers/http2/" in one.traceback[0].filename
                )

            tracemalloc.start()
            try:
                before = await held_after(2)
                after = await held_after(20)
            finally:
                tracemalloc.stop()

            assert after - before < 20_000  # two bytes a request

    run(scenario())


def forget(server: Server) -> None:
    """What the test's server remembers is not the client's."""
    for session in server.sessions:
        session.windows = {0: session.windows[0]}
        session.block_sizes.clear()


def test_pools_of_one_host_connect_one_after_the_other() -> None:
    """H2-13."""
    knocking = 0
    most = 0

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal knocking, most
        knocking += 1
        most = max(most, knocking)
        await reader.read(-1)  # a handshake that is never answered
        knocking -= 1
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(slowly, "127.0.0.1", 0)
        network = Network(("127.0.0.1", server.sockets[0].getsockname()[1]))
        limits = Limits(connect=0.1, backoff=0.01)
        pools = [Pool(network, HOST, limits=limits) for _ in range(5)]
        windows = await asyncio.gather(
            *[pool.send_many(make_requests(3), start_within=0.8) for pool in pools]
        )
        for pool in pools:
            await pool.close()
        server.close()

        assert all(isinstance(result, NotSent) for window in windows for result in window)
        assert most == 1

    run(scenario())
