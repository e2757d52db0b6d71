"""Carries what clouds have to tell to addresses on this machine, until they answer 2xx."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from simulator.exchange import Headers
from simulator.http1 import MAX_HEAD, Malformed, read_body, read_head
from simulator.inputs import BadInput

MAX_TRIES = 8
FIRST_PAUSE = 0.25  # seconds, doubled with each try
TIMEOUT = 15.0  # seconds of one try
MAX_ANSWER = 1_000_000  # bytes
AT_ONCE = 8  # requests on the wire


@dataclass(slots=True)
class Post:
    """One request; `what` names it in the figures."""

    what: str
    url: str
    headers: Headers
    body: bytes
    signed: Callable[[], Headers] | None = None  # more headers, made for each try
    taken: Callable[[bytes], bool] | None = None  # what a 2xx must say beside


class Webhooks:
    """Each post has a connection of its own, as with gateways that serve the whole world."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._tasks: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(AT_ONCE)

    @property
    def waiting(self) -> int:
        return len(self._tasks)

    def add(self, post: Post) -> None:
        task = asyncio.create_task(self._deliver(post))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def clear(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        self.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, post: Post) -> None:
        pause = FIRST_PAUSE
        for _ in range(MAX_TRIES):
            async with self._free:
                try:
                    async with asyncio.timeout(TIMEOUT):
                        status, answer = await _post(post)
                except (OSError, Malformed, TimeoutError):
                    status, answer = 0, b""
            if 200 <= status < 300 and (post.taken is None or post.taken(answer)):
                self._counts[f"{post.what}_taken"] += 1
                return
            self._counts[f"{post.what}_repeated"] += 1
            await asyncio.sleep(pause)
            pause *= 2
        self._counts[f"{post.what}_given_up"] += 1


async def _post(post: Post) -> tuple[int, bytes]:
    """Status and body of the answer."""
    parts = urlsplit(post.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, limit=MAX_HEAD)
    try:
        headers = (*post.headers, *(post.signed() if post.signed else ()))
        told = "".join(f"{name}: {value}\r\n" for name, value in headers)
        writer.write(
            f"POST {target} HTTP/1.1\r\nhost: {parts.netloc}\r\n{told}"
            f"content-length: {len(post.body)}\r\nconnection: close\r\n\r\n".encode()
            + post.body
        )
        head = await read_head(reader)
        if head is None:
            raise Malformed(0, "closed without an answer")
        answer = b""
        if "content-length" in head.headers or "transfer-encoding" in head.headers:
            answer = await read_body(reader, head, limit=MAX_ANSWER)
        return int(head.first[1]) if head.first[1].isdigit() else 0, answer
    finally:
        writer.close()


def check_url(url: str) -> None:
    """Only this machine: the simulator must not be able to reach anybody else.

    Raises BadInput.
    """
    parts = urlsplit(url)
    try:
        local = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
        whole = parts.port is None or parts.port > 0
    except ValueError:
        local = whole = False
    if parts.scheme != "http" or not local or not whole or not url.isascii():
        raise BadInput("url", "must begin with http:// and name this machine, 127.0.0.1")
