"""Checking what the control API is given: a refusal names the field and the fix."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")
Check = Callable[[object, str], T]


class BadInput(Exception):
    """A value that cannot be; `field` is its path, as in "fcm.unregistered"."""

    def __init__(self, field: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.field = field
        self.status = status


def json_object(value: object, field: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BadInput(field, "must be a JSON object")
    return value


def json_list(value: object, field: str) -> list[object]:
    if not isinstance(value, list):
        raise BadInput(field, "must be a list")
    return value


def text(value: object, field: str, *, longest: int = 4096) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadInput(field, "must be a text that is not empty")
    if len(value) > longest:
        raise BadInput(field, f"must not be longer than {longest} characters")
    return value


def flag(value: object, field: str) -> bool:
    if not isinstance(value, bool):
        raise BadInput(field, "must be true or false")
    return value


def number(low: float, high: float) -> Check[float]:
    def check(value: object, field: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise BadInput(field, "must be a number")
        if not low <= value <= high:
            raise BadInput(field, f"must be from {low:g} to {high:g}")
        return float(value)

    return check


def whole(low: int, high: int) -> Check[int]:
    def check(value: object, field: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise BadInput(field, f"must be a whole number from {low} to {high}")
        return value

    return check


def one_of(choices: type[T]) -> Check[T]:
    """A member of an enumeration, by its value."""
    known: dict[object, T] = {str(one.value): one for one in choices}  # type: ignore[attr-defined]

    def check(value: object, field: str) -> T:
        if not isinstance(value, str) or value not in known:
            raise BadInput(field, f"must be one of {', '.join(map(str, known))}")
        return known[value]

    return check


def only(given: Mapping[str, object], known: set[str], field: str = "") -> None:
    """Refuse members nobody reads: they are usually misspelled."""
    for name in given:
        if name not in known:
            path = f"{field}.{name}" if field else name
            raise BadInput(path, f"is unknown; known are {', '.join(sorted(known))}")
