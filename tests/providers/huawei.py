"""Huawei's two hosts, answering as a test decides."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import httpx

from providers.base import Addressed, Network, Outcome, PushNotification
from providers.huawei import HuaweiProvider
from tests.providers.running import run

NOW = 1_760_000_000.0
CLIENT = {"client_id": "101010101", "client_secret": "s3cret"}
FIRST_ID = 0x018F0000_0000_8000_8000_000000000000


def told(code: str, message: str = "Success") -> httpx.Response:
    return httpx.Response(200, json={"code": code, "msg": message, "requestId": "r-1"})


def partly(*illegal: str) -> str:
    return json.dumps({"success": 1, "failure": len(illegal), "illegal_tokens": list(illegal)})


class Huawei:
    """Counts what it is asked; takes everything unless told otherwise."""

    def __init__(self, answer: Callable[[list[str]], httpx.Response] | None = None) -> None:
        self.pushes: list[httpx.Request] = []
        self.fetches: list[httpx.Request] = []
        self.answer = answer or (lambda tokens: told("80000000"))
        self.token_answer: Callable[[], httpx.Response] | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.headers["host"] == "oauth-login.cloud.huawei.com":
            self.fetches.append(request)
            if self.token_answer is not None:
                return self.token_answer()
            token = f"token\\/{len(self.fetches)}"
            body = f'{{"access_token":"{token}","expires_in":3600,"token_type":"Bearer"}}'
            return httpx.Response(200, content=body.encode())
        assert request.headers["host"] == "push-api.cloud.huawei.com"
        self.pushes.append(request)
        return self.answer(self.tokens(request))

    def tokens(self, request: httpx.Request) -> list[str]:
        body = json.loads(request.content)
        tokens: list[str] = body.get("message", body.get("target"))["token"]
        return tokens

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.pushes]

    @property
    def calls(self) -> list[list[str]]:
        return [self.tokens(request) for request in self.pushes]

    def provider(self, data: dict[str, Any] | None = None, **given: Any) -> HuaweiProvider:
        transport = httpx.MockTransport(self)
        return HuaweiProvider(
            CLIENT if data is None else data, network=Network(), transport=transport, **given
        )

    def send(
        self, tokens: Sequence[str], *, data: dict[str, Any] | None = None, kind: str = "token",
        ttl: int = 3600, tracked: bool = False, **fields: Any,
    ) -> list[Outcome]:  # fmt: skip
        """Send one notification to these tokens, with consecutive message ids."""
        provider = self.provider(data)
        said = PushNotification(tracked=tracked, **{"title": "Sale", "text": "Today", **fields})
        payload = provider.compile(said)
        window = [
            Addressed(payload, UUID(int=FIRST_ID + number), token, kind, ttl)
            for number, token in enumerate(tokens)
        ]
        return run(provider.send(window))
