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
        self.pid = os.getpid()
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


_lock = threading.Lock()
_current: _LoopThread | None = None


def submit(coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Run a coroutine on this process's loop; callable from any thread but the loop's own."""
    global _current
    with _lock:
        if _current is None or _current.pid != os.getpid():
            _current = _LoopThread()
        return asyncio.run_coroutine_threadsafe(coroutine, _current.loop)


def stop() -> None:
    """Cancel what still runs and end the thread; the next submit starts a new one.

    Close the providers first: connections that are merely dropped leave doubt.
    """
    global _current
    with _lock:
        running, _current = _current, None
    if running is not None and running.pid == os.getpid():
        running.stop()


def _forget_after_fork() -> None:
    """In a child: its parent's thread is not here, and its lock may have been held."""
    global _lock, _current
    _lock = threading.Lock()
    _current = None


os.register_at_fork(after_in_child=_forget_after_fork)
