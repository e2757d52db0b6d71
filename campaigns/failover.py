"""Step after step: a message that does not arrive by one way takes the next.

Whoever writes an outcome or a receipt leaves a note with each journey it concerns, in the same
transaction. `advance` takes notes and journeys whose time is over, and in one transaction, under
the lock of each journey, decides, closes the step and writes the chunk of the next. A process
that dies has done all of that or nothing, and two at once do it once.

Source: contract/omni.md 2.3; contract/providers.md 6.5.
"""

import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from campaigns import boarding, folding, ids, outbox
from campaigns.models import Bulk, Flow, Journey, JourneyNote, Leg, Message, Reason, Stage

log = logging.getLogger(__name__)

BATCH = 500  # journeys decided together
SECONDS = 5.0  # then others may have the worker

_STEP_ENDED = (Message.State.FAILED, Message.State.EXPIRED)
_ARRIVED = (Message.State.DELIVERED, Message.State.SEEN, Message.State.CLICKED)
_UNDECIDED = (Message.State.UNKNOWN, Message.State.ACCEPTED)


# ------------------------------------------------------------------- notes

_NOTE = """
INSERT INTO campaigns_journeynote (flow_id, journey_id)
SELECT DISTINCT j.flow_id, j.id
FROM campaigns_leg l JOIN campaigns_journey j ON j.id = l.journey_id
WHERE l.bulk_id = %s AND l.recipient = ANY(%s) AND (l.recipient = ANY(%s) OR j.step > %s)
"""


def note(bulk: Bulk, outcomes: Iterable[tuple[int, Message.State]]) -> None:
    """Leave a note with the journeys of a recorded window that may have to go on."""
    told = list(outcomes)
    if bulk.flow is None or not told:
        return
    concerned = set(_STEP_ENDED)
    if bulk.flow.steps[bulk.step].get("accepted_is_enough"):
        concerned.add(Message.State.ACCEPTED)
    everybody = [recipient for recipient, _ in told]
    moves = [recipient for recipient, state in told if state in concerned]
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [bulk.pk, everybody, moves, bulk.step])


# ------------------------------------------------------------------- what a window asks


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a recipient's message may still leave, and until when."""

    open: bool
    deadline: datetime
    number: str
    text: str  # of a text message with merge tags, filled in as its step began

    def seconds(self, *, at_most: int) -> int:
        """How long it is worth anything; the timetable ends its step."""
        left = int((self.deadline - timezone.now()).total_seconds())
        return max(1, min(left, at_most))


_STANDING = """
SELECT l.recipient, j.state <= %s AND j.step = %s, j.deadline, j.number, l.text
FROM campaigns_leg l JOIN campaigns_journey j ON j.id = l.journey_id
WHERE l.bulk_id = %s AND l.recipient = ANY(%s)
"""


def standings(bulk: Bulk, recipients: Sequence[int]) -> dict[int, Standing]:
    """Where the journeys of a window's recipients stand; none for a bulk of one step.

    Who has it on one device still gets it on the others.
    """
    if bulk.flow_id is None:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, [Journey.State.ACCEPTED, bulk.step, bulk.pk, list(recipients)])
        return {recipient: Standing(*row) for recipient, *row in cursor.fetchall()}


# ------------------------------------------------------------------- moving on


def advance(*, seconds: float = SECONDS) -> int:
    """Draw the consequences of notes and deadlines; how many journeys were looked at."""
    until, count = time.monotonic() + seconds, 0
    while done := _advance_some():
        count += done
        if time.monotonic() >= until:
            break
    return count


def is_needed() -> bool:
    """Whether there is anything to draw consequences of."""
    due = Journey.objects.filter(state=Journey.State.RUNNING, deadline__lte=timezone.now())
    return JourneyNote.objects.exists() or due.exists()


def _advance_some() -> int:
    """One batch of one flow, so that the bulks of a flow are always locked in their order."""
    with transaction.atomic():
        taken = _take_notes()
        if taken is not None:
            flow_id, noted = taken
            journeys = list(
                Journey.objects.select_for_update(no_key=True).filter(pk__in=noted).order_by("pk")
            )
            looked_at = max(len(noted), 1)
        else:
            journeys = _take_due()
            if not journeys:
                return 0
            flow_id, looked_at = journeys[0].flow_id, len(journeys)
        _move(Flow.objects.get(pk=flow_id), journeys, timezone.now())
    return looked_at


def _take_notes() -> tuple[int, set[int]] | None:
    """The oldest note that nobody else has in hand, with others of its flow."""
    free = JourneyNote.objects.select_for_update(skip_locked=True).order_by("pk")
    first = free.first()
    if first is None:
        return None
    notes = list(free.filter(flow_id=first.flow_id)[:BATCH])
    JourneyNote.objects.filter(pk__in=[each.pk for each in notes]).delete()
    return first.flow_id, {each.journey_id for each in notes}


def _take_due() -> list[Journey]:
    """Journeys of one flow whose step is over, that nobody else has in hand."""
    due = (
        Journey.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(state=Journey.State.RUNNING, deadline__lte=timezone.now())
        .order_by("deadline", "pk")
    )
    first = due.first()
    if first is None:
        return []
    others = due.filter(flow_id=first.flow_id).exclude(pk=first.pk)[: BATCH - 1]
    return [first, *others]


def _move(flow: Flow, journeys: Sequence[Journey], now: datetime) -> None:
    """Close the steps that are over, begin the next, and withdraw what was left behind."""
    bulks = {bulk.pk: bulk for bulk in Bulk.objects.filter(flow=flow)}
    legs = list(Leg.objects.filter(journey__in=journeys))
    known = _messages(legs, bulks)
    here: dict[int, list[Message | None]] = {}
    at = {each.pk: each.step for each in journeys}
    for leg in legs:
        if bulks[leg.bulk_id].step == at[leg.journey_id]:
            message = known.get((leg.bulk_id, leg.recipient))
            here.setdefault(leg.journey_id, []).append(message)
    moving = Moving(flow, now)
    for journey in journeys:
        if journey.state != Journey.State.RUNNING:
            continue
        if journey.step < 0:
            moving.depart(journey)
            continue
        ended = _outcome(flow, journey, here.get(journey.pk, []), now)
        if ended is not None:
            moving.close(journey, *ended)
    moving.go_on()
    steps = {each.pk: each.step for each in journeys}
    _withdraw(
        [
            message
            for leg in legs
            if bulks[leg.bulk_id].step < steps[leg.journey_id]
            if (message := known.get((leg.bulk_id, leg.recipient))) is not None
            if message.state in _UNDECIDED
        ],
        bulks,
        now,
    )


def _messages(legs: Collection[Leg], bulks: Mapping[int, Bulk]) -> dict[tuple[int, int], Message]:
    firsts = {pk: ids.message_id(bulk, 0).int for pk, bulk in bulks.items()}
    wanted = [UUID(int=firsts[leg.bulk_id] | leg.recipient) for leg in legs]
    rows = Message.objects.filter(pk__in=wanted).only("pk", "bulk_id", "state", "reason")
    return {(row.bulk_id, row.pk.int & ids.RECIPIENT_MASK): row for row in rows}


def _outcome(
    flow: Flow, journey: Journey, messages: Sequence[Message | None], now: datetime
) -> tuple[Journey.State, Reason] | None:
    """What a step has come to, or None while it may still deliver (contract/omni.md 2.3)."""
    written = [message for message in messages if message is not None]
    if any(message.state in _ARRIVED for message in written):
        return Journey.State.DELIVERED, Reason.NONE
    enough = flow.steps[journey.step].get("accepted_is_enough", False)
    if enough and any(message.state == Message.State.ACCEPTED for message in written):
        return Journey.State.ACCEPTED, Reason.NONE
    if not messages:
        return Journey.State.FAILED, Reason.NO_DEVICE
    if len(written) == len(messages) and all(m.state in _STEP_ENDED for m in written):
        failed = [m for m in written if m.state == Message.State.FAILED]
        state = Journey.State.FAILED if failed else Journey.State.EXPIRED
        return state, Reason((failed or written)[0].reason)
    if journey.deadline <= now:
        return Journey.State.EXPIRED, Reason.NOT_IN_TIME
    return None


def _withdraw(messages: Sequence[Message], bulks: Mapping[int, Bulk], now: datetime) -> None:
    """End what an earlier step left undecided: no app and no cloud gets it any more.

    What has no row yet is stopped before it leaves, by `standings`.
    """
    by_application: dict[int, list[Message]] = {}
    for message in messages:
        by_application.setdefault(bulks[message.bulk_id].application_id, []).append(message)
    for application, group in sorted(by_application.items()):
        folding.withdraw(application, [message.pk for message in group], now)


class Moving:
    """Journeys of a flow that have closed a step: what they leave, and where they go."""

    def __init__(self, flow: Flow, now: datetime) -> None:
        self.flow = flow
        self.now = now
        self.stages: list[Stage] = []
        self.closed: list[tuple[int, int, bool]] = []  # journey, step, whether it was the end
        self.changed: dict[int, Journey] = {}
        self.waiting: dict[int, list[Journey]] = {}  # by the step they stand before

    def close(self, journey: Journey, state: Journey.State, reason: Reason) -> None:
        """End the step; the journey with it if it arrived, or there is no other step."""
        self.changed[journey.pk] = journey
        arrived = state in (Journey.State.DELIVERED, Journey.State.ACCEPTED)
        over = arrived or state == Journey.State.CANCELLED
        over = over or journey.step + 1 >= len(self.flow.steps)
        self.closed.append((journey.pk, journey.step, over))
        if over:
            journey.state, journey.reason, journey.ended_at = state, reason, self.now
            journey.number = ""  # nothing is sent any more, and people may be erased
            return
        self.stages.append(
            Stage(
                journey=journey, step=journey.step, state=state, reason=reason,
                started_at=journey.started_at, ended_at=self.now, parts=journey.parts,
                price=journey.price, currency=journey.currency,
            )
        )  # fmt: skip
        journey.step += 1
        journey.started_at = self.now
        journey.parts, journey.price, journey.currency = 0, 0, ""
        self.waiting.setdefault(journey.step, []).append(journey)

    def go_on(self) -> None:
        """Begin steps, in their order, until each journey is in one or at its end."""
        while self.waiting:
            step = min(self.waiting)
            self._begin(step, self.waiting.pop(step))
        Stage.objects.bulk_create(self.stages)
        Journey.objects.bulk_update(
            sorted(self.changed.values(), key=lambda journey: journey.pk),
            ["step", "state", "reason", "started_at", "deadline", "ended_at", "number", "parts",
             "price", "currency"],
        )  # fmt: skip
        outbox.note_journeys(self.flow, self.closed)

    def begin(self, journeys: Iterable[Journey]) -> None:
        """Put journeys that were just written into their first step."""
        for journey in journeys:
            self.depart(journey)
        self.go_on()

    def depart(self, journey: Journey) -> None:
        """Let a journey stand before its first step."""
        self.changed[journey.pk] = journey
        journey.step, journey.started_at = 0, self.now
        self.waiting.setdefault(0, []).append(journey)

    def _begin(self, step: int, journeys: list[Journey]) -> None:
        said: dict[str, Any] = self.flow.steps[step]
        for journey in journeys:
            journey.deadline = self.now + timedelta(seconds=said["validity"])
        bulks = list(
            Bulk.objects.select_for_update(no_key=True, of=("self",))
            .select_related("application")
            .filter(flow=self.flow, step=step)
            .order_by("pk")
        )
        if not bulks:
            refused = {each.pk: Reason(said.get("refused", Reason.NO_ROUTE)) for each in journeys}
        elif bulks[0].status == Bulk.Status.CANCELLED:
            for journey in journeys:
                self.close(journey, Journey.State.CANCELLED, Reason.NONE)
            return
        else:
            refused = boarding.board(bulks, journeys, said)
        for journey in journeys:
            if journey.pk in refused:
                self.close(journey, Journey.State.FAILED, refused[journey.pk])


# Whom somebody else has in hand is let go: its next step finds the bulk cancelled.
_CANCEL = """
UPDATE campaigns_journey SET state = %s, ended_at = now(), number = ''
WHERE id IN (SELECT id FROM campaigns_journey
             WHERE flow_id = %s AND state = 0
             ORDER BY id
             FOR NO KEY UPDATE SKIP LOCKED)
"""


def cancel(flow_id: int) -> int:
    """End the journeys of a flow that somebody took back, after its bulks; how many."""
    with connection.cursor() as cursor:
        cursor.execute(_CANCEL, [Journey.State.CANCELLED, flow_id])
        return int(cursor.rowcount)
