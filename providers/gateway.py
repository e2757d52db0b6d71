"""One request to a cloud over HTTP/1.1, and what became of it.

Source: contract/providers.md 1.2, the HTTP/1.1 rows.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

import httpx

from providers import outside
from providers.base import CredentialError, Network
from providers.http2 import NoAnswer, NotSent

CONNECT_SECONDS = 8.0
SECONDS = 20.0  # for a whole request: two of them stay under a worker's lease
START_WITHIN = 15.0  # seconds that a request waits for its turn
KEEP_SECONDS = 5.0  # shorter than any gateway's: a stale connection would leave doubt
MOST_CONNECTIONS = 10
RESOLVED_SECONDS = 60.0  # that an address of a name, once checked, is connected to
LARGEST_ANSWER = 2**20  # bytes

# Nothing of the request has left us when one of these is raised …
_BEFORE: dict[type[Exception], str] = {
    httpx.ConnectError: "could not connect to the gateway",
    httpx.ConnectTimeout: "the gateway did not take the connection in time",
    httpx.PoolTimeout: "no connection to the gateway was free in time",
    httpx.ProxyError: "the proxy refused the connection",
    httpx.LocalProtocolError: "the request could not be written",
}
# … and it may have been processed when one of these is.
_AFTER: dict[type[Exception], str] = {
    httpx.WriteError: "the connection broke while the request was written",
    httpx.WriteTimeout: "the request could not be written in time",
    httpx.ReadError: "the connection broke before the answer",
    httpx.ReadTimeout: "no answer in time",
    httpx.RemoteProtocolError: "the connection was closed before the answer",
    TimeoutError: "no answer in time",
}


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    body: bytes
    retry_after: str  # header
    location: str = ""  # header: what a redirect or a new resource is called
    date: str = ""  # header: when it answered, by its own clock


@dataclass(frozen=True, slots=True)
class Inside:
    """The gateway's name leads into our own network: nothing was sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Given:
    """What goes with a request: one body at most."""

    json: object
    form: Mapping[str, str] | None
    content: bytes | None
    headers: Mapping[str, str]


Exchange: TypeAlias = Answered | NotSent | NoAnswer | Inside


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def host_of(base_url: str) -> str:
    """The host of a base URL, with its port if that is not 443. Raises CredentialError."""
    try:
        parts = urlsplit(base_url.strip())
        port = parts.port
    except ValueError:
        problem = "is not an address such as https://xyz.api.infobip.com"
        raise CredentialError("base_url", problem) from None
    if parts.scheme != "https" or not parts.hostname:
        raise CredentialError("base_url", "must begin with https:// and name a host")
    if parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"):
        raise CredentialError("base_url", "must be only https:// and a host")
    return parts.netloc.lower() if port != 443 else parts.netloc.lower().rpartition(":")[0]


class Gateway:
    """Keep-alive connections to one host; redirects are answers like others."""

    def __init__(
        self,
        host: str,
        authorization: str = "",
        *,
        network: Network,
        transport: httpx.AsyncBaseTransport | None = None,
        connections: int = MOST_CONNECTIONS,
    ) -> None:
        """`authorization` goes with every request, unless the request has its own."""
        self._host = host
        self._headers = {"host": host}
        if authorization:
            self._headers["authorization"] = authorization
        self._network = network
        self._transport = transport
        self._connections = connections
        self._client: httpx.AsyncClient | None = None
        self._free = asyncio.Semaphore(connections)
        self._waiting = 0  # requests that are not answered
        self._idle = asyncio.Event()  # there are none
        self._idle.set()
        self._resolved = ("", 0.0)  # an address of the host, until when it is believed

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Waits for a free connection, but not so long that nobody waits for us any more."""
        given = _Given(json, form, content, headers or {})
        begun = asyncio.get_running_loop().time()
        self._idle.clear()
        self._waiting += 1
        try:
            return await self._in_turn(method, path, given, begun)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._idle.set()

    async def _in_turn(self, method: str, path: str, given: _Given, begun: float) -> Exchange:
        async with self._free:
            if asyncio.get_running_loop().time() - begun > START_WITHIN:
                return NotSent("the gateway is too slow")
            return await self._request(method, path, given)

    async def _request(self, method: str, path: str, given: _Given) -> Exchange:
        try:
            address = await self._address()
        except outside.InsideError as error:
            return Inside(str(error))
        except (OSError, UnicodeError):
            return NotSent("the gateway's name was not found")
        try:
            async with asyncio.timeout(SECONDS):
                return await self._exchange(method, address + path, given)
        except tuple(_BEFORE) as error:
            self._resolved = ("", 0.0)  # the name may have moved
            return NotSent(_certificate_fault(error) or _BEFORE[type(error)])
        except (httpx.HTTPError, TimeoutError) as error:
            return NoAnswer(_AFTER.get(type(error), "the answer could not be read"))

    async def close(self) -> None:
        """Let what is on the wire finish, for so long as an answer may take."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(SECONDS):
                await self._idle.wait()
        except TimeoutError:
            pass
        await client.aclose()

    async def _address(self) -> str:
        parts = urlsplit(f"//{self._host}")
        host, port = parts.hostname or "", parts.port or 443
        # A proxy that was chosen decides itself what may be reached.
        if not (self._network.gateways or self._network.proxy or self._transport):
            host = await self._resolve(host, port)
        else:
            host, port = self._network.address(host, port)
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    async def _resolve(self, host: str, port: int) -> str:
        address, until = self._resolved
        now = asyncio.get_running_loop().time()
        if not address or now >= until:
            address = await outside.resolve(host, port)
            self._resolved = (address, now + RESOLVED_SECONDS)
        return address

    async def _exchange(self, method: str, url: str, given: _Given) -> Answered | NoAnswer:
        if self._client is None:
            self._client = self._connect()
        stream = self._client.stream(
            method,
            url,
            json=given.json,
            data=given.form,
            content=given.content,
            headers={**self._headers, **given.headers},
            extensions={"sni_hostname": urlsplit(f"//{self._host}").hostname},
        )
        async with stream as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                return NoAnswer("the answer is packed, and could be of any size")
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > LARGEST_ANSWER:
                    return NoAnswer("the answer is too large to be one")
            told = response.headers
            return Answered(
                response.status_code,
                bytes(body),
                told.get("retry-after", ""),
                told.get("location", ""),
                told.get("date", ""),
            )

    def _connect(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._network.tls,
            transport=self._transport,
            proxy=self._network.proxy,
            trust_env=False,  # a proxy nobody chose would look the name up again
            timeout=httpx.Timeout(SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(
                max_connections=self._connections,
                max_keepalive_connections=self._connections,
                keepalive_expiry=KEEP_SECONDS,
            ),
            headers={
                "accept": "application/json",
                "accept-encoding": "identity",
                "user-agent": "pushadmin",
            },
        )


def _certificate_fault(error: BaseException) -> str:
    """What is wrong with the certificate, if that is why nothing was sent; else ""."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return "" if cause is None else f"the gateway's certificate: {cause.verify_message}"
