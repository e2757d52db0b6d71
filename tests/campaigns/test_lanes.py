"""campaigns.lanes and dispatch: what goes wrong beside the clouds costs no answer."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import OperationalError
from django.utils import timezone

from campaigns import dispatch, halting, lanes, ledger, pacing, statistics
from campaigns.models import Bulk, Chunk, Message, Reason, RepeatPolicy
from devices.models import Platform
from providers.base import Cause, Outcome, Scope, Verdict
from tests.campaigns.handing_over import (
    LONG_AGO,
    CloudFor,
    assert_consistent,
    fills,
    frozen,
    states,
)
from tests.factories import make_registrations
from tests.waiting import eventually

pytestmark = pytest.mark.django_db
State = Message.State
BUSY = Outcome(verdict=Verdict.TRY_LATER, scope=Scope.DEVICE, cause=Cause.CLOUD_UNAVAILABLE)
DELIVERED_BUSY = Outcome(
    verdict=Verdict.TRY_LATER, scope=Scope.DEVICE, cause=Cause.CLOUD_UNAVAILABLE, may_have_sent=True
)


@pytest.fixture(autouse=True)
def _small(settings: Any) -> Iterator[None]:
    settings.CHUNK_SIZE = 20
    settings.WINDOW_SIZE = 5
    yield
    halting.forget()


def test_a_worker_that_is_to_end_finishes_what_is_on_the_wire(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(40)
    cloud = cloud_for(credential)
    cloud.before_answering = halting.ask

    sent = dispatch.work(seconds=60)

    assert 5 <= sent <= 10  # the windows that were on the wire
    assert states(bulk) == {(State.ACCEPTED, Reason.NONE): sent}
    assert not Chunk.objects.filter(lease_until__isnull=False).exists()
    assert dispatch.work(seconds=60) == 0
    halting.forget()
    cloud.before_answering = lambda: None
    assert dispatch.work(seconds=60) == 40 - sent


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_jumps_in_the_middle_costs_nothing(
    cloud_for: CloudFor, step: timedelta
) -> None:
    bulk, credential = frozen(40)
    cloud = cloud_for(credential)
    with time_machine.travel(timezone.now(), tick=True) as clock:
        jumps = iter([step])
        cloud.before_answering = lambda: clock.shift(next(jumps, timedelta()))
        dispatch.work(seconds=60)

    assert states(bulk) == {(State.ACCEPTED, Reason.NONE): 40}
    assert len(cloud.taken) == len({one.message_id for one in cloud.taken}) == 40
    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.DONE
    assert_consistent(bulk)


def test_the_trouble_of_one_lane_waits_for_the_answers_of_the_others(
    cloud_for: CloudFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk, credential = frozen(40)
    cloud_for(credential)
    begun = lanes.Lane._begin
    chunks: list[int] = []

    def begin(lane: lanes.Lane, chunk: ledger.ClaimedChunk) -> None:
        chunks.append(chunk.id)
        if len(chunks) == 2:
            raise RuntimeError("a chunk that cannot be prepared")
        begun(lane, chunk)

    monkeypatch.setattr(lanes.Lane, "_begin", begin)

    with pytest.raises(RuntimeError, match="cannot be prepared"):
        dispatch.work(seconds=60)

    assert states(bulk) == {(State.ACCEPTED, Reason.NONE): 5}
    left = Chunk.objects.get(pk=chunks[1])
    assert (left.cursor, left.window_to) == (0, None)
    assert left.lease_until is not None  # its lease runs out, and somebody tries again


def test_an_answer_is_written_again_when_the_database_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures = [OperationalError("terminating connection"), OperationalError("starting up")]
    closed: list[bool] = []

    class Connection:
        in_atomic_block = False

        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr(lanes, "connection", Connection())

    def write() -> str:
        if failures:
            raise failures.pop()
        return "written"

    assert lanes.through(write) == "written"
    assert len(closed) == 2


def test_a_database_that_stays_away_is_said(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.LEASE_SECONDS = -1  # no time at all

    def write() -> None:
        raise OperationalError("gone")

    with pytest.raises(OperationalError):
        lanes.through(write)


def test_what_a_late_worker_knows_was_not_sent_is_not_called_unknown(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(5)
    cloud_for(credential).answer = lambda one: BUSY
    lane = lanes.Lane()
    assert fills(lane)
    Chunk.objects.filter(bulk=bulk).update(lease_until=LONG_AGO)
    assert dispatch.settle_abandoned() == 1

    assert lane.land() == 0

    assert states(bulk) == {(State.FAILED, Reason.CLOUD_UNAVAILABLE): 5}
    assert_consistent(bulk)


def test_a_late_worker_still_pauses_what_its_cloud_refused(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(5)
    cloud_for(credential).answer = lambda one: Outcome(
        verdict=Verdict.MISCONFIGURED, cause=Cause.CREDENTIAL_REFUSED, reason="PERMISSION_DENIED"
    )
    lane = lanes.Lane()
    assert fills(lane)
    Chunk.objects.filter(bulk=bulk).update(lease_until=LONG_AGO)
    dispatch.settle_abandoned()

    lane.land()

    credential.refresh_from_db()
    assert credential.paused_at is not None


def test_leases_are_extended_while_other_lanes_get_their_answers(
    cloud_for: CloudFor, settings: Any
) -> None:
    settings.LEASE_SECONDS = 4
    bulk, credential = frozen(40)
    cloud_for(credential)
    working = dispatch._Lanes(urgent=False, until=time.monotonic() + 60)
    assert working.turn()
    slow = next(lane for lane in working.all if lane.chunk is not None)
    assert slow.chunk is not None
    soon = timezone.now() + timedelta(seconds=2)
    Chunk.objects.filter(pk=slow.chunk.id).update(lease_until=soon)
    working._extend_at = 0.0

    working._extend([slow])

    assert Chunk.objects.get(pk=slow.chunk.id).lease_until > soon  # type: ignore[operator]
    while working.turn():
        pass
    assert states(bulk) == {(State.ACCEPTED, Reason.NONE): 40}


@pytest.fixture
def slow_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look for a chunk where there is none takes a while."""
    claim = ledger.claim_chunk

    def slowly(*, urgent: bool = False) -> ledger.ClaimedChunk | None:
        chunk = claim(urgent=urgent)
        if chunk is None:
            time.sleep(0.05)
        return chunk

    monkeypatch.setattr(ledger, "claim_chunk", slowly)


@pytest.mark.usefixtures("slow_looks")
@pytest.mark.parametrize("windows", [1, 2])
def test_a_booked_window_whose_time_comes_while_others_look_for_work_leaves(
    cloud_for: CloudFor, monkeypatch: pytest.MonkeyPatch, windows: int
) -> None:
    bulk, credential = frozen(5 * windows)
    cloud_for(credential)
    monkeypatch.setattr(pacing, "draw", lambda wanted: pacing.Draw(granted=True, delay=0.02))

    assert dispatch.work(seconds=60) == 5 * windows

    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.DONE


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("slow_looks")
def test_a_chunk_whose_pace_lets_it_go_on_while_its_lane_looks_for_work_goes_on(
    cloud_for: CloudFor, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.WINDOWS_IN_FLIGHT = 1
    bulk, credential = frozen(5)
    cloud_for(credential)
    places = iter([pacing.Draw(granted=False, delay=0.02)])
    then = pacing.Draw(granted=True, delay=0.0)
    monkeypatch.setattr(pacing, "draw", lambda wanted: next(places, then))

    assert dispatch.work(seconds=60) == 5

    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.DONE


def test_urgent_messages_do_not_wait_for_each_others_answers(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(0)
    devices = make_registrations(bulk.application, 10)
    cloud_for(credential)
    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.SENDING)
    for device in devices:
        Chunk.objects.create(
            bulk=bulk, platform=Platform.ANDROID, size=1, recipients=[device.pk],
            not_before=LONG_AGO, urgent=True,
        )  # fmt: skip
    working = dispatch._Lanes(urgent=True, until=time.monotonic() + 60)

    for lane in working.all:
        working._guard(lane, working._fill)

    assert sum(lane.future is not None for lane in working.all) == 10
    assert sum(lane.in_flight for lane in working.all) == 10
    while working.turn():
        pass
    assert working.count == 10


def test_no_more_is_on_the_wire_than_a_kill_may_leave_in_doubt(
    cloud_for: CloudFor, settings: Any
) -> None:
    bulk, credential = frozen(200)
    cloud_for(credential)
    Chunk.objects.filter(bulk=bulk).update(urgent=True)
    working = dispatch._Lanes(urgent=True, until=time.monotonic() + 60)

    for lane in working.all:
        working._guard(lane, working._fill)

    most = settings.WINDOWS_IN_FLIGHT * settings.WINDOW_SIZE
    assert sum(lane.in_flight for lane in working.all) == most
    for lane in working.all:
        if lane.future is not None:
            lane.land()
        lane.let_go()


def test_what_may_have_arrived_is_unknown_when_its_next_try_is_cancelled(
    cloud_for: CloudFor,
) -> None:
    bulk, credential = frozen(5, repeat_policy=RepeatPolicy.WHEN_REFUSED)
    cloud_for(credential).answer = lambda one: DELIVERED_BUSY
    dispatch.work(seconds=60)
    assert statistics.funnel(bulk).waiting == 5

    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.CANCELLED)
    ledger.cancel_chunks(bulk.pk)
    dispatch.settle_abandoned()

    assert states(bulk) == {(State.UNKNOWN, Reason.NO_ANSWER): 5}
    counted = statistics.funnel(bulk)
    assert (counted.unknown, counted.cancelled, counted.waiting) == (5, 0, 0)
    assert_consistent(bulk)


def test_a_paused_bulk_whose_time_is_over_ends(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(5)
    cloud_for(credential)
    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.PAUSED, ttl=1)
    young, _ = frozen(5)
    Bulk.objects.filter(pk=young.pk).update(status=Bulk.Status.PAUSED)

    assert ledger.resume_overdue() == 1
    dispatch.work(seconds=60)

    assert states(bulk) == {(State.EXPIRED, Reason.TOO_LATE): 5}
    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.DONE
    young.refresh_from_db()
    assert young.status == Bulk.Status.PAUSED


def test_a_pause_after_a_quiet_time_does_not_book_minutes() -> None:
    bucket = pacing.Bucket(f"pace:test:quiet:{time.time_ns()}", 9000)
    pacing.draw([(bucket, 1)])
    pacing.pause(bucket, 0.01)
    eventually(lambda: not pacing.paused_for(bucket))

    assert pacing.draw([(bucket, 5)]).granted

    again = pacing.draw([(bucket, 5)])
    assert again.delay < 5


def test_the_end_of_a_campaign_is_not_taken_for_its_beginning(
    cloud_for: CloudFor, settings: Any
) -> None:
    settings.WINDOW_SIZE = settings.CHUNK_SIZE = 100
    bulk, credential = frozen(603)
    last = set(bulk.chunks.order_by("-pk").values_list("recipients", flat=True)[0])
    refused = Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED, status=400)
    accepted = Outcome(verdict=Verdict.ACCEPTED)
    cloud_for(credential).answer = lambda one: (
        refused if one.message_id.int & (1 << 42) - 1 in last else accepted
    )

    dispatch.work(seconds=60)

    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.DONE
    assert states(bulk) == {
        (State.ACCEPTED, Reason.NONE): 600, (State.FAILED, Reason.PAYLOAD_REFUSED): 3,
    }  # fmt: skip
