"""`manage.py bench` and `manage.py chaos`: what takes long, on servers of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from embedded import starting
from embedded.demo import settings_of
from embedded.environment import ROOT, say
from embedded.home import Home
from embedded.servers import MARK, Postgres, Valkey

FOLDER = ROOT / "benchmarks"
NOT_BENCHMARKS = {"__init__", "chaos", "contenders", "docs", "sink"}
WRITER = "docs"  # puts what was measured into docs/benchmarks.md


class BenchFailure(Exception):
    """There is nothing to run; the text says what there is."""


def bench(arguments: Sequence[str]) -> int:
    """`bench` runs all benchmarks, `bench NAME …` one, with its own options.

    `bench docs` writes docs/benchmarks.md from the last runs.
    """
    known = benchmarks()
    name, options = next(iter(arguments), ""), arguments[1:]
    if name == WRITER:
        return run_module([f"benchmarks.{WRITER}"], dict(os.environ))
    if name and name not in known:
        raise BenchFailure(f"there is no benchmark {name!r}; there are: {', '.join(known)}")
    return on_servers([[chosen, *options] for chosen in ([name] if name else known)])


def chaos(arguments: Sequence[str]) -> int:
    """The fault tests at full size."""
    if not (FOLDER / "chaos.py").exists():
        raise BenchFailure("benchmarks/chaos.py is missing: nothing causes faults at full size")
    return on_servers([["chaos", *arguments]])


def benchmarks() -> list[str]:
    """Modules of benchmarks/ that can be run."""
    found = (path for path in FOLDER.glob("*.py") if path.stem not in NOT_BENCHMARKS)
    return sorted(path.stem for path in found if "def main(" in path.read_text())


def on_servers(commands: Sequence[Sequence[str]]) -> int:
    """Run modules one after another, with migrated servers; 1 when any failed."""
    home = Home(ROOT / "var/bench")
    home.lock()
    servers = (Postgres(home), Valkey(home))
    running = []
    environment = {**os.environ, **settings_of(home, 8000), MARK: str(home.path)}
    environment |= {"DJANGO_SETTINGS_MODULE": "pushadmin.settings", "PYTHONPATH": str(ROOT)}
    print(machine(), flush=True)
    try:
        for server in servers:
            server.prepare()
            service = server.service()
            log = home.log / f"{service.name}.log"
            running.append((starting.start(service, log), service))
        migrate = ["django", "migrate", "--noinput", "--verbosity", "0"]
        codes = [run_module(migrate, environment)]
        for command in commands:
            say(f"benchmark: {command[0]}")
            codes.append(run_module([f"benchmarks.{command[0]}", *command[1:]], environment))
    finally:
        for process, service in reversed(running):
            starting.stop(process, service, seconds=10)
        home.unlock()
    return 1 if any(codes) else 0


def run_module(words: Sequence[str], environment: dict[str, str]) -> int:
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


def machine() -> str:
    """What the figures were taken on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line for line in lines if line.startswith("model name")).partition(": ")[2]
    except (OSError, StopIteration):
        model = "unknown processor"
    return f"on {os.cpu_count()} × {model}, Python {sys.version.split()[0]}"
