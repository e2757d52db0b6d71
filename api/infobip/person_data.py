"""A person as systems write it to /people/2/persons (contract/people.md 7)."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from api.endpoint import Day, Schema, Text, Text50, Text255, Text256, Text2083
from devices import normalizing
from devices.models import Person
from devices.personalizing import MOST_CONTACTS, Described
from devices.unsaid import UNSAID

_LANGUAGE = re.compile(r"[a-z]{2}(?:-[A-Z]{2})?")


class Phone(Schema):
    number: Text


class Email(Schema):
    address: Text


class ContactInformation(Schema):
    phones: Annotated[list[Phone], Field(max_length=MOST_CONTACTS)] | None = Field(
        None, alias="phone"
    )
    emails: Annotated[list[Email], Field(max_length=MOST_CONTACTS)] | None = Field(
        None, alias="email"
    )
    push: list[Any] | None = None  # managed by the apps alone


def _language(text: str) -> str:
    if text and not _LANGUAGE.fullmatch(text):
        raise ValueError("language such as en or en-GB")
    return text


class PersonData(Schema):
    """A person as systems write it; `null` clears a member."""

    external_id: str | None = Field(None, alias="externalId")
    first_name: Text255 | None = Field(None, alias="firstName")
    last_name: Text255 | None = Field(None, alias="lastName")
    middle_name: Text50 | None = Field(None, alias="middleName")
    gender: Literal["MALE", "FEMALE"] | None = None
    birthday: Day | None = Field(None, alias="birthDate")
    address: Text256 | None = None
    city: Text50 | None = None
    country: Text50 | None = None
    preferred_language: Annotated[str, AfterValidator(_language)] | None = Field(
        None, alias="preferredLanguage"
    )
    profile_picture: Text2083 | None = Field(None, alias="profilePicture")
    kind: Literal["CUSTOMER", "LEAD"] | None = Field(None, alias="type")
    tags: list[str] | None = None
    custom: dict[str, Any] | None = Field(None, alias="customAttributes")
    contacts: ContactInformation | None = Field(None, alias="contactInformation")

    def described(self, *, adding: bool) -> Described:
        """Raises ExternalIdError, PhoneError and EmailError."""
        contacts, external_id = self.contacts, self.said("external_id", "")
        phones = contacts.phones if contacts is not None else None
        emails = contacts.emails if contacts is not None else None
        gender, custom = self.said("gender", ""), self.said("custom", None)
        return Described(
            external_id=normalizing.external_id(external_id)
            if external_id is not UNSAID
            else UNSAID,
            phones=[normalizing.phone(each.number) for each in phones]
            if phones is not None
            else UNSAID,
            emails=[normalizing.email(each.address) for each in emails]
            if emails is not None
            else UNSAID,
            first_name=self.said("first_name", ""),
            last_name=self.said("last_name", ""),
            middle_name=self.said("middle_name", ""),
            gender=Person.Gender(gender) if gender is not UNSAID else UNSAID,
            birthday=self.said("birthday", None),
            address=self.said("address", ""),
            city=self.said("city", ""),
            country=self.said("country", ""),
            preferred_language=self.said("preferred_language", ""),
            profile_picture=self.said("profile_picture", ""),
            kind=Person.Kind(self.kind) if self.kind is not None else UNSAID,
            tags=self.said("tags", ()),
            attributes=custom,
            adding=adding,
        )
