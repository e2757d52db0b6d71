from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from providers.apns import LIMIT, ApnsPayload, ApnsProvider
from providers.apns_answers import read
from providers.base import (
    Addressed,
    Cause,
    CredentialError,
    Network,
    Outcome,
    PayloadTooLarge,
    PushNotification,
    Scope,
    Verdict,
)
from providers.http2 import Answer, Limits, NoAnswer, NotSent
from tests.providers.certificates import Authority
from tests.providers.keys import ec_key, make_service_account, pem
from tests.providers.running import run, until
from tests.providers.server import Behaviour, Received, Server, serving

NOW = 1_760_000_000.0
MESSAGE_ID = UUID("018f0000-0000-8000-8000-0000000000a1")
TOKEN = "ab" * 32


def make_body(**fields: Any) -> dict[str, Any]:
    value = json.loads(ApnsPayload(PushNotification(**fields)).body(MESSAGE_ID))
    assert isinstance(value, dict)
    return value


def make_headers(**fields: Any) -> dict[str, str]:
    return dict(ApnsPayload(PushNotification(**fields)).headers)


# Building


def test_the_worked_example_of_the_contract() -> None:
    example = {
        "title": "Sale",
        "text": "Today only",
        "image_url": "https://cdn/x.png",
        "deep_link": "shop://sale",
    }

    assert make_body(**example) == {
        "aps": {
            "alert": {"title": "Sale", "body": "Today only"},
            "sound": "default",
            "mutable-content": 1,
        },
        "messageId": str(MESSAGE_ID),
        "deepLink": "shop://sale",
        "imageUrl": "https://cdn/x.png",
    }
    assert make_headers(**example) == {"apns-push-type": "alert", "apns-priority": "10"}


def test_every_field_has_its_place() -> None:
    assert make_body(
        text="B",
        sound="ding.caf",
        badge=0,
        category="mm_accept_decline",
        thread_id="orders",
        mutable_content=True,
        urgency="low",
        in_app_style="MODAL",
        browser_url="https://shop.example/",
        web_view_url="https://shop.example/view",
        custom_payload={"aps": {"no": "harm"}, "n": None},
    ) == {
        "aps": {
            "alert": {"body": "B"},
            "badge": 0,
            "sound": "ding.caf",
            "category": "mm_accept_decline",
            "thread-id": "orders",
            "mutable-content": 1,
            "interruption-level": "passive",
        },
        "messageId": str(MESSAGE_ID),
        "browserUrl": "https://shop.example/",
        "webViewUrl": "https://shop.example/view",
        "inAppStyle": "MODAL",
        "customPayload": {"aps": {"no": "harm"}, "n": None},
    }


def test_no_sound_is_no_key() -> None:
    assert make_body(text="B", sound="")["aps"] == {"alert": {"body": "B"}}


def test_a_silent_push_has_no_alert_badge_or_sound() -> None:
    silent = {"title": "T", "text": "B", "badge": 3, "silent": True, "mutable_content": True}

    assert make_body(**silent) == {
        "aps": {"content-available": 1},
        "messageId": str(MESSAGE_ID),
        "title": "T",
        "text": "B",
    }
    assert make_headers(**silent) == {"apns-push-type": "background", "apns-priority": "5"}


def test_infobips_dialect() -> None:
    assert make_body(
        dialect="infobip",
        title="Hi",
        text="Order shipped",
        badge=1,
        category="mm_accept_decline",
        image_url="https://cdn/i.jpg",
        in_app_style="BANNER",
        deep_link="shop://order",
        bulk_id="my-bulk",
        sent_at_ms=1_700_000_000_000,
        custom_payload={"orderId": 7},
    ) == {
        "aps": {
            "alert": {"title": "Hi", "body": "Order shipped"},
            "sound": "default",
            "badge": 1,
            "category": "mm_accept_decline",
            "mutable-content": 1,
        },
        "messageId": str(MESSAGE_ID),
        "customPayload": {"orderId": 7},
        "internalData": {
            "sendDateTime": 1_700_000_000_000,
            "bulkId": "my-bulk",
            "atts": [{"url": "https://cdn/i.jpg", "t": "image"}],
            "deeplink": "shop://order",
            "inAppStyle": 1,
        },
    }


def test_infobips_silent_push_carries_its_text_inside() -> None:
    body = make_body(dialect="infobip", title="T", text="B", silent=True, in_app_style="MODAL")

    assert body == {
        "aps": {"content-available": 1},
        "messageId": str(MESSAGE_ID),
        "internalData": {
            "inAppStyle": 0,
            "silent": {"title": "T", "body": "B", "sound": "default"},
        },
    }


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("score", "score"),
        ("a" * 64, "a" * 64),
        ("a" * 65, hashlib.sha256(b"a" * 65).hexdigest()),
        ("два\r\nx: y", hashlib.sha256("два\r\nx: y".encode()).hexdigest()),
    ],
)
def test_a_collapse_id_is_safe_and_at_most_64_bytes(key: str, told: str) -> None:
    assert make_headers(text="B", collapse_key=key)["apns-collapse-id"] == told


@pytest.mark.parametrize("letter", ["a", "Ж", "😀", '"'])
def test_the_limit_is_the_body_exactly_as_sent(letter: str) -> None:
    width = len(json.dumps(letter, ensure_ascii=False).encode()) - 2
    overhead = ApnsPayload(PushNotification(text=letter)).size() - width
    payload = ApnsPayload(PushNotification(text=letter * ((LIMIT - overhead) // width)))
    assert LIMIT - width < payload.size() <= LIMIT
    assert payload.size() == len(payload.body(MESSAGE_ID))

    with pytest.raises(PayloadTooLarge) as refusal:
        ApnsPayload(PushNotification(text=letter * ((LIMIT - overhead) // width + 1)))
    assert refusal.value.limit == LIMIT


# Reading


@pytest.mark.parametrize(
    ("http", "reason", "verdict", "cause"),
    [
        (400, "BadDeviceToken", "unregistered", Cause.MALFORMED_TOKEN),
        (400, "DeviceTokenNotForTopic", "unregistered", Cause.MISMATCHED_SENDER),
        (400, "BadCollapseId", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "BadExpirationDate", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "BadMessageId", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "BadPriority", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "InvalidPushType", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "PayloadEmpty", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "DuplicateHeaders", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "MissingDeviceToken", "rejected", Cause.INTERNAL),
        (400, "BadTopic", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (400, "MissingTopic", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (400, "TopicDisallowed", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (400, "IdleTimeout", "not_sent", Cause.NOT_SENT),
        (403, "ExpiredProviderToken", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "InvalidProviderToken", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "MissingProviderToken", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "UnrelatedKeyIdInToken", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "BadEnvironmentKeyIdInToken", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "BadEnvironmentKeyInToken", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "Forbidden", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "BadCertificate", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "BadCertificateEnvironment", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (404, "BadPath", "rejected", Cause.INTERNAL),
        (405, "MethodNotAllowed", "rejected", Cause.INTERNAL),
        (410, "Unregistered", "unregistered", Cause.UNINSTALLED),
        (410, "ExpiredToken", "unregistered", Cause.UNINSTALLED),
        (413, "PayloadTooLarge", "rejected", Cause.TOO_LARGE),
        (429, "TooManyRequests", "try_later", Cause.CLOUD_UNAVAILABLE),
        (429, "TooManyProviderTokenUpdates", "try_later", Cause.CLOUD_UNAVAILABLE),
        (500, "InternalServerError", "try_later", Cause.CLOUD_UNAVAILABLE),
        (503, "ServiceUnavailable", "try_later", Cause.CLOUD_UNAVAILABLE),
        (503, "Shutdown", "try_later", Cause.CLOUD_UNAVAILABLE),
        (400, "NewWord", "rejected", Cause.CLOUD_ERROR),
        (410, "NewWord", "rejected", Cause.CLOUD_ERROR),
        (403, "NewWord", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (429, "NewWord", "try_later", Cause.CLOUD_UNAVAILABLE),
        (500, "NewWord", "try_later", Cause.CLOUD_UNAVAILABLE),
    ],
)
def test_answers(http: int, reason: str, verdict: str, cause: Cause) -> None:
    """Contract/providers.md 3.5, line by line."""
    outcome = read(Answer(http, b"", b'{"reason":"%s"}' % reason.encode()))

    assert (outcome.verdict, outcome.cause) == (verdict, cause)
    assert (outcome.reason, outcome.status) == (reason, http)
    assert outcome.may_have_sent is False


@pytest.mark.parametrize(
    ("reason", "scope", "seconds", "again"),
    [
        ("TooManyRequests", Scope.DEVICE, 60, None),
        ("TooManyProviderTokenUpdates", Scope.ACCOUNT, 1200, None),
        ("InternalServerError", Scope.SERVICE, 15, 900),
        ("ServiceUnavailable", Scope.SERVICE, 15, 900),
        ("Shutdown", Scope.SERVICE, 15, 900),
    ],
)
def test_not_now_says_for_whom_and_how_long(
    reason: str, scope: Scope, seconds: float, again: float | None
) -> None:
    """Contract/providers.md 1.4 and 3.5."""
    outcome = read(Answer(503, b"", b'{"reason":"%s"}' % reason.encode()))

    assert (outcome.scope, outcome.retry_after) == (scope, seconds)
    assert outcome.retry_after_again == again


@pytest.mark.parametrize(
    ("http", "body", "verdict"),
    [
        (400, b"", "rejected"),
        (410, b"<html>", "rejected"),
        (500, b"", "unknown"),
        (502, b"<html>", "unknown"),
        (503, b'{"reason":5}', "unknown"),
        (504, b"", "unknown"),
        (301, b"", "unknown"),
    ],
)
def test_an_answer_that_is_not_apples_drops_nobody(http: int, body: bytes, verdict: str) -> None:
    assert read(Answer(http, b"", body)).verdict == verdict


@pytest.mark.parametrize(
    ("timestamp", "since"),
    [
        ("1760000000500", dt.datetime(2025, 10, 9, 8, 53, 20, 500_000, dt.UTC)),
        ("1e300", None),
        ('"soon"', None),
        ("null", None),
    ],
)
def test_an_uninstalled_app_is_gone_since_a_time(timestamp: str, since: dt.datetime | None) -> None:
    body = f'{{"reason":"Unregistered","timestamp":{timestamp}}}'.encode()

    assert read(Answer(410, b"", body)).since == since


def test_a_token_of_the_other_environment_is_our_mistake_not_the_devices() -> None:
    refusal = Answer(400, b"", b'{"reason":"BadDeviceToken"}')

    assert read(refusal, foreign_token=True).verdict is Verdict.MISCONFIGURED
    gone = Answer(410, b"", b'{"reason":"Unregistered"}')
    assert read(gone, foreign_token=True).verdict is Verdict.UNREGISTERED


def test_accepted_not_sent_and_unknown() -> None:
    assert read(Answer(200, b"\x88", b"")) == Outcome(verdict=Verdict.ACCEPTED, status=200)
    assert read(NotSent("refused")).verdict is Verdict.NOT_SENT
    assert read(NoAnswer("cut")).verdict is Verdict.UNKNOWN


# Sending


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Sent:
    outcomes: list[Outcome] = field(default_factory=list)
    tested: Outcome | None = None
    server: Server | None = None
    requests: list[Received] = field(default_factory=list)


def make_provider(network: Network, **changes: Any) -> ApnsProvider:
    fields: dict[str, Any] = {
        "key_id": "ABC123DEFG",
        "team_id": "TEAM123456",
        "key_pem": pem(ec_key()),
        "topic": "com.example.shop",
        "clock": Clock(),
    }
    return ApnsProvider(network=network, **{**fields, **changes})


def send_through(
    authority: Authority,
    tls: ssl.SSLContext,
    handler: Callable[[Received], None],
    tokens: Sequence[str] = (TOKEN,),
    *,
    notification: PushNotification | None = None,
    ttl: int = 60,
    token_environment: str = "",
    test: bool = False,
    **provider_fields: Any,
) -> Sent:
    sent = Sent()

    def keep(request: Received) -> None:
        sent.requests.append(request)
        handler(request)

    async def scenario() -> None:
        async with serving(tls, Behaviour(keep)) as sent.server:
            network = Network(("127.0.0.1", sent.server.port), str(authority.file))
            provider = make_provider(network, **provider_fields)
            payload = provider.compile(notification or PushNotification(text="Hello"))
            window = [
                Addressed(payload, UUID(int=n), token, ttl=ttl, environment=token_environment)
                for n, token in enumerate(tokens)
            ]
            sent.outcomes = await provider.send(window)
            if test:
                sent.tested = await provider.test()
            await provider.close()
        assert sent.server.violations == []

    run(scenario())
    return sent


def accept(request: Received) -> None:
    request.answer(200, (("apns-id", request.headers["apns-id"]),))


def refuse(status: int, reason: str) -> Callable[[Received], None]:
    def handler(request: Received) -> None:
        request.answer(status, body=json.dumps({"reason": reason}).encode())

    return handler


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
