"""HTTP/2 servers that nobody here wrote: nginx and nghttpd, each in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded import tools

COMMON = """
daemon off;
worker_processes 1;
user {user};
pid {folder}/{name}.pid;
error_log {folder}/{name}.error.log;
events {{ worker_connections 512; }}
http {{
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
"""
# The body is read before the answer, as a cloud does: nginx does so for what it passes on.
FRONT = """
  log_format ledger '$request_uri $status $connection';
  client_max_body_size 10m;
  server {{
    listen 127.0.0.1:{port} ssl http2;
    ssl_certificate {pem};
    ssl_certificate_key {pem};
    {directives}
    access_log {folder}/ledger.log ledger;
    location / {{ proxy_pass http://unix:{folder}/inner.sock; proxy_pass_request_body off;
                  proxy_set_header Content-Length ""; }}
  }}
}}
"""
INNER = """
  server {{
    listen unix:{folder}/inner.sock;
    access_log off;
    location / {{ return 200 "$request_uri"; }}
  }}
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_nginx(folder: Path, name: str, body: str, **given: object) -> subprocess.Popen[bytes]:
    config = folder / f"{name}.conf"
    user = "root" if os.geteuid() == 0 else "nobody"
    config.write_text((COMMON + body).format(folder=folder, name=name, user=user, **given))
    tool = tools.nginx()
    return subprocess.Popen(
        [str(tool.program), "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")],
        env=tool.environment,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


class Nginx:
    """A running nginx and the ledger of what it answered: its access log."""

    def __init__(self, folder: Path, pem: Path, directives: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._given = {"port": self.port, "pem": pem, "directives": directives}
        self._inner = start_nginx(folder, "inner", INNER)
        self._process = self._inner
        self.start()

    def start(self) -> None:
        self._process = start_nginx(self._folder, "front", FRONT, **self._given)
        wait_for_port(self.port, self._process)

    def reload(self) -> None:
        """Every connection gets a GOAWAY; what it has is finished."""
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        _kill(self._process)

    def ledger(self) -> Counter[str]:
        """How often each path was answered with 200."""
        lines = [line.split() for line in self._log().splitlines()]
        return Counter(path for path, status, *_ in lines if status == "200")

    def connections(self) -> int:
        return len({line.split()[2] for line in self._log().splitlines()})

    def _log(self) -> str:
        file = self._folder / "ledger.log"
        return file.read_text() if file.exists() else ""

    def stop(self) -> None:
        _kill(self._process)
        _kill(self._inner)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """A server and its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


@contextmanager
def nginx(folder: Path, pem: Path, directives: str = "") -> Iterator[Nginx]:
    server = Nginx(folder, pem, directives)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def nghttpd(folder: Path, pem: Path, *options: str) -> Iterator[int]:
    """The port of an nghttpd that answers with the body it got."""
    port, tool = free_port(), tools.nghttpd()
    process = subprocess.Popen(
        [
            str(tool.program), "--address=127.0.0.1", "--echo-upload", f"--htdocs={folder}",
            *options, str(port), str(pem), str(pem),
        ],
        env=tool.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.kill()
        process.wait(10)


def wait_for_port(port: int, process: subprocess.Popen[bytes], *, seconds: float = 30) -> None:
    """Until a TLS handshake succeeds there."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as plain:
                context.wrap_socket(plain).close()
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the server does not listen")
