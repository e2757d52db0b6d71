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

from campaigns import excluding, fanout, ids, segmenting
from campaigns.models import Bulk, Chunk
from devices.models import Application, Platform, Registration, Role
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_flow_bulk,
    make_registrations,
    make_user,
)

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
def plans(of: str, *, reading: bool = False) -> Iterator[list[str]]:
    """The plans of those statements that write to a table, or read it, as they are carried out."""
    found: list[str] = []
    verbs = 'FROM "?' if reading else "(INSERT INTO|DELETE FROM) "

    def explain(execute: Any, sql: str, given: Given, many: bool, context: Any) -> Any:
        if re.search(rf"{verbs}{of}\b", sql):
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


def test_an_audience_finds_what_it_had(shop: Application) -> None:
    Application.objects.filter(pk=shop.pk).update(cap_count=3, cap_hours=24)
    shop.refresh_from_db()
    fanout.freeze(make_bulk(shop))

    with plans("campaigns_chunk") as found:
        assert fanout.freeze(make_bulk(shop, rule=RARE_AS_IT_SEEMS)) == 100
    assert_linear(found)


GOT = """
INSERT INTO campaigns_message (id, bulk_id, registration_id, sent_at, app_version, state, reason,
                               platform, variant, attempt, language, answer)
SELECT (lpad(to_hex(%(high)s::bigint), 16, '0')
        || lpad(to_hex(%(low)s::bigint + n), 16, '0'))::uuid,
       %(bulk)s, n, now(), 0, 3, 0, 1, 0, 0, '', ''
FROM generate_series(%(first)s, %(first)s + %(count)s) n
"""


def test_a_window_asks_for_each_of_its_devices_alone(shop: Application) -> None:
    """Where people are left out by what became of a campaign of which nothing is known yet."""
    campaign = make_campaign(shop)
    bulk = make_bulk(shop, campaign=campaign)
    first = ids.first_id(bulk)
    values = {"high": first >> 64, "low": (first & (2**64 - 1)) - 2**64, "bulk": bulk.pk}
    window = list(Registration.objects.filter(application=shop).values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(GOT, values | {"first": min(window), "count": 5000})
    rule = {"field": "received", "op": "ever", "campaign": campaign.pk}
    user = make_user(Role.MARKETER, shop)
    segment = segmenting.create(shop, user, name="Got it", rule={"all": [rule]})
    segmenting.exclude(segment, user, excludes=True)

    with plans("devices_registration", reading=True) as found:
        stopped = excluding.reasons(shop, window)

    assert len(stopped) == len(window) == 100
    (plan,) = found
    assert "hashed SubPlan" not in plan
    assert "SubPlan" in plan
