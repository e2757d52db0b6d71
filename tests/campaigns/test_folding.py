"""campaigns.folding: how the database is asked, whatever its statistics say."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from campaigns import batches, folding, ids, partitions
from campaigns.models import Bulk, Message
from devices.models import Platform
from tests.factories import make_application, make_bulk

pytestmark = pytest.mark.django_db
ACCEPTED = Message.State.ACCEPTED


def accepted_bulk(starts_at: datetime, count: int) -> Bulk:
    """A bulk with a row per device, whoever the devices are."""
    bulk = make_bulk(make_application(), starts_at=starts_at)
    Message.objects.bulk_create(
        Message(
            id=ids.message_id(bulk, number), bulk=bulk, registration_id=number, state=ACCEPTED,
            platform=Platform.ANDROID, sent_at=starts_at, app_version=0,
        )
        for number in range(count)
    )  # fmt: skip
    return bulk


def test_new_rows_are_found_by_their_keys_however_few_the_planner_expects() -> None:
    today = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
    accepted_bulk(today, 1000)
    bulk = accepted_bulk(today + timedelta(hours=1), 1000)
    accepted_bulk(today + timedelta(hours=2), 1000)
    with connection.cursor() as cursor:
        # The bulk lies between two bounds of the histogram, as one does among millions.
        cursor.execute("SET LOCAL default_statistics_target = 1")
        cursor.execute("ANALYZE campaigns_message")
    said = [batches.packed(ids.message_id(bulk, n), Message.State.DELIVERED, today)
            for n in range(1000)]  # fmt: skip
    plans: list[dict[str, Any]] = []

    with connection.execute_wrapper(explaining(folding._FOLD, plans)):
        folding.fold([(bulk.application_id, None, said)])

    (update,) = [
        node for plan in plans for node in nodes(plan) if node.get("Operation") == "Update"
    ]
    (join,) = update["Plans"]
    first, _ = join["Plans"]
    assert (join["Node Type"], first.get("CTE Name")) == ("Nested Loop", "locked")
    assert Message.objects.filter(bulk=bulk, state=Message.State.DELIVERED).count() == 1000


def explaining(sql: str, plans: list[dict[str, Any]]) -> Callable[..., Any]:
    """Take down the plan of one statement before it runs."""

    def wrapper(execute: Any, asked: str, params: Any, many: bool, context: Any) -> Any:
        if asked == sql:
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {asked}", params)
                (told,) = cursor.fetchone()
                plans.append((json.loads(told) if isinstance(told, str) else told)[0]["Plan"])
        return execute(asked, params, many, context)

    return wrapper


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *[node for part in plan.get("Plans", []) for node in nodes(part)]]


@pytest.mark.parametrize("hour", [0, 23])
def test_the_first_id_of_a_day_is_its_partitions_bound(hour: int) -> None:
    bulk = make_bulk(make_application(), starts_at=timezone.now().replace(hour=hour))
    day = bulk.starts_at.replace(hour=0, minute=0, second=0, microsecond=0)

    first = partitions.first_of_day(ids.message_id(bulk, 7))

    assert first == ids.lowest_id(day)


def test_a_made_up_id_has_a_day_too() -> None:
    assert partitions.first_of_day(UUID(int=2**128 - 1)) < UUID(int=2**128 - 1)
