"""What the simulated world does later, and how long it waits: phones, operators, receipts."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Generic, TypeVar

STEPS = 1024
TICK = 0.05  # seconds; what is due within one is done together

T = TypeVar("T")


class Schedule(Generic[T]):
    """Hands things over when their time has come, those of one tick together."""

    def __init__(self, hand_over: Callable[[list[T]], None]) -> None:
        self._hand_over = hand_over
        self._due: list[tuple[float, int, T]] = []  # loop time, order, what
        self._order = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._due)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def clear(self) -> None:
        self._due.clear()

    def after(self, seconds: float, what: T) -> None:
        self._order += 1
        due = asyncio.get_running_loop().time() + seconds
        heapq.heappush(self._due, (due, self._order, what))
        self._wake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._due:
                self._wake.clear()
                await self._wake.wait()
            now = loop.time()
            due = []
            while self._due and self._due[0][0] <= now:
                due.append(heapq.heappop(self._due)[2])
            self._hand_over(due)
            await asyncio.sleep(TICK)


class Delays:
    """Waiting times around a median, log-normally distributed."""

    def __init__(self, spread: float) -> None:
        """`spread`: standard deviation of the logarithm."""
        middles = ((step + 0.5) / STEPS for step in range(STEPS))
        self._factors = [math.exp(spread * NormalDist().inv_cdf(middle)) for middle in middles]

    def of(self, median: float, bits: int) -> float:
        """Seconds, as random bits decide."""
        return median * self._factors[bits % STEPS]


def unit(bits: int, shift: int) -> float:
    """16 of the bits as a number from 0 to 1."""
    return (bits >> shift & 0xFFFF) / 0x10000
