"""What people type about people: whom they look for, whose a device is, what is known."""

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.html import format_html

from devices import normalizing
from devices.attributes import JSON, is_date
from devices.errors import (
    ContactLimitError,
    DeviceError,
    IdentityTakenError,
    PersonError,
    TagError,
)
from devices.models import Application, AttributeDefinition, Identity, Person
from devices.personalizing import MOST_CONTACTS, Described, Identities

Type = AttributeDefinition.Type
MOST_TYPED = 4096  # characters; a token may be pasted
MOST_TAGS = 500
MOST_CONFLICTS = 5  # that are told beside one field
ONLY_WRITTEN_BY_SYSTEMS = (
    "This attribute is a list, which the app and the APIs write. Here it can only be taken away."
)
LANGUAGE = r"^[a-z]{2}(-[A-Z]{2})?$"
_CONTACTS = {
    "external_id": Identity.Kind.EXTERNAL_ID,
    "phones": Identity.Kind.PHONE,
    "emails": Identity.Kind.EMAIL,
}


class PersonSearchForm(forms.Form):
    q = forms.CharField(required=False, max_length=MOST_TYPED)


class OwnerForm(forms.Form):
    """To whom a device belongs, by what they are known."""

    phone = forms.CharField(
        required=False,
        max_length=50,
        widget=forms.TextInput(attrs={"inputmode": "tel", "placeholder": "+44 7700 900123"}),
        help_text="With its country code. Spaces do not matter.",
    )
    email = forms.CharField(label="E-mail", required=False, max_length=255)
    external_id = forms.CharField(
        label="External ID",
        required=False,
        max_length=256,
        help_text="What your own systems call the person.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.update(autocomplete="off", spellcheck="false")

    def clean_phone(self) -> str:
        typed = _digits(self.cleaned_data["phone"])
        return _normal("phone", typed, "Enter 5 to 15 digits that begin with a country code.")

    def clean_email(self) -> str:
        typed = self.cleaned_data["email"].strip()
        return _normal("email", typed, "Enter an address such as name@example.com.")

    def clean_external_id(self) -> str:
        typed = self.cleaned_data["external_id"]
        return _normal("external_id", typed, "Enter at most 256 characters.")

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if not self.errors and not any(typed.values()):
            raise ValidationError("Enter a phone number, an e-mail address or an external ID.")
        return typed

    def identities(self) -> Identities:
        typed = self.cleaned_data
        return Identities.of(
            external_id=typed["external_id"],
            phones=[typed["phone"]] if typed["phone"] else [],
            emails=[typed["email"]] if typed["email"] else [],
        )


def _digits(typed: str) -> str:
    """A number without what people write between its digits."""
    return "".join(each for each in typed if each not in " ()/.-\u00a0")


def _normal(kind: str, typed: str, remedy: str) -> str:
    """What was typed, in the stored spelling."""
    if not typed:
        return ""
    try:
        return str(getattr(normalizing, kind)(typed))
    except DeviceError as error:
        raise ValidationError(remedy) from error


class PersonForm(forms.Form):
    """Everything that is known of a person, and by what they are known.

    A field that nobody touched says nothing, so that what an app told meanwhile stays.
    """

    first_name = forms.CharField(required=False, max_length=255)
    middle_name = forms.CharField(required=False, max_length=50)
    last_name = forms.CharField(required=False, max_length=255)
    phones = forms.CharField(
        label="Phone numbers",
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 2, "inputmode": "tel"}),
        help_text="One in each line, with its country code.",
    )
    emails = forms.CharField(
        label="E-mail addresses",
        required=False,
        max_length=30_000,
        widget=forms.Textarea(attrs={"rows": 2, "inputmode": "email"}),
        help_text="One in each line.",
    )
    external_id = forms.CharField(
        label="External ID",
        required=False,
        max_length=256,
        help_text="What your own systems call the person.",
    )
    kind = forms.ChoiceField(label="Type", required=False, choices=Person.Kind.choices)
    tags = forms.CharField(
        required=False,
        max_length=20_000,
        help_text="Separated by commas. Segments find people by them.",
    )
    gender = forms.ChoiceField(required=False, choices=Person.Gender.choices)
    birthday = forms.DateField(
        required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    preferred_language = forms.RegexField(
        LANGUAGE,
        required=False,
        max_length=5,
        error_messages={"invalid": "Enter a language such as en or en-GB."},
        help_text="Such as en or en-GB.",
    )
    address = forms.CharField(required=False, max_length=256)
    city = forms.CharField(required=False, max_length=50)
    country = forms.CharField(required=False, max_length=50)
    profile_picture = forms.URLField(
        label="Picture", required=False, max_length=2083, assume_scheme="https",
        help_text="Its address on the web.",
    )  # fmt: skip

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        self.person = person
        known = {name: getattr(person, name) for name in self.base_fields if name not in _CONTACTS}
        known["tags"] = ", ".join(person.tags)
        by_kind: dict[int, list[str]] = {}
        for each in person.identities.all():
            by_kind.setdefault(each.kind, []).append(each.value)
        known |= {name: "\n".join(by_kind.get(kind, [])) for name, kind in _CONTACTS.items()}
        kwargs["initial"] = known
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = True
            field.widget.attrs.setdefault("autocomplete", "off")

    def clean_tags(self) -> list[str]:
        typed = [each.strip() for each in self.cleaned_data["tags"].split(",")]
        tags = [each for each in typed if each]
        if any(len(each) > 256 for each in tags):
            raise ValidationError("Make each tag at most 256 characters long.")
        if len(set(tags)) > MOST_TAGS:
            raise ValidationError(f"Enter at most {MOST_TAGS} tags.")
        return tags

    def clean_phones(self) -> list[str]:
        typed = [_digits(each) for each in self.cleaned_data["phones"].splitlines()]
        return self._contacts("phone", typed, "Enter 5 to 15 digits that begin with a country code")

    def clean_emails(self) -> list[str]:
        typed = [each.strip() for each in self.cleaned_data["emails"].splitlines()]
        return self._contacts("email", typed, "Enter an address such as name@example.com")

    def _contacts(self, kind: str, typed: list[str], remedy: str) -> list[str]:
        contacts = [
            _normal(kind, each, f"“{each[:50]}” is none. {remedy}.") for each in typed if each
        ]
        if len(set(contacts)) > MOST_CONTACTS:
            raise ValidationError(f"Enter at most {MOST_CONTACTS}.")
        return list(dict.fromkeys(contacts))

    def clean_external_id(self) -> str:
        typed = self.cleaned_data["external_id"]
        return _normal("external_id", typed, "Enter at most 256 characters.")

    def described(self) -> Described:
        """What was changed, compared with what the form showed when it was opened."""
        said = {name: self.cleaned_data[name] for name in self.fields if self._changed(name)}
        if "gender" in said:
            said["gender"] = Person.Gender(said["gender"])
        if "kind" in said:
            said["kind"] = Person.Kind(said["kind"] or self.person.kind)
        return Described(**said)

    def _changed(self, name: str) -> bool:
        shown = self.data.get(self.add_initial_prefix(name))
        if shown is None:  # of one who posts no more than what they mean
            return name in self.data
        return _lines(shown) != _lines(self.data.get(name) or "")

    def refuse(self, refusal: PersonError, application: Application) -> None:
        """Say beside its field why it could not be kept, and whose the identity is."""
        match refusal:
            case IdentityTakenError():
                self._say_whose(application)
            case ContactLimitError():
                self.add_error(refusal.name, f"A person has at most {refusal.most}.")
            case TagError():
                self.add_error("tags", f"Each tag should be {refusal}.")
        if not self.errors:
            self.add_error(None, f"{refusal}.")

    def _say_whose(self, application: Application) -> None:
        for name, kind in _CONTACTS.items():
            said = self.cleaned_data[name]
            wanted = Identity.objects.filter(kind=kind, value__in=[said] if kind == 1 else said)
            others = wanted.exclude(person=self.person).select_related("person")
            taken = [
                format_html(
                    '{} belongs to <a href="{}">{}</a>. Leave it out, or take it from them first.',
                    each.value,
                    reverse("devices:person", args=[application.pk, each.person_id]),
                    each.person,
                )
                for each in others[:MOST_CONFLICTS]
            ]
            if taken:
                self.add_error(name, [ValidationError(each) for each in taken])


def _lines(text: str) -> list[str]:
    """As a browser sends them they end differently."""
    return text.strip().splitlines()


class AttributeForm(forms.Form):
    """A custom attribute. One that is known keeps its type; a new one gets that which is chosen."""

    KINDS = (Type.TEXT, Type.NUMBER, Type.BOOLEAN, Type.DATE)
    name = forms.CharField(max_length=256, strip=False)
    type = forms.ChoiceField(
        choices=[(each.value, each.label) for each in KINDS],
        required=False,
        help_text="Of a new attribute. One that is known keeps its own.",
    )
    value = forms.CharField(max_length=4096, required=False, strip=False)
    remove = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, *args: Any, known: Mapping[str, AttributeDefinition.Type] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.known = known or {}
        for field in self.fields.values():
            field.widget.attrs["autocomplete"] = "off"

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if not self.errors and not typed["remove"]:
            self.kept()
        return typed

    def kept(self) -> JSON:
        """What was typed, in its type; None: the attribute goes. Raises ValidationError."""
        typed = self.cleaned_data
        if typed["remove"]:
            return None
        text: str = typed["value"]
        match self.known.get(typed["name"], typed["type"] or Type.TEXT):
            case Type.NUMBER:
                return _number(text.strip())
            case Type.BOOLEAN:
                known = {"yes": True, "true": True, "no": False, "false": False}
                if text.strip().lower() not in known:
                    raise ValidationError({"value": "Enter yes or no."})
                return known[text.strip().lower()]
            case Type.DATE:
                if not is_date(text.strip()):
                    raise ValidationError({"value": "Enter a day such as 2026-11-24."})
                return text.strip()
            case Type.LIST:
                raise ValidationError({"name": ONLY_WRITTEN_BY_SYSTEMS})
        return text


def _number(text: str) -> int | float:
    if re.fullmatch(r"[+-]?[0-9]{1,19}", text):
        return int(text)
    if re.fullmatch(r"[+-]?[0-9]{1,15}[.][0-9]{1,15}", text):
        return float(text)
    raise ValidationError({"value": "Enter a number such as 7 or 9.5."})
