"""From step to step: once, whatever happens in between."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from campaigns import (
    boarding,
    dispatch,
    failover,
    fanout,
    flows,
    folding,
    ids,
    lanes,
    ledger,
    pulling,
    reports,
    statistics,
)
from campaigns.flows import Step
from campaigns.models import Bulk, Chunk, Journey, JourneyNote, Leg, Medium, Message, Reason, Stage
from campaigns.reports import Receipt
from devices.models import Application, ClosedNumber, ProviderCredential, Registration
from providers.base import Cause, Outcome, Verdict
from tests.campaigns.conftest import Cloud
from tests.factories import (
    make_application,
    make_credential,
    make_flow_bulk,
    make_gateway,
    make_person,
    make_registration,
)

pytestmark = pytest.mark.django_db

CloudFor = Callable[[ProviderCredential], Cloud]
State = Journey.State
DEAD = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404)
REFUSED = Outcome(verdict=Verdict.REJECTED, cause=Cause.CLOUD_ERROR, status=400)
_phones = iter(range(10**6))


class Shop:
    """An application with a push cloud and an SMS gateway, both of which answer as told."""

    def __init__(self, cloud_for: CloudFor) -> None:
        self.application: Application = make_application()
        self.push = cloud_for(make_credential(self.application))
        self.gateway = make_gateway(self.application)
        self.sms = cloud_for(self.gateway)

    def somebody(self, devices: int = 1, *, phone: str | None = None) -> list[Registration]:
        number = f"4179{next(_phones):07}" if phone is None else phone
        person = make_person(phone=number)
        return [make_registration(self.application, person=person) for _ in range(devices)]

    @property
    def texted(self) -> list[str]:
        return [one.token for one in self.sms.taken]


@pytest.fixture
def shop(cloud_for: CloudFor) -> Shop:
    return Shop(cloud_for)


def launch(shop: Shop, **given: Any) -> Bulk:
    bulk = make_flow_bulk(shop.application, **given)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def go() -> None:
    """What workers and the timetable do, until there is nothing left to do now."""
    while dispatch.work(seconds=5) or failover.advance():
        pass


def sms_of(bulk: Bulk) -> Bulk:
    return Bulk.objects.get(flow=bulk.flow, step=1)


def say(bulk: Bulk, recipient: int, state: Message.State) -> None:
    receipt = Receipt(ids.message_id(bulk, recipient), state, timezone.now())
    folding.fold([reports.packed_call(bulk.application_id, None, [receipt])])


def let_expire(bulk: Bulk) -> None:
    assert bulk.flow is not None
    bulk.flow.journeys.filter(state=State.RUNNING).update(
        deadline=timezone.now() - timedelta(seconds=1)
    )


def only_journey(bulk: Bulk) -> Journey:
    return Journey.objects.get(flow=bulk.flow)


# ------------------------------------------------------------------- what ends a step


def test_a_delivered_push_is_the_end(shop: Shop) -> None:
    [device] = shop.somebody()
    bulk = launch(shop)
    go()

    say(bulk, device.pk, Message.State.DELIVERED)
    go()
    let_expire(bulk)
    go()

    assert only_journey(bulk).state == State.DELIVERED
    assert shop.texted == []


@pytest.mark.parametrize("answer", [DEAD, REFUSED])
def test_a_push_that_fails_is_followed_by_one_text_at_once(shop: Shop, answer: Outcome) -> None:
    shop.somebody(phone="41790000001")
    shop.push.answer = lambda one: answer
    bulk = launch(shop)

    go()

    journey = only_journey(bulk)
    assert shop.texted == ["41790000001"]
    assert (journey.step, journey.state) == (1, State.RUNNING)
    assert journey.stages.get().state == State.FAILED
    assert (journey.parts, str(journey.price), journey.currency) == (1, "0.04500", "EUR")
    [message] = Message.objects.of_bulk(sms_of(bulk))
    assert (message.platform, message.registration_id) == (Medium.SMS, 0)
    assert message.pk == ids.message_id(sms_of(bulk), journey.pk)


def test_a_text_says_who_it_comes_from_and_for_how_long(shop: Shop) -> None:
    shop.somebody()
    shop.push.answer = lambda one: DEAD
    launch(shop, text="Heute 30 % auf alles")

    go()

    [sent] = shop.sms.taken
    payload: Any = sent.payload
    assert (payload.notification.text, payload.notification.sender) == (
        "Heute 30 % auf alles",
        "Shop",
    )
    assert 3500 < sent.ttl <= 3600


def test_a_step_that_begins_after_a_long_outage_has_its_whole_time(shop: Shop) -> None:
    """The service was away for longer than all steps together: contract/omni.md 2.3."""
    shop.somebody()
    bulk = launch(shop)
    go()
    Bulk.objects.filter(flow=bulk.flow).update(ttl=1)
    let_expire(bulk)

    go()

    [text] = shop.sms.taken
    assert 3000 < text.ttl <= 3600
    [message] = Message.objects.of_bulk(sms_of(bulk))
    assert message.state == Message.State.ACCEPTED
    say(sms_of(bulk), only_journey(bulk).pk, Message.State.DELIVERED)
    go()
    assert only_journey(bulk).state == State.DELIVERED


def test_what_waits_for_its_next_try_after_a_late_start_is_sent_until_its_step_is_over(
    shop: Shop,
) -> None:
    shop.somebody()
    bulk = launch(shop)
    go()
    Bulk.objects.filter(flow=bulk.flow).update(ttl=1)
    let_expire(bulk)
    later = Outcome(verdict=Verdict.TRY_LATER, cause=Cause.CLOUD_UNAVAILABLE, retry_after=5)
    shop.sms.answer = lambda one: later
    go()
    [again] = sms_of(bulk).chunks.filter(attempt=1)
    again.not_before = timezone.now() - timedelta(hours=1)
    again.save()
    shop.sms.answer = lambda one: Outcome(verdict=Verdict.ACCEPTED, status=200)

    go()

    assert len(shop.sms.taken) == 2
    [message] = Message.objects.of_bulk(sms_of(bulk))
    assert message.state == Message.State.ACCEPTED


def test_a_step_has_failed_only_when_every_device_has(shop: Shop) -> None:
    first, second = shop.somebody(2)
    dead = first.address.token
    shop.push.answer = lambda one: (
        DEAD if one.token == dead else Outcome(verdict=Verdict.ACCEPTED, status=200)
    )
    bulk = launch(shop)
    go()
    assert only_journey(bulk).step == 0

    say(bulk, second.pk, Message.State.FAILED)
    go()

    assert only_journey(bulk).step == 1
    assert len(shop.texted) == 1


def test_the_first_device_that_reports_is_enough(shop: Shop) -> None:
    first, _second = shop.somebody(2)
    bulk = launch(shop)
    go()

    say(bulk, first.pk, Message.State.SEEN)
    go()

    assert only_journey(bulk).state == State.DELIVERED


def test_a_silent_phone_gets_a_text_when_the_step_is_over(shop: Shop) -> None:
    shop.somebody()
    bulk = launch(shop)
    go()
    assert shop.texted == []

    let_expire(bulk)
    go()

    journey = only_journey(bulk)
    assert len(shop.texted) == 1
    assert journey.stages.get().state == State.EXPIRED


def test_doubt_is_no_confirmation(shop: Shop) -> None:
    shop.somebody()
    shop.push.answer = lambda one: Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER)
    bulk = launch(shop)
    go()
    assert only_journey(bulk).step == 0

    let_expire(bulk)
    go()

    assert len(shop.texted) == 1


def test_an_accepted_push_is_enough_where_the_scenario_says_so(shop: Shop) -> None:
    shop.somebody()
    bulk = launch(shop, accepted_is_enough=True)

    go()
    let_expire(bulk)
    go()

    assert only_journey(bulk).state == State.ACCEPTED
    assert shop.texted == []


def test_whose_devices_are_all_left_out_gets_a_text_at_once(shop: Shop) -> None:
    shop.somebody(phone="41790000002")
    Registration.objects.update(notifications_enabled=False)
    bulk = launch(shop)

    go()

    assert shop.texted == ["41790000002"]
    assert only_journey(bulk).stages.get().reason == Reason.NO_DEVICE


@pytest.mark.parametrize(
    ("closed", "reason"),
    [
        (ClosedNumber.Reason.REFUSED, Reason.NUMBER_REFUSED),
        (ClosedNumber.Reason.OPTED_OUT, Reason.OPTED_OUT),
    ],
)
def test_a_closed_number_ends_the_journey(
    shop: Shop, closed: ClosedNumber.Reason, reason: Reason
) -> None:
    shop.somebody(phone="41790000003")
    ClosedNumber.objects.create(number="41790000003", reason=closed)
    shop.push.answer = lambda one: DEAD
    bulk = launch(shop)

    go()

    journey = only_journey(bulk)
    assert (journey.state, journey.reason, shop.texted) == (State.FAILED, reason, [])


def test_nobody_without_a_number_gets_a_text(shop: Shop) -> None:
    make_registration(shop.application)
    shop.somebody(phone="")
    shop.push.answer = lambda one: DEAD
    bulk = launch(shop)

    go()

    assert bulk.flow is not None
    ended = list(bulk.flow.journeys.values_list("state", "reason"))
    assert ended == [(State.FAILED, Reason.NO_NUMBER)] * 2


def test_a_number_that_the_gateway_calls_dead_is_closed(shop: Shop) -> None:
    shop.somebody(phone="41790000004")
    shop.push.answer = lambda one: DEAD
    shop.sms.answer = lambda one: Outcome(
        verdict=Verdict.UNREGISTERED, cause=Cause.NUMBER_REFUSED, reason="REJECTED_DESTINATION"
    )
    bulk = launch(shop)

    go()

    assert ClosedNumber.objects.get().number == "41790000004"
    assert only_journey(bulk).state == State.FAILED


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (Message.State.DELIVERED, State.DELIVERED),
        (Message.State.FAILED, State.FAILED),
        (Message.State.EXPIRED, State.EXPIRED),
    ],
)
def test_the_last_step_keeps_what_the_operator_says(
    shop: Shop, state: Message.State, expected: Journey.State
) -> None:
    shop.somebody()
    shop.push.answer = lambda one: DEAD
    bulk = launch(shop)
    go()
    journey = only_journey(bulk)

    say(sms_of(bulk), journey.pk, state)
    go()

    journey.refresh_from_db()
    assert (journey.step, journey.state, journey.number) == (1, expected, "")
    assert journey.ended_at is not None


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
