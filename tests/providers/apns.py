"""Pushes through a server that answers as Apple's, over real connections."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from providers.apns import ApnsProvider
from providers.base import Addressed, Network, Outcome, PushNotification
from tests.providers.certificates import Authority
from tests.providers.keys import ec_key, pem
from tests.providers.running import run
from tests.providers.server import Behaviour, Received, Server, serving

NOW = 1_760_000_000.0
TOKEN = "ab" * 32


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
