"""Why did this device not get that campaign? Every gate in order, with the values it saw.

What was written down at the launch is told as it was: who was in the audience, who was left
out and why, what the cloud answered. Whether a device matches a rule is not kept for those it
left aside, so each part of the rule is asked again today, and said to be of today.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.utils import timezone

from campaigns import audience, capping, excluding, explaining, ids, scheduling, turns
from campaigns.models import Bulk, Chunk, Journey, Leg, Message, Reason, Stage
from campaigns.reaching import CHANNELS
from campaigns.targeting import Rule, sentence
from devices.models import Registration

_S = Message.State
# Reasons for which nothing was handed to a cloud.
BEFORE_SENDING = frozenset(
    {
        Reason.REGISTRATION_GONE,
        Reason.DISABLED,
        Reason.DO_NOT_CONTACT,
        Reason.EXCLUDED,
        Reason.NO_TOKEN,
        Reason.PROVIDER_OFF,
        Reason.TOO_LATE,
    }
)
ACCEPTED = frozenset({_S.ACCEPTED, _S.DELIVERED, _S.SEEN, _S.CLICKED})


class Passage(StrEnum):
    PASSED = "passed"
    STOPPED = "stopped"
    WAITING = "waiting"
    UNREACHED = "unreached"


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of the audience's rule, and whether the device matches it today."""

    sentence: str
    matches: bool
    value: str = ""  # what the device has there today


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that had to be so, in the order it was asked."""

    name: str
    passage: Passage
    told: str = ""
    remedy: str = ""
    answer: str = ""  # the cloud's own word
    clauses: list[Clause] = field(default_factory=list)


NAMES = (
    "Registered before the launch",
    "Matched the audience",
    "May be notified",
    "Frequency cap",
    "Time of the day",
    "Sent",
    "Accepted by the cloud",
    "Delivered",
    "Seen",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A campaign and a device, and what was written down of both."""

    bulk: Bulk
    device: Registration
    chunk: Chunk | None  # the newest that names it: a retry follows the first try
    message: Message | None


def gates(bulk: Bulk, device: Registration) -> list[Gate]:
    """The gates between a campaign and a device; after the first that stopped it, no more."""
    chunks = Chunk.objects.filter(bulk=bulk, recipients__contains=[device.pk])
    case = Case(
        bulk,
        device,
        chunks.defer("recipients").order_by("-pk").first(),
        Message.objects.filter(pk=ids.message_id(bulk, device.pk)).first(),
    )
    asked: list[Gate] = []
    for ask in (
        _registered, _matched, _notifiable, _capped, _awake, _sent, _accepted, _delivered, _seen,
    ):  # fmt: skip
        gate = ask(case)
        asked.append(gate)
        if gate.passage is not Passage.PASSED:
            break
    return [*asked, *(Gate(name, Passage.UNREACHED) for name in NAMES[len(asked) :])]


def _registered(case: Case) -> Gate:
    name, bulk, launched = NAMES[0], case.bulk, case.bulk.frozen_at
    if launched is None:
        if bulk.status == Bulk.Status.CANCELLED:
            return Gate(name, Passage.STOPPED, "The campaign was cancelled before its launch.")
        return Gate(name, Passage.WAITING, "The campaign has not been launched yet.")
    if case.device.created_at > launched:
        return Gate(
            name,
            Passage.STOPPED,
            f"The device registered after the audience was written down: {_when(case)}.",
            "Send to newcomers again, if it still matters.",
        )
    return Gate(name, Passage.PASSED, f"{_when(case)[:1].upper()}{_when(case)[1:]}.")


def _at(case: Case, at: datetime) -> str:
    return scheduling.written(at, str(case.bulk.delivery.get("zone", "UTC")))


def _when(case: Case) -> str:
    """When the device came, and when the audience was written down."""
    assert case.bulk.frozen_at is not None
    came, frozen = _at(case, case.device.created_at), _at(case, case.bulk.frozen_at)
    return f"the device came {came}, the audience is of {frozen}"


def _matched(case: Case) -> Gate:
    name, bulk, device = NAMES[1], case.bulk, case.device
    if case.chunk is not None or case.message is not None:
        return Gate(name, Passage.PASSED, sentence(bulk.rule))
    clauses = []
    for part in _parts(bulk.rule):
        matching = audience.matching(bulk.application, part)
        value = explaining.told(device, part["field"]) if "field" in part else ""
        matches = matching.filter(pk=device.pk).exists()
        clauses.append(Clause(sentence(part), matches, value))
    told = "It was not in the audience that was written down at the launch."
    if all(each.matches for each in clauses):
        told += " It matches today, so it has changed since."
    return Gate(name, Passage.STOPPED, told, clauses=clauses)


def _parts(rule: Rule) -> list[Rule]:
    """What must hold one by one; a rule that is no list of such stays whole."""
    parts: Any = rule.get("all")
    return list(parts) if isinstance(parts, list) and parts else [rule]


def _notifiable(case: Case) -> Gate:
    name, chunk = NAMES[2], case.chunk
    if chunk is not None and chunk.status == Chunk.Status.LEFT_OUT:
        reason = Reason(chunk.reason)
        if reason in (Reason.CAPPED, *_BY_TIME):
            return Gate(name, Passage.PASSED)
        told = f"{reason.label}, at the launch.{_segments(case, reason)}"
        return Gate(name, Passage.STOPPED, told, reason.remedy)
    return Gate(name, Passage.PASSED, "It was switched on, and notifications were, at the launch.")


_BY_TIME = (Reason.ZONE_PASSED, Reason.QUIET_HOURS)


def _capped(case: Case) -> Gate:
    name, bulk, chunk = NAMES[3], case.bulk, case.chunk
    if bulk.delivery.get("transactional"):
        return Gate(name, Passage.PASSED, "It is transactional: no cap holds.")
    if not capping.holds(bulk):
        return Gate(name, Passage.PASSED, "The application had none.")
    cap = bulk.delivery["cap"]
    pushes = "1 push" if cap["count"] == 1 else f"{cap['count']} pushes"
    told = f"{pushes} in {cap['hours']} h was this application's limit"
    if chunk is None or chunk.reason != Reason.CAPPED:
        return Gate(name, Passage.PASSED, f"{told}.")
    zone = str(bulk.delivery.get("zone", "UTC"))
    uses = capping.uses_before(bulk, case.device, chunk.not_before)
    had = "; ".join(f"{each.name}, {scheduling.written(each.at, zone)}" for each in uses)
    reason = Reason.CAPPED
    return Gate(name, Passage.STOPPED, f"{told}: {had or 'it had as many'}.", reason.remedy)


def _awake(case: Case) -> Gate:
    name, bulk, chunk = NAMES[4], case.bulk, case.chunk
    quiet = turns.quiet_of(bulk)
    told = f"Quiet hours from {quiet.start:%H:%M} to {quiet.end:%H:%M} there." if quiet else ""
    if chunk is None:
        return Gate(name, Passage.PASSED)
    reason = Reason(chunk.reason)
    if chunk.status == Chunk.Status.LEFT_OUT and reason in _BY_TIME:
        where = turns.zone_name(bulk, chunk.timezone_offset)
        at = turns.clock_of(bulk, chunk.timezone_offset, chunk.starts_at or bulk.starts_at)
        said = f"{reason.label}. It was {at} there ({where})."
        return Gate(name, Passage.STOPPED, f"{said} {told}".strip(), reason.remedy)
    message = case.message
    if message is not None and message.reason == Reason.QUIET_HOURS:
        reason = Reason.QUIET_HOURS
        return Gate(name, Passage.STOPPED, f"{reason.label}. {told}".strip(), reason.remedy)
    if reason == Reason.WAITING_FOR_DAY and message is None and chunk.not_before > timezone.now():
        at = turns.clock_of(bulk, chunk.timezone_offset, chunk.not_before)
        return Gate(name, Passage.WAITING, f"{told} It goes out at {at} there.".strip())
    return Gate(name, Passage.PASSED, told)


def _segments(case: Case, reason: Reason) -> str:
    """Which segments leave it out, as they stand today."""
    if reason != Reason.EXCLUDED:
        return ""
    names = [f"“{segment.name}”" for segment in excluding.segments_with(case.device)]
    return f" Today it is in {' and '.join(names)}." if names else " Today it is in none."


def _sent(case: Case) -> Gate:
    name, bulk, chunk, message = NAMES[5], case.bulk, case.chunk, case.message
    if message is not None:
        reason = Reason(message.reason)
        if reason in BEFORE_SENDING:
            told = f"{reason.label}.{_segments(case, reason)}"
            return Gate(name, Passage.STOPPED, told, reason.remedy, message.answer)
        return Gate(name, Passage.PASSED, f"{_at(case, message.sent_at)}.")
    if chunk is not None and chunk.status == Chunk.Status.CANCELLED:
        return Gate(name, Passage.STOPPED, "The campaign was cancelled before its turn came.")
    if bulk.status == Bulk.Status.PAUSED:
        return Gate(name, Passage.WAITING, "The campaign is paused.", "Resume the campaign.")
    if chunk is not None and chunk.held:
        tested = "winner" in bulk.delivery
        told = "It gets the best variant, once that is known."
        if not tested:
            told = "Others are tried first: it waits until it is known how that went."
        return Gate(name, Passage.WAITING, told)
    if chunk is not None and chunk.reason:
        reason = Reason(chunk.reason)
        return Gate(name, Passage.WAITING, f"{reason.label}.", reason.remedy)
    if chunk is not None and chunk.not_before > timezone.now():
        return Gate(name, Passage.WAITING, "Its time has not come yet.")
    return Gate(name, Passage.WAITING, "It waits for its turn.")


def _accepted(case: Case) -> Gate:
    name, message = NAMES[6], case.message
    if message is None or message.state in ACCEPTED:
        return Gate(name, Passage.PASSED, answer=message.answer if message is not None else "")
    reason = Reason(message.reason)
    passage = Passage.WAITING if message.state == _S.UNKNOWN else Passage.STOPPED
    return Gate(name, passage, f"{reason.label}.", reason.remedy, message.answer)


def _delivered(case: Case) -> Gate:
    name, message = NAMES[7], case.message
    if message is not None and message.state in ACCEPTED - {_S.ACCEPTED}:
        told = f"{_at(case, message.delivered_at)}." if message.delivered_at else ""
        return Gate(name, Passage.PASSED, told)
    return Gate(
        name,
        Passage.WAITING,
        "The cloud took it, and the device has not said that it arrived.",
        "The phone may be off or without network, or its app does not report receipts.",
    )


def _seen(case: Case) -> Gate:
    name, message = NAMES[8], case.message
    if message is not None and message.state in {_S.SEEN, _S.CLICKED}:
        told = f"{_at(case, message.seen_at)}." if message.seen_at else ""
        return Gate(name, Passage.PASSED, told)
    return Gate(name, Passage.WAITING, "It arrived, and nobody has opened it.")


# ------------------------------------------------------------------- the steps after the push

_ARRIVED = frozenset({Journey.State.DELIVERED, Journey.State.ACCEPTED})


def later_steps(bulk: Bulk, device: Registration) -> list[Gate]:
    """What came of the other steps of the scenario, for whose device it is."""
    if bulk.flow is None or len(bulk.flow.steps) < 2:
        return []
    legs = Leg.objects.filter(bulk=bulk, recipient=device.pk)
    journey = Journey.objects.filter(flow=bulk.flow, pk__in=legs.values("journey")).first()
    if journey is None and device.person_id is not None:  # whose devices were all left out
        journey = Journey.objects.filter(flow=bulk.flow, person=device.person_id).first()
    left = {stage.step: stage for stage in journey.stages.all()} if journey is not None else {}
    bulks = {each.step: each for each in Bulk.objects.filter(flow=bulk.flow).order_by("-pk")}
    return [
        _step(bulk, number, said["channel"], journey, left.get(number), bulks.get(number))
        for number, said in enumerate(bulk.flow.steps)
        if number
    ]


def _step(
    first: Bulk,
    number: int,
    channel: str,
    journey: Journey | None,
    left: Stage | None,
    bulk: Bulk | None,
) -> Gate:
    name = f"{number + 1}. {CHANNELS.get(channel, channel)}"
    if journey is None or (left is None and journey.step < number):
        over = journey is not None and journey.state in _ARRIVED
        told = "Not needed: the step before it arrived." if over else ""
        return Gate(name, Passage.UNREACHED, told)
    here: Journey | Stage = journey if left is None else left
    state, reason = Journey.State(here.state), Reason(here.reason)
    zone = str(first.delivery.get("zone", "UTC"))
    began = f"Began {scheduling.written(here.started_at, zone)}."
    answer = ""
    if bulk is not None and channel == "SMS":
        key = ids.message_id(bulk, journey.pk)
        answer = Message.objects.filter(pk=key).values_list("answer", flat=True).first() or ""
    if state == Journey.State.RUNNING:
        until = scheduling.written(journey.deadline, zone)
        return Gate(name, Passage.WAITING, f"{began} It is waited for until {until}.", "", answer)
    if state in _ARRIVED:
        return Gate(name, Passage.PASSED, f"{began} {state.label}.", "", answer)
    said = reason.label if reason else state.label
    return Gate(name, Passage.STOPPED, f"{began} {said}.", reason.remedy if reason else "", answer)
