"""A row of a CSV file → a person as they should be; what is wrong with it, and the fix."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from devices import csv_rows
from devices.attributes import Type, is_date
from devices.csv_rows import ALIASES, Column, FileFault, RowFault, Sheet, identity
from devices.models import Person
from devices.personalizing.portrait import Key

PEOPLE_ALIASES = {
    "external_id": ALIASES["external_id"],
    "phones": f"phones phonenumbers {ALIASES['phone']}",
    "emails": f"emails emailaddresses {ALIASES['email']}",
    "first_name": ALIASES["first_name"],
    "middle_name": "middlename",
    "last_name": ALIASES["last_name"],
    "gender": "gender sex",
    "birthday": "birthday birthdate dateofbirth",
    "type": "type persontype",
    "tags": ALIASES["tags"],
    "address": "address street",
    "city": "city town",
    "country": "country",
    "preferred_language": "preferredlanguage language locale",
    "profile_picture": "profilepicture picture",
}
# What an export tells besides: of ours to know, so an import leaves it out.
PEOPLE_EXPORTED = {"person", "devices", "createdat", "changedat"}
_IDENTITIES = {"external_id": "external_id", "phones": "phone", "emails": "email"}
_TEXTS = {
    "first_name": 255, "middle_name": 50, "last_name": 255, "address": 256, "city": 50,
    "country": 50, "profile_picture": 2083,
}  # fmt: skip
_GENDERS = {
    "male": Person.Gender.MALE, "m": Person.Gender.MALE,
    "female": Person.Gender.FEMALE, "f": Person.Gender.FEMALE,
}  # fmt: skip


def _check(names: Collection[str]) -> None:
    if not set(_IDENTITIES) & set(names):
        raise FileFault(
            "A column “external_id”, “phones” or “emails” is missing: nobody could be told by the"
            " others. The first line must name the columns."
        )


PEOPLE = Sheet(PEOPLE_ALIASES, PEOPLE_EXPORTED, _check)


@dataclass(slots=True)
class WantedPerson:
    """A person as their row says; what it does not say stays as it is."""

    line: int
    cells: list[str]
    identities: list[Key]
    person: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)


def read_person(
    columns: Sequence[Column], cells: list[str], line: int, types: Mapping[str, Type]
) -> WantedPerson:
    """One person; raises RowFault."""
    said = csv_rows.told(columns, cells)
    identities = []
    for column, name in _IDENTITIES.items():
        texts = [said.get(column, "")] if column == "external_id" else _parts(said.get(column, ""))
        identities += [found for text in texts if (found := _identity(column, name, text))]
    if not identities:
        raise RowFault("", "The row needs an external ID, a phone number or an e-mail address.")
    return WantedPerson(
        line=line,
        cells=cells,
        identities=list(dict.fromkeys(identities)),
        person=_described(said),
        tags=csv_rows.tags(said),
        attributes=csv_rows.custom(columns, cells, types),
    )


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in cell.split("|") if part.strip()]


def _identity(column: str, name: str, text: str) -> Key | None:
    try:
        return identity(name, text)
    except RowFault as fault:
        raise RowFault(column, str(fault)) from None


def _described(said: Mapping[str, str]) -> dict[str, Any]:
    """What the row says of a person; empty cells say nothing. Raises RowFault."""
    person: dict[str, Any] = {}
    for name, most in _TEXTS.items():
        if said.get(name):
            if len(said[name]) > most:
                raise RowFault(name, f"It has at most {most} characters.")
            person[name] = said[name]
    for column, (name, spelled, problem) in _SPELLED.items():
        if said.get(column):
            try:
                person[name] = spelled(said[column])
            except (KeyError, ValueError):
                raise RowFault(column, problem) from None
    return person


def _birthday(text: str) -> date:
    if not is_date(text):
        raise ValueError(text)
    return date.fromisoformat(text)


def _language(text: str) -> str:
    if not re.fullmatch(r"[a-z]{2}(?:-[A-Z]{2})?", text):
        raise ValueError(text)
    return text


# column → member of a person, how it is read, what to mend
_SPELLED: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "gender": (
        "gender", lambda text: _GENDERS[text.lower()], "Write MALE or FEMALE, or leave it empty.",
    ),
    "birthday": ("birthday", _birthday, "Write it like 1990-11-30."),
    "type": (
        "kind", lambda text: Person.Kind(text.upper()),
        "Write CUSTOMER or LEAD, or leave it empty.",
    ),
    "preferred_language": (
        "preferred_language", _language, "A language is a tag such as de or en-GB.",
    ),
}  # fmt: skip
