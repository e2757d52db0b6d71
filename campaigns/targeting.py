"""Rule → database condition.

A rule is a tree: `{"all": [...]}`, `{"any": [...]}`, `{"not": rule}`, or a test
`{"field": str, "op": str, "value": ...}`. Everybody compiles the same tree here: the composer,
saved segments and the APIs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias

from django.db.models import F, Func, JSONField, Q, TextField, Value
from django.db.models.fields.json import KeyTransform
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
    Lookup,
)
from django.utils import timezone

from campaigns.errors import RuleError
from devices.models import Identity, Platform
from devices.versions import pack_version

Rule: TypeAlias = dict[str, Any]

DEPTH = 50  # groups inside groups
NODES = 2_000  # tests and groups of one rule
VALUES = 10_000  # values of one list

EVERYBODY: Rule = {"all": []}
NOBODY = Q(pk__in=[])


@dataclass(frozen=True, slots=True)
class Field:
    """One thing a rule can ask, and how its value is read."""

    label: str
    column: str
    kind: str  # which operators fit: choice, text, version, flag, day, tags, identity


FIELDS: dict[str, Field] = {
    "platform": Field("Platform", "platform", "choice"),
    "language": Field("Language", "language", "text"),
    "manufacturer": Field("Manufacturer", "manufacturer", "text"),
    "model": Field("Model", "model", "text"),
    "app_version": Field("App version", "app_version", "version"),
    "os_version": Field("OS version", "os_version", "version"),
    "sdk_version": Field("SDK version", "sdk_version", "version"),
    "primary": Field("Primary device", "primary", "flag"),
    "secure": Field("Screen lock", "secure", "flag"),
    "created": Field("Registered", "created_at", "day"),
    "last_seen": Field("Last seen", "last_seen_day", "day"),
    "tag": Field("Tag", "person_tags", "tags"),
    "external_id": Field("External id", "1", "identity"),
    "phone": Field("Phone", "2", "identity"),
    "email": Field("E-mail", "3", "identity"),
}
ATTRIBUTE = "attribute:"  # a custom attribute of the device is the field "attribute:NAME"

OPERATORS: dict[str, dict[str, str]] = {
    "choice": {"is": "is", "in": "is any of", "not_in": "is none of"},
    "text": {
        "is": "is",
        "is_not": "is not",
        "in": "is any of",
        "not_in": "is none of",
        "starts_with": "starts with",
    },
    "version": {
        "is": "is",
        "lt": "is older than",
        "lte": "is at most",
        "gt": "is newer than",
        "gte": "is at least",
    },
    "flag": {"is": "is"},
    "day": {"before": "before", "after": "after", "within_days": "in the last days"},
    "tags": {"has": "has", "has_not": "has not", "has_any": "has any of"},
    "identity": {"is": "is", "in": "is any of"},
    "attribute": {
        "is": "is",
        "is_not": "is not",
        "in": "is any of",
        "lt": "is less than",
        "lte": "is at most",
        "gt": "is more than",
        "gte": "is at least",
        "empty": "is empty",
        "not_empty": "is not empty",
    },
}


def to_q(rule: Rule) -> Q:
    """Compile a rule to a condition on Registration.

    An empty rule and an empty `all` match every device; an empty `any` matches none. `not` is
    the set complement, also for devices that lack the value. Raises RuleError with the path
    of the first fault; no text of a rule ever becomes SQL.
    """
    return _Compiler().condition(rule or EVERYBODY, "", 0)


class _Compiler:
    def __init__(self) -> None:
        self.nodes = 0

    def condition(self, rule: object, path: str, depth: int) -> Q:
        self.nodes += 1
        if self.nodes > NODES:
            raise RuleError(path, f"a rule holds at most {NODES} conditions and groups.")
        if depth > DEPTH:
            raise RuleError(path, f"groups nest at most {DEPTH} deep.")
        if not isinstance(rule, dict):
            raise RuleError(path, "expected an object: a group or a condition.")
        kinds = [key for key in ("all", "any", "not", "field") if key in rule]
        if len(kinds) != 1:
            raise RuleError(path, "expected exactly one of all, any, not and field.")
        if kinds == ["field"]:
            return _test(rule, path)
        if kinds == ["not"]:
            return ~self.condition(rule["not"], _join(path, "not"), depth + 1)
        members = rule[kinds[0]]
        if not isinstance(members, list):
            raise RuleError(_join(path, kinds[0]), "expected a list.")
        conditions = [
            self.condition(member, _join(path, f"{kinds[0]}[{number}]"), depth + 1)
            for number, member in enumerate(members)
        ]
        if not conditions:  # an empty Q would vanish, also below a NOT
            return ~NOBODY if kinds == ["all"] else NOBODY
        return Q(*conditions, _connector=Q.AND if kinds == ["all"] else Q.OR)


def _join(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def _test(rule: Rule, path: str) -> Q:
    name, op, value = rule["field"], rule.get("op", "is"), rule.get("value")
    if not isinstance(name, str):
        raise RuleError(_join(path, "field"), "expected a text.")
    field = FIELDS.get(name)
    if field is None and name.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE):
        kind = "attribute"
    elif field is None:
        raise RuleError(_join(path, "field"), f"there is no field {name[:60]!r}.")
    else:
        kind = field.kind
    if not isinstance(op, str) or op not in OPERATORS[kind]:
        fitting = ", ".join(OPERATORS[kind])
        raise RuleError(_join(path, "op"), f"{name[:60]} takes one of: {fitting}.")
    read = _READERS[kind]
    column = name.removeprefix(ATTRIBUTE) if field is None else field.column
    return read(column, op, value, _join(path, "value"))


def _texts(value: object, path: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if len(values) > VALUES:
        raise RuleError(path, f"a list holds at most {VALUES:,} values.")
    texts = [each for each in values if isinstance(each, str) and each and "\x00" not in each]
    if len(texts) < len(values):
        raise RuleError(path, "expected a text that is not empty.")
    return texts


def _text(value: object, path: str) -> str:
    if isinstance(value, list):
        raise RuleError(path, "expected one text, not a list.")
    return _texts(value, path)[0]


def _choice(column: str, op: str, value: object, path: str) -> Q:
    names = {platform.label.lower(): platform for platform in Platform}
    unknown = [text for text in _texts(value, path) if text.lower() not in names]
    if unknown:
        raise RuleError(path, "a platform is one of: Android, iOS, Huawei, Web.")
    found = [names[text.lower()] for text in _texts(value, path)]
    condition = Q(**{f"{column}__in": found})
    return ~condition if op == "not_in" else condition


def _text_test(column: str, op: str, value: object, path: str) -> Q:
    if op == "starts_with":
        return Q(**{f"{column}__startswith": _text(value, path)})
    if op in ("in", "not_in"):
        condition = Q(**{f"{column}__in": _texts(value, path)})
    else:
        condition = Q(**{column: _text(value, path)})
    return ~condition if op in ("is_not", "not_in") else condition


def _version(column: str, op: str, value: object, path: str) -> Q:
    packed = pack_version(_text(value, path))
    if not packed:
        raise RuleError(path, "expected a version such as 4.10.2.")
    if op == "is":
        return Q(**{column: packed})
    # A device that never told its version is neither older nor newer.
    return (
        Q(**{f"{column}__{op}": packed, f"{column}__gt": 0})
        if op in ("lt", "lte")
        else Q(**{f"{column}__{op}": packed})
    )


def _flag(column: str, op: str, value: object, path: str) -> Q:
    if not isinstance(value, bool):
        raise RuleError(path, "expected true or false.")
    return Q(**{column: True}) if value else ~Q(**{column: True})


def _day(column: str, op: str, value: object, path: str) -> Q:
    suffix = "__date" if column == "created_at" else ""
    if op == "within_days":
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 3650:
            raise RuleError(path, "expected a number of days from 1 to 3650.")
        since = timezone.now().date() - timedelta(days=value)
        return Q(**{f"{column}{suffix}__gte": since})
    try:
        day = date.fromisoformat(_text(value, path))
    except ValueError:
        raise RuleError(path, "expected a day such as 2026-11-30.") from None
    return Q(**{f"{column}{suffix}__{'lt' if op == 'before' else 'gt'}": day})


def _tags(column: str, op: str, value: object, path: str) -> Q:
    tags = _texts(value, path)
    condition = Q(**{f"{column}__overlap" if op == "has_any" else f"{column}__contains": tags})
    return ~condition if op == "has_not" else condition


def _identity(kind: str, op: str, value: object, path: str) -> Q:
    values = _texts(value, path)
    if kind == str(Identity.Kind.PHONE.value):
        values = [text.removeprefix("+") for text in values]
    elif kind == str(Identity.Kind.EMAIL.value):
        values = [text.lower() for text in values]
    people = Identity.objects.filter(kind=int(kind), value__in=values).values("person_id")
    return Q(person_id__in=people)


_COMPARISONS: dict[str, type[Lookup[Any]]] = {
    "lt": LessThan,
    "lte": LessThanOrEqual,
    "gt": GreaterThan,
    "gte": GreaterThanOrEqual,
}


def _attribute(name: str, op: str, value: object, path: str) -> Q:
    # The name is a value in the statement, never a lookup: it may be called anything.
    if op in ("empty", "not_empty"):
        has = Q(attributes__has_key=name)
        return has if op == "not_empty" else ~has
    if op == "in":
        members = value if isinstance(value, list) else [value]
        if len(members) > VALUES:
            raise RuleError(path, f"a list holds at most {VALUES:,} values.")
        conditions = [Q(attributes__contains={name: _scalar(each, path)}) for each in members]
        return Q(*conditions, _connector=Q.OR) if conditions else NOBODY
    scalar = _scalar(value, path)
    if op in ("is", "is_not"):
        condition = Q(attributes__contains={name: scalar})
        return ~condition if op == "is_not" else condition
    if isinstance(scalar, bool):
        raise RuleError(path, "yes-or-no values have no order; use is.")
    stored = KeyTransform(name, F("attributes"))
    compared = _COMPARISONS[op](stored, Value(scalar, JSONField()))
    # Without the first condition, a device that lacks the attribute would be neither in the
    # set nor in its complement.
    has = Q(attributes__has_key=name)
    return has & Q(compared) & _same_type(name, scalar)


def _same_type(name: str, scalar: str | float) -> Q:
    """jsonb orders numbers above texts: a number must not count as more than a text."""
    kind = "string" if isinstance(scalar, str) else "number"
    stored = Func(
        KeyTransform(name, F("attributes")), function="jsonb_typeof", output_field=TextField()
    )
    return Q(Exact(stored, Value(kind)))


def _scalar(value: object, path: str) -> str | int | float | bool:
    if isinstance(value, str) and "\x00" in value:
        raise RuleError(path, "a text may not hold the character NUL.")
    if isinstance(value, str | int | float):
        return value
    raise RuleError(path, "expected a text, a number, or true or false.")


_READERS: dict[str, Callable[[str, str, object, str], Q]] = {
    "choice": _choice,
    "text": _text_test,
    "version": _version,
    "flag": _flag,
    "day": _day,
    "tags": _tags,
    "identity": _identity,
    "attribute": _attribute,
}


def sentence(rule: Rule) -> str:
    """A rule in English: `platform is iOS and tag has vip`. Raises RuleError like to_q."""
    to_q(rule)
    return _sentence(rule or EVERYBODY, top=True) or "every device"


def _sentence(rule: Rule, *, top: bool = False) -> str:
    if "not" in rule:
        return f"not ({_sentence(rule['not'], top=True) or 'every device'})"
    for kind, word in (("all", " and "), ("any", " or ")):
        if kind in rule:
            parts = [_sentence(member) for member in rule[kind]]
            if not parts:
                return (
                    "every device"
                    if kind == "all" and not top
                    else ("no device" if kind == "any" else "")
                )
            return (
                parts[0]
                if len(parts) == 1
                else (word.join(parts) if top else f"({word.join(parts)})")
            )
    name = rule["field"]
    field = FIELDS.get(name)
    label = field.label.lower() if field else name.removeprefix(ATTRIBUTE)
    phrase = OPERATORS[field.kind if field else "attribute"][rule.get("op", "is")]
    value = rule.get("value")
    values = value if isinstance(value, list) else [value]
    shown = " or ".join("yes" if v is True else "no" if v is False else str(v) for v in values)
    if rule.get("op") in ("empty", "not_empty"):
        return f"{label} {phrase}"
    if rule.get("op") == "within_days":
        return f"{label} in the last {shown} days"
    return f"{label} {phrase} {shown}"
