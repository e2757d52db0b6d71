"""What people type about the account of an SMS gateway."""

import re
import secrets
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django import forms

from devices.credential_fields import code_field, secret_field
from devices.forms import CredentialForm
from devices.models import ProviderCredential

INFOBIP, INFOBIP_OLD, TWILIO = "infobip", "infobip_v2", "twilio"
SHAPES = [(INFOBIP, "Infobip"), (INFOBIP_OLD, "Infobip, older API"), (TWILIO, "Twilio")]
# What each kind of gateway needs besides a sender; the others are hidden and not kept.
NEEDS = {
    INFOBIP: ("base_url", "api_key"),
    INFOBIP_OLD: ("base_url", "api_key"),
    TWILIO: ("account_sid", "auth_token"),
}
SECRETS = {"api_key", "auth_token"}
_INSIDE = (".local", ".localhost", ".internal", ".intranet", ".lan", ".home", ".corp", ".arpa")
_HOST = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*")
_LETTERS = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ._&+-]{1,11}")
_DIGITS = re.compile(r"\+?[0-9]{3,15}")
_SERVICE = re.compile(r"MG[0-9a-f]{32}")


class SmsCredentialForm(CredentialForm):
    """An account with Infobip or Twilio, and what a part of a message costs there."""

    shape = forms.ChoiceField(
        label="Gateway", choices=SHAPES, widget=forms.RadioSelect, initial=INFOBIP
    )
    base_url = code_field(
        "Base URL",
        "Infobip portal → Developers: the address of your account.",
        most=300,
        placeholder="https://xyz.api.infobip.com",
    )
    api_key = secret_field(
        "API key", "With the right to send SMS and to read the balance.", most=300
    )
    account_sid = code_field(
        "Account SID", "Twilio console → Account info.", most=34, placeholder="AC…"
    )
    auth_token = secret_field(
        "Auth token", "Beside the SID. Twilio signs its delivery reports with it.", most=100
    )
    sender = forms.CharField(
        max_length=34,
        widget=forms.TextInput(attrs={"placeholder": "Shop"}),
        help_text="Up to 11 letters and digits, a number, or the SID of a messaging service. "
        "Register it with the gateway first.",
    )
    price = forms.DecimalField(
        label="Price per part",
        required=False,
        min_value=0,
        max_digits=12,
        decimal_places=6,
        widget=forms.NumberInput(attrs={"step": "any", "min": "0", "placeholder": "0.045"}),
        help_text="What one SMS of 160 letters costs you: for the estimate before a launch.",
    )
    currency = forms.CharField(
        required=False,
        max_length=3,
        initial="EUR",
        widget=forms.TextInput(attrs={"class": "is-code"}),
        help_text="Three letters, such as EUR.",
    )
    renew_callback = forms.BooleanField(
        label="Make a new address for delivery reports",
        required=False,
        help_text="Reports to the old one are refused from then on, also those of messages "
        "that are on their way.",
    )

    def __init__(self, *args: Any, credential: ProviderCredential, **kwargs: Any) -> None:
        known = credential.data if credential.pk else {}
        shown = {name: value for name, value in known.items() if name not in SECRETS}
        kwargs["initial"] = {**shown, **(kwargs.get("initial") or {})}
        super().__init__(*args, credential=credential, **kwargs)
        self.fields["rate"].help_text = "Empty: 20. What your contract with the gateway says."
        for name in {name for names in NEEDS.values() for name in names}:
            self.fields[name].wanted = True  # type: ignore[attr-defined]
        if credential.pk:
            for name in SECRETS & set(known):
                self.fields[name].help_text = "Enter it only to replace the one we keep."
        else:
            del self.fields["renew_callback"]

    def clean_base_url(self) -> str:
        return gateway_url(self.cleaned_data["base_url"])

    def clean_account_sid(self) -> str:
        value: str = self.cleaned_data["account_sid"].strip()
        if value and not re.fullmatch(r"AC[0-9a-f]{32}", value):
            raise forms.ValidationError("An account SID is AC and 32 letters and digits.")
        return value

    def clean_sender(self) -> str:
        value: str = self.cleaned_data["sender"].strip()
        if not any(form.fullmatch(value) for form in (_LETTERS, _DIGITS, _SERVICE)):
            raise forms.ValidationError(
                "Enter 1 to 11 letters and digits, or a number of 3 to 15 digits."
            )
        return value

    def clean_currency(self) -> str:
        value: str = self.cleaned_data["currency"].strip().upper()
        if value and not re.fullmatch(r"[A-Z]{3}", value):
            raise forms.ValidationError("Enter the three letters of a currency, such as EUR.")
        return value

    def clean(self) -> dict[str, Any]:
        said = self.cleaned_data
        for name in NEEDS.get(said.get("shape", ""), ()):
            if name not in self.errors and not self._value(name):
                self.add_error(name, f"Enter the {self.fields[name].label}, as the gateway shows.")
        for name in SECRETS & set(said):
            if not (said[name].isascii() and said[name].isprintable()):
                self.add_error(name, "It has characters that no gateway gives out: copy it anew.")
        if said.get("shape") != TWILIO and _SERVICE.fullmatch(said.get("sender", "")):
            self.add_error("sender", "A messaging service is Twilio's: enter a sender's name.")
        if said.get("price") is not None and not said.get("currency", "-"):
            self.add_error("currency", "Enter the currency of the price, such as EUR.")
        return said

    def _value(self, name: str) -> str:
        """What was typed, or the secret we keep."""
        typed = str(self.cleaned_data.get(name) or "").strip()
        if typed or name not in SECRETS or not self.credential.pk:
            return typed
        return str(self.credential.data.get(name, ""))

    def hint(self) -> str:
        said = self.cleaned_data
        shape = dict(SHAPES)[said["shape"]]
        last = NEEDS[said["shape"]][1]
        return f"{shape}, from {said['sender']}, key …{self._value(last)[-4:]}"

    def kept(self) -> dict[str, Any]:
        said = self.cleaned_data
        kept = {name: self._value(name) for name in NEEDS[said["shape"]]}
        kept |= {"shape": said["shape"], "sender": said["sender"], "callback": self._callback()}
        if said["price"] is not None:
            kept |= {"price": str(said["price"]), "currency": said["currency"]}
        return kept

    def _callback(self) -> str:
        """Where reports come to, after /callbacks/sms/: nobody can guess it."""
        known = self.credential.data.get("callback") if self.credential.pk else None
        if known and not self.cleaned_data.get("renew_callback"):
            return str(known)
        return f"{self.credential.application_id}/{secrets.token_urlsafe(24)}"


def gateway_url(text: str) -> str:
    """The base URL of a gateway, without its end; "" for nothing. Raises ValidationError."""
    text = text.strip()
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise forms.ValidationError("This is not an address.") from None
    if parts.scheme != "https":
        raise forms.ValidationError("It must begin with https://, or anybody could read the key.")
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise forms.ValidationError("Enter only https:// and the host, without a path.")
    host = (parts.hostname or "").rstrip(".")
    if _leads_inside(host):
        raise forms.ValidationError("This address leads into a private network.")
    if not _HOST.fullmatch(host):
        raise forms.ValidationError("Enter the host as the gateway shows it.")
    return f"https://{host}" if port in (None, 443) else f"https://{host}:{port}"


def _leads_inside(host: str) -> bool:
    """Also an address in digits: a gateway has a name, and its certificate too."""
    try:
        ip_address(host)
    except ValueError:
        return "." not in host or f".{host}".endswith(_INSIDE)
    return True
