"""Our sender against httpx over HTTP/2, on the same sink, in the same run.

`python benchmarks/sender.py [--messages N] [--rounds N]`. The runs take turns, because a
machine's speed drifts; each figure is the median of its rounds. The sink is a process
of its own, so a second core should be free.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from statistics import median
from typing import NamedTuple
from uuid import UUID

import httpx
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.sink import HOST
from providers.base import Addressed, Network, PushNotification, Verdict
from providers.fcm import FcmProvider
from providers.http2 import Answer, Common, Limits, Pool, Request

PATH = "/v1/projects/shop/messages:send"
AUTHORIZATION = "Bearer " + "t" * 200
CONTENT_TYPE = "application/json; charset=UTF-8"
WINDOW = 250  # messages handed over together
IN_FLIGHT = 2  # windows on the wire
BODY_SIZE = 484  # bytes, an ordinary FCM message


class Run(NamedTuple):
    rate: float  # messages a second
    cpu: float  # CPU seconds per 10,000 messages


def body(number: int) -> bytes:
    return b"%0*d" % (BODY_SIZE, number)


async def own(port: int, ca: Path, messages: int, connections: int) -> None:
    pool = Pool(Network(("127.0.0.1", port), str(ca)), HOST, limits=Limits(connections=connections))
    fields = (("authorization", AUTHORIZATION), ("content-type", CONTENT_TYPE))
    common = Common(HOST, fields, path=PATH)
    windows = iter(range(0, messages, WINDOW))

    async def work() -> None:
        for start in windows:
            numbers = range(start, min(start + WINDOW, messages))
            results = await pool.send_many([Request(common, body(n)) for n in numbers])
            assert all(
                isinstance(r, Answer) and (r.status, bool(r.body)) == (200, True) for r in results
            )

    await asyncio.gather(*[work() for _ in range(IN_FLIGHT)])
    await pool.close()


async def fcm(port: int, ca: Path, messages: int) -> None:
    """The same with all that a campaign needs: bodies spliced, answers read."""
    token = httpx.MockTransport(
        lambda request: httpx.Response(200, json={"access_token": "t" * 200, "expires_in": 3599})
    )
    provider = FcmProvider(
        make_service_account(),
        network=Network(("127.0.0.1", port), str(ca)),
        limits=Limits(connections=4),
        token_transport=token,
    )
    payload = provider.compile(PushNotification(title="Sale", text="x" * 200))
    windows = iter(range(0, messages, WINDOW))

    async def work() -> None:
        for start in windows:
            numbers = range(start, min(start + WINDOW, messages))
            window = [Addressed(payload, UUID(int=n), f"{n:0150d}", ttl=3600) for n in numbers]
            outcomes = await provider.send(window)
            assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}

    await asyncio.gather(*[work() for _ in range(IN_FLIGHT)])
    await provider.close()


@cache
def make_service_account() -> dict[str, object]:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "project_id": "shop",
        "client_email": "sender@shop.iam.gserviceaccount.com",
        "private_key_id": "bench",
        "private_key": key.decode(),
        "token_uri": "https://oauth2.googleapis.com/token",
    }


async def stock(port: int, ca: Path, messages: int) -> None:
    """httpx, one client, 100 requests in flight."""
    numbers = iter(range(messages))
    context = ssl.create_default_context(cafile=str(ca))
    url = f"https://127.0.0.1:{port}{PATH}"
    headers = {"host": HOST, "authorization": AUTHORIZATION, "content-type": CONTENT_TYPE}
    async with httpx.AsyncClient(http2=True, verify=context, timeout=30) as client:

        async def work() -> None:
            for number in numbers:
                answer = await client.post(
                    url,
                    content=body(number),
                    headers=headers,
                    extensions={"sni_hostname": HOST},
                )
                assert answer.status_code == 200

        await asyncio.gather(*[work() for _ in range(100)])


def measure(send: Callable[[], Awaitable[None]], messages: int) -> Run:
    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    async def run() -> None:
        await send()

    cpu_before, before = cpu(), time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    took = time.perf_counter() - before
    return Run(messages / took, (cpu() - cpu_before) / messages * 10_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=50_000, help="of ours, in each round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    few = max(500, options.messages // 50)  # httpx is slow
    with tempfile.TemporaryDirectory() as folder:
        ca = Path(folder) / "ca.pem"
        sink = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("sink.py")), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert sink.stdin is not None
        assert sink.stdout is not None
        try:
            port = int(sink.stdout.readline())
            senders: dict[str, tuple[Callable[[], Awaitable[None]], int]] = {
                "own sender, 1 connection": (
                    lambda: own(port, ca, options.messages, 1),
                    options.messages,
                ),
                "own sender, up to 4 connections": (
                    lambda: own(port, ca, options.messages, 4),
                    options.messages,
                ),
                "FcmProvider, up to 4 connections": (
                    lambda: fcm(port, ca, options.messages),
                    options.messages,
                ),
                "httpx HTTP/2": (lambda: stock(port, ca, few), few),
            }
            runs: dict[str, list[Run]] = {name: [] for name in senders}
            for _ in range(options.rounds):
                for name, (send, messages) in senders.items():
                    runs[name].append(measure(send, messages))
        finally:
            sink.stdin.close()
            sink.wait(10)
    rates = {name: median(run.rate for run in of) for name, of in runs.items()}
    print(f"{'':34}{'messages/s':>12}{'CPU-s/10,000':>14}{'x httpx':>9}")
    for name, of in runs.items():
        cpu = median(run.cpu for run in of)
        print(f"{name:34}{rates[name]:12,.0f}{cpu:14.3f}{rates[name] / rates['httpx HTTP/2']:9.1f}")


if __name__ == "__main__":
    main()
