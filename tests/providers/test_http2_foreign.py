"""The client against servers that nobody here wrote: Node's HTTP/2 and the library h2."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest
from h2.settings import SettingCodes

from embedded.packages import node
from providers.base import Network
from providers.http2 import Answer, Common, Pool, Request
from tests.providers.certificates import Authority
from tests.providers.running import HOST, run

SCRIPT = Path(__file__).with_name("foreign_server.js")


def make_requests(count: int, size: int) -> list[Request]:
    commons = [Common(HOST, (("authorization", f"bearer {n}" * 40),)) for n in range(2)]
    return [
        Request(commons[n // 30 % 2], b"x" * size, b"/%d" % n, ((b"apns-id", b"%d" % n),))
        for n in range(count)
    ]


def expected(requests: list[Request]) -> list[dict[str, Any]]:
    return [
        {
            "path": request.path.decode(),
            "id": request.headers[0][1].decode(),
            "key": dict(request.common.regular)[b"authorization"].decode(),
            "size": len(request.body),
        }
        for request in requests
    ]


async def ask(authority: Authority, port: int, requests: list[Request]) -> list[dict[str, Any]]:
    pool = Pool(Network(("127.0.0.1", port), str(authority.file)), HOST)
    results = await pool.send_many(requests)
    await pool.close()
    return [json.loads(result.body) for result in results if isinstance(result, Answer)]


@contextmanager
def node_server(pem: Path, settings: dict[str, int], patience: int) -> Iterator[int]:
    process = subprocess.Popen(
        [str(node()), str(SCRIPT), str(pem), json.dumps(settings), str(patience)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.mark.parametrize(
    ("settings", "patience"),
    [
        ({}, 0),
        ({"headerTableSize": 0}, 0),
        ({"headerTableSize": 300, "maxConcurrentStreams": 7}, 0),
        ({"headerTableSize": 65536, "initialWindowSize": 1000}, 0),
        ({"maxConcurrentStreams": 50}, 100),
    ],
)
def test_node_answers_every_request(
    settings: dict[str, int], patience: int, authority: Authority
) -> None:
    pem = authority.server_file([HOST])
    requests = make_requests(400, 3000)
    with node_server(pem, settings, patience) as port:
        assert run(ask(authority, port, requests)) == expected(requests)


class StrictServer(asyncio.Protocol):
    """h2 checks windows, table, frame order and headers, and gives up on any fault."""

    def __init__(self, settings: dict[SettingCodes | int, int], faults: list[str]) -> None:
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._settings = settings
        self._faults = faults
        self._headers: dict[int, dict[str, str]] = {}
        self._sizes: dict[int, int] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._h2.initiate_connection()
        self._h2.update_settings(self._settings)  # which hold from their acknowledgement on
        self._transport.write(self._h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self._faults.append(repr(error))
            self._transport.close()
            return
        for event in events:
            self._handle(event)
        self._transport.write(self._h2.data_to_send())

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._headers[event.stream_id] = {
                bytes(name).decode(): bytes(value).decode() for name, value in event.headers
            }
            self._sizes[event.stream_id] = 0
        elif isinstance(event, h2.events.DataReceived):
            self._sizes[event.stream_id] += len(event.data)
            if event.flow_controlled_length:
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            headers = self._headers.pop(event.stream_id)
            told = {
                "path": headers[":path"],
                "id": headers["apns-id"],
                "key": headers["authorization"],
                "size": self._sizes.pop(event.stream_id),
            }
            self._h2.send_headers(event.stream_id, [(":status", "200")])
            self._h2.send_data(event.stream_id, json.dumps(told).encode(), end_stream=True)


@pytest.mark.parametrize("table", [0, 300, 4096, 65536])
@pytest.mark.parametrize("window", [100, 65535])
def test_a_strict_server_finds_no_fault(
    table: int, window: int, authority: Authority, tls: ssl.SSLContext
) -> None:
    faults: list[str] = []
    settings: dict[SettingCodes | int, int] = {
        SettingCodes.HEADER_TABLE_SIZE: table,
        SettingCodes.INITIAL_WINDOW_SIZE: window,
        SettingCodes.MAX_CONCURRENT_STREAMS: 20,
    }

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: StrictServer(settings, faults), "127.0.0.1", 0, ssl=tls
        )
        requests = make_requests(200, 700)
        port = server.sockets[0].getsockname()[1]
        told = await ask(authority, port, requests)
        server.close()
        assert faults == []
        assert told == expected(requests)

    run(scenario())
