"""Tests of custom attributes: typed by their value, so that 5 is never more than "a"."""

from collections.abc import Callable
from typing import Any

from django.db.models import JSONField, Q, Value
from django.db.models.functions import Left
from django.db.models.lookups import (
    Contains,
    EndsWith,
    GreaterThan,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
    Lookup,
    StartsWith,
)

from campaigns.errors import RuleError
from campaigns.targeting import values
from campaigns.targeting.context import Context, Test
from campaigns.targeting.days import day_test
from campaigns.targeting.expressions import any_of, attribute, attribute_text, has_type
from devices.indexing import LEADING

FEW = 20  # alternatives that are worth a look into an index each
PATTERNS: dict[str, type[Lookup[Any]]] = {
    "starts_with": StartsWith,
    "ends_with": EndsWith,
    "contains": Contains,
}
ORDERED: dict[str, type[Lookup[Any]]] = {
    "lt": LessThan,
    "lte": LessThanOrEqual,
    "gt": GreaterThan,
    "gte": GreaterThanOrEqual,
}
AS_DAYS = {"lt": "before", "lte": "on_or_before", "gt": "after", "gte": "on_or_after"}


def attribute_test(context: Context, test: Test) -> Q:
    return _READERS.get(test.op, day_test)(context, test)


def _is(context: Context, test: Test) -> Q:
    return _equal(context, test, values.scalar(test.value, test.place))


def _equal(context: Context, test: Test, value: object) -> Q:
    return Q(**{f"{context.column(test.field)}__contains": {test.field.column: value}})


def _in(context: Context, test: Test) -> Q:
    found = [
        values.scalar(each, f"{test.place}[{number}]")
        for number, each in enumerate(values.members(test.value, test.place))
    ]
    if len(found) <= FEW:
        conditions = [_equal(context, test, each) for each in found]
        return Q(*conditions, _connector=Q.OR)
    stored = attribute(context.column(test.field), test.field.column)
    return any_of(stored, found, JSONField())


def _not_empty(context: Context, test: Test) -> Q:
    return Q(**{f"{context.column(test.field)}__has_key": test.field.column})


def _pattern(context: Context, test: Test) -> Q:
    column, name = context.column(test.field), test.field.column
    part = values.text(test.value, test.place)
    stored = attribute_text(column, name)
    condition = has_type(column, name, "string")
    if test.op == "starts_with":  # as the index of an attribute holds it
        condition &= Q(StartsWith(Left(stored, LEADING), part[:LEADING]))
        if len(part) <= LEADING:
            return condition
    return condition & Q(PATTERNS[test.op](stored, part))


def _ordered(context: Context, test: Test) -> Q:
    """Of a number or a day; whatever has another type is neither more nor less."""
    if isinstance(test.value, str):
        return day_test(context, Test(test.field, AS_DAYS[test.op], test.rule, test.path))
    if isinstance(test.value, bool):
        raise RuleError(test.place, "yes-or-no values have no order; use is.")
    return _compare(context, test, test.op, values.number(test.value, test.place))


def _compare(context: Context, test: Test, op: str, value: float) -> Q:
    column, name = context.column(test.field), test.field.column
    stored = attribute(column, name)
    return has_type(column, name, "number") & Q(ORDERED[op](stored, Value(value, JSONField())))


def _between(context: Context, test: Test) -> Q:
    ends = values.pair(test.value, test.place)
    if isinstance(ends[0], str):
        return day_test(context, test)
    low, high = (values.number(end, f"{test.place}[{n}]") for n, end in enumerate(ends))
    return _compare(context, test, "gte", low) & _compare(context, test, "lte", high)


def _has_item(context: Context, test: Test) -> Q:
    """A list with an object that has these members, whatever others it has."""
    if not isinstance(test.value, dict) or not test.value:
        raise RuleError(test.place, 'expected an object such as {"sku": "A-1"}.')
    for key, member in test.value.items():
        if not values.storable(key):
            raise RuleError(test.place, "a name may not hold the character NUL.")
        values.scalar(member, values.join(test.place, key[:60]))
    return _equal(context, test, [test.value])


_READERS: dict[str, Callable[[Context, Test], Q]] = {
    "is": _is,
    "in": _in,
    "not_empty": _not_empty,
    "between": _between,
    "has_item": _has_item,
    **dict.fromkeys(PATTERNS, _pattern),
    **dict.fromkeys(ORDERED, _ordered),
}
