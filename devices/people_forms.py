"""What people type about people: whom they look for, whose a device is, what is known."""

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from devices import normalizing
from devices.attributes import JSON, is_date
from devices.errors import DeviceError
from devices.models import AttributeDefinition, Person
from devices.personalizing import Described, Identities

Type = AttributeDefinition.Type
MOST_TYPED = 4096  # characters; a token may be pasted


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
        typed = "".join(each for each in self.cleaned_data["phone"] if each not in " ()/.-\u00a0")
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


def _normal(kind: str, typed: str, remedy: str) -> str:
    """What was typed, in the stored spelling."""
    if not typed:
        return ""
    try:
        return str(getattr(normalizing, kind)(typed))
    except DeviceError as error:
        raise ValidationError(remedy) from error


class PersonForm(forms.Form):
    """What is known of a person beside by what they are known."""

    first_name = forms.CharField(required=False, max_length=255)
    last_name = forms.CharField(required=False, max_length=255)
    gender = forms.ChoiceField(required=False, choices=Person.Gender.choices)
    birthday = forms.DateField(
        required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    tags = forms.CharField(
        required=False,
        max_length=20_000,
        help_text="Separated by commas. Segments find people by them.",
    )

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        known = {name: getattr(person, name) for name in self.base_fields}
        known["tags"] = ", ".join(person.tags)
        kwargs["initial"] = known
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.setdefault("autocomplete", "off")

    def clean_tags(self) -> list[str]:
        typed = [each.strip() for each in self.cleaned_data["tags"].split(",")]
        tags = [each for each in typed if each]
        if any(len(each) > 256 for each in tags):
            raise ValidationError("Make each tag at most 256 characters long.")
        if len(set(tags)) > 500:
            raise ValidationError("Enter at most 500 tags.")
        return tags

    def described(self) -> Described:
        typed = self.cleaned_data
        return Described(
            first_name=typed["first_name"],
            last_name=typed["last_name"],
            gender=Person.Gender(typed["gender"]),
            birthday=typed["birthday"],
            tags=typed["tags"],
        )


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
                raise ValidationError({"name": "This attribute is a list, which only apps write."})
        return text


def _number(text: str) -> int | float:
    if re.fullmatch(r"[+-]?[0-9]{1,19}", text):
        return int(text)
    if re.fullmatch(r"[+-]?[0-9]{1,15}[.][0-9]{1,15}", text):
        return float(text)
    raise ValidationError({"value": "Enter a number such as 7 or 9.5."})
