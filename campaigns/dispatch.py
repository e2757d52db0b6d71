"""Chunk → provider → outcomes.

A worker holds several chunks at once, each in a lane of its own: while the window of one is
on the wire, the next of another is loaded, rendered and recorded, so that the wire never
waits for the database, nor the database for the wire.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from campaigns import channels, failover, ids, ledger, metrics, pacing, stopping, windows
from campaigns.ledger import ClaimedChunk, LeaseLostError, Retry, Row, WindowResult
from campaigns.models import Bulk, Medium, Message, Reason
from campaigns.outcomes import Judge, Recipient, repeats_in_doubt
from campaigns.pacing import Bucket
from campaigns.rendering import Renderer
from devices import closing, numbers
from devices.models import Environment, Provider, ProviderCredential
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

PAUSED_DELAY = timedelta(seconds=20)  # how often a paused credential is looked at again
PATIENCE = 2.0  # seconds a worker waits for a chunk that may soon go on, before it ends its task


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
        self.soon = 0.0  # monotonic: when a chunk it gave back for its pace may go on

    # -- outward

    def fill(self, *, urgent: bool) -> None:
        """Put the next window on the wire, or book its place there."""
        while self.window is None:
            if self.chunk is None:
                chunk = ledger.claim_chunk(urgent=urgent)
                if chunk is None:
                    return
                with about(chunk):
                    self._begin(chunk)
            if self.chunk is not None:
                with about(self.chunk):
                    self._book(self.chunk)
        self.send_when_due()

    def send_when_due(self) -> None:
        """Hand a booked window over once its time has come, unless the bulk was stopped."""
        window, chunk = self.window, self.chunk
        if window is None or self.future is not None or window.leaves_at > time.monotonic():
            return
        assert chunk is not None
        assert self.bulk is not None
        if not ledger.claim_window(chunk, window.until):
            self.window = None
            self.let_go()
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
            self.deadline = self.bulk.starts_at + timedelta(seconds=self.bulk.ttl)
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
            ledger.release(chunk, not_before=min(opens, self.deadline))
            self.chunk = None
            return
        window = self._prepare(chunk)
        if window.paused:
            again = min(timezone.now() + PAUSED_DELAY, self.deadline)
            ledger.release(chunk, not_before=again, reason=Reason.CREDENTIAL_REFUSED)
            self.chunk = None
            return
        place = pacing.draw(self._buckets(window))
        if not place.granted:
            ledger.release(chunk, not_before=timezone.now() + timedelta(seconds=place.delay))
            self.chunk = None
            self.soon = time.monotonic() + place.delay
            return
        window.leaves_at = time.monotonic() + place.delay
        window.away = place.away
        self.window = window

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
        until = min(chunk.cursor + self._window_size(), chunk.size)
        window = Window(until=until)
        wanted = chunk.recipients[chunk.cursor : until]
        left = int((self.deadline - timezone.now()).total_seconds())
        if left <= 0:
            window.decided = [_too_late(pk, chunk) for pk in wanted]
            return window
        standings = failover.standings(self.bulk, wanted)
        if chunk.platform == Medium.SMS:
            known = {pk: _phone(pk, standing.number) for pk, standing in standings.items()}
        else:
            known = load(wanted)
        first = ids.first_id(self.bulk)
        for pk in wanted:
            device, standing = known.get(pk), standings.get(pk)
            if standing is not None and not standing.open:
                window.decided.append(_withdrawn(pk, chunk))
                continue
            refusal = _gate(device)
            if device is None or refusal is not None:
                window.decided.append(_failed(pk, device, refusal or Reason.REGISTRATION_GONE))
                continue
            rendered = self._render(chunk, device)
            if isinstance(rendered, Reason):
                window.decided.append(_failed(pk, device, rendered))
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
        except PayloadTooLarge:
            return Reason.TOO_LARGE
        except NotPossible:
            return Reason.PAYLOAD_REFUSED
        except CredentialError:
            return Reason.CREDENTIAL_REFUSED
        if credential is None or payload is None:
            return Reason.PROVIDER_OFF
        return credential, payload

    def _window_size(self) -> int:
        """A second's worth at most, so that a slow pace is an even one."""
        assert self.bulk is not None
        rates = (self.bulk.throttle, self.bulk.application.rate)
        return min(settings.WINDOW_SIZE, *(rate for rate in rates if rate), settings.WINDOW_SIZE)

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
        try:
            ledger.record(bulk, chunk, result, now=timezone.now())
        except LeaseLostError:
            log.warning("chunk %s of bulk %s was taken over", chunk.id, bulk.pk)
            ledger.record_late(bulk, result.rows)
            self.chunk = None
            return 0
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
        stopping.stop_if_refused(bulk, result.rows)
        self._after_record()
        if bulk.flow_id is not None:
            failover.advance(seconds=1)
        return size

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


def about(chunk: ClaimedChunk | None) -> AbstractContextManager[None]:
    """Let log lines say which chunk of which bulk they are about."""
    return bound_contextvars(**({"bulk": chunk.bulk_id, "chunk": chunk.id} if chunk else {}))


def work(*, seconds: float, urgent: bool = False) -> int:
    """Send what is due until nothing is, or the time is over; devices dealt with."""
    until = time.monotonic() + seconds
    lanes = [Lane() for _ in range(settings.WINDOWS_IN_FLIGHT)]
    count = 0
    while True:
        over = time.monotonic() >= until
        for lane in lanes:
            if lane.future is not None:
                continue
            if over:
                lane.let_go()
            else:
                lane.fill(urgent=urgent)
        flying = {lane.future: lane for lane in lanes if lane.future is not None}
        idle = _idle(lanes, until)
        if not flying and idle is None:
            return count
        done = _wait_for(flying, idle)
        if not done:
            ledger.extend_leases(lane.chunk for lane in flying.values() if lane.chunk is not None)
        for future in done:
            with about(flying[future].chunk):
                count += flying[future].land()


def _idle(lanes: Sequence[Lane], until: float) -> float | None:
    """Seconds until a lane has something to do that is not on the wire; None without any."""
    now = time.monotonic()
    if now >= until:
        return None
    moments = [
        lane.window.leaves_at if lane.window is not None else lane.soon
        for lane in lanes
        if lane.future is None
    ]
    soon = [moment for moment in moments if now < moment < min(until, now + PATIENCE)]
    return min(soon) - now if soon else None


def _wait_for(
    flying: dict[Future[list[list[Outcome]]], Lane], idle: float | None
) -> set[Future[list[list[Outcome]]]]:
    """The windows that came back; none when the time for something else has come first."""
    limit = settings.LEASE_SECONDS / 4
    limit = limit if idle is None else min(limit, idle)
    if flying:
        return wait(flying, timeout=limit, return_when=FIRST_COMPLETED).done
    time.sleep(limit)
    return set()


def settle_abandoned() -> int:
    """Settle the windows of workers that died, whatever state their bulk is in."""
    count = 0
    while (chunk := ledger.claim_abandoned()) is not None:
        bulk = Bulk.objects.select_related("flow").get(pk=chunk.bulk_id)
        with about(chunk):
            settle(bulk, chunk)
        if chunk.cursor >= chunk.size:
            ledger.finish(bulk.pk)
        else:
            ledger.release(chunk)
        count += 1
    return count


def settle(bulk: Bulk, chunk: ClaimedChunk) -> None:
    """Write the window of a dead worker as unknown, or send it again where that is asked for.

    Its devices may have been handed over or not: nobody can tell.
    """
    assert chunk.window_to is not None
    lost = chunk.recipients[chunk.cursor : chunk.window_to]
    result = WindowResult()
    if repeats_in_doubt(bulk, chunk):
        result.retries.append(
            Retry(lost, bulk.starts_at, chunk.attempt + 1, Reason.WORKER_LOST, repeated=True)
        )
    else:
        result.rows = [Row(pk, Message.State.UNKNOWN, Reason.WORKER_LOST) for pk in lost]
    log.warning("bulk %s: %s devices in doubt after a worker stopped", bulk.pk, len(lost))
    ledger.record(bulk, chunk, result, now=timezone.now())


def load(wanted: Sequence[int]) -> dict[int, Recipient]:
    """Addresses and what the content needs of a window's devices."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT r.id, r.enabled, r.language, r.app_version,
                   a.provider, a.environment, a.kind, a.token
            FROM devices_registration r
            JOIN devices_address a ON a.registration_id = r.id
            WHERE r.id = ANY(%s)
            """,
            [list(wanted)],
        )
        return {row[0]: Recipient(*row) for row in cursor.fetchall()}


def _phone(pk: int, number: str) -> Recipient:
    """What a text message goes to."""
    return Recipient(
        id=pk, enabled=True, language="", app_version=0, provider=Provider.SMS,
        environment=Environment.PRODUCTION, kind="token", token=number,
    )  # fmt: skip


def _gate(device: Recipient | None) -> Reason | None:
    """What keeps a device from being sent to, although it was frozen into the audience."""
    if device is None:
        return Reason.REGISTRATION_GONE
    if not device.enabled:
        return Reason.DISABLED
    if not device.token:
        return Reason.NO_TOKEN
    return None


def _failed(pk: int, device: Recipient | None, reason: Reason) -> Row:
    if device is None:
        return Row(pk, Message.State.FAILED, reason)
    return Row(pk, Message.State.FAILED, reason, "", device.app_version, device.language)


def _withdrawn(pk: int, chunk: ClaimedChunk) -> Row:
    """Another step took its place while it waited here."""
    if chunk.repeated:
        return Row(pk, Message.State.UNKNOWN, Reason.NO_ANSWER)
    return Row(pk, Message.State.EXPIRED, Reason.WITHDRAWN)


def _too_late(pk: int, chunk: ClaimedChunk) -> Row:
    """Its time is over: because our credential was refused all the while, or by itself."""
    if chunk.repeated:
        return Row(pk, Message.State.UNKNOWN, Reason.NO_ANSWER)
    if chunk.reason == Reason.CREDENTIAL_REFUSED:
        return Row(pk, Message.State.FAILED, Reason.CREDENTIAL_REFUSED)
    return Row(pk, Message.State.EXPIRED, Reason.TOO_LATE)


def _outcomes(future: Future[list[list[Outcome]]], window: Window) -> list[list[Outcome]]:
    """What the providers answered; doubt for the whole window if one of them broke down."""
    try:
        return future.result()
    except Exception:
        log.exception("a provider failed while a window was on the wire")
        doubt = Outcome(verdict=Verdict.UNKNOWN, reason="internal error", cause=Cause.INTERNAL)
        return [[doubt] * len(addressed) for addressed in window.to_send.values()]
