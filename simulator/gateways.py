"""The simulated clouds: one TLS port for all of them, under their real names.

    python -m simulator.gateways --home DIR [--port N] [--control-port N] [--seed N] [--latency MS]

Once it listens it writes `DIR/gateways.json`: {"port", "control", "ca_file"}.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
from collections.abc import Sequence
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives import serialization

from simulator import certificates
from simulator.certificates import Authority
from simulator.control import Control
from simulator.exchange import Cloud, Flavour, Peer
from simulator.http1_cloud import Http1Connection
from simulator.http2 import Http2Connection
from simulator.inputs import BadInput
from simulator.settings import Tls
from simulator.world import HomeInUse, World

TICK = 0.005  # seconds: answers leave in bundles of one connection
STORM = 10  # connections a minute are many


class Gateways:
    """Listens, and tells each connection which cloud it has reached."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.open: set[Http2Connection] = set()
        self._clouds: dict[str, Cloud] = {
            host: cloud for cloud in world.clouds for host in cloud.hosts
        }
        self._contexts: dict[tuple[str, Tls], ssl.SSLContext] = {}
        self._hosts: dict[ssl.SSLContext, str] = {}
        self._authority = certificates.authority(world.home)
        self._trusted: set[str] = set()  # fingerprints of client certificates
        self._server: asyncio.Server | None = None
        self._connections = 0
        self._late: dict[int, dict[Http2Connection, list[int]]] = {}
        self._all_closed: asyncio.Event | None = None

    @property
    def ca_file(self) -> Path:
        return self._authority.file

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port."""
        self._prepare(self._authority)
        greeting = _asking_for_certificates(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        greeting.sni_callback = self._choose
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Arrival(self), host, port, ssl=greeting, backlog=512
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Say goodbye to every connection, then close."""
        if self._server is not None:
            self._server.close()
        for connection in [*self.open]:
            connection.go_away(Flavour.CURT, b"")
        if self.open:
            self._all_closed = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_closed.wait(), 1)
        for connection in [*self.open]:
            connection.abort()

    def _prepare(self, authority: Authority) -> None:
        for host, cloud in self._clouds.items():
            protocols = ["h2", "http/1.1"] if cloud.http1 else ["h2"]
            good = certificates.context(authority, host, protocols)
            if cloud is self.world.apns:
                _asking_for_certificates(good)
            self._contexts[host, Tls.GOOD] = good
            self._hosts[good] = host
        for cloud in self.world.clouds:
            host = cloud.hosts[0]
            old = certificates.context(authority, host, ["h2"], expired=True)
            self._contexts[cloud.name, Tls.EXPIRED] = old
        stranger = certificates.context(authority, "wrong.example", ["h2"])
        self._contexts["", Tls.WRONG_NAME] = stranger

    def _choose(
        self, sock: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> int | None:
        """The certificate of the name that was asked for; an alert for a stranger's."""
        cloud = self._clouds.get((name or "").lower())
        if cloud is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        tls = self.world.behaviour.clouds[cloud.name].tls
        if tls is Tls.REFUSED:
            return ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE
        key = {
            Tls.GOOD: (str(name).lower(), tls),
            Tls.EXPIRED: (cloud.name, tls),
            Tls.WRONG_NAME: ("", tls),
        }[tls]
        sock.context = self._contexts[key]
        if cloud is self.world.apns:
            self._trust_certificates()
        return None

    def _trust_certificates(self) -> None:
        """Those that were made known since the last handshake; others end theirs."""
        known = self.world.credentials.certificates
        for fingerprint in known.keys() - self._trusted:
            pem = known[fingerprint].certificate.public_bytes(serialization.Encoding.PEM).decode()
            for host in self.world.apns.hosts:
                self._contexts[host, Tls.GOOD].load_verify_locations(cadata=pem)
            self._trusted.add(fingerprint)

    def arrived(self, wire: ssl.SSLObject) -> asyncio.BaseProtocol | None:
        """Who serves a connection after its handshake; nobody where it must end."""
        host, protocol = self._hosts.get(wire.context), wire.selected_alpn_protocol()
        if host is None:
            return None
        cloud = self._clouds[host]
        if protocol != "h2" and not cloud.http1:
            return None
        self._connections += 1
        traffic = cloud.traffic
        traffic.connections += 1
        traffic.open_connections += 1
        minute = int(self.world.clock.now() // 60)
        if minute != traffic.minute:
            traffic.minute, traffic.minute_connections = minute, 0
        traffic.minute_connections += 1
        traffic.storms += traffic.minute_connections == STORM + 1
        shown = wire.getpeercert(binary_form=True)
        peer = Peer(self._connections, host, sha256(shown).hexdigest() if shown else "")
        if protocol != "h2":
            return Http1Connection(cloud, peer, self.before_writing)
        connection = Http2Connection(cloud, peer, self)
        self.open.add(connection)
        return connection

    # ----------------------------------------------------- surroundings of a connection

    def before_writing(self) -> None:
        self.world.ledger.flush()

    def postpone(self, seconds: float, connection: Http2Connection, stream: int) -> None:
        loop = asyncio.get_running_loop()
        slot = int((loop.time() + seconds) / TICK) + 1
        waiting = self._late.get(slot)
        if waiting is None:
            self._late[slot] = waiting = {}
            loop.call_at(slot * TICK, self._release, slot)
        waiting.setdefault(connection, []).append(stream)

    def _release(self, slot: int) -> None:
        for connection, streams in self._late.pop(slot).items():
            connection.release(streams)

    def closed(self, connection: Http2Connection) -> None:
        if connection in self.open:
            self.open.discard(connection)
            connection.cloud.traffic.open_connections -= 1
        if not self.open and self._all_closed is not None:
            self._all_closed.set()

    def command(self, cloud: str, do: str, flavour: Flavour, reason: str, streams: int) -> int:
        """Act on every open HTTP/2 connection of a cloud; how many there were."""
        concerned = [one for one in self.open if one.cloud.name == cloud]
        for connection in concerned:
            if do == "goaway":
                connection.go_away(flavour, reason.encode())
            elif do == "limit":
                connection.limit_streams(streams)
                connection.flush()
            else:
                connection.abort()
        return len(concerned)


def _asking_for_certificates(context: ssl.SSLContext) -> ssl.SSLContext:
    """Who shows one logs in to APNs by it. It is trusted by itself, whoever signed it."""
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


class Arrival(asyncio.Protocol):
    """A connection until its handshake has told where it wants to go."""

    def __init__(self, gateways: Gateways) -> None:
        self._gateways = gateways

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = transport.get_extra_info("ssl_object")
        protocol = self._gateways.arrived(wire)
        if protocol is None:
            transport.close()
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


async def run(
    home: Path, *, host: str, port: int, control_port: int, seed: int, latency: float | None
) -> None:
    """Serve until SIGTERM or SIGINT."""
    world = World(home, seed=seed, latency=latency)
    (home / "gateways.json").unlink(missing_ok=True)  # of a simulator that was killed
    gateways = Gateways(world)
    control = Control(world, gateways.command)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await world.phones.start()
        await world.operators.start()
        await world.receipts.start()
        tls = await gateways.start(host, port)
        controlled = await control.start(host, control_port)
        shown = f"[{host}]" if ":" in host else host
        facts = {
            "port": tls,
            "control": f"http://{shown}:{controlled}",
            "ca_file": str(gateways.ca_file.resolve()),
        }
        draft = home / f".gateways.json.{os.getpid()}"
        draft.write_text(json.dumps(facts))
        draft.replace(home / "gateways.json")
        print(  # noqa: T201
            f"Simulated clouds listen on {shown}:{tls}, control on {facts['control']}", flush=True
        )
        await stop.wait()
    finally:
        (home / "gateways.json").unlink(missing_ok=True)
        await gateways.stop()
        await control.stop()
        await world.phones.stop()
        await world.operators.stop()
        await world.receipts.stop()
        world.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, required=True, help="folder of state and CA")
    parser.add_argument("--host", type=_loopback, default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=_port, default=0, help="TLS; 0 takes a free one")
    parser.add_argument("--control-port", type=_port, default=0, help="HTTP; 0 takes a free one")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random")
    parser.add_argument(
        "--latency", type=_latency, default=None, metavar="MS",
        help="median of an answer; 0 answers at once (default: 50)",
    )  # fmt: skip


def serve(options: argparse.Namespace) -> None:
    """Run with parsed options. Raises HomeInUse, OSError, BadInput."""
    uvloop.run(
        run(
            options.home,
            host=options.host,
            port=options.port,
            control_port=options.control_port,
            seed=options.seed,
            latency=options.latency,
        )
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m simulator.gateways")
    add_arguments(parser)
    try:
        serve(parser.parse_args(arguments))
    except (HomeInUse, BadInput, OSError) as error:
        print(f"Cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _loopback(value: str) -> str:
    try:
        local = ip_address(value).is_loopback
    except ValueError:
        local = False
    if not local:
        raise argparse.ArgumentTypeError("must be a loopback address such as 127.0.0.1")
    return value


def _port(value: str) -> int:
    if not value.isdigit() or int(value) > 65535:
        raise argparse.ArgumentTypeError("must be a port from 0 to 65535")
    return int(value)


def _latency(value: str) -> float:
    try:
        milliseconds = float(value)
    except ValueError:
        milliseconds = -1
    if not 0 <= milliseconds <= 60_000:
        raise argparse.ArgumentTypeError("must be milliseconds from 0 to 60000")
    return milliseconds


if __name__ == "__main__":
    sys.exit(main())
