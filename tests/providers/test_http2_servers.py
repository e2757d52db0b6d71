"""The client against nginx and nghttpd: every verdict agrees with the server's own log."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from providers.base import Network
from providers.http2 import Answer, Limits, NoAnswer, NotSent, Pool, Request
from providers.http2.messages import Result
from tests.providers import foreign
from tests.providers.certificates import Authority
from tests.providers.foreign import Nginx
from tests.providers.running import COMMON, HOST, make_requests, run

pytestmark = pytest.mark.timeout(120)


async def send(
    authority: Authority,
    port: int,
    requests: Sequence[Request],
    *,
    window: int = 250,
    meanwhile: Callable[[], object] | None = None,
    **limits: float,
) -> list[Result]:
    """Window after window, two at a time, as a worker does."""
    pool = Pool(Network(("127.0.0.1", port), str(authority.file)), HOST, limits=Limits(**limits))  # type: ignore[arg-type]
    windows = [requests[start : start + window] for start in range(0, len(requests), window)]
    results: list[Result] = []
    flying: list[asyncio.Task[list[Result]]] = []
    if meanwhile is not None:
        threading.Thread(target=meanwhile, daemon=True).start()
    for one in windows:
        flying.append(asyncio.create_task(pool.send_many(one)))
        if len(flying) == 2:
            results += await flying.pop(0)
    for task in flying:
        results += await task
    await pool.close()
    return results


def assert_true(requests: Sequence[Request], results: Sequence[Result], server: Nginx) -> None:
    """No answer that the server did not give, no *not sent* that it processed, no double."""
    assert len(results) == len(requests)
    wait_for_answers(server, sum(isinstance(result, Answer) for result in results))
    ledger = server.ledger()
    for request, result in zip(requests, results, strict=True):
        path = request.path.decode()
        if isinstance(result, Answer):
            assert (result.status, result.body) == (200, request.path)
            assert ledger[path] == 1
        elif isinstance(result, NotSent):
            assert ledger[path] == 0, result
        else:
            assert isinstance(result, NoAnswer)
            assert ledger[path] <= 1


@pytest.mark.parametrize(
    "directives",
    [
        "",
        "http2_max_concurrent_streams 8;",
        "http2_body_preread_size 0; http2_max_concurrent_streams 100;",
        "keepalive_requests 100;",  # GOAWAY after each hundred
    ],
    ids=["usual", "few streams", "small windows", "goes away"],
)
def test_nginx_answers_every_request_once(
    directives: str, authority: Authority, tmp_path: Path
) -> None:
    requests = make_requests(1500, size=900)
    with foreign.nginx(tmp_path, authority.server_file([HOST]), directives) as server:
        results = run(send(authority, server.port, requests), seconds=60)

        assert all(isinstance(result, Answer) for result in results)
        assert_true(requests, results, server)
        if "keepalive_requests" in directives:
            assert server.connections() >= 15


def test_nginx_takes_bodies_larger_than_its_windows(authority: Authority, tmp_path: Path) -> None:
    requests = make_requests(60, size=200_000)
    with foreign.nginx(tmp_path, authority.server_file([HOST])) as server:
        results = run(send(authority, server.port, requests), seconds=60)

        assert all(isinstance(result, Answer) for result in results)
        assert_true(requests, results, server)


def test_reloads_of_nginx_lose_nothing_and_double_nothing(
    authority: Authority, tmp_path: Path
) -> None:
    requests = make_requests(20_000, size=300)
    with foreign.nginx(tmp_path, authority.server_file([HOST])) as server:

        def reload_thrice() -> None:
            for share in (2000, 6000, 10_000):
                wait_for_answers(server, share)
                server.reload()

        results = run(send(authority, server.port, requests, meanwhile=reload_thrice), seconds=90)

        assert all(isinstance(result, Answer) for result in results)
        assert_true(requests, results, server)
        assert server.connections() > Limits().connections  # some were replaced


def test_a_killed_nginx_leaves_doubt_only_about_what_was_on_the_wire(
    authority: Authority, tmp_path: Path
) -> None:
    requests = make_requests(20_000, size=300)
    with foreign.nginx(tmp_path, authority.server_file([HOST])) as server:
        answered_before: list[int] = []

        def kill_and_start_again() -> None:
            wait_for_answers(server, 2000)
            server.kill()
            answered_before.append(server.ledger().total())
            server.start()

        sending = send(
            authority, server.port, requests, meanwhile=kill_and_start_again, backoff=0.05
        )
        results = run(sending, seconds=90)
        ledger = server.ledger()

        assert 2000 <= answered_before[0] < 20_000
        doubted = sum(isinstance(result, NoAnswer) for result in results)
        assert doubted <= 4 * 100  # connections × streams
        assert max(ledger.values()) == 1
        for request, result in zip(requests, results, strict=True):
            # nginx writes its log after the answer: an answer may lack its line.
            if isinstance(result, NotSent):
                assert ledger[request.path.decode()] == 0
        assert sum(isinstance(result, Answer) for result in results) >= 20_000 - doubted - 500


def wait_for_answers(server: Nginx, count: int) -> None:
    """nginx writes a line after its answer has left."""
    until = time.monotonic() + 30
    while server.ledger().total() < count and time.monotonic() < until:
        time.sleep(0.005)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--max-concurrent-streams=3",),
        ("--window-bits=9", "--connection-window-bits=16"),
        ("--header-table-size=0",),
        ("--header-table-size=300", "--encoder-header-table-size=0"),
        ("--padding=200",),
        ("--no-content-length", "--trailer=x-end: yes"),
    ],
    ids=["usual", "streams", "windows", "no table", "small table", "padding", "trailers"],
)
def test_nghttpd_answers_each_with_its_own_body(
    options: tuple[str, ...], authority: Authority, tmp_path: Path
) -> None:
    requests = [
        Request(COMMON, b"%d " % number + b"x" * (number % 900), b"/%d" % number)
        for number in range(600)
    ]
    with foreign.nghttpd(tmp_path, authority.server_file([HOST]), *options) as port:
        results = run(send(authority, port, requests), seconds=60)

    answers = [result for result in results if isinstance(result, Answer)]
    assert [answer.status for answer in answers] == [200] * 600
    assert [answer.body for answer in answers] == [request.body for request in requests]
