"""One POST to an address that somebody typed: guarded, limited, and never more than one.

The name is resolved here and every address of it must be outside, or in a network that is
allowed; then that very address is connected to, whatever the name says a moment later.
Redirects are answers like others. Source: contract/push.md 7.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import httpx

from providers import outside
from providers.base import Network
from providers.gateway import basic
from providers.outside import IPNetwork

SECONDS = 10.0  # for everything, from the look-up to the answer
LONGEST_ANSWER = 1000  # bytes that are read

_PROBLEMS: dict[type[Exception], str] = {
    httpx.ConnectError: "could not connect",
    httpx.WriteError: "the connection broke while the request was written",
    httpx.ReadError: "the connection broke before the answer",
    httpx.RemoteProtocolError: "the connection was closed before the answer",
    httpx.LocalProtocolError: "the request could not be written",
    httpx.ProxyError: "the proxy refused the connection",
}


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
    except outside.InsideError:
        problem = "the address leads into a private network, which is not allowed"
    except (TimeoutError, httpx.TimeoutException):
        problem = f"no answer within {seconds:.0f} seconds"
    except httpx.HTTPError as error:
        problem = _certificate_fault(error) or _PROBLEMS.get(type(error), "no readable answer")
    except (OSError, UnicodeError):
        problem = "the name was not found"
    except ValueError:
        problem = "the address cannot be read"
    return Posted(problem=problem, seconds=loop.time() - begun)


async def _post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    allowed: Sequence[IPNetwork],
    proxy: str | None,
) -> tuple[int, str]:
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode()
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = await outside.resolve(host, port, allowed)
    own = {"host": _host_header(host, parts.port)}
    if parts.username is not None:
        own["authorization"] = basic(unquote(parts.username), unquote(parts.password or ""))
    client = httpx.AsyncClient(
        verify=_tls(),
        proxy=proxy,
        trust_env=False,
        follow_redirects=False,
        timeout=SECONDS,
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"user-agent": "pushadmin", "accept-encoding": "identity"},
    )
    async with client, client.stream(
        "POST",
        _pinned(parts, address, port),
        content=body,
        headers={**headers, **own},
        extensions={"sni_hostname": host},
    ) as response:  # fmt: skip
        head = b""
        async for piece in response.aiter_raw():
            head += piece
            if len(head) >= LONGEST_ANSWER:
                break
        return response.status_code, head[:LONGEST_ANSWER].decode("utf-8", "replace")


def _host_header(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _pinned(parts: SplitResult, address: str, port: int) -> str:
    place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return urlunsplit((parts.scheme, place, parts.path or "/", parts.query, ""))


@cache
def _tls() -> ssl.SSLContext:
    return Network().tls


def _certificate_fault(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return "" if cause is None else f"its certificate: {cause.verify_message}"
