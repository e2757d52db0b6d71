"""Signed tokens: made or fetched once, kept until they end, never logged.

Source: contract/providers.md 1.7, 2.2 (Google) and 3.3 (Apple).
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from providers.advice import ahead
from providers.answers import json_object, retry_after, word
from providers.base import Cause, CredentialError, Network, Outcome, Scope, Verdict

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
TOKEN_HOSTS = ("oauth2.googleapis.com", "www.googleapis.com", "accounts.google.com")
REFRESH_BEFORE = 300  # seconds before the end of an access token
REFRESH_AGAIN = 10.0  # seconds after one that failed, while the old one serves
SERVES_UNTIL = 30  # seconds before its end: what is sent with it needs a while
FETCH_TIMEOUT = 5  # seconds

APPLE_GRID = 2400  # seconds; every process computes the same token in one cell of it
APPLE_FINER_GRID = 1200  # for a server that calls the first one expired

Clock = Callable[[], float]  # Unix time, seconds

log = logging.getLogger(__name__)


class TokenRefusedError(Exception):
    """The token server rejects the credential itself, or the time at which it was signed."""

    def __init__(self, reason: str, *, status: int = 0, ahead: float | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.ahead = ahead  # seconds of our clock, by the server's Date; None without one


class TokenUnavailableError(Exception):
    """No access token for now; the credential may be fine."""

    def __init__(self, reason: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.status = status  # 0: the token server was not reached
        self.retry_after = retry_after  # seconds

    def outcome(self, *, wait: float) -> Outcome:
        """Of a message that was to be sent with the token. `wait`: seconds, if none were named."""
        if self.status == 0:
            return Outcome(verdict=Verdict.NOT_SENT, reason=str(self), cause=Cause.NOT_SENT)
        return Outcome(
            verdict=Verdict.TRY_LATER,
            reason=str(self),
            status=self.status,
            cause=Cause.CLOUD_UNAVAILABLE,
            scope=Scope.SERVICE,
            retry_after=wait if self.retry_after is None else self.retry_after,
            asked=self.retry_after is not None,
        )


def jws(
    header: Mapping[str, object], claims: Mapping[str, object], sign: Callable[[bytes], bytes]
) -> str:
    """A signed token in compact form (RFC 7515)."""

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    def dump(value: Mapping[str, object]) -> bytes:
        return part(json.dumps(value, separators=(",", ":")).encode())

    signing_input = dump(header) + b"." + dump(claims)
    return (signing_input + b"." + part(sign(signing_input))).decode()


def es256(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """A signature as a JWT has it: r and s, 32 bytes each; always the same (RFC 6979)."""
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    r, s = decode_dss_signature(key.sign(data, algorithm))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


# Google


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What we need of a Google service-account file."""

    project_id: str
    client_email: str
    private_key_id: str
    token_uri: str
    key: rsa.RSAPrivateKey = field(repr=False)

    @classmethod
    def read(cls, data: Mapping[str, object]) -> ServiceAccount:
        """Raises CredentialError for what cannot be one."""
        if data.get("type", "service_account") != "service_account":
            raise CredentialError("type", "this is not the file of a service account")
        texts = {}
        names = ("project_id", "client_email", "private_key_id", "private_key", "token_uri")
        for name in names:
            value = data.get(name)
            if not isinstance(value, str) or not value.strip():
                raise CredentialError(name, "is missing; use the file as Google gave it")
            texts[name] = value.strip()
        if not re.fullmatch(r"[a-z0-9.:-]{1,100}", texts["project_id"]):
            raise CredentialError("project_id", "has characters that no Google project has")
        address = urlsplit(texts["token_uri"])
        if address.scheme != "https" or address.netloc not in TOKEN_HOSTS:
            raise CredentialError(
                "token_uri", "is not Google's; it should be https://oauth2.googleapis.com/token"
            )
        key = private_key("private_key", texts["private_key"])
        if not isinstance(key, rsa.RSAPrivateKey):
            raise CredentialError(
                "private_key", "is not an RSA key; use the file as Google gave it"
            )
        return cls(
            texts["project_id"],
            texts["client_email"],
            texts["private_key_id"],
            texts["token_uri"],
            key,
        )


class AccessTokens(ABC):
    """The access token of one credential: fetched by one task, shared by all."""

    refusals = frozenset({400, 401, 403})  # statuses that blame the credential

    def __init__(
        self,
        token_uri: str,
        network: Network,
        *,
        clock: Clock = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._token_uri = token_uri
        self._network = network
        self._clock = clock
        self._transport = transport
        self._token = ""
        self._ends_at = 0.0
        self._fetching: asyncio.Task[None] | None = None
        self._again_at = 0.0  # loop time: not asked again before, while the old one serves

    @abstractmethod
    def _form(self) -> Mapping[str, str]:
        """What is asked of the token server."""

    @abstractmethod
    def _refused(self, body: Mapping[str, object], status: int) -> str:
        """A refusal of the credential in one sentence."""

    async def get(self) -> str:
        """Raises TokenRefusedError, TokenUnavailableError."""
        left = self._ends_at - self._clock()
        if not self._token or left <= SERVES_UNTIL:
            return await self.fetch()
        if left <= REFRESH_BEFORE:
            self._fetch_beside()
        return self._token

    async def renew(self, used: str) -> str:
        """Another token than the one that was refused; the same errors."""
        if self._token == used:
            self._token = ""
        return self._token or await self.fetch()

    async def fetch(self) -> str:
        """Straight from the token server; with others who ask meanwhile."""
        # Shielded: one caller that is cancelled must not take the token from the others.
        await asyncio.shield(self._begin())
        return self._token

    def _begin(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    def _fetch_beside(self) -> None:
        """While the old token serves nobody waits for the next, however slow its server is."""
        now = asyncio.get_running_loop().time()
        if self._fetching is None and now >= self._again_at:
            self._again_at = now + REFRESH_AGAIN
            self._begin().add_done_callback(_note)

    async def _fetch(self) -> None:
        try:
            answer = await self._ask()
        except (httpx.HTTPError, TimeoutError) as error:
            raise TokenUnavailableError(f"token server: {type(error).__name__}") from None
        finally:
            self._fetching = None
        body = json_object(answer.content)
        if answer.status_code == 200:
            token, lifetime = body.get("access_token"), body.get("expires_in")
            if (
                isinstance(token, str)
                and re.fullmatch(r"[\x21-\x7e]+", token)
                and isinstance(lifetime, int | float)
            ):
                self._token = token
                self._ends_at = self._clock() + lifetime
                return
            raise TokenUnavailableError("token server: its answer is not a token", status=200)
        if answer.status_code in self.refusals:
            raise TokenRefusedError(
                self._refused(body, answer.status_code),
                status=answer.status_code,
                ahead=ahead(answer.headers.get("date", ""), self._clock()),
            )
        reason = word(body.get("error")) or f"HTTP {answer.status_code}"
        raise TokenUnavailableError(
            f"token server: {reason}",
            status=answer.status_code,
            retry_after=retry_after(answer.headers.get("retry-after", ""), self._clock()),
        )

    async def _ask(self) -> httpx.Response:
        address = urlsplit(self._token_uri)
        host, port = self._network.address(address.netloc)
        async with (
            httpx.AsyncClient(
                verify=self._network.tls,
                timeout=FETCH_TIMEOUT,
                transport=self._transport,
                proxy=self._network.proxy,
                trust_env=False,
            ) as client,
            asyncio.timeout(FETCH_TIMEOUT),
        ):
            return await client.post(
                f"https://{host}:{port}{address.path}",
                data=dict(self._form()),
                headers={"host": address.netloc},
                extensions={"sni_hostname": address.netloc},
            )


def _note(fetching: asyncio.Task[None]) -> None:
    """Of a failure nobody waits for; whoever needs the token meets it again."""
    if not fetching.cancelled() and (error := fetching.exception()) is not None:
        log.warning("no new access token yet, the old one serves: %s", error)


class GoogleTokens(AccessTokens):
    """The access token of one service account."""

    def __init__(
        self,
        account: ServiceAccount,
        network: Network,
        *,
        clock: Clock = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(account.token_uri, network, clock=clock, transport=transport)
        self._account = account

    def _form(self) -> Mapping[str, str]:
        grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return {"grant_type": grant, "assertion": self._assertion()}

    def _refused(self, body: Mapping[str, object], status: int) -> str:
        reason = word(body.get("error")) or f"HTTP {status}"
        told = word(body.get("error_description"))
        return f"{reason}: {told}" if told else reason

    def _assertion(self) -> str:
        account, now = self._account, int(self._clock())
        header = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
        claims = {
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": account.token_uri,
            "iat": now,
            "exp": now + 3600,
        }
        return jws(
            header, claims, lambda data: account.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        )


# Apple


class AppleTokens:
    """The provider token of one key, the same bytes in every process.

    Apple refuses tokens older than an hour, and keys whose token changes more often
    than every 20 minutes. So the time of issue lies on a grid and the signature is
    deterministic: no two processes can disagree.
    """

    def __init__(
        self, *, key_id: str, team_id: str, key_pem: str, clock: Clock = time.time
    ) -> None:
        """Raises CredentialError for what cannot be a key."""
        for name, value in (("key_id", key_id), ("team_id", team_id)):
            if not re.fullmatch(r"[A-Z0-9]{10}", value):
                raise CredentialError(name, "must be 10 capital letters and digits, as Apple shows")
        key = private_key("key_pem", key_pem)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise CredentialError("key_pem", "is not an APNs key; use the .p8 file from Apple")
        self._key_id = key_id
        self._team_id = team_id
        self._key = key
        self._clock = clock
        self._grid = APPLE_GRID
        self._issued = 0
        self._token = ""

    def get(self) -> str:
        issued = self._issue_time(self._grid)
        if issued != self._issued:
            self._token = self._sign(issued)
            self._issued = issued
        return self._token

    def renew(self, used: str) -> str:
        """Another token than the one called expired; "" when there is none.

        The finer grid helps against a clock that is late by less than 40 minutes.
        """
        if self.get() == used:
            self._grid = APPLE_FINER_GRID
        return self.get() if self.get() != used else ""

    def issued_at(self, moment: float) -> str:
        """A token of another time, to learn what a cloud says of it."""
        return self._sign(int(moment))

    def _issue_time(self, grid: int) -> int:
        return int((self._clock() - 60) // grid * grid)  # a minute or more ago

    def _sign(self, issued: int) -> str:
        header = {"alg": "ES256", "kid": self._key_id}
        return jws(
            header, {"iss": self._team_id, "iat": issued}, lambda data: es256(self._key, data)
        )


def private_key(name: str, pem: str) -> object:
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CredentialError(
            name, "is not a private key in PEM form; it begins with -----BEGIN PRIVATE KEY-----"
        ) from None
