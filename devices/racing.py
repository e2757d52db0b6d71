"""Repeat what lost a race. The constraints of the database say who won."""

from collections.abc import Callable, Collection
from typing import TypeVar

from django.db import IntegrityError, OperationalError, transaction
from psycopg import errors

T = TypeVar("T")

RACES = 10  # that a call may lose before it gives up


class Raced(Exception):
    """What was read before its rows were locked is old news by now."""


def until_settled(step: Callable[[], T], *, rules: Collection[str]) -> T:
    """Run a step in a transaction, again if it lost a race: then the winner's rows are seen.

    `rules` are the constraints that only a race can make it break. A deadlock is a lost race,
    too: rows are locked in one order, but an UPDATE of many rows locks as it finds them.
    """
    for _ in range(RACES):
        try:
            with transaction.atomic():
                return step()
        except Raced:
            continue
        except IntegrityError as conflict:
            if not any(rule in str(conflict) for rule in rules):
                raise
        except OperationalError as conflict:
            if not isinstance(conflict.__cause__, errors.DeadlockDetected):
                raise
    raise OperationalError("Too many calls change the same rows")
