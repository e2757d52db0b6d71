"""campaigns.reconciling: counters that drifted are found, and corrected."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from campaigns import (
    dispatch,
    fanout,
    folding,
    ids,
    partitions,
    reconciling,
    reports,
    statistics,
    tasks,
)
from campaigns.models import Bulk, Counter, Message, Reason, ReasonCounter, Reconciliation
from campaigns.reconciling import Difference
from campaigns.reports import Receipt
from devices.models import ProviderCredential
from providers.base import Cause, Outcome, Verdict
from tests.factories import make_application, make_bulk, make_credential, make_registrations

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]
OUTCOMES = [
    Outcome(verdict=Verdict.ACCEPTED),
    Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED),
    Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER),
    Outcome(verdict=Verdict.TRY_LATER, cause=Cause.CLOUD_UNAVAILABLE),
]


@pytest.fixture
def send(cloud_for: CloudFor) -> Callable[..., Bulk]:
    """A bulk that was handed over, with every kind of outcome and some receipts."""

    def sent(count: int = 12) -> Bulk:
        application = make_application()
        devices = make_registrations(application, count)
        make_registrations(application, 2, notifications_enabled=False)
        answers = itertools.cycle(OUTCOMES)
        cloud_for(make_credential(application)).answer = lambda one: next(answers)
        bulk = make_bulk(application)
        fanout.freeze(bulk)
        dispatch.work(seconds=10)
        states = itertools.cycle([Message.State.DELIVERED, Message.State.CLICKED])
        receipts = [
            Receipt(
                ids.message_id(bulk, device.pk), state, timezone.now() + timedelta(minutes=number)
            )
            for number, (device, state) in enumerate(zip(devices[:6], states, strict=False))
        ]
        folding.fold([reports.packed_call(application.pk, None, receipts)])
        bulk.refresh_from_db()
        return bulk

    return sent


def plant_drift(bulk: Bulk) -> None:
    counter = Counter.objects.filter(bulk=bulk, sent__gt=0).get()
    Counter.objects.filter(pk=counter.pk).update(
        sent=counter.sent + 2, minute=counter.minute - timedelta(minutes=5)
    )
    ReasonCounter.objects.filter(bulk=bulk, reason=Reason.UNINSTALLED).delete()
    ReasonCounter.objects.create(bulk=bulk, platform=1, reason=Reason.TOO_LARGE, messages=4)


def command(*arguments: str) -> str:
    said = StringIO()
    call_command("reconcile", *arguments, stdout=said)
    return said.getvalue()


def test_what_was_sent_and_reported_agrees(send: Callable[..., Bulk]) -> None:
    bulk = send()

    assert bulk.status == Bulk.Status.SENDING  # what the cloud did not want yet still waits
    assert reconciling.differences(bulk) == []
    assert "1 bulk compared: every counter equals its rows." in command()


def test_a_planted_drift_is_found_with_its_numbers(send: Callable[..., Bulk]) -> None:
    bulk = send()
    plant_drift(bulk)

    found = {each.what: each for each in reconciling.differences(bulk)}

    assert found["sent"] == Difference(bulk.pk, "sent", counted=11, found=9, places=2)
    assert found["accepted"].places == 2
    assert found["accepted"].counted == found["accepted"].found
    removed, too_large = (f"reason {Reason(r).label!r}" for r in (11, 22))
    assert found[removed] == Difference(bulk.pk, removed, counted=0, found=3, places=1)
    assert found[too_large] == Difference(bulk.pk, too_large, counted=4, found=0, places=1)


def test_the_command_prints_a_drift_and_fails(send: Callable[..., Bulk]) -> None:
    bulk = send()
    plant_drift(bulk)
    said = StringIO()

    with pytest.raises(CommandError, match=r"1 differ\. --repair corrects") as failure:
        call_command("reconcile", stdout=said)

    assert failure.value.returncode == 1
    assert f"bulk {bulk.pk}: sent: counted 11, found 9\n" in said.getvalue()
    assert reconciling.differences(bulk) != []


def test_repair_makes_counters_what_the_rows_say(send: Callable[..., Bulk]) -> None:
    bulk = send()
    before = statistics.funnel(bulk)
    minutes = [each for each in statistics.minutes(bulk) if each.sent or each.delivered]
    plant_drift(bulk)

    said = command("--repair")
    assert f"bulk {bulk.pk}: sent: counted 11, found 9 (corrected)\n" in said
    assert "1 bulk compared, 1 corrected: every counter equals its rows" in said

    assert reconciling.differences(bulk) == []
    assert statistics.funnel(bulk) == before == statistics.recount(bulk)
    assert [each for each in statistics.minutes(bulk) if each.sent or each.delivered] == minutes
    assert "corrected" not in command("--repair")


def test_a_correction_leaves_what_is_counted_afterwards(
    send: Callable[..., Bulk], cloud_for: CloudFor
) -> None:
    bulk = send()
    plant_drift(bulk)
    reconciling.correct(bulk)
    bulk.chunks.update(not_before=timezone.now() - timedelta(minutes=1))
    cloud_for(bulk.application.credentials.get())

    dispatch.work(seconds=10)

    assert statistics.funnel(bulk).accepted == 7  # one by its receipt
    assert reconciling.differences(bulk) == []


def test_a_lost_chunk_is_told_and_cannot_be_repaired(send: Callable[..., Bulk]) -> None:
    bulk = send()
    bulk.chunks.filter(attempt__gt=0).delete()

    assert reconciling.differences(bulk) == [Difference(bulk.pk, "audience", 12, 9, 1)]
    with pytest.raises(CommandError, match="1 bulk compared, 1 differ"):
        command("--repair")


def test_bulks_whose_rows_were_dropped_are_left_out(
    send: Callable[..., Bulk], settings: Settings
) -> None:
    plant_drift(send())
    settings.MESSAGE_RETENTION_DAYS = 1

    assert command().startswith("0 bulks compared")


def test_days_dropped_under_a_shorter_retention_stay_left_out_when_it_grows(
    send: Callable[..., Bulk],
) -> None:
    plant_drift(send())
    days = partitions.make_ahead()

    tomorrow = timezone.now() + timedelta(days=1)
    with connection.cursor() as cursor:
        for name in days:
            if name < partitions.name_of(tomorrow):
                cursor.execute(f"DROP TABLE {name}")

    assert command("--repair").startswith("0 bulks compared")
    assert Counter.objects.filter(sent__gt=0).exists()


def test_a_night_looks_at_the_last_days_only_and_the_command_at_all(
    send: Callable[..., Bulk],
) -> None:
    bulk = send()
    Bulk.objects.filter(pk=bulk.pk).update(
        starts_at=timezone.now() - timedelta(days=reconciling.NIGHTLY_DAYS, hours=1)
    )

    night = reconciling.nightly(seconds=10)

    assert night is not None
    assert night.bulks == 0
    assert reconciling.go_on(reconciling.begin(), seconds=10) != []  # its rows have other ids


def test_a_night_run_goes_on_where_it_was_interrupted(
    send: Callable[..., Bulk], monkeypatch: pytest.MonkeyPatch
) -> None:
    bulks = [send(4) for _ in range(3)]
    plant_drift(bulks[0])
    monkeypatch.setattr(reconciling, "BATCH_SECONDS", 0.0)  # one bulk, then it is noted

    for done in (1, 2, 3):
        run = reconciling.nightly(seconds=0)
        assert run is not None
        assert (run.bulks, run.after, run.finished_at) == (done, bulks[done - 1].pk, None)
    tasks.reconcile()

    run = reconciling.latest(finished=True)
    assert run is not None
    assert (run.bulks, run.differing, run.repaired, run.wrong) == (3, 1, 1, 0)
    assert {each["bulk"] for each in run.differences} == {bulks[0].pk}
    assert all(each["repaired"] for each in run.differences)
    assert Reconciliation.objects.count() == 1
    assert reconciling.differences(bulks[0]) == []


@pytest.mark.parametrize(
    ("hours_ago", "now", "begins"),
    [
        (1, "2026-11-21T03:00:00Z", False),
        (21, "2026-11-21T12:00:00Z", False),
        (21, "2026-11-21T03:00:00Z", True),
        (31, "2026-11-21T12:00:00Z", True),
    ],
)
def test_a_run_begins_each_night_or_when_nights_were_missed(
    hours_ago: int, now: str, begins: bool, time_machine: Any
) -> None:
    time_machine.move_to(now, tick=False)
    at = timezone.now() - timedelta(hours=hours_ago)
    Reconciliation.objects.create(started_at=at, since=at, finished_at=at)

    assert (reconciling.nightly(seconds=1) is not None) == begins
