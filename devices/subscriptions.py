"""A browser's subscription as it is kept: one spelling, and only what may be called.

The endpoint is an address chosen by a stranger, so it must be that of a push service we know.
Source: contract/providers.md 5.1. Sending checks it again, and where its name leads.
"""

import base64
import binascii
import json
import re
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from devices.errors import SubscriptionError

HOSTS = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "*.notify.windows.com",
    "web.push.apple.com",
    "*.push.apple.com",
)
BEGINNING = '{"endpoint":"'  # of every kept subscription, and of no other token
_ENDPOINT = re.compile(
    r"https://([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)(?::443)?"
    r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2}){1,2000}"
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def canonical(text: str) -> str:
    """A subscription as JSON without what we do not need. Raises SubscriptionError."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise SubscriptionError("", "a subscription in JSON, as the browser gives it") from None
    if not isinstance(told, dict):
        raise SubscriptionError("", "a subscription in JSON, as the browser gives it")
    keys = told.get("keys")
    if not isinstance(keys, dict):
        raise SubscriptionError("keys", "an object with p256dh and auth")
    kept = {
        "endpoint": _endpoint(told.get("endpoint")),
        "keys": {"auth": _auth(keys.get("auth")), "p256dh": _point(keys.get("p256dh"))},
    }
    return json.dumps(kept, separators=(",", ":"))


def endpoint_of(token: str) -> str:
    """What makes a kept subscription itself; "" for any other token."""
    if not token.startswith(BEGINNING):
        return ""
    endpoint, quote, _ = token.removeprefix(BEGINNING).partition('"')
    return endpoint if quote else ""


def _endpoint(given: object) -> str:
    match = _ENDPOINT.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        raise SubscriptionError("endpoint", "an https:// address as the browser gave it, port 443")
    labels = match[1].split(".")
    if not all(map(_LABEL.fullmatch, labels)) or not labels[-1][0].isalpha():
        raise SubscriptionError("endpoint", "at a host with a name, not an address in digits")
    if not any(_is_under(match[1], name) for name in (*HOSTS, *settings.WEBPUSH_EXTRA_HOSTS)):
        raise SubscriptionError("endpoint", "on a push service that this installation knows")
    return match[0]


def _is_under(host: str, name: str) -> bool:
    return host == name or (name[:2] == "*." and host.endswith(name[1:]))


def _auth(given: object) -> str:
    data = _bytes(given)
    if len(data) != 16:
        raise SubscriptionError("keys.auth", "16 bytes in base64url")
    return _text(data)


def _point(given: object) -> str:
    data = _bytes(given)
    try:
        if len(data) == 65 and data[0] == 4:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
            return _text(data)
    except ValueError:
        pass
    raise SubscriptionError("keys.p256dh", "a point of P-256, 65 bytes in base64url")


def _bytes(given: Any) -> bytes:
    if not isinstance(given, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,200}={0,2}", given):
        return b""
    text = given.rstrip("=")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return b""


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
