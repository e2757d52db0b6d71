"""Requests handed over together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from providers.http2.messages import NotSent, Request, Result


class Window:
    """Which of its requests still wait, and their results: one future for all of them."""

    __slots__ = ("finished", "left", "repeats", "requests", "results", "start_by", "waiting")

    def __init__(
        self, requests: Sequence[Request], start_by: float, finished: asyncio.Future[None]
    ) -> None:
        self.requests = list(requests)
        self.results: list[Result | None] = [None] * len(self.requests)
        self.waiting = deque(range(len(self.requests)))
        self.left = len(self.requests)
        self.start_by = start_by  # loop time
        self.finished = finished
        self.repeats: dict[int, int] = {}

    def settle(self, index: int, result: Result) -> None:
        self.results[index] = result
        self.left -= 1
        if self.left == 0 and not self.finished.done():
            self.finished.set_result(None)

    def give_up(self, result: NotSent) -> None:
        """Settle what no connection has taken."""
        while self.waiting:
            self.settle(self.waiting.popleft(), result)
