import itertools
import logging
import time
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from structlog.contextvars import clear_contextvars, get_contextvars

from campaigns import (
    channels,
    dispatch,
    fanout,
    ids,
    ledger,
    outcomes,
    pacing,
    reconciling,
    statistics,
)
from campaigns.lanes import Lane
from campaigns.models import Bulk, Chunk, Message, Reason, RepeatPolicy
from campaigns.store import store
from devices import closing
from devices.models import Address, Breaker, Platform, ProviderCredential, Registration
from providers.base import Cause, NotPossible, Outcome, Scope, Verdict
from tests.factories import (
    make_application,
    make_bulk,
    make_credential,
    make_registration,
    make_registrations,
)
from tests.waiting import eventually

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]
MISMATCHED = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.MISMATCHED_SENDER, status=403)
ACCEPTED = Outcome(verdict=Verdict.ACCEPTED, provider_id="1", status=200)
LONG_AGO = timezone.now() - timedelta(days=1)  # before the clock of any transaction


@pytest.fixture(autouse=True)
def _small(settings: Any) -> None:
    settings.CHUNK_SIZE = 20
    settings.WINDOW_SIZE = 5


def frozen(count: int = 30, **given: Any) -> tuple[Bulk, ProviderCredential]:
    application = make_application()
    make_registrations(application, count)
    bulk = make_bulk(application, **given)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk, make_credential(application)


def states(bulk: Bulk) -> Tally[tuple[int, int]]:
    return Tally(Message.objects.of_bulk(bulk).values_list("state", "reason"))


def fills(lane: Lane) -> bool:
    """Whether the lane found something to put on the wire."""
    lane.fill(urgent=False)
    return lane.future is not None


def is_paused(credential: ProviderCredential) -> bool:
    credential.refresh_from_db()
    return credential.paused_at is not None


def assert_consistent(bulk: Bulk) -> None:
    """Every device in one state; counters, rows and chunks tell the same."""
    bulk.refresh_from_db()
    counted = statistics.funnel(bulk)
    assert counted == statistics.recount(bulk)
    assert reconciling.differences(bulk) == []
    assert counted.adds_up


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


@pytest.mark.parametrize("verdict", [Verdict.TRY_LATER, Verdict.NOT_SENT])
def test_what_the_cloud_did_not_take_waits_for_another_try(
    cloud_for: CloudFor, verdict: Verdict
) -> None:
    bulk, credential = frozen(5)
    cloud = cloud_for(credential)
    cloud.answer = lambda one: Outcome(verdict=verdict, retry_after=30.0)

    dispatch.work(seconds=60)

    assert states(bulk) == {}
    assert statistics.funnel(bulk).waiting == 5
    assert_consistent(bulk)
    assert bulk.status == Bulk.Status.SENDING
    retry = Chunk.objects.get(bulk=bulk, status=Chunk.Status.OPEN)
    assert retry.not_before > timezone.now()
    assert retry.attempt == (1 if verdict is Verdict.TRY_LATER else 0)

    Chunk.objects.filter(pk=retry.pk).update(not_before=LONG_AGO)
    cloud.answer = lambda one: Outcome(verdict=Verdict.ACCEPTED)
    dispatch.work(seconds=60)

    assert states(bulk) == {(Message.State.ACCEPTED, Reason.NONE): 5}
    assert len({one.message_id for one in cloud.taken}) == 5  # the repeat keeps its id
    assert_consistent(bulk)
    assert bulk.status == Bulk.Status.DONE


LATER = Outcome(verdict=Verdict.TRY_LATER, cause=Cause.CLOUD_UNAVAILABLE, retry_after=1.0)
PERHAPS = replace(LATER, may_have_sent=True, status=503, reason="UNAVAILABLE")


@pytest.mark.parametrize(
    "answers",
    [[LATER] * 6, [PERHAPS] + [LATER] * 5, [LATER] * 5 + [PERHAPS]],
    ids=["refused each time", "the first may have arrived", "the last may have arrived"],
)
def test_tries_end_after_the_sixth(cloud_for: CloudFor, answers: list[Outcome]) -> None:
    """Refused each time, so failed, as contract/providers.md 9.1 has it of 5xx too."""
    bulk, credential = frozen(1)
    cloud, given = cloud_for(credential), iter(answers)
    cloud.answer = lambda one: next(given)

    for _ in range(outcomes.ATTEMPTS + 1):
        Chunk.objects.filter(bulk=bulk).update(not_before=LONG_AGO)
        store().flushdb()
        dispatch.work(seconds=60)

    assert len(cloud.taken) == outcomes.ATTEMPTS
    assert states(bulk) == {(Message.State.FAILED, Reason.CLOUD_UNAVAILABLE): 1}
    assert statistics.funnel(bulk).waiting == 0
    assert_consistent(bulk)
    assert bulk.status == Bulk.Status.DONE


def test_devices_that_a_new_credential_does_not_know_wait_for_a_better_one(
    cloud_for: CloudFor,
) -> None:
    """Another app's credential passes its test: only devices' answers show that it is wrong."""
    bulk, credential = frozen(12)
    cloud = cloud_for(credential)
    cloud.answer = lambda one: MISMATCHED

    dispatch.work(seconds=60)

    assert is_paused(credential)
    assert credential.waits_for_a_decision
    assert states(bulk) == {}
    assert statistics.funnel(bulk).waiting == 12

    cloud.answer = lambda one: ACCEPTED
    closing.disbelieve(Breaker.objects.get())
    Chunk.objects.filter(bulk=bulk).update(not_before=LONG_AGO)
    dispatch.work(seconds=60)

    assert states(bulk) == {(Message.State.ACCEPTED, Reason.NONE): 12}
    assert len({one.message_id for one in cloud.taken}) == 12
    assert_consistent(bulk)


def test_devices_that_a_credential_in_use_does_not_know_have_failed(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(10)
    cloud = cloud_for(credential)
    cloud.answer = lambda one: ACCEPTED if len(cloud.taken) == 5 else MISMATCHED  # of a window

    dispatch.work(seconds=60)

    assert not is_paused(credential)
    assert states(bulk) == {
        (Message.State.ACCEPTED, Reason.NONE): 5,
        (Message.State.FAILED, Reason.MISMATCHED_SENDER): 5,
    }


def test_three_devices_do_not_tell_that_a_credential_is_wrong(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(3)
    cloud_for(credential).answer = lambda one: MISMATCHED

    dispatch.work(seconds=60)

    assert not is_paused(credential)
    assert states(bulk) == {(Message.State.FAILED, Reason.MISMATCHED_SENDER): 3}


def test_a_cloud_may_want_a_longer_wait_from_the_second_try_on(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(1)
    cloud_for(credential).answer = lambda one: Outcome(
        verdict=Verdict.TRY_LATER, retry_after=15.0, retry_after_again=900.0
    )

    waits = []
    for _ in range(3):
        Chunk.objects.filter(bulk=bulk).update(not_before=LONG_AGO)
        dispatch.work(seconds=60)
        retry = Chunk.objects.get(bulk=bulk, status=Chunk.Status.OPEN)
        waits.append((retry.not_before - timezone.now()).total_seconds())

    assert waits[0] <= 15
    assert all(400 < wait <= 900 for wait in waits[1:])


def test_a_try_that_would_come_too_late_expires(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(1, ttl=60)
    cloud_for(credential).answer = lambda one: Outcome(verdict=Verdict.TRY_LATER, retry_after=120.0)

    dispatch.work(seconds=60)

    assert states(bulk) == {(Message.State.EXPIRED, Reason.TOO_LATE): 1}


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


def test_a_dead_workers_window_becomes_unknown_and_is_not_sent_again(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(20)
    cloud = cloud_for(credential)
    chunk = ledger.claim_chunk()
    assert chunk is not None
    assert ledger.claim_window(chunk, 5)
    Chunk.objects.filter(pk=chunk.id).update(lease_until=LONG_AGO)

    dispatch.work(seconds=60)

    assert states(bulk) == {
        (Message.State.UNKNOWN, Reason.WORKER_LOST): 5,
        (Message.State.ACCEPTED, Reason.NONE): 15,
    }
    assert len(cloud.taken) == 15
    assert_consistent(bulk)
    assert bulk.status == Bulk.Status.DONE


def test_who_asked_for_repeats_in_doubt_gets_them_with_the_same_ids(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(5, repeat_policy=RepeatPolicy.WHEN_UNSURE)
    cloud = cloud_for(credential)
    chunk = ledger.claim_chunk()
    assert chunk is not None
    assert ledger.claim_window(chunk, 5)
    Chunk.objects.filter(pk=chunk.id).update(lease_until=LONG_AGO)

    dispatch.work(seconds=60)

    assert states(bulk) == {(Message.State.ACCEPTED, Reason.NONE): 5}
    assert {one.message_id for one in cloud.taken} == {
        ids.message_id(bulk, pk) for pk in chunk.recipients
    }
    assert_consistent(bulk)


def test_a_worker_that_lost_its_lease_writes_only_what_it_learned(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(5)
    cloud = cloud_for(credential)
    lane = Lane()
    assert fills(lane)
    Chunk.objects.filter(bulk=bulk).update(lease_until=LONG_AGO)
    assert dispatch.settle_abandoned() == 1  # somebody else takes it over
    assert states(bulk) == {(Message.State.UNKNOWN, Reason.WORKER_LOST): 5}

    assert lane.land() == 0

    assert states(bulk) == {(Message.State.ACCEPTED, Reason.NONE): 5}  # an answer beats unknown
    assert len(cloud.taken) == 5
    assert_consistent(bulk)


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


def test_a_dead_token_is_taken_down_with_the_token_that_was_sent_to(cloud_for: CloudFor) -> None:
    application = make_application()
    gone, refreshed = make_registrations(application, 2)
    fanout.freeze(make_bulk(application))
    credential = make_credential(application)
    cloud_for(credential).answer = lambda one: Outcome(
        verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, reason="UNREGISTERED", status=404
    )
    lane = Lane()
    assert fills(lane)
    Address.objects.filter(registration=refreshed).update(token="new", token_digest=b"n" * 32)
    lane.land()

    assert not Address.objects.filter(closed_at__isnull=False).exists()  # the page is not full
    Breaker.objects.update(began_at=LONG_AGO)
    closing.judge_old_pages()

    address = Address.objects.get(registration=gone)
    assert (address.closed_reason, address.closed_answer) == ("uninstalled", "404 UNREGISTERED")
    assert not Registration.objects.get(pk=gone.pk).enabled
    assert Address.objects.get(registration=refreshed).closed_at is None
    assert Registration.objects.get(pk=refreshed.pk).enabled


def test_a_wrong_environment_from_the_first_message_on_fails_and_closes_nobody(
    cloud_for: CloudFor, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WINDOW_SIZE = settings.CHUNK_SIZE = 100
    bulk, credential = frozen(700)
    cloud = cloud_for(credential)
    cloud.answer = lambda one: Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.MALFORMED_TOKEN)

    dispatch.work(seconds=60)

    assert len(cloud.taken) <= 100 * settings.WINDOWS_IN_FLIGHT
    assert not Address.objects.filter(closed_at__isnull=False).exists()
    assert is_paused(credential)
    assert "addresses dead" in credential.pause_reason
    assert statistics.funnel(bulk).waiting == 700

    monkeypatch.setattr(channels, "build", lambda credential: cloud)
    channels.test(credential)
    assert credential.test_ok  # the credential is not what is in doubt
    assert is_paused(credential)

    closing.disbelieve(credential.breaker)
    assert not is_paused(credential)
    cloud.answer = lambda one: Outcome(verdict=Verdict.ACCEPTED)
    Chunk.objects.filter(bulk=bulk).update(not_before=LONG_AGO)
    dispatch.work(seconds=60)
    assert states(bulk) == {(Message.State.ACCEPTED, Reason.NONE): 700}
    assert_consistent(bulk)


def test_a_credential_in_use_that_turns_wrong_trips_within_500_answers_and_closes_nobody(
    cloud_for: CloudFor, settings: Any
) -> None:
    settings.WINDOW_SIZE = settings.CHUNK_SIZE = 100
    settings.WINDOWS_IN_FLIGHT = 1
    bulk, credential = frozen(800)
    cloud = cloud_for(credential)
    wrong = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.MALFORMED_TOKEN)
    cloud.answer = lambda one: ACCEPTED if len(cloud.taken) <= 100 else wrong

    dispatch.work(seconds=60)

    assert len(cloud.taken) == 600
    assert not Address.objects.filter(closed_at__isnull=False).exists()
    assert is_paused(credential)
    assert "500 of 500 addresses dead" in credential.pause_reason
    assert statistics.funnel(bulk).waiting == 200

    closing.disbelieve(credential.breaker)
    cloud.answer = lambda one: ACCEPTED
    Chunk.objects.filter(bulk=bulk).update(not_before=LONG_AGO)
    dispatch.work(seconds=60)
    assert states(bulk)[Message.State.ACCEPTED, Reason.NONE] == 300
    assert_consistent(bulk)


def test_a_third_of_the_audience_gone_is_closed_and_not_sent_to_again(
    cloud_for: CloudFor, settings: Any
) -> None:
    settings.WINDOW_SIZE = settings.CHUNK_SIZE = 100
    bulk, credential = frozen(600)
    cloud = cloud_for(credential)
    gone = {
        address.token
        for address in Address.objects.filter(application=bulk.application)
        if address.registration_id % 3 == 0
    }
    dead = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED)
    alive = Outcome(verdict=Verdict.ACCEPTED)
    cloud.answer = lambda one: dead if one.token in gone else alive

    dispatch.work(seconds=60)
    Breaker.objects.update(began_at=LONG_AGO)
    closing.judge_old_pages()

    closed = Address.objects.filter(closed_at__isnull=False)
    assert {address.token for address in closed} == gone
    assert ProviderCredential.objects.get(pk=credential.pk).paused_at is None
    assert fanout.freeze(make_bulk(bulk.application)) == 600 - len(gone)


def test_a_refused_credential_pauses_sending_and_loses_nobody(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(10)
    cloud = cloud_for(credential)
    cloud.answer = lambda one: Outcome(verdict=Verdict.MISCONFIGURED, status=403, reason="BadKey")

    dispatch.work(seconds=60)

    credential.refresh_from_db()
    assert credential.paused_at is not None
    assert credential.pause_reason == "403 BadKey"
    assert statistics.funnel(bulk).waiting == 10
    assert_consistent(bulk)


def test_a_notification_refused_for_everybody_stops_the_bulk(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(30)
    cloud = cloud_for(credential)
    cloud.answer = lambda one: Outcome(
        verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED, status=400, reason="INVALID_ARGUMENT"
    )

    dispatch.work(seconds=60)

    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.PAUSED
    assert "400 INVALID_ARGUMENT" in bulk.status_reason
    assert len(cloud.taken) <= 15  # the windows that were on the wire, no more
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


def test_one_answer_that_speaks_for_the_account_pauses_it_for_everybody(
    cloud_for: CloudFor,
) -> None:
    bulk, credential = frozen(20)
    cloud = cloud_for(credential)
    first = Outcome(
        verdict=Verdict.TRY_LATER, scope=Scope.ACCOUNT, retry_after=30.0, asked=True,
        cause=Cause.CLOUD_UNAVAILABLE,
    )  # fmt: skip
    accepted = Outcome(verdict=Verdict.ACCEPTED)
    cloud.answer = lambda one: first if len(cloud.taken) == 5 else accepted

    dispatch.work(seconds=60)

    taken = len(cloud.taken)
    assert taken <= 10  # the windows that were on the wire
    assert pacing.paused_for(pacing.bucket_of(credential)) > 25
    assert statistics.funnel(bulk).waiting > 0
    dispatch.work(seconds=60)
    assert len(cloud.taken) == taken
    assert_consistent(bulk)


def test_one_busy_device_pauses_nobody(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(20)
    cloud = cloud_for(credential)
    busy = Outcome(
        verdict=Verdict.TRY_LATER, scope=Scope.DEVICE, retry_after=60.0, asked=True,
        cause=Cause.CLOUD_UNAVAILABLE,
    )  # fmt: skip
    accepted = Outcome(verdict=Verdict.ACCEPTED)
    unlucky = Address.objects.first()
    assert unlucky is not None
    cloud.answer = lambda one: busy if one.token == unlucky.token else accepted

    dispatch.work(seconds=60)

    assert states(bulk) == {(Message.State.ACCEPTED, Reason.NONE): 19}
    assert statistics.funnel(bulk).waiting == 1


def test_a_single_503_is_no_outage_and_a_page_of_them_is(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(20)
    cloud = cloud_for(credential)
    away = Outcome(
        verdict=Verdict.TRY_LATER, scope=Scope.SERVICE, retry_after=10.0, may_have_sent=True,
        cause=Cause.CLOUD_UNAVAILABLE,
    )  # fmt: skip
    accepted = Outcome(verdict=Verdict.ACCEPTED)
    chosen = {address.token for address in Address.objects.order_by("pk")[::7]}
    cloud.answer = lambda one: away if one.token in chosen else accepted

    dispatch.work(seconds=60)
    assert len(cloud.taken) == 20
    assert pacing.paused_for(pacing.bucket_of(credential)) == 0

    cloud.answer = lambda one: away
    fanout.freeze(make_bulk(bulk.application))
    dispatch.work(seconds=60)
    assert pacing.paused_for(pacing.bucket_of(credential)) > 4


@pytest.mark.parametrize(
    "silence",
    [
        Outcome(verdict=Verdict.TRY_LATER, scope=Scope.SERVICE, cause=Cause.CLOUD_UNAVAILABLE),
        Outcome(verdict=Verdict.NOT_SENT, cause=Cause.NOT_SENT),
    ],
    ids=["out of order", "not reached"],
)
def test_a_cloud_counts_as_away_from_the_first_silent_window_to_the_next_answer(
    cloud_for: CloudFor, silence: Outcome
) -> None:
    bulk, credential = frozen(4)
    cloud, bucket = cloud_for(credential), [pacing.bucket_of(credential)]
    cloud.answer = lambda one: Outcome(verdict=Verdict.ACCEPTED)
    dispatch.work(seconds=60)
    assert pacing.away_since(bucket) == [None]

    cloud.answer = lambda one: silence
    fanout.freeze(make_bulk(bulk.application))
    dispatch.work(seconds=1)
    (since,) = pacing.away_since(bucket)
    assert since is not None
    assert abs((timezone.now() - since).total_seconds()) < 60
    store().hset(bucket[0].name, "until", 0)
    Chunk.objects.update(not_before=LONG_AGO)
    dispatch.work(seconds=1)
    assert pacing.away_since(bucket) == [since]

    cloud.answer = lambda one: Outcome(verdict=Verdict.ACCEPTED)
    store().hset(bucket[0].name, "until", 0)
    Chunk.objects.update(not_before=LONG_AGO)
    dispatch.work(seconds=60)
    assert pacing.away_since(bucket) == [None]


def test_one_answer_of_a_device_says_that_the_cloud_is_there(cloud_for: CloudFor) -> None:
    _, credential = frozen(4)
    silence = Outcome(verdict=Verdict.NOT_SENT, cause=Cause.NOT_SENT)
    gone = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED)
    chosen = Address.objects.order_by("pk")[0].token
    cloud_for(credential).answer = lambda one: gone if one.token == chosen else silence

    dispatch.work(seconds=1)

    assert pacing.away_since([pacing.bucket_of(credential)]) == [None]


@pytest.mark.parametrize("policy", RepeatPolicy)
def test_the_repeat_policy_decides_about_a_refusal_that_may_have_been_delivered(
    cloud_for: CloudFor, policy: RepeatPolicy
) -> None:
    bulk, credential = frozen(4, repeat_policy=policy)
    cloud = cloud_for(credential)
    cloud.answer = lambda one: Outcome(
        verdict=Verdict.TRY_LATER, may_have_sent=True, cause=Cause.CLOUD_UNAVAILABLE, status=503
    )
    dispatch.work(seconds=60)
    cloud.answer = lambda one: Outcome(verdict=Verdict.ACCEPTED)
    store().flushdb()
    Chunk.objects.filter(bulk=bulk).update(not_before=LONG_AGO)
    dispatch.work(seconds=60)

    again = policy != RepeatPolicy.NEVER
    assert len(cloud.taken) == (8 if again else 4)
    assert statistics.funnel(bulk).repeated == (4 if again else 0)
    state = Message.State.ACCEPTED if again else Message.State.UNKNOWN
    assert {found for found, _ in states(bulk)} == {state}
    assert_consistent(bulk)


@pytest.mark.parametrize("policy", RepeatPolicy)
def test_the_repeat_policy_decides_about_what_was_never_answered(
    cloud_for: CloudFor, policy: RepeatPolicy
) -> None:
    bulk, credential = frozen(4, repeat_policy=policy)
    cloud = cloud_for(credential)
    cloud.answer = lambda one: Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER)

    for _ in range(4):
        Chunk.objects.filter(bulk=bulk).update(not_before=LONG_AGO)
        dispatch.work(seconds=60)

    tries = 3 if policy == RepeatPolicy.WHEN_UNSURE else 1  # twice more at most
    assert len(cloud.taken) == 4 * tries
    assert len({one.message_id for one in cloud.taken}) == 4
    assert statistics.funnel(bulk).repeated == (4 if tries > 1 else 0)
    assert states(bulk) == {(Message.State.UNKNOWN, Reason.NO_ANSWER): 4}
    assert_consistent(bulk)


def test_what_may_have_arrived_is_not_called_expired(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(3, repeat_policy=RepeatPolicy.WHEN_UNSURE)
    cloud_for(credential).answer = lambda one: Outcome(verdict=Verdict.UNKNOWN)
    dispatch.work(seconds=60)

    Bulk.objects.filter(pk=bulk.pk).update(ttl=1, starts_at=bulk.starts_at)
    Chunk.objects.filter(bulk=bulk).update(not_before=LONG_AGO)
    eventually(lambda: timezone.now() > bulk.starts_at + timedelta(seconds=2))
    dispatch.work(seconds=60)

    assert states(bulk) == {(Message.State.UNKNOWN, Reason.NO_ANSWER): 3}


def test_a_pause_that_outlives_the_time_to_live_blames_the_credential(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(4)
    cloud_for(credential).answer = lambda one: Outcome(
        verdict=Verdict.MISCONFIGURED, cause=Cause.CREDENTIAL_REFUSED, reason="PERMISSION_DENIED"
    )
    dispatch.work(seconds=60)
    assert statistics.funnel(bulk).waiting == 4

    Bulk.objects.filter(pk=bulk.pk).update(ttl=1)
    Chunk.objects.filter(bulk=bulk).update(not_before=LONG_AGO)
    eventually(lambda: timezone.now() > bulk.starts_at + timedelta(seconds=2))
    dispatch.work(seconds=60)

    assert states(bulk) == {(Message.State.FAILED, Reason.CREDENTIAL_REFUSED): 4}
    assert_consistent(bulk)


def test_more_than_a_twentieth_refused_stops_the_bulk(cloud_for: CloudFor, settings: Any) -> None:
    settings.WINDOW_SIZE = settings.CHUNK_SIZE = 100
    settings.WINDOWS_IN_FLIGHT = 1
    bulk, credential = frozen(900)
    cloud = cloud_for(credential)
    refused = Outcome(
        verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED, status=400, reason="BadPriority"
    )
    accepted = Outcome(verdict=Verdict.ACCEPTED)
    cloud.answer = lambda one: refused if one.message_id.int % 10 == 0 else accepted

    dispatch.work(seconds=60)

    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.PAUSED
    assert "more than 5% of the devices: 400 BadPriority" in bulk.status_reason
    assert 500 <= len(cloud.taken) <= 700
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
