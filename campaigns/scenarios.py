"""Scenarios as other systems keep them: ordered steps, one of them the default."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from campaigns.models import Scenario

LOCK = 0x6F6D6E69_7363  # any number, the same everywhere


@dataclass(frozen=True, slots=True)
class Draft:
    """What a scenario shall be; None leaves it as it is."""

    steps: Sequence[dict[str, Any]]  # as Scenario.steps
    name: str | None = None
    default: bool | None = None


def create(draft: Draft) -> Scenario:
    scenario = Scenario(key=secrets.token_hex(16).upper())
    return _save(scenario, draft)


@transaction.atomic
def update(key: str, draft: Draft) -> Scenario:
    """Raises Scenario.DoesNotExist. What was accepted before keeps the steps it began with."""
    return _save(Scenario.objects.select_for_update().get(key__iexact=key), draft)


def _save(scenario: Scenario, draft: Draft) -> Scenario:
    """Whoever becomes the default takes the place of the former one."""
    scenario.steps = list(draft.steps)
    if draft.name is not None:
        scenario.name = draft.name
    if draft.default is not None:
        scenario.default = draft.default
    with transaction.atomic():
        if scenario.default:
            with connection.cursor() as cursor:  # two at once would both be the only one
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            Scenario.objects.filter(default=True).exclude(pk=scenario.pk).update(default=False)
        scenario.save()
    return scenario


def find(key: str) -> Scenario | None:
    """By its key in either case; the default one without a key."""
    if not key:
        return Scenario.objects.filter(default=True).first()
    if not key.isascii() or not key.isprintable():
        return None
    return Scenario.objects.filter(key__iexact=key).first()


def page(*, default_only: bool, limit: int, number: int) -> list[Scenario]:
    """Oldest first."""
    found = Scenario.objects.order_by("pk")
    if default_only:
        found = found.filter(default=True)
    return list(found[number * limit : (number + 1) * limit])
