"""Prove that counters say what rows say, and correct those that do not.

Counters change in the transaction that changes the rows they count, so one statement that
reads both sees them agree at any time, also while a campaign is being sent. For the same
reason a correction is added to a counter, never written over it: what others count in the
meantime stays counted.
"""

import logging
import time
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from campaigns import partitions
from campaigns.ids import id_range
from campaigns.models import Bulk, Reason, Reconciliation

log = logging.getLogger(__name__)

MOST_KEPT = 100  # differences written down of one run
BATCH_SECONDS = 1.0  # between two notes of how far a run got
NIGHT = range(2, 5)  # hours (UTC) in which a new one begins
AT_MOST_EVERY = timedelta(hours=20)
AT_LEAST_EVERY = timedelta(hours=30)
# A night looks at bulks whose messages still change: 72 hours to live, and some for receipts.
NIGHTLY_DAYS = 8
KEPT = timedelta(days=90)  # results of old runs
LOCK = 0x70757368_7265  # any number, the same everywhere

COLUMNS = (
    "sent", "accepted", "delivered", "seen", "clicked", "failed", "expired", "unknown", "repeated",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """Something of a bulk that is counted otherwise than its rows say."""

    bulk: int
    what: str
    counted: int
    found: int
    places: int  # counters that differ: minutes, platforms, variants
    repaired: bool = False

    def __str__(self) -> str:
        said = f"bulk {self.bulk}: {self.what}: counted {self.counted:,}, found {self.found:,}"
        return f"{said} (corrected)" if self.repaired else said


# As ledger.record and reports fold them: hand-overs in the minute of their outcome, receipts in
# the minute of the receipt. What is noted with a final state is in no counter.
_DRIFT = f"""
WITH found AS (
    SELECT date_trunc('minute', e.at) AS minute, m.platform, m.variant,
           {", ".join(f"sum(e.{name}) AS {name}" for name in COLUMNS)}
    FROM campaigns_message m, LATERAL (VALUES
        (m.sent_at, 1, (m.state BETWEEN 2 AND 5)::int, 0, 0, 0, (m.state = 8)::int,
         (m.state = 9)::int, (m.state = 1)::int, m.repeated::int),
        (CASE WHEN m.state BETWEEN 3 AND 5 THEN m.delivered_at END, 0, 0, 1, 0, 0, 0, 0, 0, 0),
        (CASE WHEN m.state BETWEEN 4 AND 5 THEN m.seen_at END, 0, 0, 0, 1, 0, 0, 0, 0, 0),
        (CASE WHEN m.state = 5 THEN m.clicked_at END, 0, 0, 0, 0, 1, 0, 0, 0, 0)
    ) e (at, {", ".join(COLUMNS)})
    WHERE m.id BETWEEN %(low)s AND %(high)s AND m.bulk_id = %(bulk)s AND e.at IS NOT NULL
    GROUP BY 1, 2, 3
),
counted AS (SELECT * FROM campaigns_counter WHERE bulk_id = %(bulk)s),
drift AS (
    SELECT minute, platform, variant,
           {", ".join(f"coalesce(f.{n}, 0)::bigint AS f_{n}" for n in COLUMNS)},
           {", ".join(f"coalesce(c.{n}, 0) AS c_{n}" for n in COLUMNS)}
    FROM found f FULL JOIN counted c USING (minute, platform, variant)
    WHERE ({", ".join(f"coalesce(f.{n}, 0)" for n in COLUMNS)})
          <> ({", ".join(f"coalesce(c.{n}, 0)" for n in COLUMNS)})
)
"""  # noqa: S608
_FIND = f"""
{_DRIFT}
SELECT {", ".join(f"c_{n}, f_{n}" for n in COLUMNS)} FROM drift
"""  # noqa: S608
_CORRECT = f"""
{_DRIFT}
INSERT INTO campaigns_counter (bulk_id, minute, platform, variant, {", ".join(COLUMNS)})
SELECT %(bulk)s, minute, platform, variant, {", ".join(f"f_{n} - c_{n}" for n in COLUMNS)}
FROM drift ORDER BY 2, 3, 4
ON CONFLICT (bulk_id, minute, platform, variant) DO UPDATE SET
    {", ".join(f"{n} = campaigns_counter.{n} + excluded.{n}" for n in COLUMNS)}
"""  # noqa: S608

_REASON_DRIFT = """
WITH found AS (
    SELECT platform, reason, count(*) AS messages FROM campaigns_message
    WHERE id BETWEEN %(low)s AND %(high)s AND bulk_id = %(bulk)s AND reason <> 0
    GROUP BY 1, 2
),
counted AS (SELECT * FROM campaigns_reasoncounter WHERE bulk_id = %(bulk)s),
drift AS (
    SELECT platform, reason, coalesce(c.messages, 0) AS counted,
           coalesce(f.messages, 0) AS found
    FROM found f FULL JOIN counted c USING (platform, reason)
    WHERE coalesce(f.messages, 0) <> coalesce(c.messages, 0)
)
"""
_FIND_REASONS = f"""
{_REASON_DRIFT}
SELECT reason, counted, found FROM drift ORDER BY reason
"""  # noqa: S608
_CORRECT_REASONS = f"""
{_REASON_DRIFT}
INSERT INTO campaigns_reasoncounter (bulk_id, platform, reason, messages)
SELECT %(bulk)s, platform, reason, found - counted FROM drift ORDER BY 2, 3
ON CONFLICT (bulk_id, platform, reason) DO UPDATE SET
    messages = campaigns_reasoncounter.messages + excluded.messages
"""  # noqa: S608

# Every device frozen into the audience has its row, or waits in one chunk, or was taken back.
_AUDIENCE = """
SELECT b.audience, b.left_out, coalesce(c.held, 0) + m.messages, coalesce(c.left_out, 0)
FROM campaigns_bulk b,
LATERAL (
    SELECT sum(size - cursor) FILTER (WHERE status IN (0, 3)) AS held,
           sum(size) FILTER (WHERE status = 2) AS left_out
    FROM campaigns_chunk WHERE bulk_id = b.id
) c,
LATERAL (
    SELECT count(*) AS messages FROM campaigns_message
    WHERE id BETWEEN %(low)s AND %(high)s AND bulk_id = b.id
) m
WHERE b.id = %(bulk)s
"""


def differences(bulk: Bulk) -> list[Difference]:
    """What of a bulk is counted otherwise than its rows and chunks say."""
    given = _parameters(bulk)
    with connection.cursor() as cursor:
        cursor.execute(_FIND, given)
        drift = cursor.fetchall()
        cursor.execute(_FIND_REASONS, given)
        reasons = cursor.fetchall()
        cursor.execute(_AUDIENCE, given)
        audience, left_out, devices, devices_left_out = cursor.fetchone() or (0, 0, 0, 0)
    found = []
    for number, name in enumerate(COLUMNS):
        pairs = [row[2 * number : 2 * number + 2] for row in drift]
        pairs = [(counted, is_) for counted, is_ in pairs if counted != is_]
        if pairs:
            counted, really = (sum(int(pair[n]) for pair in pairs) for n in (0, 1))
            found.append(Difference(bulk.pk, name, counted, really, len(pairs)))
    for reason, counted, really in reasons:
        what = f"reason {Reason(reason).label!r}"
        found.append(Difference(bulk.pk, what, counted, really, 1))
    if audience != devices:
        found.append(Difference(bulk.pk, "audience", int(audience), int(devices), 1))
    if left_out != devices_left_out:
        found.append(Difference(bulk.pk, "left out", int(left_out), int(devices_left_out), 1))
    return found


def correct(bulk: Bulk) -> None:
    """Add to the counters of a bulk what they lack; one of two at a time, or both would add it.

    Its audience is no counter: it was written down at the launch, and stays.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        # Reasons first, as everybody locks them.
        cursor.execute(_CORRECT_REASONS, _parameters(bulk))
        cursor.execute(_CORRECT, _parameters(bulk))


def _parameters(bulk: Bulk) -> dict[str, UUID | int]:
    low, high = id_range(bulk)
    return {"bulk": bulk.pk, "low": low, "high": high}


# ------------------------------------------------------------------- all of them


def begin(*, days: int | None = None) -> Reconciliation:
    """A run over the bulks of the last days; without a number, over all that have rows yet."""
    Reconciliation.objects.filter(started_at__lt=timezone.now() - KEPT).delete()
    since = partitions.kept_since()
    if days is not None:
        since = max(since, timezone.now() - timedelta(days=days))
    return Reconciliation.objects.create(since=since)


def go_on(run: Reconciliation, *, seconds: float, repair: bool = False) -> list[Difference]:
    """Compare bulk after bulk until all are done or the time is over; what differed.

    How far it got is written down with what it found, so anybody may go on after a kill.
    """
    until = time.monotonic() + seconds
    found: list[Difference] = []
    while True:
        with transaction.atomic():
            run = Reconciliation.objects.select_for_update().get(pk=run.pk)
            found += _batch(run, repair=repair)
            run.save()
        if run.finished_at is not None or time.monotonic() >= until:
            return found


def _batch(run: Reconciliation, *, repair: bool) -> list[Difference]:
    """A second's worth of bulks."""
    if run.finished_at is not None:
        return []
    until = time.monotonic() + BATCH_SECONDS
    found: list[Difference] = []
    for bulk in _left(run).iterator(chunk_size=100):
        differs = differences(bulk)
        if differs:
            log.error("bulk %s: %s counts differ from its rows", bulk.pk, len(differs))
            run.differing += 1
            if repair:
                correct(bulk)
                still = {each.what for each in differences(bulk)}
                differs = [replace(each, repaired=each.what not in still) for each in differs]
                run.repaired += not still
        run.after = bulk.pk
        run.bulks += 1
        found += differs
        # The locks of a correction end with it, so that nobody waits for two of them.
        if (differs and repair) or time.monotonic() >= until:
            break
    else:
        run.finished_at = timezone.now()
    room = MOST_KEPT - len(run.differences)
    run.differences += [asdict(each) for each in found[: max(room, 0)]]
    return found


def _left(run: Reconciliation) -> "QuerySet[Bulk]":
    """Bulks that a run has not compared yet, of those whose rows nobody has dropped."""
    since = max(run.since, partitions.kept_since())
    launched = Bulk.objects.filter(starts_at__gte=since, frozen_at__isnull=False)
    return launched.filter(pk__gt=run.after).order_by("pk")


def nightly(*, seconds: float) -> Reconciliation | None:
    """Go on with the run that is not finished, or begin tonight's; None when none is due."""
    run = unfinished_or_new(if_due=True)
    if run is not None:
        go_on(run, seconds=seconds, repair=True)
        run.refresh_from_db()
    return run


def unfinished_or_new(*, if_due: bool = False) -> Reconciliation | None:
    """The run that is not finished, or one that begins now; of two callers only one begins it.

    With `if_due` none begins, and None is returned, before the night.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        last = latest()
        if last is not None and last.finished_at is None:
            return last
        if if_due and not _due(last):
            return None
        return begin(days=NIGHTLY_DAYS)


def _due(last: Reconciliation | None) -> bool:
    """Whether it is time for the next run; for the first when there is something to compare."""
    if last is None:
        return Bulk.objects.filter(frozen_at__isnull=False).exists()
    now = timezone.now()
    since = now - last.started_at
    return since > AT_LEAST_EVERY or (since > AT_MOST_EVERY and now.hour in NIGHT)


def latest(*, finished: bool = False) -> Reconciliation | None:
    runs = Reconciliation.objects.order_by("-pk")
    return (runs.filter(finished_at__isnull=False) if finished else runs).first()
