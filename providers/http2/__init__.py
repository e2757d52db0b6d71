"""Many small requests over few HTTP/2 connections, fast, and honest about each of them.

A client that only sends: `Pool.send_many(requests)` returns one result per request,
in order: `Answer`, `NotSent` (provably never processed) or `NoAnswer` (it may have
been). Which is which: contract/providers.md 1.2; how it behaves on the wire: 1.3.

What makes it fast: everything that may go in one turn of the loop leaves in one write;
constant headers live in the peer's HPACK table; answers need no decoder; a window of
requests costs one future, a request none.
"""

from providers.http2.messages import Answer, Common, Limits, NoAnswer, NotSent, Request, Result
from providers.http2.pool import Pool

__all__ = ["Answer", "Common", "Limits", "NoAnswer", "NotSent", "Pool", "Request", "Result"]
