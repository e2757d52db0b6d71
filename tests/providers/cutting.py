"""A wire between client and server that is cut after so many bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast


class Cut(asyncio.Protocol):
    """One end of a wire; what arrives here leaves at the other end."""

    def __init__(self, budget: list[int]) -> None:
        self.budget = budget  # bytes that both directions may still carry; [] is endless
        self.other: Cut | None = None
        self.transport: asyncio.Transport | None = None
        self.early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.budget:
            data = data[: self.budget[0]]
            self.budget[0] -= len(data)
        if self.other is None or self.other.transport is None:
            self.early += data
        else:
            self.other.transport.write(data)
        if self.budget == [0]:
            self.cut()

    def join(self, other: Cut) -> None:
        self.other, other.other = other, self
        if other.transport is not None:
            other.transport.write(self.early)

    def cut(self) -> None:
        """Reset both ends, whatever is still on its way."""
        for end in (self, self.other):
            if end is not None and end.transport is not None:
                end.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


@asynccontextmanager
async def cut_wire(port: int, budgets: Sequence[int]) -> AsyncIterator[int]:
    """The port of a wire to `port`. `budgets`: bytes that the n-th connection carries, both
    ways together, before it is reset; those after the last carry everything."""
    loop = asyncio.get_running_loop()
    left = list(budgets)
    dialling: set[asyncio.Task[None]] = set()
    ends: list[Cut] = []

    def arrived() -> Cut:
        near = Cut([left.pop(0)] if left else [])
        ends.append(near)
        task = loop.create_task(dial(near))
        dialling.add(task)
        task.add_done_callback(dialling.discard)
        return near

    async def dial(near: Cut) -> None:
        with contextlib.suppress(OSError):
            _, far = await loop.create_connection(lambda: Cut(near.budget), "127.0.0.1", port)
            near.join(far)
            if near.budget == [0]:
                near.cut()

    wire = await loop.create_server(arrived, "127.0.0.1", 0)
    try:
        yield int(wire.sockets[0].getsockname()[1])
    finally:
        wire.close()
        for task in tuple(dialling):
            task.cancel()
        for end in ends:
            end.cut()
