"""A rule in English."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from campaigns.models import Campaign, Reason, Segment, StaticList
from campaigns.targeting.fields import EVENT, EVERYBODY, OPERATORS, Rule, field_of
from campaigns.targeting.values import RECIPIENT

SHOWN = 10  # values of a list that are named
IN_DAYS = (
    "within_days", "not_within_days", "older_than_days", "within_next_days", "anniversary_within",
)  # fmt: skip
NO_VALUE = ("empty", "not_empty")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a sentence: a condition, or what joins conditions."""

    text: str
    test: Rule | None = None


def sentence(rule: Rule) -> str:
    """`platform is iOS and tag has vip`, of a rule that could be compiled when it was kept."""
    return "".join(piece.text for piece in pieces(rule))


def pieces(rule: Rule) -> Iterator[Piece]:
    """The sentence of a rule, condition by condition."""
    return _group(rule or EVERYBODY, top=True)


def _group(rule: Rule, *, top: bool = False) -> Iterator[Piece]:
    if "not" in rule:
        yield Piece("not (")
        yield from _group(rule["not"], top=True)
        yield Piece(")")
        return
    for kind, word, none in (("all", " and ", "every device"), ("any", " or ", "no device")):
        if kind in rule:
            yield from _members(rule[kind], word, none, top=top)
            return
    yield Piece(clause(rule), rule)


def _members(members: list[Rule], word: str, none: str, *, top: bool) -> Iterator[Piece]:
    if not members:
        yield Piece(none)
        return
    bare = top or len(members) == 1
    if not bare:
        yield Piece("(")
    for number, member in enumerate(members):
        if number:
            yield Piece(word)
        yield from _group(member)
    if not bare:
        yield Piece(")")


def clause(rule: Rule) -> str:
    """One condition in English."""
    field = field_of(rule["field"])
    if field is None:
        return str(rule["field"])
    op = rule.get("op", "is")
    phrase, label = OPERATORS[field.kind][op], field.label
    if field.kind != "attribute":
        label = label if rule["field"].startswith(EVENT) else label[0].lower() + label[1:]
        label = label.replace("oS version", "OS version").replace("sDK", "SDK")
    if field.kind == "behaviour":
        return _behaviour(rule, label, op)
    if field.kind == "event":
        return _event(rule, label, op)
    if field.kind == "unreached":
        return _unreached(rule["value"])
    if field.kind in ("list", "segment"):
        model = StaticList if field.kind == "list" else Segment
        return f"{phrase} {label} {_named(model, rule['value'])}"
    if op in NO_VALUE:
        return f"{label} {phrase}"
    if op in IN_DAYS:
        days = rule["value"]
        said = f"{label} {phrase} {days:,} day{'' if days == 1 else 's'}"
    else:
        joint = " and " if op in ("between", "has_all") else " or "
        said = f"{label} {phrase} {_values(rule.get('value'), joint)}"
    return said + _zone(rule)


def _behaviour(rule: Rule, label: str, op: str) -> str:
    if "campaign" in rule:
        label = label.replace("a message", _named(Campaign, rule["campaign"]))
    if op == "ever":
        return label
    if op == "never":
        return f"never {label}"
    return f"{label} {'not ' if op == 'not_within_days' else ''}in the last {rule['value']:,} days"


def _event(rule: Rule, label: str, op: str) -> str:
    """`“purchase” at least 2 times in the last 30 days where total is more than 50`."""
    said = f"never {label}" if op == "never" else label
    if rule["field"].startswith(EVENT):
        said = f"{'never did' if op == 'never' else 'did'} “{label}”"
    if (times := rule.get("times", 1)) > 1:
        said += f" at least {times:,} times"
    if op in ("within_days", "not_within_days"):
        days = rule["value"]
        said += f"{' not' if op == 'not_within_days' else ''} in the last {days:,} days"
    conditions = [
        f"{each['property']} {OPERATORS['property'][each.get('op', 'is')]}"
        + ("" if each.get("op") in NO_VALUE else f" {_values(each.get('value'), ' or ')}")
        for each in rule.get("where", [])
    ]
    return said + (f" where {' and '.join(conditions)}" if conditions else "")


def _unreached(value: dict[str, Any]) -> str:
    name = Campaign.objects.filter(bulks=value["bulk"]).values_list("name", flat=True).first()
    reasons = [f"“{Reason(number).label}”" for number in value["reasons"]]
    if value["unsure"]:
        reasons.append("it is not known whether it arrived")
    return f"did not get “{name or 'a deleted campaign'}” because {' or '.join(reasons)}"


def _named(model: type[Campaign] | type[Segment] | type[StaticList], number: int) -> str:
    name = model.objects.filter(pk=number).values_list("name", flat=True).first()
    return f"{number}, which was deleted" if name is None else f"“{name}”"


def _zone(rule: Rule) -> str:
    if "zone" not in rule:
        return ""
    zone = rule["zone"]
    return " (recipient's time)" if zone == RECIPIENT else f" ({zone})"


def _values(value: object, joint: str) -> str:
    values = value if isinstance(value, list) else [value]
    shown = joint.join(_value(each) for each in values[:SHOWN])
    return shown if len(values) <= SHOWN else f"{shown} or {len(values) - SHOWN:,} others"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(member)}" for key, member in value.items())
    return str(value)
