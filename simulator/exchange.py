"""What passes between a connection and a cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol

Headers = tuple[tuple[str, str], ...]


class Ending(Enum):
    """What happens to a decided request on the wire."""

    ANSWERED = "answered"
    ABORTED = "aborted"  # the connection is reset, and with it every answer it still owed
    STALLED = "stalled"  # never answered, the stream stays open
    RESET = "reset"  # RST_STREAM(INTERNAL_ERROR)
    REFUSED = "refused"  # RST_STREAM(REFUSED_STREAM): never processed


class Flavour(StrEnum):
    """How a connection says GOAWAY. Source: contract/providers.md SIM-13."""

    POLITE = "polite"  # 2^31-1 first, the true id later; answers all below, then closes
    CURT = "curt"  # the true id, answers, closes
    RUDE = "rude"  # the true id, closes without answering
    ZERO = "zero"  # answers what it took, then claims to have processed nothing


@dataclass(slots=True)
class Peer:
    """One connection as a cloud remembers it."""

    number: int  # counts from 1 over the life of the process
    host: str  # the name it asked for in the TLS handshake
    certificate: str = ""  # fingerprint of the one the client showed
    violations: int = 0  # streams over the limit
    proved: bool = False  # a valid provider token was seen (APNs)
    team: str = ""  # whose (APNs)
    provider_token: str = ""  # the newest one (APNs)
    provider_token_at: float = 0.0  # when it was first seen here
    spoiled_until: float = 0.0  # provider tokens changed too often until then (APNs)


@dataclass(slots=True)
class Request:
    method: str
    path: str
    authority: str
    headers: Mapping[str, str]
    doubled: frozenset[str]  # header names that came more than once
    body: bytes
    peer: Peer
    stream: int  # 0 on HTTP/1.1


@dataclass(slots=True)
class Answer:
    status: int
    headers: Headers = ()
    body: bytes = b""
    delay: float = 0.0  # seconds until it leaves
    ending: Ending = Ending.ANSWERED
    goaway: Flavour | None = None  # said right after this answer
    reason: bytes = b""  # debug data of that GOAWAY


@dataclass(slots=True)
class Manners:
    """How a cloud behaves as an HTTP/2 server. Source: contract/providers.md 11.2."""

    max_streams: int = 100
    first_streams: int = 0  # until the first proved request; 0 is the same as max_streams
    window: int = 65535  # INITIAL_WINDOW_SIZE we advertise
    max_header_list: int = 0  # bytes; 0 is not advertised
    idle_seconds: float = 240.0
    goaway_every: int = 0  # streams; 0 is never
    goaway_seconds: float = 0.0  # age of a connection; 0 is never
    goaway_flavour: Flavour = Flavour.POLITE
    goaway_reason: str = ""  # debug data
    padding: int = 0  # bytes added to HEADERS and DATA frames
    dribble: bool = False  # DATA one byte at a time
    requests_per_connection: int = 0  # HTTP/1.1: then "connection: close"; 0 is no limit
    max_body: int = 65536  # bytes of one request


@dataclass(slots=True)
class Traffic:
    """What a cloud saw of its clients as a server."""

    connections: int = 0
    open_connections: int = 0
    requests: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    refused_streams: int = 0  # opened over the limit
    goaways: int = 0
    storms: int = 0  # minutes with more than ten new connections
    minute: int = 0
    minute_connections: int = 0


class Cloud(Protocol):
    """Anything that answers requests under a host name of its own."""

    traffic: Traffic

    @property
    def name(self) -> str: ...

    @property
    def hosts(self) -> tuple[str, ...]: ...

    @property
    def http1(self) -> bool: ...

    @property
    def manners(self) -> Manners: ...

    def answer(self, request: Request) -> Answer: ...


@dataclass(slots=True)
class Head:
    """The checked header block of a request."""

    method: str
    path: str
    authority: str
    headers: dict[str, str] = field(default_factory=dict)
    doubled: frozenset[str] = frozenset()
