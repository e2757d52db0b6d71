"""What names a list or an attribute: campaigns and segments, by the rules they have."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.db.models import BooleanField, F, Func, Q, Value

from campaigns.models import Campaign, Segment
from campaigns.segmenting import SHOWN, Use
from campaigns.targeting import ATTRIBUTE, PERSON_ATTRIBUTE, Rule
from devices.models import Application

LISTS = '$.** ? (@.field == "list")'
ATTRIBUTES = (
    f'$.** ? (@.field starts with "{ATTRIBUTE}" || @.field starts with "{PERSON_ATTRIBUTE}")'
)


class _Has(Func):
    """Whether a rule has a condition like this, at any depth."""

    template = "jsonb_path_exists(%(expressions)s)"
    arg_joiner = ", "
    output_field = BooleanField()


def of_lists(application: Application) -> dict[int, list[Use]]:
    """What names each list, by the list's key."""
    found: dict[int, list[Use]] = defaultdict(list)
    for use, rule in _having(application, LISTS):
        numbers = {
            test["value"]
            for test in tests(rule)
            if test.get("field") == "list" and isinstance(test.get("value"), int)
        }
        for number in sorted(numbers):
            found[number].append(use)
    return found


def of_attributes(application: Application) -> dict[str, list[Use]]:
    """What names each custom attribute, by its field such as `attribute:ltv`."""
    found: dict[str, list[Use]] = defaultdict(list)
    for use, rule in _having(application, ATTRIBUTES):
        names = {str(test.get("field")) for test in tests(rule)}
        for name in sorted(names):
            if name.startswith((ATTRIBUTE, PERSON_ATTRIBUTE)):
                found[name].append(use)
    return found


def _having(application: Application, path: str) -> Iterator[tuple[Use, Rule]]:
    condition = Q(_Has(F("rule"), Value(path)), application=application)
    campaigns = Campaign.objects.filter(condition)
    for campaign in campaigns.only("name", "rule", "launched_at", "application"):
        yield Use(campaign), campaign.rule
    for segment in Segment.objects.filter(condition):
        yield Use(segment), segment.rule


def tests(rule: Any) -> Iterator[Rule]:
    """The conditions of a rule, in its own words."""
    if not isinstance(rule, dict):
        return
    if "field" in rule:
        yield rule
    for kind in ("all", "any"):
        for member in rule.get(kind, ()):
            yield from tests(member)
    yield from tests(rule.get("not"))


def said(found: list[Use]) -> str:
    """`the campaign “Friday sale”, the segment “Germans” and 3 others`."""
    named = ", ".join(f"the {each.kind} “{each.user}”" for each in found[:SHOWN])
    return f"{named} and {len(found) - SHOWN:,} others" if len(found) > SHOWN else named
