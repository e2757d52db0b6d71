"""How Huawei is told who we are: an OAuth client, or a service account that signs by itself.

Source: contract/providers.md 4.2.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from providers.answers import word
from providers.base import CredentialError, Network
from providers.credentials import REFRESH_BEFORE, AccessTokens, Clock, jws, private_key

TOKEN_URI = "https://oauth-login.cloud.huawei.com/oauth2/v3/token"
LIFETIME = 3600  # seconds of a token we sign; a day at most


class Tokens(Protocol):
    """Where a bearer token comes from."""

    async def get(self) -> str: ...

    async def renew(self, used: str) -> str:
        """Another token than the one that was refused."""
        ...

    async def fetch(self) -> str:
        """A fresh one, whatever is kept."""
        ...


@dataclass(frozen=True, slots=True)
class Client:
    """The OAuth client of an app in AppGallery Connect; its id is the app's."""

    client_id: str
    client_secret: str = field(repr=False)

    @classmethod
    def read(cls, data: Mapping[str, object]) -> Client:
        """Raises CredentialError."""
        client_id, secret = (_text(data, name) for name in ("client_id", "client_secret"))
        if not re.fullmatch(r"[0-9]{1,20}", client_id):
            raise CredentialError("client_id", "must be digits, as AppGallery Connect shows it")
        return cls(client_id, secret)


@dataclass(frozen=True, slots=True)
class Account:
    """What we need of a Huawei service-account file."""

    project_id: str
    key_id: str
    sub_account: str
    key: rsa.RSAPrivateKey = field(repr=False)

    @classmethod
    def read(cls, data: Mapping[str, object]) -> Account:
        """Raises CredentialError."""
        project, key_id, sub_account, pem = (
            _text(data, name) for name in ("project_id", "key_id", "sub_account", "private_key")
        )
        if not re.fullmatch(r"[0-9]{1,30}", project):
            raise CredentialError("project_id", "must be digits; use the file as Huawei gave it")
        key = private_key("private_key", pem)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise CredentialError(
                "private_key", "is not an RSA key; use the file as Huawei gave it"
            )
        return cls(project, key_id, sub_account, key)


def _text(data: Mapping[str, object], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value.strip():
        raise CredentialError(name, "is missing; enter it as Huawei shows it")
    if not value.strip().isascii():
        raise CredentialError(name, "has characters that Huawei does not give out")
    return value.strip()


class ClientTokens(AccessTokens):
    """The access token of an OAuth client."""

    refusals = frozenset(range(400, 500)) - {408, 429}

    def __init__(
        self,
        client: Client,
        network: Network,
        *,
        clock: Clock = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(TOKEN_URI, network, clock=clock, transport=transport)
        self._client = client

    def _form(self) -> Mapping[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_id": self._client.client_id,
            "client_secret": self._client.client_secret,
        }

    def _refused(self, body: Mapping[str, object], status: int) -> str:
        numbers = [str(body[name]) for name in ("error", "sub_error") if body.get(name)]
        told = word(body.get("error_description"))
        reason = word("/".join(numbers)) or f"HTTP {status}"
        return f"{reason}: {told}" if told else reason


class SignedTokens:
    """A token that a service account signs; nobody need be asked for it."""

    def __init__(self, account: Account, *, clock: Clock = time.time) -> None:
        self._account = account
        self._clock = clock
        self._token = ""
        self._issued = 0

    async def get(self) -> str:
        if not self._token or self._clock() > self._issued + LIFETIME - REFRESH_BEFORE:
            return await self.fetch()
        return self._token

    async def renew(self, used: str) -> str:
        return await self.fetch() if self._token == used else self._token

    async def fetch(self) -> str:
        account, self._issued = self._account, int(self._clock())
        header = {"alg": "PS256", "typ": "JWT", "kid": account.key_id}
        claims = {
            "iss": account.sub_account,
            "aud": TOKEN_URI,
            "iat": self._issued,
            "exp": self._issued + LIFETIME,
        }
        self._token = jws(header, claims, self._sign)
        return self._token

    def _sign(self, data: bytes) -> bytes:
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
        return self._account.key.sign(data, pss, hashes.SHA256())
