"""Campaigns that go out again and again."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from campaigns import composing, dispatch, fanout, recurring, statistics
from campaigns.errors import WrongStateError
from campaigns.models import Bulk, Campaign, Flow
from devices.models import Application, ProviderCredential, Role
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_registration,
    make_registrations,
    make_user,
)
from tests.waiting import eventually

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]
Clock = Callable[[str], None]


@pytest.fixture
def ready() -> Application:
    application = make_application()
    make_registrations(application, 2)
    make_credential(application)
    return application


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let it be that time, for whoever plans."""

    def set_to(text: str) -> None:
        now = datetime.fromisoformat(text).replace(tzinfo=UTC)
        monkeypatch.setattr(timezone, "now", lambda: now)

    return set_to


def recurring_campaign(application: Application, **given: Any) -> Campaign:
    timing = {
        "kind": "repeat", "date": "2026-03-28", "time": "09:00", "zone": "Europe/Berlin",
        "every": "day", "until": None, "count": None, **given,
    }  # fmt: skip
    return make_campaign(application, timing=timing)


def launch(campaign: Campaign) -> Bulk:
    return composing.launch(campaign, make_user(Role.MARKETER, campaign.application))


def end(bulk: Bulk) -> None:
    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.DONE)


def starts(campaign: Campaign) -> list[str]:
    found = recurring.runs_of(campaign).order_by("starts_at")
    return [f"{bulk.starts_at:%Y-%m-%dT%H:%M}" for bulk in found]


def test_the_next_run_is_planned_once_the_last_is_over(ready: Application, clock: Clock) -> None:
    clock("2026-03-27T12:00")
    campaign = recurring_campaign(ready)
    first = launch(campaign)
    assert starts(campaign) == ["2026-03-28T08:00"]
    assert recurring.plan() == 0

    clock("2026-03-28T08:30")
    end(first)
    assert recurring.plan() == 1
    assert recurring.plan() == 0

    assert starts(campaign) == ["2026-03-28T08:00", "2026-03-29T07:00"]  # the clocks changed
    second = recurring.runs_of(campaign).first()
    assert (second.content, second.rule) == (first.content, first.rule)
    assert (second.status, second.audience) == (Bulk.Status.PENDING, 0)
    assert second.bulk_id != first.bulk_id


def test_a_run_that_goes_on_long_does_not_keep_the_next_from_its_time(
    ready: Application, clock: Clock
) -> None:
    clock("2026-03-27T12:00")
    campaign = recurring_campaign(ready)
    first = launch(campaign)
    Bulk.objects.filter(pk=first.pk).update(status=Bulk.Status.SENDING)
    clock("2026-03-29T06:00")
    assert recurring.plan() == 0
    clock("2026-03-29T06:55")
    assert recurring.plan() == 1
    assert len(starts(campaign)) == 2


def test_what_was_missed_is_left_out(ready: Application, clock: Clock) -> None:
    """Nothing ran for four days."""
    clock("2026-03-27T12:00")
    campaign = recurring_campaign(ready)
    end(launch(campaign))
    clock("2026-04-01T12:00")
    recurring.plan()
    assert starts(campaign) == ["2026-03-28T08:00", "2026-04-02T07:00"]


@pytest.mark.parametrize("limit", [{"count": 2}, {"until": "2026-03-29"}])
def test_it_ends_as_it_was_told(ready: Application, clock: Clock, limit: dict[str, Any]) -> None:
    clock("2026-03-27T12:00")
    campaign = recurring_campaign(ready, **limit)
    end(launch(campaign))
    for now in ("2026-03-28T12:00", "2026-03-29T12:00", "2026-03-30T12:00"):
        clock(now)
        recurring.plan()
        end(recurring.runs_of(campaign).first())
    assert starts(campaign) == ["2026-03-28T08:00", "2026-03-29T07:00"]
    assert recurring.next_run(campaign) is None


def test_each_run_has_its_own_audience_and_figures(ready: Application, cloud_for: CloudFor) -> None:
    cloud_for(ready.credentials.get())
    today = timezone.now().astimezone(UTC)
    campaign = recurring_campaign(ready, date=f"{today:%Y-%m-%d}", time="00:00", zone="UTC")
    first = launch(campaign)
    for devices in (2, 3):
        run = recurring.runs_of(campaign).first()
        Bulk.objects.filter(pk=run.pk).update(
            starts_at=timezone.now() - timedelta(days=3 - devices, seconds=5)
        )
        fanout.freeze(run)
        dispatch.work(seconds=60)
        run.refresh_from_db()
        assert run.status == Bulk.Status.DONE
        assert statistics.funnel(run).accepted == devices
        make_registration(ready)
        recurring.plan()
    first.refresh_from_db()
    assert statistics.funnel(first).accepted == 2


def test_cancelling_ends_the_run_and_the_repeating(ready: Application, clock: Clock) -> None:
    clock("2026-03-27T12:00")
    campaign = recurring_campaign(ready)
    first = launch(campaign)
    Bulk.objects.filter(pk=first.pk).update(status=Bulk.Status.SENDING)
    clock("2026-03-29T06:55")
    recurring.plan()

    composing.cancel(campaign, make_user(Role.MARKETER, ready))

    assert set(recurring.runs_of(campaign).values_list("status", flat=True)) == {"cancelled"}
    clock("2026-03-30T12:00")
    assert recurring.plan() == 0
    assert recurring.next_run(campaign) is None


def test_between_two_runs_it_can_be_cancelled_and_not_undone(
    ready: Application, clock: Clock
) -> None:
    clock("2026-03-27T12:00")
    campaign = recurring_campaign(ready)
    end(launch(campaign))
    clock("2026-03-28T12:00")
    recurring.plan()
    user = make_user(Role.MARKETER, ready)
    with pytest.raises(WrongStateError, match="gone out before"):
        composing.undo(campaign, user)
    composing.cancel(campaign, user)
    assert recurring.next_run(campaign) is None


def test_the_first_run_can_be_undone(ready: Application, clock: Clock) -> None:
    clock("2026-03-27T12:00")
    campaign = recurring_campaign(ready)
    launch(campaign)
    composing.undo(campaign, make_user(Role.MARKETER, ready))
    campaign.refresh_from_db()
    assert campaign.is_draft
    assert recurring.plan() == 0


def test_no_application_that_is_switched_off_goes_on(ready: Application, clock: Clock) -> None:
    clock("2026-03-27T12:00")
    campaign = recurring_campaign(ready)
    end(launch(campaign))
    Application.objects.filter(pk=ready.pk).update(enabled=False)
    clock("2026-03-28T12:00")
    assert recurring.plan() == 0


def test_a_run_repeats_all_steps_of_its_scenario(ready: Application, clock: Clock) -> None:
    clock("2026-03-27T12:00")
    campaign = recurring_campaign(ready)
    first = launch(campaign)
    flow = Flow.objects.create(steps=[{"channel": "PUSH"}, {"channel": "SMS"}])
    Bulk.objects.filter(pk=first.pk).update(flow=flow)
    Bulk.objects.create(
        application=ready, campaign=campaign, flow=flow, step=1, starts_at=first.starts_at,
        status=Bulk.Status.DONE, rule={"all": []},
    )  # fmt: skip
    end(first)
    clock("2026-03-28T12:00")

    recurring.plan()

    run = recurring.runs_of(campaign).first()
    assert run.flow_id != flow.pk
    assert run.flow.steps == flow.steps
    steps = Bulk.objects.filter(flow=run.flow).order_by("step")
    assert [(each.step, each.bulk_id) for each in steps] == [(0, run.bulk_id), (1, run.bulk_id)]


@pytest.mark.django_db(transaction=True)
def test_schedulers_that_plan_at_the_same_moment_plan_one_run() -> None:
    application = make_application()
    make_registration(application)
    make_credential(application)
    tomorrow = timezone.now().astimezone(UTC) + timedelta(days=1)
    campaign = recurring_campaign(application, date=f"{tomorrow:%Y-%m-%d}", zone="UTC")
    end(launch(campaign))
    ready = threading.Barrier(5)

    def plan() -> None:
        try:
            ready.wait(timeout=60)
            recurring.plan()
        finally:
            connection.close()

    threads = [threading.Thread(target=plan) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert len(starts(campaign)) == 2


@pytest.mark.django_db(transaction=True)
def test_no_run_that_is_being_planned_escapes_a_cancel() -> None:
    application = make_application()
    make_registration(application)
    make_credential(application)
    soon = timezone.now().astimezone(UTC) + timedelta(minutes=5)
    campaign = recurring_campaign(
        application, date=f"{soon:%Y-%m-%d}", time=f"{soon:%H:%M}", zone="UTC"
    )
    run = launch(campaign)
    Bulk.objects.filter(pk=run.pk).update(
        status=Bulk.Status.SENDING, starts_at=run.starts_at - timedelta(days=1)
    )
    user = make_user(Role.MARKETER, application)

    def cancel() -> None:
        try:
            composing.cancel(campaign, user)
        finally:
            connection.close()

    cancelling = threading.Thread(target=cancel)
    with transaction.atomic():
        assert recurring.plan_next(campaign.pk)
        cancelling.start()
        eventually(lambda: _somebody_waits() or not cancelling.is_alive(), "cancelling")
    cancelling.join(timeout=60)

    assert [each.status for each in recurring.runs_of(campaign)] == ["cancelled", "cancelled"]


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # which a transaction keeps
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])
