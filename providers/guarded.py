"""One request to an address that somebody typed: guarded, and never redirected by itself.

The name is resolved here and every address of it must be outside, or in a network that is
allowed; then that very address is connected to, whatever the name says a moment later.
Source: contract/push.md 7.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import httpx

from providers import outside
from providers.base import Network
from providers.gateway import basic
from providers.outside import IPNetwork

SECONDS = 10.0  # of silence
_PROBLEMS: dict[type[Exception], str] = {
    httpx.ConnectError: "could not connect",
    httpx.WriteError: "the connection broke while the request was written",
    httpx.ReadError: "the connection broke before the answer",
    httpx.RemoteProtocolError: "the connection was closed before the answer",
    httpx.LocalProtocolError: "the request could not be written",
    httpx.ProxyError: "the proxy refused the connection",
}
# Whatever a request may end with; ValueError: an address that cannot be read.
FAILURES = (outside.InsideError, OSError, httpx.HTTPError, httpx.InvalidURL, ValueError)


@asynccontextmanager
async def asked(
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    content: bytes | None = None,
    allowed: Sequence[IPNetwork] = (),
    proxy: str | None = None,
) -> AsyncIterator[httpx.Response]:
    """The answer, its body still to be read; `allowed`: networks of ours that may be called.

    Raises one of FAILURES. Whoever calls it bounds the time.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode()
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("no address of the web")
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
        method,
        _pinned(parts, address, port),
        content=content,
        headers={**headers, **own},
        extensions={"sni_hostname": host},
    ) as response:  # fmt: skip
        yield response


def problem(failure: Exception, seconds: float) -> str:
    """One of FAILURES in words, after so many seconds at most."""
    match failure:
        case outside.InsideError():
            return "the address leads into a private network, which is not allowed"
        case TimeoutError() | httpx.TimeoutException():
            return f"no answer within {seconds:.0f} seconds"
        case httpx.HTTPError():
            certificate = _certificate_fault(failure)
            return certificate or _PROBLEMS.get(type(failure), "no readable answer")
        case OSError() | UnicodeError():
            return "the name was not found"
    return "the address cannot be read"


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
