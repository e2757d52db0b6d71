"""Does a device match a rule, and which condition says no?"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import BooleanField, Case, Value, When

from campaigns.targeting import Rule, compiled, expanded
from campaigns.targeting.fields import EVERYBODY, FIELDS, field_of
from campaigns.targeting.wording import clause
from devices.models import Registration

AT_ONCE = 50  # conditions of one statement
SHOWN = 60  # characters of a value


@dataclass(slots=True)
class Verdict:
    """A group or a condition of a rule, and whether a device matches it."""

    text: str
    matches: bool
    blamed: bool = False  # it must turn round before the device matches the rule
    value: str = ""  # what the device has there
    members: list["Verdict"] = field(default_factory=list)
    negated: bool = False  # a group of which the opposite is asked

    @property
    def no(self) -> Iterator["Verdict"]:
        """The conditions that keep the device out."""
        if self.blamed and not self.members:
            yield self
        for member in self.members:
            yield from member.no


def explain(rule: Rule, device: Registration) -> Verdict:
    """Ask a device each condition of a rule. Raises RuleError like to_q.

    Segments that the rule names are asked by their own conditions.
    """
    application = device.application
    whole = expanded(rule or EVERYBODY, application)
    tests = list(_tests(whole))
    answers: list[bool] = []
    for start in range(0, len(tests), AT_ONCE):
        asked = {
            f"answer_{number}": Case(
                When(compiled(test, application).condition, then=Value(True)),
                default=Value(False),
                output_field=BooleanField(),
            )
            for number, test in enumerate(tests[start : start + AT_ONCE])
        }
        rows = Registration.objects.filter(pk=device.pk).annotate(**asked).values_list(*asked)
        answers += rows.get()
    verdict = _verdict(whole, iter(answers), device, negated=False)
    if not verdict.matches:
        _blame(verdict)
    return verdict


def _tests(rule: Rule) -> Iterator[Rule]:
    if "not" in rule:
        yield from _tests(rule["not"])
        return
    for kind in ("all", "any"):
        if kind in rule:
            for member in rule[kind]:
                yield from _tests(member)
            return
    yield rule


def _verdict(
    rule: Rule, answers: Iterator[bool], device: Registration, *, negated: bool
) -> Verdict:
    if "not" in rule:
        return _verdict(rule["not"], answers, device, negated=not negated)
    for kind, words in (("all", ("All of", "Not all of")), ("any", ("Any of", "None of"))):
        if kind in rule:
            members = [_verdict(each, answers, device, negated=False) for each in rule[kind]]
            fold = all if kind == "all" else any
            matches = fold(member.matches for member in members) != negated
            return Verdict(words[negated], matches, members=members, negated=negated)
    text = f"not: {clause(rule)}" if negated else clause(rule)
    return Verdict(text, next(answers) != negated, value=told(device, rule["field"]))


def _blame(verdict: Verdict, *, wanted: bool = True) -> None:
    """Mark what must turn round; under a negated group that is what matches."""
    verdict.blamed = True
    wanted ^= verdict.negated
    for member in verdict.members:
        if member.matches != wanted:
            _blame(member, wanted=wanted)


def told(device: Registration, name: str) -> str:
    """What a device has in a field, where that is one value."""
    known = field_of(name)
    if known is None:
        return ""
    if known.kind == "attribute":
        owner: Any = device.person if known.of_person else device
        return (
            _shown(owner.attributes.get(known.column)) if owner is not None else "nobody is known"
        )
    if name not in FIELDS or known.kind in ("behaviour", "event", "list", "segment", "identity"):
        return ""
    if known.kind == "tags":
        return ", ".join(device.person_tags[:5]) or "none"
    if known.kind == "version":
        return _shown(getattr(device.address, known.column))
    if known.kind in ("registration", "presence", "flag"):
        return ""
    owner = device.person if known.of_person else device
    if owner is None:
        return "nobody is known"
    display = getattr(owner, f"get_{known.column}_display", None)
    return _shown(display() if display else getattr(owner, known.column))


def _shown(value: object) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
