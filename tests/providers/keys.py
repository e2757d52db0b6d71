"""Credentials that nobody but the tests accepts, made when they run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


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


APPLES_MARKS = {
    "sandbox": "1.2.840.113635.100.6.3.1",
    "production": "1.2.840.113635.100.6.3.2",
    "signs apps": "1.2.840.113635.100.6.1.4",
}


def make_apple_certificate(
    topic: str = "com.example.shop",
    *,
    environments: Sequence[str] = ("production", "sandbox"),
    days: int = 300,
) -> tuple[str, str]:
    """A push certificate like Apple's, and its private key, both PEM. It ends in `days`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.USER_ID, topic),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Apple Push Services: {topic}"),
        ]
    )
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=400))
        .not_valid_after(now + dt.timedelta(days=days))
    )
    for environment in environments:
        mark = x509.ObjectIdentifier(APPLES_MARKS[environment])
        builder = builder.add_extension(x509.UnrecognizedExtension(mark, b"\x05\x00"), False)
    certificate = builder.sign(key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), pem(key)
