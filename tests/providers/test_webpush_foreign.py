"""What Node's crypto and http_ece, which nobody here wrote, make of our pushes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from embedded import packages
from providers.base import Addressed, Network, PushNotification, Verdict
from providers.webpush import WebPushProvider
from providers.webpush.subscription import packed
from tests.providers.browsers import GOOGLE, MOZILLA, Browser, make_vapid

READER = Path(__file__).with_name("web_push_reader.js")
TEXTS = ["x", "Größe ½", "🎉" * 50, "ж" * 1900, "x" * 3800]


def read_by_node(pushes: list[dict[str, str]]) -> list[dict[str, Any]]:
    packages.install(dev=True)
    done = subprocess.run(
        [str(packages.node()), str(READER)],
        input=json.dumps(pushes),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_node_checks_who_sends_and_reads_what_was_sent() -> None:
    requests: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(201)

    web = WebPushProvider(
        make_vapid(), network=Network(), rate=1e6, transport=httpx.MockTransport(take)
    )
    browsers = {
        f"/{place}": Browser(f"https://{host}/{place}")
        for place, host in enumerate([MOZILLA, GOOGLE] * len(TEXTS))
    }
    texts = dict(zip(browsers, TEXTS * 2, strict=True))
    window = [
        Addressed(web.compile(PushNotification(text=texts[path])), uuid4(), browser.token, ttl=3600)
        for path, browser in browsers.items()
    ]

    async def send() -> set[Verdict]:
        try:
            return {outcome.verdict for outcome in await web.send(window)}
        finally:
            await web.close()

    assert asyncio.run(send()) == {Verdict.ACCEPTED}

    seen = read_by_node(
        [
            {
                "authorization": request.headers["authorization"],
                "body": packed(request.content),
                "key": packed(
                    browsers[request.url.path]
                    .key.private_numbers()
                    .private_value.to_bytes(32, "big")
                ),
                "auth": packed(browsers[request.url.path].auth),
            }
            for request in requests
        ]
    )

    assert len(seen) == len(window)
    for request, read in zip(requests, seen, strict=True):
        assert json.loads(read["text"])["body"] == texts[request.url.path]
        assert read["claims"]["aud"] == f"https://{request.headers['host']}"
        assert read["claims"]["sub"] == "mailto:push@shop.example"
        assert 0 < read["claims"]["exp"] - time.time() <= 24 * 3600
