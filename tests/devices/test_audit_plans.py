"""The Audit page at many entries: each way to search it is answered by its index."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from devices import auditing
from devices.auditing import Search
from devices.models import Application, AuditEntry
from tests.factories import make_application

START = datetime(2026, 11, 1, tzinfo=UTC)
ENTRIES = 40_000  # enough for the planner to prefer an index


@pytest.fixture(scope="module")
def trail(django_db_setup: None, django_db_blocker: Any) -> Iterator[list[Application]]:
    """Committed, so that the table can be vacuumed; taken away after the module's tests."""
    with django_db_blocker.unblock():
        applications = [make_application() for _ in range(2)]
        AuditEntry.objects.bulk_create(
            (
                AuditEntry(
                    at=START + timedelta(seconds=n), application=applications[n % 1000 == 0],
                    actor_name=f"user {n % 500}", action=f"change {n % 40}",
                    object_type="campaign", object_id=str(n), object_name=f"Sale {n}",
                )
                for n in range(ENTRIES)
            ),
            batch_size=5000,
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE devices_auditentry")
        yield applications
        call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=False)


def scans(rows: Any) -> set[str]:
    """The indexes of a query's plan; the name of its table where that is read whole."""
    sql, parameters = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
        (plan,) = cursor.fetchone()
    found, nodes = set(), [(json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if "Scan" in node["Node Type"]:
            found.add(node.get("Index Name") or node.get("Relation Name") or "")
    return found - {""}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "index"),
    [
        ({}, "audit_newest"),
        ({"since": date(2026, 11, 1), "until": date(2026, 11, 1)}, "audit_newest"),
        ({"who": "user 7"}, "audit_of_actor"),
        ({"action": "change 7"}, "audit_of_action"),
        ({"what": "sale 3999"}, "audit_of_name"),
        ({"what": "campaign 77"}, "audit_of_object"),
    ],
)
def test_each_way_to_search_has_its_index(
    trail: list[Application], given: dict[str, Any], index: str
) -> None:
    middle = (START + timedelta(seconds=ENTRIES // 2), 10**9)
    search = Search(applications=None, **given)
    assert scans(search.entries(limit=51)) == {index}
    if not set(given) & {"what"}:
        assert scans(search.entries(limit=51, before=middle)) == {index}
        assert scans(search.entries(limit=51, after=middle)) == {index}


@pytest.mark.django_db
def test_a_small_application_is_not_searched_for_in_a_large_one(trail: list[Application]) -> None:
    small = scans(Search(applications=[trail[1].pk]).entries(limit=51))
    both = scans(Search(applications=[each.pk for each in trail]).entries(limit=51))
    assert small
    assert all("application" in index for index in small)
    assert small < both
    assert "devices_auditentry" not in both


@pytest.mark.django_db
def test_the_actions_are_found_without_reading_the_table(trail: list[Application]) -> None:
    assert auditing.actions() == sorted(f"change {n}" for n in range(40))
