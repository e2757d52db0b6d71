"""How connections are kept, replaced, added and closed."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from providers.http2 import Answer, NoAnswer
from providers.http2 import connection as client
from tests.providers.certificates import Authority
from tests.providers.results import statuses
from tests.providers.running import make_requests, pooled, run, until
from tests.providers.server import Behaviour, Received, slowly


def test_pings_are_answered(authority: Authority, tls: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour()) as (pool, server):
            await pool.send_many(make_requests(1))
            server.sessions[0].ping()
            await until(lambda: server.sessions[0].pongs == 1)

    run(scenario())


def test_a_silent_connection_is_asked_and_one_that_stays_silent_closed(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-8."""

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(), ping_after=0.1, ping=0.2) as (pool, server):
            await pool.send_many(make_requests(1))
            session = server.sessions[0]
            await until(lambda: session.pings >= 2)
            assert not session.closed.is_set()
            session.behaviour.answers_ping = False
            await asyncio.wait_for(session.closed.wait(), 5)

            assert statuses(await pool.send_many(make_requests(5))) == {200}
            assert len(server.sessions) == 2

    run(scenario())


def test_an_idle_connection_is_closed_politely(authority: Authority, tls: ssl.SSLContext) -> None:
    """H2-8."""

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(), idle=0.2) as (pool, server):
            await pool.send_many(make_requests(1))
            await asyncio.wait_for(server.sessions[0].closed.wait(), 5)
            assert server.sessions[0].goaway_code == 0

            assert statuses(await pool.send_many(make_requests(1))) == {200}

    run(scenario())


def test_a_connection_is_replaced_before_its_stream_ids_run_out(
    authority: Authority, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H2-12."""
    monkeypatch.setattr(client, "LAST_STREAM_ID", 101)  # fifty streams each

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour()) as (pool, server):
            assert statuses(await pool.send_many(make_requests(500))) == {200}
            assert all(session.last_stream <= 99 for session in server.sessions)
            assert set(server.ledger.values()) == {1}

    run(scenario())


def test_a_stream_that_ended_leaves_nothing_behind(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-12."""

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(), connections=1) as (pool, _):
            for _ in range(5):
                await pool.send_many(make_requests(400, size=10))
            [connection] = pool._connections

            assert not connection._streams
            assert len(connection._answers) == len(connection._writer.uploads) == 0
            assert not pool.queue

    run(scenario())


def test_more_connections_are_opened_while_all_streams_are_busy(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(slowly, streams=10), connections=3) as (
            pool,
            server,
        ):
            await pool.send_many(make_requests(5))
            assert len(server.sessions) == 1  # nobody had to wait
            assert statuses(await pool.send_many(make_requests(400))) == {200}
            assert len(server.sessions) == 3

    run(scenario())


def test_a_cancelled_window_leaves_the_others_alone(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    def slowly(request: Received) -> None:
        request.process()
        asyncio.get_running_loop().call_later(0.05, request.answer)

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(slowly, streams=10)) as (pool, server):
            doomed = asyncio.create_task(pool.send_many(make_requests(200)))
            await until(lambda: len(server.ledger) >= 10)
            doomed.cancel()
            results = await pool.send_many(make_requests(300)[200:])

            assert statuses(results) == {200}
            assert doomed.cancelled()
            assert len(server.ledger) < 200

    run(scenario())


def test_closing_lets_the_wire_finish_and_refuses_the_rest(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    def slowly(request: Received) -> None:
        request.process()
        asyncio.get_running_loop().call_later(0.1, request.answer)

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(slowly, streams=10), connections=1) as (
            pool,
            server,
        ):
            sending = asyncio.create_task(pool.send_many(make_requests(30)))
            await until(lambda: len(server.ledger) == 10)
            await pool.close()
            results = await sending

            assert sum(isinstance(result, Answer) for result in results) == 10
            assert len(server.ledger) == 10
            assert not any(isinstance(result, NoAnswer) for result in results)

    run(scenario())
