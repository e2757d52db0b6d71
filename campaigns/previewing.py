"""Real recipients of a draft: to see what they read, and how large it gets at worst."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError
from django.db.models import F, Q, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Length

from campaigns import audience, excluding, merging
from campaigns.counting import PATIENCE, PATIENCE_UNSAMPLED, patience
from campaigns.merging import Variable
from campaigns.models import Campaign, Sample, SampledRegistration
from campaigns.sampling import PROBED
from campaigns.targeting import Rule, compiled
from devices.models import Application, Platform, Registration
from devices.versions import pack_version

OFFERED = 8
LONGEST = 4  # devices for each value that templates ask for
LOOKED_AT = 20  # others whose size is measured
# The first SDK of a platform that shows pushes inside the app (mirrored pushes, supported
# versions). Those of frameworks count for themselves: they are not told apart here.
SHOWS_INSIDE: dict[str, dict[Platform, str]] = {
    "MODAL": {Platform.ANDROID: "1.13.0", Platform.IOS: "3.6.0", Platform.HUAWEI: "1.0.0"},
    "BANNER": {Platform.ANDROID: "2.0.0", Platform.IOS: "5.0.0", Platform.HUAWEI: "1.0.0"},
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who would get it."""

    registration: int
    label: str  # Ana Pop, Berlin, de


def variables_of(campaign: Campaign) -> list[Variable]:
    """What all contents of a draft ask of people and devices."""
    found: set[Variable] = set()
    for content in campaign.contents.all():
        for text in merging.templates(content.as_json()):
            found |= set(merging.variables(text))
    return sorted(found)


def candidates(campaign: Campaign, rule: Rule) -> list[Candidate]:
    """Some who would get it, those with the longest values first; whoever has a name before
    whoever has none.
    """
    reached = audience.of(campaign.application, rule, primary_only=campaign.primary_only)
    keys = longest(reached, variables_of(campaign), most=2)
    with suppress(OperationalError), patience(PATIENCE):
        keys += list(reached.filter(person__isnull=False).values_list("pk", flat=True)[:OFFERED])
    with suppress(OperationalError), patience(PATIENCE):
        keys += list(reached.values_list("pk", flat=True)[:OFFERED])
    keys = list(dict.fromkeys(keys))[:OFFERED]
    devices = Registration.objects.filter(pk__in=keys).select_related("person").in_bulk()
    return [Candidate(key, _label(devices[key])) for key in keys if key in devices]


def _label(device: Registration) -> str:
    person = device.person
    who = [str(person), person.city] if person is not None else ["Somebody unknown"]
    parts = [*who, device.get_platform_display(), device.language]
    return ", ".join(part for part in parts if part)


def worst(campaign: Campaign, rule: Rule) -> list[merging.Values]:
    """What is known of those for whom a content gets largest, and of some others.

    Empty where no content has merge tags.
    """
    asked = variables_of(campaign)
    if not asked:
        return []
    reached = audience.of(campaign.application, rule, primary_only=campaign.primary_only)
    keys = longest(reached, asked, most=LONGEST)
    with suppress(OperationalError), patience(PATIENCE):
        keys += list(reached.values_list("pk", flat=True)[:LOOKED_AT])
    return list(merging.values_of(set(keys)).values())


def longest(
    reached: QuerySet[Any],
    asked: Sequence[Variable],
    *,
    most: int,
    key: str = "pk",
    spelt: str = "",
) -> list[int]:
    """Keys of devices, or of their people, that have the longest of each value; `spelt`: of those
    that a regular expression finds something in.
    """
    keys: list[int] = []
    for variable in asked:
        rows = reached.annotate(said=_text_of(variable), letters=Length("said"))
        rows = rows.filter(letters__gt=0).order_by("-letters", "pk")
        if spelt:
            rows = rows.filter(said__regex=spelt)
        with suppress(OperationalError), patience(PATIENCE):
            keys += list(rows.values_list(key, flat=True)[:most])
    return keys


def _text_of(variable: Variable) -> Any:
    match variable.path:
        case ("person", name):
            return KeyTextTransform(name, F("person__attributes"))
        case ("device", name):
            return KeyTextTransform(name, F("attributes"))
        case (name,) if name in merging.DEVICE:
            return Cast(name, TextField())
    return Cast(f"person__{variable.path[0]}", TextField())


def too_old(application: Application, rule: Rule, style: str, *, primary_only: bool) -> int | None:
    """How many devices that a rule reaches have an SDK that shows no pushes inside the app like
    this; None when it took too long. By the sample, where an application is large.
    """
    rows, sample = reached_by(application, rule, primary_only=primary_only)
    older = Q(pk__isnull=True)
    for platform, since in SHOWS_INSIDE[style].items():
        older |= Q(platform=platform, sdk_version__gt=0, sdk_version__lt=pack_version(since))
    with suppress(OperationalError), patience(PATIENCE if sample else PATIENCE_UNSAMPLED):
        found: int = rows.filter(older).count()
        return round(found * sample.devices / max(1, sample.probed)) if sample else found
    return None


def reached_by(
    application: Application, rule: Rule, *, primary_only: bool
) -> tuple[Any, Sample | None]:
    """The devices that a rule reaches; where there is a sample, those of it that are probed."""
    sample = Sample.objects.filter(application=application, sampled__gt=0).first()
    if sample is None:
        return audience.of(application, rule, primary_only=primary_only), None
    question = compiled(rule, application, sample=True)
    drawn = SampledRegistration.objects.filter(question.condition, application=application)
    excluded = excluding.gates(application, sample=True)
    reached = audience.reached(drawn, excluded, primary_only=primary_only)
    return reached.filter(draw__lt=PROBED), sample
