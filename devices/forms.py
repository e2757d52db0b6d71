"""What people type about applications, their credentials, and the devices they look for."""

import json
from abc import ABCMeta, abstractmethod
from datetime import datetime
from typing import Any, ClassVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.forms.forms import DeclarativeFieldsMetaclass

from devices.credential_fields import LARGEST_KEY_FILE, file_field, pasted_field
from devices.models import Application, ImportRun, Platform, ProviderCredential
from devices.zones import zone_choices

LONGEST_CAP = 720  # hours: a month
LARGEST_IMPORT = 500 * 10**6  # bytes; about five million devices


class ApplicationForm(forms.ModelForm[Application]):
    """Name and purpose; the codes are made by us."""

    class Meta:
        model = Application
        fields: tuple[str, ...] = ("name", "description")
        help_texts: ClassVar = {
            "name": "As your team calls it. People who get a push do not see it.",
            "description": "What it is for, when the name alone does not say it.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["autocomplete"] = "off"


class ApplicationSettingsForm(ApplicationForm):
    """Everything about an application that people decide."""

    ttl_hours = forms.DecimalField(
        label="Keep trying for",
        max_value=72,
        decimal_places=2,
        widget=forms.NumberInput(attrs={"step": "any", "min": "0.01", "max": "72"}),
        help_text="Hours, at most 72. A device that is offline longer does not get the push. "
        "Each campaign can choose another time.",
    )

    default_zone = forms.ChoiceField(
        label="Time zone",
        choices=zone_choices,
        required=False,
        help_text="Where a device is taken to be that does not tell its own; what the calendar "
        "and new schedules go by.",
    )

    class Meta(ApplicationForm.Meta):
        fields = (
            "name", "description", "sdk", "android_display", "rate", "user_data_from_apps",
            "secure_inbox", "cap_count", "cap_hours", "quiet_from", "quiet_to", "default_zone",
            "needs_approval",
        )  # fmt: skip
        labels: ClassVar = {
            "cap_count": "Most pushes per person",
            "cap_hours": "In so many hours",
            "needs_approval": "A second person approves each campaign",
            "quiet_from": "Quiet hours from",
            "quiet_to": "Quiet hours until",
            "sdk": "SDK in the app",
            "android_display": "On Android",
            "rate": "Most messages a second",
            "user_data_from_apps": "Apps may change what is known of people",
            "secure_inbox": "Only signed-in people may read their inbox",
        }
        help_texts: ClassVar = {
            **ApplicationForm.Meta.help_texts,
            "sdk": "Decides the form in which a push is packed, so that the app understands it.",
            "android_display": "With the SDK, the app draws the notification and reports its "
            "delivery. With Android, it shows without the app, and nothing is reported.",
            "rate": "Of all campaigns together, so that your servers can take the visitors. "
            "Empty: as fast as the clouds take it.",
            "user_data_from_apps": "The application code is public, so anybody who has the app "
            "can call as it. Off: names, tags and attributes come from your own systems alone.",
            "cap_count": "Of campaigns that are not transactional, and of what Insider's push API "
            "sends with the frequency cap on: who had so many is left out. What fails or is "
            "cancelled does not count. It counts what is sent from now on. Empty: no cap.",
            "needs_approval": "Who writes a campaign asks for it; somebody else who may launch "
            "campaigns approves it, and another than they launches it.",
            "quiet_from": "By the clock where the recipient is: campaigns wait for their end. "
            "Transactional ones and pushes of other systems do not.",
            "quiet_to": "Past midnight if it is the earlier one.",
            "cap_hours": f"From 1 to {LONGEST_CAP}, counted back from each push.",
            "secure_inbox": "The app then needs a user token, which your server signs with one of "
            "the keys below. Off: whoever knows an external ID can read that inbox.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("quiet_from", "quiet_to"):
            clock = forms.TimeInput(attrs={"type": "time", "autocomplete": "off"}, format="%H:%M")
            self.fields[name].widget = clock
        if self.instance.pk:
            self.initial["ttl_hours"] = f"{self.instance.default_ttl / 3600:.2f}".rstrip(
                "0"
            ).rstrip(".")

    def clean_ttl_hours(self) -> int:
        """In seconds, as it is kept."""
        seconds = int(self.cleaned_data["ttl_hours"] * 3600)
        if seconds < 30:
            raise forms.ValidationError("Enter at least 0.01 hours: clouds need half a minute.")
        return seconds

    def clean_default_zone(self) -> str:
        return self.cleaned_data["default_zone"] or self.instance.default_zone

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for name, other in (("cap_count", "cap_hours"), ("cap_hours", "cap_count")):
            if data.get(name) is not None and data.get(other) is None and other not in self.errors:
                self.add_error(
                    other, "A cap is a number of pushes in a number of hours: give both."
                )
        if (hours := data.get("cap_hours")) is not None and not 1 <= hours <= LONGEST_CAP:
            self.add_error("cap_hours", f"Enter 1 to {LONGEST_CAP} hours.")
        if data.get("cap_count") == 0:
            self.add_error("cap_count", "Enter at least 1, or nothing for no cap.")
        self._clean_quiet_hours(data)
        return data

    def _clean_quiet_hours(self, data: dict[str, Any]) -> None:
        for name, other in (("quiet_from", "quiet_to"), ("quiet_to", "quiet_from")):
            if data.get(name) is not None and data.get(other) is None and other not in self.errors:
                self.add_error(other, "Quiet hours have a beginning and an end: give both.")
        if data.get("quiet_from") is not None and data.get("quiet_from") == data.get("quiet_to"):
            self.add_error("quiet_to", "They would end as they begin: choose another time.")

    def save(self, commit: bool = True) -> Application:
        self.instance.default_ttl = self.cleaned_data["ttl_hours"]
        return super().save(commit)


class _AbstractForm(DeclarativeFieldsMetaclass, ABCMeta):
    """Forms whose subclasses must fill something in."""


class CredentialForm(forms.Form, metaclass=_AbstractForm):
    """What a cloud gave out. Kept secrets are not shown: empty fields leave them as they are."""

    rate = forms.IntegerField(
        label="Most messages a second",
        required=False,
        min_value=1,
        max_value=1_000_000,
        help_text="Empty: what the cloud usually allows.",
    )

    def __init__(self, *args: Any, credential: ProviderCredential, **kwargs: Any) -> None:
        kwargs["initial"] = {"rate": credential.rate, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)
        self.credential = credential
        for field in self.fields.values():
            field.widget.attrs.setdefault("autocomplete", "off")
            field.widget.attrs.setdefault("spellcheck", "false")

    @abstractmethod
    def hint(self) -> str:
        """What may be shown of it."""

    @abstractmethod
    def kept(self) -> dict[str, Any]:
        """All of it, to be encrypted."""

    def ends_at(self) -> datetime | None:
        """When the cloud stops taking it; None where it does not end by itself."""
        return None

    def _text(self, pasted: str, uploaded: str) -> str:
        """The secret from whichever of the two fields holds it; empty when none does."""
        if self.cleaned_data.get(uploaded) is None:
            return str(self.cleaned_data.get(pasted) or "").strip()
        try:
            return self._bytes(uploaded).decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            self.add_error(
                uploaded, "This file is not text. Choose the file as the provider gave it."
            )
            return ""

    def _bytes(self, uploaded: str) -> bytes:
        """What a file holds; nothing without one, or when it is far too large for a key."""
        file: UploadedFile[bytes] | None = self.cleaned_data.get(uploaded)
        if file is None:
            return b""
        if file.size is None or file.size > LARGEST_KEY_FILE:
            self.add_error(
                uploaded,
                f"This file is larger than {LARGEST_KEY_FILE:,} bytes, so it is no key file. "
                "Choose the file as the provider gave it.",
            )
            return b""
        return bytes(file.read())


class FcmCredentialForm(CredentialForm):
    """A service account of a Firebase project."""

    file = file_field(
        "Service account file",
        "Firebase console → Project settings → Service accounts → Generate new private key.",
        accept=".json,application/json",
    )
    json_text = pasted_field('{"type": "service_account", …}', rows=6)

    account: dict[str, Any]

    def clean(self) -> dict[str, Any]:
        text = self._text("json_text", "file")
        field = "file" if self.cleaned_data.get("file") else "json_text"
        if self.errors:
            return self.cleaned_data
        if not text:
            self.add_error("file", "Choose the service account file, or paste what it holds.")
            return self.cleaned_data
        try:
            self.account = service_account(text)
        except forms.ValidationError as error:
            self.add_error(field, error)
        return self.cleaned_data

    def hint(self) -> str:
        return f"Project {self.account['project_id']}, key …{self.account['private_key_id'][-4:]}"

    def kept(self) -> dict[str, Any]:
        return {"service_account": self.account}


def service_account(text: str) -> dict[str, Any]:
    """Read a Google service account; raises ValidationError that names the member and the fix."""
    try:
        account = json.loads(text)
    except (ValueError, RecursionError):
        raise forms.ValidationError(
            "This is not JSON. Paste the whole file, from the first brace to the last."
        ) from None
    if not isinstance(account, dict) or account.get("type") != "service_account":
        raise forms.ValidationError(
            'This is not a service account: its "type" is not "service_account". '
            "The file google-services.json of the app is another one."
        )
    for name in ("project_id", "private_key_id", "private_key", "client_email", "token_uri"):
        if not isinstance(account.get(name), str) or not account[name].strip():
            raise forms.ValidationError(f'"{name}" is missing. Use the file as Google gave it.')
    if not isinstance(private_key(account["private_key"]), rsa.RSAPrivateKey):
        raise forms.ValidationError(
            '"private_key" is not an RSA key in PEM. Use the file as Google gave it.'
        )
    return account


def private_key(pem: str) -> object:
    """The key of a PEM text; None for what holds none."""
    try:
        return load_pem_private_key(pem.strip().encode() + b"\n", password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


class DeviceSearchForm(forms.Form):
    """Which devices a list shows."""

    q = forms.CharField(required=False, max_length=4096)
    platform = forms.TypedChoiceField(
        required=False, choices=[("", "Every platform"), *Platform.choices], coerce=int,
        empty_value=None,
    )  # fmt: skip
    state = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Every state"),
            ("reachable", "Reachable"),
            ("muted", "Notifications off"),
            ("disabled", "Switched off"),
        ],
    )


class FileForm(forms.Form):
    """A CSV file."""

    file = forms.FileField(
        label="CSV file",
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        help_text="UTF-8, the first line names the columns. At most 500 MB.",
        error_messages={
            "required": "Choose a CSV file.",
            "empty": "The file is empty. Its first line must name the columns.",
        },
    )

    ELSE = " or run `manage.py import_devices`"  # what may be done with a larger one

    def clean_file(self) -> UploadedFile[bytes] | None:
        file: UploadedFile[bytes] | None = self.cleaned_data["file"]
        if file is not None and file.size is not None and file.size > LARGEST_IMPORT:
            raise forms.ValidationError(f"The file is larger than 500 MB. Split it,{self.ELSE}.")
        return file


class ImportForm(FileForm):
    """A file of devices or of people."""

    field_order = ("contents", "file")
    contents = forms.ChoiceField(
        label="Each row is",
        required=False,
        choices=[
            (ImportRun.Purpose.DEVICES, "a device, perhaps with its person"),
            (ImportRun.Purpose.PEOPLE, "a person"),
        ],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["contents"].wanted = True  # type: ignore[attr-defined]
