"""Push services of browsers whose answers a test decides, and windows sent through them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import httpx

from providers.base import Addressed, Network, Outcome, PushNotification
from providers.webpush import WebPushPayload, WebPushProvider
from tests.providers.browsers import Browser, make_vapid

NOW = 1_760_000_000.0
Answer = Callable[[httpx.Request], httpx.Response]


def stored(request: httpx.Request) -> httpx.Response:
    return httpx.Response(201, headers={"location": f"https://{request.headers['host']}/m/77"})


class Wire:
    """What push services were asked, and how they answer."""

    def __init__(self, answer: Answer = stored) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer(request)

    @property
    def hosts(self) -> list[str]:
        return [request.headers["host"] for request in self.requests]


def provider(wire: Answer, **given: Any) -> WebPushProvider:
    return WebPushProvider(
        make_vapid(),
        network=Network(),
        rate=1e6,
        transport=httpx.MockTransport(wire),
        clock=lambda: NOW,
        **given,
    )


def addressed(
    browsers: Sequence[Browser], ttl: int = 3600, **fields: Any
) -> tuple[WebPushPayload, list[Addressed]]:
    payload = WebPushPayload(PushNotification(**{"text": "Hi", **fields}))
    return payload, [Addressed(payload, uuid4(), browser.token, ttl=ttl) for browser in browsers]


def send(wire: Answer, *browsers: Browser, ttl: int = 3600, **fields: Any) -> list[Outcome]:
    """One window to these."""
    return send_windows(wire, list(browsers), ttl=ttl, **fields)[0]


def send_windows(
    wire: Answer, *windows: Sequence[Browser], ttl: int = 3600, **fields: Any
) -> list[list[Outcome]]:
    """One window after another through the same provider."""

    async def work() -> list[list[Outcome]]:
        web = provider(wire)
        try:
            return [await web.send(addressed(browsers, ttl, **fields)[1]) for browsers in windows]
        finally:
            await web.close()

    return asyncio.run(work())


def refuse(paths: set[str]) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403) if request.url.path in paths else stored(request)

    return answer


def on(host: str, *names: str) -> list[Browser]:
    return [Browser(f"https://{host}/{name}") for name in names]
