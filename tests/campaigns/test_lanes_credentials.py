"""campaigns.lanes: credentials that change, pause or are slow while chunks of them are sent."""

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from campaigns import channels, dispatch, fanout, lanes, ledger, statistics
from campaigns.models import Bulk, Chunk, Message, Reason
from devices.models import Platform, Provider, ProviderCredential
from tests.campaigns.conftest import Cloud
from tests.campaigns.handing_over import LONG_AGO, CloudFor, fills, frozen, states
from tests.factories import make_application, make_bulk, make_credential, make_registrations

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small")]

State = Message.State


def one_window_of(count: int, cloud_for: CloudFor) -> tuple[dispatch._Lanes, Any, Bulk]:
    """A worker that has sent the first window of a chunk, and its cloud."""
    bulk, credential = frozen(count)
    cloud = cloud_for(credential)
    working = dispatch._Lanes(urgent=False, until=time.monotonic() + 60)
    while working.count < 5:
        assert working.turn()
    return working, cloud, bulk


@pytest.fixture
def one_lane(settings: Any) -> None:
    settings.WINDOWS_IN_FLIGHT = 1


@pytest.mark.usefixtures("one_lane")
def test_a_credential_that_was_changed_serves_from_the_next_window_on(
    cloud_for: CloudFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    working, former, bulk = one_window_of(20, cloud_for)
    latter = Cloud()
    monkeypatch.setattr(channels, "build", lambda credential: latter)
    ProviderCredential.objects.update(version=2)

    while working.turn():
        pass

    assert states(bulk) == {(State.ACCEPTED, Reason.NONE): 20}
    assert (len(former.taken), len(latter.taken)) == (5, 15)


@pytest.mark.usefixtures("one_lane")
def test_a_credential_that_was_switched_off_sends_no_other_window(cloud_for: CloudFor) -> None:
    working, cloud, bulk = one_window_of(20, cloud_for)
    ProviderCredential.objects.update(enabled=False)

    while working.turn():
        pass

    assert len(cloud.taken) == 5
    assert states(bulk) == {
        (State.ACCEPTED, Reason.NONE): 5, (State.FAILED, Reason.PROVIDER_OFF): 15,
    }  # fmt: skip


@pytest.mark.usefixtures("one_lane")
def test_a_credential_is_blamed_no_longer_once_it_works_again(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(10)
    cloud = cloud_for(credential)
    bulk.chunks.update(reason=Reason.CREDENTIAL_REFUSED)  # it waited for that
    with time_machine.travel(timezone.now(), tick=True) as clock:
        cloud.before_answering = lambda: clock.shift(timedelta(seconds=bulk.ttl))
        dispatch.work(seconds=60)

    assert states(bulk) == {(State.ACCEPTED, Reason.NONE): 5, (State.EXPIRED, Reason.TOO_LATE): 5}


def test_whoever_knows_an_older_version_of_a_credential_leaves_its_new_channel_open(
    cloud_for: CloudFor,
) -> None:
    credential = make_credential(make_application())
    credential.version = 2
    cloud = cloud_for(credential)
    credential.version = 1

    assert channels.channel(credential).provider is cloud


def test_all_chunks_of_a_paused_credential_wait_after_one_look(
    cloud_for: CloudFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk, credential = frozen(200)
    cloud_for(credential)
    ProviderCredential.objects.filter(pk=credential.pk).update(paused_at=timezone.now())
    claimed: list[int] = []
    claim = ledger.claim_chunk

    def count(*, urgent: bool = False) -> ledger.ClaimedChunk | None:
        chunk = claim(urgent=urgent)
        if chunk is not None:
            claimed.append(chunk.id)
        return chunk

    monkeypatch.setattr(ledger, "claim_chunk", count)

    assert dispatch.work(seconds=60) == 0

    assert len(claimed) == 1
    waiting = Chunk.objects.filter(bulk=bulk, reason=Reason.CREDENTIAL_REFUSED)
    assert waiting.filter(not_before__gt=timezone.now()).count() == 10


def test_one_of_apples_environments_does_not_wait_for_the_other(cloud_for: CloudFor) -> None:
    bulk, _ = frozen(0)
    application = bulk.application
    good, _, bad, _ = make_registrations(application, 4, platform=Platform.IOS)
    bad.address.environment = "sandbox"
    bad.address.save()
    working = make_credential(application, provider=Provider.APNS)
    refused = make_credential(application, provider=Provider.APNS, environment="sandbox")
    cloud_for(working)
    ProviderCredential.objects.filter(pk=refused.pk).update(paused_at=timezone.now())
    later = make_bulk(application)
    fanout.freeze(later)
    Chunk.objects.filter(bulk=later).delete()
    for pk in (bad.pk, good.pk):
        Chunk.objects.create(
            bulk=later, platform=Platform.IOS, size=1, recipients=[pk], not_before=LONG_AGO
        )

    dispatch.work(seconds=60)

    assert list(Message.objects.of_bulk(later).values_list("registration_id", flat=True)) == [
        good.pk
    ]


def test_a_credential_paused_meanwhile_sends_no_window_more(cloud_for: CloudFor) -> None:
    bulk, credential = frozen(20)
    cloud = cloud_for(credential)
    lane = lanes.Lane()
    assert fills(lane)
    ProviderCredential.objects.filter(pk=credential.pk).update(paused_at=timezone.now())
    lane.land()

    assert not fills(lane)

    assert len(cloud.taken) == 5
    assert statistics.funnel(bulk).waiting == 15


def test_a_slow_credential_gets_a_seconds_worth_at_a_time(cloud_for: CloudFor) -> None:
    _, credential = frozen(20)
    ProviderCredential.objects.filter(pk=credential.pk).update(rate=2)
    cloud = cloud_for(credential)
    lane = lanes.Lane()

    assert fills(lane)
    lane.land()

    assert len(cloud.taken) == 2
