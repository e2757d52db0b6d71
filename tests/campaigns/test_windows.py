"""campaigns.windows: when messages of a bulk may leave. 2026-11-21 is a Saturday."""

from datetime import UTC, datetime
from typing import Any

import pytest

from campaigns.windows import length, next_open

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
