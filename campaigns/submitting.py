"""Other systems' messages → bulks, destinations, urgent chunks.

A request is written by one statement: it is accepted whole or not at all. What is for single
recipients, and for now, is frozen with it; a rule, and whatever is for later, by
campaigns.starting.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from campaigns import ids, intake, outbox, spreading
from campaigns.intake import Device, Kind, Rows, Wanted
from campaigns.models import Bulk, Rejection
from campaigns.spreading import Batch, Spread
from campaigns.targeting import Rule
from devices.models import Application


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom one destination names."""

    kind: Kind
    to: str  # as the caller is answered
    value: str = ""  # as it is stored; "" fits nobody
    rule: Rule = field(default_factory=dict)
    primary_only: bool = False
    own_id: str = ""  # the caller's id of the message; "": we make one
    fault: Rejection = Rejection.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One message, to all its destinations."""

    sender: str
    application: Application | None
    notification: Mapping[str, Any]  # fields of PushNotification
    targets: Sequence[Target]
    starts_at: datetime
    ttl: int  # seconds
    faults: frozenset[Rejection] = frozenset()  # of all its destinations
    window: Mapping[str, Any] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict)  # as it was written
    callback_data: str = ""
    reference: str = ""
    entity_id: str = ""
    platform_application_id: str = ""
    webhook: Mapping[str, Any] = field(default_factory=dict)
    origin: Bulk.Origin = Bulk.Origin.API


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of one destination at once."""

    public_id: str
    to: str
    rejection: Rejection = Rejection.NONE
    devices: int = 0  # 0: not known yet


@dataclass(slots=True)
class Accepted:
    """What became of a request."""

    placed: list[Placed] = field(default_factory=list)  # in the order of the destinations
    urgent: bool = False  # something may leave now
    to_freeze: list[int] = field(default_factory=list)  # keys of bulks


def submit(
    bulk_id: str, orders: Sequence[Order], *, now: datetime, pace: float | None = None
) -> Accepted:
    """Accept a request: write what is to be sent, and say what becomes of each destination."""
    own_ids = {t.own_id for order in orders if order.application for t in order.targets if t.own_id}
    if not own_ids:
        return _submit(bulk_id, orders, now, pace, set())
    with transaction.atomic():
        return _submit(bulk_id, orders, now, pace, intake.use(own_ids))


def _submit(
    bulk_id: str, orders: Sequence[Order], now: datetime, pace: float | None, free: set[str]
) -> Accepted:
    accepted, rows = Accepted(), Rows()
    numbers = intake.Numbers(len(orders))
    spread = Spread(pace)
    rejections = [[_rejection(order, each, free) for each in order.targets] for order in orders]
    found = iter(intake.resolve(_to_resolve(orders, rejections, now)))
    for order, refused in zip(orders, rejections, strict=True):
        draft = _Draft(rows, order, bulk_id, numbers, spread)
        for target, rejection in zip(order.targets, refused, strict=True):
            if rejection:
                placed = draft.reject(target, rejection)
            elif target.kind is Kind.RULE:
                placed = draft.add_rule(target, due=order.starts_at <= now)
            elif order.starts_at > now:
                placed = draft.add_later(target)
            else:
                placed = draft.add(target, next(found))
            accepted.placed.append(placed)
        accepted.urgent |= draft.finish()
        accepted.to_freeze += draft.to_freeze
    intake.write(rows)
    return accepted


def _rejection(order: Order, target: Target, free: set[str]) -> Rejection:
    """The first check that a destination fails; an id is used up by the first that has it."""
    if order.application is None:
        return Rejection.NO_APPLICATION
    if target.own_id:
        if target.own_id not in free:
            return Rejection.DUPLICATE
        free.remove(target.own_id)
    faults = order.faults | {target.fault} if target.fault else order.faults
    return min(faults, default=Rejection.NONE)


def _to_resolve(
    orders: Sequence[Order], rejections: Sequence[Sequence[Rejection]], now: datetime
) -> list[Wanted]:
    return [
        Wanted(order.application.pk, target.kind, target.value, target.primary_only)
        for order, refused in zip(orders, rejections, strict=True)
        for target, rejection in zip(order.targets, refused, strict=True)
        if order.application is not None and not rejection
        if order.starts_at <= now and target.kind is not Kind.RULE
    ]


class _Draft:
    """The rows of one order."""

    def __init__(
        self, rows: Rows, order: Order, bulk_id: str, numbers: intake.Numbers, spread: Spread
    ) -> None:
        self.rows = rows
        self.order = order
        self.bulk_id = bulk_id
        self.numbers = numbers
        self.spread = spread
        self.submission = numbers.submission()
        self.batches: list[Batch] = []
        self.later: int | None = None  # key of the bulk of what is for later
        self.to_freeze: list[int] = []
        rows.submissions.append(
            {
                "id": self.submission,
                "bulk_id": bulk_id,
                "application_id": order.application.pk if order.application else None,
                "sender": order.sender,
                "content": order.content,
                "callback_data": order.callback_data,
                "reference": order.reference,
                "entity_id": order.entity_id,
                "platform_application_id": order.platform_application_id,
                "webhook": order.webhook,
            }
        )

    def reject(self, target: Target, rejection: Rejection) -> Placed:
        placed = Placed(target.own_id or str(uuid.uuid4()), target.to, rejection)
        self._destination(target, placed)
        return placed

    def add(self, target: Target, devices: Sequence[Device]) -> Placed:
        """Send to these devices now; each row of a person's device carries the same id."""
        if not devices:
            return self.reject(target, Rejection.NOBODY)
        homes = [self._batch_without(key, platform) for key, platform in devices]
        messages = [self._message_id(pk, key) for pk, (key, _) in zip(homes, devices, strict=True)]
        own = target.own_id or (str(messages[0]) if len(devices) == 1 else str(uuid.uuid4()))
        placed = Placed(own, target.to, devices=len(devices))
        for pk, (key, _), message in zip(homes, devices, messages, strict=True):
            self._destination(target, placed, bulk=pk, key=key, ends=(message, message))
        return placed

    def _batch_without(self, key: int, platform: int) -> int:
        """A bulk that does not have this device yet: its key."""
        for batch in self.batches:
            if key not in batch.devices:
                break
        else:
            batch = Batch(self.numbers.bulk())
            self.batches.append(batch)
        batch.devices[key] = platform
        return batch.pk

    def add_later(self, target: Target) -> Placed:
        """Keep a destination until its bulk starts: only then it is looked up."""
        if self.later is None:
            self.later = self.numbers.bulk()
            self._bulk(self.later, Bulk.Status.PENDING)
        placed = Placed(target.own_id or str(uuid.uuid4()), target.to)
        self._destination(target, placed, bulk=self.later, keep=True)
        return placed

    def add_rule(self, target: Target, *, due: bool) -> Placed:
        """A rule has a bulk of its own, which is frozen in a moment, or when it starts."""
        assert self.order.application is not None
        if due and not intake.anybody(self.order.application, target.rule, target.primary_only):
            return self.reject(target, Rejection.NOBODY)
        pk = self.numbers.bulk()
        self._bulk(pk, Bulk.Status.PENDING, rule=target.rule, primary_only=target.primary_only)
        if due:
            self.to_freeze.append(pk)
        low, high = ids.id_range(intake.Numbered(pk, self.order.starts_at))
        placed = Placed(target.own_id or str(uuid.uuid4()), target.to)
        self._destination(target, placed, bulk=pk, ends=(low, high))
        return placed

    def finish(self) -> bool:
        """Write the bulks that were filled; whether there are any."""
        for batch in self.batches:
            self._bulk(batch.pk, Bulk.Status.SENDING, audience=len(batch.devices))
        self.rows.chunks += spreading.chunks(
            self.batches, self.spread, self.order.starts_at, self.order.window, self.order.ttl
        )
        return bool(self.batches)

    # -- rows

    def _message_id(self, bulk: int, key: int) -> uuid.UUID:
        return ids.message_id(intake.Numbered(bulk, self.order.starts_at), key)

    def _bulk(
        self,
        pk: int,
        status: Bulk.Status,
        *,
        rule: Rule | None = None,
        primary_only: bool = False,
        audience: int = 0,
    ) -> None:
        order = self.order
        assert order.application is not None
        self.rows.bulks.append(
            {
                "id": pk,
                "bulk_id": self.bulk_id,
                "application_id": order.application.pk,
                "status": status,
                "content": [{"language": "", "variant": 0, **order.notification}],
                "rule": rule or {},
                "primary_only": primary_only,
                "ttl": order.ttl,
                "pace": self.spread.pace,
                "window": order.window,
                "starts_at": order.starts_at,
                "expires_at": order.starts_at + timedelta(seconds=order.ttl),
                "audience": audience,
                "frozen_at": order.starts_at if audience else None,
                "origin": order.origin,
                "tells": outbox.tells_of(order.webhook),
            }
        )

    def _destination(
        self,
        target: Target,
        placed: Placed,
        *,
        bulk: int | None = None,
        key: int | None = None,
        ends: tuple[uuid.UUID, uuid.UUID] | None = None,
        keep: bool = False,
    ) -> None:
        asked = {"kind": target.kind, "value": target.value, "primary_only": target.primary_only}
        self.rows.destinations.append(
            {
                "submission_id": self.submission,
                "bulk_id": bulk,
                "public_id": placed.public_id,
                "to": target.to,
                "asked": asked if keep else {},
                "rejection": placed.rejection,
                "devices": placed.devices,
                "registration_id": key,
                "message_from": str(ends[0]) if ends else None,
                "message_to": str(ends[1]) if ends else None,
                "starts_at": self.order.starts_at,
            }
        )
