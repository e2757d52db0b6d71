"""Celery's way in. The database remembers what is left to do; a task only looks again."""

import logging
import signal
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

import redis
from celery import shared_task
from celery.signals import (
    heartbeat_sent,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from django.conf import settings
from django.utils import timezone
from kombu.exceptions import OperationalError

from campaigns import (
    calls,
    canaries,
    capping,
    channels,
    counting,
    deliveries,
    dispatch,
    events,
    expiring,
    failover,
    fanout,
    forgetting,
    halting,
    handing_out,
    inbox,
    ledger,
    letters,
    listing_files,
    metrics,
    partitions,
    push_api,
    reconciling,
    recurring,
    repeating,
    reports,
    sampling,
    trends,
    watching,
    waterfall,
    winners,
)
from campaigns.models import Bulk, Chunk
from campaigns.store import store
from campaigns.targeting import Rule
from devices import closing
from devices.models import Application, ProviderCredential

WORK_SECONDS = 50  # shorter than the broker's patience (visibility timeout)
URGENT_SECONDS = 5
URGENT_ASKED = "urgent:asked"  # in the store, while a task waits that nobody has begun

log = logging.getLogger(__name__)


@shared_task
def freeze_audience(bulk_pk: int) -> None:
    """Queued for the end of the hold; the timetable calls it again until it is done."""
    bulk = Bulk.objects.filter(pk=bulk_pk).first()
    if bulk is not None and fanout.freeze(bulk):
        if bulk.origin != Bulk.Origin.CAMPAIGN:
            send_soon()
        for _ in range(settings.DISPATCH_WORKERS):
            dispatch_chunks.delay()


@shared_task
def count_audience(application_pk: int, rule: Rule, *, primary_only: bool) -> None:
    """The exact count that replaces an estimate, while its page still waits for it."""
    application = Application.objects.filter(pk=application_pk).first()
    if application is not None:
        counting.count_exactly(application, rule, primary_only=primary_only)


@shared_task
def count_clauses(application_pk: int, rule: Rule, path: Sequence[int] = ()) -> None:
    """The same clause by clause, of the rule or of a group inside it."""
    application = Application.objects.filter(pk=application_pk).first()
    if application is not None:
        waterfall.count_exactly(application, rule, tuple(path))


@shared_task
def count_segments() -> None:
    """Each segment once a day; what is left when the time is up, at the next turn."""
    trends.count_today(seconds=WORK_SECONDS / 2)


@shared_task
def draw_samples() -> None:
    for application in sampling.stale():
        sampling.rebuild(application)


@shared_task
def dispatch_chunks() -> None:
    dispatch.work(seconds=WORK_SECONDS)


@shared_task
def dispatch_urgent() -> None:
    """A few seconds only: receipts and everything else wait for the same processes."""
    _forget_that_it_was_asked()
    if dispatch.work(seconds=URGENT_SECONDS, urgent=True):
        send_soon()


def send_soon() -> None:
    """Have a worker look for urgent chunks: one task is enough for all who ask until it looks.

    Without a broker they wait for the timetable.
    """
    try:
        if store(patience=1).set(URGENT_ASKED, 1, nx=True, ex=5):
            dispatch_urgent.apply_async(retry=False)
    except (redis.RedisError, OperationalError):
        log.warning("the broker is away: urgent chunks wait for the timetable")


def freeze_soon(bulk_pk: int) -> None:
    """Without a broker it waits for the timetable."""
    try:
        freeze_audience.apply_async((bulk_pk,), retry=False)
    except OperationalError:
        log.warning("the broker is away: bulk %s waits for the timetable", bulk_pk)


def _forget_that_it_was_asked() -> None:
    try:
        store(patience=1).delete(URGENT_ASKED)
    except redis.RedisError:
        log.warning("the store is away: it is not known who asks for urgent chunks")


@shared_task
def advance_journeys() -> None:
    """Failed and expired steps go on to the next."""
    if failover.advance():
        _queue_what_is_due()


@shared_task
def revive() -> None:
    """Queue again whatever Postgres calls unfinished; running it twice does no harm."""
    watching.say_looked()
    now = timezone.now()
    waiting = Bulk.objects.filter(status=Bulk.Status.PENDING, starts_at__lte=now, step=0)
    for pk in waiting.values_list("pk", flat=True):
        freeze_audience.apply_async((pk,), expires=3)
    ledger.resume_overdue()
    canaries.judge()
    winners.judge()
    dispatch.settle_abandoned()
    closing.judge_old_pages()
    if failover.is_needed():
        advance_journeys.apply_async(expires=10)
    _queue_what_is_due()
    for pk in Bulk.objects.filter(
        status=Bulk.Status.CANCELLED, chunks__status=Chunk.Status.OPEN
    ).values_list("pk", flat=True).distinct():  # fmt: skip
        ledger.cancel_chunks(pk)
    for pk in ledger.finishable():
        ledger.finish(pk)


def _queue_what_is_due() -> None:
    now = timezone.now()
    due = Chunk.objects.filter(
        status=Chunk.Status.OPEN, held=False, not_before__lte=now, bulk__status=Bulk.Status.SENDING
    ).exclude(lease_until__gte=now)
    if due.filter(urgent=False).exists():
        for _ in range(settings.DISPATCH_WORKERS):
            dispatch_chunks.apply_async(expires=10)
    if due.filter(urgent=True).exists():
        dispatch_urgent.apply_async(expires=10)


@shared_task
def plan_runs() -> None:
    """The next runs of recurring campaigns."""
    recurring.plan()


@shared_task
def consume_receipts() -> None:
    """A minute of folding receipts; then the next one."""
    if reports.consume(seconds=WORK_SECONDS):
        consume_receipts.delay()


@shared_task
def expire_messages() -> None:
    expiring.expire(seconds=WORK_SECONDS / 5)


@shared_task
def consume_events() -> None:
    events.consume(seconds=WORK_SECONDS)


@shared_task
def keep_calls() -> None:
    calls.consume(seconds=WORK_SECONDS / 5)


@shared_task
def test_credentials() -> None:
    """Ask the clouds about every credential: hourly, and soon where sending is paused."""
    for credential in ProviderCredential.objects.filter(enabled=True).defer("data"):
        channels.test(credential)


@shared_task
def test_paused_credentials() -> None:
    paused = ProviderCredential.objects.filter(enabled=True, paused_at__isnull=False)
    for credential in paused.defer("data"):
        channels.test(credential)


@shared_task
def make_partitions() -> None:
    """Days ahead are made, days past their keeping are dropped; so is what inboxes had."""
    partitions.make_ahead()
    partitions.drop_old()
    partitions.keep_days_of_events()
    inbox.drop_expired()
    handing_out.drop_old()
    repeating.drop_old()
    forgetting.drop_submitted(seconds=WORK_SECONDS / 2)
    push_api.drop_old()
    capping.drop_old()
    deliveries.drop_old()


@shared_task
def read_list_upload(pk: int) -> None:
    listing_files.run(pk)


@shared_task
def revive_list_uploads() -> None:
    """Queue again the files of members that nobody works on; forget those nobody wants."""
    for pk in listing_files.lost():
        read_list_upload.delay(pk)
    listing_files.forget()


@shared_task
def mail_letters() -> None:
    """Reports that members ordered, and campaigns that wait for approval."""
    letters.write_due()
    letters.mail(seconds=WORK_SECONDS / 2)


@shared_task
def reconcile() -> None:
    """Compare counters with rows, once a night; a long run is done in parts."""
    run = reconciling.nightly(seconds=WORK_SECONDS)
    if run is not None and run.finished_at is None:
        reconcile.delay()


@worker_process_shutdown.connect
def hang_up(**kwargs: object) -> None:
    """Let the connections to the clouds end politely."""
    channels.close_all()
    metrics.flush()


_said: dict[str, Any] = {}  # of the worker this process is, once it is ready
_said_at = 0.0  # monotonic


@worker_ready.connect
def introduce(sender: Any, **kwargs: object) -> None:
    _said.update(
        name=sender.hostname,
        queues=[queue.name for queue in sender.task_consumer.queues],
        processes=sender.pool.num_processes,
    )
    watching.say_alive(**_said)


@heartbeat_sent.connect
def say_alive(**kwargs: object) -> None:
    global _said_at
    if _said and time.monotonic() - _said_at >= watching.SAY_EVERY:
        _said_at = time.monotonic()
        watching.say_alive(**_said)


@worker_shutdown.connect
def say_goodbye(**kwargs: object) -> None:
    if _said:
        watching.say_goodbye(_said["name"])
        _said.clear()


@worker_shutting_down.connect
def finish_what_is_on_the_wire(**kwargs: object) -> None:
    """Its processes claim nothing more: they have SHUTDOWN_SECONDS to hear the answers."""
    halting.ask()


@worker_ready.connect
def finish_also_when_told_to_quit(**kwargs: object) -> None:
    """Of SIGQUIT Celery tells only after it has waited for the tasks: they would not know."""
    before = signal.getsignal(signal.SIGQUIT)

    def quit_orderly(number: int, frame: FrameType | None) -> None:
        finish_what_is_on_the_wire()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGQUIT, quit_orderly)
