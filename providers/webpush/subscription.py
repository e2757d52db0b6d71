"""What a browser gave us to reach it, and which of it may be called.

The endpoint is an address chosen by a stranger. Source: contract/providers.md 5.1.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from providers.answers import json_object

HOSTS = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "*.notify.windows.com",
    "web.push.apple.com",
    "*.push.apple.com",
)
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# No user, no port but 443, no address in digits: a top-level domain begins with a letter.
_ENDPOINT = re.compile(
    rf"https://((?=[^/:]{{1,253}}[/:])(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?)(?::443)?"
    r"(/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2}){1,2000})"
)


class BadSubscription(Exception):
    """Something that is no subscription, or leads where nothing may be sent; says why."""


@dataclass(frozen=True, slots=True)
class Subscription:
    host: str
    path: str  # with its query
    browser: ec.EllipticCurvePublicKey
    auth: bytes

    @property
    def origin(self) -> str:
        """What a VAPID token is made out to."""
        return f"https://{self.host}"


def read(token: str, extra_hosts: Collection[str] = ()) -> Subscription:
    """A stored subscription. Raises BadSubscription."""
    told = json_object(token.encode())
    keys = told.get("keys")
    if not isinstance(keys, dict):
        raise BadSubscription("it has no keys")
    match = _ENDPOINT.fullmatch(str(told.get("endpoint")))
    if match is None:
        raise BadSubscription("its endpoint is no address of a push service")
    host, path = match.groups()
    if not is_known(host, (*HOSTS, *extra_hosts)):
        raise BadSubscription("its endpoint is on a host that is not known as a push service")
    auth = unpacked(keys.get("auth"))
    if len(auth) != 16:
        raise BadSubscription("its auth is not 16 bytes")
    try:
        browser = public_key(unpacked(keys.get("p256dh")))
    except ValueError:
        raise BadSubscription("its p256dh is no point of P-256") from None
    return Subscription(host, path, browser, auth)


def is_known(host: str, known: Collection[str]) -> bool:
    """Whether a host is named, or lies under a name that begins with `*.`."""
    return any(host == name or (name[:2] == "*." and host.endswith(name[1:])) for name in known)


def public_key(data: bytes) -> ec.EllipticCurvePublicKey:
    """A key of 65 bytes, the first is 4. Raises ValueError."""
    if len(data) != 65 or data[0] != 4:
        raise ValueError("not an uncompressed point of P-256")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)


def unpacked(text: object) -> bytes:
    """Bytes of base64url, with padding or without; none for anything else."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,200}={0,2}", text):
        return b""
    text = text.rstrip("=")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return b""


def packed(data: bytes) -> str:
    """base64url without padding, as the web writes it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
