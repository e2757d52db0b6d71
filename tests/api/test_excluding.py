"""Sends of other systems reach nobody whom an application must not contact."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from campaigns import dispatch, failover, fanout
from campaigns.models import Bulk, Message, Reason, Scenario, Segment
from devices.models import ProviderCredential, Registration
from tests.api.pushing import SEND, message, request_of, to
from tests.api.systems import System, make_key
from tests.campaigns.conftest import Cloud
from tests.factories import (
    do_not_contact,
    make_application,
    make_credential,
    make_gateway,
    make_person,
    make_registration,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]
CloudFor = Callable[[ProviderCredential], Cloud]


def refuse_contact(device: Registration) -> Reason:
    assert device.person is not None
    do_not_contact(device.application, device.person)
    return Reason.DO_NOT_CONTACT


def exclude(device: Registration) -> Reason:
    rule = {"field": "registration_id", "op": "is", "value": str(device.address.public_id)}
    Segment.objects.create(application=device.application, name="Out", rule=rule, excludes=True)
    return Reason.EXCLUDED


def go() -> None:
    for bulk in Bulk.objects.filter(status=Bulk.Status.PENDING):
        fanout.freeze(bulk)
    while dispatch.work(seconds=5, urgent=True) or failover.advance():
        pass


@pytest.mark.parametrize("how", [refuse_contact, exclude])
@pytest.mark.parametrize("kind", ["single", "rule"])
def test_a_push_of_the_api_is_not_sent_and_its_report_says_disabled(
    cloud_for: CloudFor,
    monkeypatch: pytest.MonkeyPatch,
    how: Callable[[Registration], Reason],
    kind: str,
) -> None:
    early = SimpleNamespace(now=lambda: timezone.now() - timedelta(seconds=10))
    monkeypatch.setattr("api.infobip.push.timezone", early)
    make_key(scopes=["mobile-app-messaging:manage"])
    application = make_application()
    cloud = cloud_for(make_credential(application))
    device = make_registration(application, person=make_person(external_id="jane"))
    reason = how(device)
    everybody = {"type": "MULTIPLE", "$or": [{"platform": "Android"}]}
    destination: Any = to(device) if kind == "single" else everybody
    system = System()

    assert system.post(SEND, request_of(message(application, destination))).status_code == 200
    go()

    assert cloud.taken == []
    assert Message.objects.get().reason == reason
    [report] = system.get("/push/3/reports").json()["results"]
    assert report["status"]["name"] == "UNDELIVERABLE_NOT_DELIVERED"
    assert report["error"]["name"] == "EC_REGISTRATION_ID_DISABLED"


@pytest.mark.parametrize("how", [refuse_contact, exclude])
def test_neither_step_of_an_omni_message_is_sent(
    cloud_for: CloudFor, monkeypatch: pytest.MonkeyPatch, how: Callable[[Registration], Reason]
) -> None:
    early = SimpleNamespace(now=lambda: timezone.now() - timedelta(seconds=10))
    monkeypatch.setattr("api.infobip.omni.timezone", early)
    make_key(scopes=["message:send", "mobile-app-messaging:logs:read"])
    application = make_application()
    push, sms = cloud_for(make_credential(application)), cloud_for(make_gateway(application))
    steps = [
        {"channel": "PUSH", "sender": application.code},
        {"channel": "SMS", "sender": "InfoSMS"},
    ]
    Scenario.objects.create(key="A" * 32, name="", steps=steps, default=True)
    how(make_registration(application, person=make_person(phone="41793026731")))
    system = System()

    body = {
        "destinations": [{"to": {"phoneNumber": "41793026731"}}],
        "push": {"text": "Your code is 1234"},
        "sms": {"text": "Code 1234"},
    }
    assert system.post("/omni/1/advanced", body).status_code == 200
    go()

    assert (push.taken, sms.taken) == ([], [])
    [report] = system.get("/omni/1/reports").json()["results"]
    assert report["channel"] == "SMS"
    assert report["status"]["name"] == "REJECTED_DESTINATION_BLOCKLISTED"
