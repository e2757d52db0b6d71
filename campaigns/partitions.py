"""Days of the ledger and of events: partitions made ahead, and dropped when they are too old."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from campaigns import ids

log = logging.getLogger(__name__)

DAYS_AHEAD = 14
IMPATIENCE = "SET LOCAL lock_timeout = '2s'"
DAY = 86_400_000  # milliseconds
LOCK = 0x70757368_6164  # any number, the same everywhere


@dataclass(frozen=True, slots=True)
class Days:
    """A table that is parted by day, with a default partition for all other days."""

    table: str
    key: str  # the column it is parted by
    bound: Callable[[datetime], UUID | datetime]  # the lowest key of a day
    behind: int  # days before today that may still be written to
    storage: str = ""

    @property
    def pattern(self) -> str:
        return f"{self.table}_%Y%m%d"

    @property
    def default(self) -> str:
        return f"{self.table}_default"

    def existing(self) -> set[str]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
                " WHERE i.inhparent = %s::regclass",
                [self.table],
            )
            return {row[0] for row in cursor.fetchall()}

    def make_ahead(self, *, days: int = DAYS_AHEAD) -> list[str]:
        """Make the partitions of today and the days around it; the names of those that are new.

        Rows that already fell into the default partition (the task was away for two weeks)
        would refuse a partition over their days, so they are moved into it.
        """
        today = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        made = []
        present = self.existing()
        for number in range(-self.behind, days + 1):
            day = today + timedelta(days=number)
            name = day.strftime(self.pattern)
            if name not in present and _unless_in_use(partial(self._make, day)):
                made.append(name)
        return made

    def _make(self, day: datetime) -> bool:
        name = day.strftime(self.pattern)
        low, high = self.bound(day), self.bound(day + timedelta(days=1))
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(IMPATIENCE)
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            if name in self.existing():
                return False
            cursor.execute(
                f"CREATE TABLE {name} (LIKE {self.table} INCLUDING DEFAULTS"
                f" INCLUDING CONSTRAINTS){self.storage}"
            )
            cursor.execute(
                f"WITH moved AS (DELETE FROM {self.default}"  # noqa: S608
                f" WHERE {self.key} >= %s AND {self.key} < %s RETURNING *)"
                f" INSERT INTO {name} SELECT * FROM moved",
                [low, high],
            )
            cursor.execute(
                f"ALTER TABLE {self.table} ATTACH PARTITION {name}"
                f" FOR VALUES FROM ('{low}') TO ('{high}')"
            )
        return True

    def drop_older(self, than: timedelta) -> list[str]:
        """Drop the days that are past their keeping; the names of those that went."""
        oldest = (timezone.now() - than).strftime(self.pattern)
        old = sorted(name for name in self.existing() if name != self.default and name < oldest)
        return [name for name in old if _unless_in_use(partial(self._drop, name))]

    def _drop(self, name: str) -> bool:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(IMPATIENCE)
            cursor.execute(f"DROP TABLE {name}")
        return True


def _unless_in_use(do: Callable[[], bool]) -> bool:
    """Leave it for the next hour: behind a lock that waits, everything that sends would wait."""
    try:
        return do()
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        log.warning("a day cannot be changed while it is read, by a backup perhaps: later")
        return False


MESSAGES = Days("campaigns_message", "id", ids.lowest_id, 1, " WITH (fillfactor = 80)")
EVENTS = Days("devices_event", "at", lambda day: day, 31)


def name_of(day: datetime) -> str:
    return day.strftime(MESSAGES.pattern)


def first_of_day(identifier: UUID) -> UUID:
    """The lowest id of the partition that an id belongs to."""
    milliseconds = identifier.int >> ids.TIME_SHIFT
    return UUID(int=milliseconds // DAY * DAY << ids.TIME_SHIFT)


def existing() -> set[str]:
    return MESSAGES.existing()


def make_ahead(*, days: int = DAYS_AHEAD) -> list[str]:
    """Days of the ledger."""
    return MESSAGES.make_ahead(days=days)


def kept_since() -> datetime:
    """Bulks that start at this time or later have all their rows, for a day to come at least.

    Not the setting alone: days that it called too old once stay gone when it grows.
    """
    oldest = timezone.now() - timedelta(days=settings.MESSAGE_RETENTION_DAYS - 1)
    days = sorted(existing() - {MESSAGES.default})
    if not days:
        return oldest
    first = datetime.strptime(days[0], MESSAGES.pattern).replace(tzinfo=UTC)
    return max(oldest, first)


def drop_old() -> list[str]:
    """Drop the days that are past MESSAGE_RETENTION_DAYS; the names of those that went."""
    return MESSAGES.drop_older(timedelta(days=settings.MESSAGE_RETENTION_DAYS))


def keep_days_of_events() -> None:
    """Make the days of events, and drop those past EVENT_RETENTION_DAYS."""
    EVENTS.make_ahead()
    EVENTS.drop_older(timedelta(days=settings.EVENT_RETENTION_DAYS))
