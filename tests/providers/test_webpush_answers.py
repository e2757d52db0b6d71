"""providers.webpush: what a push service's answers mean, of a message and of a credential."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from providers.base import Cause, Outcome, Scope, Verdict
from tests.providers.browsers import GOOGLE, MOZILLA, Browser
from tests.providers.push_services import Answer, Wire, on, provider, refuse, send, send_windows

V, C = Verdict, Cause


# ------------------------------------------------------------------- what is answered


@pytest.mark.parametrize(
    ("status", "body", "verdict", "cause"),
    [
        (200, None, V.ACCEPTED, C.NONE),
        (201, None, V.ACCEPTED, C.NONE),
        (202, None, V.ACCEPTED, C.NONE),
        (204, None, V.ACCEPTED, C.NONE),
        (301, None, V.REJECTED, C.CLOUD_ERROR),
        (307, None, V.REJECTED, C.CLOUD_ERROR),
        (400, None, V.REJECTED, C.PAYLOAD_REFUSED),
        (400, {"errno": 110}, V.REJECTED, C.PAYLOAD_REFUSED),
        (400, {"errno": 113, "message": "Invalid Topic"}, V.REJECTED, C.PAYLOAD_REFUSED),
        (400, {"reason": "BadTopic"}, V.REJECTED, C.PAYLOAD_REFUSED),
        (400, {"errno": 105}, V.UNREGISTERED, C.UNINSTALLED),
        (401, {"errno": 109}, V.UNREGISTERED, C.MISMATCHED_SENDER),
        (401, None, V.UNREGISTERED, C.MISMATCHED_SENDER),
        (403, {"reason": "BadJwtToken"}, V.UNREGISTERED, C.MISMATCHED_SENDER),
        (400, {"reason": "VapidPkHashMismatch"}, V.UNREGISTERED, C.MISMATCHED_SENDER),
        (404, None, V.UNREGISTERED, C.UNINSTALLED),
        (404, {"errno": 102}, V.UNREGISTERED, C.UNINSTALLED),
        (405, None, V.REJECTED, C.CLOUD_ERROR),
        (410, None, V.UNREGISTERED, C.UNINSTALLED),
        (410, {"errno": 103}, V.UNREGISTERED, C.UNINSTALLED),
        (410, {"errno": 106}, V.UNREGISTERED, C.UNINSTALLED),
        (413, None, V.REJECTED, C.TOO_LARGE),
        (413, {"errno": 104}, V.REJECTED, C.TOO_LARGE),
        (429, None, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (500, None, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (502, {"errno": 902}, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (502, None, V.UNKNOWN, C.NO_ANSWER),
        (502, "<html>Bad gateway</html>", V.UNKNOWN, C.NO_ANSWER),
        (503, None, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (503, {"errno": 201}, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (503, {"errno": 202}, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (504, "", V.UNKNOWN, C.NO_ANSWER),
        (599, None, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
    ],
)
def test_each_answer_of_the_contract(
    status: int, body: Any, verdict: Verdict, cause: Cause
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        if isinstance(body, dict):
            return httpx.Response(status, json=body, headers={"location": "https://evil.example"})
        return httpx.Response(status, text=body or "")

    wire = Wire(answer)
    [outcome] = send(wire, Browser())

    assert (outcome.verdict, outcome.cause, outcome.status) == (verdict, cause, status)
    assert outcome.scope is Scope.DEVICE  # another push service is not concerned
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("headers", "body", "seconds", "asked"),
    [
        ({}, {}, 60, False),
        ({"retry-after": "30"}, {}, 30, True),
        ({"retry-after": "Thu, 09 Oct 2025 08:55:00 GMT"}, {}, 100, True),
        ({"retry-after": "soon"}, {}, 60, False),
        ({}, {"errno": 201}, 60, False),
        ({}, {"errno": 202}, 1, True),
    ],
)
def test_how_long_to_wait(
    headers: dict[str, str], body: dict[str, Any], seconds: float, asked: bool
) -> None:
    [outcome] = send(lambda _: httpx.Response(503, headers=headers, json=body), Browser())

    assert (outcome.verdict, outcome.retry_after, outcome.asked) == (V.TRY_LATER, seconds, asked)


def test_the_services_own_words_are_kept() -> None:
    told = {"code": 410, "errno": 106, "error": "Gone", "message": "x"}
    [outcome] = send(lambda _: httpx.Response(410, json=told), Browser())
    assert outcome.reason == "errno 106 Gone"

    [outcome] = send(lambda _: httpx.Response(410, json={"reason": "Unsubscribed"}), Browser())
    assert outcome.reason == "Unsubscribed"

    [outcome] = send(lambda _: httpx.Response(410), Browser())
    assert outcome.reason == "HTTP 410"


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (httpx.ConnectError("x"), V.NOT_SENT),
        (httpx.ConnectTimeout("x"), V.NOT_SENT),
        (httpx.PoolTimeout("x"), V.NOT_SENT),
        (httpx.ReadTimeout("x"), V.UNKNOWN),
        (httpx.ReadError("x"), V.UNKNOWN),
        (httpx.WriteError("x"), V.UNKNOWN),
        (httpx.RemoteProtocolError("x"), V.UNKNOWN),
    ],
)
def test_what_got_no_answer_is_repeated_only_if_it_never_left(
    error: httpx.TransportError, verdict: Verdict
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    [outcome] = send(fail, Browser())

    assert outcome.verdict is verdict


def test_a_host_that_somebody_made_up_is_not_tried_for_ever() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no such name")

    [outcome] = send(fail, Browser("https://made-up.notify.windows.com/x"))

    assert outcome.verdict is V.TRY_LATER  # takes an attempt, unlike NOT_SENT


# ------------------------------------------------------------------- whose fault 403 is


def test_a_key_refused_by_several_subscriptions_of_a_host_is_a_bad_key() -> None:
    outcomes = send(refuse({"/a", "/b"}), *on(MOZILLA, "a", "b"))

    assert [(o.verdict, o.cause) for o in outcomes] == [(V.MISCONFIGURED, C.CREDENTIAL_REFUSED)] * 2


def test_a_bad_key_comes_with_what_to_do_and_a_lost_subscription_does_not() -> None:
    bad = send(refuse({"/a", "/b"}), *on(MOZILLA, "a", "b"))
    [alone] = send(refuse({"/a"}), *on(MOZILLA, "a"))

    assert all("enter the key pair" in one.remedy and MOZILLA in one.remedy for one in bad)
    assert alone.remedy == ""


def test_a_service_that_tells_the_time_shows_that_our_clock_is_wrong() -> None:
    late = {"date": "Thu, 09 Oct 2025 21:53:20 GMT"}

    outcomes = send(lambda _: httpx.Response(401, headers=late), *on(MOZILLA, "a", "b"))

    assert all("780 minutes late" in one.remedy for one in outcomes)


def test_several_may_come_one_by_one() -> None:
    first, again, second = send_windows(
        refuse({"/a", "/b"}), on(MOZILLA, "a"), on(MOZILLA, "a"), on(MOZILLA, "b")
    )

    assert first[0].verdict is V.UNREGISTERED
    assert again[0].verdict is V.UNREGISTERED  # the same one says nothing new
    assert second[0].verdict is V.MISCONFIGURED


def test_one_subscription_of_each_host_is_one_alone() -> None:
    outcomes = send(refuse({"/a"}), *on(MOZILLA, "a"), *on(GOOGLE, "a"))

    assert [o.verdict for o in outcomes] == [V.UNREGISTERED] * 2


def test_a_key_that_others_take_is_good_so_the_rest_were_made_with_another() -> None:
    outcomes = send(refuse({"/a", "/b"}), *on(MOZILLA, "a", "b", "c"))

    assert [(o.verdict, o.cause) for o in outcomes] == [
        (V.UNREGISTERED, C.MISMATCHED_SENDER),
        (V.UNREGISTERED, C.MISMATCHED_SENDER),
        (V.ACCEPTED, C.NONE),
    ]


def test_an_acceptance_clears_an_old_suspicion() -> None:
    _, _, last = send_windows(
        refuse({"/a", "/b"}), on(MOZILLA, "a"), on(MOZILLA, "c"), on(MOZILLA, "b")
    )

    assert last[0].verdict is V.UNREGISTERED


# ------------------------------------------------------------------- the test of a credential


def tried(answer: Answer) -> Outcome:
    async def work() -> Outcome:
        web = provider(answer)
        try:
            return await web.test()
        finally:
            await web.close()

    return asyncio.run(work())


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_credential_works_when_only_the_subscription_is_refused(status: int) -> None:
    outcome = tried(lambda _: httpx.Response(status))

    assert outcome.verdict is V.ACCEPTED
    assert str(status) in outcome.reason


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(401, V.MISCONFIGURED), (403, V.MISCONFIGURED), (503, V.TRY_LATER), (405, V.REJECTED)],
)
def test_a_credential_fails_its_test(status: int, verdict: Verdict) -> None:
    assert tried(lambda _: httpx.Response(status)).verdict is verdict


@pytest.mark.parametrize(
    ("date", "verdict", "words"),
    [
        ("Thu, 09 Oct 2025 08:53:20 GMT", V.ACCEPTED, ""),
        ("Thu, 09 Oct 2025 09:53:20 GMT", V.ACCEPTED, ""),  # tokens are good for twelve hours
        ("Thu, 09 Oct 2025 20:53:20 GMT", V.MISCONFIGURED, "720 minutes late"),
        ("Wed, 08 Oct 2025 20:53:20 GMT", V.MISCONFIGURED, "720 minutes ahead"),
        ("yesterday", V.ACCEPTED, ""),
    ],
)
def test_a_credential_fails_its_test_where_our_clock_spoils_it(
    date: str, verdict: Verdict, words: str
) -> None:
    outcome = tried(lambda _: httpx.Response(404, headers={"date": date}))

    assert outcome.verdict is verdict
    assert words in outcome.remedy
    assert bool(outcome.remedy) == bool(words)
