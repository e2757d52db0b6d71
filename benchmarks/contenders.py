"""Whoever sends messages to the sink, one contender a process.

`python -m benchmarks.contenders NAME PORT FOLDER MESSAGES` sends, on one core, and prints
seconds and CPU seconds as JSON. Names, certificates and paths are the clouds' own: only where
a name is found is changed, in the contender's process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from benchmarks.nginx_sink import pin
from providers.apns import ApnsPayload, ApnsProvider
from providers.base import Addressed, Network, PushNotification, PushProvider, Verdict
from providers.fcm import FcmPayload, FcmProvider
from providers.http2 import Answer, Common, Limits, Pool, Request

FCM, APNS = "fcm.googleapis.com", "api.push.apple.com"
PROJECT, TOPIC = "shop", "com.example.shop"
TEXT = "Twenty percent off everything until midnight. Your basket is still here. " * 2
WINDOW = 250  # messages of ours handed over together
PEER_PAGE = 500  # messages a peer is handed at once, its own largest
NOTIFICATION = PushNotification(title="Sale", text=TEXT, dialect="own", display="system")

Send = Callable[[int, Path, int, int], Coroutine[Any, Any, None]]


def fcm_token(number: int) -> str:
    return f"{number:022d}:APA91b{number:0134d}"


def apns_token(number: int) -> str:
    return f"{number:064x}"


# Ours: the sender with ready bytes, as h2load has them …


async def own_sender(port: int, folder: Path, messages: int, connections: int) -> None:
    payload = FcmPayload(NOTIFICATION)
    body = payload.body(fcm_token(0), "token", UUID(int=0), 3600)
    fields = (("authorization", "Bearer " + "t" * 200), ("content-type", "application/json"))
    common = Common(FCM, fields, path=f"/v1/projects/{PROJECT}/messages:send")
    await _hand_over(port, folder, messages, connections, lambda n: Request(common, body))


async def own_sender_apns(port: int, folder: Path, messages: int, connections: int) -> None:
    body = ApnsPayload(NOTIFICATION).body(UUID(int=0))
    fields = (
        ("authorization", "bearer " + "t" * 200),
        ("apns-topic", TOPIC),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
    )
    common, path = Common(APNS, fields), f"/3/device/{apns_token(1)}".encode()
    headers = ((b"apns-id", b"0" * 36), (b"apns-expiration", b"1800000000"))
    await _hand_over(
        port, folder, messages, connections, lambda n: Request(common, body, path, headers)
    )


async def _hand_over(
    port: int, folder: Path, messages: int, connections: int, make: Callable[[int], Request]
) -> None:
    network = Network(("127.0.0.1", port), str(folder / "ca.pem"))
    host = make(0).common.pseudo[2][1].decode()
    pool = Pool(network, host, limits=Limits(connections=connections))
    starts = iter(range(0, messages, WINDOW))

    async def work() -> None:
        for start in starts:
            numbers = range(start, min(start + WINDOW, messages))
            results = await pool.send_many([make(n) for n in numbers])
            assert all(isinstance(each, Answer) and each.status == 200 for each in results)

    await asyncio.gather(*[work() for _ in range(2 if connections < 10 else 8)])
    await pool.close()


# … and with its providers: payload compiled, bytes spliced, answers read, as a campaign does.


async def _provide(
    provider: PushProvider, token: Callable[[int], str], messages: int, windows: int
) -> None:
    payload = provider.compile(NOTIFICATION)
    starts = iter(range(0, messages, WINDOW))

    async def work() -> None:
        for start in starts:
            numbers = range(start, min(start + WINDOW, messages))
            window = [Addressed(payload, UUID(int=n), token(n), ttl=3600) for n in numbers]
            outcomes = await provider.send(window)
            assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}, outcomes[0]

    await asyncio.gather(*[work() for _ in range(windows)])
    await provider.close()


async def own_fcm(port: int, folder: Path, messages: int, connections: int) -> None:
    answer = {"access_token": "t" * 200, "expires_in": 3599}
    provider = FcmProvider(
        service_account(folder),
        network=Network(("127.0.0.1", port), str(folder / "ca.pem")),
        limits=Limits(connections=connections),
        token_transport=httpx.MockTransport(lambda request: httpx.Response(200, json=answer)),
    )
    await _provide(provider, fcm_token, messages, 2 if connections < 10 else 8)


async def own_apns(port: int, folder: Path, messages: int, connections: int) -> None:
    provider = ApnsProvider(
        key_id="ABCDE12345",
        team_id="TEAM123456",
        key_pem=apple_key(folder),
        topic=TOPIC,
        network=Network(("127.0.0.1", port), str(folder / "ca.pem")),
        limits=Limits(connections=connections),
    )
    await _provide(provider, apns_token, messages, 2 if connections < 10 else 8)


# Peers, as their manuals say.


async def httpx_fcm(port: int, folder: Path, messages: int, connections: int) -> None:
    """httpx over HTTP/2, 100 requests in flight."""
    numbers = iter(range(messages))
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    headers = {"host": FCM, "authorization": "Bearer " + "t" * 200}
    url = f"https://127.0.0.1:{port}/v1/projects/{PROJECT}/messages:send"
    async with httpx.AsyncClient(http2=True, verify=context, timeout=30) as client:

        async def work() -> None:
            for number in numbers:
                notification = {"title": "Sale", "body": TEXT}
                body = {"message": {"token": fcm_token(number), "notification": notification}}
                answer = await client.post(
                    url, json=body, headers=headers, extensions={"sni_hostname": FCM}
                )
                assert answer.status_code == 200

        await asyncio.gather(*[work() for _ in range(100)])


async def firebase_admin(port: int, folder: Path, messages: int, connections: int) -> None:
    """`send_each`, 500 messages a call, as its manual says."""
    import firebase_admin  # noqa: PLC0415 - each contender carries its own weight only
    from firebase_admin import credentials, messaging  # noqa: PLC0415

    near(port)
    os.environ["REQUESTS_CA_BUNDLE"] = str(folder / "ca.pem")
    app = firebase_admin.initialize_app(credentials.Certificate(service_account(folder)))
    note = messaging.Notification(title="Sale", body=TEXT)
    for start in range(0, messages, PEER_PAGE):
        numbers = range(start, min(start + PEER_PAGE, messages))
        page = [messaging.Message(token=fcm_token(n), notification=note) for n in numbers]
        assert messaging.send_each(page, app=app).failure_count == 0


async def aioapns(port: int, folder: Path, messages: int, connections: int) -> None:
    """All of 500 at once, as its manual says."""
    from aioapns import APNs, NotificationRequest, PushType  # noqa: PLC0415

    near(port)
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.set_alpn_protocols(["h2"])  # it sets none itself
    client = APNs(
        key=apple_key(folder),
        key_id="ABCDE12345",
        team_id="TEAM123456",
        topic=TOPIC,
        max_connections=max(connections, 1),
        ssl_context=context,
    )
    client.pool.ssl_context = context
    for start in range(0, messages, PEER_PAGE):
        numbers = range(start, min(start + PEER_PAGE, messages))
        requests = [
            NotificationRequest(
                device_token=apns_token(n),
                message={"aps": {"alert": {"title": "Sale", "body": TEXT}}},
                notification_id=str(uuid4()),
                time_to_live=3600,
                push_type=PushType.ALERT,
            )
            for n in numbers
        ]
        answers = await asyncio.gather(*[client.send_notification(each) for each in requests])
        assert all(answer.is_successful for answer in answers)


CONTENDERS: dict[str, Send] = {
    "own-sender": own_sender,
    "own-sender-apns": own_sender_apns,
    "own-fcm": own_fcm,
    "own-apns": own_apns,
    "httpx": httpx_fcm,
    "firebase-admin": firebase_admin,
    "aioapns": aioapns,
}


def near(port: int) -> None:
    """Every name is found at the sink."""
    find = socket.getaddrinfo

    def getaddrinfo(host: Any, asked: Any, *given: Any, **named: Any) -> Any:
        return find("127.0.0.1", port, *given, **named)

    socket.getaddrinfo = getaddrinfo


def service_account(folder: Path) -> dict[str, str]:
    """A Google account with a key made once a run."""
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "client_email": "sender@shop.example",
        "private_key_id": "bench",
        "private_key": _key(folder / "google.pem", rsa.generate_private_key(65537, 2048)),
        "token_uri": "https://oauth2.googleapis.com/token",
    }


def apple_key(folder: Path) -> str:
    return _key(folder / "apple.pem", ec.generate_private_key(ec.SECP256R1()))


def _key(file: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    if not file.exists():
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return file.read_text()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("messages", type=int)
    parser.add_argument("--connections", type=int, default=1)
    options = parser.parse_args()
    pin(0)

    async def run() -> tuple[float, float]:
        cpu, began = _cpu(), time.perf_counter()
        send = CONTENDERS[options.name]
        await send(options.port, options.folder, options.messages, options.connections)
        return time.perf_counter() - began, _cpu() - cpu

    # Ours runs on uvloop as in production, aioapns on the loop its manual shows.
    loop = None if options.name == "aioapns" else uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop) as runner:
        seconds, cpu = runner.run(run())
    print(json.dumps({"seconds": seconds, "cpu": cpu}))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
