import operator
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from campaigns.errors import RuleError
from campaigns.targeting import DEPTH, NODES, Rule, sentence, to_q
from devices.models import Application, Platform, Registration
from devices.versions import pack_version
from tests.factories import make_application, make_person, make_registration

pytestmark = pytest.mark.django_db


def matched(application: Application, rule: Rule) -> set[int]:
    found = Registration.objects.filter(to_q(rule), application=application)
    return set(found.values_list("pk", flat=True))


@pytest.mark.parametrize(
    ("test", "fits", "differs"),
    [
        ({"field": "platform", "op": "is", "value": "ios"}, {"platform": 2}, {"platform": 1}),
        ({"field": "platform", "op": "not_in", "value": ["iOS"]}, {"platform": 1}, {"platform": 2}),
        (
            {"field": "language", "op": "in", "value": ["de", "fr"]},
            {"language": "fr"},
            {"language": "en"},
        ),
        (
            {"field": "language", "op": "is_not", "value": "de"},
            {"language": ""},
            {"language": "de"},
        ),
        (
            {"field": "language", "op": "starts_with", "value": "de"},
            {"language": "de-AT"},
            {"language": "en-DE"},
        ),
        (
            {"field": "app_version", "op": "gte", "value": "4.10"},
            {"app_version": pack_version("4.10.0")},
            {"app_version": pack_version("4.9.9")},
        ),
        (
            {"field": "app_version", "op": "lt", "value": "4.10"},
            {"app_version": pack_version("4.9")},
            {"app_version": 0},  # never told
        ),
        ({"field": "secure", "op": "is", "value": False}, {"secure": None}, {"secure": True}),
        (
            {"field": "last_seen", "op": "within_days", "value": 7},
            {},
            {"last_seen_day": timezone.now().date() - timedelta(days=8)},
        ),
        (
            {"field": "tag", "op": "has", "value": "vip"},
            {"person_tags": ["vip", "x"]},
            {"person_tags": ["VIP"]},
        ),
        (
            {"field": "tag", "op": "has_not", "value": "vip"},
            {"person_tags": []},
            {"person_tags": ["vip"]},
        ),
        (
            {"field": "attribute:plan", "op": "is", "value": "gold"},
            {"attributes": {"plan": "gold"}},
            {"attributes": {"plan": ["gold"]}},
        ),
        (
            {"field": "attribute:plan", "op": "is_not", "value": "gold"},
            {"attributes": {}},
            {"attributes": {"plan": "gold"}},
        ),
        (
            {"field": "attribute:ltv", "op": "gt", "value": 100},
            {"attributes": {"ltv": 100.5}},
            {"attributes": {"ltv": True}},
        ),
        (
            {"field": "attribute:since", "op": "lt", "value": "2026-02-01"},
            {"attributes": {"since": "2026-01-31"}},
            {"attributes": {"since": 5}},
        ),
        (
            {"field": "attribute:plan", "op": "empty"},
            {"attributes": {"other": 1}},
            {"attributes": {"plan": ""}},
        ),
        # names that look like lookups or SQL are only names
        (
            {"field": "attribute:a__gt", "op": "is", "value": 1},
            {"attributes": {"a__gt": 1}},
            {"attributes": {"a": 2}},
        ),
        (
            {"field": "attribute:x'); DROP TABLE people; --", "op": "gte", "value": 1},
            {"attributes": {"x'); DROP TABLE people; --": 1}},
            {"attributes": {}},
        ),
    ],
)
def test_a_condition_tells_devices_apart(
    test: Rule, fits: dict[str, Any], differs: dict[str, Any]
) -> None:
    application = make_application()
    yes = make_registration(application, **{"platform": Platform.ANDROID, **fits})
    no = make_registration(application, **{"platform": Platform.ANDROID, **differs})

    assert matched(application, test) == {yes.pk}
    assert matched(application, {"not": test}) == {no.pk}  # the set complement


@pytest.mark.parametrize(
    ("field", "value"),
    [("external_id", "u-1"), ("phone", "+41793026727"), ("email", "ANA@example.com")],
)
def test_an_identity_finds_the_devices_of_its_person(field: str, value: str) -> None:
    application = make_application()
    person = make_person(external_id="u-1", phone="41793026727", email="ana@example.com")
    owned = make_registration(application, person=person)
    anonymous = make_registration(application)

    rule = {"field": field, "op": "is", "value": value}
    assert matched(application, rule) == {owned.pk}
    assert matched(application, {"not": rule}) == {anonymous.pk}


def test_an_empty_all_is_everybody_and_an_empty_any_is_nobody() -> None:
    application = make_application()
    device = make_registration(application)

    assert matched(application, {}) == matched(application, {"all": []}) == {device.pk}
    assert matched(application, {"any": []}) == set()
    assert matched(application, {"not": {"any": []}}) == {device.pk}


def deep(levels: int) -> Rule:
    rule: Rule = {"all": []}
    for _ in range(levels):
        rule = {"all": [rule]}
    return rule


@pytest.mark.parametrize(
    ("rule", "path", "part"),
    [
        ({"all": [{"field": "colour"}]}, "all[0].field", "no field 'colour'"),
        ({"any": [{"all": "x"}]}, "any[0].all", "expected a list"),
        ({"field": "platform", "op": "gt"}, "op", "takes one of"),
        ({"field": "platform", "op": "is", "value": "Symbian"}, "value", "one of: Android"),
        ({"field": "last_seen", "op": "before", "value": "2026-02-30"}, "value", "a day such as"),
        ({"field": "last_seen", "op": "within_days", "value": True}, "value", "number of days"),
        ({"field": "app_version", "op": "lt", "value": "new"}, "value", "a version such as"),
        ({"field": "tag", "op": "has", "value": "a\x00b"}, "value", "not empty"),
        ({"field": "attribute:x", "op": "is", "value": {"y": 1}}, "value", "expected a text"),
        ({"field": "attribute:x", "op": "gt", "value": True}, "value", "no order"),
        ({"all": [], "any": []}, "", "exactly one"),
        ({"not": 5}, "not", "expected an object"),
        ({"all": [{"all": []}] * NODES}, f"all[{NODES - 1}]", "at most"),
    ],
)
def test_a_fault_names_its_place(rule: Any, path: str, part: str) -> None:
    with pytest.raises(RuleError) as fault:
        to_q(rule)
    assert fault.value.path == path
    assert part in fault.value.problem


def test_groups_nest_only_so_deep() -> None:
    to_q(deep(DEPTH))
    with pytest.raises(RuleError, match="nest at most"):
        to_q(deep(1000))


def test_a_rule_reads_as_a_sentence() -> None:
    rule = {
        "all": [
            {"field": "platform", "op": "is", "value": "iOS"},
            {"any": [
                {"field": "tag", "op": "has", "value": "vip"},
                {"field": "app_version", "op": "lt", "value": "4.10"},
            ]},
            {"not": {"field": "attribute:plan", "op": "empty"}},
        ]
    }  # fmt: skip
    assert sentence(rule) == (
        "platform is iOS and (tag has vip or app version is older than 4.10)"
        " and not (plan is empty)"
    )
    assert sentence({}) == "every device"


# ---------------------------------------------------------------- against plain Python

LANGUAGES = ["", "de", "de-AT", "en"]
VALUES = [None, True, False, 0, 1, 2.5, -3, "", "a", "b", "2026-01-01"]
TESTS: list[Rule] = [
    {"field": "platform", "op": "is", "value": "iOS"},
    {"field": "platform", "op": "not_in", "value": ["iOS", "Web"]},
    {"field": "language", "op": "is_not", "value": "de"},
    {"field": "language", "op": "starts_with", "value": "de"},
    {"field": "app_version", "op": "lt", "value": "2.0"},
    {"field": "app_version", "op": "gte", "value": "1.10"},
    {"field": "secure", "op": "is", "value": True},
    {"field": "tag", "op": "has_any", "value": ["x", "y"]},
    {"field": "tag", "op": "has_not", "value": "x"},
    {"field": "attribute:k", "op": "empty"},
    *({"field": "attribute:k", "op": op, "value": value}
      for op in ("is", "is_not") for value in VALUES[1:]),
    *({"field": "attribute:k", "op": op, "value": value}
      for op in ("lt", "lte", "gt", "gte") for value in (0, 1.5, "a", "2026-01-01")),
]  # fmt: skip
rules = st.recursive(
    st.sampled_from(TESTS),
    lambda inner: st.one_of(
        st.builds(lambda members: {"all": members}, st.lists(inner, max_size=3)),
        st.builds(lambda members: {"any": members}, st.lists(inner, max_size=3)),
        st.builds(lambda member: {"not": member}, inner),
    ),
    max_leaves=6,
)
devices = st.fixed_dictionaries(
    {
        "platform": st.sampled_from(list(Platform)),
        "language": st.sampled_from(LANGUAGES),
        "app_version": st.sampled_from(["", "1.9", "1.10", "2.0-beta", "2.0"]).map(pack_version),
        "secure": st.sampled_from([None, True, False]),
        "person_tags": st.sampled_from([[], ["x"], ["y", "z"]]),
        "attributes": st.sampled_from([{}] + [{"k": value} for value in VALUES]),
    }
)


def same(one: object, other: object) -> bool:
    """JSON equality: 1 = 1.0, but true is no number."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def evaluate(rule: Rule, device: dict[str, Any]) -> bool:
    """What a rule means, without any database."""
    if "all" in rule:
        return all(evaluate(member, device) for member in rule["all"])
    if "any" in rule:
        return any(evaluate(member, device) for member in rule["any"])
    if "not" in rule:
        return not evaluate(rule["not"], device)
    name, op, value = rule["field"], rule["op"], rule.get("value")
    return MEANING.get(name, attribute_means)(op, value, device)


def platform_means(op: str, value: Any, device: dict[str, Any]) -> bool:
    label = device["platform"].label
    return bool(label == value if op == "is" else label not in value)


def language_means(op: str, value: Any, device: dict[str, Any]) -> bool:
    language: str = device["language"]
    return language != value if op == "is_not" else language.startswith(value)


def version_means(op: str, value: Any, device: dict[str, Any]) -> bool:
    version: int = device["app_version"]
    return 0 < version < pack_version(value) if op == "lt" else version >= pack_version(value)


def tags_mean(op: str, value: Any, device: dict[str, Any]) -> bool:
    tags = set(device["person_tags"])
    return bool(tags & set(value)) if op == "has_any" else value not in tags


def attribute_means(op: str, value: Any, device: dict[str, Any]) -> bool:
    attributes = device["attributes"]
    stored = attributes.get("k")
    if op == "empty":
        return "k" not in attributes
    if op in ("is", "is_not"):
        return ("k" in attributes and same(stored, value)) == (op == "is")
    alike = isinstance(stored, str) if isinstance(value, str) else isinstance(stored, int | float)
    ordered = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}
    return alike and not isinstance(stored, bool) and bool(ordered[op](stored, value))


MEANING: dict[str, Callable[[str, Any, dict[str, Any]], bool]] = {
    "platform": platform_means,
    "language": language_means,
    "app_version": version_means,
    "secure": lambda op, value, device: device["secure"] is True,
    "tag": tags_mean,
}


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    trees=st.lists(rules, min_size=14, max_size=14),
    described=st.lists(devices, min_size=12, max_size=12),
)
def test_the_compiler_agrees_with_plain_python(
    trees: list[Rule], described: list[dict[str, Any]]
) -> None:
    application = make_application()
    created = Registration.objects.bulk_create(
        Registration(application=application, **device) for device in described
    )
    for rule in trees:
        expected = {
            registration.pk
            for registration, device in zip(created, described, strict=True)
            if evaluate(rule, device)
        }
        assert matched(application, rule) == expected, rule
