"""From step to step: what ends a step, and what follows."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import ids
from campaigns.models import Bulk, Journey, Medium, Message, Reason
from devices.models import ClosedNumber, Registration
from providers.base import Cause, Outcome, Verdict
from tests.campaigns.stepping import (
    DEAD,
    REFUSED,
    Shop,
    go,
    launch,
    let_expire,
    only_journey,
    say,
    sms_of,
)
from tests.factories import make_registration

pytestmark = pytest.mark.django_db
State = Journey.State


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
