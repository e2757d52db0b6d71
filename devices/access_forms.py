"""What people type about the keys and users of other systems."""

import ipaddress
import re
from typing import Any

from django import forms
from django.utils import timezone

from devices import access
from devices.models import ApiKey, ApiUser, Application

MOST_ADDRESSES = 100
ONLY_THIS_MACHINE = "127.0.0.1"  # where Insider's list starts (contract/insider.md 1)
EXISTING = "Only if your systems have one that is to stay: paste it. Else one is made for you."


class _ScopesForm(forms.Form):
    scopes = forms.MultipleChoiceField(
        label="May",
        required=False,
        choices=list(access.SCOPES.items()),
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scopes"].wanted = True  # type: ignore[attr-defined]

    def clean_scopes(self) -> list[str]:
        chosen: list[str] = self.cleaned_data["scopes"]
        if not chosen and self.needs_scopes():
            raise forms.ValidationError("Choose at least one: without any, every call is refused.")
        return chosen

    def needs_scopes(self) -> bool:
        return True


class _AddressesField(forms.CharField):
    """Addresses and networks, as a list in one spelling."""

    def __init__(self, **given: Any) -> None:
        rows = {"rows": 3, "class": "is-code", "placeholder": "203.0.113.7"}
        super().__init__(
            label="Only from",
            required=False,
            max_length=5000,
            widget=forms.Textarea(attrs=rows),
            help_text="Addresses or networks such as 203.0.113.0/24, one a line. "
            "Empty: from anywhere.",
            **given,
        )

    def clean(self, value: Any) -> list[str]:
        told = re.split(r"[\s,;]+", super().clean(value).strip())
        found = []
        for each in filter(None, told):
            try:
                found.append(str(ipaddress.ip_network(each, strict=False)))
            except ValueError:
                raise forms.ValidationError(
                    f"“{each[:60]}” is no address. Write it like 203.0.113.7 or 203.0.113.0/24."
                ) from None
        if len(found) > MOST_ADDRESSES:
            raise forms.ValidationError(f"At most {MOST_ADDRESSES}: name whole networks instead.")
        return list(dict.fromkeys(found))


class KeyForm(_ScopesForm):
    """A key: whose API, what it may do, from where and until when."""

    name = forms.CharField(
        max_length=100, help_text="Which system calls with it, so that you know what stops."
    )
    family = forms.ChoiceField(
        label="API", choices=ApiKey.Family.choices, widget=forms.RadioSelect, initial="infobip"
    )
    application = forms.ModelChoiceField(
        Application.objects.all(),
        required=False,
        empty_label="All applications",
        help_text="Whose devices it reaches: a push goes to the one that somebody used last.",
    )
    addresses = _AddressesField()
    insider_addresses = _AddressesField(initial=ONLY_THIS_MACHINE)
    expires_on = forms.DateField(
        label="Valid until",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The last day, in UTC. Empty: until somebody revokes it.",
    )
    secret = forms.CharField(
        label="Key",
        required=False,
        max_length=access.LONGEST_SECRET,
        widget=forms.TextInput(attrs={"class": "is-code", "autocomplete": "off"}),
        help_text=EXISTING,
    )

    def __init__(self, *args: Any, key: ApiKey, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.key = key
        if key.pk:  # what it is for cannot change, and its secret is nobody's business any more
            for name in ("family", "application", "insider_addresses", "secret"):
                del self.fields[name]
            self.initial = {
                "name": key.name,
                "scopes": key.scopes,
                "addresses": "\n".join(key.addresses),
                "expires_on": key.expires_at.date() if key.expires_at else None,
            }

    def needs_scopes(self) -> bool:
        """Insider's API has one call for all; Infobip's tell scopes apart."""
        family = self.data.get("family", self.key.family)
        return bool(family != ApiKey.Family.INSIDER)

    def clean_expires_on(self) -> Any:
        day = self.cleaned_data["expires_on"]
        if day is not None and day < timezone.now().date():
            raise forms.ValidationError("This day is over. To end the key now, revoke it.")
        return day

    def clean_secret(self) -> str:
        return _checked(self.cleaned_data["secret"])

    def clean(self) -> dict[str, Any]:
        """Either list is for its own family: Insider's starts with this machine alone."""
        data = self.cleaned_data
        if data.get("family") == ApiKey.Family.INSIDER:
            data["addresses"] = data.get("insider_addresses", [])
        return data


class UserForm(_ScopesForm):
    """A name and a password for Basic authorization."""

    field_order = ("username", "scopes", "secret")
    username = forms.CharField(
        label="Name", max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    secret = forms.CharField(
        label="Password",
        required=False,
        max_length=access.LONGEST_SECRET,
        widget=forms.TextInput(attrs={"class": "is-code", "autocomplete": "off"}),
        help_text=EXISTING,
    )

    def __init__(self, *args: Any, user: ApiUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if user.pk:
            del self.fields["secret"]
            del self.fields["username"]
            self.initial["scopes"] = user.scopes

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        if ":" in name:
            raise forms.ValidationError("A name in Basic authorization holds no colon.")
        if ApiUser.objects.filter(username=name).exists():
            raise forms.ValidationError("There is a user of this name already. Choose another.")
        return name

    def clean_secret(self) -> str:
        return _checked(self.cleaned_data["secret"])


def _checked(secret: str) -> str:
    """One that comes from elsewhere must be one that nobody guesses, and that a header carries."""
    if not secret:
        return ""
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise forms.ValidationError("A header cannot carry this: use letters, digits and signs.")
    if len(secret) < access.SHORTEST_SECRET:
        raise forms.ValidationError(
            f"Too short to be safe: at least {access.SHORTEST_SECRET} characters."
        )
    return secret
