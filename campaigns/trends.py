"""How many devices of each segment a push reaches, day by day."""

import time
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta

from django.db import IntegrityError, OperationalError
from django.db.models import Exists, OuterRef
from django.utils import timezone

from campaigns import audience, counting
from campaigns.audience import AudienceSize
from campaigns.errors import RuleError
from campaigns.models import Segment, SegmentDay

KEPT = 90  # days, today among them
PATIENCE = 10_000  # milliseconds for an exact count; an estimate does where that is too short


@dataclass(frozen=True, slots=True)
class Trend:
    """The days of a segment, oldest first; None where it was not counted."""

    days: list[date]
    devices: list[int | None]
    estimated: float  # by how much the least exact of them may be off; 0.0: all are exact
    changed: list[date]  # when its rule became another one


def count_today(*, seconds: float) -> int:
    """Count the segments that were not counted today, or changed since; how many.

    From the timetable, as often as it likes. Days past their keeping go.
    """
    today = timezone.now().date()
    SegmentDay.objects.filter(day__lte=today - timedelta(days=KEPT)).delete()
    ends = time.monotonic() + seconds
    counted = SegmentDay.objects.filter(
        segment=OuterRef("pk"), day=today, version=OuterRef("version")
    )
    due = Segment.objects.filter(~Exists(counted)).select_related("application").order_by("pk")
    number = 0
    for segment in due:
        if time.monotonic() > ends:
            break
        number += _count(segment, today)
    return number


def _count(segment: Segment, today: date) -> bool:
    try:
        size = _size(segment)
    except RuleError:  # what it names was deleted: its page says so
        return False
    if size.at_most is not None:  # nothing is known yet; the next turn asks again
        return False
    row = SegmentDay(
        segment=segment,
        day=today,
        version=segment.version,
        devices=size.total,
        error=size.error,
    )
    with suppress(IntegrityError):  # the segment was deleted meanwhile
        SegmentDay.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["segment", "day"],
            update_fields=["version", "devices", "error"],
        )
    return True


def _size(segment: Segment) -> AudienceSize:
    with suppress(OperationalError), counting.patience(PATIENCE):
        return audience.size(segment.application, segment.rule)
    return counting.live(segment.application, segment.rule)


def of(segment: Segment) -> Trend:
    """The last days of a segment, from the first that was counted."""
    today = timezone.now().date()
    rows = {
        row.day: row
        for row in SegmentDay.objects.filter(
            segment=segment, day__gt=today - timedelta(days=KEPT), day__lte=today
        )
    }
    first = min(rows, default=today)
    days = [first + timedelta(days=number) for number in range((today - first).days + 1)]
    changes = segment.versions.filter(number__gt=1, made_at__date__gte=first)
    return Trend(
        days=days if rows else [],
        devices=[rows[day].devices if day in rows else None for day in days] if rows else [],
        estimated=max((row.error / max(1, row.devices) for row in rows.values()), default=0.0),
        changed=sorted({version.made_at.date() for version in changes}),
    )


def lines(segments: Collection[int], *, days: int) -> dict[int, list[int]]:
    """Sizes of segments, by their keys, on those of the last days that were counted."""
    since = timezone.now().date() - timedelta(days=days)
    rows = SegmentDay.objects.filter(segment__in=segments, day__gt=since).order_by("day")
    found: dict[int, list[int]] = defaultdict(list)
    for segment, devices in rows.values_list("segment", "devices"):
        found[segment].append(devices)
    return found
