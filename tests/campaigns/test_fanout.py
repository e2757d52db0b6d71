from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from campaigns import fanout, ids, partitions, statistics
from campaigns.models import Bulk, Chunk, Message, Reason
from devices.models import Platform
from tests.factories import make_application, make_bulk, make_registration, make_registrations

pytestmark = pytest.mark.django_db


def test_freezing_twice_adds_nobody() -> None:
    bulk = make_bulk()
    make_registration(bulk.application)

    assert fanout.freeze(bulk) == 1
    assert fanout.freeze(bulk) == 1
    assert bulk.chunks.count() == 1


def test_an_audience_is_cut_into_chunks_of_one_platform(settings: Any) -> None:
    settings.CHUNK_SIZE = 4
    application = make_application()
    android = make_registrations(application, 9)
    ios = make_registrations(application, 3, platform=Platform.IOS)
    make_registration(make_application())  # of another application
    bulk = make_bulk(application)

    assert fanout.freeze(bulk) == 12

    chunks = Chunk.objects.filter(bulk=bulk)
    assert sorted((chunk.platform, chunk.size) for chunk in chunks) == [
        (1, 1),
        (1, 4),
        (1, 4),
        (2, 3),
    ]
    frozen = [pk for chunk in chunks for pk in chunk.recipients]
    assert sorted(frozen) == sorted(device.pk for device in android + ios)


def test_who_is_left_out_is_written_down_with_the_reason() -> None:
    application = make_application()
    make_registration(application, primary=True)
    make_registration(application, enabled=False, notifications_enabled=False)
    make_registration(application, notifications_enabled=False)
    make_registration(application)
    bulk = make_bulk(application, primary_only=True)

    assert fanout.freeze(bulk) == 1

    bulk.refresh_from_db()
    assert bulk.left_out == 3
    left_out = {
        count.reason: count.count for count in statistics.reasons(bulk) if count.kind == "left_out"
    }
    assert left_out == {
        Reason.SWITCHED_OFF: 1,
        Reason.NOTIFICATIONS_OFF: 1,
        Reason.NOT_PRIMARY: 1,
    }


def test_a_bulk_that_is_not_due_yet_is_left_alone() -> None:
    bulk = make_bulk(starts_at=timezone.now() + timedelta(seconds=10))
    make_registration(bulk.application)

    assert fanout.freeze(bulk) == 0
    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.PENDING


def test_a_bulk_with_nobody_ends_as_done() -> None:
    bulk = make_bulk()
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.DONE
    assert bulk.finished_at is not None


# ------------------------------------------------------------------- ids


@given(
    seconds=st.floats(min_value=1.7e9, max_value=7e9),
    bulk_pk=st.integers(1, 2**32 - 1),
    recipient=st.integers(1, 2**42 - 1),
)
def test_an_id_tells_its_time_its_bulk_and_its_recipient(
    seconds: float, bulk_pk: int, recipient: int
) -> None:
    bulk = Bulk(pk=bulk_pk, starts_at=datetime.fromtimestamp(seconds, UTC))
    identifier = ids.message_id(bulk, recipient)

    assert identifier.version == 8
    assert identifier.variant == "specified in RFC 4122"
    assert ids.bulk_number(identifier) == bulk_pk
    assert identifier.int & ids.RECIPIENT_MASK == recipient
    low, high = ids.id_range(bulk)
    assert low <= identifier <= high
    assert ids.lowest_id(bulk.starts_at) <= identifier
    assert identifier < ids.lowest_id(bulk.starts_at + timedelta(milliseconds=2))


def test_ids_of_two_bulks_never_meet() -> None:
    starts_at = timezone.now()
    _, high = ids.id_range(Bulk(pk=7, starts_at=starts_at))
    low, _ = ids.id_range(Bulk(pk=8, starts_at=starts_at))
    assert high < low


# ------------------------------------------------------------------- days of the ledger


def partition_of(message: Message) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM campaigns_message WHERE id = %s", [message.pk]
        )
        return str(cursor.fetchone()[0])


def make_message(bulk: Bulk, recipient: int) -> Message:
    return Message.objects.create(
        id=ids.message_id(bulk, recipient), bulk=bulk, registration_id=recipient,
        sent_at=bulk.starts_at, state=Message.State.ACCEPTED, platform=Platform.ANDROID,
    )  # fmt: skip


def test_days_are_made_ahead_once_and_take_in_what_came_before_them() -> None:
    bulk = make_bulk()
    early = make_message(bulk, 1)
    assert partition_of(early) == "campaigns_message_default"

    made = partitions.make_ahead(days=2)

    assert partitions.name_of(bulk.starts_at) in made
    assert partitions.make_ahead(days=2) == []
    later = make_message(bulk, 2)
    assert partition_of(early) == partition_of(later) == partitions.name_of(bulk.starts_at)


def test_old_days_are_dropped_whole(settings: Any) -> None:
    settings.MESSAGE_RETENTION_DAYS = 2
    partitions.make_ahead(days=1)
    with connection.cursor() as cursor:
        old = timezone.now() - timedelta(days=30)
        low, high = ids.lowest_id(old), ids.lowest_id(old + timedelta(days=1))
        cursor.execute(
            f"CREATE TABLE {partitions.name_of(old)} PARTITION OF campaigns_message"
            f" FOR VALUES FROM ('{low}') TO ('{high}')"
        )

    assert partitions.drop_old() == [partitions.name_of(old)]
    assert partitions.name_of(timezone.now()) in partitions.existing()
