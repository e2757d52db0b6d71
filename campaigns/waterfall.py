"""A rule clause by clause: how many devices are left after each, and which clause costs most.

Its clauses are the members of the outermost group, in the order of the tree; groups of the same
kind inside it are no clauses of their own. Of `all`, each clause leaves fewer devices; of `any`,
each adds some. A clause that is a group of the other kind has a waterfall of its own, of the
devices that come to it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from django.db import OperationalError
from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.utils import timezone

from campaigns import audience, counting, excluding
from campaigns.audience import AudienceSize
from campaigns.excluding import Gate
from campaigns.models import SampledRegistration
from campaigns.store import store
from campaigns.targeting import EVERYBODY, Compiled, Rule, compiled, sentence
from campaigns.targeting.expressions import complement
from devices.models import Application, Registration

Path = tuple[int, ...]  # where a group stands: (2, 0) is the first clause inside the third

MOST = 40  # clauses counted one by one; those after them are one together
PATIENCE = 300  # milliseconds for the sample: nothing that is typed waits for it
OTHER = {"all": "any", "any": "all"}
ELSEWHERE = -1  # the step of a device that does not come to the group


@dataclass(frozen=True, slots=True)
class Step:
    """Devices after a clause: of `all` left of those before, of `any` found until here."""

    text: str
    size: AudienceSize
    share: float  # of every device
    kept: float | None  # of those before it; None where it adds
    parts: int = 0  # clauses it is made of, where it is a group


@dataclass(frozen=True, slots=True)
class Waterfall:
    kind: str  # all, any
    every: int  # devices of the application
    come: AudienceSize  # of them, those that come to the first clause
    steps: list[Step]
    reached: Step  # who gets a push of those after the last clause

    @property
    def exact(self) -> bool:
        return all(step.size.exact for step in (*self.steps, self.reached))


Numbers = Counter[tuple[int, bool]]  # devices by how far they came, and whether a push reaches them


@dataclass(frozen=True, slots=True)
class _Part:
    """The clauses of a rule, or of a group inside it."""

    kind: str
    asked: list[Rule]
    before: list[Rule]  # what a device passes to come to them


def live(application: Application, rule: Rule, path: Path = ()) -> Waterfall | None:
    """The best answer that can be had soon; None where that takes too long.

    Raises RuleError like to_q, and LookupError where nothing stands at the path.
    """
    part = _part(rule, path)
    known = _kept(application, rule, path)
    if known is not None:
        return _waterfall(part, known)
    sample = counting.sample_of(application)
    if sample is None:
        with suppress(OperationalError), counting.patience(counting.PATIENCE_UNSAMPLED):
            return _waterfall(part, _count_all(application, part))
        return None
    question = _Question(application, part, sample=True)
    rows = SampledRegistration.objects.filter(application=application)
    found = counting.by_parts(
        sample,
        rows,
        question.numbers,
        lambda one, other: one + other,
        probes=question.probes,
        milliseconds=PATIENCE,
    )
    if found is None:
        return None
    return _waterfall(part, found[0], scale_to=sample.devices)


def count_exactly(application: Application, rule: Rule, path: Path = ()) -> Waterfall | None:
    """Count as `counting.alone` does, and keep the answer for whoever asks live."""
    part = _part(rule, path)
    numbers = counting.alone(
        key_of(application, rule, path),
        lambda: _count_all(application, part),
        lambda numbers: [[*place, devices] for place, devices in numbers.items()],
    )
    return None if numbers is None else _waterfall(part, numbers)


def key_of(application: Application, rule: Rule, path: Path = ()) -> str:
    """Where the store keeps what was counted of the clauses of a rule, or of a group inside it."""
    place = ".".join(map(str, path))
    return f"{counting.key_of(application, rule, primary_only=False)}:clauses:{place}"


def _kept(application: Application, rule: Rule, path: Path) -> Numbers | None:
    with suppress(redis.RedisError):
        found = store().get(key_of(application, rule, path))
        if found:
            return Counter({(step, bool(reach)): n for step, reach, n in json.loads(found)})
    return None


# ------------------------------------------------------------------------------- the clauses


def clauses(rule: Rule) -> tuple[str, list[Rule]]:
    """`all` or `any`, and what is asked one after the other."""
    kind = _kind(rule or EVERYBODY, negated=False)
    found = list(_flat(rule or EVERYBODY, kind, negated=False))
    if kind == "any" and not found:  # of nothing: nobody
        found = [rule]
    if len(found) > MOST:
        found[MOST - 1 :] = [{kind: found[MOST - 1 :]}]
    return kind, found


def _part(rule: Rule, path: Path) -> _Part:
    kind, asked = clauses(rule)
    before: list[Rule] = []
    for place in path:
        group = asked[place]
        before += [each if kind == "all" else {"not": each} for each in asked[:place]]
        kind, asked = clauses(group)
    return _Part(kind, asked, before)


def _parts(rule: Rule) -> int:
    """Clauses of a group; a single condition has none."""
    found = len(clauses(rule)[1])
    return found if found > 1 else 0


def _kind(rule: Rule, *, negated: bool) -> str:
    if "not" in rule:
        return _kind(rule["not"], negated=not negated)
    for kind in ("all", "any"):
        if kind in rule:
            if len(rule[kind]) == 1:
                return _kind(rule[kind][0], negated=negated)
            return OTHER[kind] if negated else kind
    return "all"


def _flat(rule: Rule, kind: str, *, negated: bool) -> Iterator[Rule]:
    if "not" in rule:
        yield from _flat(rule["not"], kind, negated=not negated)
        return
    for own in ("all", "any"):
        if own in rule and (len(rule[own]) == 1 or (OTHER[own] if negated else own) == kind):
            for member in rule[own]:
                yield from _flat(member, kind, negated=negated)
            return
    yield {"not": rule} if negated else rule


def _said(kind: str, number: int, asked: Sequence[Rule]) -> str:
    """A clause in words; of those counted together, how many they are."""
    rule = asked[number]
    if number == MOST - 1 and kind in rule and len(rule[kind]) > 1:
        return f"{len(rule[kind])} more conditions"
    return sentence(rule)


# ------------------------------------------------------------------------------- the counting


class _Question:
    """Where each device stops, asked of all of them at once."""

    def __init__(self, application: Application, part: _Part, *, sample: bool) -> None:
        now = timezone.now()

        def read(rules: Sequence[Rule]) -> list[Compiled]:
            return [compiled(rule, application, now=now, sample=sample) for rule in rules]

        before, asked = read(part.before), read(part.asked)
        self.gates: list[Gate] = excluding.gates(application, sample=sample)
        probing = [each.probes for each in before + asked] + [each.probes for each in self.gates]
        self.probes = any(probing)
        conditions = [each.condition for each in asked]
        self.step = _step(part.kind, conditions, [each.condition for each in before])

    def numbers(self, rows: QuerySet[Any]) -> Numbers:
        told = audience.with_reason(rows.annotate(step=self.step), self.gates, primary_only=False)
        counted = told.values_list("step", "reason").annotate(devices=Count("pk")).order_by()
        numbers: Numbers = Counter()
        for step, reason, devices in counted:
            numbers[step, not reason] += devices
        return numbers


def _step(kind: str, conditions: Sequence[Q], before: Sequence[Q]) -> Case | Value:
    """Of `all`, the number of clauses a device passes before one stops it. Of `any`, the number
    of the clause that first lets it in, from 1; 0 where none does. ELSEWHERE where it does not
    come to them.
    """
    away = [When(complement(each), then=Value(ELSEWHERE)) for each in before]
    if kind == "all":
        whens = [When(complement(each), then=Value(n)) for n, each in enumerate(conditions)]
        last = Value(len(conditions))
    else:
        whens = [When(each, then=Value(n)) for n, each in enumerate(conditions, start=1)]
        last = Value(0)
    whens = away + whens
    return Case(*whens, default=last, output_field=IntegerField()) if whens else last


def _count_all(application: Application, part: _Part) -> Numbers:
    question = _Question(application, part, sample=False)
    return question.numbers(Registration.objects.filter(application=application))


def _waterfall(part: _Part, numbers: Numbers, *, scale_to: int | None = None) -> Waterfall:
    """`scale_to`: devices of the application, where a sample was counted."""
    kind, asked = part.kind, part.asked
    counted = numbers.total()
    every = counted if scale_to is None else scale_to

    def size(hits: int) -> AudienceSize:
        size = AudienceSize(hits, {}, {})
        return size if scale_to is None else counting.scaled(size, every, counted)

    def passed(step: int, number: int) -> bool:
        return step >= number if kind == "all" else 1 <= step <= number

    def step(text: str, hits: int, before: int | None, parts: int = 0) -> Step:
        kept = hits / before if before else None
        return Step(text, size(hits), hits / counted if counted else 0.0, kept, parts)

    come = sum(n for (place, _), n in numbers.items() if place != ELSEWHERE)
    steps, before = [], come
    for number in range(1, len(asked) + 1):
        hits = sum(n for (place, _), n in numbers.items() if passed(place, number))
        said = _said(kind, number - 1, asked)
        parts = _parts(asked[number - 1])
        steps.append(step(said, hits, before if kind == "all" else None, parts))
        before = hits
    last = len(asked)
    reach = sum(n for (place, reach), n in numbers.items() if reach and passed(place, last))
    return Waterfall(kind, every, size(come), steps, step("", reach, before))
