"""Encrypting a message for one browser. Source: RFC 8291 over RFC 8188; providers.md 5.3."""

from __future__ import annotations

import os
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

LARGEST_BODY = 4096  # bytes that every push service takes
OVERHEAD = 103  # salt 16, record size 4, key length 1, key 65, delimiter 1, tag 16
LARGEST_PLAINTEXT = LARGEST_BODY - OVERHEAD
PADDED_TO = 128  # bytes; the length of a message tells less then

_RECORD_SIZE = struct.pack("!L", LARGEST_BODY)
_CURVE = ec.SECP256R1()


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as the web writes it: 65 bytes, the first is 4."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def seal(plaintext: bytes, browser: ec.EllipticCurvePublicKey, auth: bytes) -> bytes:
    """The body of one push: a fresh key and salt, padded. At most LARGEST_PLAINTEXT bytes."""
    full = -(-len(plaintext) // PADDED_TO) * PADDED_TO
    padding = min(full, LARGEST_PLAINTEXT) - len(plaintext)
    return encrypt(
        plaintext + b"\2" + bytes(padding),
        browser,
        auth,
        sender=ec.generate_private_key(_CURVE),
        salt=os.urandom(16),
    )


def encrypt(
    record: bytes,
    browser: ec.EllipticCurvePublicKey,
    auth: bytes,
    *,
    sender: ec.EllipticCurvePrivateKey,
    salt: bytes,
) -> bytes:
    """One record, delimiter and padding included, behind its header."""
    ours = point(sender.public_key())
    shared = sender.exchange(ec.ECDH(), browser)
    secret = _derive(shared, auth, b"WebPush: info\0" + point(browser) + ours, 32)
    key = _derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(secret, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + _RECORD_SIZE + bytes([len(ours)]) + ours
    return header + AESGCM(key).encrypt(nonce, record, None)


def _derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)
