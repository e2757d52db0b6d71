"""Proving to push services who sends. Source: RFC 8292; contract/providers.md 5.2."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec

from providers.base import CredentialError
from providers.credentials import Clock, es256, jws
from providers.webpush.encryption import point
from providers.webpush.subscription import packed, unpacked

LIFETIME = 12 * 3600  # seconds; services allow a day
KEPT = 6 * 3600  # seconds that one token is used
MOST_ORIGINS = 1000

_DOMAIN = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]"
_MAILTO = re.compile(rf"mailto:[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@({_DOMAIN})", re.IGNORECASE)
_HTTPS = re.compile(rf"https://({_DOMAIN})(?::[0-9]+)?(?:/[!-;=?-~]*)?", re.IGNORECASE)


class Vapid:
    """The key pair of an application server, and its token for each push service."""

    def __init__(self, data: Mapping[str, object], *, clock: Clock = time.time) -> None:
        """`data` has `private_key`, `public_key` (base64url) and `subject`.

        Raises CredentialError for what cannot be one.
        """
        self._key = _private_key(data.get("private_key"))
        self.public_key = packed(point(self._key.public_key()))
        if data.get("public_key") != self.public_key:
            raise CredentialError("public_key", "does not belong to the private key")
        self._subject = checked_subject(data.get("subject"))
        self._clock = clock
        self._tokens: dict[str, tuple[str, float]] = {}  # by origin, with the time of issue

    def header(self, origin: str) -> str:
        """The value of Authorization for a push service."""
        token, issued = self._tokens.get(origin, ("", 0.0))
        now = self._clock()
        if not token or not 0 <= now - issued < KEPT:
            claims = {"aud": origin, "exp": int(now) + LIFETIME, "sub": self._subject}
            token = jws({"typ": "JWT", "alg": "ES256"}, claims, lambda data: es256(self._key, data))
            if len(self._tokens) >= MOST_ORIGINS:
                self._tokens.clear()
            self._tokens[origin] = (token, now)
        return f"vapid t={token},k={self.public_key}"

    def forget(self, origin: str) -> None:
        """Make a fresh token for the next message."""
        self._tokens.pop(origin, None)


def checked_subject(subject: object) -> str:
    """Whom a push service may write to, in a form that all of them take.

    Apple refuses blanks, brackets and localhost with 403 BadJwtToken. Raises CredentialError.
    """
    text = subject if isinstance(subject, str) else ""
    match = _MAILTO.fullmatch(text) or _HTTPS.fullmatch(text)
    if match is None or len(text) > 200:
        raise CredentialError(
            "subject", "must be mailto: and an e-mail address, or an https:// address"
        )
    if f".{match[1].lower()}".endswith((".localhost", ".local", ".localdomain")):
        raise CredentialError("subject", "must be reachable from outside: not localhost")
    return text


def _private_key(given: object) -> ec.EllipticCurvePrivateKey:
    data = unpacked(given)
    try:
        if len(data) == 32:
            return ec.derive_private_key(int.from_bytes(data, "big"), ec.SECP256R1())
    except ValueError:  # zero, or beyond the order of the curve
        pass
    raise CredentialError("private_key", "is not a VAPID key of 32 bytes in base64url")
