"""From step to step: once, whatever happens in between, and what a step leaves behind."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from campaigns import boarding, failover, flows, folding, lanes, ledger, pulling, statistics
from campaigns.flows import Step
from campaigns.models import Bulk, Chunk, Journey, JourneyNote, Leg, Message, Reason, Stage
from providers.base import Cause, Outcome, Verdict
from tests.campaigns.stepping import DEAD, Shop, go, launch, let_expire, only_journey, say, sms_of
from tests.factories import make_registration

pytestmark = pytest.mark.django_db
State = Journey.State


# ------------------------------------------------------------------- what is left behind


def test_an_expired_push_is_withdrawn(shop: Shop) -> None:
    [device] = shop.somebody()
    bulk = launch(shop)
    go()
    assert len(pulling.waiting(shop.application, device.pk)) == 1

    let_expire(bulk)
    go()

    [message] = Message.objects.of_bulk(bulk)
    assert (message.state, message.reason) == (Message.State.EXPIRED, Reason.WITHDRAWN)
    assert pulling.waiting(shop.application, device.pk) == []
    assert statistics.funnel(bulk) == statistics.recount(bulk)


def test_a_late_delivery_shows_in_the_history_only(shop: Shop) -> None:
    [device] = shop.somebody()
    bulk = launch(shop)
    go()
    let_expire(bulk)
    go()

    say(bulk, device.pk, Message.State.DELIVERED)
    go()

    [message] = Message.objects.of_bulk(bulk)
    journey = only_journey(bulk)
    assert (message.state, message.delivered_at is None) == (Message.State.EXPIRED, False)
    assert (journey.step, journey.state) == (1, State.RUNNING)
    assert journey.stages.get().state == State.EXPIRED
    assert len(shop.texted) == 1


def test_a_push_that_still_waits_for_its_retry_is_not_sent_after_its_step(shop: Shop) -> None:
    shop.somebody()
    shop.push.answer = lambda one: Outcome(
        verdict=Verdict.TRY_LATER, cause=Cause.CLOUD_ERROR, retry_after=1
    )
    bulk = launch(shop)
    go()
    let_expire(bulk)
    go()
    before = len(shop.push.taken)

    Chunk.objects.filter(bulk=bulk).update(not_before=timezone.now() - timedelta(seconds=1))
    go()

    assert len(shop.push.taken) == before
    [message] = Message.objects.of_bulk(bulk)
    assert (message.state, message.reason) == (Message.State.EXPIRED, Reason.WITHDRAWN)


def test_a_push_no_cloud_could_take_is_not_fetched_after_its_step(shop: Shop) -> None:
    [device] = shop.somebody()
    device.address.token = ""
    device.address.token_digest = None
    device.address.save()
    launch(shop)

    go()

    assert len(shop.texted) == 1
    assert pulling.waiting(shop.application, device.pk) == []


def test_a_bulk_of_texts_ends_only_when_nobody_can_come_to_it(shop: Shop) -> None:
    shop.somebody()
    bulk = launch(shop)
    go()
    ledger.finish(sms_of(bulk).pk)
    assert sms_of(bulk).status == Bulk.Status.SENDING

    let_expire(bulk)
    go()
    ledger.finish(sms_of(bulk).pk)

    assert sms_of(bulk).status == Bulk.Status.DONE


def test_nobody_is_texted_after_a_cancellation(shop: Shop) -> None:
    shop.somebody()
    bulk = launch(shop)
    go()
    Bulk.objects.filter(flow=bulk.flow).update(status=Bulk.Status.CANCELLED)

    let_expire(bulk)
    go()

    assert only_journey(bulk).state == State.CANCELLED
    assert shop.texted == []


# ------------------------------------------------------------------- once


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    "point",
    [
        (failover, "_messages"),
        (boarding, "_find_numbers"),
        (boarding, "_write"),
        (Stage.objects, "bulk_create"),
        (folding, "withdraw"),
    ],
    ids=lambda point: point[1],
)
def test_a_step_change_that_dies_has_not_begun(
    shop: Shop, point: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.somebody()
    bulk = launch(shop)
    go()
    let_expire(bulk)
    JourneyNote.objects.create(flow_id=bulk.flow_id or 0, journey_id=only_journey(bulk).pk)

    def die(*given: object, **named: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(*point, die)
        with pytest.raises(Killed), transaction.atomic():
            failover.advance()
    assert (only_journey(bulk).step, JourneyNote.objects.count()) == (0, 1)
    assert not Chunk.objects.filter(bulk=sms_of(bulk)).exists()
    go()

    assert len(shop.texted) == 1
    assert Leg.objects.filter(bulk=sms_of(bulk)).count() == 1


def test_the_same_note_twice_is_one_step(shop: Shop) -> None:
    shop.somebody()
    shop.push.answer = lambda one: DEAD
    bulk = launch(shop)
    go()
    journey = only_journey(bulk)

    for _ in range(3):
        JourneyNote.objects.create(flow_id=bulk.flow_id or 0, journey_id=journey.pk)
        go()

    assert len(shop.texted) == 1


def test_a_device_that_two_people_mean_gets_both_messages(shop: Shop) -> None:
    device = make_registration(shop.application)
    bulk = Bulk(
        application=shop.application,
        starts_at=timezone.now() - timedelta(seconds=2),
        status="sending",
    )
    flow = flows.make([Step(channel="PUSH", sender="", content={"title": "A", "text": "B"})], bulk)
    now = timezone.now()
    journeys = [
        Journey.objects.create(flow=flow, registration=device, started_at=now, deadline=now)
        for _ in range(2)
    ]

    with transaction.atomic():
        failover.Moving(flow, now).begin(journeys)
    go()

    assert Bulk.objects.filter(flow=flow).count() == 2
    assert len({one.message_id for one in shop.push.taken}) == 2


def test_a_step_that_nothing_here_can_send_is_passed_over(shop: Shop) -> None:
    bulk = Bulk(
        application=shop.application,
        starts_at=timezone.now() - timedelta(seconds=2),
        status="sending",
    )
    flow = flows.make(
        [
            Step(channel="VIBER", sender="Shop", refused=Reason.NO_ROUTE),
            Step(channel="SMS", sender="Shop", content={"text": "Hi"}),
        ],
        bulk,
    )
    now = timezone.now()
    journey = Journey.objects.create(flow=flow, number="41790000009", started_at=now, deadline=now)

    with transaction.atomic():
        failover.Moving(flow, now).begin([journey])
    go()

    assert shop.texted == ["41790000009"]
    assert Stage.objects.get().reason == Reason.NO_ROUTE


def test_the_timetable_leaves_bulks_alone_that_somebody_may_still_come_to(shop: Shop) -> None:
    shop.somebody()
    bulk = launch(shop)
    assert ledger.finishable() == []
    go()
    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.DONE
    assert ledger.finishable() == []

    failover.cancel(bulk.flow_id or 0)

    assert ledger.finishable() == [sms_of(bulk).pk]


def test_an_answer_that_came_after_the_lease_moves_the_step_on(shop: Shop) -> None:
    [device] = shop.somebody()
    bulk = launch(shop)
    chunk = ledger.claim_chunk()
    assert chunk is not None
    assert ledger.claim_window(chunk, 1)
    lanes.settle(Bulk.objects.get(pk=bulk.pk), chunk)
    go()
    assert only_journey(bulk).step == 0

    late = ledger.Row(device.pk, Message.State.FAILED, Reason.UNINSTALLED)
    ledger.record_late(bulk, [late])
    go()

    assert len(shop.texted) == 1
