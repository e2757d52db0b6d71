"""Whatever a server does, the client's verdicts agree with the server's own ledger."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable

from hyperframe.frame import DataFrame, HeadersFrame
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from providers.http2 import Answer, NoAnswer, NotSent
from tests.providers.certificates import Authority
from tests.providers.running import make_requests, pooled, run
from tests.providers.server import ENDLESS, Behaviour, Received

REFUSED_STREAM, INTERNAL_ERROR = 7, 2
COUNT = 120


def echo(request: Received) -> None:
    request.answer(200, body=request.path.encode())


def accept(request: Received) -> None:
    request.process()
    echo(request)


def accept_later(request: Received) -> None:
    request.process()
    asyncio.get_running_loop().call_later(0.01, echo, request)


def accept_too_late(request: Received) -> None:
    """The answer comes when the client has given the stream up."""
    request.process()
    asyncio.get_running_loop().call_later(0.3, echo, request)


def lose_the_answer(request: Received) -> None:
    request.process()
    request.session.abort()


def lose_the_request(request: Received) -> None:
    request.session.abort()


def never_answer(request: Received) -> None:
    request.process()


def answer_half(request: Received) -> None:
    request.process()
    session = request.session
    session.send(HeadersFrame(request.stream, session.block(200), flags=["END_HEADERS"]))
    session.reset(request.stream, INTERNAL_ERROR)


def cut_in_the_answer(request: Received) -> None:
    """Its last frame is torn, and the connection with it."""
    request.process()
    session = request.session
    data = DataFrame(request.stream, request.path.encode(), flags=["END_STREAM"]).serialize()
    if session.transport is not None:
        head = HeadersFrame(request.stream, session.block(200), flags=["END_HEADERS"])
        session.transport.write(head.serialize() + data[:-1])
    session.close()


def refuse(request: Received) -> None:
    request.session.reset(request.stream, REFUSED_STREAM)


def break_off(request: Received) -> None:
    request.process()
    request.session.reset(request.stream, INTERNAL_ERROR)


def leave_politely(request: Received) -> None:
    request.session.goaway(ENDLESS)
    accept(request)
    request.session.goaway(request.stream)


def leave_curtly(request: Received) -> None:
    request.session.goaway(request.stream)
    accept_later(request)


def leave_rudely(request: Received) -> None:
    request.process()
    request.session.goaway(request.stream, 2, b'{"reason":"Shutdown"}')
    request.session.close()


def promise_less(request: Received) -> None:
    """Nothing from here on was processed, and the connection closes."""
    request.session.goaway(request.stream - 2)
    request.session.close()


def allow_one(request: Received) -> None:
    request.session.announce(streams=1)
    accept_later(request)


def allow_none_for_a_while(request: Received) -> None:
    session = request.session
    session.announce(streams=0)
    accept(request)
    asyncio.get_running_loop().call_later(0.05, lambda: session.announce(streams=100))


def allow_many(request: Received) -> None:
    request.session.announce(streams=100)
    accept(request)


def narrow(request: Received) -> None:
    request.session.announce(window=50)
    accept(request)


def widen(request: Received) -> None:
    request.session.announce(window=65535)
    accept(request)


def shrink_table(request: Received) -> None:
    request.session.announce(table=0)
    accept(request)


FATES: list[Callable[[Received], None]] = [
    accept,
    accept_later,
    accept_too_late,
    cut_in_the_answer,
    lose_the_answer,
    lose_the_request,
    never_answer,
    answer_half,
    refuse,
    break_off,
    leave_politely,
    leave_curtly,
    leave_rudely,
    promise_less,
    allow_one,
    allow_none_for_a_while,
    allow_many,
    narrow,
    widen,
    shrink_table,
]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    fates=st.dictionaries(st.integers(0, COUNT), st.sampled_from(FATES), max_size=12),
    streams=st.sampled_from([1, 3, 100]),
    window=st.sampled_from([40, 65535]),
    cuts=st.lists(st.integers(1, 40_000), max_size=3),
)
@example(fates={}, streams=100, window=65535, cuts=[])
@example(fates={}, streams=100, window=65535, cuts=[9000])
def test_verdicts_agree_with_the_ledger(
    fates: dict[int, Callable[[Received], None]],
    streams: int,
    window: int,
    cuts: list[int],
    authority: Authority,
    tls: ssl.SSLContext,
) -> None:
    """`fates`: what befalls the n-th whole request of all connections; the rest is accepted.

    `cuts`: after so many bytes, handshake included, the n-th connection is reset.
    """
    seen = 0

    def handler(request: Received) -> None:
        nonlocal seen
        seen += 1
        fates.get(seen - 1, accept)(request)

    async def scenario() -> None:
        behaviour = Behaviour(handler, streams=streams, window=window)
        async with pooled(
            authority, tls, behaviour, cuts=cuts,
            answer=0.25, drain=0.2, ping=0.1, backoff=0.01, connections=2,
        ) as (pool, server):  # fmt: skip
            requests = make_requests(COUNT)
            half = COUNT // 2
            windows = await asyncio.gather(
                pool.send_many(requests[:half], start_within=1.5),
                pool.send_many(requests[half:], start_within=1.5),
            )
            results = [*windows[0], *windows[1]]
            assert len(results) == COUNT
            for request, result in zip(requests, results, strict=True):
                processed = server.ledger[request.path.decode()]
                if isinstance(result, Answer):
                    assert result.body == request.path
                    assert processed == 1
                elif isinstance(result, NotSent):
                    assert processed == 0, result
                else:
                    assert isinstance(result, NoAnswer)
                    assert processed <= 1
            kinds = Counter(map(type, results))
            if not cuts and not any(fate.__name__ in HARMFUL for fate in fates.values()):
                assert NoAnswer not in kinds
            if not fates and len(cuts) < 2:  # one lost connection keeps nobody from sending
                assert NotSent not in kinds

    run(scenario())


HARMFUL = {
    fate.__name__
    for fate in (
        accept_too_late,
        cut_in_the_answer,
        lose_the_answer,
        lose_the_request,
        never_answer,
        answer_half,
        break_off,
        leave_rudely,
        leave_curtly,
        leave_politely,
        promise_less,
    )
}
