"""Waiting for something that another process or thread does."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(question: Callable[[], T], what: str = "", *, seconds: float = 30) -> T:
    """Ask until the answer is true, and return it; fails when it is not in time.

    `what` says what is waited for. It is no measure of speed: the limit is generous, as the
    machine may do many things at once.
    """
    until = time.monotonic() + seconds
    pause = 0.01
    while not (answer := question()):
        assert time.monotonic() < until, f"after {seconds} s still not: {what or 'true'}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    return answer
