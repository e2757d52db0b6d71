"""Huawei's OAuth token endpoint, and how a service account's own tokens are checked.

Source: contract/providers.md 4.2 and SIM-50.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from simulator.behaviour import Behaviour
from simulator.certificates import write_private
from simulator.clock import Clock
from simulator.credentials import BadJwt, Credentials, parse
from simulator.exchange import Answer, Ending, Manners, Request, Traffic
from simulator.huawei_accounts import HuaweiApp, ServiceKey
from simulator.settings import Fate

HOST, PATH = "oauth-login.cloud.huawei.com", "/oauth2/v3/token"
TOKEN_URL = f"https://{HOST}{PATH}"
LIFETIME = 3600  # seconds of an access token
MAX_AHEAD = 60  # seconds a client's clock may be ahead
MAX_CLAIM = 86_400  # seconds from iat to exp
SALT = 32  # bytes of a PS256 signature's
JSON = (("content-type", "application/json;charset=UTF-8"),)

REFUSED, EXPIRED_TOKEN, EXPIRED_JWT, LIVES_TOO_LONG = (
    "80200001", "80200003", "80200005", "80300036",
)  # fmt: skip


class BadToken(Exception):
    """A bearer that opens nothing: Huawei's code for it, and why."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class HuaweiLogin:
    """Issues opaque tokens that a restart does not forget: they are signed, not stored."""

    name = "huawei"
    hosts = (HOST,)
    http1 = True

    def __init__(
        self, home: Path, clock: Clock, credentials: Credentials, behaviour: Behaviour
    ) -> None:
        self.traffic = Traffic()
        self.issued = 0
        self.refused = 0
        self._clock = clock
        self._credentials = credentials
        self._behaviour = behaviour
        file = home / "huawei.key"
        if not file.exists():
            write_private(file, secrets.token_bytes(32))
        self._secret = file.read_bytes()

    @property
    def manners(self) -> Manners:
        return self._behaviour.manners(self.name)

    def answer(self, request: Request) -> Answer:
        if request.path.partition("?")[0] != PATH or request.peer.host != HOST:
            return Answer(404)
        if request.method != "POST":
            return self._refused(405, 1101, 20001, "invalid request method")
        trouble = self._trouble(request)
        if trouble is not None:
            return trouble
        form = parse_qs(request.body.decode("utf-8", "replace"))
        if form.get("grant_type") != ["client_credentials"]:
            return self._refused(400, 1101, 20001, "invalid grant_type")
        app = self._credentials.huawei.get((form.get("client_id") or [""])[0])
        if app is None:
            return self._refused(400, 1101, 20001, "invalid client_id")
        given = (form.get("client_secret") or [""])[0]
        if not hmac.compare_digest(given.encode(), app.client_secret.encode()):
            return self._refused(400, 1101, 12304, "invalid client_secret")
        self.issued += 1
        told = {
            "access_token": self.issue(app),
            "expires_in": LIFETIME,
            "token_type": "Bearer",
        }
        return Answer(200, JSON, json.dumps(told).replace("/", "\\/").encode())

    def issue(self, app: HuaweiApp) -> str:
        expires = int(self._clock.now()) + LIFETIME
        told = json.dumps([app.app_id, _fingerprint(app.client_secret), expires]).encode()
        data = base64.b64encode(secrets.token_bytes(6) + told).decode()
        return f"DQ/{data}/{self._signature(data)}"  # a slash, so that escapes matter

    def check(self, app: HuaweiApp, token: str, *, may_be_oauth: bool) -> None:
        """Whether a bearer may send for an app. Raises BadToken."""
        if token.startswith("DQ/"):
            if not may_be_oauth:
                raise BadToken(REFUSED, "only a JWT is taken here")
            self._check_issued(app, token)
        else:
            self._check_signed(app, token)

    def _check_issued(self, app: HuaweiApp, token: str) -> None:
        start, _, signature = token.rpartition("/")
        data = start.removeprefix("DQ/")
        if not hmac.compare_digest(signature.encode(), self._signature(data).encode()):
            raise BadToken(REFUSED, "this token is not one of ours")
        try:
            app_id, secret, expires = json.loads(base64.b64decode(data)[6:])
        except (binascii.Error, ValueError):
            raise BadToken(REFUSED, "this token is not one of ours") from None
        if (app_id, secret) != (app.app_id, _fingerprint(app.client_secret)):
            raise BadToken(REFUSED, "this token is another app's, or its secret was changed")
        if self._clock.now() >= expires:
            raise BadToken(EXPIRED_TOKEN, "the OAuth token has expired")

    def _check_signed(self, app: HuaweiApp, token: str) -> None:
        try:
            jwt = parse(token)
        except BadJwt as fault:
            raise BadToken(REFUSED, str(fault)) from None
        key = next((one for one in app.keys if one.key_id == jwt.header.get("kid")), None)
        if key is None or jwt.header.get("typ") != "JWT" or jwt.header.get("alg") != "PS256":
            raise BadToken(REFUSED, "the header must name PS256 and a key of this project")
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=SALT)
        try:
            key.key.verify(jwt.signature, jwt.signed, pss, hashes.SHA256())
        except InvalidSignature:
            raise BadToken(REFUSED, "the signature does not fit the key") from None
        _check_claims(key, jwt.claims, self._clock.now())

    def _signature(self, data: str) -> str:
        return hmac.new(self._secret, data.encode(), sha256).hexdigest()[:40]

    def _trouble(self, request: Request) -> Answer | None:
        decision = self._behaviour.decide(self.name, "", f"{request.peer.number}.{self.issued}")
        if decision.fate in {Fate.ACCEPTED, Fate.SILENT}:
            return None
        if decision.fate in {Fate.LOST_REQUEST, Fate.LOST_ANSWER}:
            return Answer(503, ending=Ending.ABORTED)
        if decision.fate is Fate.STALLED:
            return Answer(503, ending=Ending.STALLED)
        return self._refused(503, 1203, 0, "service unavailable")

    def _refused(self, status: int, error: int, sub_error: int, description: str) -> Answer:
        self.refused += 1
        told = {"error": error, "sub_error": sub_error, "error_description": description}
        return Answer(status, JSON, json.dumps(told).encode())


def _fingerprint(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()[:16]


def _check_claims(key: ServiceKey, claims: Mapping[str, object], now: float) -> None:
    if claims.get("iss") != key.sub_account or claims.get("aud") != TOKEN_URL:
        raise BadToken(REFUSED, "iss or aud is wrong")
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or not isinstance(expires, int):
        raise BadToken(REFUSED, "iat and exp must be whole numbers")
    if issued > now + MAX_AHEAD:
        raise BadToken(REFUSED, "iat lies in the future")
    if expires - issued > MAX_CLAIM:
        raise BadToken(LIVES_TOO_LONG, "the JWT lives longer than a day")
    if expires <= now:
        raise BadToken(EXPIRED_JWT, "the JWT has expired")
