"""Flows of pushes and texts: who is sent to, what workers and time do to their steps."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from campaigns import dispatch, failover, fanout, folding, ids, reports
from campaigns.models import Bulk, Journey, Message
from campaigns.reports import Receipt
from devices.models import Application, Registration
from providers.base import Cause, Outcome, Verdict
from tests.campaigns.handing_over import CloudFor
from tests.factories import (
    make_application,
    make_credential,
    make_flow_bulk,
    make_gateway,
    make_person,
    make_registration,
)

State = Journey.State
DEAD = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404)
REFUSED = Outcome(verdict=Verdict.REJECTED, cause=Cause.CLOUD_ERROR, status=400)
_phones = iter(range(10**6))


class Shop:
    """An application with a push cloud and an SMS gateway, both of which answer as told."""

    def __init__(self, cloud_for: CloudFor) -> None:
        self.application: Application = make_application()
        self.push = cloud_for(make_credential(self.application))
        self.gateway = make_gateway(self.application)
        self.sms = cloud_for(self.gateway)

    def somebody(self, devices: int = 1, *, phone: str | None = None) -> list[Registration]:
        number = f"4179{next(_phones):07}" if phone is None else phone
        person = make_person(phone=number)
        return [make_registration(self.application, person=person) for _ in range(devices)]

    @property
    def texted(self) -> list[str]:
        return [one.token for one in self.sms.taken]


def launch(shop: Shop, **given: Any) -> Bulk:
    bulk = make_flow_bulk(shop.application, **given)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def go() -> None:
    """What workers and the timetable do, until there is nothing left to do now."""
    while dispatch.work(seconds=5) or failover.advance():
        pass


def sms_of(bulk: Bulk) -> Bulk:
    return Bulk.objects.get(flow=bulk.flow, step=1)


def say(bulk: Bulk, recipient: int, state: Message.State) -> None:
    receipt = Receipt(ids.message_id(bulk, recipient), state, timezone.now())
    folding.fold([reports.packed_call(bulk.application_id, None, [receipt])])


def let_expire(bulk: Bulk) -> None:
    assert bulk.flow is not None
    bulk.flow.journeys.filter(state=State.RUNNING).update(
        deadline=timezone.now() - timedelta(seconds=1)
    )


def only_journey(bulk: Bulk) -> Journey:
    return Journey.objects.get(flow=bulk.flow)
