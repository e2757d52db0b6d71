"""Values that exist, to choose from while somebody writes a rule."""

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import redis
from django.db import OperationalError
from django.db.models import CharField, Count, F, Func, QuerySet
from django.utils import timezone

from campaigns.counting import patience
from campaigns.models import Sample, SampledRegistration
from campaigns.store import store
from campaigns.targeting import ATTRIBUTE, EVENT, FIELDS, PERSON_ATTRIBUTE
from devices.models import Application, AttributeDefinition, Event, Registration

SHOWN = 40
KEPT = 300  # seconds
LATELY = timedelta(days=7)
LONGEST = 100  # milliseconds that a page waits for suggestions
COLUMNS = (
    "language", "manufacturer", "model", "city", "country", "preferred_language", "tag",
)  # of which few values are usual  # fmt: skip


def values_of(application: Application, name: str) -> list[str]:
    """The commonest values of a field, or those noted of an attribute; perhaps none.

    People's values are those of this application's devices, never of others.
    """
    if name not in (*COLUMNS, EVENT) and not name.startswith((ATTRIBUTE, PERSON_ATTRIBUTE)):
        return []
    key = f"values:{application.pk}:{name}"
    with suppress(redis.RedisError):
        if kept := store().get(key):
            found: list[str] = json.loads(kept)
            return found
    if name in (*COLUMNS, EVENT):
        try:
            values = _events(application) if name == EVENT else _commonest(application, name)
        except OperationalError:  # not in time: the next page asks again
            return []
    else:
        values = _noted(application, name)
    with suppress(redis.RedisError):
        store().set(key, json.dumps(values), ex=KEPT)
    return values


def _commonest(application: Application, name: str) -> list[str]:
    column, of_person = FIELDS[name].column, FIELDS[name].of_person
    rows: QuerySet[Any]
    if Sample.objects.filter(application=application, sampled__gt=0).exists():
        rows = SampledRegistration.objects.filter(application=application)
        column = f"person_{column}" if of_person else column
    else:
        rows = Registration.objects.filter(application=application)
        column = f"person__{column}" if of_person else column
    value: Any = F(column)
    if name == "tag":
        value = Func(value, function="unnest", output_field=CharField())
    with patience(LONGEST):
        found = rows.annotate(suggested=value).values("suggested").annotate(devices=Count("pk"))
        common = found.order_by("-devices", "suggested").values_list("suggested", flat=True)
        return [text for text in common[: SHOWN + 1] if text][:SHOWN]


def _events(application: Application) -> list[str]:
    """Names of what apps told lately."""
    told = Event.objects.filter(
        application=application, kind=Event.Kind.CUSTOM, at__gte=timezone.now() - LATELY
    )
    with patience(LONGEST):
        return list(told.order_by("name").values_list("name", flat=True).distinct()[:SHOWN])


def _noted(application: Application, name: str) -> list[str]:
    scope = AttributeDefinition.Scope.DEVICE
    owner: Application | None = application
    attribute = name.removeprefix(ATTRIBUTE)
    if name.startswith(PERSON_ATTRIBUTE):
        scope, owner = AttributeDefinition.Scope.PERSON, None
        attribute = name.removeprefix(PERSON_ATTRIBUTE)
    definition = AttributeDefinition.objects.filter(
        scope=scope, application=owner, name=attribute
    ).first()
    samples = definition.samples if definition is not None else []
    return [_said(each) for each in samples if not isinstance(each, list | dict)][:SHOWN]


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def attributes_of(application: Application) -> dict[str, AttributeDefinition]:
    """The custom attributes that a rule can ask, by the name of their field."""
    known = AttributeDefinition.objects.filter(application=application)
    people = AttributeDefinition.objects.filter(application=None)
    return {f"{ATTRIBUTE}{each.name}": each for each in known} | {
        f"{PERSON_ATTRIBUTE}{each.name}": each for each in people
    }
