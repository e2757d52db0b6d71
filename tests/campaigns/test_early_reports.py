"""campaigns.reports: what is reported before its message is written down waits for it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from campaigns import dispatch, folding
from campaigns.models import Bulk, Chunk, EarlyReceipt, Message
from tests.campaigns.handing_over import CloudFor
from tests.campaigns.reporting import (
    ACCEPTED,
    call,
    counts,
    frozen,
    hand_over,
    messages,
    receipt,
    tell,
)
from tests.factories import make_credential

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_store")]

State = Message.State


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
