"""What people type about the login of an app's server at Apple."""

import re
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django import forms
from django.utils import timezone

from devices.certificates import PushCertificate
from devices.credential_fields import code_field, file_field, pasted_field
from devices.errors import CertificateError, PasswordError
from devices.forms import CredentialForm, private_key
from devices.models import Environment, ProviderCredential

KEY, CERTIFICATE = "key", "certificate"
LOGINS = [(KEY, "Key (.p8)"), (CERTIFICATE, "Certificate (.p12)")]


class ApnsCredentialForm(CredentialForm):
    """A token signing key of an Apple developer team, or the certificate of one app."""

    login = forms.ChoiceField(
        label="Log in by",
        choices=LOGINS,
        required=False,
        widget=forms.RadioSelect,
        initial=KEY,
        help_text="A key serves all apps of a team and never ends. A certificate is for one app"
        " and ends after a year.",
    )
    key_id = code_field(
        "Key ID",
        "Ten characters; also in the name of the file Apple gave you.",
        most=10,
        placeholder="ABC123DEFG",
    )
    team_id = code_field(
        "Team ID",
        "Ten characters; Apple Developer → Membership.",
        most=10,
        placeholder="DEF123GHIJ",
    )
    topic = code_field(
        "Bundle ID", "Of the app, exactly as in Xcode.", most=155, placeholder="com.example.shop"
    )
    environment = forms.ChoiceField(
        choices=Environment,
        widget=forms.RadioSelect,
        initial=Environment.PRODUCTION,
        help_text="Sandbox reaches only apps installed from Xcode.",
    )
    file = file_field(
        "Key file (.p8)",
        "Apple Developer → Keys, with Apple Push Notifications service enabled. "
        "Apple lets you download it once.",
        accept=".p8,.pem",
    )
    key_text = pasted_field("-----BEGIN PRIVATE KEY-----", rows=4)
    certificate_file = file_field(
        "Certificate file (.p12)",
        "The push certificate with its private key, exported from the Keychain; or both as PEM.",
        accept=".p12,.pfx,.pem",
    )
    password = forms.CharField(
        label="Password of the file",
        required=False,
        max_length=200,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="The one it was exported with. It is not kept.",
    )

    kept_login: dict[str, Any]
    certificate: PushCertificate | None = None

    def __init__(self, *args: Any, credential: ProviderCredential, **kwargs: Any) -> None:
        known = credential.data if credential.pk else {}
        shown = {name: known[name] for name in ("key_id", "team_id", "topic") if name in known}
        shown["login"] = CERTIFICATE if "certificate_pem" in known else KEY
        kwargs["initial"] = {**shown, "environment": credential.environment}
        super().__init__(*args, credential=credential, **kwargs)
        asked = {"key_id", "team_id", "topic"}
        if "certificate_pem" not in known:
            asked.add("certificate_file")
        for name in asked:
            self.fields[name].wanted = True  # type: ignore[attr-defined]
        if credential.pk:
            del self.fields["environment"]  # tokens belong to one of the two: make another
            replaced = "certificate_file" if shown["login"] == CERTIFICATE else "file"
            self.fields[replaced].help_text = "Choose it only to replace the one we keep."

    def clean_environment(self) -> str:
        value: str = self.cleaned_data["environment"]
        if self.credential.application.credentials.filter(
            provider=self.credential.provider, environment=value
        ).exists():
            raise forms.ValidationError(
                "This application already has a key for this environment: change that one."
            )
        return value

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("login") == CERTIFICATE:
            self._clean_certificate()
        else:
            self._clean_key()
        return self.cleaned_data

    def _clean_key(self) -> None:
        for name in ("key_id", "team_id"):
            value = str(self.cleaned_data.get(name, "")).strip().upper()
            if name not in self.errors and not re.fullmatch(r"[A-Z0-9]{10}", value):
                self.add_error(name, "Enter its ten letters and digits, as Apple shows them.")
            self.cleaned_data[name] = value
        self._clean_topic("")
        pem = self._key_pem()
        names = ("key_id", "team_id", "topic")
        self.kept_login = {name: self.cleaned_data.get(name) for name in names} | {"key_pem": pem}

    def _key_pem(self) -> str:
        text = self._text("key_text", "file")
        if "file" in self.errors or "key_text" in self.errors:
            return ""
        if text:
            key = private_key(text)
            if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
                field = "file" if self.cleaned_data.get("file") else "key_text"
                self.add_error(
                    field, "This is not an APNs key. Choose the .p8 file as Apple gave it."
                )
        elif self.credential.pk and "key_pem" in self.credential.data:
            return str(self.credential.data["key_pem"])
        else:
            self.add_error("file", "Choose the .p8 file, or paste what it holds.")
        return text

    def _clean_certificate(self) -> None:
        data = self._bytes("certificate_file")
        password = self.cleaned_data.get("password", "")
        if not data and self.credential.pk and "certificate_pem" in self.credential.data:
            data, password = self.credential.data["certificate_pem"].encode(), ""
        if "certificate_file" in self.errors:
            return
        if not data:
            self.add_error("certificate_file", "Choose the certificate, exported as a .p12 file.")
            return
        try:
            certificate = PushCertificate.read(data, password)
        except CertificateError as problem:
            field = "password" if isinstance(problem, PasswordError) else "certificate_file"
            self.add_error(field, str(problem))
            return
        self.certificate = certificate
        self._clean_topic(certificate.topic)
        self._check_use(certificate)
        self.kept_login = {
            "topic": self.cleaned_data.get("topic"),
            "certificate_pem": certificate.pem,
        }

    def _check_use(self, certificate: PushCertificate) -> None:
        topic = str(self.cleaned_data.get("topic", ""))
        if certificate.topic and not f"{topic}.".startswith(f"{certificate.topic}."):
            self.add_error(
                "topic", f"This certificate is for {certificate.topic}: enter that bundle ID."
            )
        if certificate.ends <= timezone.now():
            self.add_error(
                "certificate_file",
                f"This certificate ended on {certificate.ends:%-d %B %Y}. Make a new one under"
                " Apple Developer → Certificates.",
            )
        environment = Environment(
            self.cleaned_data.get("environment") or self.credential.environment
        )
        if certificate.environments and environment not in certificate.environments:
            name = next(iter(certificate.environments)).label
            self.add_error("certificate_file", f"This certificate is for {name} alone.")

    def _clean_topic(self, of_certificate: str) -> None:
        """The certificate names it where nobody typed it."""
        value = str(self.cleaned_data.get("topic", "")).strip() or of_certificate
        if "topic" not in self.errors and not re.fullmatch(r"[A-Za-z0-9.-]+", value):
            self.add_error(
                "topic",
                "A bundle ID has letters, digits, dots and hyphens, such as com.example.shop.",
            )
        self.cleaned_data["topic"] = value

    def hint(self) -> str:
        topic = self.cleaned_data["topic"]
        if self.certificate is not None:
            return f"{topic}, certificate until {self.certificate.ends:%-d %B %Y}"
        return f"{topic}, key …{self.cleaned_data['key_id'][-4:]}"

    def ends_at(self) -> datetime | None:
        return self.certificate.ends if self.certificate is not None else None

    def kept(self) -> dict[str, Any]:
        return self.kept_login
