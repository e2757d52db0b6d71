"""What the client reads of answers, whole, in pieces, early or huge."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame

from providers.http2 import Answer, answering
from tests.providers.certificates import Authority
from tests.providers.running import make_requests, pooled, run, until
from tests.providers.server import Behaviour, Received


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
