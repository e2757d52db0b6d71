"""campaigns.windows: when messages of a bulk may leave. 2026-11-21 is a Saturday."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from campaigns.windows import fitted, length, next_open

ALL_DAYS = list(range(7))
NIGHT: dict[str, Any] = {"days": [5], "from": 22 * 60, "to": 6 * 60}


@pytest.mark.parametrize(
    ("window", "at", "opens"),
    [
        ({}, "21 12:00", "21 12:00"),
        ({"days": [5]}, "21 12:00", "21 12:00"),
        ({"days": [6]}, "21 12:00", "22 00:00"),
        ({"days": [4]}, "21 00:00", "27 00:00"),
        ({"days": ALL_DAYS, "from": 540, "to": 600}, "21 08:59", "21 09:00"),
        ({"days": ALL_DAYS, "from": 540, "to": 600}, "21 09:30", "21 09:30"),
        ({"days": ALL_DAYS, "from": 540, "to": 600}, "21 10:00", "22 09:00"),
        (NIGHT, "21 12:00", "21 22:00"),
        (NIGHT, "22 05:59", "22 05:59"),  # it opened on Saturday
        (NIGHT, "22 06:00", "28 22:00"),
        (NIGHT, "21 05:00", "21 22:00"),  # Friday's is not wanted
    ],
)
def test_the_next_moment_that_is_open(window: dict[str, Any], at: str, opens: str) -> None:
    def read(text: str) -> datetime:
        return datetime.strptime(f"2026-11-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)

    assert next_open(window, read(at)) == read(opens)


def test_a_window_may_pass_midnight() -> None:
    assert (length(540, 600), length(1380, 60), length(0, 0)) == (60, 120, 0)


def test_times_keep_their_distances_over_a_closed_night() -> None:
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    window = {"days": ALL_DAYS, "from": 9 * 60, "to": 11 * 60}
    hourly = [midnight + timedelta(hours=number) for number in range(8, 13)]

    found = list(fitted(hourly, window, end=midnight + timedelta(days=2, hours=9)))

    hours = [(each - midnight).total_seconds() / 3600 for each in found]
    assert hours == [9, 10, 33, 34, 57], "the last one is where its time ends"
