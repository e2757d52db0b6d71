"""campaigns.building: a rule becomes a form and a rule again; each action changes just its part."""

from typing import Any

import pytest

from campaigns import building, rearranging
from campaigns.building import TEST, Node, TooLargeError
from campaigns.targeting import Rule
from tests.campaigns.rule_forms import GERMAN, IOS, LAPSED, OLD, VIP, form_of, posted, rule_text

TYPES = {"attribute:ltv": "number", "attribute:on": "boolean", "attribute:since": "date"}

RULES: list[Rule] = [
    LAPSED,
    {"any": [{"all": [IOS, {"not": {"any": [GERMAN, OLD]}}]}, {"not": {"all": [OLD, VIP]}}]},
    {"not": {"any": [IOS, OLD]}},
    {"all": [{"field": "attribute:ltv", "op": "between", "value": [1, 2.5]},
             {"field": "attribute:ltv", "op": "in", "value": [5, 7]},
             {"field": "attribute:on", "op": "is", "value": False},
             {"field": "attribute:since", "op": "before", "value": "2026-01-31"},
             {"field": "attribute:cart", "op": "has_item", "value": {"sku": "A-1"}},
             {"field": "attribute:name", "op": "contains", "value": "5"}]},
    {"all": [{"field": "created", "op": "within_days", "value": 3, "zone": "recipient"},
             {"field": "birthday", "op": "anniversary_within", "value": 0, "zone": "Europe/Berlin"},
             {"field": "last_seen", "op": "between", "value": ["2026-01-01", "2026-02-01"]}]},
    {"all": [{"field": "event:purchase", "op": "within_days", "value": 7, "times": 2,
              "where": [{"property": "total", "op": "gt", "value": 50}]},
             {"field": "session", "op": "never"},
             {"field": "clicked", "op": "not_within_days", "value": 90, "campaign": 4}]},
    {"all": [{"field": "known", "op": "is", "value": True},
             {"field": "timezone", "op": "gte", "value": -60},
             {"field": "tag", "op": "has_any", "value": ["a, b", "c"]},
             {"field": "email", "op": "empty"}, {"field": "list", "op": "in", "value": 3},
             {"field": "segment", "op": "not_in", "value": 9}]},
    {"all": [{"field": "external_id", "op": "in", "value": [f"c-{n}" for n in range(500)]}]},
]  # fmt: skip


def tree(*fields: Any) -> Node:
    """A tree of `all`; a list within is a group of `any`. Keys count up in the page's order."""
    keys = iter(range(1000))

    def made(parts: Any, kind: str) -> Node:
        root = Node(next(keys), kind)
        for part in parts:
            if isinstance(part, str):
                root.members.append(Node(next(keys), TEST, field=part, op="is", values=["x"]))
            else:
                root.members.append(made(part, "any"))
        return root

    return made(fields, "all")


# --------------------------------------------------------------------------- rule ↔ tree ↔ form


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_comes_out_of_the_builder_as_it_went_in(rule: Rule) -> None:
    root = building.tree_of(rule, TYPES)

    again = building.posted_tree(posted(form_of(root)), TYPES)

    assert building.rule_of(root) == rule
    assert building.rule_of(again) == rule
    assert not [node.problem for node in again.walk() if node.problem]


def test_a_lone_condition_gets_a_group_around_it() -> None:
    root = building.tree_of(GERMAN, {})

    assert building.rule_of(root) == {"all": [GERMAN]}
    assert len({node.key for node in root.walk()}) == 2


def test_a_rule_too_large_for_the_builder_is_refused() -> None:
    with pytest.raises(TooLargeError, match="300"):
        building.tree_of({"all": [GERMAN] * 400}, {})
    deep = GERMAN
    for _ in range(30):
        deep = {"all": [deep]}
    with pytest.raises(TooLargeError, match="deep"):
        building.tree_of(deep, {})


@pytest.mark.parametrize(
    ("field", "op", "value", "problem"),
    [
        ("", "", "", "Choose what to ask."),
        ("event:", "ever", "", "Name the event."),
        ("language", "in", "", "Type a value."),
        ("platform", "in", "", "Choose at least one."),
        ("session", "within_days", "soon", "Type a whole number."),
        ("attribute:ltv", "gt", "nan", "Type a number."),
        ("attribute:ltv", "between", "5", "Type both ends."),
        ("attribute:cart", "has_item", "[[[", "Type an object"),
    ],
)
def test_what_is_missing_is_said_at_its_condition(
    field: str, op: str, value: str, problem: str
) -> None:
    kind = "list" if field == "attribute:cart" else "text"
    node = Node(1, TEST, field=field, op=op, values=[value], type=TYPES.get(field, kind))

    building.rule_of(Node(0, "all", members=[node]))

    assert node.problem.startswith(problem)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"node": ["x", "1:9:test:0", "::", "5:5:all:0"]},
        {"node": ["0::all:0", "1:7:test:0", "2:1:test:0", "0:0:any:1"]},
        {"node": ["0::test:0"], "f0": "language"},
        {"node": ["0::all:0", "1:0:test:0"], "f1": "x" * 900, "m1": "[" * 9000, "j1": "{"},
        {"node": ["0::all:0", *[f"{n + 1}:{n}:all:0" for n in range(200)]]},
    ],
)
def test_a_form_that_nobody_typed_is_read_without_harm(form: dict[str, Any]) -> None:
    root = building.posted_tree(posted(form), {})

    assert root.is_group
    assert sum(1 for _ in root.walk()) <= building.MOST
    building.rule_of(root)


# ------------------------------------------------------------------------------------- actions


@pytest.mark.parametrize(
    ("action", "key", "after"),
    [
        ("up", 1, "all(a b any(c d) e)"),
        ("up", 2, "all(b a any(c d) e)"),
        ("down", 1, "all(b a any(c d) e)"),
        ("down", 2, "all(a any(b c d) e)"),
        ("up", 4, "all(a b c any(d) e)"),
        ("down", 5, "all(a b any(c) d e)"),
        ("up", 6, "all(a b any(c d e))"),
        ("down", 6, "all(a b any(c d) e)"),
        ("up", 3, "all(a any(c d) b e)"),
        ("remove", 3, "all(a b e)"),
        ("remove", 0, "all(a b any(c d) e)"),
        ("duplicate", 3, "all(a b any(c d) any(c d) e)"),
        ("wrap", 1, "all(any(a) b any(c d) e)"),
        ("add-test", 3, "all(a b any(c d ?) e)"),
        ("add-group", 3, "all(a b any(c d all(?)) e)"),
        ("not", 3, "all(a b !any(c d) e)"),
        ("unwrap", 3, "all(a b any(c d) e)"),
        ("nothing", 3, "all(a b any(c d) e)"),
        ("remove", 77, "all(a b any(c d) e)"),
    ],
)
def test_an_action_changes_just_its_part(action: str, key: int, after: str) -> None:
    root = tree("a", "b", ["c", "d"], "e")

    rearranging.act(root, action, key)

    assert rule_text(root) == after
    keys = [node.key for node in root.walk()]
    assert len(keys) == len(set(keys))


def test_wrapping_and_dissolving_the_group_changes_nothing() -> None:
    root = tree("a", "b")

    rearranging.act(root, "wrap", 1)
    rearranging.act(root, "unwrap", root.members[0].key)

    assert rule_text(root) == "all(a b)"


def test_the_keyboard_goes_on_at_what_was_made_or_moved() -> None:
    root = tree("a", ["b"])

    assert rearranging.act(root, "down", 1).focus == "down-1"
    assert rearranging.act(root, "add-test", 2).focus == "f4"
    assert rearranging.act(root, "remove", 4).focus == "remove-3"


def test_enter_adds_what_is_typed_to_the_list() -> None:
    root = tree("language")
    node = root.members[0]
    node.op, node.values, node.typed = "in", ["de"], "de-AT, de"

    rearranging.act(root, "enter", 0)

    assert (node.values, node.typed) == (["de", "de-AT"], "")
    assert building.rule_of(root) == {"all": [GERMAN]}


def test_a_list_too_long_to_show_one_by_one_is_kept_whole() -> None:
    root = tree("language")
    node = root.members[0]
    node.op, node.values, node.typed = "in", ["de"], ",".join(f"x{n}" for n in range(20_000))
    rule = building.rule_of(root)

    rearranging.act(root, "enter", 0)

    assert (node.input, node.values, node.typed) == ("large", [], "")
    assert len(rule["all"][0]["value"]) == 20_001
    assert building.rule_of(building.posted_tree(posted(form_of(root)), {})) == rule


def test_a_long_list_with_a_fault_stays_as_it_was_typed() -> None:
    root = tree("attribute:ltv")
    node = root.members[0]
    typed = ",".join(["five", *map(str, range(200))])
    node.op, node.type, node.values, node.typed = "in", "number", [], typed

    rearranging.act(root, "enter", 0)
    building.rule_of(root)

    assert (node.typed, node.problem) == (typed, "Type a number.")
