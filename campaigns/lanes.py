"""One chunk in the hands of a worker: claim, render, send, record, window after window.

The order is the guarantee (docs/decisions/0004-ledger.md): a window is written down before its
first byte leaves, and its outcome in one transaction with the cursor that passes it.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from campaigns import (
    channels,
    failover,
    ids,
    ledger,
    metrics,
    pacing,
    recipients,
    stopping,
    turns,
    windows,
)
from campaigns.ledger import ClaimedChunk, LeaseLostError, Retry, Row, WindowResult
from campaigns.merging import MissingValueError
from campaigns.models import Bulk, Medium, Message, Reason
from campaigns.outcomes import Judge, Recipient, repeats_in_doubt
from campaigns.pacing import Bucket
from campaigns.rendering import PROVIDER_OF, Renderer
from devices import closing, numbers
from devices.models import Provider, ProviderCredential
from providers import loop
from providers.base import (
    Addressed,
    Cause,
    CredentialError,
    NotPossible,
    Outcome,
    Payload,
    PayloadTooLarge,
    Verdict,
)

log = logging.getLogger(__name__)
T = TypeVar("T")

PAUSED_DELAY = timedelta(seconds=20)  # how often a paused credential is looked at again
GIVEN_BACK = 5  # chunks in a row that cannot go on now, before other lanes have their turn


@dataclass(slots=True)
class Window:
    """Devices of one chunk that go out together."""

    until: int  # the chunk's cursor once it is recorded
    decided: list[Row] = field(default_factory=list)  # final without being sent
    to_send: dict[int, list[tuple[Recipient, Addressed]]] = field(default_factory=dict)
    paused: bool = False  # a credential is refused by its cloud: nothing of it may leave
    leaves_at: float = 0.0  # monotonic, once its place in the buckets is booked
    away: frozenset[str] = frozenset()  # buckets whose cloud did not answer before


class Lane:
    """One chunk at a time: claim, send, record, window after window."""

    def __init__(self) -> None:
        self.chunk: ClaimedChunk | None = None
        self.bulk: Bulk | None = None
        self.renderer: Renderer | None = None
        self.credentials: dict[int, ProviderCredential] = {}
        self.window: Window | None = None  # booked, or on the wire
        self.future: Future[list[list[Outcome]]] | None = None  # while it is on the wire
        self.deadline = timezone.now()
        self.claimed_at = 0.0  # monotonic: when it got its chunk
        self.again = False  # there may be more to do at once, after the other lanes' turn
        self.soon = 0.0  # monotonic: when a chunk it gave back for its pace may go on; 0: none

    # -- outward

    def fill(self, *, urgent: bool) -> None:
        """Put the next window on the wire, or book its place there.

        Where many chunks cannot go on now, the others that fly must be seen to in between.
        """
        self.again = False
        if self.soon <= time.monotonic():
            self.soon = 0.0  # it is looked for now
        for _ in range(GIVEN_BACK):
            if self.chunk is None:
                chunk = ledger.claim_chunk(urgent=urgent)
                if chunk is None:
                    return
                with about(chunk):
                    self._begin(chunk)
            if self.chunk is not None and self.window is None:
                with about(self.chunk):
                    self._book(self.chunk)
            if self.window is not None:
                self.send_when_due()
                return
        self.again = True

    def send_when_due(self) -> None:
        """Hand a booked window over once its time has come, unless the bulk was stopped."""
        window, chunk = self.window, self.chunk
        if window is None or self.future is not None or window.leaves_at > time.monotonic():
            return
        assert chunk is not None
        assert self.bulk is not None
        used = [self.credentials[pk] for pk in window.to_send]
        if not through(lambda: ledger.claim_window(chunk, window.until, credentials=used)):
            self.window = None
            self.let_go()
            self.again = True
            return
        self.bulk.throttle = chunk.throttle  # it can be changed while it runs
        self.future = loop.submit(self._send(window))

    def _begin(self, chunk: ClaimedChunk) -> None:
        """Make ready for a chunk; first settle what a dead worker left of it on the wire."""
        self.chunk = chunk
        self.claimed_at = time.monotonic()
        if self.bulk is None or self.bulk.pk != chunk.bulk_id:
            self.bulk = Bulk.objects.select_related("application", "flow").get(pk=chunk.bulk_id)
            self.renderer = Renderer(self.bulk)
        starts_at = chunk.starts_at or self.bulk.starts_at
        self.deadline = starts_at + timedelta(seconds=self.bulk.ttl)
        found = channels.credentials_of(self.bulk.application_id)
        assert self.renderer is not None
        self.renderer.credentials = found
        self.credentials = {each.pk: each for each in found.values()}
        if chunk.window_to is not None:
            settle(self.bulk, chunk)
            self._after_record()

    def _book(self, chunk: ClaimedChunk) -> None:
        """Prepare the next window and its place in the buckets, or give the chunk back."""
        assert self.bulk is not None
        opens = windows.next_open(self.bulk.window, now := timezone.now())
        if now < opens and now < self.deadline:
            self._wait(chunk, min(opens, self.deadline))
            return
        day = turns.next_allowed(self.bulk, chunk.timezone_offset, now)
        if now < day and now < self.deadline:
            self._wait(chunk, min(day, self.deadline), Reason.WAITING_FOR_DAY)
            return
        window = self._prepare(chunk)
        if window.paused:
            again = min(timezone.now() + PAUSED_DELAY, self.deadline)
            self._wait(chunk, again, Reason.CREDENTIAL_REFUSED)
            return
        place = pacing.draw(self._buckets(window))
        if not place.granted:
            again = timezone.now() + timedelta(seconds=place.delay)
            ledger.release(chunk, not_before=min(again, self.deadline))
            self.chunk = None
            soon = time.monotonic() + place.delay
            self.soon = min(self.soon, soon) if self.soon else soon
            return
        window.leaves_at = time.monotonic() + place.delay
        window.away = place.away
        self.window = window

    def _wait(self, chunk: ClaimedChunk, until: datetime, reason: Reason | None = None) -> None:
        """Give a chunk back until then, and with it all that the same keeps: thousands, perhaps.

        Of two credentials (Apple's environments) one may work: then each is looked at.
        """
        ledger.release(chunk, not_before=until, reason=reason)
        if reason == Reason.WAITING_FOR_DAY:
            ledger.postpone(chunk, until, reason, zone_alone=True)
        elif reason is None or len(self._serving(chunk.platform)) == 1:
            ledger.postpone(chunk, until, reason)
        self.chunk = None

    def _buckets(self, window: Window) -> list[tuple[Bucket, int]]:
        assert self.bulk is not None
        amounts = {pk: len(addressed) for pk, addressed in window.to_send.items()}
        total = sum(amounts.values())
        application = self.bulk.application
        shared = [
            (pacing.bulk_bucket(self.bulk.pk, self.bulk.throttle), total),
            (pacing.application_bucket(application.pk, application.rate), total),
        ]
        shared = [(bucket, amount) for bucket, amount in shared if bucket.rate]
        return shared + [
            (pacing.bucket_of(self.credentials[pk]), amount) for pk, amount in amounts.items()
        ]

    async def _send(self, window: Window) -> list[list[Outcome]]:
        sends = []
        for pk, addressed in window.to_send.items():
            credential = self.credentials[pk]
            sending = channels.channel(credential).provider.send([one for _, one in addressed])
            sends.append(metrics.on_the_wire(credential.provider, sending))
        return await asyncio.gather(*sends)

    # -- preparing

    def _prepare(self, chunk: ClaimedChunk) -> Window:
        assert self.bulk is not None
        assert self.renderer is not None
        until = min(chunk.cursor + self._window_size(chunk.platform), chunk.size)
        window = Window(until=until)
        wanted = chunk.recipients[chunk.cursor : until]
        left = int((self.deadline - timezone.now()).total_seconds())
        if left <= 0:
            day = turns.next_allowed(self.bulk, chunk.timezone_offset, self.deadline)
            quiet = day > self.deadline
            window.decided = [recipients.too_late(pk, chunk, quiet=quiet) for pk in wanted]
            return window
        standings = failover.standings(self.bulk, wanted)
        if chunk.platform == Medium.SMS:
            known = {
                pk: recipients.phone(pk, standing.number) for pk, standing in standings.items()
            }
            self.renderer.told({pk: standing.text for pk, standing in standings.items()})
        else:
            known = recipients.load(wanted, self.bulk.application)
            self.renderer.learn(wanted)
        first = ids.first_id(self.bulk)
        for pk in wanted:
            device, standing = known.get(pk), standings.get(pk)
            if standing is not None and not standing.open:
                window.decided.append(recipients.withdrawn(pk, chunk))
                continue
            refusal = recipients.gate(device)
            if device is None or refusal is not None:
                window.decided.append(
                    recipients.failed(pk, device, refusal or Reason.REGISTRATION_GONE)
                )
                continue
            rendered = self._render(chunk, device)
            if isinstance(rendered, Reason):
                window.decided.append(recipients.failed(pk, device, rendered))
                continue
            credential, payload = rendered
            if credential.paused_at is not None:
                window.paused = True
                return window
            addressed = Addressed(
                payload=payload,
                message_id=UUID(int=first | pk),
                token=device.token,
                token_kind=device.kind,
                ttl=left if standing is None else standing.seconds(at_most=left),
                environment=device.environment,
            )
            window.to_send.setdefault(credential.pk, []).append((device, addressed))
        return window

    def _render(
        self, chunk: ClaimedChunk, device: Recipient
    ) -> tuple[ProviderCredential, Payload] | Reason:
        """What a device gets and by which credential, or why it cannot get anything."""
        assert self.renderer is not None
        try:
            credential, payload = self.renderer.payload(chunk.platform, chunk.variant, device)
        except MissingValueError:
            return Reason.NO_VALUE
        except PayloadTooLarge:
            return Reason.TOO_LARGE
        except NotPossible:
            return Reason.PAYLOAD_REFUSED
        except CredentialError:
            return Reason.CREDENTIAL_REFUSED
        if credential is None or payload is None:
            return Reason.PROVIDER_OFF
        return credential, payload

    def _serving(self, platform: int) -> list[ProviderCredential]:
        """The credentials by which devices of a platform are usually reached."""
        provider = PROVIDER_OF.get(platform, Provider.SMS)
        return [each for each in self.credentials.values() if each.provider == provider]

    def _window_size(self, platform: int) -> int:
        """A second's worth at most, so that a slow pace is an even one."""
        assert self.bulk is not None
        rates: list[float | None] = [self.bulk.throttle, self.bulk.application.rate]
        rates += [pacing.bucket_of(each).rate for each in self._serving(platform)]
        return max(1, int(min([settings.WINDOW_SIZE, *(rate for rate in rates if rate)])))

    # -- recording

    def land(self) -> int:
        """Record the window that came back; how many devices it had."""
        chunk, bulk, window, future = self.chunk, self.bulk, self.window, self.future
        assert chunk is not None
        assert bulk is not None
        assert window is not None
        assert future is not None
        self.window = self.future = None
        size = window.until - chunk.cursor
        result = WindowResult(rows=list(window.decided))
        judges = self._judge(chunk, window, _outcomes(future, window), result)
        if not self._record(bulk, chunk, result):
            self.chunk, size = None, 0
        for pk, judge in judges.items():
            credential = self.credentials[pk]
            closing.suspect(
                credential, judge.dead, answers=judge.answers, strangers=judge.strangers
            )
            numbers.close(judge.dead_numbers)
            bucket = pacing.bucket_of(credential)
            if judge.misconfigured:
                channels.pause(credential, judge.misconfigured)
            elif judge.pause:
                pacing.pause(bucket, judge.pause)
            if judge.away:
                pacing.not_answering(bucket)
            elif bucket.name in window.away:
                pacing.answering(bucket)
        stopping.stop_if_refused(bulk, result.rows, answers=size)
        self._after_record()
        if bulk.flow_id is not None:
            failover.advance(seconds=1)
        return size

    def _record(self, bulk: Bulk, chunk: ClaimedChunk, result: WindowResult) -> bool:
        """Write what is known, also when the database is away for a moment, or the lease is over.

        False when somebody took the chunk over. To write it again is safe: the window is
        written once, whether or not an answer to the first try got lost.
        """
        try:
            through(lambda: ledger.record(bulk, chunk, result, now=timezone.now()))
        except LeaseLostError:
            log.warning("chunk %s of bulk %s was taken over", chunk.id, bulk.pk)
            late = [*result.rows, *recipients.never_sent(result)]
            through(lambda: ledger.record_late(bulk, late))
            return False
        return True

    def _judge(
        self,
        chunk: ClaimedChunk,
        window: Window,
        outcomes: list[list[Outcome]],
        result: WindowResult,
    ) -> dict[int, Judge]:
        assert self.bulk is not None
        judges = {}
        for (pk, addressed), answered in zip(window.to_send.items(), outcomes, strict=True):
            credential = self.credentials[pk]
            judge = judges[pk] = Judge(self.bulk, chunk, self.deadline, result, credential)
            for (device, sent), outcome in zip(addressed, answered, strict=True):
                judge.add(device, sent, outcome)
            judge.finish()
            metrics.answered(self.credentials[pk].provider, answered)
        return judges

    def _after_record(self) -> None:
        chunk = self.chunk
        if chunk is not None and chunk.cursor >= chunk.size:
            ledger.finish(chunk.bulk_id)
            self.chunk = None
            metrics.chunk_done(urgent=chunk.urgent, seconds=time.monotonic() - self.claimed_at)

    def let_go(self) -> None:
        """Give the chunk back, between two windows."""
        if self.chunk is not None and self.future is None:
            ledger.release(self.chunk)
            self.chunk = self.window = None

    def abandon(self) -> None:
        """Leave the chunk to whoever finds its lease over."""
        self.chunk = self.window = self.future = None

    @property
    def in_flight(self) -> int:
        """Devices that a kill would leave in doubt."""
        if self.window is None or self.chunk is None:
            return 0
        return self.window.until - self.chunk.cursor


def settle(bulk: Bulk, chunk: ClaimedChunk) -> None:
    """Write the window of a dead worker as unknown, or send it again where that is asked for.

    Its devices may have been handed over or not: nobody can tell.
    """
    assert chunk.window_to is not None
    lost = chunk.recipients[chunk.cursor : chunk.window_to]
    result = WindowResult()
    if bulk.status == Bulk.Status.CANCELLED and chunk.repeated:
        # Cancelled before its next try, but an earlier one may have arrived.
        result.rows = [Row(pk, Message.State.UNKNOWN, Reason.NO_ANSWER) for pk in lost]
    elif repeats_in_doubt(bulk, chunk):
        result.retries.append(
            Retry(lost, bulk.starts_at, chunk.attempt + 1, Reason.WORKER_LOST, repeated=True)
        )
    else:
        result.rows = [Row(pk, Message.State.UNKNOWN, Reason.WORKER_LOST) for pk in lost]
    log.warning("bulk %s: %s devices in doubt after a worker stopped", bulk.pk, len(lost))
    ledger.record(bulk, chunk, result, now=timezone.now())


def through(do: Callable[[], T]) -> T:
    """Do something in the database, also when it is away for a moment.

    Only for what may be done twice: nobody knows whether the first time reached it.
    """
    until = time.monotonic() + settings.LEASE_SECONDS
    pause = 0.1
    while True:
        try:
            return do()
        except (OperationalError, InterfaceError):
            if time.monotonic() > until or connection.in_atomic_block:
                raise
            log.warning("the database is away: trying again")
            connection.close()
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


def about(chunk: ClaimedChunk | None) -> AbstractContextManager[None]:
    """Let log lines say which chunk of which bulk they are about."""
    return bound_contextvars(**({"bulk": chunk.bulk_id, "chunk": chunk.id} if chunk else {}))


def _outcomes(future: Future[list[list[Outcome]]], window: Window) -> list[list[Outcome]]:
    """What the providers answered; doubt for the whole window if one of them broke down."""
    try:
        return future.result()
    except Exception:
        log.exception("a provider failed while a window was on the wire")
        doubt = Outcome(verdict=Verdict.UNKNOWN, reason="internal error", cause=Cause.INTERNAL)
        return [[doubt] * len(addressed) for addressed in window.to_send.values()]
