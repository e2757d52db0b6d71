"""Webhooks on their way: claimed, posted, tried again, given up, replayed.

Each delivery is at least once: a worker that dies after it posted leaves a lease that ends, and
the same delivery, with the same id, is posted again. Source: contract/push.md 4 and 7.
"""

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

import redis
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from campaigns import halting, signing
from campaigns.models import WebhookAttempt, WebhookDelivery, WebhookEvent, WebhookTarget
from campaigns.store import store
from providers import loop
from providers.posting import SECONDS, Posted, post
from pushadmin.masking import mask

log = logging.getLogger(__name__)

RETRIES = 20
KEPT_TRYING = timedelta(hours=48)
LEASE = f"{SECONDS + 20} seconds"
AT_ONCE = 64  # posts in flight
OF_ONE_TARGET = 8
BREAKS_AFTER = 5  # failures in a row: then an address is asked once in a while only
LONGEST_PAUSE = timedelta(minutes=10)
DELETED_AT_ONCE = 5000
LOCK, LOCK_SECONDS = "webhooks:sender", 15

Results = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Draft:
    """What one address is to be told, in the words of whoever reads it."""

    application_id: int | None
    url: str
    event: WebhookEvent
    results: Results


# ------------------------------------------------------------------- writing


@transaction.atomic
def write(drafts: Sequence[Draft]) -> list[WebhookDelivery]:
    """Put drafts down as deliveries that are due."""
    if not drafts:
        return []
    now = timezone.now()
    targets = _targets({_without_query(draft.url) for draft in drafts})
    return WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            public_id=uuid.uuid4(),
            application_id=draft.application_id,
            target_id=targets[_without_query(draft.url)],
            url=draft.url,
            event=draft.event,
            body=json.dumps({"results": draft.results}, ensure_ascii=False, separators=(",", ":")),
            items=len(draft.results),
            due_at=now,
            ends_at=now + KEPT_TRYING,
        )
        for draft in drafts
    )


def _targets(urls: set[str]) -> dict[str, int]:
    digests = {url: digest_of(url) for url in sorted(urls)}
    WebhookTarget.objects.bulk_create(
        (WebhookTarget(url=url, digest=digest) for url, digest in digests.items()),
        ignore_conflicts=True,
    )
    # Locked, so that none of them is dropped before its delivery is there.
    known = WebhookTarget.objects.select_for_update(no_key=True).order_by("pk")
    found = known.filter(digest__in=digests.values())
    keys = {bytes(each.digest): each.pk for each in found}
    return {url: keys[digest] for url, digest in digests.items()}


def digest_of(url: str) -> bytes:
    """By which the target of an address is found."""
    return hashlib.sha256(_without_query(url).encode()).digest()


def _without_query(url: str) -> str:
    return url.partition("#")[0].partition("?")[0]


# ------------------------------------------------------------------- posting

# Each address that has anything waiting is found by one step through the index.
_CLAIM = """
WITH RECURSIVE waiting AS (
    (SELECT target_id FROM campaigns_webhookdelivery WHERE state = 0 ORDER BY target_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.target_id FROM campaigns_webhookdelivery d
            WHERE d.state = 0 AND d.target_id > w.target_id ORDER BY d.target_id LIMIT 1)
    FROM waiting w WHERE w.target_id IS NOT NULL
),
due AS MATERIALIZED (
    SELECT x.id
    FROM waiting w
    JOIN campaigns_webhooktarget t ON t.id = w.target_id
        AND coalesce(t.paused_until <= now(), true) AND t.id <> ALL(%s)
    CROSS JOIN LATERAL (
        SELECT id FROM campaigns_webhookdelivery d
        WHERE d.target_id = t.id AND d.state = 0 AND d.due_at <= now()
          AND coalesce(d.lease_until < now(), true)
        ORDER BY d.due_at, d.id
        LIMIT CASE WHEN t.failures >= %s THEN 1 ELSE %s END
        FOR UPDATE SKIP LOCKED
    ) x
    LIMIT %s
)
UPDATE campaigns_webhookdelivery d SET lease_until = now() + %s::interval
FROM due WHERE d.id = due.id
RETURNING d.id
"""


def claim(limit: int, busy: Sequence[int] = ()) -> list[WebhookDelivery]:
    """Deliveries that are due, of addresses that are not paused; nobody else gets them now."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [list(busy), BREAKS_AFTER, OF_ONE_TARGET, limit, LEASE])
        keys = [key for (key,) in cursor.fetchall()]
    return list(WebhookDelivery.objects.filter(pk__in=keys).order_by("due_at", "pk"))


def work(write_up: Callable[[], int], *, seconds: float) -> int:
    """Write up and post whatever is due, for some time; how many posts.

    One process at a time does it, so that slow addresses keep no others busy; two would do no
    harm.
    """
    until, count = time.monotonic() + seconds, 0
    in_flight: dict[Future[Posted], WebhookDelivery] = {}
    with _only_one() as still_mine:
        while still_mine():
            goes_on = time.monotonic() < until and not halting.is_asked()
            written = write_up() if goes_on else 0
            if goes_on:
                for delivery in claim(AT_ONCE - len(in_flight), _busy(in_flight)):
                    in_flight[_posting(delivery)] = delivery
            if not in_flight:
                if written and goes_on:
                    continue
                break
            done, _ = wait(in_flight, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                record(in_flight.pop(future), _result(future), timezone.now())
                count += 1
    return count


def _result(future: Future[Posted]) -> Posted:
    try:
        return future.result()
    except Exception:  # whatever an address made of its answer, the others are posted
        log.exception("a webhook could not be posted")
        return Posted(problem="a fault of this installation; its log has more")


def _busy(in_flight: dict[Future[Posted], WebhookDelivery]) -> list[int]:
    """Addresses that are to answer first."""
    return sorted({delivery.target_id for delivery in in_flight.values()})


@contextmanager
def _only_one() -> Iterator[Callable[[], bool]]:
    """Hold the lock while the store is there; without it everybody may."""
    client, name = store(patience=1), uuid.uuid4().hex

    def still_mine() -> bool:
        try:
            if client.get(LOCK) == name.encode():
                client.expire(LOCK, LOCK_SECONDS)
                return True
            return bool(client.set(LOCK, name, nx=True, ex=LOCK_SECONDS))
        except redis.RedisError:
            return True

    try:
        yield still_mine
    finally:
        try:
            if client.get(LOCK) == name.encode():
                client.delete(LOCK)
        except redis.RedisError:
            log.warning("the store is away: the lock of webhooks ends by itself")


def _posting(delivery: WebhookDelivery) -> Future[Posted]:
    now, body = timezone.now(), delivery.body.encode()
    signed = signing.headers(
        signing.secrets_of(delivery.application_id, now), str(delivery.public_id), now, body
    )
    return loop.submit(
        post(
            delivery.url,
            body,
            {"content-type": "application/json", **signed},
            allowed=[ip_network(each) for each in settings.WEBHOOK_NETWORKS],
            proxy=settings.PROXY_URL or None,
        )
    )


def wait_before(retry: int) -> timedelta:
    """The pause before a retry, the first being 0 (contract/push.md 4)."""
    return timedelta(minutes=1 + retry * retry)


@transaction.atomic
def record(delivery: WebhookDelivery, posted: Posted, now: datetime) -> None:
    """Write down what came of a try, and when the next one is."""
    WebhookAttempt.objects.create(
        delivery_id=delivery.pk,
        at=now - timedelta(seconds=posted.seconds),
        milliseconds=round(posted.seconds * 1000),
        status=posted.status,
        answer=mask(posted.answer.replace("\0", ""))[:1000],
        problem=posted.problem[:200],
    )
    tries = delivery.tries + 1
    again = now + wait_before(tries - 1)
    state = WebhookDelivery.State.WAITING
    due: datetime | None = again
    if posted.taken:
        state, due = WebhookDelivery.State.TAKEN, None
    elif tries > RETRIES or again > delivery.ends_at:
        state, due = WebhookDelivery.State.GIVEN_UP, None
    WebhookDelivery.objects.filter(pk=delivery.pk).exclude(
        state=WebhookDelivery.State.TAKEN
    ).update(
        state=state, due_at=due, tries=tries, lease_until=None, last_status=posted.status
    )  # fmt: skip
    _judge(delivery.target_id, posted, now)


def _judge(target_id: int, posted: Posted, now: datetime) -> None:
    """The circuit breaker: an address that fails again and again is left alone for a while."""
    target = WebhookTarget.objects.filter(pk=target_id)
    if posted.taken:
        target.update(failures=0, paused_until=None, worked_at=now)
        return
    target.update(
        failures=F("failures") + 1,
        failed_at=now,
        last_failure=posted.problem[:200] or f"answered {posted.status}",
    )
    failures = target.values_list("failures", flat=True).first() or 0
    if failures >= BREAKS_AFTER:
        pause = min(timedelta(minutes=2 ** min(failures - BREAKS_AFTER, 10)), LONGEST_PAUSE)
        target.update(paused_until=now + pause)


# ------------------------------------------------------------------- by hand, and by time


def replay(application_id: int, keys: Sequence[int] | None = None) -> int:
    """Post again what was given up, or these deliveries whatever became of them; how many."""
    chosen = WebhookDelivery.objects.filter(application_id=application_id)
    if keys is None:
        chosen = chosen.filter(state=WebhookDelivery.State.GIVEN_UP)
    else:
        chosen = chosen.filter(pk__in=keys)
    now = timezone.now()
    with transaction.atomic():
        WebhookTarget.objects.filter(pk__in=chosen.values("target_id")).update(paused_until=None)
        return chosen.update(
            state=WebhookDelivery.State.WAITING, tries=0, due_at=now, lease_until=None,
            ends_at=now + KEPT_TRYING,
        )  # fmt: skip


def drop_old() -> int:
    """Delete deliveries that are over, past their keeping; how many."""
    before, count = timezone.now() - timedelta(days=settings.WEBHOOK_RETENTION_DAYS), 0
    over = WebhookDelivery.objects.filter(created_at__lt=before).exclude(
        state=WebhookDelivery.State.WAITING
    )
    while True:
        batch: list[int] = list(over.values_list("pk", flat=True)[:DELETED_AT_ONCE])
        WebhookAttempt.objects.filter(delivery__in=batch).delete()
        WebhookDelivery.objects.filter(pk__in=batch).delete()
        count += len(batch)
        if len(batch) < DELETED_AT_ONCE:
            break
    with connection.cursor() as cursor:
        cursor.execute(_DROP_TARGETS, [before, before])
    return count


_DROP_TARGETS = """
DELETE FROM campaigns_webhooktarget t
WHERE coalesce(t.worked_at, '-infinity') < %s AND coalesce(t.failed_at, '-infinity') < %s
  AND (t.worked_at IS NOT NULL OR t.failed_at IS NOT NULL)
  AND NOT EXISTS (SELECT FROM campaigns_webhookdelivery d WHERE d.target_id = t.id)
"""
