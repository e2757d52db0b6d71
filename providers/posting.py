"""One POST to an address that somebody typed: guarded, limited, and never more than one.

Redirects are answers like others. Source: contract/push.md 7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from providers import guarded
from providers.outside import IPNetwork

SECONDS = guarded.SECONDS  # for everything, from the look-up to the answer
LONGEST_ANSWER = 1000  # bytes that are read


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of it."""

    status: int = 0  # 0: there was no answer
    answer: str = ""  # its beginning
    problem: str = ""  # why there was none
    seconds: float = 0.0

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


async def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allowed: Sequence[IPNetwork] = (),
    proxy: str | None = None,
    seconds: float = SECONDS,
) -> Posted:
    """Post a body; `allowed`: networks of ours that may be called."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        async with asyncio.timeout(seconds):
            status, answer = await _post(url, body, headers, allowed, proxy)
        return Posted(status, answer, seconds=loop.time() - begun)
    except guarded.FAILURES as failure:
        problem = guarded.problem(failure, seconds)
    return Posted(problem=problem, seconds=loop.time() - begun)


async def _post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    allowed: Sequence[IPNetwork],
    proxy: str | None,
) -> tuple[int, str]:
    async with guarded.asked(
        "POST", url, headers, content=body, allowed=allowed, proxy=proxy
    ) as response:
        head = b""
        async for piece in response.aiter_raw():
            head += piece
            if len(head) >= LONGEST_ANSWER:
                break
        return response.status_code, head[:LONGEST_ANSWER].decode("utf-8", "replace")
