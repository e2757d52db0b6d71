"""Connections whose server says goodbye: what was processed, and what was not."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter

from providers.http2 import Answer, NoAnswer, NotSent
from tests.providers.certificates import Authority
from tests.providers.results import only, reasons
from tests.providers.running import make_requests, pooled, run, until
from tests.providers.server import ENDLESS, Behaviour, Received, accept


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
