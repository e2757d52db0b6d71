"""What a caller hands to the client and gets back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from providers.http2 import headers

_UNSAFE = re.compile(rb"[\x00-\x1f\x7f]")  # would end a header, or smuggle one in


class Common:
    """The headers that every request of a campaign shares: written once per connection.

    A path given here is shared too; else each request has its own. Names are lower case.
    """

    __slots__ = ("pseudo", "regular")

    def __init__(
        self, authority: str, fields: tuple[tuple[str, str], ...] = (), *, path: str = ""
    ) -> None:
        pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", authority)]
        if path:
            pseudo.append((":path", path))
        self.pseudo = tuple((name.encode(), value.encode()) for name, value in pseudo)
        self.regular = tuple((name.encode(), value.encode()) for name, value in fields)
        for name, value in self.pseudo + self.regular:
            if _UNSAFE.search(value):
                raise ValueError(f"The header {name.decode()} has a control character.")


class Request(NamedTuple):
    """One POST. What differs from its neighbours, beside the headers it shares."""

    common: Common
    body: bytes
    path: bytes = b""  # "" when the common headers have one
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Answer(NamedTuple):
    """A complete answer, whatever its status."""

    status: int
    block: bytes  # header block as it came
    body: bytes  # at most MAX_ANSWER bytes of it

    def header(self, name: str) -> str:
        """The value of a header, by its lower-case name; "" when it is missing."""
        return headers.decode(self.block).get(name, "")


@dataclass(frozen=True, slots=True)
class NotSent:
    """Provably never processed: repeating it cannot make a second copy."""

    reason: str
    retry_after: float | None = None  # seconds until the next connect attempt, if that is why


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """It left us whole, and no answer came: it may have been processed."""

    reason: str


Result: TypeAlias = Answer | NotSent | NoAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes and times (seconds) of one pool. Source: contract/providers.md H2-2 to H2-13."""

    connections: int = 4  # opened one by one, while all streams of the others are busy
    streams: int = 100  # per connection, however many the server allows
    first_streams: int = 1  # before its SETTINGS; 0 while it may still refuse our certificate
    connect: float = 10  # TCP and TLS
    answer: float = 15  # from the request's write to the end of its answer
    drain: float = 10  # what a connection that is going away gets to finish
    ping_after: float = 60  # without one byte from the server
    ping: float = 5
    idle: float = 600
    backoff: float = 1  # first pause after a failed connect; doubled up to a minute
    repeats: int = 3  # of one request the server provably did not process
