"""Gateways of text messages whose answers a test decides."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from providers.base import Addressed, Network, Outcome, PushNotification, Verdict
from providers.sms import SmsProvider

INFOBIP = {
    "shape": "infobip",
    "base_url": "https://xyz.api.infobip.com",
    "api_key": "key-1",
    "sender": "Shop",
}
OLD = {**INFOBIP, "shape": "infobip_v2"}
TWILIO = {"shape": "twilio", "account_sid": "AC1", "auth_token": "secret", "sender": "+15005550006"}
SHAPES = pytest.mark.parametrize("data", [INFOBIP, OLD, TWILIO], ids=["v3", "v2", "twilio"])
Answer = Callable[[httpx.Request], httpx.Response]
GZIP = {"content-encoding": "gzip"}


class Packed(httpx.AsyncByteStream):
    """A body as it comes over the wire."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body


class Wire:
    """What a gateway was asked, and how it answers."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer or taken

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer(request)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]


def taken(request: httpx.Request, number: int = 26) -> httpx.Response:
    """Accepts everything, in the shape it was asked in."""
    if request.url.path.startswith("/2010-04-01"):
        return httpx.Response(201, json={"sid": "SM1", "status": "queued"})
    status = {"groupId": 1, "groupName": "PENDING", "id": number, "name": "NAME"}
    told = [
        {"messageId": one["messageId"], "destination": one["to"], "status": status}
        for message in json.loads(request.content)["messages"]
        for one in message["destinations"]
    ]
    return httpx.Response(200, json={"bulkId": "b", "messages": told})


def provider(data: dict[str, Any], wire: Wire) -> SmsProvider:
    return SmsProvider(
        data,
        report_url="https://push.example/reports/t0ken",
        network=Network(),
        transport=httpx.MockTransport(wire),
    )


def send(
    data: dict[str, Any], wire: Wire, *numbers: str, text: str = "Hi", ttl: int = 7200
) -> list[Outcome]:
    sms = provider(data, wire)
    payload = sms.compile(PushNotification(text=text))

    async def work() -> list[Outcome]:
        window = [
            Addressed(payload=payload, message_id=uuid.uuid4(), token=number, ttl=ttl)
            for number in numbers
        ]
        try:
            return await sms.send(window)
        finally:
            await sms.close()

    return asyncio.run(work())


def verdicts(outcomes: list[Outcome]) -> list[Verdict]:
    return [outcome.verdict for outcome in outcomes]


def raising(error: Exception) -> Answer:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    return answer
