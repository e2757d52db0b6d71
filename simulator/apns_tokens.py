"""Provider tokens of APNs: whose, how old, how often changed.

Source: contract/providers.md 3.3, SIM-40 to SIM-43.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.apns_certificates import ApnsCertificate
from simulator.apns_rules import Rejected
from simulator.behaviour import Behaviour
from simulator.clock import Clock
from simulator.credentials import (
    ApnsKey,
    BadJwt,
    Credentials,
    check_es256,
    parse,
)
from simulator.exchange import Request

MAX_AGE = 3600  # seconds
MAX_AHEAD = 60  # seconds
MIN_PAUSE = 20 * 60  # seconds from one token to the next
REMEMBERED = 1000  # tokens whose signature was checked


@dataclass(frozen=True, slots=True)
class Known:
    key_id: str
    issued: float  # Unix time


class ProviderTokens:
    def __init__(self, clock: Clock, credentials: Credentials, behaviour: Behaviour) -> None:
        self.seen = 0  # different valid ones
        self._clock = clock
        self._credentials = credentials
        self._behaviour = behaviour
        self._known: dict[str, Known] = {}
        self._newest: dict[str, tuple[str, float]] = {}  # key id → token, since

    def forget(self) -> None:
        self._known.clear()
        self._newest.clear()
        self.seen = 0

    def check(self, request: Request, environment: str) -> ApnsKey | ApnsCertificate:
        """The key that signed the request's token, if it may be used here. Raises Rejected.

        Without a token it is the certificate that the connection has shown.
        """
        if request.peer.certificate and "authorization" not in request.headers:
            return self._certificate(request, environment)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not token:
            raise Rejected(403, "MissingProviderToken")
        if scheme.lower() != "bearer":
            raise Rejected(403, "InvalidProviderToken")
        known = self._known.get(token) or self._read(token)
        key = self._credentials.apns.get(known.key_id)
        now = self._clock.now()
        if key is None or known.issued > now + MAX_AHEAD:
            raise Rejected(403, "InvalidProviderToken")
        if now - known.issued > MAX_AGE:
            raise Rejected(403, "ExpiredProviderToken")
        if key.environment not in ("", environment):
            raise Rejected(403, "BadEnvironmentKeyIdInToken")
        self._check_updates(request, token, key, now)
        peer = request.peer
        peer.team = peer.team or key.team_id
        if peer.team != key.team_id:
            raise Rejected(403, "InvalidProviderToken")
        peer.proved = True
        return key

    def _certificate(self, request: Request, environment: str) -> ApnsCertificate:
        shown = self._credentials.certificates.get(request.peer.certificate)
        if shown is None:
            raise Rejected(403, "BadCertificate")
        if environment not in shown.environments:
            raise Rejected(403, "BadCertificateEnvironment")
        request.peer.proved = True
        return shown

    def _check_updates(self, request: Request, token: str, key: ApnsKey, now: float) -> None:
        """Another token within twenty minutes spoils the connection for that long."""
        peer = request.peer
        if now < peer.spoiled_until:
            raise Rejected(429, "TooManyProviderTokenUpdates")
        if token != peer.provider_token:
            if peer.provider_token and now - peer.provider_token_at < MIN_PAUSE:
                peer.spoiled_until = peer.provider_token_at + MIN_PAUSE
                raise Rejected(429, "TooManyProviderTokenUpdates")
            peer.provider_token, peer.provider_token_at = token, now
        newest, since = self._newest.get(key.key_id, ("", 0.0))
        if token != newest:
            strict = self._behaviour.clouds["apns"].one_token_per_key
            if strict and newest and now - since < MIN_PAUSE:
                raise Rejected(429, "TooManyProviderTokenUpdates")
            self._newest[key.key_id] = (token, now)

    def _read(self, token: str) -> Known:
        try:
            jwt = parse(token)
            key = self._credentials.apns.get(str(jwt.header.get("kid", "")))
            if key is None or jwt.claims.get("iss") != key.team_id:
                raise Rejected(403, "InvalidProviderToken")
            check_es256(jwt, key.key)
        except BadJwt:
            raise Rejected(403, "InvalidProviderToken") from None
        issued = jwt.claims.get("iat")
        if isinstance(issued, bool) or not isinstance(issued, int | float):
            raise Rejected(403, "InvalidProviderToken")
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[token] = known = Known(key.key_id, float(issued))
        self.seen += 1
        return known
