"""Certificates for the clouds' real names, signed by a throw-away CA in the home folder."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
LEAF_DAYS = 397
RENEW_DAYS = 30  # a certificate with less left is made anew


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA: its certificate is for clients to trust, its key stays in the home folder."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    file: Path


def authority(home: Path) -> Authority:
    """The CA of this home folder, made once and kept between starts."""
    file, key_file = home / "ca.pem", home / "ca.key"
    if file.exists() and key_file.exists():
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        left = certificate.not_valid_after_utc - dt.datetime.now(dt.UTC)
        if isinstance(key, ec.EllipticCurvePrivateKey) and left > dt.timedelta(days=RENEW_DAYS):
            return Authority(certificate, key, file)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pushadmin simulated clouds CA")])
    certificate = (
        _draft(name, name, key, days=CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private(key_file, _pem(key))
    _replace(file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return Authority(certificate, key, file)


def context(
    issuer: Authority, host: str, protocols: list[str], *, expired: bool = False
) -> ssl.SSLContext:
    """A server context for one name. Its certificate is new at each start."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    days = -1 if expired else LEAF_DAYS
    certificate = (
        _draft(subject, issuer.certificate.subject, key, days=days)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
            critical=False,
        )
        .sign(issuer.key, hashes.SHA256())
    )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(protocols)
    file = issuer.file.with_name(f"{host}.pem")
    write_private(file, _pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
    try:
        made.load_cert_chain(file)
    finally:
        file.unlink()
    return made


def write_private(file: Path, data: bytes) -> None:
    """Replace a file that only its owner may read."""
    _replace(file, data, mode=0o600)


def _replace(file: Path, data: bytes, *, mode: int) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
    draft.replace(file)


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=2))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
