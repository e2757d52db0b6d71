"""campaigns.reports: what phones say becomes states, times and counters that agree."""

import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import ProgrammingError, connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns import folding, ids, reports, statistics, streams
from campaigns.models import Bulk, Counter, EarlyReceipt, Message, Reason, ReasonCounter
from campaigns.store import store
from tests.campaigns.reporting import (
    ACCEPTED,
    DOUBT,
    REFUSED,
    call,
    counts,
    messages,
    receipt,
    recipients,
    tell,
)
from tests.factories import make_application

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_store")]

State = Message.State


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

    assert reports.RECEIPTS.fold_entries(store()) == 6
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
