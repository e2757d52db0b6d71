"""Not sent (contract/providers.md 1.2): what goes wrong before the first byte has left."""

from __future__ import annotations

import asyncio
import ssl
import time
from itertools import pairwise
from typing import Any

import pytest

from providers.base import Network
from providers.http2 import Limits, NotSent, Pool
from tests.providers.certificates import Authority
from tests.providers.results import only, reasons
from tests.providers.running import HOST, make_requests, pooled, run
from tests.providers.server import Behaviour, serving


def test_no_server_is_not_sent(authority: Authority, tls: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with serving(tls, Behaviour()) as server:
            port = server.port
        pool = Pool(Network(("127.0.0.1", port), str(authority.file)), HOST)
        started = time.monotonic()
        results = await pool.send_many(make_requests(3), start_within=0.4)
        await pool.close()

        assert only(results, NotSent)
        assert reasons(results) == {"cannot connect: Connection refused"}
        assert time.monotonic() - started < 1

    run(scenario())


@pytest.mark.parametrize(
    ("wrong", "trusted", "reason"),
    [
        ({"names": ["other.example"]}, True, "certificate refused"),
        ({"expired": True}, True, "certificate refused: certificate has expired"),
        ({}, False, "certificate refused"),
        ({"alpn": "http/1.1"}, True, "the server does not speak HTTP/2"),
    ],
)
def test_a_server_that_is_not_the_cloud_gets_nothing(
    wrong: dict[str, Any], trusted: bool, reason: str, authority: Authority
) -> None:
    """H2-1."""

    async def scenario() -> None:
        context = authority.server_context(**{"names": [HOST], **wrong})
        async with serving(context, Behaviour()) as server:
            ca_file = str(authority.file) if trusted else None
            pool = Pool(Network(("127.0.0.1", server.port), ca_file), HOST)
            results = await pool.send_many(make_requests(3), start_within=0.4)
            await pool.close()

            assert only(results, NotSent)
            assert all(reason in told for told in reasons(results))
            assert sum(session.seen for session in server.sessions) == 0

    run(scenario())


def test_a_server_that_accepts_and_stays_silent_is_not_sent() -> None:
    """H2-7."""

    async def scenario() -> None:
        silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        pool = Pool(Network(("127.0.0.1", port)), HOST, limits=Limits(connect=0.2))
        results = await pool.send_many(make_requests(2), start_within=0.5)
        await pool.close()
        silent.close()

        assert reasons(results) == {"cannot connect: no connection in time"}
        assert only(results, NotSent)

    run(scenario())


def test_a_handshake_that_is_cut_is_not_sent(authority: Authority, tls: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(), cuts=[300] * 9, backoff=5) as (pool, server):
            results = await pool.send_many(make_requests(2), start_within=0.4)

            assert only(results, NotSent)
            assert reasons(results) == {"cannot connect: the connection broke in the handshake"}
            assert server.ledger == {}

    run(scenario())


def test_failed_connects_are_spaced_out_and_one_at_a_time() -> None:
    """H2-13: 1, 2, 4 … times the pause, less up to a half; windows share the attempts."""
    attempts: list[float] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.append(time.monotonic())
        writer.close()

    async def scenario() -> None:
        broken = await asyncio.start_server(refuse, "127.0.0.1", 0)
        port = broken.sockets[0].getsockname()[1]
        pool = Pool(Network(("127.0.0.1", port)), HOST, limits=Limits(backoff=0.1))
        results = await asyncio.gather(
            *[pool.send_many(make_requests(5), start_within=0.9) for _ in range(5)]
        )
        await pool.close()
        broken.close()

        assert all(only(window, NotSent) for window in results)
        pauses = [later - earlier for earlier, later in pairwise(attempts)]
        assert 2 <= len(pauses) <= 4
        assert all(pause >= 0.05 * 2**turn for turn, pause in enumerate(pauses))

    run(scenario())


def test_a_window_that_cannot_wait_for_the_next_attempt_is_told_when_that_is(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with serving(tls, Behaviour()) as server:
            port = server.port
        pool = Pool(
            Network(("127.0.0.1", port), str(authority.file)), HOST, limits=Limits(backoff=40)
        )
        [result] = await pool.send_many(make_requests(1))
        await pool.close()

        assert isinstance(result, NotSent)
        assert result.retry_after is not None
        assert 15 < result.retry_after <= 40

    run(scenario())
