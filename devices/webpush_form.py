"""What people type about the key pair that proves to push services who sends."""

import base64
import binascii
import json
import re
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from django import forms
from django.conf import settings

from devices.credential_fields import LARGEST_KEY_FILE, code_field
from devices.forms import CredentialForm
from devices.models import Address, Provider, ProviderCredential

_DOMAIN = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]"
_MAILTO = re.compile(rf"mailto:[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@({_DOMAIN})", re.IGNORECASE)
_HTTPS = re.compile(rf"https://({_DOMAIN})(?::[0-9]+)?(?:/[!-;=?-~]*)?", re.IGNORECASE)
WORKER_PATH = "/pushadmin-worker.js"  # on the site: a worker must come from there
_SCRIPTS = "/static/sdk"
_INSIDE = (".localhost", ".local", ".localdomain")


class WebPushCredentialForm(CredentialForm):
    """A VAPID key pair, made here or brought along, and whom push services may write to."""

    subject = code_field(
        "Contact",
        "Push services write to it when something is wrong: mailto: and an e-mail "
        "address, or an https:// address. Each message carries it.",
        most=100,
        placeholder="mailto:push@shop.example",
        required=True,
    )
    private_key = forms.CharField(
        label="Private key of a pair you have already",
        required=False,
        max_length=LARGEST_KEY_FILE,
        widget=forms.Textarea(attrs={"class": "is-code", "rows": 3}),
        help_text="Only if browsers are subscribed with it: base64url, as web-push tools show it, "
        "or PEM. Empty: we make a key pair.",
    )
    renew = forms.BooleanField(label="Make a new key pair", required=False)
    lose = forms.BooleanField(label="Lose every browser subscribed so far", required=False)

    _key: ec.EllipticCurvePrivateKey

    def __init__(self, *args: Any, credential: ProviderCredential, **kwargs: Any) -> None:
        known = credential.data if credential.pk else {}
        kwargs["initial"] = {"subject": known.get("subject", ""), **(kwargs.get("initial") or {})}
        super().__init__(*args, credential=credential, **kwargs)
        self.public_key: str = known.get("public_key", "")
        self.subscribed = 0
        if not credential.pk:
            del self.fields["renew"], self.fields["lose"]
            return
        self.subscribed = Address.objects.filter(
            application=credential.application_id, provider=Provider.WEBPUSH, closed_at=None
        ).count()
        self.fields["private_key"].help_text = "Paste one only to replace the one we keep."
        self.fields["lose"].help_text = (
            "A subscription belongs to the key it was made with, for life. When the key changes, "
            f"{self.subscribed:,} browsers cannot be reached until their owners come back."
        )

    @property
    def page_tag(self) -> str:
        """What stands in the site's pages; its name never changes, so not the hashed one."""
        source = f"{settings.PUBLIC_BASE_URL}{_SCRIPTS}/pushadmin.js"
        code = self.credential.application.code
        return (
            f'<script src="{source}" data-application="{code}" data-worker="{WORKER_PATH}">'
            "</script>"
        )

    @property
    def worker_file(self) -> str:
        """What the site answers at WORKER_PATH."""
        url = settings.PUBLIC_BASE_URL
        said = json.dumps({"url": url, "application": self.credential.application.code})
        return f'self.pushadmin = {said}; importScripts("{url}{_SCRIPTS}/pushadmin-worker.js");'

    def clean_subject(self) -> str:
        value: str = self.cleaned_data["subject"].strip()
        match = _MAILTO.fullmatch(value) or _HTTPS.fullmatch(value)
        if match is None:
            raise forms.ValidationError(
                "Enter mailto: and an e-mail address, without blanks or brackets, or an https:// "
                "address: Apple refuses anything else."
            )
        if f".{match[1].lower()}".endswith(_INSIDE):
            raise forms.ValidationError("Apple refuses contacts at localhost: enter a public one.")
        return value

    def clean(self) -> dict[str, Any]:
        said = self.cleaned_data
        typed = str(said.get("private_key") or "").strip()
        if typed and said.get("renew"):
            self.add_error("renew", "Either paste a key or have one made, not both.")
            return said
        kept = str(self.credential.data["private_key"]) if self.credential.pk else ""
        if typed:
            key = _read(typed)
        elif kept and not said.get("renew"):
            key = _read(kept)
        else:
            key = ec.generate_private_key(ec.SECP256R1())
        if key is None:
            self.add_error(
                "private_key",
                "This is not a VAPID private key: 43 letters of base64url, or a key of P-256 in "
                "PEM. The public key does not help here.",
            )
            return said
        self._key = key
        changes = bool(kept) and _public(key) != self.public_key
        if changes and self.subscribed and not said.get("lose"):
            self.add_error(
                "lose",
                f"{self.subscribed:,} browsers are subscribed with the present key and are lost "
                "for good when it changes. Tick this if you mean it.",
            )
        return said

    def hint(self) -> str:
        return f"{self.cleaned_data['subject']}, key …{_public(self._key)[-4:]}"

    def kept(self) -> dict[str, Any]:
        number = self._key.private_numbers().private_value
        return {
            "subject": self.cleaned_data["subject"],
            "private_key": _text(number.to_bytes(32, "big")),
            "public_key": _public(self._key),
        }


def _read(text: str) -> ec.EllipticCurvePrivateKey | None:
    """A private key of P-256 in base64url or PEM; None for anything else."""
    try:
        if "-----BEGIN" in text:
            key = load_pem_private_key(text.encode() + b"\n", password=None)
            p256 = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
            return key if p256 and isinstance(key, ec.EllipticCurvePrivateKey) else None
        if not re.fullmatch(r"[A-Za-z0-9_-]{43}=?", text):
            return None
        data = base64.urlsafe_b64decode(text.rstrip("=") + "=")
        return ec.derive_private_key(int.from_bytes(data, "big"), ec.SECP256R1())
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):
        return None


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    return _text(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
