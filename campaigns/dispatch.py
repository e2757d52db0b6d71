"""Chunk → provider → outcomes.

A worker holds several chunks at once, each in a lane of its own: while the window of one is
on the wire, the next of another is loaded, rendered and recorded, so that the wire never
waits for the database, nor the database for the wire.
"""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from campaigns import channels, ids, ledger
from campaigns.ledger import ClaimedChunk, LeaseLostError, Retry, Row, WindowResult
from campaigns.models import Bulk, Message, Reason, RepeatPolicy
from campaigns.rendering import Renderer
from devices import closing
from devices.closing import DeadAddress
from devices.models import Address, ProviderCredential
from providers import loop
from providers.base import Addressed, Cause, CredentialError, Outcome, PayloadTooLarge, Verdict

log = logging.getLogger(__name__)

ATTEMPTS = 6  # contract/providers.md 1.4
REPEATS_IN_DOUBT = 2  # contract/providers.md 10.4
LONGEST_DELAY = 15 * 60.0  # seconds
PAUSED_DELAY = timedelta(seconds=20)  # how often a paused credential is looked at again
SANE_PAGE = 50  # answers from which shares of dead addresses mean something: DROP-5

REASON_OF_CAUSE = {
    Cause.NONE: Reason.CLOUD_ERROR,
    Cause.UNINSTALLED: Reason.UNINSTALLED,
    Cause.MISMATCHED_SENDER: Reason.MISMATCHED_SENDER,
    Cause.MALFORMED_TOKEN: Reason.MALFORMED_TOKEN,
    Cause.PAYLOAD_REFUSED: Reason.PAYLOAD_REFUSED,
    Cause.TOO_LARGE: Reason.TOO_LARGE,
    Cause.CLOUD_ERROR: Reason.CLOUD_ERROR,
    Cause.CLOUD_UNAVAILABLE: Reason.CLOUD_UNAVAILABLE,
    Cause.CREDENTIAL_REFUSED: Reason.CREDENTIAL_REFUSED,
    Cause.NO_ANSWER: Reason.NO_ANSWER,
    Cause.NOT_SENT: Reason.CLOUD_UNAVAILABLE,
    Cause.INTERNAL: Reason.INTERNAL,
}
CLOSED_OF_CAUSE = {
    Cause.UNINSTALLED: Address.Closed.UNINSTALLED,
    Cause.MISMATCHED_SENDER: Address.Closed.MISMATCHED,
    Cause.MALFORMED_TOKEN: Address.Closed.MALFORMED,
}


@dataclass(frozen=True, slots=True)
class Recipient:
    """A device of a window as it stands now."""

    id: int
    enabled: bool
    language: str
    app_version: int
    provider: str
    environment: str
    kind: str
    token: str


@dataclass(slots=True)
class Window:
    """Devices of one chunk that go out together."""

    until: int  # the chunk's cursor once it is recorded
    decided: list[Row] = field(default_factory=list)  # final without being sent
    to_send: dict[int, list[tuple[Recipient, Addressed]]] = field(default_factory=dict)
    blocked: datetime | None = None  # its credential is paused: try again then


class Lane:
    """One chunk at a time: claim, send, record, window after window."""

    def __init__(self) -> None:
        self.chunk: ClaimedChunk | None = None
        self.bulk: Bulk | None = None
        self.renderer: Renderer | None = None
        self.credentials: dict[int, ProviderCredential] = {}
        self.window: Window | None = None
        self.future: Future[list[list[Outcome]]] | None = None
        self.deadline = timezone.now()

    # -- outward

    def fill(self, *, urgent: bool) -> bool:
        """Put the next window on the wire; False when there is nothing to send."""
        while True:
            if self.chunk is None:
                chunk = ledger.claim_chunk(urgent=urgent)
                if chunk is None:
                    return False
                self._begin(chunk)
            if self._launch():
                return True

    def _begin(self, chunk: ClaimedChunk) -> None:
        """Make ready for a chunk; first settle what a dead worker left of it on the wire."""
        self.chunk = chunk
        if self.bulk is None or self.bulk.pk != chunk.bulk_id:
            self.bulk = Bulk.objects.select_related("application").get(pk=chunk.bulk_id)
            self.renderer = Renderer(self.bulk)
            self.deadline = self.bulk.starts_at + timedelta(seconds=self.bulk.ttl)
        found = channels.credentials_of(self.bulk.application_id)
        assert self.renderer is not None
        self.renderer.credentials = found
        self.credentials = {each.pk: each for each in found.values()}
        if chunk.window_to is not None:
            settle(self.bulk, chunk)
            self._after_record()

    def _launch(self) -> bool:
        """Load, render, claim, send. False when the lane has become free instead."""
        chunk = self.chunk
        if chunk is None:
            return False
        assert self.bulk is not None
        window = self._prepare(chunk)
        if window.blocked is not None:
            ledger.release(chunk, not_before=window.blocked)
            self.chunk = None
            return False
        if not ledger.claim_window(chunk, window.until):
            ledger.release(chunk)
            self.chunk = None
            return False
        self.window = window
        self.future = loop.submit(self._send(window))
        return True

    async def _send(self, window: Window) -> list[list[Outcome]]:
        sends = [
            channels.channel(self.credentials[pk]).provider.send([one for _, one in addressed])
            for pk, addressed in window.to_send.items()
        ]
        return await asyncio.gather(*sends)

    # -- preparing

    def _prepare(self, chunk: ClaimedChunk) -> Window:
        assert self.bulk is not None
        assert self.renderer is not None
        until = min(chunk.cursor + settings.WINDOW_SIZE, chunk.size)
        window = Window(until=until)
        wanted = chunk.recipients[chunk.cursor : until]
        left = int((self.deadline - timezone.now()).total_seconds())
        if left <= 0:
            window.decided = [Row(pk, Message.State.EXPIRED, Reason.TOO_LATE) for pk in wanted]
            return window
        known = load(wanted)
        first = ids.first_id(self.bulk)
        for pk in wanted:
            device = known.get(pk)
            refusal = _gate(device)
            if device is None or refusal is not None:
                window.decided.append(_failed(pk, device, refusal or Reason.REGISTRATION_GONE))
                continue
            try:
                credential, payload = self.renderer.payload(chunk.platform, chunk.variant, device)
            except PayloadTooLarge:
                window.decided.append(_failed(pk, device, Reason.TOO_LARGE))
                continue
            except CredentialError:
                window.decided.append(_failed(pk, device, Reason.CREDENTIAL_REFUSED))
                continue
            if credential is None or payload is None:
                window.decided.append(_failed(pk, device, Reason.PROVIDER_OFF))
                continue
            if credential.paused_at is not None:
                window.blocked = min(timezone.now() + PAUSED_DELAY, self.deadline)
                return window
            addressed = Addressed(
                payload=payload,
                message_id=UUID(int=first | pk),
                token=device.token,
                token_kind=device.kind,
                ttl=left,
                environment=device.environment,
            )
            window.to_send.setdefault(credential.pk, []).append((device, addressed))
        return window

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
        dead: list[DeadAddress] = []
        refused: dict[int, str] = {}
        answers = 0
        outcomes = _outcomes(future, window)
        for (pk, addressed), answered in zip(window.to_send.items(), outcomes, strict=True):
            answers += len(answered)
            judge = _Judge(bulk, chunk, self.deadline, result)
            for (device, _), outcome in zip(addressed, answered, strict=True):
                judge.add(device, outcome)
            judge.finish()
            dead += judge.dead
            if judge.misconfigured:
                refused[pk] = judge.misconfigured
        try:
            ledger.record(bulk, chunk, result, now=timezone.now())
        except LeaseLostError:
            log.warning("chunk %s of bulk %s was taken over", chunk.id, bulk.pk)
            ledger.record_late(bulk, result.rows)
            self.chunk = None
            return 0
        if _is_sane(dead, answers):
            closing.close(dead)
        for pk, reason in refused.items():
            channels.pause(self.credentials[pk], reason)
        _stop_if_refused(bulk, result.rows)
        self._after_record()
        return size

    def _after_record(self) -> None:
        chunk = self.chunk
        if chunk is not None and chunk.cursor >= chunk.size:
            ledger.finish(chunk.bulk_id)
            self.chunk = None

    def let_go(self) -> None:
        """Give the chunk back, between two windows."""
        if self.chunk is not None and self.future is None:
            ledger.release(self.chunk)
            self.chunk = None


def work(*, seconds: float, urgent: bool = False) -> int:
    """Send what is due until nothing is, or the time is over; devices dealt with."""
    until = time.monotonic() + seconds
    lanes = [Lane() for _ in range(settings.WINDOWS_IN_FLIGHT)]
    count = 0
    while True:
        for lane in lanes:
            if lane.future is None:
                if time.monotonic() < until:
                    lane.fill(urgent=urgent)
                else:
                    lane.let_go()
        flying = {lane.future: lane for lane in lanes if lane.future is not None}
        if not flying:
            return count
        done, _ = wait(flying, timeout=settings.LEASE_SECONDS / 4, return_when=FIRST_COMPLETED)
        if not done:
            ledger.extend_leases(lane.chunk for lane in flying.values() if lane.chunk is not None)
        for future in done:
            count += flying[future].land()


def settle_abandoned() -> int:
    """Settle the windows of workers that died, whatever state their bulk is in."""
    count = 0
    while (chunk := ledger.claim_abandoned()) is not None:
        bulk = Bulk.objects.get(pk=chunk.bulk_id)
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
    if _repeats_in_doubt(bulk, chunk):
        result.retries.append(Retry(lost, bulk.starts_at, chunk.attempt + 1, Reason.WORKER_LOST))
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


def _gate(device: Recipient | None) -> Reason | None:
    """What keeps a device from being sent to, although it was frozen into the audience."""
    if device is None:
        return Reason.REGISTRATION_GONE
    if not device.enabled:
        return Reason.DISABLED
    if not device.token:
        return Reason.NO_TOKEN
    return None


def _failed(pk: int, device: Recipient | None, reason: Reason, answer: str = "") -> Row:
    return _row(pk, device, Message.State.FAILED, reason, answer)


def _row(
    pk: int, device: Recipient | None, state: Message.State, reason: Reason, answer: str = ""
) -> Row:
    if device is None:
        return Row(pk, state, reason, answer)
    return Row(pk, state, reason, answer, device.app_version, device.language)


def _outcomes(future: Future[list[list[Outcome]]], window: Window) -> list[list[Outcome]]:
    """What the providers answered; doubt for the whole window if one of them broke down."""
    try:
        return future.result()
    except Exception:
        log.exception("a provider failed while a window was on the wire")
        doubt = Outcome(verdict=Verdict.UNKNOWN, reason="internal error", cause=Cause.INTERNAL)
        return [[doubt] * len(addressed) for addressed in window.to_send.values()]


class _Judge:
    """Turns the outcomes of a window into rows, retries and closings."""

    def __init__(
        self, bulk: Bulk, chunk: ClaimedChunk, deadline: datetime, result: WindowResult
    ) -> None:
        self.bulk, self.chunk, self.deadline, self.result = bulk, chunk, deadline, result
        self.again: dict[tuple[int, Reason, int], list[int]] = {}
        self.dead: list[DeadAddress] = []
        self.misconfigured = ""

    def add(self, device: Recipient, outcome: Outcome) -> None:
        match outcome.verdict:
            case Verdict.ACCEPTED:
                row = _row(
                    device.id, device, Message.State.ACCEPTED, Reason.NONE, outcome.provider_id
                )
                self.result.rows.append(row)
            case Verdict.UNREGISTERED:
                self._fail(device, outcome)
                self._close(device, outcome)
            case Verdict.REJECTED:
                self._fail(device, outcome)
            case Verdict.TRY_LATER:
                self._later(device, outcome)
            case Verdict.MISCONFIGURED:
                self.misconfigured = self.misconfigured or _answer(outcome)
                self._repeat(device, 5.0, Reason.CREDENTIAL_REFUSED, self.chunk.attempt, outcome)
            case Verdict.NOT_SENT:
                self._repeat(device, 2.0, Reason.NOT_SENT, self.chunk.attempt, outcome)
            case Verdict.UNKNOWN:
                self._doubt(device, outcome)

    def _fail(self, device: Recipient, outcome: Outcome) -> None:
        reason = REASON_OF_CAUSE[outcome.cause]
        self.result.rows.append(_failed(device.id, device, reason, _answer(outcome)))

    def _close(self, device: Recipient, outcome: Outcome) -> None:
        closed = CLOSED_OF_CAUSE.get(outcome.cause)
        if closed is not None:
            digest = hashlib.sha256(device.token.encode()).digest()
            self.dead.append(
                DeadAddress(device.id, digest, closed, _answer(outcome), outcome.since)
            )

    def _later(self, device: Recipient, outcome: Outcome) -> None:
        """The cloud said "not now": another try with back-off, or the end of it."""
        if outcome.may_have_sent and self.bulk.repeat_policy == RepeatPolicy.NEVER:
            self._doubt(device, outcome)
        elif self.chunk.attempt + 1 >= ATTEMPTS:
            self._fail(device, outcome)
        else:
            delay = outcome.retry_after if outcome.retry_after is not None else 10.0
            if outcome.retry_after is None:
                delay = min(delay * 2.0**self.chunk.attempt, LONGEST_DELAY)
            self._repeat(device, delay, Reason.WAITING_FOR_RETRY, self.chunk.attempt + 1, outcome)

    def _doubt(self, device: Recipient, outcome: Outcome) -> None:
        if _repeats_in_doubt(self.bulk, self.chunk):
            self._repeat(device, 5.0, Reason.NO_ANSWER, self.chunk.attempt + 1, outcome)
        else:
            self.result.rows.append(
                _row(device.id, device, Message.State.UNKNOWN, Reason.NO_ANSWER, _answer(outcome))
            )

    def _repeat(
        self, device: Recipient, delay: float, reason: Reason, attempt: int, outcome: Outcome
    ) -> None:
        """Into a later chunk, unless the message's time is over by then."""
        if timezone.now() + timedelta(seconds=delay) >= self.deadline:
            ended = _row(
                device.id, device, Message.State.EXPIRED, Reason.TOO_LATE, _answer(outcome)
            )
            self.result.rows.append(ended)
        else:
            self.again.setdefault((int(delay), reason, attempt), []).append(device.id)

    def finish(self) -> None:
        now = timezone.now()
        for (delay, reason, attempt), recipients in self.again.items():
            # Half the delay again at most, so that a million do not come back in one second.
            spread = delay * random.uniform(1.0, 1.1 if delay > 60 else 1.5)  # noqa: S311
            not_before = min(now + timedelta(seconds=spread), self.deadline)
            self.result.retries.append(Retry(recipients, not_before, attempt, reason))


def _answer(outcome: Outcome) -> str:
    return f"{outcome.status} {outcome.reason}" if outcome.status else outcome.reason


def _repeats_in_doubt(bulk: Bulk, chunk: ClaimedChunk) -> bool:
    """Whether the campaign's owner chose that an unknown outcome is tried again."""
    return (
        bulk.repeat_policy == RepeatPolicy.WHEN_UNSURE
        and bulk.status != Bulk.Status.CANCELLED
        and chunk.attempt < REPEATS_IN_DOUBT
    )


def _is_sane(dead: Sequence[DeadAddress], answers: int) -> bool:
    """Whether so many dead addresses are believable, or a wrong setting (DROP-5)."""
    if answers < SANE_PAGE:
        return True
    gone = sum(one.reason is Address.Closed.UNINSTALLED for one in dead)
    wrong = len(dead) - gone
    sane = gone <= 0.6 * answers and wrong <= 0.05 * answers
    if not sane:
        log.error(
            "%s of %s addresses were called dead at once: none was closed", len(dead), answers
        )
    return sane


def _stop_if_refused(bulk: Bulk, rows: Sequence[Row]) -> None:
    """Pause a bulk whose notification is refused for everybody (contract/providers.md 9.3)."""
    refused = [row for row in rows if row.reason in (Reason.PAYLOAD_REFUSED, Reason.TOO_LARGE)]
    if len(refused) >= 3 and len(refused) == len(rows):
        Bulk.objects.filter(pk=bulk.pk, status=Bulk.Status.SENDING).update(
            status=Bulk.Status.PAUSED,
            status_reason="The cloud refuses this notification for every device: "
            + (refused[0].answer or refused[0].reason.sentence),
        )
