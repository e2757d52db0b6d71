"""Custom attributes: what may be kept, and the one type each of them has.

Limits: contract/people.md 2.1; lists of flat objects: contract/mobile-sdk.md 2.3.
"""

import math
import time
from collections.abc import Mapping
from datetime import date

from django.db import transaction

from devices.errors import CustomAttributeError
from devices.models import Application, AttributeDefinition

Type = AttributeDefinition.Type
Scope = AttributeDefinition.Scope
JSON = object  # str, int, float, bool, None, or lists and dicts of them

MOST = 500  # attributes of one device or person
MOST_NAMES = 2000  # of one application: anybody who has the app could invent more
NAME_LENGTH = 256  # characters
TEXT_LENGTH = 4096  # characters
LIST_LENGTH = 100  # objects
LARGEST = 2**63 - 1
SMALLEST = -(2**63)
_REMEMBER = 30.0  # seconds; a type never changes, but a definition may be deleted

_EXPECTED = {
    Type.TEXT: f"string of at most {TEXT_LENGTH} characters",
    Type.NUMBER: f"number from {SMALLEST} to {LARGEST}",
    Type.BOOLEAN: "boolean",
    Type.DATE: "date (YYYY-MM-DD)",
    Type.LIST: f"list of at most {LIST_LENGTH} flat objects",
}
_ANY = "string, number, boolean, date (YYYY-MM-DD) or list of flat objects"

_known: dict[int | None, tuple[float, dict[str, Type]]] = {}


def is_date(text: str) -> bool:
    """Whether it reads YYYY-MM-DD and is a day of the calendar."""
    if len(text) != 10 or text[4] != "-" or text[7] != "-" or not text.isascii():
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def type_of(name: str, value: JSON) -> Type:
    """The type a value has by itself. Raises CustomAttributeError for what cannot be kept."""
    match value:
        case bool():
            return Type.BOOLEAN
        case int() | float():
            if not math.isfinite(value) or not SMALLEST <= value <= LARGEST:
                raise CustomAttributeError(name, _EXPECTED[Type.NUMBER])
            return Type.NUMBER
        case str():
            _check_text(name, value)
            return Type.DATE if is_date(value) else Type.TEXT
        case list():
            _check_list(name, value)
            return Type.LIST
    raise CustomAttributeError(name, _ANY)


def _check_text(name: str, value: str) -> None:
    if len(value) > TEXT_LENGTH or "\0" in value:
        raise CustomAttributeError(name, _EXPECTED[Type.TEXT])


def _check_list(name: str, value: list[JSON]) -> None:
    if len(value) > LIST_LENGTH:
        raise CustomAttributeError(name, _EXPECTED[Type.LIST])
    for each in value:
        if not isinstance(each, dict) or len(each) > MOST:
            raise CustomAttributeError(name, _EXPECTED[Type.LIST])
        for key, member in each.items():
            if not 1 <= len(key) <= NAME_LENGTH or "\0" in key:
                raise CustomAttributeError(name, _EXPECTED[Type.LIST])
            if member is not None and type_of(name, member) == Type.LIST:
                raise CustomAttributeError(name, _EXPECTED[Type.LIST])


def check(application: Application | None, values: Mapping[str, JSON]) -> None:
    """See that each attribute has its type, and learn the types of new ones.

    An application's devices share theirs; people's belong to the installation (None). None
    as a value takes an attribute away and fits every type. Raises CustomAttributeError with
    nothing learned.
    """
    found: dict[str, Type] = {}
    for name, value in values.items():
        if not 1 <= len(name) <= NAME_LENGTH or "\0" in name:
            raise CustomAttributeError(name, f"named with 1 to {NAME_LENGTH} characters")
        if value is not None:
            found[name] = type_of(name, value)
    if not found:
        return
    known = types(application)
    _compare(found, known)
    new = {name: type_ for name, type_ in found.items() if name not in known}
    if new:
        if len(known) + len(new) > MOST_NAMES:
            raise CustomAttributeError(
                min(new), f"one of at most {MOST_NAMES} attribute names of an application"
            )
        _compare(found, _learn(application, new, values))


def _compare(found: Mapping[str, Type], known: Mapping[str, Type]) -> None:
    for name, type_ in found.items():
        wanted = known.get(name, type_)
        if type_ != wanted and (type_, wanted) != (Type.DATE, Type.TEXT):
            raise CustomAttributeError(name, _EXPECTED[wanted])


def merged(
    kept: Mapping[str, JSON], given: Mapping[str, JSON] | None, *, owner: str = "device"
) -> dict[str, JSON]:
    """Attributes after a change: a value of None takes one away, None itself takes all."""
    if given is None:
        return {}
    after = {name: value for name, value in {**kept, **given}.items() if value is not None}
    if len(after) > MOST:
        raise CustomAttributeError(
            next(iter(given)), f"one of at most {MOST} attributes of a {owner}"
        )
    return after


def types(application: Application | None) -> dict[str, Type]:
    """The types learned so far; kept in the process for half a minute."""
    key = application.pk if application else None
    until, known = _known.get(key, (0.0, {}))
    return known if time.monotonic() < until else _read(application)


def _read(application: Application | None) -> dict[str, Type]:
    key = application.pk if application else None
    scope = Scope.DEVICE if application else Scope.PERSON
    rows = AttributeDefinition.objects.filter(scope=scope, application=application)
    known = {name: Type(type_) for name, type_ in rows.values_list("name", "type")}
    entry = (time.monotonic() + _REMEMBER, known)
    # What a transaction learned counts for others only if it is committed.
    transaction.on_commit(lambda: _known.__setitem__(key, entry))
    return known


def _learn(
    application: Application | None, new: Mapping[str, Type], values: Mapping[str, JSON]
) -> dict[str, Type]:
    """Write definitions; of two writers at once the first one's type counts."""
    scope = Scope.DEVICE if application else Scope.PERSON
    AttributeDefinition.objects.bulk_create(
        [
            AttributeDefinition(
                scope=scope,
                application=application,
                name=name,
                type=type_,
                samples=[] if type_ == Type.LIST else [values[name]],
            )
            for name, type_ in sorted(new.items())
        ],
        ignore_conflicts=True,
    )
    return _read(application)
