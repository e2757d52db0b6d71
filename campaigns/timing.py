"""When a campaign goes out: at once, at a time in a zone or in recipients' own, or repeatedly.

A campaign keeps it as JSON: {} for at once, else {"kind", "date", "time", …} with "zone" (at,
repeat), "passed" (local), and "every", "until", "count" (repeat).
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import count as count_up
from typing import Any

from campaigns.wall_clocks import FURTHEST, WESTERNMOST, moment, offset_zone
from devices.zones import zone_of

DAY = timedelta(days=1)
FURTHEST_DAYS = 730  # that something is planned ahead


class Kind(StrEnum):
    """What a marketer chooses from."""

    NOW = "now"
    AT = "at"
    LOCAL = "local"
    REPEAT = "repeat"


class Passed(StrEnum):
    """What becomes of recipients where the chosen time has passed at the launch."""

    NOW = "now"
    NEXT_DAY = "next_day"
    SKIP = "skip"


class Every(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """A chosen time. `day` and `clock` are as the clock shows them there; None for at once."""

    kind: Kind = Kind.NOW
    day: date | None = None
    clock: time | None = None
    zone: str = "UTC"
    passed: Passed = Passed.NEXT_DAY
    every: Every = Every.DAY
    until: date | None = None  # the last day of a recurring campaign
    count: int | None = None  # how often it goes out at most

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Timing":
        """From what a campaign or a bulk keeps."""
        if not told:
            return cls()
        until = told.get("until")
        return cls(
            kind=Kind(told["kind"]),
            day=date.fromisoformat(told["date"]),
            clock=time.fromisoformat(told["time"]),
            zone=told.get("zone", "UTC"),
            passed=Passed(told.get("passed", Passed.NEXT_DAY)),
            every=Every(told.get("every", Every.DAY)),
            until=date.fromisoformat(until) if until else None,
            count=told.get("count"),
        )

    def as_json(self) -> dict[str, Any]:
        if self.kind is Kind.NOW or self.day is None or self.clock is None:
            return {}
        told: dict[str, Any] = {
            "kind": self.kind.value,
            "date": self.day.isoformat(),
            "time": f"{self.clock:%H:%M}",
        }
        if self.kind is Kind.LOCAL:
            return told | {"passed": self.passed.value}
        told["zone"] = self.zone
        if self.kind is Kind.REPEAT:
            until = self.until.isoformat() if self.until else None
            told |= {"every": self.every.value, "until": until, "count": self.count}
        return told

    def begins(self, earliest: datetime) -> datetime | None:
        """When the first recipients have their turn, not before `earliest`; None if it is over."""
        if self.kind is Kind.NOW or self.day is None or self.clock is None:
            return earliest
        if self.kind is Kind.LOCAL:
            wall = self.day, self.clock
            if moment(*wall, offset_zone(-WESTERNMOST)) <= earliest:
                return None
            return max(earliest, moment(*wall, offset_zone(FURTHEST)))
        if self.kind is Kind.REPEAT:
            return next(self.runs(earliest), None)
        at = moment(self.day, self.clock, zone_of(self.zone))
        return at if at >= earliest else None

    def runs(self, earliest: datetime) -> Iterator[datetime]:
        """The times of a recurring campaign from `earliest` on.

        Each is counted from the first day, so that they do not drift: on the 31st means on
        the last day of shorter months.
        """
        if self.kind is not Kind.REPEAT or self.day is None or self.clock is None:
            return
        zone = zone_of(self.zone)
        numbers = range(self.count) if self.count is not None else count_up()
        for number in numbers:
            day = self._day(number)
            late = day > (self.until or date.max - DAY)
            if late or day - max(self.day, earliest.date()) > timedelta(days=FURTHEST_DAYS):
                return
            at = moment(day, self.clock, zone)
            if at >= earliest:
                yield at

    def _day(self, number: int) -> date:
        assert self.day is not None
        if self.every is Every.DAY:
            return self.day + number * DAY
        if self.every is Every.WEEK:
            return self.day + number * 7 * DAY
        years, month = divmod(self.day.month - 1 + number, 12)
        year = self.day.year + years
        return date(year, month + 1, min(self.day.day, monthrange(year, month + 1)[1]))
