"""campaigns.reports: what gateways say of messages that do not go on."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db.models import Count as DbCount
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns import folding, reports, statistics
from campaigns.models import Bulk, EarlyReceipt, Message, Reason, ReasonCounter
from campaigns.reports import Receipt
from providers.base import Outcome
from tests.campaigns.handing_over import CloudFor
from tests.campaigns.reporting import (
    ACCEPTED,
    DOUBT,
    REFUSED,
    call,
    counts,
    frozen,
    hand_over,
    messages,
    receipt,
    tell,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_store")]

State = Message.State


def end(
    bulk: Bulk, message: UUID, state: State, reason: Reason, answer: str = "", *, ago: float = 0
) -> None:
    """What a gateway says of a message that does not go on."""
    at = timezone.now() - timedelta(seconds=ago)
    folding.fold([call(bulk.application_id, Receipt(message, state, at, reason, answer))])


@pytest.mark.parametrize("before", [ACCEPTED, DOUBT])
@pytest.mark.parametrize(
    ("state", "reason"),
    [(State.FAILED, Reason.UNDELIVERABLE), (State.EXPIRED, Reason.NOT_IN_TIME)],
)
def test_a_gateway_can_say_that_a_message_ended(
    sent: Callable[..., Bulk], before: Outcome, state: State, reason: Reason
) -> None:
    bulk = sent(2, before)
    one, _ = messages(bulk)

    end(bulk, one, state, reason, "EC_ABSENT_SUBSCRIBER")

    counts(bulk)
    funnel = statistics.funnel(bulk)
    assert (funnel.failed, funnel.expired) == (state == State.FAILED, state == State.EXPIRED)
    assert funnel.accepted + funnel.unknown == 1
    message = Message.objects.get(pk=one)
    assert (message.state, message.reason) == (state, reason)
    assert message.answer == "EC_ABSENT_SUBSCRIBER"
    told = dict(ReasonCounter.objects.filter(bulk=bulk).values_list("reason", "messages"))
    assert told == {reason: 1} | ({Reason.NO_ANSWER: 1} if before is DOUBT else {})


def test_what_was_delivered_cannot_fail_any_more(sent: Callable[..., Bulk]) -> None:
    bulk = sent(2)
    one, two = messages(bulk)
    tell(bulk, (one, State.DELIVERED))

    end(bulk, one, State.FAILED, Reason.UNDELIVERABLE)
    failed = Receipt(two, State.FAILED, timezone.now(), Reason.UNDELIVERABLE)
    folding.fold([call(bulk.application_id, failed, receipt(two))])

    assert counts(bulk) == (2, 2, 0, 0)
    assert not ReasonCounter.objects.filter(bulk=bulk).exists()


def test_the_first_end_of_a_message_stays(sent: Callable[..., Bulk]) -> None:
    bulk = sent(1)
    (one,) = messages(bulk)

    end(bulk, one, State.EXPIRED, Reason.NOT_IN_TIME)
    end(bulk, one, State.FAILED, Reason.UNDELIVERABLE)
    end(bulk, one, State.EXPIRED, Reason.NOT_IN_TIME)

    message = Message.objects.get(pk=one)
    assert (message.state, message.reason) == (State.EXPIRED, Reason.NOT_IN_TIME)
    counts(bulk)
    assert ReasonCounter.objects.get(bulk=bulk).messages == 1


def test_that_it_was_taken_settles_a_doubt_and_nothing_else(sent: Callable[..., Bulk]) -> None:
    doubted, known = sent(2, DOUBT), sent(1)
    one, _ = messages(doubted)

    tell(doubted, (one, State.ACCEPTED), (one, State.ACCEPTED))
    tell(known, (messages(known)[0], State.ACCEPTED))

    assert counts(doubted) == counts(known) == (1, 0, 0, 0)
    message = Message.objects.get(pk=one)
    assert (message.state, message.reason, message.delivered_at) == (State.ACCEPTED, 0, None)
    assert ReasonCounter.objects.get(bulk=doubted).messages == 1


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_counters_agree_with_rows_whatever_a_gateway_reports(
    sent: Callable[..., Bulk], data: st.DataObject
) -> None:
    bulk = sent(3, data.draw(st.sampled_from([ACCEPTED, DOUBT, REFUSED])))
    told = st.builds(
        Receipt,
        st.sampled_from(messages(bulk)),
        st.sampled_from([state for state in State if state != State.UNKNOWN]),
        st.floats(-10, 1e6).map(lambda ago: timezone.now() - timedelta(seconds=ago)),
        st.sampled_from([Reason.NONE, Reason.UNDELIVERABLE, Reason.NOT_IN_TIME]),
        st.just(""),
    )
    for batch in data.draw(st.lists(st.lists(told, max_size=6), max_size=4)):
        folding.fold([call(bulk.application_id, each) for each in batch])

    counts(bulk)
    rows = Message.objects.of_bulk(bulk).exclude(reason=0).values_list("reason")
    by_row = dict(rows.annotate(number=DbCount("pk")))
    by_counter = ReasonCounter.objects.filter(bulk=bulk).exclude(messages=0)
    assert by_row == dict(by_counter.values_list("reason", "messages"))


def test_a_message_to_a_number_has_no_registration_and_is_reported_all_the_same(
    sent: Callable[..., Bulk],
) -> None:
    bulk = sent(1)
    (one,) = messages(bulk)
    Message.objects.filter(pk=one).update(registration_id=0, destination_id=7)

    end(bulk, one, State.FAILED, Reason.NUMBER_REFUSED)

    counts(bulk)
    assert Message.objects.get(pk=one).state == State.FAILED


def test_an_end_that_comes_too_early_waits_with_its_reason(cloud_for: CloudFor) -> None:
    bulk = frozen(1)
    (one,) = messages(bulk)
    end(bulk, one, State.FAILED, Reason.OPTED_OUT, "REJECTED_DND")
    assert EarlyReceipt.objects.count() == 1

    hand_over(bulk, cloud_for)
    folding.fold_early()

    message = Message.objects.get(pk=one)
    assert (message.state, message.reason) == (State.FAILED, Reason.OPTED_OUT)
    assert message.answer == "REJECTED_DND"
    assert not EarlyReceipt.objects.exists()


def test_an_end_passes_through_the_stream_with_its_reason(sent: Callable[..., Bulk]) -> None:
    bulk = sent(1)
    (one,) = messages(bulk)
    failed = Receipt(one, State.FAILED, timezone.now(), Reason.UNDELIVERABLE, "30005")
    reports.take(bulk.application_id, None, [failed])

    assert reports.consume(seconds=0.2) == 1

    message = Message.objects.get(pk=one)
    assert (message.state, message.reason) == (State.FAILED, Reason.UNDELIVERABLE)
    assert message.answer == "30005"
