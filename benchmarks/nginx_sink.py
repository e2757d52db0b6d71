"""nginx answering like FCM and APNs: a server nobody here wrote, which takes every push.

It reads the body before it answers, as a cloud does: a bare `return` would answer before the
body came and reset the stream. The mirror makes it read.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.sink import BODY, make_certificate
from embedded import tools

CONFIG = """
daemon off;
worker_processes 1;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  log_not_found off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  http2_max_concurrent_streams 100;
  server {{
    listen 127.0.0.1:{port} ssl http2 backlog=4096;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.pem;
    root {folder}/empty;
    location / {{ mirror /void; error_page 403 404 405 = @fcm; }}
    location /3/device/ {{ mirror /void; error_page 403 404 405 = @apns; }}
    location = /void {{ internal; return 204; }}
    location @fcm {{ default_type application/json; return 200 '{answer}'; }}
    location @apns {{ add_header apns-id $http_apns_id; return 200; }}
    location = /token {{
      default_type application/json;
      return 200 '{{"access_token":"{token}","expires_in":3599,"token_type":"Bearer"}}';
    }}
  }}
}}
"""


@contextmanager
def serving(folder: Path, core: int | None = None) -> Iterator[int]:
    """The port of a running sink, on one core if asked; `ca.pem` in the folder is to be trusted."""
    make_certificate(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    text = CONFIG.format(
        folder=folder,
        port=port,
        user="root" if os.geteuid() == 0 else "nobody",
        answer=BODY.decode(),
        token="t" * 200,
    )
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(text)
    tool = tools.nginx()
    process = subprocess.Popen(
        [str(tool.program), "-p", str(folder), "-c", str(folder / "nginx.conf"),
         "-e", str(folder / "error.log")],
        env=tool.environment,
        preexec_fn=lambda: pin(core),  # noqa: PLW1509
    )  # fmt: skip
    try:
        _wait_for(port, folder / "ca.pem")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def pin(core: int | None) -> None:
    """Keep this process on one core, where there is more than one."""
    if core is not None and sys.platform == "linux" and (os.cpu_count() or 1) > core:
        os.sched_setaffinity(0, {core})


def _wait_for(port: int, ca: Path) -> None:
    context = ssl.create_default_context(cafile=str(ca))
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as plain:
                context.wrap_socket(plain, server_hostname="fcm.googleapis.com").close()
                return
        except ConnectionError:
            time.sleep(0.02)
    raise RuntimeError("nginx does not listen")
