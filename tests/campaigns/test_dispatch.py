"""campaigns.dispatch: every device is handed over once, with its outcome, in its time."""

import itertools
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from structlog.contextvars import clear_contextvars, get_contextvars

from campaigns import dispatch, fanout, ledger, statistics
from campaigns.lanes import Lane
from campaigns.models import Bulk, Chunk, Message, Reason
from devices.models import Platform, Registration
from providers.base import Cause, NotPossible, Outcome, Verdict
from tests.campaigns.handing_over import (
    LONG_AGO,
    CloudFor,
    assert_consistent,
    fills,
    frozen,
    states,
)
from tests.factories import (
    make_application,
    make_bulk,
    make_credential,
    make_registration,
    make_registrations,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small")]


def test_every_device_of_the_audience_is_handed_over_once(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(30)
    cloud = cloud_for(credential)

    assert dispatch.work(seconds=60) == 30

    assert len({one.token for one in cloud.taken}) == len(cloud.taken) == 30
    assert {one.message_id for one in cloud.taken} == set(
        Message.objects.of_bulk(bulk).values_list("pk", flat=True)
    )
    assert states(bulk) == {(Message.State.ACCEPTED, Reason.NONE): 30}
    assert_consistent(bulk)
    assert bulk.status == Bulk.Status.DONE
    assert bulk.finished_at is not None


@pytest.mark.parametrize("claim", [ledger.claim_chunk, ledger.claim_abandoned])
def test_one_claim_takes_one_chunk_whatever_the_planner_expects(
    claim: Callable[[], Any], settings: Any
) -> None:
    settings.CHUNK_SIZE = 5
    frozen(1)[0].chunks.update(status=Chunk.Status.CANCELLED)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE campaigns_chunk")  # so it plans for one row
    bulk, _ = frozen(15)
    now = timezone.now()
    bulk.chunks.update(lease_until=now - timedelta(minutes=2))
    if claim is ledger.claim_abandoned:
        bulk.chunks.update(window_to=5)

    assert claim() is not None

    assert bulk.chunks.filter(lease_until__gt=now).count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_window_is_claimed_before_the_first_byte_leaves(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(5)
    claims: list[tuple[int, int | None]] = []

    def look_from_another_connection() -> None:
        claims.extend(Chunk.objects.filter(bulk=bulk).values_list("cursor", "window_to"))
        connection.close()

    cloud_for(credential).before_answering = look_from_another_connection
    dispatch.work(seconds=60)

    assert claims == [(0, 5)]


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        (Outcome(verdict=Verdict.ACCEPTED), Message.State.ACCEPTED, Reason.NONE),
        (
            Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404),
            Message.State.FAILED,
            Reason.UNINSTALLED,
        ),
        (
            Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.MALFORMED_TOKEN, status=400),
            Message.State.FAILED,
            Reason.MALFORMED_TOKEN,
        ),
        (
            Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED, status=400),
            Message.State.FAILED,
            Reason.PAYLOAD_REFUSED,
        ),
        (
            Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER),
            Message.State.UNKNOWN,
            Reason.NO_ANSWER,
        ),
    ],
)
def test_a_verdict_becomes_a_state_with_a_reason(
    cloud_for: CloudFor, outcome: Outcome, state: Message.State, reason: Reason
) -> None:
    bulk, credential = frozen(2)
    cloud_for(credential).answer = lambda one: outcome

    dispatch.work(seconds=60)

    assert states(bulk) == {(state, reason): 2}
    assert_consistent(bulk)


def test_nothing_leaves_after_the_time_to_live(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(3, ttl=30, starts_at=timezone.now() - timedelta(seconds=31))
    cloud = cloud_for(credential)

    dispatch.work(seconds=60)

    assert not cloud.taken
    assert states(bulk) == {(Message.State.EXPIRED, Reason.TOO_LATE): 3}
    assert_consistent(bulk)


def test_nothing_leaves_outside_the_delivery_window(cloud_for: CloudFor) -> None:
    now = timezone.now()
    bulk, credential = frozen(window={"days": [(now.weekday() + 2) % 7]})
    cloud = cloud_for(credential)

    assert dispatch.work(seconds=60) == 0
    assert not cloud.taken
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)
    assert {chunk.not_before for chunk in Chunk.objects.filter(bulk=bulk)} == {midnight}

    Bulk.objects.update(window={"days": list(range(7))})
    Chunk.objects.update(not_before=LONG_AGO)
    assert dispatch.work(seconds=60) == 30


def test_the_cloud_is_told_the_time_that_is_left(cloud_for: CloudFor) -> None:
    _, credential = frozen(1, ttl=100, starts_at=timezone.now() - timedelta(seconds=40))
    cloud = cloud_for(credential)

    dispatch.work(seconds=60)

    assert 55 <= cloud.taken[0].ttl <= 60


def test_a_paused_bulk_sends_nothing_and_goes_on_where_it_stopped(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(10)
    cloud = cloud_for(credential)
    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.PAUSED)
    assert dispatch.work(seconds=60) == 0

    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.SENDING)
    assert dispatch.work(seconds=60) == 10
    assert len(cloud.taken) == 10


def test_a_cancelled_bulk_counts_what_was_not_sent(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(40)
    cloud_for(credential)
    lane = Lane()
    assert fills(lane)
    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.CANCELLED)
    ledger.cancel_chunks(bulk.pk)
    assert lane.land() == 5  # what was on the wire is recorded
    assert not fills(lane)

    counted = statistics.funnel(bulk)
    assert (counted.sent, counted.cancelled, counted.waiting) == (5, 35, 0)
    assert_consistent(bulk)


def test_devices_that_cannot_be_sent_to_fail_with_their_reason(cloud_for: CloudFor) -> None:
    application = make_application()
    tokenless = make_registration(application, token="")
    switched_off, deleted = make_registrations(application, 2)
    make_registration(application, platform=Platform.IOS)  # no credential for it
    bulk = make_bulk(application)
    fanout.freeze(bulk)
    Registration.objects.filter(pk=switched_off.pk).update(enabled=False)
    deleted.delete()
    cloud = cloud_for(make_credential(application))

    dispatch.work(seconds=60)

    assert not cloud.taken
    assert states(bulk) == {
        (Message.State.FAILED, Reason.NO_TOKEN): 1,
        (Message.State.FAILED, Reason.DISABLED): 1,
        (Message.State.FAILED, Reason.REGISTRATION_GONE): 1,
        (Message.State.FAILED, Reason.PROVIDER_OFF): 1,
    }
    assert Message.objects.of_bulk(bulk).filter(registration_id=tokenless.pk).exists()
    assert_consistent(bulk)


def test_what_a_cloud_cannot_carry_fails_where_it_cannot(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(2)
    cloud = cloud_for(credential)

    def refuse(notification: object) -> Any:
        raise NotPossible("silent", "A browser shows every push.")

    cloud.compile = refuse
    dispatch.work(seconds=60)

    assert states(bulk) == {(Message.State.FAILED, Reason.PAYLOAD_REFUSED): 2}
    assert cloud.taken == []
    assert_consistent(bulk)


def test_a_throttle_is_kept_and_can_be_changed_while_it_runs(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(30, throttle=2)
    cloud = cloud_for(credential)
    moments: list[float] = []
    cloud.before_answering = lambda: moments.append(time.monotonic())

    assert dispatch.work(seconds=2.2) < 10
    slow = list(moments)
    Bulk.objects.filter(pk=bulk.pk).update(throttle=None)
    Chunk.objects.filter(bulk=bulk).update(not_before=LONG_AGO)
    dispatch.work(seconds=60)

    assert [len(cloud.taken)] == [30]
    gaps = [later - earlier for earlier, later in itertools.pairwise(slow)]
    assert sum(gap > 0.5 for gap in gaps) >= len(gaps) - 1  # two at once, a second apart
    assert_consistent(bulk)


def test_log_lines_of_a_window_name_their_bulk_and_chunk(
    cloud_for: CloudFor,
) -> None:
    clear_contextvars()
    bulk, credential = frozen(5)
    said: list[dict[str, Any]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(get_contextvars())

    def refuse(one: Any) -> Outcome:
        return Outcome(verdict=Verdict.MISCONFIGURED, reason="InvalidProviderToken")

    cloud_for(credential).answer = refuse
    listener = Listener()
    logging.getLogger("campaigns.channels").addHandler(listener)
    try:
        dispatch.work(seconds=60)
    finally:
        logging.getLogger("campaigns.channels").removeHandler(listener)

    chunk = Chunk.objects.filter(bulk=bulk).order_by("pk").first()
    assert chunk is not None
    assert said == [{"bulk": bulk.pk, "chunk": chunk.pk}]
    assert get_contextvars() == {}
