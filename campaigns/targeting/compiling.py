"""Rule → database condition."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q
from django.utils import timezone

from campaigns.errors import RuleError
from campaigns.models import Segment
from campaigns.targeting import columns, values
from campaigns.targeting.attributes import attribute_test
from campaigns.targeting.behaviour import behaviour_test, list_test
from campaigns.targeting.context import Context, Test
from campaigns.targeting.events import event_test
from campaigns.targeting.expressions import EVERY, NOBODY, complement
from campaigns.targeting.fields import EVERYBODY, OPERATORS, OPPOSITE, Rule, field_of
from campaigns.targeting.unreached import unreached_test
from devices.models import Application

DEPTH = 50  # groups inside groups
NODES = 2_000  # tests and groups of one rule, with those of the segments it names
GROUPS = ("all", "any", "not")
PROBES = (
    "behaviour",
    "event",
    "list",
    "identity",
    "unreached",
)  # kinds that look into another table for each device

READERS: dict[str, Callable[[Context, Test], Q]] = {
    "choice": columns.choice_test,
    "text": columns.text_test,
    "version": columns.version_test,
    "number": columns.number_test,
    "flag": columns.flag_test,
    "presence": columns.presence_test,
    "day": columns.stored_day_test,
    "birthday": columns.stored_day_test,
    "tags": columns.tags_test,
    "identity": columns.identity_test,
    "registration": columns.registration_test,
    "behaviour": behaviour_test,
    "event": event_test,
    "list": list_test,
    "attribute": attribute_test,
    "unreached": unreached_test,
}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A condition on devices."""

    condition: Q
    probes: bool  # it looks into another table for each device


def to_q(rule: Rule, application: Application) -> Q:
    """Compile a rule to a condition on Registration.

    An empty rule and an empty `all` match every device; an empty `any` matches none. `not` is
    the set complement, also for devices that lack the value or have no person. Raises
    RuleError with the path of the first fault; no text of a rule ever becomes SQL.
    """
    return compiled(rule, application).condition


def compiled(
    rule: Rule, application: Application, *, now: datetime | None = None, sample: bool = False
) -> Compiled:
    """The same at a moment, or for the rows of the sample."""
    moment = (now or timezone.now()).astimezone(UTC)
    compiler = _Compiler(Context(application, moment, sample))
    condition = compiler.condition(rule or EVERYBODY, "", 0, negated=False)
    return Compiled(condition, compiler.probes)


class _Compiler:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.nodes = 0
        self.probes = False
        self.inside: list[int] = []  # segments that are being read

    def condition(self, rule: object, path: str, depth: int, *, negated: bool) -> Q:
        """NOT is carried down to the tests, so that what reaches the database is flat."""
        self.nodes += 1
        if self.nodes > NODES:
            raise RuleError(path, f"a rule holds at most {NODES:,} conditions and groups.")
        if depth > DEPTH:
            raise RuleError(path, f"groups nest at most {DEPTH} deep.")
        if not isinstance(rule, dict):
            raise RuleError(path, "expected an object: a group or a condition.")
        kinds = [key for key in (*GROUPS, "field") if key in rule]
        if len(kinds) != 1:
            raise RuleError(path, "expected exactly one of all, any, not and field.")
        (kind,) = kinds
        if kind == "field":
            return self.test(rule, path, depth, negated=negated)
        if extra := set(rule) - {kind}:
            raise RuleError(path, f"a group has no {min(map(str, extra))[:60]!r}.")
        if kind == "not":
            inner = values.join(path, "not")
            return self.condition(rule["not"], inner, depth + 1, negated=not negated)
        members = rule[kind]
        if not isinstance(members, list):
            raise RuleError(values.join(path, kind), "expected a list.")
        conditions = [
            self.condition(
                member, values.join(path, f"{kind}[{number}]"), depth + 1, negated=negated
            )
            for number, member in enumerate(members)
        ]
        every = (kind == "all") != negated
        if not conditions:
            return EVERY if every else NOBODY
        return Q(*conditions, _connector=Q.AND if every else Q.OR)

    def test(self, rule: Rule, path: str, depth: int, *, negated: bool) -> Q:
        test, opposite = read_test(rule, path)
        negated ^= opposite
        if test.field.kind == "segment":
            return self.segment(test, depth, negated=negated)
        if test.field.kind in ("flag", "presence"):
            if not isinstance(test.value, bool):
                raise RuleError(test.place, "expected true or false.")
            negated ^= not test.value
        self.probes |= test.field.kind in PROBES
        condition = READERS[test.field.kind](self.context, test)
        return complement(condition) if negated else condition

    def segment(self, test: Test, depth: int, *, negated: bool) -> Q:
        number = values.key(test.value, test.place, "a segment")
        if number in self.inside:
            raise RuleError(test.place, f"segment {number} refers to itself through this one.")
        found = segment_rule(self.context.application, number, test.place)
        self.inside.append(number)
        path = f"{test.path or 'rule'}→segment {number}"
        condition = self.condition(found or EVERYBODY, path, depth + 1, negated=negated)
        self.inside.pop()
        return condition


def read_test(rule: Rule, path: str) -> tuple[Test, bool]:
    """A test with a positive operator, and whether the rule asks for the opposite."""
    name, op = rule["field"], rule.get("op", "is")
    if not isinstance(name, str):
        raise RuleError(values.join(path, "field"), "expected a text.")
    field = field_of(name)
    if field is None or not values.storable(name) or len(name) > values.NAME_LENGTH:
        raise RuleError(values.join(path, "field"), f"there is no field {name[:60]!r}.")
    if not isinstance(op, str) or op not in OPERATORS[field.kind]:
        fitting = ", ".join(OPERATORS[field.kind])
        raise RuleError(values.join(path, "op"), f"{name[:60]} takes one of: {fitting}.")
    if extra := set(rule) - {"field", "op", "value", *_MORE.get(field.kind, ())}:
        raise RuleError(path, f"a condition on {name[:60]} has no {min(map(str, extra))[:60]!r}.")
    return Test(field, OPPOSITE.get(op, op), rule, path), op in OPPOSITE


_MORE = {
    "day": ("zone",),
    "birthday": ("zone",),
    "attribute": ("zone",),
    "behaviour": ("campaign",),
    "event": ("times", "where"),
}


def segment_rule(application: Application, number: int, place: str) -> Rule:
    found = Segment.objects.filter(pk=number, application=application).first()
    if found is None:
        raise RuleError(place, f"this application has no segment {number}.")
    rule: Rule = found.rule
    return rule


def expanded(rule: Rule, application: Application) -> Rule:
    """A rule with each segment it names in its place, as it stands now."""
    compiled(rule, application)  # refuses what is too deep or names itself
    return _expanded(rule, application)


def _expanded(rule: Rule, application: Application) -> Rule:
    if rule.get("field") == "segment":
        found = _expanded(segment_rule(application, rule["value"], "") or EVERYBODY, application)
        return {"not": found} if rule.get("op") == "not_in" else found
    if "not" in rule:
        return {"not": _expanded(rule["not"], application)}
    for kind in ("all", "any"):
        if kind in rule:
            return {kind: [_expanded(member, application) for member in rule[kind]]}
    return rule
