"""The client against a server that keeps to the protocol: limits, windows, headers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame

from providers.http2 import Answer, Common, NoAnswer, Request, Result, answering
from providers.http2 import connection as client
from tests.providers.certificates import Authority
from tests.providers.running import COMMON, HOST, make_requests, pooled, run, until
from tests.providers.server import Behaviour, Received, accept


def statuses(results: Sequence[Result]) -> set[int]:
    assert all(isinstance(result, Answer) for result in results), results
    return {result.status for result in results if isinstance(result, Answer)}


def slowly(request: Received) -> None:
    """So that streams are open at the same time."""
    request.process()
    asyncio.get_running_loop().call_later(0.02, request.answer)


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


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 429, 500, 503])
def test_a_complete_answer_is_that_answer(
    status: int, authority: Authority, tls: ssl.SSLContext
) -> None:
    def refuse(request: Received) -> None:
        request.answer(status, (("retry-after", "30"),), b'{"reason":"x"}')

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(refuse)) as (pool, _):
            [answer] = await pool.send_many(make_requests(1))

            assert isinstance(answer, Answer)
            assert (answer.status, answer.body) == (status, b'{"reason":"x"}')
            assert answer.header("retry-after") == "30"
            assert answer.header("missing") == ""

    run(scenario())


def test_answers_in_pieces_with_padding_notices_and_trailers(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    def in_pieces(request: Received) -> None:
        session, stream = request.session, request.stream
        session.open.pop(stream)
        block = session.block(404, (("x-long", "y" * 300),))
        session.send(
            HeadersFrame(stream, session.block(103), flags=["END_HEADERS"]),
            HeadersFrame(stream, block[:5], flags=["PADDED", "PRIORITY"], pad_length=9),
            ContinuationFrame(stream, block[5:200]),
            ContinuationFrame(stream, block[200:], flags=["END_HEADERS"]),
            DataFrame(stream, b"not ", flags=["PADDED"], pad_length=200),
            DataFrame(stream, b"", flags=["PADDED"], pad_length=0),
            DataFrame(stream, b"here"),
            HeadersFrame(
                stream,
                bytes(session._encoder.encode([("x-sum", "1")])),
                flags=["END_HEADERS", "END_STREAM"],
            ),
        )

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(in_pieces)) as (pool, _):
            results = await pool.send_many(make_requests(20))

            assert [(r.status, r.body) for r in results if isinstance(r, Answer)] == [
                (404, b"not here")
            ] * 20
            assert isinstance(results[0], Answer)
            assert results[0].header("x-long") == "y" * 300

    run(scenario())


def test_answers_may_come_byte_by_byte(authority: Authority, tls: ssl.SSLContext) -> None:
    def drip(request: Received) -> None:
        session, stream = request.session, request.stream
        session.open.pop(stream)
        frames = (
            HeadersFrame(stream, session.block(400), flags=["END_HEADERS"]),
            DataFrame(stream, b'{"reason":"BadTopic"}', flags=["END_STREAM"]),
        )
        for byte in b"".join(frame.serialize() for frame in frames):
            assert session.transport is not None
            session.transport.write(bytes((byte,)))

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(drip)) as (pool, _):
            results = await pool.send_many(make_requests(10))

            assert {r.body for r in results if isinstance(r, Answer)} == {b'{"reason":"BadTopic"}'}

    run(scenario())


def test_a_huge_answer_is_cut_but_its_status_kept(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """H2-9: more than both receive windows: they are given back while it is read."""
    sent = 3 * 2**20

    def flood(request: Received) -> None:
        asyncio.get_running_loop().create_task(pour(request))

    async def pour(request: Received) -> None:
        session, stream = request.session, request.stream
        session.send(HeadersFrame(stream, session.block(200), flags=["END_HEADERS"]))
        done = 0

        def room() -> int:
            given = min(session.window_updates[0], session.window_updates[stream])
            return 65535 + given - done

        while done < sent:
            await until(lambda: room() >= 8192)
            session.send(DataFrame(stream, b"z" * 8192))
            done += 8192
        session.open.pop(stream)
        session.send(DataFrame(stream, b"", flags=["END_STREAM"]))

    async def scenario() -> None:
        async with pooled(authority, tls, Behaviour(flood)) as (pool, _):
            [answer] = await pool.send_many(make_requests(1))

            assert isinstance(answer, Answer)
            assert (answer.status, len(answer.body)) == (200, answering.MAX_ANSWER)

    run(scenario())


def test_an_answer_before_the_whole_request_stops_the_rest(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        behaviour = Behaviour(window=100, returns_window=False)
        async with pooled(authority, tls, behaviour) as (pool, server):
            await pool.send_many(make_requests(1))
            session = server.sessions[0]
            sending = asyncio.create_task(pool.send_many(make_requests(1, size=5000)))
            await until(lambda: session.windows.get(3) == 0)
            session.answer(3, 413, (), b'{"reason":"PayloadTooLarge"}')

            [answer] = await sending
            assert isinstance(answer, Answer)
            assert answer.status == 413
            await until(lambda: session.resets == {3: 8})  # CANCEL

    run(scenario())


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


def test_a_header_cannot_smuggle_in_another() -> None:
    with pytest.raises(ValueError, match="apns-topic"):
        Common(HOST, (("apns-topic", "com.example\r\nx: y"),))
