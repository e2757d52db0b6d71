"""What tests of the OMNI API share: an account with its clouds, and time that passes for it."""

import uuid
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from campaigns import dispatch, failover, folding, ids, reports
from campaigns.models import Bulk, Journey, Message, Scenario
from campaigns.reports import Receipt
from devices.models import Application, ProviderCredential, Registration
from providers.base import Cause, Outcome, Verdict
from tests.api.systems import System, make_key
from tests.campaigns.conftest import Cloud
from tests.factories import (
    make_application,
    make_credential,
    make_gateway,
    make_person,
    make_registration,
)

ADVANCED, TEXT = "/omni/1/advanced", "/omni/1/text"
REPORTS, LOGS = "/omni/1/reports", "/omni/1/logs"
PHONE = "41793026731"
DEAD = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404)
CloudFor = Callable[[ProviderCredential], Cloud]


class Shop:
    """An account: an application, its clouds, a scenario and a system that calls."""

    def __init__(self, cloud_for: CloudFor) -> None:
        self.application: Application = make_application()
        self.push = cloud_for(make_credential(self.application))
        self.sms = cloud_for(make_gateway(self.application))
        make_key(scopes=["message:send", "mobile-app-messaging:logs:read"])
        self.system = System()
        self.scenario = self.make_scenario("PUSH", "SMS", default=True)

    def make_scenario(self, *channels: str, default: bool = False) -> Scenario:
        senders = {"PUSH": self.application.code, "SMS": "InfoSMS"}
        steps = [{"channel": each, "sender": senders.get(each, "Shop")} for each in channels]
        key = uuid.uuid4().hex.upper()
        return Scenario.objects.create(key=key, name="", steps=steps, default=default)

    def send(self, *to: dict[str, Any], path: str = ADVANCED, **given: Any) -> Any:
        body = {
            "destinations": [{"to": each} for each in to or ({"phoneNumber": PHONE},)],
            "push": {"text": "Your code is 1234"},
            "sms": {"text": "Code 1234"},
            **given,
        }
        return self.system.post(path, body)

    def reports(self, query: str = "") -> list[dict[str, Any]]:
        answer = self.system.get(f"{REPORTS}?{query}")
        assert answer.status_code == 200
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    def logs(self, query: str = "") -> list[dict[str, Any]]:
        answer = self.system.get(f"{LOGS}?{query}")
        assert answer.status_code == 200
        results: list[dict[str, Any]] = answer.json()["results"]
        return results


def owner(shop: Shop, phone: str = PHONE, **given: Any) -> Registration:
    return make_registration(shop.application, person=make_person(phone=phone), **given)


def go() -> None:
    while dispatch.work(seconds=5, urgent=True) or failover.advance():
        pass


def say(step: int, state: Message.State, recipient: int) -> None:
    bulk = Bulk.objects.get(step=step)
    told = Receipt(ids.message_id(bulk, recipient), state, timezone.now())
    folding.fold([reports.packed_call(bulk.application_id, None, [told])])
    go()


def let_expire() -> None:
    Journey.objects.filter(state=Journey.State.RUNNING).update(deadline=timezone.now())
    go()
