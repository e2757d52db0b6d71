"""The certificate by which an app's server may log in to APNs, in the place of a key.

Source: contract/providers.md 3.2 and 3.5; the older of Apple's two ways.
"""

from __future__ import annotations

import re
import secrets
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from providers.base import CredentialError, Network

_KEY = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_HOW = "make a new one under Apple Developer, Certificates, and export it with its private key"


@dataclass(frozen=True)
class ClientCertificate:
    """A certificate with its private key, and the authorities that lead to it."""

    chain: tuple[x509.Certificate, ...]  # its own first
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def read(cls, pem: str) -> ClientCertificate:
        """From PEM: certificates and a private key, in any order. Raises CredentialError."""
        key = _key(pem)
        try:
            certificates = x509.load_pem_x509_certificates(pem.encode())
        except (ValueError, UnsupportedAlgorithm):
            raise CredentialError(
                "certificate_pem", "holds no certificate that can be read"
            ) from None
        return cls(_own_first(certificates, key), key)

    @property
    def ends(self) -> float:
        """Unix time."""
        return self.chain[0].not_valid_after_utc.timestamp()

    def on(self, network: Network) -> Network:
        """A network on which connections show this certificate."""
        return CertifiedNetwork(network.gateways, network.ca_file, network.proxy, self)

    def load_into(self, context: ssl.SSLContext) -> None:
        """The key touches the disk only encrypted, by a password nobody keeps."""
        password = secrets.token_hex(32)
        chain = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in self.chain)
        key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        )
        with tempfile.NamedTemporaryFile() as file:  # OpenSSL reads it from a file alone
            file.write(chain + key)
            file.flush()
            context.load_cert_chain(file.name, password=password)


@dataclass(frozen=True)
class CertifiedNetwork(Network):
    """A network whose HTTP/2 connections show who we are."""

    certificate: ClientCertificate | None = None

    @cached_property
    def tls_http2(self) -> ssl.SSLContext:
        context = super().tls_http2
        if self.certificate is not None:
            self.certificate.load_into(context)
        return context


def _key(pem: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    found = _KEY.search(pem)
    if found is None:
        raise CredentialError("certificate_pem", f"comes without its private key; {_HOW}")
    try:
        key = serialization.load_pem_private_key(found.group().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CredentialError(
            "certificate_pem", "has a private key that cannot be read; export it without a password"
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise CredentialError("certificate_pem", "has a key of a kind that Apple never gave out")
    return key


def _own_first(
    certificates: Sequence[x509.Certificate], key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> tuple[x509.Certificate, ...]:
    public = key.public_key()
    own = [each for each in certificates if each.public_key() == public]
    if not own:
        raise CredentialError(
            "certificate_pem", f"holds a private key of another certificate; {_HOW}"
        )
    return (own[0], *(each for each in certificates if each is not own[0]))
