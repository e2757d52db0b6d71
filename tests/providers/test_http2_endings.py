"""Not sent or unknown (contract/providers.md 1.2): resets, cut connections, time that runs out."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable

import pytest
from hyperframe.frame import HeadersFrame

from providers.http2 import Answer, NoAnswer, NotSent
from tests.providers.certificates import Authority
from tests.providers.results import only, reasons
from tests.providers.running import make_requests, pooled, run, until
from tests.providers.server import Behaviour, Received, Server, accept

REFUSED_STREAM = 7


# Resets


@pytest.mark.parametrize("code", [0, 1, 2, 5, 8, 11, 13, 99])
def test_a_stream_reset_with_any_code_is_unknown(
    code: int, authority: Authority, tls: ssl.SSLContext
) -> None:
    def reset(request: Received) -> None:
        request.process()
        request.session.reset(request.stream, code)

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(reset)) as (pool, server):
            results = await pool.send_many(make_requests(20))

            assert only(results, NoAnswer)
            assert set(server.ledger.values()) == {1}  # nothing was repeated

    run(scenario())


def test_a_refused_stream_was_not_processed(authority: Authority, tls: ssl.SSLContext) -> None:
    def refuse(request: Received) -> None:
        request.session.reset(request.stream, REFUSED_STREAM)

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(refuse), repeats=2) as (pool, server):
            results = await pool.send_many(make_requests(10))

            assert reasons(results) == {"stream reset: REFUSED_STREAM"}
            assert only(results, NotSent)
            assert sum(session.seen for session in server.sessions) == 30  # once and two repeats

    run(scenario())


def test_a_refused_stream_is_repeated(authority: Authority, tls: ssl.SSLContext) -> None:
    refused: Counter[str] = Counter()

    def refuse_once(request: Received) -> None:
        refused[request.path] += 1
        if refused[request.path] == 1:
            request.session.reset(request.stream, REFUSED_STREAM)
        else:
            accept(request)

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(refuse_once)) as (pool, server):
            assert only(await pool.send_many(make_requests(150)), Answer)
            assert set(server.ledger.values()) == {1}

    run(scenario())


def test_a_stream_reset_after_its_status_is_unknown(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """Whatever the code says: it cannot be unprocessed and answered."""

    def half(request: Received) -> None:
        session = request.session
        session.send(HeadersFrame(request.stream, session.block(200), flags=["END_HEADERS"]))
        session.reset(request.stream, REFUSED_STREAM)

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(half)) as (pool, _):
            assert only(await pool.send_many(make_requests(5)), NoAnswer)

    run(scenario())


# The connection ends


def cut_after(count: int, cut: Callable[[Received], None]) -> Callable[[Received], None]:
    """Accept so many requests on the first connection, then cut it; later ones work."""

    def handler(request: Received) -> None:
        session = request.session
        if session is session.server.sessions[0] and session.seen > count:
            request.process()
            if session.seen == count + 20:
                cut(request)
        else:
            accept(request)

    return handler


@pytest.mark.parametrize("cut", [lambda r: r.session.abort(), lambda r: r.session.close()])
def test_a_connection_that_closes_leaves_whole_requests_unknown(
    cut: Callable[[Received], None], authority: Authority, tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        behaviour = Behaviour(cut_after(50, cut))
        async with pooled(authority, tls, behaviour, connections=1) as (pool, server):
            results = await pool.send_many(make_requests(400))

            unknown = {n for n, result in enumerate(results) if isinstance(result, NoAnswer)}
            processed = {int(path[1:]) for path in server.ledger}
            assert unknown
            assert all(isinstance(results[n], Answer | NoAnswer) for n in processed)
            assert set(server.ledger.values()) == {1}
            assert len(server.sessions) == 2

    run(scenario())


def test_a_request_whose_end_never_left_was_not_sent(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        behaviour = Behaviour(window=100, returns_window=False)
        async with pooled(authority, tls, behaviour, repeats=0) as (pool, server):
            await pool.send_many(make_requests(1))
            session = server.sessions[0]
            sending = asyncio.create_task(pool.send_many(make_requests(10, size=500)))
            await until(lambda: len(session.open) == 10)
            session.abort()
            results = await sending

            assert only(results, NotSent)
            assert session.seen == 1

    run(scenario())


def test_a_server_that_lets_no_whole_request_in_gets_a_reset(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        behaviour = Behaviour(window=100, returns_window=False)
        async with pooled(authority, tls, behaviour, answer=0.2, repeats=0) as (pool, server):
            await pool.send_many(make_requests(1))
            results = await pool.send_many(make_requests(2, size=500))

            assert reasons(results) == {"the server let no whole request in"}
            assert only(results, NotSent)
            await until(lambda: set(server.sessions[0].resets.values()) == {8})

    run(scenario())


# Time


def test_a_stream_that_times_out_is_reset_alone(authority: Authority, tls: ssl.SSLContext) -> None:
    """H2-7."""

    def ignore_some(request: Received) -> None:
        request.process()
        if int(request.path[1:]) % 10:
            asyncio.get_running_loop().call_later(0.05, request.answer)

    async def scenario() -> None:
        behaviour = Behaviour(ignore_some)
        async with pooled(authority, tls, behaviour, answer=0.3, connections=1) as (pool, server):
            results = await pool.send_many(make_requests(60))

            silent = [n for n, result in enumerate(results) if isinstance(result, NoAnswer)]
            assert silent == list(range(0, 60, 10))
            assert reasons(results) == {"no answer in time"}
            [session] = server.sessions
            await until(lambda: list(session.resets.values()) == [8] * 6)
            assert only(await pool.send_many(make_requests(70)[61:]), Answer)
            assert len(server.sessions) == 1

    run(scenario())


def test_three_timeouts_in_a_row_put_the_connection_to_the_question(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-7."""

    def ignore(request: Received) -> None:
        if request.session is request.session.server.sessions[0]:
            request.process()
        else:
            accept(request)

    async def scenario() -> None:
        behaviour = Behaviour(ignore, answers_ping=False)
        async with pooled(
            authority, tls, behaviour, answer=0.2, ping=0.1, connections=1, backoff=0.01
        ) as (pool, server):
            server.behaviour.handler = accept
            await pool.send_many(make_requests(1))
            server.behaviour.handler = ignore
            results = await pool.send_many(make_requests(4)[1:])
            assert only(results, NoAnswer)
            session = server.sessions[0]
            await asyncio.wait_for(session.closed.wait(), 5)
            assert session.pings == 1

            assert only(await pool.send_many(make_requests(6)), Answer)

    run(scenario())


def test_what_finds_no_stream_in_time_was_not_sent(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        behaviour = Behaviour(lambda request: None, streams=5)
        async with pooled(authority, tls, behaviour, connections=1, answer=0.5, drain=0.1) as (
            pool,
            server,
        ):
            started = time.monotonic()
            results = await pool.send_many(make_requests(50), start_within=0.3)

            assert Counter(type(result) for result in results) == {NotSent: 45, NoAnswer: 5}
            assert time.monotonic() - started < 1.5
            assert server.sessions[0].seen == 5

    run(scenario())


def test_a_server_that_allows_no_stream_is_not_sent(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(), connections=1) as (pool, server):
            await pool.send_many(make_requests(1))
            server.sessions[0].announce(streams=0)
            server.sessions[0].ping()
            await until(lambda: server.sessions[0].pongs == 1)

            results = await pool.send_many(make_requests(5), start_within=0.2)
            assert reasons(results) == {"no stream became free in time"}
            assert only(results, NotSent)

    run(scenario())


def test_a_killed_server_is_found_again(authority: Authority, tls: ssl.SSLContext) -> None:
    """Every connection dies at once and nothing else happens: nobody may wait forever."""

    async def scenario() -> None:
        def kill(request: Received) -> None:
            request.process()
            server: Server = request.session.server
            if sum(session.seen for session in server.sessions) == 60:
                for session in server.sessions:
                    session.abort()
                server.behaviour.handler = accept

        async with pooled(authority, tls, Behaviour(kill), connections=3, backoff=0.1) as (
            pool,
            server,
        ):
            results = await pool.send_many(make_requests(500))

            assert all(isinstance(result, Answer | NoAnswer) for result in results)
            assert Counter(type(result) for result in results)[Answer] >= 500 - 300
            assert set(server.ledger.values()) == {1}

    for _ in range(4):
        run(scenario())
