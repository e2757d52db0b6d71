"""Clocks of the world: no server, no database."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from campaigns.timing import Every, Kind, Passed, Timing
from campaigns.wall_clocks import Quiet, moment, offset_zone
from devices.zones import zone_names

BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def at(kind: Kind, day: str, clock: str, **given: object) -> Timing:
    told = {"kind": kind, "day": date.fromisoformat(day), "clock": time.fromisoformat(clock)}
    return Timing(**(told | given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("day", "clock", "zone", "expected"),
    [
        ("2026-11-24", "09:00", "Europe/Berlin", "2026-11-24T08:00"),
        ("2026-07-24", "09:00", "Europe/Berlin", "2026-07-24T07:00"),
        ("2026-11-24", "09:00", "Asia/Kolkata", "2026-11-24T03:30"),
        ("2026-11-24", "09:00", "Asia/Kathmandu", "2026-11-24T03:15"),
        ("2026-03-29", "02:30", "Europe/Berlin", "2026-03-29T01:30"),  # skipped: it shows 03:30
        ("2026-10-25", "02:30", "Europe/Berlin", "2026-10-25T00:30"),  # twice: the first
        ("2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-03T15:45"),  # skips half an hour
    ],
)
def test_a_clock_in_a_zone_is_one_moment(day: str, clock: str, zone: str, expected: str) -> None:
    found = moment(date.fromisoformat(day), time.fromisoformat(clock), ZoneInfo(zone))
    assert found == utc(expected)


def test_what_is_kept_of_a_time_is_read_back() -> None:
    for timing in (
        Timing(),
        at(Kind.AT, "2026-11-24", "09:00", zone="Europe/Berlin"),
        at(Kind.LOCAL, "2026-11-24", "09:00", passed=Passed.SKIP),
        at(Kind.REPEAT, "2026-11-24", "09:00", zone="Europe/Berlin", every=Every.WEEK, count=3),
        at(Kind.REPEAT, "2026-11-24", "09:00", every=Every.MONTH, until=date(2027, 1, 1)),
    ):
        assert Timing.of(timing.as_json()) == timing


def test_a_time_in_a_zone_begins_then_or_not_at_all() -> None:
    timing = at(Kind.AT, "2026-11-24", "09:00", zone="Europe/Berlin")
    assert timing.begins(utc("2026-11-24T07:59")) == utc("2026-11-24T08:00")
    assert timing.begins(utc("2026-11-24T08:01")) is None


def test_recipients_time_begins_where_the_day_begins_first() -> None:
    timing = at(Kind.LOCAL, "2026-11-24", "09:00")
    assert timing.begins(utc("2026-11-20T00:00")) == utc("2026-11-23T19:00")  # Kiribati
    assert timing.begins(utc("2026-11-24T12:00")) == utc("2026-11-24T12:00")
    assert timing.begins(utc("2026-11-24T21:01")) is None  # nowhere is it earlier


# ------------------------------------------------------------------- again and again


def runs(timing: Timing, earliest: str, number: int) -> list[str]:
    return [f"{each:%Y-%m-%dT%H:%M}" for each in islice(timing.runs(utc(earliest)), number)]


def test_a_daily_run_keeps_its_hour_when_the_clocks_change() -> None:
    timing = at(Kind.REPEAT, "2026-03-28", "09:00", zone="Europe/Berlin")
    assert runs(timing, "2026-03-28T00:00", 3) == [
        "2026-03-28T08:00", "2026-03-29T07:00", "2026-03-30T07:00",
    ]  # fmt: skip


def test_a_run_in_a_skipped_or_doubled_hour_happens_once() -> None:
    spring = at(Kind.REPEAT, "2026-03-28", "02:30", zone="Europe/Berlin")
    assert runs(spring, "2026-03-28T00:00", 3) == [
        "2026-03-28T01:30", "2026-03-29T01:30", "2026-03-30T00:30",
    ]  # fmt: skip
    autumn = at(Kind.REPEAT, "2026-10-24", "02:30", zone="Europe/Berlin")
    assert runs(autumn, "2026-10-24T00:00", 3) == [
        "2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30",
    ]  # fmt: skip


def test_the_31st_is_the_last_day_of_shorter_months_and_does_not_drift() -> None:
    timing = at(Kind.REPEAT, "2027-12-31", "12:00", every=Every.MONTH)
    assert runs(timing, "2027-12-01T00:00", 4) == [
        "2027-12-31T12:00", "2028-01-31T12:00", "2028-02-29T12:00", "2028-03-31T12:00",
    ]  # fmt: skip


def test_runs_end_with_the_last_day_or_their_number() -> None:
    until = at(Kind.REPEAT, "2026-11-24", "09:00", every=Every.WEEK, until=date(2026, 12, 8))
    assert len(runs(until, "2026-11-01T00:00", 9)) == 3
    counted = at(Kind.REPEAT, "2026-11-24", "09:00", count=5)
    assert len(runs(counted, "2026-11-01T00:00", 9)) == 5
    assert len(runs(counted, "2026-11-26T09:00", 9)) == 3  # earlier ones count too
    assert counted.begins(utc("2026-11-29T00:00")) is None


# ------------------------------------------------------------------- quiet hours

NIGHT = Quiet(time(22), time(8))


@pytest.mark.parametrize(
    ("clock", "minutes", "expected"),
    [
        ("2026-11-24T21:59", 0, "2026-11-24T21:59"),
        ("2026-11-24T22:00", 0, "2026-11-25T08:00"),
        ("2026-11-25T07:59", 0, "2026-11-25T08:00"),
        ("2026-11-25T08:00", 0, "2026-11-25T08:00"),
        ("2026-11-24T17:00", 330, "2026-11-25T02:30"),  # India: 22:30 there
        ("2026-11-24T16:00", 345, "2026-11-24T16:00"),  # Nepal: 21:45 there
        ("2026-11-24T12:00", -600, "2026-11-24T18:00"),  # Hawaii: 02:00 there
    ],
)
def test_quiet_hours_end_where_the_recipient_is(clock: str, minutes: int, expected: str) -> None:
    assert NIGHT.next_allowed(utc(clock), offset_zone(minutes)) == utc(expected)


def test_quiet_hours_by_day_end_the_same_day() -> None:
    siesta = Quiet(time(13), time(16))
    assert siesta.next_allowed(utc("2026-11-24T14:00"), UTC) == utc("2026-11-24T16:00")
    assert siesta.next_allowed(utc("2026-11-24T16:00"), UTC) == utc("2026-11-24T16:00")


@pytest.mark.parametrize(
    ("end", "clock", "expected"),
    [
        ("08:00", "2026-03-28T22:00", "2026-03-29T06:00"),  # a short night
        ("08:00", "2026-10-24T21:00", "2026-10-25T07:00"),  # a long one
        ("02:30", "2026-03-28T22:00", "2026-03-29T01:30"),  # its end is skipped
        ("02:30", "2026-10-25T00:00", "2026-10-25T00:30"),  # the first time it is shown
        ("02:30", "2026-10-25T01:10", "2026-10-25T01:30"),  # the second time
    ],
)
def test_quiet_hours_end_by_the_clock_when_it_is_changed(
    end: str, clock: str, expected: str
) -> None:
    night = Quiet(time(22), time.fromisoformat(end))
    assert night.next_allowed(utc(clock), BERLIN) == utc(expected)


def test_whatever_the_hours_their_end_is_found_within_a_day_and_is_not_quiet() -> None:
    for start in range(0, 24, 3):
        for end in range(1, 24, 3):
            quiet = Quiet(time(start), time(end))
            for hours in range(96):
                asked = utc("2026-10-23T00:20") + timedelta(hours=hours)
                ends = quiet.next_allowed(asked, BERLIN)
                assert asked <= ends <= asked + timedelta(hours=26)
                assert quiet.next_allowed(ends, BERLIN) == ends


def test_the_zones_offered_are_places() -> None:
    names = zone_names()
    assert {"UTC", "Europe/Berlin", "Asia/Kolkata"} <= set(names)
    assert not any(name.startswith(("Etc/", "posix")) for name in names)
