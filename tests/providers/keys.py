"""Credentials that nobody but the tests accepts, made when they run."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def make_service_account(**changes: object) -> dict[str, object]:
    account: dict[str, object] = {
        "type": "service_account",
        "project_id": "shop-1",
        "private_key_id": "abc123",
        "private_key": pem(rsa_key()),
        "client_email": "sender@shop-1.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return account | changes


def make_huawei_account(**changes: object) -> dict[str, object]:
    account: dict[str, object] = {
        "project_id": "388421841222199",
        "key_id": "key-1",
        "private_key": pem(rsa_key()),
        "sub_account": "100012345",
    }
    return account | changes
