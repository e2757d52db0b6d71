"""Receipts → the ledger: thousands in one statement, and repeats change nothing.

Nothing here is done per receipt that can be done per batch: a campaign's receipts come as
fast as it is sent, on the machine that sends it.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from campaigns import capping, ids, outbox, partitions
from campaigns.batches import Batch, Call, Said, packed, put_together
from campaigns.models import Bulk, Chunk, EarlyReceipt, Message, Reason

BATCH = 2000  # early receipts that are tried together
EARLY_FOR = timedelta(minutes=10)  # a receipt waits so long for its message

# Times before the start of a bulk are those of a wrong clock. LATERAL takes the rows one by
# one by their keys, however few the planner thinks there are, and in the order given, which
# is that of the ids: two folds cannot deadlock. The UPDATE is told the first day only: within
# closer bounds the planner expects one row, as it cannot tell ids between two bounds of its
# histogram apart, and would compare each of thousands with each receipt.
_FOLD = """
WITH locked AS (
    SELECT x.id, CASE WHEN m.state = 8 AND m.reason IN (16, 26) AND x.state BETWEEN 3 AND 5
               THEN 0 ELSE m.state END AS was,  -- 0: no cloud carried it, the app fetched it
           m.reason AS because, m.bulk_id, m.platform, m.variant, m.sent_at, b.flow_id,
           x.state, coalesce(x.reason, 0) AS reason, coalesce(x.answer, '') AS answer,
           CASE WHEN x.state BETWEEN 3 AND 5
               THEN greatest(to_timestamp(x.delivered / 1000.0::float8), b.starts_at) END
               AS delivered_at,
           CASE WHEN x.state IN (4, 5)
               THEN greatest(to_timestamp(x.seen / 1000.0::float8), b.starts_at) END AS seen_at,
           CASE WHEN x.state = 5
               THEN greatest(to_timestamp(x.clicked / 1000.0::float8), b.starts_at) END
               AS clicked_at,
           b.origin = 'api' AND b.flow_id IS NULL AS submitted, b.tells | %s AS tells,
           b.id IS NOT NULL AND CASE x.state
               WHEN 2 THEN m.state = 1
               WHEN 8 THEN m.state <= 2
               WHEN 9 THEN m.state <= 2
               ELSE m.state < x.state OR m.delivered_at IS NULL
                    OR (x.state >= 4 AND m.seen_at IS NULL)
                    OR (x.state = 5 AND m.clicked_at IS NULL)
               END AS changes
    FROM unnest(%s::uuid[], %s::int2[], %s::int8[], %s::int8[], %s::int8[], %s::int2[],
                %s::text[]) AS x (id, state, delivered, seen, clicked, reason, answer)
    LEFT JOIN LATERAL (
        SELECT state, reason, bulk_id, platform, variant, sent_at, delivered_at, seen_at,
               clicked_at
        FROM campaigns_message
        WHERE id = x.id AND id BETWEEN %s AND %s
        FOR UPDATE
    ) m ON true
    LEFT JOIN LATERAL (
        SELECT id, starts_at, origin, flow_id, tells FROM campaigns_bulk
        WHERE id = m.bulk_id AND application_id = %s
        OFFSET 0
    ) b ON true
),
changed AS (
    UPDATE campaigns_message m
    SET state = CASE l.was WHEN 0 THEN l.state ELSE greatest(m.state, l.state) END,
        reason = CASE WHEN l.state >= 8 THEN l.reason WHEN l.was <= 1 THEN 0 ELSE m.reason END,
        answer = CASE WHEN l.state >= 8 AND l.answer <> '' THEN l.answer ELSE m.answer END,
        delivered_at = coalesce(m.delivered_at, l.delivered_at),
        seen_at = coalesce(m.seen_at, l.seen_at),
        clicked_at = coalesce(m.clicked_at, l.clicked_at)
    FROM locked l
    WHERE l.changes AND m.id = l.id AND m.id >= %s
),
ended AS (
    INSERT INTO campaigns_report (message_id, bulk_id, at)
    SELECT id, bulk_id, now() FROM locked
    WHERE changes AND submitted AND was < 3 AND state >= 3 ORDER BY id
    ON CONFLICT DO NOTHING
),
told AS (  -- for campaigns/outbox.py
    INSERT INTO campaigns_webhooknote (event, application_id, bulk_id, message_id)
    SELECT e.event, %s, l.bulk_id, l.id
    FROM locked l, LATERAL (VALUES
        (1, l.was < 3 AND l.state >= 3),
        (4, l.was < 4 AND l.state IN (4, 5)),
        (8, l.was < 5 AND l.state = 5)
    ) e (event, happens)
    WHERE l.changes AND l.tells <> 0 AND e.happens AND l.tells & e.event <> 0
    ORDER BY l.id, e.event
),
noted AS (  -- for campaigns/failover.py
    INSERT INTO campaigns_journeynote (flow_id, journey_id)
    SELECT DISTINCT l.flow_id, g.journey_id
    FROM locked l
    JOIN campaigns_leg g ON g.bulk_id = l.bulk_id AND g.recipient  -- the id's last 42 bits
        = ('x' || right(replace(l.id::text, '-', ''), 16))::bit(64)::bigint & 4398046511103
    WHERE l.changes AND l.flow_id IS NOT NULL AND l.was < 3 AND l.reason <> 35
),
alike AS (
    SELECT bulk_id, platform, variant, was, state, because, reason, count(*)::int AS messages,
           date_bin('1 minute', sent_at, 'epoch') AS sent,
           date_bin('1 minute', delivered_at, 'epoch') AS delivered,
           date_bin('1 minute', seen_at, 'epoch') AS seen,
           date_bin('1 minute', clicked_at, 'epoch') AS clicked
    FROM locked
    WHERE changes
    GROUP BY bulk_id, platform, variant, was, state, because, reason, sent, delivered, seen, clicked
),
reasons AS (
    INSERT INTO campaigns_reasoncounter (bulk_id, platform, reason, messages)
    SELECT bulk_id, platform, e.reason, sum(a.messages * e.sign)
    FROM alike a, LATERAL (VALUES
        (a.because, -(a.was <= 1)::int),
        (a.reason, (a.state >= 8)::int)
    ) e (reason, sign)
    WHERE e.reason <> 0 AND e.sign <> 0
    GROUP BY 1, 2, 3 HAVING sum(a.messages * e.sign) <> 0 ORDER BY 1, 2, 3
    ON CONFLICT (bulk_id, platform, reason) DO UPDATE SET
        messages = campaigns_reasoncounter.messages + excluded.messages
    RETURNING 1
),
counted AS (
    INSERT INTO campaigns_counter (bulk_id, minute, platform, variant, sent, accepted, delivered,
                                   seen, clicked, failed, expired, unknown)
    SELECT bulk_id, e.minute, platform, variant, 0, sum(messages * e.accepted),
           sum(messages * e.delivered), sum(messages * e.seen), sum(messages * e.clicked),
           sum(messages * e.failed), sum(messages * e.expired), sum(messages * e.unknown)
    FROM alike a, LATERAL (VALUES
        (a.sent, (a.was <= 1 AND a.state < 8)::int - (a.was = 2 AND a.state >= 8)::int, 0, 0, 0,
         (a.state = 8)::int - (a.was = 0)::int, (a.state = 9)::int, -(a.was = 1)::int),
        (a.delivered, 0, (a.was < 3)::int, 0, 0, 0, 0, 0),
        (a.seen, 0, 0, (a.was < 4)::int, 0, 0, 0, 0),
        (a.clicked, 0, 0, 0, 1, 0, 0, 0)
    ) e (minute, accepted, delivered, seen, clicked, failed, expired, unknown)
    WHERE (SELECT count(*) FROM reasons) >= 0  -- locked first, as in ledger.record: no deadlocks
      AND a.was < 5 AND e.minute IS NOT NULL
      AND (e.accepted, e.delivered, e.seen, e.clicked, e.failed, e.expired, e.unknown)
          <> (0, 0, 0, 0, 0, 0, 0)
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (bulk_id, minute, platform, variant) DO UPDATE SET
        accepted = campaigns_counter.accepted + excluded.accepted,
        delivered = campaigns_counter.delivered + excluded.delivered,
        seen = campaigns_counter.seen + excluded.seen,
        clicked = campaigns_counter.clicked + excluded.clicked,
        failed = campaigns_counter.failed + excluded.failed,
        expired = campaigns_counter.expired + excluded.expired,
        unknown = campaigns_counter.unknown + excluded.unknown
)
SELECT id FROM locked WHERE was IS NULL
"""

# The planner would read a whole day to find a few thousand of its rows.
_BY_KEY = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"


def fold(calls: Iterable[Call]) -> int:
    """Fold receipts into messages and counters; how many there were. Repeats change nothing.

    A receipt that came before its own message's row was committed is kept for ten minutes.
    A receipt of a failed or expired message is noted in its times only: final states stay.
    Unless no cloud could carry it and the app fetched it by itself: then it was delivered.
    What was delivered cannot fail any more.
    """
    count, applications = put_together(calls)
    with transaction.atomic():
        missing = {key: _fold(key, batch) for key, batch in applications.items()}
    if any(missing.values()):
        with transaction.atomic():
            for key, identifiers in missing.items():
                _fold_or_keep(key, {each: applications[key][each] for each in identifiers})
    return count


def _fold(application_id: int, batch: Batch) -> list[str]:
    """Change the rows and counters of one application; the messages that have no row."""
    if not batch:
        return []
    wanted, told = list(batch), batch.values()
    bounds = wanted[0], wanted[-1]
    day = partitions.first_of_day(UUID(wanted[0]))
    ends = [(said.end or (0, 0, 0, ""))[2:] for said in told] if _any_end(told) else []
    arrays = (
        _array(wanted),
        _array([str(said.state) for said in told]),
        _array([_time(said.delivered) for said in told]),
        _array([_time(said.seen) for said in told]),
        _array([_time(said.clicked) for said in told]),
        _array([str(reason) for reason, _ in ends]),
    )
    answers = [answer for _, answer in ends]
    with connection.cursor() as cursor:
        cursor.execute(_BY_KEY)
        mask = outbox.wanted(application_id)
        given: list[Any] = [mask, *arrays, answers, *bounds, application_id, day, application_id]
        cursor.execute(_FOLD, given)
        missing = sorted(identifier.hex for (identifier,) in cursor.fetchall())
    capping.release_ended([UUID(each) for each, said in batch.items() if said.end is not None])
    return missing


def _any_end(told: Iterable[Said]) -> bool:
    return any(said.end is not None for said in told)


def _array(values: Sequence[str]) -> str:
    """Of uuids or numbers, as PostgreSQL reads it: one text is bound much faster than a list."""
    return "{" + ",".join(values) + "}"


def _time(milliseconds: int | None) -> str:
    return "NULL" if milliseconds is None else str(milliseconds)


def _fold_or_keep(application_id: int, batch: Batch) -> None:
    """What had no row when it was folded: it has one now, will get one, or never will.

    Rows are looked for once more after the bulks, as a window's rows are committed before its
    bulk ends, and before folding: a row that is committed in between is folded as well as
    kept, which changes nothing, and never neither of the two.
    """
    early = _on_the_way(application_id, _without_row(batch))
    _fold(application_id, batch)
    _keep(application_id, {each: batch[each] for each in early})


def _on_the_way(application_id: int, missing: Sequence[str]) -> list[str]:
    """Which of these messages may still get a row."""
    if not missing:
        return []
    numbers = {ids.bulk_number(UUID(each)) for each in missing}
    unfinished = Q(status__in=Bulk.UNFINISHED) | Q(chunks__status=Chunk.Status.OPEN)
    bulks = Bulk.objects.filter(unfinished, pk__in=numbers, application=application_id)
    sending = {
        ids.first_id(bulk) >> ids.RECIPIENT_BITS
        for bulk in bulks.only("pk", "starts_at").distinct()
    }
    return _without_row(
        [each for each in missing if int(each, 16) >> ids.RECIPIENT_BITS in sending]
    )


def _without_row(wanted: Iterable[str]) -> list[str]:
    keys = [UUID(each) for each in wanted]
    if not keys:
        return []
    between = Message.objects.filter(pk__gte=keys[0], pk__lte=keys[-1])  # prunes partitions
    present = set(between.filter(pk__in=keys).values_list("pk", flat=True))
    return [key.hex for key in keys if key not in present]


def _keep(application_id: int, early: Batch) -> None:
    """Keep receipts until their message is there."""
    EarlyReceipt.objects.bulk_create(
        EarlyReceipt(
            message_id=UUID(identifier),
            application_id=application_id,
            registration_id=None,  # was compared already
            state=state,
            at=datetime.fromtimestamp(at / 1000, UTC),
            reason=reason,
            answer=answer,
        )
        for identifier, said in early.items()
        for state, at, reason, answer in said.receipts()
    )


def withdraw(application_id: int, messages: Iterable[UUID], at: datetime) -> None:
    """Let messages without a sign of having arrived expire, as another takes their place."""
    reason = Reason.WITHDRAWN.value
    told = [packed(message, Message.State.EXPIRED, at, reason) for message in messages]
    _, applications = put_together([(application_id, None, told)])
    for key, batch in applications.items():
        _fold(key, batch)


def fold_early() -> int:
    """Try the receipts again that were too early; how many were tried.

    They wait for ten minutes, and no longer than their bulk is on its way.
    """
    tried, last = 0, 0
    while True:
        with transaction.atomic():
            page = EarlyReceipt.objects.filter(pk__gt=last).order_by("pk")
            waiting = list(page.select_for_update(skip_locked=True)[:BATCH])
            if not waiting:
                return tried
            still, since = _try_again(waiting), timezone.now() - EARLY_FOR
            done = [
                receipt.pk
                for receipt in waiting
                if receipt.message_id.hex not in still or receipt.arrived_at < since
            ]
            EarlyReceipt.objects.filter(pk__in=done).delete()
        tried, last = tried + len(waiting), waiting[-1].pk


def _try_again(waiting: Iterable[EarlyReceipt]) -> set[str]:
    """Fold receipts once more; the messages that are still to come."""
    _, applications = put_together(
        (
            each.application_id,
            each.registration_id,
            [packed(each.message_id, each.state, each.at, each.reason, each.answer)],
        )
        for each in waiting
    )
    early: set[str] = set()
    for key, batch in applications.items():
        early.update(_on_the_way(key, _without_row(batch)))
        _fold(key, batch)
    return early
