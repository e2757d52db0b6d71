"""Google's OAuth token endpoint: a signed claim in, an access token out.

Source: contract/providers.md 2.2 and SIM-30.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import secrets
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs

from simulator.behaviour import Behaviour
from simulator.certificates import write_private
from simulator.clock import Clock
from simulator.credentials import BadJwt, Credentials, FcmAccount, Jwt, check_rs256, parse
from simulator.exchange import Answer, Ending, Manners, Request, Traffic
from simulator.settings import Fate

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPES = {
    "https://www.googleapis.com/auth/firebase.messaging",
    "https://www.googleapis.com/auth/cloud-platform",
}
ENDPOINTS = {
    ("oauth2.googleapis.com", "/token"): "https://oauth2.googleapis.com/token",
    ("www.googleapis.com", "/oauth2/v4/token"): "https://www.googleapis.com/oauth2/v4/token",
}
LIFETIME = 3599  # seconds of an access token
MAX_AHEAD = 60  # seconds a client's clock may be ahead
MAX_CLAIM = 3600  # seconds from iat to exp
JSON = (("content-type", "application/json; charset=utf-8"),)
REMEMBERED = 1000  # access tokens, checked once


@dataclass(frozen=True, slots=True)
class Access:
    """Whom an access token stands for."""

    key_id: str
    project_id: str
    expires: float  # Unix time


class Google:
    """Issues opaque tokens that a restart does not forget: they are signed, not stored."""

    name = "google"
    hosts = ("oauth2.googleapis.com", "www.googleapis.com")
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
        self._known: dict[str, Access] = {}
        file = home / "access.key"
        if not file.exists():
            write_private(file, secrets.token_bytes(32))
        self._secret = file.read_bytes()

    @property
    def manners(self) -> Manners:
        return self._behaviour.manners(self.name)

    def answer(self, request: Request) -> Answer:
        """With the time it was given at, by which a client can tell that its clock is wrong."""
        answer = self._answer(request)
        date = formatdate(self._clock.now(), usegmt=True)
        answer.headers = (*answer.headers, ("date", date))
        return answer

    def _answer(self, request: Request) -> Answer:
        endpoint = ENDPOINTS.get((request.peer.host, request.path.partition("?")[0]))
        if endpoint is None:
            return Answer(404, JSON, b'{"error":"not_found"}')
        if request.method != "POST":
            return self._refused(405, "invalid_request", "Use POST.")
        trouble = self._trouble(request)
        if trouble is not None:
            return trouble
        form = parse_qs(request.body.decode("utf-8", "replace"))
        if form.get("grant_type") != [GRANT]:
            return self._refused(400, "unsupported_grant_type", "Invalid grant_type.")
        try:
            jwt = parse((form.get("assertion") or [""])[0])
            account = self._account(jwt, endpoint)
        except BadJwt as fault:
            return self._refused(400, "invalid_grant", str(fault))
        if account is None:
            return self._refused(401, "invalid_client", "The OAuth client was not found.")
        self.issued += 1
        token = self.issue(account)
        told = {"access_token": token, "expires_in": LIFETIME, "token_type": "Bearer"}
        return Answer(200, JSON, json.dumps(told).encode())

    def issue(self, account: FcmAccount) -> str:
        expires = int(self._clock.now()) + LIFETIME
        told = json.dumps([account.private_key_id, account.project_id, expires]).encode()
        data = base64.urlsafe_b64encode(secrets.token_bytes(6) + told).rstrip(b"=")
        return f"ya29.{data.decode()}.{self._signature(data)}"

    def access(self, token: str) -> Access | None:
        """What a token allows; None when it is unknown, too old or its key was revoked."""
        access = self._known.get(token) or self._read(token)
        if access is None or access.key_id not in self._credentials.fcm:
            return None
        return access if self._clock.now() < access.expires else None

    def _read(self, token: str) -> Access | None:
        start, _, signature = token.rpartition(".")
        data = start.removeprefix("ya29.").encode()
        if not hmac.compare_digest(signature.encode(), self._signature(data).encode()):
            return None
        told = base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))[6:]
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[token] = access = Access(*json.loads(told))
        return access

    def _signature(self, data: bytes) -> str:
        return hmac.new(self._secret, data, sha256).hexdigest()[:40]

    def _account(self, jwt: Jwt, endpoint: str) -> FcmAccount | None:
        """Who signed it; None for a stranger. Raises BadJwt."""
        claims, now = jwt.claims, self._clock.now()
        account = self._signer(jwt)
        if account is None:
            return None
        if claims.get("iss") != account.client_email:
            raise BadJwt("Invalid issuer: not the account of this key.")
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int | float) or not isinstance(expires, int | float):
            raise BadJwt("Invalid JWT: iat and exp must be numbers.")
        if issued > now + MAX_AHEAD or expires <= now or expires - issued > MAX_CLAIM:
            raise BadJwt(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
                "timeframe. Check your iat and exp values in the JWT claim."
            )
        if claims.get("aud") != endpoint:
            raise BadJwt("Invalid JWT: Failed audience check.")
        if not SCOPES & set(str(claims.get("scope", "")).split()):
            raise BadJwt("Invalid OAuth scope or ID token audience provided.")
        return account

    def _signer(self, jwt: Jwt) -> FcmAccount | None:
        """Whose key the signature fits. A key need not be named: firebase-admin for Node
        does not. Raises BadJwt."""
        accounts = self._credentials.fcm
        own = [one for one in accounts.values() if one.client_email == jwt.claims.get("iss")]
        named = accounts.get(str(jwt.header.get("kid", "")))
        if named is not None:
            check_rs256(jwt, named.key)
            return named
        if "kid" not in jwt.header:
            for account in own:
                with contextlib.suppress(BadJwt):
                    check_rs256(jwt, account.key)
                    return account
        if own:
            raise BadJwt("Invalid JWT Signature.")
        return None

    def _trouble(self, request: Request) -> Answer | None:
        decision = self._behaviour.decide(self.name, "", f"{request.peer.number}.{self.issued}")
        if decision.fate in {Fate.ACCEPTED, Fate.SILENT}:
            return None
        if decision.fate in {Fate.LOST_REQUEST, Fate.LOST_ANSWER}:
            return Answer(503, ending=Ending.ABORTED)
        if decision.fate is Fate.STALLED:
            return Answer(503, ending=Ending.STALLED)
        return self._refused(503, "internal_failure", "Backend error. Try again.")

    def _refused(self, status: int, error: str, description: str) -> Answer:
        self.refused += 1
        told = {"error": error, "error_description": description}
        return Answer(status, JSON, json.dumps(told).encode())
