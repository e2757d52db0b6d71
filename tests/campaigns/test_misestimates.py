"""Statements that stay linear where the planner expects a row and a million come.

It cannot know how many recipients the chunks of a bulk have that was frozen a moment ago, nor how
many devices two conditions on attributes leave. What compares each row with each other one ends
at no time then.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from campaigns import fanout, ledger
from campaigns.models import Bulk, CapUse, Chunk
from devices.models import Application, Platform
from tests.factories import make_application, make_bulk, make_flow_bulk, make_registrations

pytestmark = pytest.mark.django_db

EACH_WITH_EACH = re.compile(r"Nested Loop[^\n]*\n\s*Join Filter")
RARE_AS_IT_SEEMS = {
    "all": [{"field": f"attribute:{name}", "op": "gt", "value": 0} for name in ("visits", "bought")]
}
Given = Sequence[Any] | Mapping[str, Any] | None


@pytest.fixture
def shop() -> Application:
    """Whose chunks are those of single sends, nearly all, and whose devices match all the same."""
    application = make_application()
    bulk = make_bulk(application, origin=Bulk.Origin.API, status=Bulk.Status.DONE)
    others = Bulk.objects.bulk_create(
        Bulk(application=application, starts_at=bulk.starts_at, status=Bulk.Status.DONE)
        for _ in range(300)
    )
    Chunk.objects.bulk_create(
        Chunk(
            bulk=other, recipients=[1], size=1, platform=Platform.ANDROID,
            status=Chunk.Status.DONE, not_before=bulk.starts_at,
        )
        for other in others
    )  # fmt: skip
    make_registrations(application, 100, attributes={"visits": 3, "bought": 2})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE campaigns_chunk, devices_registration")
    return application


@contextmanager
def plans(of: str) -> Iterator[list[str]]:
    """The plans of those statements that write to a table, as they are carried out."""
    found: list[str] = []

    def explain(execute: Any, sql: str, given: Given, many: bool, context: Any) -> Any:
        if re.search(rf"(INSERT INTO|DELETE FROM) {of}\b", sql):
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}", given)
                found.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(sql, given, many, context)

    with connection.execute_wrapper(explain):
        yield found


def assert_linear(found: Sequence[str]) -> None:
    assert found
    for plan in found:
        assert not EACH_WITH_EACH.search(plan), plan


def test_people_of_an_audience_begin_their_journeys(shop: Application) -> None:
    with plans("campaigns_journey") as found:
        fanout.freeze(make_flow_bulk(shop))
    assert_linear(found)


@pytest.mark.parametrize(
    "asks",
    [{"quiet_from": "02:00", "quiet_to": "03:00"}, {"cap_count": 3, "cap_hours": 24}],
    ids=["quiet hours", "a cap"],
)
def test_an_audience_finds_its_turns_and_what_it_had(
    shop: Application, asks: dict[str, Any]
) -> None:
    Application.objects.filter(pk=shop.pk).update(**asks)
    shop.refresh_from_db()
    fanout.freeze(make_bulk(shop))

    with plans("campaigns_chunk") as found:
        assert fanout.freeze(make_bulk(shop, rule=RARE_AS_IT_SEEMS)) == 100
    assert_linear(found)


def test_what_was_cancelled_counts_no_more(shop: Application) -> None:
    Application.objects.filter(pk=shop.pk).update(cap_count=3, cap_hours=24)
    shop.refresh_from_db()
    bulk = make_bulk(shop)
    fanout.freeze(bulk)
    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.CANCELLED)

    with plans("campaigns_capuse") as found:
        ledger.cancel_chunks(bulk.pk)
    assert_linear(found)
    assert not CapUse.objects.exists()
