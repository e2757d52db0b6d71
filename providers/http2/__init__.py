"""Many small requests over few HTTP/2 connections, fast, and honest about each of them.

A client that only sends. `Pool.send_many(requests)` returns one result per request, in
order, and never raises for one of them:

| result | what it claims | from |
|---|---|---|
| `Answer` | a complete answer of this request, whatever its status | RFC 9113 8.1 |
| `NotSent` | provably never processed, a repeat cannot make a second copy | below |
| `NoAnswer` | it left us whole, no answer came: it may have been processed | everything else |

`NotSent` is given for these reasons alone (contract/providers.md 1.2):

- no stream was free for it, or no connection could be made, in time: no byte of it left;
- its END_STREAM was never handed to the socket, so the server never had a whole request
  (RFC 9113 8.1);
- the server reset the stream with REFUSED_STREAM before any status (RFC 9113 8.7);
- the server's GOAWAY names a lower last stream (RFC 9113 6.8).

For the last three reasons a request is repeated inside `send_many`, a few times and only
while its time to start has not passed; for no other. Every call ends: after the time to
start and the limit for an answer at the latest (`Limits`).

On the wire it keeps to RFC 9113, RFC 7541 and rules H2-1 to H2-14 of contract/providers.md
1.3: TLS 1.2 or later with a checked certificate and ALPN `h2`; never more streams than the
server allows at that moment; both flow-control windows honoured and returned; GOAWAY read
to the end, the answers that follow it too; one connect attempt at a time for each host,
with growing pauses. A peer that breaks the protocol loses its connection, and what was on
it is told as above; whatever bytes it sends, the memory held for it is bounded.

What makes it fast: everything that may go in one turn of the loop leaves in one write;
constant headers live in the peer's HPACK table; answers need no decoder; a window of
requests costs one future, a request none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from providers.base import Network
from providers.http2.messages import Answer, Common, Limits, NoAnswer, NotSent, Request, Result
from providers.http2.pool import START_WITHIN, Pool
from providers.http2.stock import StockPool

__all__ = [
    "Answer",
    "Common",
    "Limits",
    "NoAnswer",
    "NotSent",
    "Pool",
    "Request",
    "Result",
    "Sender",
    "StockPool",
    "connect",
]


class Sender(Protocol):
    """Sends requests to one host, and tells of each what became of it."""

    async def send_many(
        self, requests: Sequence[Request], *, start_within: float = START_WITHIN
    ) -> list[Result]:
        """One result per request, in order."""
        ...

    def renew(self) -> None:
        """Use fresh connections from now on."""
        ...

    async def close(self) -> None: ...


def connect(
    network: Network, host: str, port: int = 443, *, limits: Limits | None = None
) -> Sender:
    """Whatever sends to a host in this network. No connection is made before it is needed."""
    if network.proxy:
        return StockPool(network, host, port, limits=limits)
    return Pool(network, host, port, limits=limits)
