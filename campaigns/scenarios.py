"""Scenarios, as marketers and other systems keep them: ordered steps, one of them the default."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet

from campaigns.errors import ForeignScenarioError, ScenarioInUseError, StaleDraftError
from campaigns.models import Campaign, Scenario
from devices import audit
from devices.models import Application

CHANNELS = ("PUSH", "SMS")  # that this installation can send on
SHOWN = 3  # campaigns that a refusal names
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


# ------------------------------------------------------------------- the pages of an application


def of(application: Application) -> QuerySet[Scenario]:
    """Those whose pushes come from an application; those without a push are everybody's."""
    own = [[{"channel": "PUSH", "sender": name}] for name in _names(application)]
    with_push = Q(steps__contains=[{"channel": "PUSH"}])
    mine = ~with_push
    for steps in own:
        mine |= Q(steps__contains=steps)
    return Scenario.objects.filter(mine)


def hindrance(scenario: Scenario, application: Application) -> str:
    """Why the pages of an application cannot change a scenario; empty where they can."""
    for step in scenario.steps:
        if step["channel"] not in CHANNELS:
            return "It has a step that only other systems can write. Change it by their API."
        if step["channel"] == "PUSH" and step.get("sender") not in _names(application):
            return "One of its pushes comes from another application. Change it by the API."
    if not any(step["channel"] == "PUSH" for step in scenario.steps):
        return "It has no push, so it belongs to no application. Change it by the API."
    return ""


def _names(application: Application) -> tuple[str, str]:
    """What a step may call it by (contract/push.md 2.1)."""
    return application.code, application.application_id


def mark(scenario: Scenario) -> str:
    """Changes with whatever a form shows of it: nobody overwrites what they have not seen."""
    shown = json.dumps([scenario.name, scenario.steps, scenario.default], sort_keys=True)
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


def compose(application: Application, user: User, draft: Draft) -> Scenario:
    """Raises ForeignScenarioError for a default that would take another application's place."""
    with transaction.atomic():
        _may_be_default(application, draft, None)
        scenario = create(draft)
        after = {"name": scenario.name, "steps": _told(scenario), "default": scenario.default}
        audit.record(user, "create scenario", scenario, after=after, application=application)
    return scenario


def recompose(
    scenario: Scenario, application: Application, user: User, draft: Draft, *, seen: str
) -> Scenario:
    """What was launched before keeps the steps it began with.

    Raises StaleDraftError when another change came in between, and ForeignScenarioError.
    """
    with transaction.atomic():
        stored = Scenario.objects.select_for_update().filter(pk=scenario.pk).first()
        if stored is None:
            raise StaleDraftError("Somebody else deleted this scenario meanwhile.")
        if mark(stored) != seen:
            raise StaleDraftError(
                "Somebody else changed this scenario. Open it again to see their version."
            )
        if problem := hindrance(stored, application):
            raise ForeignScenarioError(problem)
        _may_be_default(application, draft, stored)
        before = {"name": stored.name, "steps": _told(stored), "default": stored.default}
        stored = _save(stored, draft)
        after = {"name": stored.name, "steps": _told(stored), "default": stored.default}
        changed = [key for key in before if before[key] != after[key]]
        if changed:
            audit.record(
                user,
                "change scenario",
                stored,
                before={key: before[key] for key in changed},
                after={key: after[key] for key in changed},
                application=application,
            )
    return stored


def _may_be_default(application: Application, draft: Draft, stored: Scenario | None) -> None:
    if not draft.default or (stored is not None and stored.default):
        return
    former = find("")
    if former is not None and hindrance(former, application):
        raise ForeignScenarioError(
            "Another application's scenario is the default. Make it an ordinary one there first."
        )


def _told(scenario: Scenario) -> list[dict[str, Any]]:
    """The steps without the code of the application, which is a key to its device API."""
    return [
        {
            name: value
            for name, value in step.items()
            if name != "sender" or step["channel"] == "SMS"
        }
        for step in scenario.steps
    ]


def delete(scenario: Scenario, application: Application, user: User) -> None:
    """Raises ScenarioInUseError while anything goes by it, and ForeignScenarioError."""
    with transaction.atomic():
        stored = Scenario.objects.select_for_update().filter(pk=scenario.pk).first()
        if stored is None:
            return
        if problem := hindrance(stored, application):
            raise ForeignScenarioError(problem)
        used_by = list(uses(stored)[: SHOWN + 1])
        if used_by:
            named = ", ".join(f"the campaign “{each}”" for each in used_by[:SHOWN])
            more = f" and {uses(stored).count() - SHOWN:,} others" if len(used_by) > SHOWN else ""
            raise ScenarioInUseError(f"It is in use by {named}{more}. Nothing was deleted.")
        if stored.default:
            raise ScenarioInUseError(
                "It is the default, which other systems use when they name no scenario."
                " Make another one the default first. Nothing was deleted."
            )
        before = {"name": stored.name, "steps": _told(stored)}
        audit.record(user, "delete scenario", stored, before=before, application=application)
        stored.delete()


def uses(scenario: Scenario) -> QuerySet[Campaign]:
    """Campaigns that go by it, newest first: of every application, as it is one for all."""
    return Campaign.objects.filter(scenario=scenario).order_by("-pk")


def times_used(application: Application, found: Sequence[Scenario]) -> dict[int, int]:
    """How many campaigns of an application go by each, by the scenario's key."""
    rows = Campaign.objects.filter(application=application, scenario__in=found)
    counted = rows.order_by().values_list("scenario").annotate(campaigns=Count("pk"))
    return {key: number for key, number in counted if key is not None}
