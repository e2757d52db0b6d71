"""A push certificate as Apple and the Keychain give it out: what stands in it."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from devices.errors import CertificateError, PasswordError
from devices.models import Environment

_P12 = re.compile(
    rb"0.{1,5}\x02\x01\x03", re.DOTALL
)  # RFC 7292, 4: a sequence that begins with a 3
_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
HOW = "Export the certificate together with its private key, as a .p12 file from the Keychain."
# Extensions by which Apple says where a certificate may send.
MARKS = {
    "1.2.840.113635.100.6.3.1": Environment.SANDBOX,
    "1.2.840.113635.100.6.3.2": Environment.PRODUCTION,
}
SIGNS_APPS = "1.2.840.113635.100.6.1."  # what Apple's extensions of such certificates begin with


@dataclass(frozen=True)
class PushCertificate:
    """One with its private key."""

    pem: str  # certificate, private key without a password, then its issuers
    topic: str  # the bundle ID it was made for; "" when it does not say
    environments: frozenset[Environment]  # empty when it does not say
    ends: datetime

    @classmethod
    def read(cls, data: bytes, password: str = "") -> Self:
        """From a .p12 file or from PEM.

        Raises CertificateError that says how to mend it; PasswordError where it opens with
        another password.
        """
        if b"-----BEGIN" in data:
            key, certificate, issuers = _from_pem(data, password)
        else:
            key, certificate, issuers = _from_p12(data, password)
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise CertificateError(f"This is no push certificate. {HOW}")
        if certificate.public_key() != key.public_key():
            raise CertificateError(f"The private key belongs to another certificate. {HOW}")
        parts = [
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            *(each.public_bytes(serialization.Encoding.PEM) for each in issuers),
        ]
        topics = certificate.subject.get_attributes_for_oid(NameOID.USER_ID)
        marks = {each.oid.dotted_string for each in certificate.extensions}
        if any(mark.startswith(SIGNS_APPS) for mark in marks) and not MARKS.keys() & marks:
            raise CertificateError(
                "This certificate signs apps. Choose the one whose name begins with Apple Push"
                " Services."
            )
        return cls(
            pem=b"".join(parts).decode(),
            topic=str(topics[0].value) if topics else "",
            environments=frozenset(MARKS[mark] for mark in MARKS.keys() & marks),
            ends=certificate.not_valid_after_utc,
        )


_Parts = tuple[object, x509.Certificate, list[x509.Certificate]]


def _from_p12(data: bytes, password: str) -> _Parts:
    if not _P12.match(data):
        what = "the certificate alone" if _is_bare(data) else "no .p12 file"
        raise CertificateError(f"This is {what}. {HOW}")
    try:
        key, certificate, issuers = pkcs12.load_key_and_certificates(
            data, password.encode() or None
        )
    except (ValueError, UnsupportedAlgorithm):
        raise PasswordError(
            "This password does not open the file: choose the file again, and enter the password"
            " it was exported with."
        ) from None
    if key is None or certificate is None:
        raise CertificateError(f"This file lacks the certificate or its private key. {HOW}")
    return key, certificate, issuers


def _is_bare(data: bytes) -> bool:
    """What Apple's page gives to download (.cer): useless without the key beside it."""
    try:
        x509.load_der_x509_certificate(data)
    except ValueError:
        return False
    return True


def _from_pem(data: bytes, password: str) -> _Parts:
    try:
        certificates = x509.load_pem_x509_certificates(data)
    except ValueError:
        raise CertificateError(f"There is no certificate in it. {HOW}") from None
    found = _KEY.search(data)
    if found is None:
        raise CertificateError(f"It comes without its private key. {HOW}")
    encrypted = b"ENCRYPTED" in found.group()  # many tools want a password; some keys have none
    try:
        key = serialization.load_pem_private_key(
            found.group(), password=password.encode() if encrypted else None
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise PasswordError(
            "This password does not open the private key: choose the file again, and enter the"
            " password it was exported with."
        ) from None
    public = getattr(key, "public_key", lambda: None)()
    own = [each for each in certificates if each.public_key() == public]
    certificate = own[0] if own else certificates[0]
    return key, certificate, [each for each in certificates if each is not certificate]
