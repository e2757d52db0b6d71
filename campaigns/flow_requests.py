"""What other systems send through the steps of a scenario: taken in, reported once, listed."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from campaigns import failover, flows, ids, intake, outbox
from campaigns.flows import Step
from campaigns.models import Bulk, FlowDestination, Journey, Leg, Message, Stage, WebhookEvent
from devices.models import Address, Identity

KEPT = timedelta(hours=48)
PAGE = 200  # destinations that are read together
Rejection = FlowDestination.Rejection


# ------------------------------------------------------------------- taking in


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Who is meant; "" is not given."""

    to: Mapping[str, str]  # as it was given
    own_id: str = ""
    number: str = ""  # digits
    bad_number: bool = False
    email: str = ""  # as identities keep it
    registration: str = ""  # public id


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One message to some recipients, by these steps."""

    steps: Sequence[Step]
    recipients: Sequence[Recipient]
    starts_at: datetime
    bulk_id: str = ""
    callback_data: str = ""
    notify: Mapping[str, Any] = field(default_factory=dict)


@transaction.atomic
def submit(request: Request, now: datetime) -> list[FlowDestination]:
    """Take a request in: what is due begins its first step at once."""
    free = intake.use({each.own_id for each in request.recipients if each.own_id})
    rejections = [_rejection(each, free) for each in request.recipients]
    taken = [
        each
        for each, refused in zip(request.recipients, rejections, strict=True)
        if refused == Rejection.NONE
    ]
    journeys = iter(_journeys(request, taken, now) if taken else ())
    destinations = [
        FlowDestination(
            journey=None if refused else next(journeys),
            bulk_id=request.bulk_id,
            public_id=each.own_id or str(uuid.uuid4()),
            to=dict(each.to),
            channel=request.steps[0].channel,
            rejection=refused,
            notify=dict(request.notify),
            callback_data=request.callback_data,
            created_at=now,
        )
        for each, refused in zip(request.recipients, rejections, strict=True)
    ]
    written = FlowDestination.objects.bulk_create(destinations)
    senders = (step.application for step in request.steps if step.application is not None)
    sender = next(senders, None)
    outbox.note_destinations(written, sender.pk if sender is not None else None)
    return written


def _rejection(recipient: Recipient, free: set[str]) -> Rejection:
    """An id is used up by the first destination that has it."""
    if recipient.own_id:
        if recipient.own_id not in free:
            return Rejection.DUPLICATE
        free.remove(recipient.own_id)
    return Rejection.BAD_NUMBER if recipient.bad_number else Rejection.NONE


def _journeys(request: Request, taken: Sequence[Recipient], now: datetime) -> list[Journey]:
    first = Bulk(
        origin=Bulk.Origin.API, status=Bulk.Status.SENDING, frozen_at=now,
        starts_at=request.starts_at,
    )  # fmt: skip
    if request.bulk_id:
        first.bulk_id = request.bulk_id
    tells = outbox.tells_of(request.notify)
    flow = flows.make(request.steps, first, tells and tells | WebhookEvent.SEEN)
    people, devices = _people(taken), _devices(taken)
    journeys = Journey.objects.bulk_create(
        Journey(
            flow=flow,
            # One that nobody has names nobody, and not the owner of the number beside it.
            registration_id=devices.get(each.registration, 0) if each.registration else None,
            person_id=people.get(each.number) or people.get(each.email),
            number=each.number,
            step=-1,
            started_at=request.starts_at,
            deadline=request.starts_at,
        )
        for each in taken
    )
    if request.starts_at <= now:
        failover.Moving(flow, now).begin(journeys)
    return journeys


def _people(taken: Sequence[Recipient]) -> dict[str, int]:
    """Whom numbers and addresses belong to."""
    known = Identity.objects.filter(
        Q(kind=Identity.Kind.PHONE, value__in={each.number for each in taken if each.number})
        | Q(kind=Identity.Kind.EMAIL, value__in={each.email for each in taken if each.email})
    )
    return dict(known.values_list("value", "person_id"))


def _devices(taken: Sequence[Recipient]) -> dict[str, int]:
    wanted = {each.registration for each in taken if each.registration}
    known = Address.objects.filter(public_id__in=wanted)
    return {str(public): key for public, key in known.values_list("public_id", "registration_id")}


# ------------------------------------------------------------------- telling


@dataclass(frozen=True, slots=True)
class Told:
    """How a message stands in one step; of a rejected one there is only its destination."""

    destination: FlowDestination
    channel: str
    sender: str
    text: str
    state: Journey.State
    reason: int
    sent_at: datetime
    done_at: datetime | None
    parts: int
    price: Decimal  # of a part
    currency: str
    answer: str = ""  # of the gateway to a text message that did not arrive


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which are wanted; empty is any."""

    bulk_ids: Sequence[str] = ()
    message_ids: Sequence[str] = ()
    channel: str = ""
    to: str = ""
    sender: str = ""
    since: datetime | None = None
    until: datetime | None = None


_TAKE = """
WITH picked AS (
    SELECT d.id
    FROM campaigns_flowdestination d
    LEFT JOIN campaigns_journey j ON j.id = d.journey_id
    LEFT JOIN campaigns_flow f ON f.id = j.flow_id
    WHERE d.taken_at IS NULL AND (j.id IS NULL OR j.state <> 0)
      AND coalesce(j.ended_at, d.created_at) > now() - %(kept)s::interval
      AND (%(bulk)s = '' OR d.bulk_id = %(bulk)s)
      AND (%(message)s = '' OR d.public_id = %(message)s)
      AND (%(channel)s = ''
           OR coalesce(f.steps -> j.step::int ->> 'channel', d.channel) = %(channel)s)
    ORDER BY d.id DESC
    LIMIT %(limit)s
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE campaigns_flowdestination d SET taken_at = now() FROM picked WHERE d.id = picked.id
RETURNING d.id
"""


@transaction.atomic
def take(wish: Wish, limit: int) -> list[Told]:
    """Ends that nobody was told yet, newest first; from now on they were told."""
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE,
            {
                "kept": f"{KEPT.total_seconds()} seconds", "limit": limit, "channel": wish.channel,
                "bulk": next(iter(wish.bulk_ids), ""),
                "message": next(iter(wish.message_ids), ""),
            },
        )  # fmt: skip
        keys = [key for (key,) in cursor.fetchall()]
    rows = FlowDestination.objects.filter(pk__in=keys).order_by("-pk")
    return [steps[0] for steps in _told(rows.select_related("journey__flow"))]


def history(wish: Wish) -> Iterator[Told]:
    """Each step tried, of the newest message first; its last step first."""
    rows = FlowDestination.objects.filter(created_at__gte=timezone.now() - KEPT).select_related(
        "journey__flow"
    )
    if wish.bulk_ids:
        rows = rows.filter(bulk_id__in=wish.bulk_ids)
    if wish.message_ids:
        rows = rows.filter(public_id__in=wish.message_ids)
    last: int | None = None
    while True:
        page = rows.order_by("-pk") if last is None else rows.filter(pk__lt=last).order_by("-pk")
        found = list(page[:PAGE])
        for steps in _told(found):
            yield from (each for each in steps if _fits(each, wish))
        if len(found) < PAGE:
            return
        last = found[-1].pk


def steps_of(destinations: Sequence[int]) -> dict[int, list[Told]]:
    """The steps of these destinations, the last first."""
    rows = FlowDestination.objects.filter(pk__in=destinations).select_related("journey__flow")
    found = list(rows)
    return {row.pk: told for row, told in zip(found, _told(found), strict=True)}


def _fits(told: Told, wish: Wish) -> bool:
    return (
        (not wish.channel or told.channel == wish.channel)
        and (not wish.sender or told.sender == wish.sender)
        and (not wish.to or _plain(wish.to) in map(_plain, told.destination.to.values()))
        and (wish.since is None or told.sent_at >= wish.since)
        and (wish.until is None or told.sent_at < wish.until)
    )


def _plain(to: str) -> str:
    """A number as reports write it, whether it was given with a plus or without."""
    return to.strip().removeprefix("+")


def _told(rows: Sequence[FlowDestination] | Any) -> Iterator[list[Told]]:
    """The steps of each destination, its last first."""
    rows = list(rows)
    journeys = [row.journey for row in rows if row.journey is not None]
    left: dict[int, list[Stage]] = {}
    for stage in Stage.objects.filter(journey__in=journeys).order_by("-step"):
        left.setdefault(stage.journey_id, []).append(stage)
    flow_keys = {journey.flow_id for journey in journeys}
    every = Bulk.objects.filter(flow__in=flow_keys).in_bulk()
    bulks = {(bulk.flow_id, bulk.step): bulk for bulk in every.values()}
    late = _late(left, every)
    answers = _answers(journeys, left, bulks)
    for row in rows:
        if row.journey is None:
            yield [_rejected(row)]
            continue
        begun = [row.journey] if row.journey.step >= 0 else []
        yield [
            _step(row, row.journey, at, bulks, answers, late)
            for at in (*begun, *left.get(row.journey.pk, ()))
        ]


def _step(
    row: FlowDestination,
    journey: Journey,
    at: Journey | Stage,
    bulks: Mapping[tuple[int | None, int], Bulk],
    answers: Mapping[tuple[int, int], str],
    late: Mapping[tuple[int, int], datetime],
) -> Told:
    said = journey.flow.steps[at.step]
    bulk = bulks.get((journey.flow_id, at.step))
    arrived = late.get((journey.pk, at.step)) if isinstance(at, Stage) else None
    return Told(
        destination=row,
        channel=said["channel"],
        sender=said["sender"],
        text=bulk.content[0].get("text", "") if bulk is not None and bulk.content else "",
        state=Journey.State.DELIVERED if arrived else Journey.State(at.state),
        reason=0 if arrived else at.reason,
        sent_at=at.started_at,
        done_at=arrived or at.ended_at,
        parts=at.parts,
        price=Decimal(at.price),
        currency=at.currency,
        answer="" if arrived else answers.get((journey.pk, at.step), ""),
    )


def _rejected(row: FlowDestination) -> Told:
    return Told(
        row, row.channel, "", "", Journey.State.FAILED, 0, row.created_at, row.created_at, 0,
        Decimal(0), "",
    )  # fmt: skip


def _answers(
    journeys: Sequence[Journey],
    left: Mapping[int, Sequence[Stage]],
    bulks: Mapping[tuple[int | None, int], Bulk],
) -> dict[tuple[int, int], str]:
    """What gateways said of text messages that did not arrive, by journey and step."""
    wanted: dict[uuid.UUID, tuple[int, int]] = {}
    for journey in journeys:
        steps: list[Journey | Stage] = [journey, *left.get(journey.pk, ())]
        for at in steps:
            bulk = bulks.get((journey.flow_id, at.step))
            ended = at.state in (Journey.State.FAILED, Journey.State.EXPIRED)
            if bulk is not None and ended and journey.flow.steps[at.step]["channel"] == "SMS":
                wanted[ids.message_id(bulk, journey.pk)] = (journey.pk, at.step)
    known = Message.objects.filter(pk__in=wanted).exclude(answer="") if wanted else ()
    return {wanted[each.pk]: each.answer for each in known}


def _late(
    left: Mapping[int, Sequence[Stage]], by_key: Mapping[int, Bulk]
) -> dict[tuple[int, int], datetime]:
    """When a message arrived whose step had been left already."""
    legs = Leg.objects.filter(journey__in=left, bulk__in=by_key)
    wanted = {
        ids.message_id(by_key[leg.bulk_id], leg.recipient): (leg.journey_id, leg.bulk_id)
        for leg in legs
    }
    arrived = Message.objects.filter(pk__in=wanted, delivered_at__isnull=False)
    found: dict[tuple[int, int], datetime] = {}
    for key, at in arrived.values_list("pk", "delivered_at"):
        journey, bulk = wanted[key]
        if at is not None:
            found[journey, by_key[bulk].step] = at
    return found
