"""Browsers that subscribed to pushes, and how they read them.

Everything about one follows from its endpoint: its name, the key of the server it subscribed
for, its own keys. So a subscription is good in any simulator, and nothing needs storing. Its
private key is no secret: nobody lives behind it.

Source: RFC 8030, RFC 8188, RFC 8291; contract/providers.md 5.1, 5.3.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from simulator.inputs import BadInput, json_list, only, text, whole

MOZILLA = "updates.push.services.mozilla.com"
GOOGLE = "fcm.googleapis.com"
APPLE = "web.push.apple.com"
MICROSOFT = "wns2-par02p.notify.windows.com"
CHROME = "/fcm/send/"  # on the host that FCM shares
PATHS = {MOZILLA: "/wpush/v2/", GOOGLE: CHROME, APPLE: "/", MICROSOFT: "/w/?token="}
MOST = 10_000  # subscriptions of one request

_NAME = re.compile(r"([A-Za-z0-9_-]{1,200})\.([A-Za-z0-9_-]{22})")
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
_HEADER = 16 + 4 + 1  # salt, record size, length of the key id
_TAG = 16


class Unreadable(Exception):
    """A body that this browser cannot read; says why."""


@dataclass(frozen=True, slots=True)
class Browser:
    host: str  # of its push service
    name: str
    server: str  # fingerprint of the VAPID key that it subscribed with

    @property
    def endpoint(self) -> str:
        return f"https://{self.host}{PATHS[self.host]}{self.name}.{self.server}"

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        drawn = int.from_bytes(sha256(f"key of {self.endpoint}".encode()).digest(), "big")
        return ec.derive_private_key(drawn % (_ORDER - 1) + 1, ec.SECP256R1())

    @property
    def auth(self) -> bytes:
        return sha256(f"auth of {self.endpoint}".encode()).digest()[:16]

    def subscription(self) -> dict[str, object]:
        """What PushSubscription.toJSON() gives a page."""
        keys = {"p256dh": packed(point(self.key.public_key())), "auth": packed(self.auth)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    def read(self, body: bytes) -> bytes:
        """The plaintext of an aes128gcm body. Raises Unreadable."""
        if len(body) < _HEADER + 65 + _TAG + 1:
            raise Unreadable("it is too short")
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, record = body[_HEADER : _HEADER + length], body[_HEADER + length :]
        if length != 65 or sender[0] != 4:
            raise Unreadable("its key id is no uncompressed point")
        if len(record) > size:
            raise Unreadable("it has more than one record")
        try:
            theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        except ValueError:
            raise Unreadable("its key id is no point of P-256") from None
        info = b"WebPush: info\0" + point(self.key.public_key()) + sender
        secret = _derived(self.key.exchange(ec.ECDH(), theirs), self.auth, info, 32)
        key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
        try:
            padded = AESGCM(key).decrypt(nonce, record, None).rstrip(b"\0")
        except InvalidTag:
            raise Unreadable("it was encrypted for somebody else") from None
        if padded[-1:] != b"\2":
            raise Unreadable("its last record does not end in 2")
        return padded[:-1]


def subscribe(server_key: bytes, name: str, host: str = MOZILLA) -> Browser:
    """A browser that takes pushes from whoever has the private half of this key."""
    return Browser(host, name, fingerprint(server_key))


def find(host: str, path: str) -> Browser | None:
    """The browser at an endpoint, if one can be there."""
    prefix = PATHS.get(host, "")
    match = _NAME.fullmatch(path.removeprefix(prefix)) if path.startswith(prefix) else None
    return Browser(host, match[1], match[2]) if prefix and match else None


def made(given: Mapping[str, object]) -> dict[str, object]:
    """Subscriptions for `{"server_key", "host"?, "count"? or "names"?}`. Raises BadInput."""
    only(given, {"server_key", "host", "count", "names"})
    key = unpacked(text(given.get("server_key"), "server_key"))
    if len(key) != 65 or key[0] != 4:
        raise BadInput("server_key", "must be a VAPID public key: 65 bytes in base64url")
    host = text(given.get("host", MOZILLA), "host")
    if host not in PATHS:
        raise BadInput("host", f"must be one of {', '.join(PATHS)}")
    if "names" in given:
        names = [
            text(one, f"names[{place}]", longest=200)
            for place, one in enumerate(json_list(given["names"], "names"))
        ]
    else:
        names = [
            secrets.token_hex(16) for _ in range(whole(1, MOST)(given.get("count", 1), "count"))
        ]
    for place, name in enumerate(names):
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise BadInput(f"names[{place}]", "must be of letters, digits, - and _")
    return {"subscriptions": [subscribe(key, name, host).subscription() for name in names]}


def fingerprint(server_key: bytes) -> str:
    return packed(sha256(server_key).digest())[:22]


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpacked(told: str) -> bytes:
    """Bytes of base64url without padding; none for anything else."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", told):
        return b""
    try:
        return base64.urlsafe_b64decode(told + "=" * (-len(told) % 4))
    except binascii.Error:
        return b""


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)
