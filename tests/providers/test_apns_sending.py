"""providers.apns: pushes over connections, tokens that are renewed, the test of a credential."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from uuid import UUID

import pytest

from providers.base import (
    Addressed,
    Cause,
    CredentialError,
    Network,
    Outcome,
    PushNotification,
    Verdict,
)
from providers.http2 import Limits
from tests.providers.apns import NOW, TOKEN, Clock, accept, make_provider, refuse, send_through
from tests.providers.certificates import Authority
from tests.providers.keys import make_service_account
from tests.providers.running import run, until
from tests.providers.server import Behaviour, Received, serving


def test_the_headers_of_a_push(authority: Authority, tls: ssl.SSLContext) -> None:
    notification = PushNotification(text="B", collapse_key="score")
    sent = send_through(authority, tls, accept, [TOKEN.upper()], notification=notification)

    assert sent.outcomes == [Outcome(verdict=Verdict.ACCEPTED, status=200)]
    [request] = sent.requests
    authorization = request.headers.pop("authorization")
    assert authorization.startswith("bearer ey")
    assert request.headers == {
        ":method": "POST",
        ":scheme": "https",
        ":authority": "api.push.apple.com",
        ":path": f"/3/device/{TOKEN}",
        "apns-topic": "com.example.shop",
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-collapse-id": "score",
        "apns-id": str(UUID(int=0)),
        "apns-expiration": str(int(NOW) + 60),
        "content-length": str(len(request.body)),
    }


def test_now_or_never_stays_zero(authority: Authority, tls: ssl.SSLContext) -> None:
    [request] = send_through(authority, tls, accept, ttl=0).requests

    assert request.headers["apns-expiration"] == "0"


def test_a_repeat_replaces_its_twin_where_the_policy_is_to_repeat_in_doubt(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    unsure = PushNotification(text="B", replace_twin=True)
    [request] = send_through(authority, tls, accept, notification=unsure).requests
    assert request.headers["apns-collapse-id"] == request.headers["apns-id"]

    [request] = send_through(authority, tls, accept).requests
    assert "apns-collapse-id" not in request.headers


def test_each_environment_has_its_host_and_its_tokens(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    bad = refuse(400, "BadDeviceToken")
    sent = send_through(authority, tls, bad, token_environment="sandbox")
    assert sent.requests[0].headers[":authority"] == "api.push.apple.com"
    assert sent.outcomes[0].verdict is Verdict.MISCONFIGURED

    sent = send_through(authority, tls, bad, token_environment="sandbox", environment="sandbox")
    assert sent.requests[0].headers[":authority"] == "api.sandbox.push.apple.com"
    assert sent.outcomes[0].verdict is Verdict.UNREGISTERED


@pytest.mark.parametrize("token", ["", "abc", "zz" * 32, "ab" * 200, "../../x", f"{TOKEN}\r\nx: y"])
def test_what_is_no_token_never_leaves(
    token: str, authority: Authority, tls: ssl.SSLContext
) -> None:
    sent = send_through(authority, tls, accept, [TOKEN, token, TOKEN])

    verdicts = [outcome.verdict for outcome in sent.outcomes]
    assert verdicts == [Verdict.ACCEPTED, Verdict.UNREGISTERED, Verdict.ACCEPTED]
    assert sent.outcomes[1].cause is Cause.MALFORMED_TOKEN
    assert len(sent.requests) == 2


def test_a_token_called_expired_is_replaced_and_the_push_repeated_once(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    first: list[str] = []

    def handler(request: Received) -> None:
        first.append(request.headers["authorization"])
        if request.headers["authorization"] == first[0]:
            refuse(403, "ExpiredProviderToken")(request)
        else:
            accept(request)

    clock = Clock(2400 * 733_334 + 60 + 1300.0)  # a fresher token exists
    sent = send_through(authority, tls, handler, [TOKEN] * 5, clock=clock)
    assert {outcome.verdict for outcome in sent.outcomes} == {Verdict.ACCEPTED}
    assert len(sent.requests) == 10

    sent = send_through(authority, tls, refuse(403, "ExpiredProviderToken"), clock=Clock(clock.now))
    assert sent.outcomes[0].verdict is Verdict.MISCONFIGURED
    assert len(sent.requests) == 2


def test_no_token_is_made_up_against_apples_rule_of_20_minutes(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    clock = Clock(2400 * 733_334 + 60 + 100.0)  # issued 160 seconds ago
    sent = send_through(authority, tls, refuse(403, "ExpiredProviderToken"), clock=clock)

    assert sent.outcomes[0].verdict is Verdict.MISCONFIGURED
    assert len(sent.requests) == 1


def test_a_connection_sees_one_provider_token_all_its_life(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    """Apple spoils a connection that sees another within twenty minutes: 3.3."""
    clock = Clock(2400 * 733_334 + 60 - 1.0)  # the last second of a token
    held: list[Received] = []
    tokens: dict[int, set[str]] = {}

    def handler(request: Received) -> None:
        own = tokens.setdefault(id(request.session), set())
        own.add(request.headers["authorization"])
        if len(own) > 1:
            refuse(429, "TooManyProviderTokenUpdates")(request)
        elif len(tokens) == 1:
            held.append(request)  # until the token has changed
        else:
            accept(request)

    async def scenario() -> list[Outcome]:
        async with serving(tls, Behaviour(handler, streams=2)) as server:
            network = Network(("127.0.0.1", server.port), str(authority.file))
            limits = Limits(connections=1)
            provider = make_provider(network, clock=clock, limits=limits)
            payload = provider.compile(PushNotification(text="Hello"))
            window = [Addressed(payload, UUID(int=n), TOKEN, ttl=60) for n in range(5)]
            early = asyncio.create_task(provider.send(window))
            await until(lambda: len(held) == 2)  # three more wait for a stream
            clock.now += 2.0
            late = await provider.send(window)
            for request in held[:2]:
                accept(request)
            outcomes = [*late, *await early]
            assert len(server.sessions) == 2
            await asyncio.wait_for(server.sessions[0].closed.wait(), 5)
            again = await provider.send(window)
            assert len(server.sessions) == 2
            await provider.close()
        assert server.violations == []
        return [*outcomes, *again]

    outcomes = run(scenario())

    assert {(outcome.verdict, outcome.reason) for outcome in outcomes} == {(Verdict.ACCEPTED, "")}
    assert len(outcomes) == 15
    assert [len(seen) for seen in tokens.values()] == [1, 1]


def test_idle_timeout_is_repeated_on_a_fresh_connection(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    def handler(request: Received) -> None:
        if request.session is request.session.server.sessions[0]:
            refuse(400, "IdleTimeout")(request)
        else:
            accept(request)

    sent = send_through(authority, tls, handler, [TOKEN] * 3)

    assert {outcome.verdict for outcome in sent.outcomes} == {Verdict.ACCEPTED}
    assert sent.server is not None
    assert len(sent.server.sessions) == 2


def test_one_stream_until_the_server_trusts_the_token(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        def trust(request: Received) -> None:
            accept(request)
            if request.session.seen == 1:
                request.session.announce(streams=1000)

        async with serving(tls, Behaviour(trust, streams=1)) as server:
            network = Network(("127.0.0.1", server.port), str(authority.file))
            provider = make_provider(network)
            payload = provider.compile(PushNotification(text="Hello"))
            window = [Addressed(payload, UUID(int=n), TOKEN, ttl=60) for n in range(250)]
            outcomes = await provider.send(window)
            await provider.close()

            assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
            assert len(server.sessions) <= 2

    run(scenario())


@pytest.mark.parametrize(
    ("status", "reason", "verdict"),
    [
        (400, "BadDeviceToken", Verdict.ACCEPTED),
        (403, "InvalidProviderToken", Verdict.MISCONFIGURED),
        (400, "TopicDisallowed", Verdict.MISCONFIGURED),
        (503, "ServiceUnavailable", Verdict.TRY_LATER),
    ],
)
def test_a_credential_is_tested_without_reaching_anybody(
    status: int, reason: str, verdict: Verdict, authority: Authority, tls: ssl.SSLContext
) -> None:
    sent = send_through(authority, tls, refuse(status, reason), [], test=True)

    assert sent.tested is not None
    assert (sent.tested.verdict, sent.tested.reason) == (verdict, reason)
    assert {request.path for request in sent.requests} == {"/3/device/" + "0" * 64}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"topic": "com.example\r\nx"}, "topic"),
        ({"topic": ""}, "topic"),
        ({"environment": "test"}, "environment"),
        ({"key_pem": str(make_service_account()["private_key"])}, "key_pem"),
        ({"key_id": "short"}, "key_id"),
    ],
)
def test_what_cannot_be_a_credential_is_refused_by_field(
    changes: dict[str, Any], name: str
) -> None:
    with pytest.raises(CredentialError) as refusal:
        make_provider(Network(), **changes)

    assert refusal.value.field == name
