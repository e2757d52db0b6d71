"""A rule while somebody edits it: a tree of which parts may still be missing.

The tree travels in the form: one `node` per group and condition, `KEY:PARENT:KIND:NOT`, in the
order of the page, and what was typed under names that end in its key. Keys stay when a node
moves, so that the browser keeps its fields, and the keyboard its place.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from dataclasses import field as made
from typing import Any

from django.http import QueryDict

from campaigns.errors import CampaignError
from campaigns.targeting import EVENT, OPERATORS, Rule
from campaigns.targeting.fields import field_of

MOST = 300  # nodes of a rule that the builder edits; larger ones come and go by the API
DEEPEST = 20  # groups in groups, likewise
CHIPS = 100  # values that are shown one by one; a longer list is kept as it is
TEST = "test"

DAYS = (
    "within_days", "not_within_days", "older_than_days", "within_next_days", "anniversary_within",
)  # fmt: skip
NOTHING = ("empty", "not_empty", "ever", "never")
SEVERAL = ("in", "not_in", "has_any", "has_all")
OF_TYPE = {  # operators that make sense for a custom attribute of a type
    "text": ("is", "is_not", "in", "not_in", "starts_with", "ends_with", "contains",
             "not_contains", "empty", "not_empty"),
    "number": ("is", "is_not", "in", "not_in", "lt", "lte", "gt", "gte", "between", "empty",
               "not_empty"),
    "boolean": ("is", "is_not", "empty", "not_empty"),
    "date": ("is", "is_not", "before", "after", "on_or_before", "on_or_after", "between",
             "within_days", "older_than_days", "within_next_days", "empty", "not_empty"),
    "list": ("has_item", "empty", "not_empty"),
}  # fmt: skip
FIRST = {  # what a new condition asks, where it is not the first operator of its kind
    "choice": "in", "text": "in", "version": "gte", "day": "within_days", "attribute": "is",
    "behaviour": "within_days", "event": "within_days", "identity": "in", "registration": "in",
    "tags": "has", "birthday": "anniversary_within",
}  # fmt: skip
KEPT = ("campaign", "times", "where", "zone")  # parts of a condition besides field, op and value


class TooLargeError(CampaignError):
    """A rule of more groups and conditions, or deeper, than the builder shows."""

    code = "too_large"


@dataclass(slots=True)
class Node:
    """A group (`all`, `any`) or a condition (`test`), perhaps turned round."""

    key: int
    kind: str
    negated: bool = False
    members: list["Node"] = made(default_factory=list)
    field: str = ""
    op: str = ""
    type: str = "text"  # of a custom attribute
    values: list[str] = made(default_factory=list)
    typed: str = ""  # where values are added one by one: what is not added yet
    large: list[Any] | None = None  # a list too long to show
    more: dict[str, Any] = made(default_factory=dict)  # KEPT
    problem: str = ""

    @property
    def is_group(self) -> bool:
        return self.kind != TEST

    @property
    def field_kind(self) -> str:
        if self.field == EVENT:
            return "event"  # one without a name yet
        known = field_of(self.field)
        return known.kind if known else ""

    @property
    def input(self) -> str:
        """How its value is typed."""
        kind, op = self.field_kind, self.op
        if not kind or op in NOTHING:
            return "none"
        if op in DAYS:
            return "days"
        if self.large is not None:
            return "large"
        if kind in ("list", "segment"):
            return kind
        if kind == "choice":
            return "choices" if op in SEVERAL else "choice"
        return self._typed_input()

    def _typed_input(self) -> str:
        of_type = self.type if self.field_kind == "attribute" else self.field_kind
        if of_type in ("flag", "presence", "boolean"):
            return "yes-no"
        dates = of_type in ("day", "birthday", "date")
        if self.op == "between":
            return "dates" if dates else "pair"
        several = "chips" if self.op in SEVERAL else "one"
        return {"has_item": "item"}.get(self.op, "date" if dates else several)

    def walk(self) -> Iterator["Node"]:
        yield self
        for member in self.members:
            yield from member.walk()


# ------------------------------------------------------------------------- rule → tree, and back


def tree_of(rule: Rule, types: dict[str, str]) -> Node:
    """A stored rule as the builder shows it; its root is a group.

    `types`: of the custom attributes, by the name of their field. Raises TooLargeError.
    """
    keys = iter(range(MOST + 2))
    root = _node(rule or {"all": []}, keys, types, 0)
    if not root.is_group:
        root = Node(MOST + 2, "all", members=[root])
    return root


def _node(rule: Rule, keys: Iterator[int], types: dict[str, str], depth: int) -> Node:
    key = next(keys, None)
    if key is None or key > MOST:
        raise TooLargeError(
            f"This rule has more than {MOST} conditions. Systems change it under /segments/1/."
        )
    if depth > DEEPEST:
        raise TooLargeError(
            f"This rule nests groups over {DEEPEST} deep. Systems change it under /segments/1/."
        )
    negated = False
    while "not" in rule:
        rule, negated = rule["not"], not negated
    for kind in ("all", "any"):
        if kind in rule:
            members = [_node(member, keys, types, depth + 1) for member in rule[kind]]
            return Node(key, kind, negated, members)
    node = Node(key, TEST, negated, field=rule["field"], op=rule.get("op", "is"))
    value = rule.get("value")
    node.type = types.get(node.field) or _type_of(value)
    node.more = {name: rule[name] for name in KEPT if name in rule}
    values = value if isinstance(value, list) and node.op != "has_item" else [value]
    if len(values) > CHIPS:
        node.large = values
    elif "value" in rule:
        node.values = [_written(each) for each in values]
    return node


def _type_of(value: object) -> str:
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, bool):
        return "boolean"
    if isinstance(first, int | float):
        return "number"
    return "list" if isinstance(first, dict) else "text"


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def rule_of(root: Node) -> Rule:
    """The tree as a rule. What is missing is said in the `problem` of its node."""
    return _rule(root, top=True)


def _rule(node: Node, *, top: bool = False) -> Rule:
    node.problem = ""
    rule: Rule
    if node.is_group:
        rule = {node.kind: [_rule(member) for member in node.members]}
        if not node.members and not top:
            node.problem = "Add a condition to this group, or remove it."
    else:
        try:
            rule = _test(node)
        except ValueError as problem:
            node.problem = str(problem)
            rule = {"field": node.field, "op": node.op}
    return {"not": rule} if node.negated else rule


def _test(node: Node) -> Rule:
    """Raises ValueError with what is missing."""
    if not node.field_kind:
        raise ValueError("Choose what to ask.")
    if node.field == EVENT:
        raise ValueError("Name the event.")
    rule: Rule = {"field": node.field, "op": node.op}
    form = node.input
    if form != "none":
        rule["value"] = _value(node, form)
    kept = {name: part for name, part in node.more.items() if name in _parts(node)}
    return rule | kept


def _parts(node: Node) -> tuple[str, ...]:
    kind = node.field_kind
    if kind == "behaviour":
        return ("campaign",)
    if kind == "event":
        return ("times", "where")
    return ("zone",) if node.input in ("days", "date", "dates") else ()


MISSING = {
    "choice": "Choose one.",
    "choices": "Choose at least one.",
    "date": "Choose a day.",
    "list": "Choose a list.",
    "segment": "Choose a segment.",
    "days": "Type a number of days.",
}


def _value(node: Node, form: str) -> Any:
    if form == "large":
        return node.large
    values = [text.strip() for text in node.values if text.strip()]
    if form in ("pair", "dates"):
        if len(values) != 2:
            raise ValueError("Type both ends.")
        return [_scalar(node, text) for text in values]
    if form == "chips":
        values = with_typed(node)
    if not values:
        raise ValueError(MISSING.get(form, "Type a value."))
    if form in ("chips", "choices"):
        return scalars(node, values)
    return _single(node, form, values[0])


def with_typed(node: Node) -> list[str]:
    """The values of a list, with what stands in its field and is not added yet."""
    added = [part.strip() for part in node.typed.split(",")]
    return [text for text in dict.fromkeys([*map(str.strip, node.values), *added]) if text]


def _single(node: Node, form: str, text: str) -> Any:
    if form in ("days", "list", "segment"):
        return _whole(text)
    if form == "yes-no":
        return text == "true"
    if form == "item":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError('Type an object such as {"sku": "A-1"}.') from None
    return _scalar(node, text)


def scalars(node: Node, values: Iterable[str]) -> list[str | int | float]:
    """Values of a list as its rule has them. Raises ValueError."""
    return [_scalar(node, text) for text in values]


def _whole(text: str) -> int:
    if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 18:
        raise ValueError("Type a whole number.")
    return int(text)


def _scalar(node: Node, text: str) -> str | int | float:
    if node.field_kind == "number":
        return _whole(text)
    if node.field_kind == "attribute" and node.type == "number":
        try:
            number = float(text)
        except ValueError:
            raise ValueError("Type a number.") from None
        if not math.isfinite(number):
            raise ValueError("Type a number.")
        return int(text) if text.removeprefix("-").isdigit() and len(text) < 19 else number
    return text


# -------------------------------------------------------------------------------- form → tree


def posted_tree(posted: QueryDict, types: dict[str, str]) -> Node:
    """The tree that a form brings; what does not hang together is left out."""
    known: dict[int, Node] = {}
    root: Node | None = None
    depth: dict[int, int] = {}
    for line in posted.getlist("node")[: MOST + 1]:
        key, parent, kind, negated = _line(str(line))
        if key is None or key in known or kind not in ("all", "any", TEST):
            continue
        above = known.get(parent) if parent is not None else None
        if root is not None and (above is None or not above.is_group):
            continue
        level = depth[above.key] + 1 if above is not None else 0
        if level > DEEPEST:
            continue
        node = _posted(posted, key, kind, negated, types)
        known[key], depth[key] = node, level
        if root is None:
            root = node
        elif above is not None:
            above.members.append(node)
    if root is None or not root.is_group:
        return Node(0, "all")
    return root


def _line(line: str) -> tuple[int | None, int | None, str, bool]:
    key, _, rest = line.partition(":")
    parent, _, rest = rest.partition(":")
    kind, _, negated = rest.partition(":")
    return _key(key), _key(parent), kind, negated == "1"


def _key(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def _posted(posted: QueryDict, key: int, kind: str, negated: bool, types: dict[str, str]) -> Node:
    node = Node(key, kind, negated)
    if node.is_group:
        chosen = posted.get(f"k{key}", kind)
        node.kind = chosen if chosen in ("all", "any") else kind
        return node
    name = str(posted.get(f"f{key}", ""))[:300]
    if name == EVENT:  # its name is typed beside it
        name = EVENT + str(posted.get(f"n{key}", ""))[:255].strip()
    node.field, node.op = name, str(posted.get(f"o{key}", ""))
    node.type = types.get(name) or str(posted.get(f"y{key}", "text"))
    if node.op not in operators(node):
        node.op = first_operator(node)
    node.values = [str(value)[:4096] for value in posted.getlist(f"v{key}")][: CHIPS + 1]
    node.typed = str(posted.get(f"w{key}", ""))
    with_more = _json(posted.get(f"m{key}"))
    if isinstance(with_more, dict):
        node.more = {name: part for name, part in with_more.items() if name in KEPT}
    for part, prefix in (("campaign", "c"), ("times", "t"), ("zone", "z")):
        if f"{prefix}{key}" in posted:
            node.more.pop(part, None)
            text = str(posted.get(f"{prefix}{key}", "")).strip()[:100]
            if text:
                number = text.isascii() and text.isdigit() and len(text) < 18
                node.more[part] = int(text) if number and part != "zone" else text
    large = _json(posted.get(f"j{key}", ""))
    node.large = large if isinstance(large, list) else None
    return node


def _json(text: object) -> Any:
    try:
        return json.loads(str(text)) if text else None
    except (ValueError, RecursionError):
        return None


def operators(node: Node) -> dict[str, str]:
    """What a condition may ask, with its words."""
    kind = node.field_kind
    every = OPERATORS.get(kind, {})
    if kind != "attribute":
        return every
    return {op: every[op] for op in OF_TYPE.get(node.type, OF_TYPE["text"])}


def first_operator(node: Node) -> str:
    fitting = operators(node)
    usual = FIRST.get(node.field_kind, "")
    return usual if usual in fitting else next(iter(fitting), "")
