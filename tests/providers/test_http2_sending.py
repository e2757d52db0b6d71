"""The client against a server that keeps to the protocol: headers, streams, windows."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from providers.http2 import Answer, Common, Request
from tests.providers.certificates import Authority
from tests.providers.results import statuses
from tests.providers.running import COMMON, HOST, make_requests, pooled, run, until
from tests.providers.server import Behaviour, Received, accept, slowly


def test_every_request_gets_its_own_answer(authority: Authority, tls: ssl.SSLContext) -> None:
    def echo(request: Received) -> None:
        request.process()
        request.answer(200, body=request.path.encode())

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(echo)) as (pool, server):
            requests = make_requests(1000)
            results = await pool.send_many(requests)

            assert [r.body for r in results if isinstance(r, Answer)] == [r.path for r in requests]
            assert set(server.ledger.values()) == {1}

    run(scenario())


def test_answers_may_come_in_any_order(authority: Authority, tls: ssl.SSLContext) -> None:
    held: list[Received] = []

    def hold(request: Received) -> None:
        held.append(request)
        if len(held) == 50:
            for late in reversed(held):
                late.answer(200, body=late.path.encode())

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(hold)) as (pool, _):
            requests = make_requests(50)
            results = await pool.send_many(requests)

            assert [r.body for r in results if isinstance(r, Answer)] == [r.path for r in requests]

    run(scenario())


def test_windows_sent_at_once_share_the_connections(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-14."""

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour()) as (pool, server):
            first, second = make_requests(300), make_requests(600)[300:]
            results = await asyncio.gather(pool.send_many(first), pool.send_many(second))

            assert statuses([*results[0], *results[1]]) == {200}
            assert len(server.ledger) == 600
            assert await pool.send_many([]) == []

    run(scenario())


@pytest.mark.parametrize("table", [0, 300, 4096, 65536])
def test_headers_fit_any_table_of_the_peer(
    table: int, authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-10: a strict decoder refuses an index that is not there and a missing size update."""
    got: list[dict[str, str]] = []

    def keep(request: Received) -> None:
        got.append(request.headers)
        request.answer()

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(keep, table=table)) as (pool, server):
            long = Common(HOST, (("authorization", "bearer " + "s" * 400), ("apns-priority", "5")))
            requests = [
                Request((COMMON, long)[n // 20 % 2], b"{}", b"/%d" % n, ((b"apns-id", b"%d" % n),))
                for n in range(200)
            ]
            assert statuses(await pool.send_many(requests)) == {200}
            sizes = server.sessions[0].block_sizes

        by_path = {headers[":path"]: headers for headers in got}
        assert by_path["/7"]["authorization"] == "bearer secret"
        assert by_path["/7"]["apns-id"] == "7"
        assert by_path["/27"]["authorization"] == "bearer " + "s" * 400
        assert (min(sizes) < 40) == (table > 0)  # constant headers are one byte each
        assert server.sessions[0].settings[1] == 0  # our own table: none

    run(scenario())


def test_the_table_may_shrink_and_grow_in_mid_flight(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-10."""

    def change(request: Received) -> None:
        session = request.session
        if session.seen in (100, 200, 300):
            session.announce(table={100: 0, 200: 4096, 300: 120}[session.seen])
        accept(request)

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(change), connections=1) as (pool, _):
            assert statuses(await pool.send_many(make_requests(500))) == {200}

    run(scenario())


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_never_more_streams_than_the_server_allows(
    limit: int, authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-2."""

    async def scenario() -> None:
        behaviour = Behaviour(slowly, streams=limit)
        async with pooled(authority, tls, behaviour, connections=1) as (pool, server):
            assert statuses(await pool.send_many(make_requests(limit * 3))) == {200}
            assert server.sessions[0].most_open == limit

    run(scenario())


def test_never_more_streams_than_our_own_limit(authority: Authority, tls: ssl.SSLContext) -> None:
    """H2-2."""

    async def scenario() -> None:
        behaviour = Behaviour(slowly, streams=None)
        async with pooled(authority, tls, behaviour, connections=1, streams=30) as (pool, server):
            assert statuses(await pool.send_many(make_requests(300))) == {200}
            assert server.sessions[0].most_open == 30

    run(scenario())


def test_one_stream_until_the_first_settings(authority: Authority, tls: ssl.SSLContext) -> None:
    """H2-2."""

    async def scenario() -> None:
        behaviour = Behaviour(lambda request: None, greets=False)
        async with pooled(authority, tls, behaviour, drain=0.1) as (pool, server):
            sending = asyncio.create_task(pool.send_many(make_requests(50)))
            await until(lambda: bool(server.sessions) and server.sessions[0].seen == 1)
            session = server.sessions[0]
            session.behaviour.handler = accept
            assert session.most_open == 1
            session.greet()
            session.answer(1, 200, (), b"")

            assert statuses(await sending) == {200}

    run(scenario())


def test_a_lowered_limit_holds_for_new_streams_only(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-3: 1000, then 1, then 1000 again, as APNs has been seen to do."""
    held: list[Received] = []

    def hold(request: Received) -> None:
        if len(held) < 40:
            held.append(request)
            if len(held) == 40:
                request.session.announce(streams=1)
                for waiting in held:
                    accept(waiting)
        elif request.session.seen == 60:
            request.session.announce(streams=1000)
            accept(request)
        else:
            accept(request)

    async def scenario() -> None:
        async with pooled(
            authority, tls, Behaviour(hold, streams=40), connections=1, streams=1000
        ) as (pool, server):
            assert statuses(await pool.send_many(make_requests(400))) == {200}
            assert set(server.ledger.values()) == {1}

    run(scenario())


@pytest.mark.parametrize("window", [1, 100, 1024])
def test_bodies_wait_for_the_streams_window(
    window: int, authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-9."""

    async def scenario() -> None:
        size = 60 if window == 1 else 3000
        async with pooled(authority, tls, Behaviour(window=window)) as (pool, server):
            results = await pool.send_many(make_requests(120, size=size))

            assert statuses(results) == {200}
            assert set(server.ledger.values()) == {1}

    run(scenario())


def test_bodies_wait_for_the_connections_window(authority: Authority, tls: ssl.SSLContext) -> None:
    """H2-9: 65,535 bytes for all streams together, given back in drops."""

    async def scenario() -> None:
        behaviour = Behaviour(returns_window=False)
        async with pooled(authority, tls, behaviour, connections=1) as (pool, server):
            sending = asyncio.create_task(pool.send_many(make_requests(60, size=4000)))
            await until(lambda: bool(server.sessions) and server.sessions[0].windows[0] == 0)
            while not sending.done():
                server.sessions[0].give_window(0, 1111)
                await asyncio.sleep(0.001)

            assert statuses(await sending) == {200}

    run(scenario())


def test_the_first_window_may_shrink_below_what_is_used(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-9."""

    async def scenario() -> None:
        behaviour = Behaviour(window=1000, returns_window=False)
        async with pooled(authority, tls, behaviour, connections=1) as (pool, server):
            await pool.send_many(make_requests(1))
            session = server.sessions[0]
            sending = asyncio.create_task(pool.send_many(make_requests(1, size=3000)))
            await until(lambda: session.windows.get(3) == 0)
            session.announce(window=200)
            await until(lambda: session.windows[3] == -800)
            session.give_window(3, 800)
            session.ping()
            await until(lambda: session.pongs == 1)
            assert session.windows[3] == 0  # it did not send a byte
            session.give_window(3, 5000)

            assert statuses(await sending) == {200}

    run(scenario())


def test_a_header_cannot_smuggle_in_another() -> None:
    with pytest.raises(ValueError, match="apns-topic"):
        Common(HOST, (("apns-topic", "com.example\r\nx: y"),))
