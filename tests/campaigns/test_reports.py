"""campaigns.reports: what phones say becomes states, times and counters that agree."""

import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import ProgrammingError, connection
from django.db.models import Count as DbCount
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns import dispatch, fanout, folding, ids, reconciling, reports, statistics, streams
from campaigns.batches import Call
from campaigns.models import Bulk, Chunk, Counter, EarlyReceipt, Message, Reason, ReasonCounter
from campaigns.reports import Receipt
from campaigns.store import store
from devices.models import ProviderCredential
from providers.base import Cause, Outcome, Verdict
from tests.factories import make_application, make_bulk, make_credential, make_registrations

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]
State = Message.State
ACCEPTED = Outcome(verdict=Verdict.ACCEPTED)
DOUBT = Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER)
REFUSED = Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED, status=400)


@pytest.fixture(autouse=True)
def _empty_store() -> Iterator[None]:
    connected = store()
    connected.flushdb()
    yield
    connected.flushdb()


@pytest.fixture
def sent(cloud_for: CloudFor) -> Callable[..., Bulk]:
    """A bulk that was handed over, each device with the same outcome."""

    def send(count: int = 3, outcome: Outcome = ACCEPTED) -> Bulk:
        bulk = frozen(count)
        hand_over(bulk, cloud_for, outcome)
        return bulk

    return send


def frozen(count: int) -> Bulk:
    application = make_application()
    make_registrations(application, count)
    bulk = make_bulk(application)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def hand_over(bulk: Bulk, cloud_for: CloudFor, outcome: Outcome = ACCEPTED) -> None:
    cloud_for(make_credential(bulk.application)).answer = lambda one: outcome
    dispatch.work(seconds=60)


def recipients(bulk: Bulk) -> list[int]:
    return sorted(pk for chunk in bulk.chunks.all() for pk in chunk.recipients)


def messages(bulk: Bulk) -> list[UUID]:
    return [ids.message_id(bulk, pk) for pk in recipients(bulk)]


def tell(bulk: Bulk, *told: tuple[UUID, State], ago: float = 0, device: int | None = None) -> None:
    """Fold receipts at once, as the consumer does with a batch."""
    at = timezone.now() - timedelta(seconds=ago)
    receipts = [Receipt(each, state, at) for each, state in told]
    folding.fold([call(bulk.application_id, *receipts, device=device)])


def call(application_id: int, *receipts: Receipt, device: int | None = None) -> Call:
    return reports.packed_call(application_id, device, receipts)


def receipt(message: UUID, state: State = State.DELIVERED) -> Receipt:
    return Receipt(message, state, timezone.now())


def counts(bulk: Bulk) -> tuple[int, int, int, int]:
    """Accepted, delivered, seen, clicked; after seeing that counters and rows agree."""
    bulk.refresh_from_db()
    funnel = statistics.funnel(bulk)
    assert funnel == statistics.recount(bulk)
    assert reconciling.differences(bulk) == []
    assert funnel.adds_up
    return funnel.accepted, funnel.delivered, funnel.seen, funnel.clicked


# ------------------------------------------------------------------- folding


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.DELIVERED, (3, 1, 0, 0)),
        (State.SEEN, (3, 1, 1, 0)),
        (State.CLICKED, (3, 1, 1, 1)),
    ],
)
def test_a_receipt_implies_those_before_it(
    sent: Callable[..., Bulk], state: State, expected: tuple[int, ...]
) -> None:
    bulk = sent(3)
    one = messages(bulk)[0]

    tell(bulk, (one, state))

    assert counts(bulk) == expected
    message = Message.objects.get(pk=one)
    assert message.state == state
    times = message.delivered_at, message.seen_at, message.clicked_at
    assert [time is not None for time in times] == [number > 0 for number in expected[1:]]


def test_repeats_change_nothing(sent: Callable[..., Bulk]) -> None:
    bulk = sent(2)
    one = messages(bulk)[0]
    tell(bulk, (one, State.SEEN), (one, State.SEEN), (one, State.DELIVERED))
    before = Message.objects.values().get(pk=one)

    for _ in range(3):
        tell(bulk, (one, State.SEEN), (one, State.DELIVERED))

    assert Message.objects.values().get(pk=one) == before
    assert counts(bulk) == (2, 1, 1, 0)


def test_the_order_of_receipts_does_not_matter(sent: Callable[..., Bulk]) -> None:
    steps = (State.DELIVERED, State.SEEN, State.CLICKED)
    orders = list(itertools.permutations(steps))
    bulk = sent(len(orders))

    for one, order in zip(messages(bulk), orders, strict=True):
        for state in order:
            tell(bulk, (one, state))

    assert counts(bulk) == (len(orders),) * 4


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_counters_agree_with_rows_whatever_is_reported(
    sent: Callable[..., Bulk], data: st.DataObject
) -> None:
    bulk = sent(4, data.draw(st.sampled_from([ACCEPTED, DOUBT, REFUSED])))
    told = st.tuples(
        st.sampled_from(messages(bulk)),
        st.sampled_from([State.DELIVERED, State.SEEN, State.CLICKED]),
    )
    for batch in data.draw(st.lists(st.lists(told, max_size=6), max_size=4)):
        tell(bulk, *batch, ago=data.draw(st.floats(-10, 1e6)))

    counts(bulk)
    assert not Counter.objects.filter(bulk=bulk, minute__lt=bulk.starts_at - timedelta(minutes=1))


def test_a_receipt_settles_a_doubt(sent: Callable[..., Bulk]) -> None:
    bulk = sent(3, DOUBT)
    assert statistics.funnel(bulk).unknown == 3

    tell(bulk, (messages(bulk)[0], State.DELIVERED))

    assert counts(bulk) == (1, 1, 0, 0)
    assert statistics.funnel(bulk).unknown == 2
    assert ReasonCounter.objects.get(bulk=bulk).messages == 2
    settled = Message.objects.get(pk=messages(bulk)[0])
    assert (settled.state, settled.reason) == (State.DELIVERED, Reason.NONE)


def test_what_failed_stays_failed_and_notes_the_times(sent: Callable[..., Bulk]) -> None:
    bulk = sent(1, REFUSED)
    (one,) = messages(bulk)

    tell(bulk, (one, State.DELIVERED))
    tell(bulk, (one, State.SEEN))

    message = Message.objects.get(pk=one)
    assert (message.state, message.reason) == (State.FAILED, Reason.PAYLOAD_REFUSED)
    assert message.delivered_at is not None
    assert message.seen_at is not None
    assert counts(bulk) == (0, 0, 0, 0)
    assert statistics.funnel(bulk).failed == 1


def test_a_wrong_clock_cannot_see_a_message_before_it_was_sent(sent: Callable[..., Bulk]) -> None:
    bulk = sent(1)
    (one,) = messages(bulk)

    tell(bulk, (one, State.SEEN), ago=86_400)

    message = Message.objects.get(pk=one)
    assert message.delivered_at == message.seen_at == bulk.starts_at
    assert counts(bulk) == (1, 1, 1, 0)


def test_only_its_own_application_may_report_a_message(sent: Callable[..., Bulk]) -> None:
    bulk = sent(1)
    (one,) = messages(bulk)
    foreign = make_application().pk

    folding.fold([call(foreign, receipt(one, State.CLICKED))])
    assert counts(bulk) == (1, 0, 0, 0)

    # In one batch, whichever comes first: neither speaks for the other, nor hides it.
    mine = call(bulk.application_id, receipt(one))
    theirs = call(foreign, receipt(one, State.CLICKED))
    folding.fold([theirs, mine])
    folding.fold([mine, theirs])
    assert counts(bulk) == (1, 1, 0, 0)
    assert not EarlyReceipt.objects.exists()


def test_only_its_own_device_may_report_a_message(sent: Callable[..., Bulk]) -> None:
    bulk = sent(2)
    one, (mine, other) = messages(bulk)[0], recipients(bulk)

    tell(bulk, (one, State.SEEN), device=other)
    assert counts(bulk) == (2, 0, 0, 0)

    tell(bulk, (one, State.SEEN), device=mine)
    assert counts(bulk) == (2, 1, 1, 0)


def test_ids_that_nobody_sent_are_ignored(sent: Callable[..., Bulk]) -> None:
    bulk = sent(1)
    unsent = ids.message_id(bulk, 2**41)

    tell(bulk, (uuid.uuid4(), State.SEEN), (UUID(int=0), State.SEEN), (unsent, State.SEEN))

    assert counts(bulk) == (1, 0, 0, 0)
    assert not EarlyReceipt.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_folds_at_once_count_once(sent: Callable[..., Bulk]) -> None:
    bulk = sent(40)
    told = [(each, State.SEEN) for each in messages(bulk)]
    together = threading.Barrier(4)
    raised: list[Exception] = []

    def fold(seed: int) -> None:
        mixed = random.Random(seed).sample(told, len(told))
        together.wait(timeout=30)
        try:
            tell(bulk, *mixed)
        except Exception as error:  # noqa: BLE001 (a thread's error must reach the test)
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=fold, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert not raised
    assert counts(bulk) == (40, 40, 40, 0)


# ------------------------------------------------------------------- gateways


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


# ------------------------------------------------------------------- too early


def test_a_receipt_before_its_row_waits_and_then_counts(cloud_for: CloudFor) -> None:
    bulk = frozen(2)
    one, two = messages(bulk)
    tell(bulk, (one, State.SEEN), (two, State.DELIVERED))
    assert counts(bulk) == (0, 0, 0, 0)
    assert folding.fold_early() == 3  # seen implies delivered
    assert EarlyReceipt.objects.count() == 3  # still too early

    hand_over(bulk, cloud_for)
    folding.fold_early()

    assert counts(bulk) == (2, 2, 1, 0)
    assert not EarlyReceipt.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_receipts_that_race_with_their_rows_are_never_lost(cloud_for: CloudFor) -> None:
    bulk = frozen(300)
    reporting, raised = threading.Event(), []

    def report() -> None:
        try:
            for each in messages(bulk):
                folding.fold([call(bulk.application_id, receipt(each))])
                reporting.set()
        except Exception as error:  # noqa: BLE001 (a thread's error must reach the test)
            raised.append(error)
        finally:
            connection.close()

    phones = threading.Thread(target=report)
    cloud = cloud_for(make_credential(bulk.application))
    cloud.answer = lambda one: ACCEPTED
    cloud.before_answering = reporting.wait
    phones.start()
    dispatch.work(seconds=60)
    phones.join(timeout=60)
    assert not raised

    folding.fold_early()

    assert counts(bulk) == (300, 300, 0, 0)
    assert not EarlyReceipt.objects.exists()


def test_a_receipt_of_a_window_on_the_wire_waits_also_when_the_bulk_was_cancelled() -> None:
    bulk = frozen(1)
    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.CANCELLED)

    tell(bulk, (messages(bulk)[0], State.DELIVERED))
    assert EarlyReceipt.objects.count() == 1

    Chunk.objects.filter(bulk=bulk).update(status=Chunk.Status.CANCELLED)
    folding.fold_early()
    assert not EarlyReceipt.objects.exists()


def test_a_receipt_waits_ten_minutes() -> None:
    bulk = frozen(1)
    tell(bulk, (messages(bulk)[0], State.DELIVERED))
    EarlyReceipt.objects.update(arrived_at=timezone.now() - timedelta(minutes=9))
    folding.fold_early()
    assert EarlyReceipt.objects.count() == 1

    EarlyReceipt.objects.update(arrived_at=timezone.now() - timedelta(minutes=11))
    folding.fold_early()
    assert not EarlyReceipt.objects.exists()


def test_a_receipt_that_nobody_tried_for_long_still_counts(cloud_for: CloudFor) -> None:
    bulk = frozen(1)
    tell(bulk, (messages(bulk)[0], State.DELIVERED))
    hand_over(bulk, cloud_for)
    EarlyReceipt.objects.update(arrived_at=timezone.now() - timedelta(hours=1))

    folding.fold_early()

    assert counts(bulk) == (1, 1, 0, 0)
    assert not EarlyReceipt.objects.exists()


def test_receipts_that_wait_do_not_hold_up_others(
    cloud_for: CloudFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "BATCH", 2)
    waiting, ready = frozen(5), frozen(1)
    Bulk.objects.filter(pk=waiting.pk).update(status=Bulk.Status.PAUSED)
    tell(waiting, *((each, State.DELIVERED) for each in messages(waiting)))
    tell(ready, (messages(ready)[0], State.DELIVERED))
    hand_over(ready, cloud_for)

    folding.fold_early()

    assert counts(ready) == (1, 1, 0, 0)
    assert EarlyReceipt.objects.count() == 5


# ------------------------------------------------------------------- stream and consumer


def test_taken_receipts_reach_the_ledger_through_the_stream(sent: Callable[..., Bulk]) -> None:
    bulk = sent(3)
    one, two, three = messages(bulk)
    reports.take(bulk.application_id, None, [receipt(one), receipt(two, State.CLICKED)])
    reports.take(bulk.application_id, recipients(bulk)[2], [receipt(three, State.SEEN)])
    assert counts(bulk) == (3, 0, 0, 0)

    assert reports.consume(seconds=0.2) == 3

    assert counts(bulk) == (3, 3, 2, 1)
    assert store().xlen(reports.STREAM) == 0
    assert not store().exists(reports.LOCK)


def test_without_the_store_receipts_go_straight_to_the_ledger(
    sent: Callable[..., Bulk], settings: Any
) -> None:
    bulk = sent(1)
    settings.STORE_URL = "unix:///nowhere/store.sock"

    reports.take(bulk.application_id, None, [receipt(messages(bulk)[0])])

    assert counts(bulk) == (1, 1, 0, 0)


def test_what_a_dead_consumer_folded_and_did_not_cut_off_counts_once(
    sent: Callable[..., Bulk],
) -> None:
    bulk = sent(2)
    one, two = messages(bulk)
    reports.take(bulk.application_id, None, [receipt(one)])
    entries: Any = store().xrange(reports.STREAM)
    folding.fold(json.loads(fields[b"r"]) for _, fields in entries)  # and here it died
    reports.take(bulk.application_id, None, [receipt(two)])

    assert reports.consume(seconds=0.2) == 2

    assert counts(bulk) == (2, 2, 0, 0)


def test_a_long_stream_is_folded_piece_by_piece(
    sent: Callable[..., Bulk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "ENTRIES", 2)
    monkeypatch.setattr(streams, "BATCH_SIZE", 100)  # bytes
    bulk = sent(7)
    one, *others, last = messages(bulk)
    reports.take(bulk.application_id, None, [receipt(each) for each in others])
    reports.take(bulk.application_id, None, [receipt(one)])
    reports.take(bulk.application_id, None, [receipt(last)])

    assert reports._RECEIPTS.fold_entries(store()) == 6
    assert store().xlen(reports.STREAM) == 1  # what was not read is not cut off
    assert reports.consume(seconds=0.2) == 1

    assert counts(bulk) == (7, 7, 0, 0)
    assert store().xlen(reports.STREAM) == 0


def test_one_consumer_works_at_a_time(sent: Callable[..., Bulk]) -> None:
    bulk = sent(1)
    reports.take(bulk.application_id, None, [receipt(messages(bulk)[0])])
    store().set(reports.LOCK, "somebody else")

    assert reports.consume(seconds=5) == 0

    assert counts(bulk) == (1, 0, 0, 0)
    assert store().get(reports.LOCK) == b"somebody else"


def test_a_fold_that_breaks_leaves_its_receipts_in_the_stream(
    sent: Callable[..., Bulk], monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk = sent(1)
    reports.take(bulk.application_id, None, [receipt(messages(bulk)[0])])
    with monkeypatch.context() as broken:
        broken.setattr(folding, "_FOLD", "SELECT nothing_of_this_name")
        with pytest.raises(ProgrammingError):
            reports.consume(seconds=0.2)

    assert reports.consume(seconds=0.2) == 1
    assert counts(bulk) == (1, 1, 0, 0)


def test_a_store_that_lost_its_data_ends_the_consumer_quietly() -> None:
    lost = threading.Thread(target=lose_data_once_a_consumer_waits)
    lost.start()

    assert reports.consume(seconds=10) == 0

    lost.join(timeout=10)
    assert not store().exists(reports.LOCK)


def lose_data_once_a_consumer_waits() -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        clients: Any = store().client_list()
        if any("b" in client["flags"] for client in clients):
            store().flushdb()
            return
