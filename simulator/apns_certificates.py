"""Client certificates that stand for a login to APNs. Source: contract/providers.md 3.5."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from simulator.inputs import BadInput, json_object, only, text

# Of the extensions by which Apple marks what a certificate is for.
MARKS = {
    "1.2.840.113635.100.6.3.1": "sandbox",
    "1.2.840.113635.100.6.3.2": "production",
}


@dataclass(frozen=True, slots=True)
class ApnsCertificate:
    """One that Apple gave out: whose app it is for, and where, stands in it."""

    certificate: x509.Certificate
    topics: frozenset[str]
    environments: frozenset[str]

    @classmethod
    def read(cls, given: object, field: str) -> ApnsCertificate:
        """From `{"certificate_pem": …}`. Raises BadInput."""
        data = json_object(given, field)
        only(data, {"certificate_pem"}, field)
        pem = text(data.get("certificate_pem"), f"{field}.certificate_pem", longest=10_000)
        if "PRIVATE" in pem:
            raise BadInput(f"{field}.certificate_pem", "must come without its private key")
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            raise BadInput(f"{field}.certificate_pem", "must be a certificate in PEM") from None
        bundles = certificate.subject.get_attributes_for_oid(NameOID.USER_ID)
        marks = {each.oid.dotted_string for each in certificate.extensions}
        return cls(
            certificate,
            frozenset(str(each.value) for each in bundles),
            frozenset(name for mark, name in MARKS.items() if mark in marks),
        )

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()
