"""A server that takes every push and does nothing else, as fast as Python can.

`python benchmarks/sink.py FOLDER [--delay SECONDS]` makes a certificate there, listens on a
free port of loopback, prints the port and serves until its input is closed. HTTP/2 over TLS;
it answers like FCM, without looking at what it was sent, after the delay if there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import ssl
import struct
import sys
from pathlib import Path
from typing import cast

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "push.example"
NAMES = (
    HOST,
    "api.push.apple.com",
    "fcm.googleapis.com",
    "oauth2.googleapis.com",
)  # what its certificate is good for
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = struct.Struct(">HBBBL")
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
ACKNOWLEDGED = (SETTINGS, PING)
BODY = b'{"name":"projects/shop/messages/0:1700000000000000%0123456789abcdef"}'
BLOCK = b"\x88"  # :status 200


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    size = len(payload)
    return HEAD.pack(size >> 8, size & 255, kind, flags, stream) + payload


class Sink(asyncio.BufferedProtocol):
    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._buffer = bytearray(2**18)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._greeted = False
        self._unreturned = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        settings = struct.pack(">HLHL", 3, 100, 4, 2**20)  # streams, window of each
        self._transport.write(
            frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">L", 2**24))
        )

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        buffer, end, at = self._buffer, self._filled, 0
        if not self._greeted:
            if end < len(PREFACE):
                return
            at, self._greeted = len(PREFACE), True
        out: list[bytes] = []
        unpack, pack = HEAD.unpack_from, HEAD.pack
        while end - at >= 9:
            high, low, kind, flags, stream = unpack(buffer, at)
            start, at = at + 9, at + 9 + (high << 8 | low)
            if at > end:
                at = start - 9
                break
            if kind == DATA:
                self._unreturned += at - start
                if flags & 1:
                    out += (pack(0, 1, HEADERS, 4, stream), BLOCK)
                    out += (pack(0, len(BODY), DATA, 1, stream), BODY)
            elif kind in ACKNOWLEDGED and not flags & 1:
                echo = buffer[start:at] if kind == PING else b""
                out.append(frame(kind, 1, 0, bytes(echo)))
        self._filled = end - at
        buffer[: self._filled] = buffer[at:end]
        self._return_window(out)
        if not out:
            return
        if self._delay:
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay, self._transport.write, b"".join(out))
        else:
            self._transport.write(b"".join(out))

    def _return_window(self, out: list[bytes]) -> None:
        if self._unreturned > 2**22:
            out.append(frame(WINDOW_UPDATE, 0, 0, struct.pack(">L", self._unreturned)))
            self._unreturned = 0

    def eof_received(self) -> bool:
        return False


def make_certificate(folder: Path) -> ssl.SSLContext:
    """Write `ca.pem`, which a client must trust, and use it as the server's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in NAMES]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "ca.pem").write_bytes(public)
    (folder / "server.pem").write_bytes(public + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.set_alpn_protocols(["h2"])
    return context


async def serve(folder: Path, delay: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Sink(delay), "127.0.0.1", 0, ssl=make_certificate(folder)
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options.folder, options.delay))
