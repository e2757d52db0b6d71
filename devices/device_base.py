"""Count the devices of each application day by day: docs/decisions/0013-device-base.md."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, Self

from django.db import connection
from django.utils import timezone

from devices.models import Application, BaseDay, Platform, Registration

ACTIVE = timedelta(days=30)  # since it was seen
KEPT = 90  # days that pages show, today among them
COUNTED_LIVE = 20_000  # devices of an application that a page counts by itself, within 20 ms

_DELETED = """
action = 'delete device' AND at >= %(since)s AND application_id IS NOT NULL
AND jsonb_exists(before, 'platform')
"""
# What came and went since %(since)s, by application, platform and day. Deleted devices are told by
# the audit trail; one that a cloud had closed before was lost then.
_FLOWS = f"""
SELECT application_id, platform, day, sum(new) AS new, sum(lost) AS lost FROM (
    SELECT application_id, platform, (created_at AT TIME ZONE 'UTC')::date AS day,
           1 AS new, 0 AS lost
    FROM devices_registration WHERE created_at >= %(since)s
    UNION ALL
    SELECT r.application_id, r.platform, (a.closed_at AT TIME ZONE 'UTC')::date, 0, 1
    FROM devices_address a JOIN devices_registration r ON r.id = a.registration_id
    WHERE a.closed_at >= %(since)s
    UNION ALL
    SELECT application_id, (before ->> 'platform')::smallint, (at AT TIME ZONE 'UTC')::date,
           0, (before ->> 'open')::boolean::int
    FROM devices_auditentry WHERE {_DELETED}
    UNION ALL
    SELECT application_id, (before ->> 'platform')::smallint, (before ->> 'registered')::date, 1, 0
    FROM devices_auditentry
    WHERE {_DELETED} AND before ->> 'registered' >= to_char(%(first)s::date, 'YYYY-MM-DD')
) moved WHERE %(application)s::bigint IS NULL OR application_id = %(application)s
GROUP BY 1, 2, 3
"""  # noqa: S608
_STOCK = """
SELECT application_id, platform, count(*) AS devices,
       count(*) FILTER (WHERE enabled) AS switched_on,
       count(*) FILTER (WHERE enabled AND notifications_enabled) AS reachable,
       count(*) FILTER (WHERE enabled AND last_seen_day > %(unseen)s) AS active
FROM devices_registration
WHERE %(application)s::bigint IS NULL OR application_id = %(application)s
GROUP BY 1, 2
"""
_TODAY = f"""
SELECT a.id, p.platform, coalesce(s.devices, 0), coalesce(s.switched_on, 0),
       coalesce(s.reachable, 0), coalesce(s.active, 0), coalesce(f.new, 0), coalesce(f.lost, 0)
FROM devices_application a CROSS JOIN unnest(%(platforms)s::smallint[]) AS p (platform)
LEFT JOIN ({_STOCK}) s ON s.application_id = a.id AND s.platform = p.platform
LEFT JOIN ({_FLOWS}) f
       ON f.application_id = a.id AND f.platform = p.platform AND f.day = %(today)s
WHERE %(application)s::bigint IS NULL OR a.id = %(application)s
ORDER BY a.id, p.platform
"""  # noqa: S608
_INSERT = """
INSERT INTO devices_baseday (application_id, platform, devices, switched_on, reachable, active,
                             new, lost, day, measured, counted_at)
"""
_COUNT_TODAY = f"""
{_INSERT} SELECT t.*, %(today)s, true, %(now)s FROM ({_TODAY}) t
ON CONFLICT (application_id, day, platform) DO UPDATE
SET devices = excluded.devices, switched_on = excluded.switched_on,
    reachable = excluded.reachable, active = excluded.active, new = excluded.new,
    lost = excluded.lost, measured = true, counted_at = excluded.counted_at
"""  # noqa: S608
# What moved between the last count of yesterday and midnight.
_FINISH_YESTERDAY = f"""
UPDATE devices_baseday b SET new = f.new, lost = f.lost
FROM ({_FLOWS}) f
WHERE b.application_id = f.application_id AND b.platform = f.platform AND b.day = f.day
  AND b.day < %(today)s AND (b.new, b.lost) <> (f.new, f.lost)
"""  # noqa: S608
# A device counts from its first day on; it was on until a cloud closed it, and active until a
# month after it was last seen. Steps up and down, added up, are the totals of each day.
_WORK_OUT = f"""
WITH device AS (
    SELECT r.platform, (r.created_at AT TIME ZONE 'UTC')::date AS born,
           (a.closed_at AT TIME ZONE 'UTC')::date AS closed,
           r.enabled OR a.closed_at IS NOT NULL AS used, r.notifications_enabled AS allowed,
           r.last_seen_day + %(active)s AS forgotten
    FROM devices_registration r LEFT JOIN devices_address a ON a.registration_id = r.id
    WHERE r.application_id = %(application)s AND r.created_at < %(midnight)s
),
step AS (
    SELECT platform, greatest(day, %(first)s - 1) AS day, sum(devices) AS devices,
           sum(switched_on) AS switched_on, sum(reachable) AS reachable, sum(active) AS active
    FROM (
        SELECT platform, born AS day, 1 AS devices, used::int AS switched_on,
               (used AND allowed)::int AS reachable, used::int AS active FROM device
        UNION ALL
        SELECT platform, greatest(born, closed), 0, -1, -allowed::int, 0 FROM device
        WHERE closed IS NOT NULL
        UNION ALL
        SELECT platform, greatest(born, least(closed, forgotten)), 0, 0, 0, -1 FROM device
        WHERE used
    ) moved GROUP BY 1, 2
),
total AS (
    SELECT d.day::date AS day, p.platform, sum(coalesce(s.devices, 0)) OVER before AS devices,
           sum(coalesce(s.switched_on, 0)) OVER before AS switched_on,
           sum(coalesce(s.reachable, 0)) OVER before AS reachable,
           sum(coalesce(s.active, 0)) OVER before AS active
    FROM generate_series(%(first)s - 1, %(today)s - 1, interval '1 day') AS d (day)
    CROSS JOIN unnest(%(platforms)s::smallint[]) AS p (platform)
    LEFT JOIN step s ON s.day = d.day::date AND s.platform = p.platform
    WINDOW before AS (PARTITION BY p.platform ORDER BY d.day)
)
{_INSERT}
SELECT %(application)s, t.platform, t.devices, t.switched_on, t.reachable, t.active,
       coalesce(f.new, 0), coalesce(f.lost, 0), t.day, false, %(now)s
FROM total t LEFT JOIN ({_FLOWS}) f ON f.platform = t.platform AND f.day = t.day
WHERE t.day >= %(first)s
ORDER BY t.day, t.platform
ON CONFLICT (application_id, day, platform) DO NOTHING
"""  # noqa: S608


def roll_up() -> None:
    """Count today's devices of all applications; from the timetable, as often as it likes.

    Days nobody counted, because an application is new here or the installation stood still,
    are worked out from what is left of them.
    """
    now = timezone.now()
    values = _values(now, since=now.date() - timedelta(days=1))
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_TODAY, values)
        cursor.execute(_FINISH_YESTERDAY, values)
    counted = BaseDay.objects.filter(day=now.date() - timedelta(days=1)).values("application")
    for application in Application.objects.exclude(pk__in=counted):
        work_out(application)


def work_out(application: Application) -> None:
    """Fill the days before today that were not counted."""
    now = timezone.now()
    first = now.date() - timedelta(days=KEPT - 1)
    values = _values(now, since=first, application=application)
    with connection.cursor() as cursor:
        cursor.execute(_WORK_OUT, values)


def _values(
    now: datetime, *, since: date, application: Application | None = None
) -> dict[str, Any]:
    today = now.date()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "application": application.pk if application else None,
        "platforms": [platform.value for platform in Platform],
        "now": now,
        "today": today,
        "midnight": midnight,
        "first": since,
        "since": midnight - (today - since),
        "unseen": today - ACTIVE,
        "active": ACTIVE.days,
    }


@dataclass(frozen=True, slots=True)
class Base:
    """Devices of one or several platforms at a day's end; what came and went until then."""

    devices: int = 0
    switched_on: int = 0
    reachable: int = 0
    active: int = 0
    new: int = 0
    lost: int = 0

    @property
    def opt_in(self) -> float | None:
        """Share of the devices that are switched on whose user allows notifications."""
        return self.reachable / self.switched_on if self.switched_on else None

    @classmethod
    def sum(cls, several: Iterable[Self]) -> Self:
        rows = list(several)
        return cls(*(sum(getattr(row, name) for row in rows) for name in _NAMES))


_NAMES = [field.name for field in fields(Base)]


@dataclass(frozen=True, slots=True)
class History:
    """The last days of an application."""

    days: list[date]  # oldest first, the last is today
    platforms: dict[Platform, list[Base]]  # of each day; those that ever had a device
    counted_at: datetime | None  # None: the timetable has not come to it
    worked_out_until: date | None  # the last day nobody counted at its time


def history(application: Application, days: int) -> History:
    """At most KEPT days; a small application is counted now, a large one by the timetable."""
    now = timezone.now()
    shown = [now.date() - timedelta(days=ago) for ago in range(days - 1, -1, -1)]
    rows = list(BaseDay.objects.filter(application=application, day__gte=shown[0]).order_by("day"))
    found = {
        (row.platform, row.day): Base(*(getattr(row, name) for name in _NAMES)) for row in rows
    }
    counted_at = max((row.counted_at for row in rows if row.measured), default=None)
    if not _is_large(application):
        counted_at = now
        for platform, base in _live(application, now).items():
            found[platform, shown[-1]] = base
    series = {platform: _every_day(found, platform, shown) for platform in Platform}
    return History(
        days=shown,
        platforms={
            platform: each
            for platform, each in series.items()
            if any(base.devices for base in each)
        },
        counted_at=counted_at,
        worked_out_until=max((row.day for row in rows if not row.measured), default=None),
    )


def _is_large(application: Application) -> bool:
    devices = Registration.objects.filter(application=application)
    return devices[COUNTED_LIVE : COUNTED_LIVE + 1].exists()


def _live(application: Application, now: datetime) -> dict[int, Base]:
    with connection.cursor() as cursor:
        cursor.execute(_TODAY, _values(now, since=now.date(), application=application))
        return {row[1]: Base(*map(int, row[2:])) for row in cursor.fetchall()}


def _every_day(
    found: dict[tuple[int, date], Base], platform: Platform, days: list[date]
) -> list[Base]:
    """A day that is missing had the devices of the day before, and nothing came or went."""
    series: list[Base] = []
    last = Base()
    for day in days:
        known = found.get((platform, day))
        last = known or Base(last.devices, last.switched_on, last.reachable, last.active)
        series.append(last)
    return series
