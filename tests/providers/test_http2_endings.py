"""Not sent or unknown: each row of contract/providers.md 1.2, and how connections end."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hyperframe.frame import HeadersFrame

from providers.base import Network
from providers.http2 import Answer, Limits, NoAnswer, NotSent, Pool, Result
from tests.providers.certificates import Authority
from tests.providers.running import HOST, make_requests, pooled, run, until
from tests.providers.server import ENDLESS, Behaviour, Received, Server, accept, serving

REFUSED_STREAM = 7


def only(results: list[Result], kind: type) -> bool:
    return all(type(result) is kind for result in results)


def reasons(results: list[Result]) -> set[str]:
    return {r.reason for r in results if isinstance(r, NotSent | NoAnswer)}


# Before the first byte


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


# GOAWAY


def test_streams_above_the_last_processed_one_were_not_sent(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-4."""

    def leave(request: Received) -> None:
        session = request.session
        if session.seen == 10:
            session.goaway(session.last_stream - 2 * 5)

    async def scenario() -> None:
        behaviour = Behaviour(leave)
        async with pooled(authority, tls, behaviour, repeats=0, connections=1) as (pool, server):
            warm = asyncio.create_task(pool.send_many(make_requests(1)))
            await until(lambda: bool(server.sessions) and server.sessions[0].seen == 1)
            session = server.sessions[0]
            session.answer(1, 200, (), b"")
            await warm
            sending = asyncio.create_task(pool.send_many(make_requests(9)))
            await until(lambda: session.seen == 10)
            for stream in tuple(session.open):
                if stream <= session.last_stream - 10:
                    session.answer(stream, 200, (), b"")
            session.close()
            results = await sending

            assert [type(result) for result in results] == [Answer] * 4 + [NotSent] * 5
            assert reasons(results) == {"GOAWAY NO_ERROR"}

    run(scenario())


def test_streams_below_it_that_stay_unanswered_are_unknown(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-4, H2-6."""

    def rude(request: Received) -> None:
        if request.session is not request.session.server.sessions[0]:
            accept(request)
            return
        request.process()
        if request.session.seen == 30:
            request.session.goaway(request.stream, 2, b'{"reason":"BadCertificate"}')
            request.session.close()

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(rude), connections=1) as (pool, server):
            server.behaviour.handler = accept
            await pool.send_many(make_requests(1))
            server.behaviour.handler = rude
            results = await pool.send_many(make_requests(31)[1:])

            assert Counter(map(type, results)) == {NoAnswer: 29, Answer: 1}
            assert reasons(results) == {"connection closed after GOAWAY BadCertificate"}
            assert set(server.ledger.values()) == {1}

    run(scenario())


def test_goaway_with_zero_means_nothing_was_processed(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-5."""
    turned_away = 0

    def zero(request: Received) -> None:
        nonlocal turned_away
        if turned_away < 2:
            turned_away += 1
            request.session.goaway(0)
            request.session.close()
        else:
            accept(request)

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(zero), backoff=0.05) as (pool, server):
            assert only(await pool.send_many(make_requests(50)), Answer)
            assert set(server.ledger.values()) == {1}
            assert len(server.sessions) == 3

    run(scenario())


def test_a_polite_goaway_comes_twice_and_the_lower_holds(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-5: "open no more", then the true id; those below are answered, those above repeated."""

    def polite(request: Received) -> None:
        session = request.session
        if session.seen != 50 or session is not request.session.server.sessions[0]:
            accept(request)
            return
        session.goaway(ENDLESS)
        session.goaway(request.stream)
        session.goaway(ENDLESS)  # a third cannot take it back
        accept(request)

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(polite), connections=1) as (pool, server):
            assert only(await pool.send_many(make_requests(400)), Answer)
            assert set(server.ledger.values()) == {1}
            assert len(server.sessions) == 2

    run(scenario())


def test_goaway_every_200_streams_loses_and_doubles_nothing(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-4, H2-13: 1,500 notifications, 300 in flight: the test that ordinary clients fail."""

    def correct(request: Received) -> None:
        session = request.session
        if session.seen > 200:
            return  # it said so
        accept(request)
        if session.seen == 200:
            session.goaway(request.stream)

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(correct), repeats=9) as (pool, server):
            requests = make_requests(1500)
            windows = [requests[start : start + 300] for start in range(0, 1500, 300)]
            for window in windows:
                assert only(await pool.send_many(window), Answer)
            assert len(server.ledger) == 1500
            assert set(server.ledger.values()) == {1}

    run(scenario())


def test_a_draining_connection_is_replaced_before_it_is_gone(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-13."""
    held: list[Received] = []

    def hold(request: Received) -> None:
        if request.session is request.session.server.sessions[0]:
            held.append(request)
            if len(held) == 1:
                request.session.goaway(ENDLESS)
        else:
            accept(request)

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(hold)) as (pool, server):
            first = asyncio.create_task(pool.send_many(make_requests(1)))
            await until(lambda: len(server.sessions) == 2)
            assert not server.sessions[0].closed.is_set()
            assert only(await pool.send_many(make_requests(50)), Answer)
            assert not first.done()
            accept(held[0])
            assert only(await first, Answer)
            await asyncio.wait_for(server.sessions[0].closed.wait(), 5)

    run(scenario())


def test_what_a_draining_server_never_answers_ends_with_the_drain_limit(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-4."""

    def stall(request: Received) -> None:
        request.session.goaway(ENDLESS)

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(stall), drain=0.2) as (pool, _):
            results = await pool.send_many(make_requests(1))

            assert reasons(results) == {
                "GOAWAY NO_ERROR: not finished in time after GOAWAY NO_ERROR"
            }
            assert only(results, NoAnswer)

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
