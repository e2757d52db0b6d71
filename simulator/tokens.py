"""Signed tokens, verified as the clouds do. No code of the product's own signer."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature


class BadToken(Exception):
    """Why a token is refused."""


def _part(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise BadToken("not base64url") from None


def read(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Header, claims, what was signed, and the signature; nothing is verified yet."""
    parts = token.split(".")
    if len(parts) != 3:
        raise BadToken("not three parts")
    try:
        header, claims = json.loads(_part(parts[0])), json.loads(_part(parts[1]))
    except ValueError:
        raise BadToken("not JSON") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise BadToken("not JSON objects")
    return header, claims, f"{parts[0]}.{parts[1]}".encode(), _part(parts[2])


def verify_rs256(public_pem: str, signed: bytes, signature: bytes) -> None:
    key = serialization.load_pem_public_key(public_pem.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise BadToken("the key is no RSA key")
    try:
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise BadToken("bad signature") from None


def verify_es256(public_pem: str, signed: bytes, signature: bytes) -> None:
    key = serialization.load_pem_public_key(public_pem.encode())
    if not isinstance(key, ec.EllipticCurvePublicKey) or len(signature) != 64:
        raise BadToken("no ES256 signature")
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    try:
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise BadToken("bad signature") from None
