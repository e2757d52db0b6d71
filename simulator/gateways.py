"""Simulated FCM and APNs on one TLS port of loopback, told apart by the name asked for.

Strict about protocol and payload, seeded, with a ledger of what they took
(contract/providers.md 11). `python -m simulator.gateways --help`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import ssl
import sys
from pathlib import Path
from typing import cast

import uvloop

from simulator.apns import Apns
from simulator.certificates import authority, context, write_private
from simulator.connection import Http2Connection
from simulator.control import Control
from simulator.exchange import Answer, Cloud, Flavour, Head, Peer, Request
from simulator.fcm import Fcm, TokenServer
from simulator.http1 import Http1Connection
from simulator.world import World

STORM = 10  # new connections a minute that count as an attack (SIM-18)


class Gateways:
    """The clouds, their connections, and the control port."""

    def __init__(self, home: Path, *, seed: int = 1, latency_ms: float | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.world = World(home, seed=seed, latency_ms=latency_ms)
        self.clouds: list[Cloud] = [Fcm(self.world), TokenServer(self.world), Apns(self.world)]
        self.connections: set[CloudProtocol] = set()
        self.numbers = 0
        issuer = authority(home)
        self.ca_file = issuer.file
        self.contexts: dict[str, ssl.SSLContext] = {}
        self.by_context: dict[int, tuple[str, Cloud]] = {}
        for cloud in self.clouds:
            for host in cloud.hosts:
                made = context(issuer, host, ["h2", "http/1.1"] if cloud.http1 else ["h2"])
                self.contexts[host] = made
                self.by_context[id(made)] = (host, cloud)
        self.front = context(issuer, "gateways.invalid", ["h2", "http/1.1"])
        self.front.sni_callback = self._choose

    def _choose(
        self, tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext
    ) -> ssl.AlertDescription | None:
        chosen = self.contexts.get(name or "")
        if chosen is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        tls.context = chosen
        return None

    async def start(self, port: int, control_port: int) -> tuple[int, int]:
        """Listen on loopback; the ports that were taken."""
        loop = asyncio.get_running_loop()
        self.tls_server = await loop.create_server(
            lambda: CloudProtocol(self), "127.0.0.1", port, ssl=self.front
        )
        control = Control(self)
        self.control_server = await loop.create_server(
            lambda: ControlProtocol(control), "127.0.0.1", control_port
        )
        self.carrying = loop.create_task(self.world.phones.run())
        ports = [
            int(server.sockets[0].getsockname()[1])
            for server in (self.tls_server, self.control_server)
        ]
        facts = {
            "port": ports[0],
            "control": f"http://127.0.0.1:{ports[1]}",
            "ca_file": str(self.ca_file.absolute()),
        }
        write_private(self.home / "gateways.json", json.dumps(facts).encode())
        return ports[0], ports[1]

    async def stop(self) -> None:
        """Say goodbye to every client; the ledger is on disk already."""
        (self.home / "gateways.json").unlink(missing_ok=True)
        self.tls_server.close()
        self.control_server.close()
        self.go_away(Flavour.CURT, None)
        self.carrying.cancel()
        await asyncio.sleep(0)
        self.world.ledger.commit()

    def go_away(self, flavour: Flavour, cloud: str | None) -> int:
        chosen = [
            protocol.inner
            for protocol in list(self.connections)
            if isinstance(protocol.inner, Http2Connection)
            and (cloud is None or protocol.inner.cloud.name == cloud)
        ]
        for connection in chosen:
            connection.go_away(flavour)
            connection.receive(b"")
        return len(chosen)

    def change_limits(self) -> None:
        """Tell open connections of a new limit of streams."""
        for protocol in list(self.connections):
            if isinstance(protocol.inner, Http2Connection):
                connection = protocol.inner
                connection.manners = connection.cloud.manners
                connection.change_limit(connection.manners.max_streams)


class CloudProtocol(asyncio.Protocol):
    """One client, from the handshake to its end."""

    def __init__(self, gateways: Gateways) -> None:
        self.gateways = gateways
        self.inner: Http2Connection | Http1Connection | None = None
        self.cloud: Cloud | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        tls = transport.get_extra_info("ssl_object")
        found = self.gateways.by_context.get(id(tls.context))
        protocol = tls.selected_alpn_protocol()
        if found is None or (protocol != "h2" and not found[1].http1):
            transport.abort()
            return
        host, cloud = found
        self.cloud = cloud
        self.gateways.connections.add(self)
        self.gateways.numbers += 1
        peer = Peer(self.gateways.numbers, host)
        self._count(cloud)
        commit = self.gateways.world.ledger.commit
        if protocol == "h2":
            self.inner = Http2Connection(transport, cloud, peer, commit)
            return

        def answer(head: Head, body: bytes) -> Answer:
            return cloud.answer(
                Request(
                    head.method, head.path, head.authority, head.headers, head.doubled,
                    body, peer, 0,
                )
            )  # fmt: skip

        self.inner = Http1Connection(transport, answer, commit)

    def _count(self, cloud: Cloud) -> None:
        traffic = cloud.traffic
        traffic.connections += 1
        traffic.open_connections += 1
        minute = int(self.gateways.world.clock.now() // 60)
        if traffic.minute != minute:
            traffic.minute, traffic.minute_connections = minute, 0
        traffic.minute_connections += 1
        if traffic.minute_connections == STORM + 1:
            traffic.storms += 1

    def data_received(self, data: bytes) -> None:
        if self.inner is not None:
            self.inner.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gateways.connections.discard(self)
        if self.inner is not None and self.cloud is not None:
            self.inner.lost()
            self.cloud.traffic.open_connections -= 1


class ControlProtocol(asyncio.Protocol):
    def __init__(self, control: Control) -> None:
        self.control = control

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        commit = self.control.world.ledger.commit
        transport = cast("asyncio.Transport", transport)
        self.inner = Http1Connection(transport, self.control.answer, commit)

    def data_received(self, data: bytes) -> None:
        self.inner.receive(data)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, required=True, help="folder of ledger and CA")
    parser.add_argument("--port", type=int, default=0, help="TLS port; 0 takes a free one")
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1, help="decides what devices do")
    parser.add_argument("--latency", type=float, help="median of answers, milliseconds")


async def serve(options: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT."""
    gateways = Gateways(options.home, seed=options.seed, latency_ms=options.latency)
    port, control_port = await gateways.start(options.port, options.control_port)
    sys.stdout.write(f"simulated clouds on port {port}, control on port {control_port}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await gateways.stop()


def run(options: argparse.Namespace) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Simulated push clouds.")
    add_arguments(parser)
    run(parser.parse_args())
