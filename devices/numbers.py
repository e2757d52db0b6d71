"""Phone numbers that no text message goes to. docs/decisions: closed numbers."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from devices.models import ClosedNumber

_NUMBER = re.compile(r"\+?([1-9][0-9]{4,14})")


@dataclass(frozen=True, slots=True)
class DeadNumber:
    """What a gateway said of a number."""

    number: str  # with or without its plus
    reason: ClosedNumber.Reason
    answer: str  # the gateway's own words


def close(dead: Iterable[DeadNumber]) -> int:
    """Close numbers; how many. One that is closed keeps its first time, reason and words.

    What is no number is left out.
    """
    rows = {
        match.group(1): ClosedNumber(
            number=match.group(1), reason=one.reason, answer=one.answer[:200]
        )
        for one in dead
        if (match := _NUMBER.fullmatch(one.number))
    }
    before = closed(rows)
    ClosedNumber.objects.bulk_create(
        (rows[number] for number in sorted(rows)), ignore_conflicts=True
    )
    return len(rows) - len(before)


def closed(numbers: Iterable[str]) -> set[str]:
    """Those of these numbers (digits only) that are closed."""
    return set(ClosedNumber.objects.filter(pk__in=list(numbers)).values_list("number", flat=True))


def closings(numbers: Iterable[str]) -> dict[str, ClosedNumber]:
    """Why, since when and in whose words, of those of these numbers that are closed."""
    return ClosedNumber.objects.in_bulk(list(numbers))


def reopen(number: str) -> bool:
    """Let text messages go to a number again; False when it was not closed."""
    deleted, _ = ClosedNumber.objects.filter(pk=number.removeprefix("+")).delete()
    return bool(deleted)
