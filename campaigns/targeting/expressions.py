"""The SQL that Django's lookups do not have."""

from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    BooleanField,
    DateField,
    DateTimeField,
    F,
    Field,
    Func,
    Q,
    TextField,
    Value,
)
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact

Expression = Func | F | KeyTransform | KeyTextTransform

EVERY = Q(Value(True, BooleanField()))
NOBODY = Q(Value(False, BooleanField()))  # an empty Q would vanish, also below a NOT


class _Key(KeyTransform):
    """A member of an object by its name: Django takes one such as "2026" for a place in a list."""

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        sql, parameters, _ = self.preprocess_lhs(compiler, connection)
        return f"({sql} {self.postgres_operator} %s)", (*parameters, self.key_name)


class _TextKey(_Key, KeyTextTransform):
    """The same as text."""


class _NotTrue(Func):
    """False or unknown: the complement of a condition, also where a value is missing."""

    template = "(%(expressions)s) IS NOT TRUE"
    output_field = BooleanField()


class _AnyOf(Func):
    """`x = ANY(array)`: one parameter, however long the list is."""

    template = "(%(expressions)s))"
    arg_joiner = " = ANY("
    output_field = BooleanField()


class _Matches(Func):
    """`x ~ pattern`."""

    template = "(%(expressions)s)"
    arg_joiner = " ~ "
    output_field = BooleanField()


class _DayOfSum(Func):
    """The day of a moment and an interval."""

    template = "((%(expressions)s)::date)"
    arg_joiner = " + "
    output_field = DateField()


def complement(condition: Q) -> Q:
    return Q(_NotTrue(condition))


def any_of(
    column: Combinable, values: Sequence[object], base: "Field[Any, Any] | None" = None
) -> Q:
    """Whether a column has one of these values; of texts without a `base`."""
    array: ArrayField[Any, Any] = ArrayField(base or TextField())
    return Q(_AnyOf(column, Value(list(values), array)))


def matches(text: Combinable, pattern: str) -> Q:
    return Q(_Matches(text, Value(pattern)))


def attribute(column: str, name: str) -> KeyTransform:
    """A custom attribute as jsonb. Its name is a value in the statement, never a lookup."""
    return _Key(name, F(column))


def attribute_text(column: str, name: str) -> KeyTextTransform:
    """A custom attribute as text, whatever it is; NULL where it is missing."""
    return _TextKey(name, F(column))


def has_type(column: str, name: str, kind: str) -> Q:
    """Whether a custom attribute is a `string`, `number` or `boolean`."""
    stored = Func(attribute(column, name), function="jsonb_typeof", output_field=TextField())
    return Q(Exact(stored, Value(kind)))


def day_at_recipient(column: str) -> Func:
    """The day a moment was in the zone of its device; UTC's where the device never told it."""
    minutes = Coalesce(F("timezone_offset"), Value(0))
    zeros = [Value(0) for _ in range(5)]  # years to hours
    interval = Func(*zeros, minutes, function="make_interval", output_field=DateTimeField())
    moment = Func(Value("UTC"), F(column), function="timezone", output_field=DateTimeField())
    return _DayOfSum(moment, interval)


def month_and_day(column: str) -> Func:
    """`0229` of a date."""
    return Func(F(column), Value("MMDD"), function="to_char", output_field=TextField())
