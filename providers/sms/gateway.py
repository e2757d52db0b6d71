"""One request to a gateway over HTTP/1.1, and what became of it.

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
LARGEST_ANSWER = 2**20  # bytes

# Nothing of the request has left us when one of these is raised …
_BEFORE: dict[type[Exception], str] = {
    httpx.ConnectError: "could not connect to the gateway",
    httpx.ConnectTimeout: "the gateway did not take the connection in time",
    httpx.PoolTimeout: "no connection to the gateway was free in time",
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


@dataclass(frozen=True, slots=True)
class Inside:
    """The gateway's name leads into our own network: nothing was sent."""

    reason: str


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
    """Keep-alive connections to one host, with one way to prove who we are."""

    def __init__(
        self,
        host: str,
        authorization: str,
        *,
        network: Network,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._host = host
        self._authorization = authorization
        self._network = network
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Waits for a free connection, but not so long that nobody waits for us any more."""
        begun = asyncio.get_running_loop().time()
        async with self._free:
            if asyncio.get_running_loop().time() - begun > START_WITHIN:
                return NotSent("the gateway is too slow")
            return await self._request(method, path, json, form)

    async def _request(
        self, method: str, path: str, json: object, form: Mapping[str, str] | None
    ) -> Exchange:
        try:
            address = await self._address()
        except outside.InsideError as error:
            return Inside(str(error))
        except (OSError, UnicodeError):
            return NotSent("the gateway's name was not found")
        try:
            async with asyncio.timeout(SECONDS):
                return await self._exchange(method, address + path, json, form)
        except tuple(_BEFORE) as error:
            return NotSent(_certificate_fault(error) or _BEFORE[type(error)])
        except (httpx.HTTPError, TimeoutError) as error:
            return NoAnswer(_AFTER.get(type(error), "the answer could not be read"))

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _address(self) -> str:
        parts = urlsplit(f"//{self._host}")
        host, port = parts.hostname or "", parts.port or 443
        if self._network.gateways is None and self._transport is None:
            host = await outside.resolve(host, port)
        else:
            host, port = self._network.address(host, port)
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    async def _exchange(
        self, method: str, url: str, json: object, form: Mapping[str, str] | None
    ) -> Answered | NoAnswer:
        if self._client is None:
            self._client = self._connect()
        stream = self._client.stream(
            method,
            url,
            json=json,
            data=form,
            headers={"host": self._host, "authorization": self._authorization},
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
            retry_after = response.headers.get("retry-after", "")
            return Answered(response.status_code, bytes(body), retry_after)

    def _connect(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._network.tls,
            transport=self._transport,
            trust_env=False,  # a proxy would look the name up again
            timeout=httpx.Timeout(SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(
                max_connections=MOST_CONNECTIONS,
                max_keepalive_connections=MOST_CONNECTIONS,
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
