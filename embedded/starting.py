"""Starting one server and waiting until it answers."""

import subprocess
import time
from pathlib import Path

from embedded.processes import Service, signal_group, spawn

POLL = 0.05  # seconds between two questions


class NotReady(Exception):
    """A process ended or stayed silent; the text has the end of its log."""


def start(service: Service, log: Path) -> subprocess.Popen[bytes]:
    """Start a service and return when it is ready; raises NotReady."""
    service.before_start()
    with log.open("ab") as output:
        process = spawn(service, output)
    deadline = time.monotonic() + service.patience
    while not service.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            stop(process, service, seconds=1)
            raise NotReady(f"{service.name} did not start; the end of {log}:\n{tail(log)}")
        time.sleep(POLL)
    return process


def stop(process: subprocess.Popen[bytes], service: Service, seconds: float) -> None:
    """Ask a process to end, then insist; nothing it started is left."""
    if process.poll() is None:
        process.send_signal(service.stop_signal)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        signal_group(process.pid, 9)
        process.wait()
    signal_group(process.pid, 9)


def tail(log: Path, lines: int = 20) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
