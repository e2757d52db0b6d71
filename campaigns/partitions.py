"""Days of the ledger: partitions made ahead, and dropped when they are too old."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from campaigns import ids

DAYS_AHEAD = 14
DAY = 86_400_000  # milliseconds
NAME = "campaigns_message_%Y%m%d"
DEFAULT = "campaigns_message_default"
LOCK = 0x70757368_6164  # any number, the same everywhere


def name_of(day: datetime) -> str:
    return day.strftime(NAME)


def first_of_day(identifier: UUID) -> UUID:
    """The lowest id of the partition that an id belongs to."""
    milliseconds = identifier.int >> ids.TIME_SHIFT
    return UUID(int=milliseconds // DAY * DAY << ids.TIME_SHIFT)


def existing() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'campaigns_message'::regclass"
        )
        return {row[0] for row in cursor.fetchall()}


def make_ahead(*, days: int = DAYS_AHEAD) -> list[str]:
    """Make the partitions of today and the days to come; the names of those that are new.

    Rows that already fell into the default partition (the task was away for two weeks)
    would refuse a partition over their days, so they are moved into it.
    """
    today = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    made = []
    present = existing()
    for number in range(-1, days + 1):
        day = today + timedelta(days=number)
        if name_of(day) in present:
            continue
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            if name_of(day) in existing():
                continue
            low, high = ids.lowest_id(day), ids.lowest_id(day + timedelta(days=1))
            name = name_of(day)
            cursor.execute(
                f"CREATE TABLE {name} (LIKE campaigns_message INCLUDING DEFAULTS"
                " INCLUDING CONSTRAINTS) WITH (fillfactor = 80)"
            )
            cursor.execute(
                "WITH moved AS (DELETE FROM campaigns_message_default"  # noqa: S608
                f" WHERE id >= %s AND id < %s RETURNING *) INSERT INTO {name} SELECT * FROM moved",
                [low, high],
            )
            cursor.execute(
                f"ALTER TABLE campaigns_message ATTACH PARTITION {name}"
                f" FOR VALUES FROM ('{low}') TO ('{high}')"
            )
        made.append(name)
    return made


def kept_since() -> datetime:
    """Bulks that start at this time or later have all their rows, for a day to come at least.

    Not the setting alone: days that it called too old once stay gone when it grows.
    """
    oldest = timezone.now() - timedelta(days=settings.MESSAGE_RETENTION_DAYS - 1)
    days = sorted(existing() - {DEFAULT})
    if not days:
        return oldest
    first = datetime.strptime(days[0], NAME).replace(tzinfo=UTC)
    return max(oldest, first)


def drop_old() -> list[str]:
    """Drop the days that are past MESSAGE_RETENTION_DAYS; the names of those that went."""
    oldest = timezone.now() - timedelta(days=settings.MESSAGE_RETENTION_DAYS)
    gone = sorted(name for name in existing() if name != DEFAULT and name < name_of(oldest))
    with connection.cursor() as cursor:
        for name in gone:
            cursor.execute(f"DROP TABLE {name}")
    return gone
