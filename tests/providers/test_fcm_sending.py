"""providers.fcm: windows over connections, access tokens, the test of a credential."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from uuid import UUID

import httpx
import pytest

from providers.base import Addressed, CredentialError, Network, Outcome, PushNotification, Verdict
from providers.fcm import FcmProvider
from tests.providers.certificates import Authority
from tests.providers.discovery import checked
from tests.providers.fcm import NOW, error
from tests.providers.keys import make_service_account
from tests.providers.running import run
from tests.providers.server import Behaviour, Received, Server, serving


class Google:
    """A token server and the tokens it has given out."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.refuses = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.refuses:
            return httpx.Response(400, json={"error": "invalid_grant"})
        self.given.append(f"token-{len(self.given) + 1}")
        return httpx.Response(200, json={"access_token": self.given[-1], "expires_in": 3599})


def send_through(
    authority: Authority,
    tls: ssl.SSLContext,
    handler: Callable[[Received], None],
    google: Google,
    count: int = 10,
) -> tuple[list[Outcome], Outcome, Server]:
    """The outcomes of a window, the credential's test, and the server."""

    async def scenario() -> tuple[list[Outcome], Outcome, Server]:
        async with serving(tls, Behaviour(handler)) as server:
            provider = FcmProvider(
                make_service_account(),
                network=Network(("127.0.0.1", server.port), str(authority.file)),
                clock=lambda: NOW,
                token_transport=httpx.MockTransport(google),
            )
            payload = provider.compile(PushNotification(text="Hello"))
            window = [Addressed(payload, UUID(int=n), f"token{n}", ttl=60) for n in range(count)]
            outcomes = await provider.send(window)
            tested = await provider.test()
            await provider.close()
        assert server.violations == []
        return outcomes, tested, server

    return run(scenario())


def test_a_window_comes_back_in_order(authority: Authority, tls: ssl.SSLContext) -> None:
    seen: list[Received] = []

    def answer(request: Received) -> None:
        seen.append(request)
        token = checked(request.body)["message"]["token"]
        if token == "token3":
            request.answer(404, body=error("NOT_FOUND", "UNREGISTERED"))
        else:
            request.answer(200, body=b'{"name": "projects/shop-1/messages/%s"}' % token.encode())

    outcomes, _, _ = send_through(authority, tls, answer, Google())

    assert [outcome.provider_id for outcome in outcomes] == [
        f"token{n}" if n != 3 else "" for n in range(10)
    ]
    assert outcomes[3].verdict is Verdict.UNREGISTERED
    assert seen[0].headers[":path"] == "/v1/projects/shop-1/messages:send"
    assert seen[0].headers[":authority"] == "fcm.googleapis.com"
    assert seen[0].headers["authorization"] == "Bearer token-1"
    assert seen[0].headers["content-type"] == "application/json; charset=UTF-8"


# As Google words it: the second form says more (ErrorInfo).
EXPIRED = (
    error("UNAUTHENTICATED"),
    json.dumps({"error": {
        "code": 401,
        "status": "UNAUTHENTICATED",
        "message": "Request had invalid authentication credentials.",
        "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "ACCESS_TOKEN_EXPIRED",
            "domain": "googleapis.com",
        }],
    }}).encode(),
)  # fmt: skip


@pytest.mark.parametrize("refusal", EXPIRED, ids=["short", "long"])
def test_an_expired_token_is_renewed_and_the_message_repeated_once(
    authority: Authority, tls: ssl.SSLContext, refusal: bytes
) -> None:
    def answer(request: Received) -> None:
        if request.headers["authorization"] == "Bearer token-1":
            request.answer(401, body=refusal)
        else:
            request.answer(200, body=b'{"name": "projects/shop-1/messages/1"}')

    google = Google()
    outcomes, _, server = send_through(authority, tls, answer, google)

    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    assert google.given == ["token-1", "token-2", "token-3"]  # the last for the test
    assert sum(session.seen for session in server.sessions) == 21


def test_a_second_refusal_is_a_wrong_credential(authority: Authority, tls: ssl.SSLContext) -> None:
    def answer(request: Received) -> None:
        request.answer(401, body=error("UNAUTHENTICATED"))

    google = Google()
    outcomes, tested, server = send_through(authority, tls, answer, google)

    assert {outcome.verdict for outcome in outcomes} == {Verdict.MISCONFIGURED}
    assert sum(session.seen for session in server.sessions) == 21
    assert (tested.verdict, tested.reason) == (Verdict.MISCONFIGURED, "UNAUTHENTICATED")


def test_a_wrong_apns_key_inside_firebase_is_not_repeated(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    def answer(request: Received) -> None:
        request.answer(401, body=error("UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"))

    outcomes, _, server = send_through(authority, tls, answer, Google())

    assert {outcome.reason for outcome in outcomes} == {"THIRD_PARTY_AUTH_ERROR"}
    assert sum(session.seen for session in server.sessions) == 11


def test_without_a_token_nothing_leaves(authority: Authority, tls: ssl.SSLContext) -> None:
    google = Google()
    google.refuses = True
    outcomes, tested, server = send_through(authority, tls, lambda request: None, google)

    assert {outcome.verdict for outcome in [*outcomes, tested]} == {Verdict.MISCONFIGURED}
    assert tested.reason.startswith("invalid_grant")
    assert sum(session.seen for session in server.sessions) == 0


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b'{"name": "projects/shop-1/messages/fake"}', Verdict.ACCEPTED),
        (400, error("INVALID_ARGUMENT", fields=["message.token"]), Verdict.ACCEPTED),
        (404, error("NOT_FOUND", "UNREGISTERED"), Verdict.ACCEPTED),
        (404, error("NOT_FOUND"), Verdict.MISCONFIGURED),
        (403, error("PERMISSION_DENIED"), Verdict.MISCONFIGURED),
        (503, error("UNAVAILABLE"), Verdict.TRY_LATER),
    ],
)
def test_a_credential_is_tested_without_reaching_anybody(
    status: int, body: bytes, verdict: Verdict, authority: Authority, tls: ssl.SSLContext
) -> None:
    dry: list[bool] = []

    def answer(request: Received) -> None:
        dry.append(checked(request.body)["validateOnly"])
        request.answer(status, body=body)

    _, tested, _ = send_through(authority, tls, answer, Google(), count=0)

    assert tested.verdict is verdict
    assert tested.reason
    assert dry == [True]


def test_a_credential_that_cannot_be_one_is_refused_at_once() -> None:
    with pytest.raises(CredentialError, match="private_key"):
        FcmProvider(make_service_account(private_key="x"), network=Network())
