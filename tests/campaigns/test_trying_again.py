"""campaigns.dispatch: what is tried again, how often, and what nobody may repeat."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns import dispatch, ids, ledger, outcomes, statistics
from campaigns.lanes import Lane
from campaigns.models import Bulk, Chunk, Message, Reason, RepeatPolicy
from campaigns.store import store
from providers.base import Cause, Outcome, Verdict
from tests.campaigns.handing_over import (
    LONG_AGO,
    CloudFor,
    assert_consistent,
    fills,
    frozen,
    states,
)
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small")]


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
