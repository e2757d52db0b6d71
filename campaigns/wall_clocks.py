"""Times as people say them, in a zone, and the moments they are.

A clock that is put forward skips an hour: a time in it is that much later. A clock that is put
back shows an hour twice: the first one is meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

FURTHEST = 14 * 60  # minutes from UTC that a zone lies
WESTERNMOST = 12 * 60  # minutes


def offset_zone(minutes: int) -> tzinfo:
    """The zone so many minutes east of UTC, all year round."""
    return timezone(timedelta(minutes=minutes))


def moment(day: date, at: time, zone: tzinfo) -> datetime:
    """When a clock in a zone shows this, in UTC."""
    return datetime.combine(day, at, zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours in which nobody is to be disturbed; past midnight if `end` is the earlier."""

    start: time
    end: time

    @classmethod
    def of(cls, told: Mapping[str, str] | None) -> "Quiet | None":
        """As a bulk keeps it: {"from", "to"}; None for none."""
        if not told:
            return None
        return cls(time.fromisoformat(told["from"]), time.fromisoformat(told["to"]))

    def as_json(self) -> dict[str, str]:
        return {"from": f"{self.start:%H:%M}", "to": f"{self.end:%H:%M}"}

    def next_allowed(self, at: datetime, zone: tzinfo) -> datetime:
        """The first moment from `at` on at which a clock in the zone shows no quiet time."""
        local = at.astimezone(zone)
        shown = local.timetz().replace(tzinfo=None, fold=0)
        if self.start <= self.end:
            quiet, day = self.start <= shown < self.end, local.date()
        else:
            quiet = shown >= self.start or shown < self.end
            day = local.date() + timedelta(days=shown >= self.start)
        if not quiet:
            return at
        ends = moment(day, self.end, zone)
        if ends <= at:  # the clock was put back, and shows the end a second time
            ends = datetime.combine(day, self.end, zone).replace(fold=1).astimezone(UTC)
        return max(at, ends)
