"""Browsers as push services know them: made when the tests run, read by foreign code."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from providers.webpush.subscription import packed

MOZILLA = "updates.push.services.mozilla.com"
GOOGLE = "fcm.googleapis.com"


def uncompressed(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@dataclass
class Browser:
    """A subscription with the private half that only the browser has."""

    endpoint: str = ""
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    auth: bytes = field(default_factory=lambda: os.urandom(16))

    def __post_init__(self) -> None:
        self.endpoint = self.endpoint or f"https://{MOZILLA}/wpush/v2/{os.urandom(8).hex()}"

    def subscription(self) -> dict[str, Any]:
        keys = {"auth": packed(self.auth), "p256dh": packed(uncompressed(self.key.public_key()))}
        return {"endpoint": self.endpoint, "keys": keys}

    @property
    def token(self) -> str:
        return json.dumps(self.subscription(), separators=(",", ":"))

    def decrypt(self, body: bytes) -> bytes:
        """What was said, without its padding: by http-ece, not by us."""
        plaintext: bytes = http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth)
        return plaintext


@cache
def vapid_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def make_vapid(key: ec.EllipticCurvePrivateKey | None = None, **changes: object) -> dict[str, Any]:
    key = key or vapid_key()
    data: dict[str, Any] = {
        "private_key": packed(key.private_numbers().private_value.to_bytes(32, "big")),
        "public_key": packed(uncompressed(key.public_key())),
        "subject": "mailto:push@shop.example",
    }
    return data | changes
