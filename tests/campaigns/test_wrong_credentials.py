"""campaigns.dispatch: a credential that turns out to be wrong pauses, and closes no address."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import channels, dispatch, fanout, statistics
from campaigns.lanes import Lane
from campaigns.models import Bulk, Chunk, Message, Reason
from devices import closing
from devices.models import Address, Breaker, ProviderCredential, Registration
from providers.base import Cause, Outcome, Verdict
from tests.campaigns.handing_over import (
    ACCEPTED,
    LONG_AGO,
    CloudFor,
    assert_consistent,
    fills,
    frozen,
    is_paused,
    states,
)
from tests.factories import make_application, make_bulk, make_credential, make_registrations
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small")]

MISMATCHED = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.MISMATCHED_SENDER, status=403)


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
