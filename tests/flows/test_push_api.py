"""A push by API: to one device, through a cloud, to its phone, and back to who sent it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from campaigns import reconciling, tasks
from campaigns.models import Bulk, Message, Submission
from campaigns.store import store
from devices.models import Address, Application, Platform
from tests.api.pushing import message, to
from tests.api.systems import System, make_key
from tests.factories import make_person, make_registration
from tests.flows.conftest import make_shop
from tests.flows.processes import Gateways, Worker
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

PROMPT = {
    "speed": 20, "delivered": 1, "seen": 1, "offline": 0, "repeated": 0, "unknown": 0,
    "wrong_clock": 0, "out_of_order": 0, "uninstalled": 0,
}  # fmt: skip
CALM = {"latency_ms": 5, "busy": 0, "unavailable": 0, "unregistered": 0}
SEND = "/push/3/messages"


@pytest.fixture
def shop(gateways: Gateways, worker: Callable[..., Worker], live_server: LiveServer) -> Application:
    """A shop whose pushes reach phones that report at once."""
    store().flushdb()
    application = make_shop()
    codes = {"shop-test": application.code, "com.example.shop": application.code}
    gateways.ask("POST", "/behaviour", CALM)
    phones = {"base_url": live_server.url, "applications": codes, "rates": PROMPT}
    gateways.ask("POST", "/phones", phones)
    worker("quick", queues="urgent,receipts,default", children=3)
    return application


@pytest.fixture
def system() -> System:
    make_key(scopes=["mobile-app-messaging:manage"])
    return System()


def totals_of(system: System, bulk_id: str) -> dict[str, Any]:
    tasks.revive()
    tasks.consume_receipts.delay()
    totals: dict[str, Any] = system.get(f"/push/1/statistics?bulkId={bulk_id}").json()
    return totals


def test_a_push_to_one_device_is_told_alike_everywhere(
    shop: Application, system: System, gateways: Gateways
) -> None:
    device = make_registration(shop)
    answer = system.post(SEND, {"messages": [message(shop, to(device))]}).json()
    (sent,) = answer["messages"]
    assert sent["status"]["name"] == "PENDING_ENROUTE"
    bulk_id = answer["bulkId"]

    eventually(lambda: totals_of(system, bulk_id)["seen"] == 1, seconds=90, what="the phone saw it")

    totals = totals_of(system, bulk_id)
    assert totals["errors"] == {"registration": 0, "expired": 0, "cloud": 0}
    assert (totals["totalSent"], totals["delivered"], totals["delivery"]["rate"]) == (1, 1, 100)
    (report,) = system.get(f"/push/3/reports?bulkId={bulk_id}").json()["results"]
    (entry,) = system.get(f"/push/3/logs?bulkId={bulk_id}").json()["results"]
    assert report["messageId"] == entry["messageId"] == sent["messageId"]
    assert report["status"] == entry["status"]
    assert report["status"]["name"] == "DELIVERED_TO_HANDSET"
    assert report["doneAt"] == entry["doneAt"]
    assert report["sentAt"] == entry["sentAt"]
    assert report["to"] == str(device.address.public_id) == entry["destination"]
    (row,) = gateways.messages()
    assert row["message_id"] == sent["messageId"]
    assert gateways.ledger()["fcm"]["accepted"] == 1


def test_every_kind_of_destination_arrives_once(
    shop: Application, system: System, gateways: Gateways
) -> None:
    person = make_person(external_id="jane")
    phones = [
        make_registration(shop, person=person),
        make_registration(shop, person=person, platform=Platform.IOS, model="iPhone 6"),
    ]
    disabled = make_registration(shop, enabled=False)
    dead = make_registration(shop)
    gone = str(dead.address.public_id)
    Address.objects.filter(pk=dead.pk).update(token="", token_digest=None)
    soon = (timezone.now() + timedelta(seconds=3)).isoformat()
    jane = {"type": "EXTERNAL_USER_ID", "externalUserId": "jane"}
    rule = {"type": "MULTIPLE", "$and": [{"platform": "iOS"}], "$or": [{"deviceModel": "iPhone 6"}]}
    everybody = [jane, rule, to(disabled), to(dead), to(phones[0]), to(phones[0])]
    for schedule in ({"bulkId": "now"}, {"bulkId": "soon", "sendAt": soon}):
        body = {"messages": [message(shop, *everybody)], "options": {"schedule": schedule}}
        assert system.post(SEND, body).status_code == 200

    def settled(bulk_id: str) -> bool:
        totals = totals_of(system, bulk_id)
        return bool(totals["seen"] == 5 and totals["errors"]["registration"] == 2)

    for bulk_id in ("now", "soon"):
        eventually(lambda: settled(bulk_id), seconds=90, what=f"{bulk_id} is settled")  # noqa: B023

    for bulk_id in ("now", "soon"):
        totals = totals_of(system, bulk_id)
        assert (totals["totalSent"], totals["delivered"]) == (7, 5)
        reports = system.get(f"/push/3/reports?bulkId={bulk_id}").json()["results"]
        entries = system.get(f"/push/3/logs?bulkId={bulk_id}").json()["results"]
        told = sorted((each["messageId"], each["status"]["id"]) for each in reports)
        assert told == sorted((each["messageId"], each["status"]["id"]) for each in entries)
        errors = {each["to"]: each["error"]["id"] for each in reports if each["error"]["id"]}
        assert errors == {str(disabled.address.public_id): 8013, gone: 8004}
    accepted = gateways.ledger()
    assert sum(accepted[cloud]["accepted"] for cloud in ("fcm", "apns")) == 10
    assert sum(accepted[cloud]["distinct"] for cloud in ("fcm", "apns")) == 10
    assert Message.objects.count() == 14
    assert Submission.objects.count() == 2
    assert not any(reconciling.differences(bulk) for bulk in Bulk.objects.all())
