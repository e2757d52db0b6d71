"""Runs processes: waits until they are ready, restarts what ends, leaves nothing behind."""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import IO

from embedded.environment import say
from embedded.home import Home
from embedded.processes import Service, signal_group, spawn

BEAT = 0.1  # seconds between two looks at the children
PROBE = 0.2  # seconds between two questions whether a child is ready
PATIENCE = 2.0  # seconds that a process may take to end; usually it takes less
FIRST_DELAY, LONGEST_DELAY = 0.5, 15.0  # seconds before a restart; doubled each time
STEADY = 30.0  # seconds after which an end counts as the first again
MOST_LOG = 20 * 2**20  # bytes; a longer log is put aside at the next start
LOUD = re.compile(rb"\[(warning|error|critical) *\]|\b(WARNING|ERROR|FATAL|PANIC)\b")


class Failed(Exception):
    """Something did not start; the text has the end of its log."""


class Stopped(Exception):
    """Somebody asked us to end."""


class Child:
    """One running service: its process, its output, how often it ended."""

    def __init__(self, service: Service, home: Home) -> None:
        self.service = service
        self.log = home.log / f"{service.name}.log"
        self.pid_file = home.run / f"{service.name}.pid"
        self.process: subprocess.Popen[bytes] | None = None
        self.ready = False
        self.started = 0.0
        self.delay = FIRST_DELAY
        self.next_start = 0.0
        self.next_question = 0.0
        self.rest = b""  # an unfinished line of output

    @property
    def name(self) -> str:
        return self.service.name

    def start(self) -> IO[bytes]:
        """Start the process; returns the reading end of its output."""
        if self.log.exists() and self.log.stat().st_size > MOST_LOG:
            self.log.rename(self.log.with_suffix(".log.1"))
        self.service.before_start()
        self.process = spawn(self.service, subprocess.PIPE)
        self.pid_file.write_text(f"{self.process.pid}\n")
        self.started = time.monotonic()
        self.ready = False
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        return self.process.stdout

    def answers(self) -> bool:
        """Ask whether it is ready, but not in haste."""
        now = time.monotonic()
        if now < self.next_question:
            return False
        self.next_question = now + PROBE
        return self.service.is_ready()

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def take(self, output: bytes, *, loudly: bool) -> None:
        """Append output to the log; show what is alarming once it runs (`loudly`: all)."""
        with self.log.open("ab") as log:
            log.write(output)
        *lines, self.rest = (self.rest + output).split(b"\n")
        for line in lines:
            if loudly or (self.ready and LOUD.search(line)):
                text = line.decode(errors="replace")
                print(f"{self.name:>9} │ {text}", file=sys.stderr, flush=True)

    def tail(self, lines: int = 25) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""


class Supervisor:
    """Children of one home, in the order they were started. One thread, the main one."""

    def __init__(self, home: Home, *, loudly: bool = False) -> None:
        self.home = home
        self.loudly = loudly
        self.children: list[Child] = []
        self.selector = selectors.DefaultSelector()
        self.asked_to_stop = 0

    def handle_signals(self) -> None:
        """Set explicitly: a shell in the background starts us with SIGINT ignored."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, number: int, frame: object) -> None:
        self.asked_to_stop += 1

    # --- starting -------------------------------------------------------------------------

    def start(self, *services: Service) -> None:
        """Start services at once and return when all are ready; raises Failed, Stopped."""
        starting = [Child(service, self.home) for service in services]
        for child in starting:
            self.children.append(child)
            self._start(child)
        while waiting := [child for child in starting if not child.ready]:
            self._look()
            for child in waiting:
                if child.ended():
                    raise Failed(f"{child.name} ended:\n{child.tail()}")
                if time.monotonic() - child.started > child.service.patience:
                    raise Failed(f"{child.name} is not ready:\n{child.tail()}")
                child.ready = child.answers()

    def run_step(self, *services: Service) -> None:
        """Run commands at once until all have ended well; raises Failed, Stopped."""
        steps = [Child(service, self.home) for service in services]
        for step in steps:
            self.children.append(step)
            self._start(step)
        while not all(step.ended() for step in steps):
            self._look()
        for step in steps:
            self._bury(step)
            self.children.remove(step)
            if step.process is None or step.process.returncode:
                raise Failed(f"{step.name} failed:\n{step.tail()}")

    def _start(self, child: Child) -> None:
        self.selector.register(child.start(), selectors.EVENT_READ, child)

    # --- running --------------------------------------------------------------------------

    def run(self) -> None:
        """Keep everything running until somebody asks us to stop."""
        with contextlib.suppress(Stopped):
            while True:
                self._look()
                for child in self.children:
                    self._keep(child)

    def _keep(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.next_start:
                self._start(child)
        elif child.ended():
            if now - child.started > STEADY:
                child.delay = FIRST_DELAY
            say(f"{child.name} ended ({how(child.process)}); again in {child.delay:g} s")
            self._bury(child)
            child.process = None
            child.next_start = now + child.delay
            child.delay = min(child.delay * 2, LONGEST_DELAY)
        elif not child.ready:
            child.ready = child.answers()
            if child.ready:
                say(f"{child.name} is back")
            elif now - child.started > child.service.patience:
                say(f"{child.name} does not answer; ending it")
                signal_group(child.process.pid, signal.SIGKILL)

    def _look(self) -> None:
        """Pass output on, for a moment; raises Stopped when we were asked to stop."""
        self._pump(BEAT)
        if self.asked_to_stop:
            raise Stopped

    def _pump(self, seconds: float) -> None:
        if not self.selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in self.selector.select(seconds):
            self._read(key.data)

    def _read(self, child: Child) -> None:
        assert child.process is not None
        assert child.process.stdout is not None
        output = b""
        with contextlib.suppress(BlockingIOError):
            output = os.read(child.process.stdout.fileno(), 65536)
            if not output:  # all writers have closed it
                self.selector.unregister(child.process.stdout)
        child.take(output, loudly=self.loudly)

    def _bury(self, child: Child) -> None:
        """End what a dead process started itself, and take the last words of all."""
        assert child.process is not None
        signal_group(child.process.pid, signal.SIGKILL)
        output = child.process.stdout
        assert output is not None
        with contextlib.suppress(KeyError):
            self.selector.unregister(output)
        with contextlib.suppress(OSError):
            while part := os.read(output.fileno(), 65536):
                child.take(part, loudly=self.loudly)
        output.close()
        child.pid_file.unlink(missing_ok=True)

    # --- stopping -------------------------------------------------------------------------

    def stop(self, *, last: Callable[[Child], bool]) -> None:
        """End all: first those that use the servers, then the servers (`last`)."""
        servers = [child for child in self.children if last(child)]
        others = [child for child in self.children if not last(child)]
        for child in self.children:
            child.ready = False  # what they say now alarms nobody
        for group in (others, servers):
            self._stop(group[::-1], PATIENCE)
        self.children.clear()

    def _stop(self, children: list[Child], seconds: float) -> None:
        alive = [child for child in children if child.process is not None]
        for child in alive:
            if child.process is not None and not child.ended():
                child.process.send_signal(child.service.stop_signal)
        deadline = time.monotonic() + seconds
        patience = self.asked_to_stop + 1  # whoever asks again gets it at once
        while any(not child.ended() for child in alive):
            self._pump(0.02)
            if time.monotonic() > deadline or self.asked_to_stop > patience:
                for child in alive:
                    if child.process is not None:
                        signal_group(child.process.pid, signal.SIGKILL)
                        child.process.wait()
        for child in alive:
            self._bury(child)


def how(process: subprocess.Popen[bytes]) -> str:
    """In words, how a process ended."""
    code = process.returncode
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
