"""What a rule can ask, and how: fields, the operators that fit their kind, their words."""

from dataclasses import dataclass
from typing import Any, TypeAlias

Rule: TypeAlias = dict[str, Any]

EVERYBODY: Rule = {"all": []}


@dataclass(frozen=True, slots=True)
class Field:
    """One thing a rule can ask."""

    label: str
    column: str  # of Registration, or of Person; for other kinds what their reader needs
    kind: str  # which operators fit: a key of OPERATORS
    of_person: bool = False


SESSION = "session"

FIELDS: dict[str, Field] = {
    "platform": Field("Platform", "platform", "choice"),
    "language": Field("Language", "language", "text"),
    "manufacturer": Field("Manufacturer", "manufacturer", "text"),
    "model": Field("Model", "model", "text"),
    "app_version": Field("App version", "app_version", "version"),
    "os_version": Field("OS version", "os_version", "version"),
    "sdk_version": Field("SDK version", "sdk_version", "version"),
    "timezone": Field("Minutes east of UTC", "timezone_offset", "number"),
    "primary": Field("Primary device", "primary", "flag"),
    "secure": Field("Screen lock", "secure", "flag"),
    "geofencing": Field("Geofencing", "geofencing", "flag"),
    "enabled": Field("Switched on", "enabled", "flag"),
    "notifications": Field("Notifications allowed", "notifications_enabled", "flag"),
    "created": Field("Registered", "created_at", "day"),
    "last_seen": Field("Last seen", "last_seen_day", "day"),
    "registration_id": Field("Registration ID", "", "registration"),
    "known": Field("Person known", "person", "presence"),
    "tag": Field("Tag", "person_tags", "tags"),
    "external_id": Field("External ID", "1", "identity"),
    "phone": Field("Phone", "2", "identity"),
    "email": Field("E-mail", "3", "identity"),
    "first_name": Field("First name", "first_name", "text", of_person=True),
    "last_name": Field("Last name", "last_name", "text", of_person=True),
    "middle_name": Field("Middle name", "middle_name", "text", of_person=True),
    "gender": Field("Gender", "gender", "choice", of_person=True),
    "birthday": Field("Birthday", "birthday", "birthday", of_person=True),
    "person_type": Field("Type of person", "kind", "choice", of_person=True),
    "city": Field("City", "city", "text", of_person=True),
    "country": Field("Country", "country", "text", of_person=True),
    "preferred_language": Field(
        "Preferred language", "preferred_language", "text", of_person=True
    ),
    "sent": Field("Was sent a message", "sent", "behaviour"),
    "received": Field("Received a message", "received", "behaviour"),
    "seen": Field("Saw a message", "seen", "behaviour"),
    "clicked": Field("Tapped a message", "clicked", "behaviour"),
    "session": Field("Used the app", SESSION, "event"),
    "list": Field("List", "", "list"),
    "segment": Field("Segment", "", "segment"),
}  # fmt: skip

# A custom attribute is the field of its name behind one of these.
ATTRIBUTE = "attribute:"
PERSON_ATTRIBUTE = "person_attribute:"
EVENT = "event:"  # a custom event of the app, likewise
# Devices that a bulk did not reach: of campaigns that are sent again, and offered to nobody.
UNREACHED = "unreached"

_EMPTY = {"empty": "is empty", "not_empty": "is not empty"}
_ORDER = {
    "lt": "is less than",
    "lte": "is at most",
    "gt": "is more than",
    "gte": "is at least",
    "between": "is between",
}
_TEXT = {
    "is": "is",
    "is_not": "is not",
    "in": "is any of",
    "not_in": "is none of",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "contains": "contains",
    "not_contains": "does not contain",
}
_DAY = {
    "before": "is before",
    "after": "is after",
    "on_or_before": "is on or before",
    "on_or_after": "is on or after",
    "within_days": "in the last",
    "older_than_days": "longer ago than",
    "within_next_days": "in the next",
}
OPERATORS: dict[str, dict[str, str]] = {
    "choice": {"is": "is", "is_not": "is not", "in": "is any of", "not_in": "is none of"},
    "text": {**_TEXT, **_EMPTY},
    "version": {
        "is": "is",
        "is_not": "is not",
        "lt": "is older than",
        "lte": "is at most",
        "gt": "is newer than",
        "gte": "is at least",
        "between": "is between",
        "written": "is written",
        **_EMPTY,
    },
    "number": {"is": "is", "is_not": "is not", **_ORDER, **_EMPTY},
    "flag": {"is": "is"},
    "presence": {"is": "is"},
    "day": {"is": "is", "is_not": "is not", "between": "is between", **_DAY, **_EMPTY},
    "birthday": {
        "is": "is",
        "is_not": "is not",
        "between": "is between",
        **_DAY,
        "anniversary_within": "comes round in the next",
        **_EMPTY,
    },
    "tags": {
        "has": "has",
        "has_not": "has not",
        "has_any": "has any of",
        "has_all": "has all of",
        **_EMPTY,
    },
    "identity": {
        "is": "is",
        "is_not": "is not",
        "in": "is any of",
        "not_in": "is none of",
        **_EMPTY,
    },
    "registration": {"is": "is", "is_not": "is not", "in": "is any of", "not_in": "is none of"},
    "behaviour": {
        "ever": "ever",
        "never": "never",
        "within_days": "in the last",
        "not_within_days": "not in the last",
    },
    "event": {
        "ever": "ever",
        "never": "never",
        "within_days": "in the last",
        "not_within_days": "not in the last",
    },
    "property": {**_TEXT, **_ORDER, **_EMPTY},
    "list": {"in": "is on", "not_in": "is not on"},
    "segment": {"in": "is in", "not_in": "is not in"},
    "unreached": {"in": "did not get"},
    "attribute": {**_TEXT, **_ORDER, **_DAY, "has_item": "has an item with", **_EMPTY},
}

# An operator that is only the opposite of another: it is read as that one, and turned round.
OPPOSITE = {
    "is_not": "is",
    "not_in": "in",
    "not_contains": "contains",
    "has_not": "has",
    "empty": "not_empty",
    "never": "ever",
    "not_within_days": "within_days",
}


def field_of(name: str) -> Field | None:
    """A field by its name, also one of a custom attribute or event; None for an unknown one."""
    for prefix, of_person in ((ATTRIBUTE, False), (PERSON_ATTRIBUTE, True)):
        if name.startswith(prefix):
            attribute = name.removeprefix(prefix)
            return Field(attribute, attribute, "attribute", of_person) if attribute else None
    if name.startswith(EVENT):
        event = name.removeprefix(EVENT)
        return Field(event, event, "event") if event else None
    if name == UNREACHED:
        return Field("Did not get", "", "unreached")
    return FIELDS.get(name)
