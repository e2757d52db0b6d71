"""campaigns.dispatch: which answers of a cloud stop a bulk or a credential, and which nobody."""

from typing import Any

import pytest
from django.utils import timezone

from campaigns import dispatch, fanout, pacing, statistics
from campaigns.models import Bulk, Chunk, Message, Reason
from campaigns.store import store
from devices.models import Address
from providers.base import Cause, Outcome, Scope, Verdict
from tests.campaigns.handing_over import LONG_AGO, CloudFor, assert_consistent, frozen, states
from tests.factories import make_bulk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small")]


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
