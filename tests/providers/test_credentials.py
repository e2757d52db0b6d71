from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from providers.base import CredentialError, Network
from providers.credentials import (
    AppleTokens,
    GoogleTokens,
    ServiceAccount,
    TokenRefusedError,
    TokenUnavailableError,
)
from tests.providers.keys import ec_key, make_service_account, pem, rsa_key
from tests.providers.running import run

NOW = 1_760_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def decoded(part: str) -> dict[str, Any]:
    value = json.loads(unpadded(part))
    assert isinstance(value, dict)
    return value


def unpadded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


# Google


class TokenServer:
    """Counts how often it is asked; answers tokens unless told otherwise."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answer: Callable[[], httpx.Response] | None = None
        self.hangs: asyncio.Event | None = None  # until it is set

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await asyncio.sleep(0.01)
        if self.hangs is not None:
            await self.hangs.wait()
        if self.answer is not None:
            return self.answer()
        token = f"token-{len(self.requests)}"
        return httpx.Response(200, json={"access_token": token, "expires_in": 3599})


def make_tokens(server: TokenServer, clock: Clock, network: Network | None = None) -> GoogleTokens:
    account = ServiceAccount.read(make_service_account())
    return GoogleTokens(
        account, network or Network(), clock=clock, transport=httpx.MockTransport(server)
    )


def test_the_assertion_is_what_google_asks_for() -> None:
    server = TokenServer()
    network = Network(("127.0.0.1", 4443))
    assert run(make_tokens(server, Clock(), network).get()) == "token-1"

    [request] = server.requests
    assert request.url == "https://127.0.0.1:4443/token"
    assert request.headers["host"] == "oauth2.googleapis.com"
    assert request.extensions["sni_hostname"] == "oauth2.googleapis.com"
    form = parse_qs(request.content.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    header, claims, signature = form["assertion"][0].split(".")
    assert decoded(header) == {"alg": "RS256", "typ": "JWT", "kid": "abc123"}
    assert decoded(claims) == {
        "iss": "sender@shop-1.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }
    signed = f"{header}.{claims}".encode()
    rsa_key().public_key().verify(unpadded(signature), signed, padding.PKCS1v15(), hashes.SHA256())


def test_one_task_fetches_and_the_others_wait_for_it() -> None:
    server = TokenServer()

    async def scenario() -> None:
        tokens = make_tokens(server, Clock())
        assert await asyncio.gather(*[tokens.get() for _ in range(20)]) == ["token-1"] * 20
        assert (
            await asyncio.gather(*[tokens.renew("token-1") for _ in range(20)]) == ["token-2"] * 20
        )
        assert await tokens.renew("token-1") == "token-2"  # somebody renewed it already

    run(scenario())
    assert len(server.requests) == 2


def test_a_caller_that_gives_up_takes_the_token_from_nobody() -> None:
    server = TokenServer()

    async def scenario() -> None:
        tokens = make_tokens(server, Clock())
        impatient = asyncio.create_task(tokens.get())
        patient = asyncio.create_task(tokens.get())
        await asyncio.sleep(0)
        impatient.cancel()
        assert await patient == "token-1"

    run(scenario())


def test_a_token_is_refreshed_five_minutes_before_its_end() -> None:
    server, clock = TokenServer(), Clock()

    async def scenario() -> None:
        tokens = make_tokens(server, clock)
        assert await tokens.get() == "token-1"
        clock.now = NOW + 3599 - 301
        assert await tokens.get() == "token-1"
        await asyncio.sleep(0)
        assert len(server.requests) == 1
        clock.now = NOW + 3599 - 299
        assert await tokens.get() == "token-1"
        assert await tokens.fetch() == "token-2"  # it is on its way, and nobody asks again
        assert await tokens.get() == "token-2"
        assert len(server.requests) == 2

    run(scenario())


def test_while_a_token_serves_nobody_waits_for_the_next_nor_asks_for_it_all_the_time() -> None:
    server, clock = TokenServer(), Clock()

    async def scenario() -> None:
        tokens = make_tokens(server, clock)
        await tokens.get()
        clock.now = NOW + 3599 - 200
        server.hangs = asyncio.Event()
        for _ in range(100):
            assert await tokens.get() == "token-1"
            await asyncio.sleep(0)
        server.answer = lambda: httpx.Response(503)
        server.hangs.set()
        with pytest.raises(TokenUnavailableError):
            await tokens.fetch()
        for _ in range(100):
            assert await tokens.get() == "token-1"
            await asyncio.sleep(0)
        assert len(server.requests) == 2

    run(scenario())


def test_a_token_serves_to_its_end_while_the_token_server_is_away() -> None:
    server, clock = TokenServer(), Clock()

    async def scenario() -> None:
        tokens = make_tokens(server, clock)
        await tokens.get()
        server.answer = lambda: httpx.Response(503, headers={"retry-after": "7"})
        clock.now = NOW + 3599 - 100
        assert await tokens.get() == "token-1"
        clock.now = NOW + 3599
        with pytest.raises(TokenUnavailableError) as away:
            await tokens.get()
        assert (away.value.status, away.value.retry_after) == (503, 7)

    run(scenario())


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (400, {"error": "invalid_grant", "error_description": "Invalid JWT"}, 1, "Invalid JWT"),
        (401, {"error": "invalid_client", "error_description": "gone"}, 1, "invalid_client: gone"),
        (500, {}, 0, "HTTP 500"),
        (429, {}, 0, "HTTP 429"),
        (200, {"access_token": "a\r\nb", "expires_in": 5}, 0, "not a token"),
        (200, {"access_token": "ok"}, 0, "not a token"),
        (200, [], 0, "not a token"),
    ],
)
def test_a_refusal_is_told_from_an_absence(status: int, body: Any, error: int, text: str) -> None:
    server = TokenServer()
    server.answer = lambda: httpx.Response(status, json=body)
    with pytest.raises((TokenUnavailableError, TokenRefusedError)[error], match=text):
        run(make_tokens(server, Clock()).get())


def test_a_token_server_out_of_reach_is_an_absence() -> None:
    server = TokenServer()

    def fail() -> httpx.Response:
        raise httpx.ConnectError("no route")

    server.answer = fail
    with pytest.raises(TokenUnavailableError, match="ConnectError") as away:
        run(make_tokens(server, Clock()).get())
    assert away.value.status == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "authorized_user"}, "type"),
        ({"project_id": ""}, "project_id"),
        ({"project_id": "a/../b"}, "project_id"),
        ({"client_email": 5}, "client_email"),
        ({"private_key_id": None}, "private_key_id"),
        (
            {"private_key": "-----BEGIN PRIVATE KEY-----\nno\n-----END PRIVATE KEY-----"},
            "private_key",
        ),
        ({"private_key": pem(ec_key())}, "private_key"),
        ({"token_uri": "http://oauth2.googleapis.com/token"}, "token_uri"),
        ({"token_uri": "https://169.254.169.254/token"}, "token_uri"),
        ({"token_uri": "https://oauth2.googleapis.com@evil.example/token"}, "token_uri"),
    ],
)
def test_what_cannot_be_a_service_account_is_refused_by_field(
    changes: dict[str, object], field: str
) -> None:
    with pytest.raises(CredentialError) as refusal:
        ServiceAccount.read(make_service_account(**changes))

    assert refusal.value.field == field
    assert str(refusal.value).startswith(f"{field}: ")


def test_a_service_account_does_not_show_its_key() -> None:
    assert "rsa" not in repr(ServiceAccount.read(make_service_account())).lower()


# Apple


def make_apple(clock: Clock) -> AppleTokens:
    return AppleTokens(
        key_id="ABC123DEFG", team_id="TEAM123456", key_pem=pem(ec_key()), clock=clock
    )


def test_apples_token_is_signed_by_the_key() -> None:
    header, claims, signature = make_apple(Clock()).get().split(".")

    assert decoded(header) == {"alg": "ES256", "kid": "ABC123DEFG"}
    told = decoded(claims)
    assert told["iss"] == "TEAM123456"
    assert 60 <= NOW - told["iat"] < 41 * 60
    raw = unpadded(signature)
    assert len(raw) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    ec_key().public_key().verify(der, f"{header}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))


def test_every_process_makes_the_same_token_without_asking_the_others() -> None:
    assert make_apple(Clock()).get() == make_apple(Clock()).get()


def test_apples_token_is_never_older_than_an_hour_nor_changed_within_20_minutes() -> None:
    clock = Clock()
    tokens = make_apple(clock)
    changes: list[tuple[int, str]] = []
    for minute in range(300):
        clock.now = NOW + 60 * minute
        token = tokens.get()
        assert 60 <= clock.now - decoded(token.split(".")[1])["iat"] < 41 * 60 + 60
        if not changes or changes[-1][1] != token:
            changes.append((minute, token))
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(changes[1:])]
    assert set(gaps) == {40}


def test_another_token_exists_only_if_the_first_was_older() -> None:
    clock = Clock()
    clock.now = 2400 * 733_334 + 60 + 1300.0  # 1,300 seconds into a cell of the grid
    tokens = make_apple(clock)
    old = tokens.get()
    fresh = tokens.renew(old)

    assert fresh not in {"", old}
    assert clock.now - decoded(fresh.split(".")[1])["iat"] < 1260
    assert tokens.renew(fresh) == ""


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"key_id": "abc123defg"}, "key_id"),
        ({"key_id": "ABC"}, "key_id"),
        ({"team_id": "TEAM 12345"}, "team_id"),
        ({"key_pem": ""}, "key_pem"),
        ({"key_pem": pem(rsa_key())}, "key_pem"),
    ],
)
def test_what_cannot_be_an_apns_key_is_refused_by_field(
    changes: dict[str, str], field: str
) -> None:
    good: dict[str, Any] = {
        "key_id": "ABC123DEFG",
        "team_id": "TEAM123456",
        "key_pem": pem(ec_key()),
    }
    with pytest.raises(CredentialError) as refusal:
        AppleTokens(**{**good, **changes})

    assert refusal.value.field == field
