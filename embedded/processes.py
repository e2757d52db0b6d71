"""One process of ours: how it is started, when it is ready, how it is stopped."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

PR_SET_PDEATHSIG = 1  # linux/prctl.h
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, kw_only=True)
class Service:
    """What to run, and how to tell that it answers."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals | None = None  # when we are killed; None: the stop signal
    is_ready: Callable[[], bool] = lambda: True
    before_start: Callable[[], object] = lambda: None
    patience: float = 60  # seconds until it must be ready
    user: int | None = None  # numeric user and group to become; root only


def die_with_parent(number: int, parent: int) -> Callable[[], None]:
    """For `preexec_fn`: the kernel sends the signal when the thread that forked ends.

    So a supervisor killed with SIGKILL leaves nothing behind. Linux only; elsewhere the
    next start finds and ends what was left (`end_leftovers`).
    """

    def arrange() -> None:
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            signal.signal(ignored, signal.SIG_DFL)  # a background shell ignores SIGINT
        if LIBC is not None:
            LIBC.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
            if os.getppid() != parent:  # the parent ended before prctl took effect
                os._exit(1)

    return arrange


def spawn(service: Service, output: int | IO[Any]) -> subprocess.Popen[bytes]:
    """Start a service in a session of its own, or Ctrl-C would reach all at once.

    Call from the main thread only: the death signal follows the thread that forks.
    """
    become: dict[str, Any] = {}
    if service.user is not None:
        become = {"user": service.user, "group": service.user, "extra_groups": []}
    return subprocess.Popen(
        list(service.command),
        env=dict(service.environment) or None,
        cwd=service.directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=die_with_parent(service.death_signal or service.stop_signal, os.getpid()),
        **become,
    )


def signal_group(pid: int, number: int) -> None:
    """Signal a process and all that it started, where any of them is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def end_leftovers(run: Path, mark: str) -> list[int]:
    """End what an earlier, killed run still left alive; returns the process ids.

    A process id may belong to somebody else by now, so only a process whose environment
    carries `mark` counts.
    """
    ended = []
    for file in run.glob("*.pid"):
        pid = read_pid(file)
        if pid is not None and has_environment(pid, mark):
            signal_group(pid, signal.SIGKILL)
            ended.append(pid)
        file.unlink(missing_ok=True)
    return ended


def read_pid(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def has_environment(pid: int, mark: str) -> bool:
    try:
        return mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
