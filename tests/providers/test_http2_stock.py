"""The engine for networks with a proxy: slower, and no less honest."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.base import Network
from providers.http2 import Answer, Limits, NoAnswer, NotSent, Pool, Sender, StockPool, connect
from tests.providers.certificates import Authority
from tests.providers.cutting import cut_wire
from tests.providers.proxy import Proxy, proxying
from tests.providers.running import HOST, make_requests, run, until
from tests.providers.server import Behaviour, Received, Server, serving
from tests.providers.test_http2_truth import FATES, accept, accept_later, never_answer

COUNT = 60


@asynccontextmanager
async def behind_a_proxy(
    authority: Authority,
    tls: ssl.SSLContext,
    behaviour: Behaviour,
    *,
    cuts: Sequence[int] = (),
    **limits: Any,
) -> AsyncIterator[tuple[Sender, Server, Proxy]]:
    """`cuts`: the n-th connection is reset after so many bytes."""
    async with (
        serving(tls, behaviour) as server,
        cut_wire(server.port, cuts) as port,
        proxying(port) as proxy,
    ):
        network = Network(ca_file=str(authority.file), proxy=proxy.url)
        pool = connect(network, HOST, limits=Limits(**limits))
        try:
            yield pool, server, proxy
        finally:
            await pool.close()


def test_a_network_with_a_proxy_gets_the_stock_engine() -> None:
    assert isinstance(connect(Network(proxy="http://127.0.0.1:3128"), HOST), StockPool)
    assert isinstance(connect(Network(), HOST), Pool)


def test_requests_go_through_the_proxy_and_come_back_whole(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    seen: list[dict[str, str]] = []

    def tell(request: Received) -> None:
        seen.append(request.headers)
        request.answer(410, (("apns-id", "17"),), body=request.path.encode())

    async def scenario() -> None:
        async with behind_a_proxy(authority, tls, Behaviour(tell)) as (pool, server, proxy):
            requests = make_requests(COUNT)
            results = await pool.send_many(requests)

            assert set(proxy.asked) == {f"{HOST}:443"}
            assert 1 <= len(proxy.asked) <= 4
            for request, result in zip(requests, results, strict=True):
                assert isinstance(result, Answer)
                assert (result.status, result.body) == (410, request.path)
                assert result.header("apns-id") == "17"
            assert {each[":authority"] for each in seen} == {HOST}
            assert {each["authorization"] for each in seen} == {"bearer secret"}
            assert server.violations == []

    run(scenario())


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    fates=st.dictionaries(st.integers(0, COUNT), st.sampled_from(FATES), max_size=8),
    cuts=st.lists(st.integers(1, 40_000), max_size=3),
)
def test_verdicts_agree_with_the_ledger(
    fates: dict[int, Callable[[Received], None]],
    cuts: list[int],
    authority: Authority,
    tls: ssl.SSLContext,
) -> None:
    """`fates`: what befalls the n-th whole request of all connections; the rest is accepted."""
    seen = 0

    def handler(request: Received) -> None:
        nonlocal seen
        seen += 1
        fates.get(seen - 1, accept)(request)

    async def scenario() -> None:
        behaviour = Behaviour(handler)
        async with behind_a_proxy(
            authority, tls, behaviour, cuts=cuts, answer=0.25, connect=1, connections=2
        ) as (pool, server, _):
            requests = make_requests(COUNT)
            results = await pool.send_many(requests, start_within=1)
            for request, result in zip(requests, results, strict=True):
                processed = server.ledger[request.path.decode()]
                assert processed <= 1
                if isinstance(result, Answer):
                    assert (result.body, processed) == (request.path, 1)
                elif isinstance(result, NotSent):
                    assert processed == 0, result

    run(scenario())


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses_has_sent_nothing(
    authority: Authority, tls: ssl.SSLContext, status: int
) -> None:
    async def scenario() -> None:
        async with behind_a_proxy(authority, tls, Behaviour(accept)) as (pool, server, proxy):
            proxy.status = status
            results = await pool.send_many(make_requests(3))

            assert results == [NotSent("the proxy refused the connection")] * 3
            assert not server.ledger

    run(scenario())


def test_a_proxy_that_is_away_has_sent_nothing(authority: Authority) -> None:
    async def scenario() -> None:
        network = Network(ca_file=str(authority.file), proxy="http://127.0.0.1:9")
        pool = connect(network, HOST)
        assert await pool.send_many(make_requests(2)) == [NotSent("cannot connect")] * 2
        await pool.close()

    run(scenario())


def test_a_certificate_of_somebody_else_gets_nothing(tls: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with serving(tls, Behaviour(accept)) as server, proxying(server.port) as proxy:
            pool = connect(Network(proxy=proxy.url), HOST)
            results = await pool.send_many(make_requests(2))
            await pool.close()

            assert results == [NotSent("cannot connect")] * 2
            assert not server.ledger

    run(scenario())


def test_what_is_never_answered_may_have_been_processed(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        behaviour = Behaviour(never_answer)
        async with behind_a_proxy(authority, tls, behaviour, answer=0.2) as (pool, _, _):
            assert await pool.send_many(make_requests(1)) == [NoAnswer("no answer in time")]

    run(scenario())


def test_no_more_is_on_the_wire_than_the_limits_say(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    held: list[Received] = []

    async def scenario() -> None:
        behaviour = Behaviour(held.append)
        async with behind_a_proxy(
            authority, tls, behaviour, connections=1, streams=2, answer=1
        ) as (pool, _, _):
            results = await pool.send_many(make_requests(5), start_within=0.3)

            late = [each for each in results if each == NotSent("no stream became free in time")]
            assert 1 <= len(held) <= 2
            assert len(held) + len(late) == 5

    run(scenario())


def test_fresh_connections_are_used_after_a_renewal(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with behind_a_proxy(authority, tls, Behaviour(accept)) as (pool, server, _):
            [before] = await pool.send_many(make_requests(1))
            pool.renew()
            [after] = await asyncio.wait_for(pool.send_many(make_requests(2)[1:]), 10)

            assert isinstance(before, Answer)
            assert isinstance(after, Answer)
            assert len(server.sessions) == 2

    run(scenario())


def test_closing_lets_what_is_on_the_wire_finish(authority: Authority, tls: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with behind_a_proxy(authority, tls, Behaviour(accept_later)) as (pool, server, _):
            sending = asyncio.create_task(pool.send_many(make_requests(5)))
            await until(lambda: bool(server.sessions))
            await pool.close()

            assert all(isinstance(each, Answer | NotSent) for each in await sending)

    run(scenario())
