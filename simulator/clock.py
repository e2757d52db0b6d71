"""The simulator's own time: it can be moved, so that tokens age without waiting."""

from __future__ import annotations

import time


class Clock:
    """Unix time plus an offset in seconds."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        return time.time() + self.offset
