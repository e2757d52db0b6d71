"""How an import goes on after a kill, meets others at work, and ends."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, BinaryIO

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection
from django.utils import timezone

from devices import import_batches, importing
from devices.csv_batches import Written, write
from devices.csv_files import examine
from devices.csv_rows import Wanted
from devices.import_batches import LEASE
from devices.models import Address, Application, Identity, ImportRun, Registration
from tests.factories import make_application

pytestmark = pytest.mark.django_db


def imported(application: Application, text: str | bytes) -> ImportRun:
    content = text.encode() if isinstance(text, str) else text
    run = importing.receive(application, None, "devices.csv", [content[:7], content[7:]])
    finished = importing.run_upload(run.pk)
    assert finished is not None
    return finished


def test_an_import_whose_worker_was_killed_goes_on_where_it_stood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    application = make_application()
    monkeypatch.setattr(import_batches, "BATCH", 10)
    text = "platform,token\n" + "".join(f"Android,t-{n}\n" for n in range(25))
    text += "Symbian,x\nAndroid,t-3\n"
    run = importing.receive(application, None, "devices.csv", [text.encode()])
    calls: list[Any] = []

    def dies_in_the_second_batch(*args: Any) -> Written[Wanted]:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write(*args)

    monkeypatch.setattr(importing, "write", dies_in_the_second_batch)
    with pytest.raises(KeyboardInterrupt):
        importing.run_upload(run.pk)
    assert Registration.objects.count() == 10
    assert importing.run_upload(run.pk) is None  # its lease still runs
    ImportRun.objects.filter(pk=run.pk).update(lease_until=timezone.now())
    finished = importing.run_upload(run.pk)

    assert finished is not None
    assert (finished.rows, finished.created, finished.refused) == (27, 25, 2)
    assert [r.line for r in finished.refusals.all()] == [27, 28]
    assert "stands in line 5" in finished.refusals.get(line=28).reason
    assert not finished.pieces.exists()


def test_a_worker_that_was_overtaken_writes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    run = importing.receive(
        make_application(), None, "devices.csv", [b"platform,token\nAndroid,t-1\n"]
    )

    def slowly(source: BinaryIO, mapping: Sequence[str], alive: Callable[[], None]) -> None:
        examine(source, mapping, alive)
        ImportRun.objects.update(lease_until=timezone.now() + timedelta(hours=1))

    monkeypatch.setattr(importing, "examine", slowly)
    assert importing.run_upload(run.pk) is None
    assert not Registration.objects.exists()
    assert run.pieces.exists()


def test_rows_that_somebody_else_writes_meanwhile_do_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def clashing(
        application: Application, wanted: list[Wanted], seen: dict[int, int]
    ) -> Written[Wanted]:
        if any(row.token == "t-7" for row in wanted):
            raise IntegrityError
        return write(application, wanted, seen)

    monkeypatch.setattr(importing, "write", clashing)
    run = imported(
        make_application(), "platform,token\n" + "".join(f"Android,t-{n}\n" for n in range(20))
    )
    assert (run.status, run.created, run.refused) == (ImportRun.Status.DONE, 19, 1)
    assert run.refusals.get().line == 9


def test_a_file_with_a_fault_far_down_changes_nothing() -> None:
    rows = b"".join(b"Android,token-%d\n" % n for n in range(import_batches.BATCH + 500))
    run = imported(make_application(), b"platform,token\n" + rows + b"Android,J\xfcrgen\n")

    assert run.status == ImportRun.Status.FAILED
    assert f"Line {import_batches.BATCH + 502} is not UTF-8" in run.error
    assert (run.rows, Registration.objects.count()) == (0, 0)


def test_a_device_named_before_a_kill_is_known_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    application = make_application()
    name = "8621824c-86b2-41f7-bf6f-20d3b1426005"
    imported(application, f"platform,token,registration_id\nAndroid,t-1,{name}\n")
    monkeypatch.setattr(import_batches, "BATCH", 1)
    text = f"platform,token,registration_id,language\nAndroid,,{name},de\nAndroid,t-1,,fr\n"
    run = importing.receive(application, None, "devices.csv", [text.encode()])

    def dies_in_the_second_batch(
        application: Application, wanted: list[Wanted], seen: dict[int, int]
    ) -> Written[Wanted]:
        if seen:
            raise KeyboardInterrupt
        return write(application, wanted, seen)

    with monkeypatch.context() as patched:
        patched.setattr(importing, "write", dies_in_the_second_batch)
        with pytest.raises(KeyboardInterrupt):
            importing.run_upload(run.pk)
    ImportRun.objects.filter(pk=run.pk).update(lease_until=timezone.now())
    finished = importing.run_upload(run.pk)

    assert finished is not None
    assert (finished.rows, finished.updated, finished.refused) == (2, 1, 1)
    assert "stands in line 2" in finished.refusals.get().reason
    assert Registration.objects.get().language == "de"


def failing(fault: Exception) -> Callable[..., Written[Wanted]]:
    """A write that fails at the row of token t-15."""

    def fails(
        application: Application, wanted: list[Wanted], seen: dict[int, int]
    ) -> Written[Wanted]:
        if any(row.token == "t-15" for row in wanted):
            raise fault
        return write(application, wanted, seen)

    return fails


def uploaded(application: Application) -> ImportRun:
    text = "platform,token\n" + "".join(f"Android,t-{n}\n" for n in range(25))
    return importing.receive(application, None, "devices.csv", [text.encode()])


def test_a_batch_that_fails_for_good_ends_the_import_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(import_batches, "BATCH", 10)
    monkeypatch.setattr(importing, "write", failing(DataError("value of ana@example.com")))
    run = uploaded(make_application())

    finished = importing.run_upload(run.pk)

    assert finished is not None
    assert (finished.status, finished.rows) == (ImportRun.Status.FAILED, 10)
    assert finished.error.startswith("Behind row 10 something went wrong on our side. Import")
    assert (finished.lease_until, finished.finished_at is None) == (None, False)
    assert not finished.pieces.exists()
    assert Registration.objects.count() == 10
    assert importing.run_upload(run.pk) is None
    assert f"import {run.pk} stopped: DataError" in caplog.text
    assert "ana@" not in caplog.text


@pytest.mark.parametrize("fault", [None, DataError()])
def test_an_import_goes_with_its_application(
    monkeypatch: pytest.MonkeyPatch, fault: Exception | None
) -> None:
    application = make_application()
    run = uploaded(application)

    def until_it_is_gone(
        source: BinaryIO, mapping: Sequence[str], alive: Callable[[], None]
    ) -> None:
        examine(source, mapping, alive)
        Application.objects.all().delete()
        if fault is not None:
            raise fault

    monkeypatch.setattr(importing, "examine", until_it_is_gone)
    assert importing.run_upload(run.pk) is None
    assert not Registration.objects.exists()


def test_an_import_that_stops_again_and_again_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(import_batches, "BATCH", 10)
    run = uploaded(make_application())
    ImportRun.objects.filter(pk=run.pk).update(starts=importing.MOST_STARTS - 1)
    monkeypatch.setattr(importing, "write", failing(OperationalError("out of memory")))

    for _ in range(importing.MOST_STARTS):  # the first of them takes a batch, and begins anew
        with pytest.raises(OperationalError):
            importing.run_upload(run.pk)
        ImportRun.objects.filter(pk=run.pk).update(lease_until=timezone.now())
        run.refresh_from_db()
        assert (run.status, run.rows) == (ImportRun.Status.RUNNING, 10)
    run.refresh_from_db()
    while run.status == ImportRun.Status.RUNNING:
        before = run.starts
        try:
            importing.run_upload(run.pk)
        except OperationalError:
            ImportRun.objects.filter(pk=run.pk).update(lease_until=timezone.now())
        run.refresh_from_db()
        assert run.starts == before + 1

    assert run.status == ImportRun.Status.FAILED
    assert "its worker was stopped 5 times" in run.error
    assert Registration.objects.count() == 10


def test_a_long_reading_ahead_keeps_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    run = uploaded(make_application())
    later: list[bool] = []

    def slowly(source: BinaryIO, mapping: Sequence[str], alive: Callable[[], None]) -> None:
        monkeypatch.setattr(import_batches, "LEASE", 2 * LEASE + timedelta(seconds=1))
        examine(source, mapping, alive)  # the lease it has is less than half of one by now
        run.refresh_from_db()
        assert run.lease_until is not None
        later.append(run.lease_until > timezone.now() + LEASE)

    monkeypatch.setattr(importing, "examine", slowly)
    finished = importing.run_upload(run.pk)

    assert later == [True]
    assert finished is not None
    assert finished.status == ImportRun.Status.DONE


@pytest.mark.django_db(transaction=True)
def test_two_files_of_the_same_people_at_once_are_both_taken() -> None:
    application = make_application()
    rows = [f"Android,t-{n},u-{n % 40},4179{n % 40:07},vip" for n in range(400)]
    header = "platform,token,external_id,phone,tags"
    runs = [
        importing.receive(application, None, "devices.csv", ["\n".join([header, *said]).encode()])
        for said in (rows, rows[::-1])
    ]
    ends: list[ImportRun | None] = []

    def work(pk: int) -> None:
        try:
            ends.append(importing.run_upload(pk))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(run.pk,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert [end.status for end in ends if end] == [ImportRun.Status.DONE] * 2
    assert [end.refused for end in ends if end] == [0, 0]
    assert (Address.objects.count(), Identity.objects.count()) == (400, 80)
    assert sum(end.created for end in ends if end) == 400
    for device in Registration.objects.select_related("person"):
        assert device.person is not None
        assert device.person_tags == device.person.tags == ["vip"]
