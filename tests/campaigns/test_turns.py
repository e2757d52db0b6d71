"""Recipients' own time and quiet hours: from the frozen audience to the wire."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import composing, dispatch, fanout, ledger, statistics
from campaigns.errors import IncompleteContentError
from campaigns.models import Bulk, Chunk, Journey, Message, Reason
from devices.models import Application, ProviderCredential, Registration, Role
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_flow_bulk,
    make_person,
    make_registration,
    make_registrations,
    make_user,
)

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(day: str, clock: str, passed: str = "next_day") -> dict[str, Any]:
    return {"timing": {"kind": "local", "date": day, "time": clock, "passed": passed}}


def turns_of(bulk: Bulk) -> dict[int | None, datetime]:
    """When the devices of each offset have their turn."""
    chunks = bulk.chunks.filter(status=Chunk.Status.OPEN)
    return {chunk.timezone_offset: chunk.not_before for chunk in chunks}


def left_out(bulk: Bulk) -> dict[Reason, int]:
    found = statistics.reasons(bulk)
    return {each.reason: each.count for each in found if each.kind == "left_out"}


@pytest.fixture
def world() -> Application:
    """Devices from Hawaii to Kiribati, two of them half an hour off, and one that says nothing."""
    application = make_application(default_zone="Europe/Berlin")
    for minutes in (-600, 0, 330, 345, 840, None):
        make_registration(application, timezone_offset=minutes)
    return application


# ------------------------------------------------------------------- recipients' time


def test_each_zone_has_its_turn_when_its_clock_shows_the_time(world: Application) -> None:
    bulk = make_bulk(
        world, starts_at=utc("2026-11-16T19:00"), delivery=local("2026-11-17", "09:00")
    )

    assert fanout.freeze(bulk) == 6

    assert turns_of(bulk) == {
        840: utc("2026-11-16T19:00"),
        345: utc("2026-11-17T03:15"),
        330: utc("2026-11-17T03:30"),
        None: utc("2026-11-17T08:00"),  # Berlin
        0: utc("2026-11-17T09:00"),
        -600: utc("2026-11-17T19:00"),
    }
    bulk.refresh_from_db()
    assert bulk.span == 24 * 3600
    assert bulk.delivery["zone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        ("2026-03-28", "09:00", "2026-03-28T08:00"),
        ("2026-03-29", "09:00", "2026-03-29T07:00"),
        ("2026-03-29", "02:30", "2026-03-29T01:30"),  # skipped there: later
        ("2026-10-25", "02:30", "2026-10-25T00:30"),  # twice there: the first
        ("2026-10-25", "09:00", "2026-10-25T08:00"),
    ],
)
def test_the_zone_of_unknown_devices_changes_its_clocks(
    day: str, clock: str, expected: str
) -> None:
    application = make_application(default_zone="Europe/Berlin")
    make_registration(application)
    first = utc(f"{day}T{clock}") - timedelta(hours=14)
    bulk = make_bulk(application, starts_at=first, delivery=local(day, clock))

    fanout.freeze(bulk)

    assert turns_of(bulk) == {None: utc(expected)}


@pytest.mark.parametrize(
    ("passed", "kiribati", "sent_to"),
    [
        ("now", utc("2026-11-17T03:20"), 6),
        ("next_day", utc("2026-11-17T19:00"), 6),
        ("skip", None, 4),
    ],
)
def test_where_the_time_has_passed_the_policy_decides(
    world: Application, passed: str, kiribati: datetime | None, sent_to: int
) -> None:
    """Launched at 03:20: it has passed in Kiribati and Nepal, and comes in India in a moment."""
    bulk = make_bulk(
        world, starts_at=utc("2026-11-17T03:20"), delivery=local("2026-11-17", "09:00", passed)
    )

    assert fanout.freeze(bulk) == sent_to

    turns = turns_of(bulk)
    assert turns[330] == utc("2026-11-17T03:30")
    assert turns.get(840) == kiribati
    assert left_out(bulk) == ({Reason.ZONE_PASSED: 2} if passed == "skip" else {})


def test_the_time_to_live_runs_from_each_zones_turn(
    world: Application, cloud_for: CloudFor
) -> None:
    """An hour to live: Hawaii's begins a day after Kiribati's, which is over."""
    cloud = cloud_for(make_credential(world))
    now = timezone.now().astimezone(UTC).replace(second=0, microsecond=0)
    wall = now - timedelta(minutes=600)  # what Hawaii's clock shows
    bulk = make_bulk(
        world,
        starts_at=wall - timedelta(minutes=840),
        ttl=3600,
        delivery=local(f"{wall:%Y-%m-%d}", f"{wall:%H:%M}"),
    )
    fanout.freeze(bulk)

    dispatch.work(seconds=60)

    hawaii = Registration.objects.get(timezone_offset=-600)
    accepted = Message.objects.filter(bulk=bulk, state=Message.State.ACCEPTED)
    assert [each.registration_id for each in accepted] == [hawaii.pk]
    assert len(cloud.taken) == 1
    expired = Message.objects.filter(bulk=bulk, state=Message.State.EXPIRED)
    assert {Reason(each.reason) for each in expired} == {Reason.TOO_LATE}
    assert expired.count() == 5


def test_chunks_of_one_zone_and_platform_are_filled(settings: Any) -> None:
    settings.CHUNK_SIZE = 4
    application = make_application()
    make_registrations(application, 9, timezone_offset=60)
    make_registrations(application, 2, timezone_offset=330)
    make_registrations(application, 3, timezone_offset=330, enabled=False)
    bulk = make_bulk(
        application, starts_at=utc("2026-11-16T19:00"), delivery=local("2026-11-17", "09:00")
    )

    assert fanout.freeze(bulk) == 11

    chunks = bulk.chunks.filter(status=Chunk.Status.OPEN)
    shapes = sorted((chunk.timezone_offset or 0, chunk.size) for chunk in chunks)
    assert shapes == [(60, 1), (60, 4), (60, 4), (330, 2)]
    assert left_out(bulk) == {Reason.SWITCHED_OFF: 3}


def test_an_offset_that_no_zone_has_counts_as_unknown() -> None:
    application = make_application()
    make_registration(application, timezone_offset=5000)
    bulk = make_bulk(
        application, starts_at=utc("2026-11-16T19:00"), delivery=local("2026-11-17", "09:00")
    )
    assert fanout.freeze(bulk) == 1
    assert turns_of(bulk) == {None: utc("2026-11-17T09:00")}


def test_a_try_again_keeps_the_turn_of_its_chunk(world: Application) -> None:
    bulk = make_bulk(
        world, starts_at=utc("2026-11-16T19:00"), ttl=3600, delivery=local("2026-11-17", "09:00")
    )
    fanout.freeze(bulk)
    claimed = ledger.claim_chunk()
    assert claimed is not None
    assert ledger.claim_window(claimed, 1)
    again = ledger.Retry(
        claimed.recipients, timezone.now(), 1, Reason.WAITING_FOR_RETRY
    )  # fmt: skip
    ledger.record(bulk, claimed, ledger.WindowResult(retries=[again]), now=timezone.now())

    retried = bulk.chunks.get(attempt=1)
    assert (retried.starts_at, retried.timezone_offset) == (
        claimed.starts_at, claimed.timezone_offset,
    )  # fmt: skip


def test_people_of_a_scenario_have_their_time_from_their_own_turn() -> None:
    application = make_application()
    make_registration(application, timezone_offset=0, person=make_person())
    bulk = make_flow_bulk(application, validity=3600)
    wall = bulk.starts_at.astimezone(UTC) + timedelta(hours=2)
    bulk.delivery = local(f"{wall:%Y-%m-%d}", f"{wall:%H:%M}")
    bulk.save()

    fanout.freeze(bulk)

    journey = Journey.objects.get()
    assert journey.deadline == turns_of(bulk)[0] + timedelta(hours=1)
    later = Bulk.objects.get(flow=bulk.flow, step=1)
    bulk.refresh_from_db()
    assert later.ttl == 3600 + 3600 + bulk.span


# ------------------------------------------------------------------- launching


@pytest.fixture
def ready() -> Application:
    application = make_application()
    make_registration(application)
    make_credential(application)
    return application


def test_a_scheduled_launch_starts_at_its_time_in_its_zone(ready: Application) -> None:
    timing = {"kind": "at", "date": "2027-07-24", "time": "09:00", "zone": "Europe/Berlin"}
    user = make_user(Role.MARKETER, ready)
    campaign = make_campaign(ready, timing=timing)

    bulk = composing.launch(campaign, user)

    assert bulk.starts_at == utc("2027-07-24T07:00")
    assert fanout.freeze(bulk) == 0
    composing.undo(campaign, user)  # days later, too
    campaign.refresh_from_db()
    assert campaign.is_draft


@pytest.mark.parametrize(
    ("timing", "says", "field"),
    [
        (
            {"kind": "at", "date": "2026-01-01", "time": "09:00", "zone": "Asia/Kolkata"},
            "passed in Asia/Kolkata", "start_date",
        ),
        ({"kind": "local", "date": "2026-01-01", "time": "09:00"}, "everywhere", "start_date"),
        (
            {"kind": "repeat", "date": "2026-01-01", "time": "09:00", "every": "day", "count": 3},
            "no more times", "until",
        ),
        (
            {"kind": "at", "date": "2096-01-01", "time": "09:00", "zone": "UTC"},
            "days ahead", "start_date",
        ),
    ],
)  # fmt: skip
def test_a_time_that_cannot_be_is_refused_by_its_field(
    ready: Application, timing: dict[str, Any], says: str, field: str
) -> None:
    campaign = make_campaign(ready, timing=timing)
    with pytest.raises(IncompleteContentError, match=says) as refused:
        composing.launch(campaign, make_user(Role.MARKETER, ready))
    assert refused.value.field == field
    assert not Bulk.objects.exists()


# ------------------------------------------------------------------- quiet hours


def night_around(moment: datetime, before: int, after: int) -> dict[str, time]:
    """Quiet hours of an application that begin and end so many minutes around a clock."""
    start, end = moment - timedelta(minutes=before), moment + timedelta(minutes=after)
    return {
        "quiet_from": start.time().replace(second=0, microsecond=0),
        "quiet_to": end.time().replace(second=0, microsecond=0),
    }


def test_what_is_due_at_night_waits_for_the_morning(world: Application) -> None:
    Application.objects.filter(pk=world.pk).update(quiet_from=time(22), quiet_to=time(8))
    bulk = make_bulk(world, starts_at=utc("2026-11-17T03:00"))

    assert fanout.freeze(bulk) == 6

    assert turns_of(bulk) == {
        -600: utc("2026-11-17T03:00"),  # 17:00 in Hawaii
        0: utc("2026-11-17T08:00"),
        330: utc("2026-11-17T03:00"),  # 08:30 in India
        345: utc("2026-11-17T03:00"),
        840: utc("2026-11-17T03:00"),
        None: utc("2026-11-17T07:00"),  # Berlin
    }
    waiting = {each.reason: each.count for each in statistics.reasons(bulk)}
    assert waiting == {Reason.WAITING_FOR_DAY: 2}


def test_who_would_get_it_too_late_is_left_out_for_the_quiet_hours(world: Application) -> None:
    Application.objects.filter(pk=world.pk).update(quiet_from=time(22), quiet_to=time(8))
    bulk = make_bulk(world, starts_at=utc("2026-11-17T03:00"), ttl=4 * 3600)

    assert fanout.freeze(bulk) == 4

    assert left_out(bulk) == {Reason.QUIET_HOURS: 2}


def test_transactional_messages_know_no_night(world: Application) -> None:
    Application.objects.filter(pk=world.pk).update(quiet_from=time(22), quiet_to=time(8))
    bulk = make_bulk(
        world, starts_at=utc("2026-11-17T03:00"), ttl=60, delivery={"transactional": True}
    )
    assert fanout.freeze(bulk) == 6
    assert bulk.chunks.filter(reason=Reason.NONE).count() == bulk.chunks.count()


def test_a_campaign_that_goes_on_into_the_night_stops_for_those_who_sleep(
    cloud_for: CloudFor,
) -> None:
    now = timezone.now().astimezone(UTC)
    application = make_application()
    cloud = cloud_for(make_credential(application))
    sleeper = make_registration(application, timezone_offset=0)
    awake = make_registration(application, timezone_offset=720)
    bulk = make_bulk(
        application, delivery=local(f"{now:%Y-%m-%d}", f"{now:%H:%M}", "now"),
        starts_at=now - timedelta(minutes=1),
    )  # fmt: skip
    fanout.freeze(bulk)
    night = night_around(now, 30, 30)
    quiet = {"from": f"{night['quiet_from']:%H:%M}", "to": f"{night['quiet_to']:%H:%M}"}
    bulk.refresh_from_db()
    Bulk.objects.filter(pk=bulk.pk).update(delivery=bulk.delivery | {"quiet": quiet})
    Chunk.objects.filter(bulk=bulk).update(not_before=now - timedelta(seconds=30))

    dispatch.work(seconds=60)

    assert [each.registration_id for each in Message.objects.filter(bulk=bulk)] == [awake.pk]
    assert len(cloud.taken) == 1
    waits = bulk.chunks.get(recipients=[sleeper.pk])
    assert waits.reason == Reason.WAITING_FOR_DAY
    assert waits.not_before == (now + timedelta(minutes=30)).replace(second=0, microsecond=0)
    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.SENDING


def test_who_slept_until_the_end_is_told_apart_from_who_was_not_reached(
    cloud_for: CloudFor,
) -> None:
    now = timezone.now().astimezone(UTC)
    application = make_application(**night_around(now, 120, 120))
    cloud_for(make_credential(application))
    make_registration(application, timezone_offset=0)
    bulk = make_bulk(application, starts_at=now - timedelta(hours=3), ttl=3 * 3600 - 60)
    fanout.freeze(bulk)  # it was day

    dispatch.work(seconds=60)

    message = Message.objects.get(bulk=bulk)
    assert (message.state, message.reason) == (Message.State.EXPIRED, Reason.QUIET_HOURS)
