"""One event loop per process, in a thread of its own.

It outlives the tasks that use it, so that connections stay warm and PING and GOAWAY
are answered between two of them. Made on first use, so never before a fork.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


class _LoopThread:
    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="providers", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


class _Process:
    """What this process has; a child starts from nothing."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.thread: _LoopThread | None = None

    def forget(self) -> None:
        """In a child: its parent's thread is not here, and its lock may have been held."""
        self.lock = threading.Lock()
        self.thread = None


_process = _Process()
os.register_at_fork(after_in_child=_process.forget)


def submit(coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Run a coroutine on this process's loop; callable from any thread but the loop's own."""
    with _process.lock:
        if _process.thread is None:
            _process.thread = _LoopThread()
        return asyncio.run_coroutine_threadsafe(coroutine, _process.thread.loop)


def stop() -> None:
    """Cancel what still runs and end the thread; the next submit starts a new one.

    Close the providers first: connections that are merely dropped leave doubt.
    """
    with _process.lock:
        running, _process.thread = _process.thread, None
    if running is not None:
        running.stop()
