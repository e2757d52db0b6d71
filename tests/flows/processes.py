"""Real processes of the product for tests: simulated clouds and Celery workers."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from django.db import connection

from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]


def database_url() -> str:
    """The address of the test database, for a process of its own."""
    named = connection.settings_dict
    host = quote(str(named["HOST"]), safe="")
    return f"postgresql://{named['USER']}@/{named['NAME']}?host={host}"


class Process:
    """A process of ours, ended with the test whatever happens."""

    def __init__(self, arguments: list[str], log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, "PUSHADMIN_PYTHON": "system", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []

    def tell(self, lines: int = 60) -> None:
        """Print the end of its log: whoever runs the tests sees it beside a failure."""
        written = self.log.read_text(errors="replace").splitlines()
        print(f"\n--- the end of {self.log.name}:", *written[-lines:], sep="\n")

    def stop(self) -> None:
        """End it and all it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait(timeout=10)


class Gateways(Process):
    """The simulated clouds in a process of their own."""

    def __init__(self, home: Path, *, seed: int = 1, latency: int = 0) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.facts_file = home / "gateways.json"
        options = ["--port", "0", "--control-port", "0", "--home", str(home)]
        super().__init__(
            ["manage.py", "run_gateways", *options, "--seed", str(seed), "--latency", str(latency)],
            home / "gateways.log",
            {},
        )
        eventually(self._listens, seconds=30, what="the simulated clouds listen")
        facts = json.loads(self.facts_file.read_text())
        self.port: int = int(facts["port"])
        self.control: str = str(facts["control"])
        self.ca_file: str = str(facts["ca_file"])

    def _listens(self) -> bool:
        assert self.popen.poll() is None, self.log.read_text()
        return self.facts_file.exists()

    def environment(self) -> dict[str, str]:
        return {"GATEWAYS": f"127.0.0.1:{self.port}", "GATEWAYS_CA_FILE": self.ca_file}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(method, f"{self.control}{path}", json=body, timeout=30)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def ledger(self) -> dict[str, dict[str, int]]:
        counted: dict[str, dict[str, int]] = self.ask("GET", "/ledger")
        return counted

    def messages(self) -> list[dict[str, Any]]:
        """Every row of the ledger, page by page."""
        return self._pages("messages")

    def refusals(self) -> list[dict[str, Any]]:
        """Every request that was not accepted, those that were repeated too."""
        return self._pages("refusals")

    def _pages(self, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while True:
            found = self.ask("GET", f"/ledger/{name}?after={len(rows)}&limit=10000")["messages"]
            if not found:
                return rows
            rows += found


class Worker(Process):
    """A Celery worker with child processes, on the test's database and broker."""

    def __init__(
        self, log: Path, *, queues: str, children: int, environment: Mapping[str, str]
    ) -> None:
        ready = log.with_suffix(".ready")
        ready.unlink(missing_ok=True)
        super().__init__(
            [
                "-m", "celery", "-A", "pushadmin", "worker", "-Q", queues, "-c", str(children),
                "-n", f"{log.stem}-{random.randrange(10**9)}@test", "--without-mingle",
                "--without-gossip", "--without-heartbeat", "-l", "INFO",
            ],
            log,
            {"DATABASE_URL": database_url(), "READY_FILE": str(ready), **environment},
        )  # fmt: skip
        eventually(ready.exists, seconds=30, what="the worker takes tasks")


class WebServer(Process):
    """The web server as docs/running.md starts it, on the database of the test."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(
            [
                "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1",
                "--port", str(self.port), "--workers", "1", "--blocking-threads", "4", "--no-ws",
                "pushadmin.wsgi:application",
            ],
            log,
            {"DATABASE_URL": database_url(), **environment},
        )  # fmt: skip
        try:
            eventually(self._answers, "the web server answers", seconds=60)
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        assert self.popen.poll() is None, self.log.read_text()
        try:
            answer = httpx.get(f"{self.url}/healthz", trust_env=False, timeout=30)
        except httpx.TransportError:
            return False
        return answer.status_code == 200


def collected(folder: Path) -> dict[str, str]:
    """Static files compressed and kept for good, as a release has them; how a server finds them."""
    static = {"STATIC_ROOT": str(folder / "static"), "HASHED_STATIC_FILES": "1"}
    collecting = ["manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    process = Process(collecting, folder / "static.log", static)
    try:
        assert process.popen.wait(timeout=120) == 0, process.log.read_text()
    finally:
        process.stop()
    return static
