"""providers.webpush: each push service for itself, and addresses where nothing is sent."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest

from providers.base import Cause, Network, Outcome, Verdict
from providers.webpush import WebPushProvider
from tests.providers.browsers import GOOGLE, MOZILLA, Browser, make_vapid
from tests.providers.push_services import Answer, Wire, addressed, on, send, send_windows, stored

V, C = Verdict, Cause


# ------------------------------------------------------------------- one service, many services


def test_a_pause_of_one_host_stops_no_other() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers["host"] == MOZILLA:
            return httpx.Response(429, headers={"retry-after": "30"})
        return stored(request)

    wire = Wire(answer)
    mixed = [*on(MOZILLA, "a"), *on(GOOGLE, "a")]

    first, second = send_windows(wire, mixed, mixed)

    assert [o.verdict for o in first] == [V.TRY_LATER, V.ACCEPTED]
    assert [o.verdict for o in second] == [V.NOT_SENT, V.ACCEPTED]
    assert 28 < (second[0].retry_after or 0) <= 30
    assert second[0].status == 0
    assert wire.hosts == [MOZILLA, GOOGLE, GOOGLE]


def test_one_503_is_no_outage_and_three_are() -> None:
    wire = Wire(lambda _: httpx.Response(503))
    windows = [on(MOZILLA, name) for name in "abcd"]

    outcomes = send_windows(wire, *windows)

    assert [o.verdict for [o] in outcomes] == [V.TRY_LATER] * 3 + [V.NOT_SENT]
    assert len(wire.requests) == 3


def test_failures_between_answers_are_no_outage() -> None:
    wire = Wire(refuse_every_other())

    outcomes = send_windows(wire, *[on(MOZILLA, str(number)) for number in range(12)])

    assert len(wire.requests) == 12
    assert [o.verdict for [o] in outcomes] == [V.TRY_LATER, V.ACCEPTED] * 6


def refuse_every_other() -> Answer:
    turns = iter(range(10**6))

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503) if next(turns) % 2 == 0 else stored(request)

    return answer


def test_a_host_without_a_connection_rests_longer_and_longer() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    wire = Wire(fail)
    outcomes = send_windows(wire, *[on(MOZILLA, str(number)) for number in range(5)])

    assert len(wire.requests) == 3
    assert [o.verdict for [o] in outcomes] == [V.NOT_SENT] * 5
    assert [o.retry_after is None for [o] in outcomes] == [True] * 3 + [False] * 2


def test_messages_leave_at_the_pace_of_their_host() -> None:
    sent: list[float] = []

    async def work() -> None:
        def note(request: httpx.Request) -> httpx.Response:
            sent.append(asyncio.get_running_loop().time())
            return stored(request)

        web = WebPushProvider(
            make_vapid(), network=Network(), rate=100, transport=httpx.MockTransport(note)
        )
        begun = asyncio.get_running_loop().time()
        await web.send(addressed([Browser() for _ in range(6)])[1])
        sent.insert(0, begun)
        await web.close()

    asyncio.run(work())

    begun, *moments = sent
    assert all(at >= begun + place / 100 - 0.001 for place, at in enumerate(moments))


def test_more_hosts_than_can_be_kept_are_served_all_the_same() -> None:
    wire = Wire()
    browsers = [Browser(f"https://h{number}.notify.windows.com/x") for number in range(230)]

    outcomes = send_windows(wire, browsers[:115], browsers[115:])

    assert {o.verdict for window in outcomes for o in window} == {V.ACCEPTED}


def test_outcomes_stand_in_the_order_of_the_window() -> None:
    browsers = [*on(MOZILLA, "gone"), Browser("https://evil.example/x"), *on(GOOGLE, "ok")]

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(410) if request.url.path == "/gone" else stored(request)

    outcomes = send(answer, *browsers)

    assert [o.verdict for o in outcomes] == [V.UNREGISTERED, V.REJECTED, V.ACCEPTED]
    assert send(answer) == []


# ------------------------------------------------------------------- where nothing is sent


@pytest.mark.parametrize(
    "endpoint", ["http://fcm.googleapis.com/x", "https://127.0.0.1/x", "https://evil.example/x"]
)
def test_an_endpoint_that_may_not_be_called_is_not(endpoint: str) -> None:
    wire = Wire()

    [outcome] = send(wire, Browser(endpoint))

    assert (outcome.verdict, outcome.cause) == (V.REJECTED, C.MALFORMED_TOKEN)
    assert wire.requests == []
    assert endpoint not in outcome.reason


@pytest.mark.parametrize(
    "addresses", [["10.0.0.5"], ["127.0.0.1"], ["8.8.8.8", "169.254.169.254"], ["::1"]]
)
def test_a_known_name_that_leads_inside_is_not_connected_to(
    addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    async def work() -> list[Outcome]:
        web = WebPushProvider(make_vapid(), network=Network())
        try:
            return await web.send(addressed([Browser()])[1])
        finally:
            await web.close()

    [outcome] = asyncio.run(work())

    assert (outcome.verdict, outcome.cause) == (V.REJECTED, C.MALFORMED_TOKEN)
    assert "private network" in outcome.reason


def test_a_redirect_is_not_followed() -> None:
    wire = Wire(lambda _: httpx.Response(308, headers={"location": "https://evil.example/"}))

    [outcome] = send(wire, Browser())

    assert outcome.verdict is V.REJECTED
    assert wire.hosts == [MOZILLA]
