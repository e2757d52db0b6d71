"""Verdicts of a provider → message rows, retries and dead addresses.

Source: contract/providers.md 1.4, 9.1, 9.3 and 10.4.
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from campaigns.ledger import ClaimedChunk, Retry, Row, WindowResult
from campaigns.models import Bulk, Counter, Message, Reason, RepeatPolicy
from devices import normalizing
from devices.closing import DeadAddress
from devices.models import Address, Breaker, ClosedNumber, ProviderCredential
from devices.numbers import DeadNumber
from providers.base import Addressed, Cause, Outcome, Scope, Verdict

ATTEMPTS = 6
REPEATS_IN_DOUBT = 2
LONGEST_DELAY = 15 * 60.0  # seconds
OUTAGE = 3  # answers without a time that make one, if they are most of a window's
FIRST_DELAY = 10.0  # seconds, where a provider has no figure of its own
STRANGERS = 4  # devices a new credential must not know before it is doubted itself

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
    Cause.NUMBER_REFUSED: Reason.NUMBER_REFUSED,
    Cause.OPTED_OUT: Reason.OPTED_OUT,
    Cause.UNDELIVERABLE: Reason.UNDELIVERABLE,
    Cause.ACCOUNT_REFUSED: Reason.ACCOUNT_REFUSED,
    Cause.NOT_IN_TIME: Reason.NOT_IN_TIME,
    Cause.NEVER_LEARNED: Reason.NEVER_LEARNED,
    Cause.NOTIFICATIONS_OFF: Reason.NOTIFICATIONS_OFF,
    Cause.DORMANT: Reason.DORMANT,
    Cause.REPLACED: Reason.REPLACED,
    Cause.LIMITED: Reason.LIMITED,
}
CLOSED_OF_CAUSE = {
    Cause.UNINSTALLED: Address.Closed.UNINSTALLED,
    Cause.MISMATCHED_SENDER: Address.Closed.MISMATCHED,
    Cause.MALFORMED_TOKEN: Address.Closed.MALFORMED,
}
UNKNOWN_HERE = frozenset({Cause.MISMATCHED_SENDER, Cause.MALFORMED_TOKEN})
CLOSED_NUMBER_OF_CAUSE = {
    Cause.NUMBER_REFUSED: ClosedNumber.Reason.REFUSED,
    Cause.OPTED_OUT: ClosedNumber.Reason.OPTED_OUT,
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
    excluded: int = 0  # the Reason for which nothing is sent to it


@dataclass(slots=True)
class Judge:
    """Turns what one credential's cloud answered to a window into what is recorded."""

    bulk: Bulk
    chunk: ClaimedChunk
    deadline: datetime
    result: WindowResult
    credential: ProviderCredential
    answers: int = 0
    accepted: int = 0
    dead: list[DeadAddress] = field(default_factory=list)
    dead_numbers: list[DeadNumber] = field(default_factory=list)
    silent: int = 0  # answers by which the cloud was away: not reached, or out of order
    misconfigured: str = ""  # the first such answer
    strangers: bool = False  # these devices do not show that they are wrong, not the credential
    again: dict[tuple[float, bool, Reason, int, bool], list[int]] = field(default_factory=dict)
    _told: list[float] = field(default_factory=list)  # pauses the cloud itself asked for
    _away: list[float] = field(default_factory=list)  # delays of answers that blame the cloud
    _unknown_here: list[tuple[Recipient, Addressed, Outcome]] = field(default_factory=list)

    def add(self, device: Recipient, sent: Addressed, outcome: Outcome) -> None:
        self.answers += 1
        match outcome.verdict:
            case Verdict.ACCEPTED:
                self.accepted += 1
                self._row(device, Message.State.ACCEPTED, Reason.NONE, outcome.provider_id)
            case Verdict.UNREGISTERED if outcome.cause in UNKNOWN_HERE:
                self._unknown_here.append((device, sent, outcome))
            case Verdict.UNREGISTERED:
                self._fail(device, outcome)
                self._close(device, sent, outcome)
            case Verdict.REJECTED:
                self._fail(device, outcome)
            case Verdict.TRY_LATER:
                self._later(device, outcome)
            case Verdict.MISCONFIGURED:
                self.misconfigured = self.misconfigured or told(outcome)
                self._repeat(device, 5.0, Reason.CREDENTIAL_REFUSED, outcome)
            case Verdict.NOT_SENT:
                self.silent += 1
                self._repeat(device, outcome.retry_after or 2.0, Reason.NOT_SENT, outcome)
            case Verdict.UNKNOWN:
                self._doubt(device, outcome)

    @property
    def away(self) -> bool:
        """Nothing of the window reached a cloud that works."""
        return 0 < self.answers == self.silent

    def finish(self) -> None:
        """Decide what needs the whole window, and write the retries down: one chunk for those
        that share delay, reason and attempt."""
        self.strangers = self._doubts_the_credential()
        for device, sent, outcome in self._unknown_here:
            self._close(device, sent, outcome)
            if self.strangers:
                self._repeat(device, 5.0, Reason.CREDENTIAL_REFUSED, outcome)
            else:
                self._fail(device, outcome)
        now = timezone.now()
        for (delay, told, reason, attempt, repeated), recipients in self.again.items():
            # Jitter, so that a million do not come back in one second; never sooner than told.
            low, high = (1.0, 1.1) if told else (0.5, 1.0)
            not_before = now + timedelta(seconds=delay * random.uniform(low, high))  # noqa: S311
            self.result.retries.append(
                Retry(recipients, min(not_before, self.deadline), attempt, reason, repeated)
            )

    def _doubts_the_credential(self) -> bool:
        """Whether a wrong project, bundle ID or environment is likelier than wrong devices.

        Then no message may fail for it: a person corrects the credential, and they go out.
        """
        count = len(self._unknown_here)
        if not count or self.accepted:
            return False
        if Breaker.objects.filter(pk=self.credential.pk, tripped_at__isnull=False).exists():
            return True  # somebody looks at it already
        if count < STRANGERS or 2 * count <= self.answers:
            return False
        since = self.credential.changed_at.replace(second=0, microsecond=0)
        proofs = Counter.objects.filter(
            bulk__application=self.bulk.application_id,
            platform=self.chunk.platform,
            minute__gte=since,
            accepted__gt=0,
        )
        return not proofs.exists()

    @property
    def pause(self) -> float:
        """Seconds for which the whole credential should rest; 0 when it need not.

        One answer that speaks for the account is enough, or one in which the cloud names the
        time. Without a time most answers must say so: a single 503 is no outage.
        """
        if self._told:
            return max(self._told)
        outage = len(self._away) >= OUTAGE and 2 * len(self._away) > self.answers
        return max(self._away) if outage else 0.0

    def _row(self, device: Recipient, state: Message.State, reason: Reason, answer: str) -> None:
        self.result.rows.append(
            Row(device.id, state, reason, answer, device.app_version, device.language)
        )

    def _fail(self, device: Recipient, outcome: Outcome) -> None:
        reason = REASON_OF_CAUSE[outcome.cause]
        self._row(device, Message.State.FAILED, reason, answer_of(outcome))

    def _close(self, device: Recipient, sent: Addressed, outcome: Outcome) -> None:
        number = CLOSED_NUMBER_OF_CAUSE.get(outcome.cause)
        if number is not None:
            self.dead_numbers.append(DeadNumber(sent.token, number, answer_of(outcome)))
        closed = CLOSED_OF_CAUSE.get(outcome.cause)
        if closed is not None:
            digest = normalizing.digest(sent.token)
            self.dead.append(
                DeadAddress(device.id, digest, closed, answer_of(outcome), outcome.since)
            )

    def _later(self, device: Recipient, outcome: Outcome) -> None:
        """The cloud said "not now": another try with back-off, or the end of it."""
        attempt = self.chunk.attempt
        if outcome.asked and outcome.retry_after is not None:
            delay = outcome.retry_after
        elif attempt and outcome.retry_after_again is not None:
            delay = outcome.retry_after_again
        else:
            first = FIRST_DELAY if outcome.retry_after is None else outcome.retry_after
            delay = min(first * 2.0**attempt, LONGEST_DELAY)
        if outcome.scope is not Scope.DEVICE:
            speaks_for_all = outcome.scope is Scope.ACCOUNT or outcome.asked
            (self._told if speaks_for_all else self._away).append(delay)
            self.silent += outcome.scope is Scope.SERVICE
        if outcome.may_have_sent and self.bulk.repeat_policy == RepeatPolicy.NEVER:
            self._doubt(device, outcome)
        elif attempt + 1 >= ATTEMPTS:
            # A refusal each time, whatever it may have meant: contract/providers.md 9.1.
            self._fail(device, outcome)
        else:
            self._repeat(device, delay, Reason.WAITING_FOR_RETRY, outcome, attempt + 1)

    def _doubt(self, device: Recipient, outcome: Outcome) -> None:
        if repeats_in_doubt(self.bulk, self.chunk):
            attempt = self.chunk.attempt + 1
            self._repeat(device, 5.0, Reason.NO_ANSWER, outcome, attempt, doubted=True)
        else:
            self._row(device, Message.State.UNKNOWN, Reason.NO_ANSWER, answer_of(outcome))

    def _repeat(
        self,
        device: Recipient,
        delay: float,
        reason: Reason,
        outcome: Outcome,
        attempt: int | None = None,
        *,
        doubted: bool = False,
    ) -> None:
        """Into a later chunk, unless the message's time is over by then."""
        repeated = self.chunk.repeated or outcome.may_have_sent or doubted
        if timezone.now() + timedelta(seconds=delay) >= self.deadline:
            # It may have arrived by an earlier try: then nobody can say that it did not.
            state, why = (
                (Message.State.UNKNOWN, Reason.NO_ANSWER)
                if repeated
                else (Message.State.EXPIRED, Reason.TOO_LATE)
            )
            self._row(device, state, why, answer_of(outcome))
            return
        told = outcome.asked or reason is Reason.NOT_SENT
        attempt = self.chunk.attempt if attempt is None else attempt
        key = (float(int(delay)), told, reason, attempt, repeated)
        self.again.setdefault(key, []).append(device.id)


def answer_of(outcome: Outcome) -> str:
    """The cloud's own words, as they are kept with the message."""
    return f"{outcome.status} {outcome.reason}" if outcome.status else outcome.reason


def told(outcome: Outcome) -> str:
    """What to do about a refused credential, with the cloud's own words."""
    return f"{outcome.remedy} ({answer_of(outcome)})" if outcome.remedy else answer_of(outcome)


def repeats_in_doubt(bulk: Bulk, chunk: ClaimedChunk) -> bool:
    """Whether the campaign's owner chose that an unknown outcome is tried again."""
    return (
        bulk.repeat_policy == RepeatPolicy.WHEN_UNSURE
        and bulk.status != Bulk.Status.CANCELLED
        and chunk.attempt < REPEATS_IN_DOUBT
    )
