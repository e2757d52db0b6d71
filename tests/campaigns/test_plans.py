"""The ten commonest rules, and the index that each of them is answered by.

A plan is the database's choice among what it has: these fail when an index is dropped, when a
condition is written so that it fits no index, or when statistics mislead.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from campaigns import audience
from campaigns.targeting import EVERYBODY, Rule
from devices import indexing
from devices.models import Application, AttributeDefinition, Identity, Registration
from tests.campaigns.population import populate, vacuum
from tests.factories import make_application

DEVICES = 60_000
LAST_WEEK = [(timezone.now() - timedelta(days=days)).date().isoformat() for days in (7, 1)]
IOS: Rule = {"field": "platform", "op": "is", "value": "iOS"}
GERMAN: Rule = {"field": "language", "op": "in", "value": ["de", "de-AT"]}
OLD: Rule = {"field": "app_version", "op": "lt", "value": "4.10"}
TAG: Rule = {"field": "tag", "op": "has", "value": "staff"}

COVERING = "registration_reachable"
RULES: list[tuple[str, Rule, str]] = [
    ("everybody", EVERYBODY, COVERING),
    ("a platform", IOS, COVERING),
    ("languages", GERMAN, COVERING),
    ("older than a version", OLD, COVERING),
    ("platform, language and version", {"all": [IOS, GERMAN, OLD]}, COVERING),
    ("all but a platform", {"not": IOS}, COVERING),
    ("a tag", TAG, "registration_tags"),
    ("an attribute", {"field": "attribute:vip", "op": "is", "value": True},
     "registration_attributes"),
    ("external ids", {"field": "external_id", "op": "in", "value": []}, "registration_person"),
    ("registered in a week", {"field": "created", "op": "between", "value": LAST_WEEK},
     "registration_created"),
]  # fmt: skip


@pytest.fixture(scope="module")
def shop(django_db_setup: None, django_db_blocker: Any) -> Iterator[Application]:
    """Committed, so that the table can be vacuumed; taken away after the module's tests."""
    with django_db_blocker.unblock():
        application = make_application()
        populate(application, DEVICES)
        few = Registration.objects.order_by("pk")[:50].values("pk")
        Registration.objects.filter(pk__in=few).update(
            attributes={"plan": "free", "city": "Gstaad", "ltv": 10}
        )
        for (scope, name), type_ in INDEXED.items():
            AttributeDefinition.objects.create(
                scope=scope, name=name, type=type_, indexed=True,
                application=application if scope == Scope.DEVICE else None,
            )  # fmt: skip
        assert indexing.fit() == len(INDEXED)
        vacuum()
        yield application
        call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=False)
        assert indexing.fit() == len(INDEXED)  # dropped


Type, Scope = AttributeDefinition.Type, AttributeDefinition.Scope
INDEXED = {
    (Scope.DEVICE, "ltv"): Type.NUMBER,
    (Scope.DEVICE, "bought"): Type.DATE,
    (Scope.DEVICE, "city"): Type.TEXT,
    (Scope.PERSON, "loyalty"): Type.NUMBER,
}
BY_ATTRIBUTE: list[tuple[str, Rule]] = [
    ("ltv", {"field": "attribute:ltv", "op": "gt", "value": 300}),
    ("ltv", {"field": "attribute:ltv", "op": "between", "value": [350, 360]}),
    ("bought", {"field": "attribute:bought", "op": "within_days", "value": 1}),
    ("bought", {"field": "attribute:bought", "op": "between", "value": LAST_WEEK}),
    ("city", {"field": "attribute:city", "op": "starts_with", "value": "Gst"}),
    ("loyalty", {"field": "person_attribute:loyalty", "op": "gt", "value": 980}),
]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def plan_of(application: Application, rule: Rule) -> list[dict[str, Any]]:
    return explained(audience.of(application, rule).values("pk"))


def explained(rows: QuerySet[Any, Any]) -> list[dict[str, Any]]:
    sql, parameters = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
        (found,) = cursor.fetchone()
    plans = json.loads(found) if isinstance(found, str) else found
    return list(nodes(plans[0]["Plan"]))


@pytest.mark.django_db
@pytest.mark.parametrize(("rule", "index"), [each[1:] for each in RULES], ids=[r[0] for r in RULES])
def test_a_common_rule_is_answered_by_its_index(shop: Application, rule: Rule, index: str) -> None:
    if rule.get("field") == "external_id":
        known = Identity.objects.values_list("value", flat=True)[:20]
        rule = {**rule, "value": list(known)}
    plan = plan_of(shop, rule)

    assert index in {node.get("Index Name") for node in plan}, plan
    scanned = {node.get("Relation Name") for node in plan if node["Node Type"] == "Seq Scan"}
    assert "devices_registration" not in scanned
    if index == COVERING:
        assert "Index Only Scan" in {node["Node Type"] for node in plan}


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "rule"), BY_ATTRIBUTE)
def test_an_exact_count_uses_the_index_of_an_attribute(
    shop: Application, name: str, rule: Rule
) -> None:
    """Whoever matches is counted, also who cannot be reached."""
    definition = AttributeDefinition.objects.get(name=name)
    counted = audience.with_reason(audience.matching(shop, rule), (), primary_only=False)
    plan = explained(counted.values_list("platform", "reason"))

    assert indexing.name_of(definition) in {node.get("Index Name") for node in plan}, plan
