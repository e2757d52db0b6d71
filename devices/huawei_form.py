"""What people type about their app in Huawei's AppGallery Connect."""

import json
import re
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from django import forms
from django.conf import settings
from django.urls import reverse

from devices.credential_fields import code_field, file_field, pasted_field, secret_field
from devices.forms import CredentialForm, private_key
from devices.models import ProviderCredential

CATEGORIES = [
    "MARKETING", "ACCOUNT", "DEVICE_REMINDER", "EXPRESS", "FINANCE", "HEALTH", "IM", "MAIL",
    "PLAY_VOICE", "SUBSCRIPTION", "TRAVEL", "VOIP", "WORK",
]  # fmt: skip
SECRETS = ("client_secret", "callback_key")
CALLBACK = ("callback_user", "callback_key")  # what receipts are signed with
OPTIONS = ("category", "badge_class", "receipt_id", "callback_user")


class HuaweiCredentialForm(CredentialForm):
    """An OAuth client, a service account, or both; and how receipts come back."""

    client_id = code_field(
        "App ID",
        "AppGallery Connect → Project settings → General information.",
        most=20,
        placeholder="101234567",
    )
    client_secret = secret_field(
        "Client secret", "Beside the app ID: OAuth 2.0 client secret.", most=300
    )
    file = file_field(
        "Service account file",
        "Only HarmonyOS 5 needs it. Huawei's API console → Service accounts.",
        accept=".json,application/json",
    )
    json_text = pasted_field('{"project_id": "…", …}', rows=4)
    category = forms.ChoiceField(
        label="Category of messages",
        choices=[(name, name.replace("_", " ").capitalize()) for name in CATEGORIES],
        initial="MARKETING",
        help_text="Without Huawei's permission for another one, all count as marketing.",
    )
    badge_class = code_field(
        "Main activity",
        "The class that opens the app: without it no badge can be set.",
        most=200,
        placeholder="com.example.shop.Main",
    )
    callback_user = code_field(
        "User name for receipts",
        "As you choose it in the console, where you set up message receipts.",
        most=100,
    )
    callback_key = secret_field(
        "Key for receipts",
        "Huawei signs each receipt with it. Without it we refuse them all.",
        most=300,
    )
    receipt_id = code_field(
        "Receipt ID",
        "Which of the console's receipt addresses is ours; empty: the default one.",
        most=100,
        placeholder="RCP3C6D2F1A",
    )

    account: dict[str, Any] | None = None

    def __init__(self, *args: Any, credential: ProviderCredential, **kwargs: Any) -> None:
        known = credential.data if credential.pk else {}
        shown = {name: known[name] for name in ("client_id", *OPTIONS) if name in known}
        kwargs["initial"] = {**shown, **(kwargs.get("initial") or {})}
        super().__init__(*args, credential=credential, **kwargs)
        for name in SECRETS:
            if known.get(name):
                self.fields[name].help_text = "Enter it only to replace the one we keep."
        if known.get("service_account"):
            self.fields["file"].help_text = "Choose it only to replace the one we keep."

    @property
    def callback_url(self) -> str:
        """Where Huawei's console is to send receipts."""
        code = self.credential.application.code
        return settings.PUBLIC_BASE_URL + reverse("api:huawei-receipts", args=[code])

    def clean_client_id(self) -> str:
        value: str = self.cleaned_data["client_id"].strip()
        if value and not re.fullmatch(r"[0-9]+", value):
            raise forms.ValidationError("An app ID has digits only, as AppGallery Connect shows.")
        return value

    def clean_badge_class(self) -> str:
        value: str = self.cleaned_data["badge_class"].strip()
        if value and not re.fullmatch(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)+", value, re.ASCII):
            raise forms.ValidationError("Enter a class with its package: com.example.shop.Main.")
        return value

    def clean_receipt_id(self) -> str:
        value: str = self.cleaned_data["receipt_id"].strip()
        if value and not re.fullmatch(r"[A-Za-z0-9_-]+", value):
            raise forms.ValidationError("A receipt ID has letters and digits, as in the console.")
        return value

    def clean(self) -> dict[str, Any]:
        said = self.cleaned_data
        text = self._text("json_text", "file")
        if text:
            try:
                self.account = service_account(text)
            except forms.ValidationError as error:
                self.add_error("file" if said.get("file") else "json_text", error)
        elif self.credential.pk:
            self.account = self.credential.data.get("service_account")
        for name in SECRETS:
            value = said.get(name, "")
            if not (value.isascii() and value.isprintable()):
                self.add_error(name, "It has characters that Huawei does not give out: copy anew.")
        if not self.errors:
            self._belongs_together(said)
        return said

    def _belongs_together(self, said: dict[str, Any]) -> None:
        client_id, user, key = (said[name] for name in ("client_id", *CALLBACK))
        if client_id and not self._secret("client_secret"):
            self.add_error("client_secret", "Enter the client secret, as Huawei shows it.")
        if not client_id and self.account is None:
            self.add_error("client_id", "Enter the app ID, or choose a service account file.")
        if user and not self._secret("callback_key"):
            self.add_error("callback_key", "Enter the key that belongs to this user name.")
        if key and not user:
            self.add_error("callback_user", "Enter the user name that belongs to this key.")

    def _secret(self, name: str) -> str:
        """What was typed, or what we keep."""
        typed = str(self.cleaned_data.get(name) or "").strip()
        if typed or not self.credential.pk:
            return typed
        return str(self.credential.data.get(name, ""))

    def hint(self) -> str:
        client_id = self.cleaned_data["client_id"]
        if client_id:
            return f"App {client_id}, secret …{self._secret('client_secret')[-4:]}"
        assert self.account is not None
        return f"Project {self.account['project_id']}, key …{self.account['key_id'][-4:]}"

    def kept(self) -> dict[str, Any]:
        said = self.cleaned_data
        kept: dict[str, Any] = {name: said[name].strip() for name in OPTIONS if said[name]}
        if said["client_id"]:
            secret = self._secret("client_secret")
            kept |= {"client_id": said["client_id"], "client_secret": secret}
        if self.account is not None:
            kept["service_account"] = self.account
        if said["callback_user"]:
            kept["callback_key"] = self._secret("callback_key")
        return kept


def service_account(text: str) -> dict[str, Any]:
    """Read Huawei's service-account file; raises ValidationError that names member and fix."""
    try:
        account = json.loads(text)
    except (ValueError, RecursionError):
        raise forms.ValidationError(
            "This is not JSON. Paste the whole file, from the first brace to the last."
        ) from None
    for name in ("project_id", "key_id", "sub_account", "private_key"):
        value = account.get(name) if isinstance(account, dict) else None
        if not isinstance(value, str) or not value.strip():
            raise forms.ValidationError(f'"{name}" is missing. Use the file as Huawei gave it.')
    if not re.fullmatch(r"[0-9]{1,30}", account["project_id"].strip()):
        raise forms.ValidationError('"project_id" has digits only. Use the file as Huawei gave it.')
    if not isinstance(private_key(account["private_key"]), rsa.RSAPrivateKey):
        raise forms.ValidationError(
            '"private_key" is not an RSA key in PEM. Use the file as Huawei gave it.'
        )
    return {name: account[name] for name in ("project_id", "key_id", "sub_account", "private_key")}
