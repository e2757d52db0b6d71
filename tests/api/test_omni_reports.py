"""api.infobip.omni: how a message moves, its reports and logs (contract/omni.md 3 to 5)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from campaigns import forgetting
from campaigns.models import Bulk, Flow, FlowDestination, Journey, Leg, Message, Report, Stage
from devices.models import Application, ProviderCredential
from tests.api.omni import LOGS, PHONE, REPORTS, Shop, go, let_expire, owner, say
from tests.api.pushing import ENROUTE
from tests.api.systems import System

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

# ------------------------------------------------------------------- how a message moves


def test_one_device_that_reports_is_one_report(shop: Shop) -> None:
    device = owner(shop)
    sent = shop.send(callbackData="order 7").json()["messages"][0]
    go()
    assert shop.reports() == []

    say(0, Message.State.DELIVERED, device.pk)

    [report] = shop.reports()
    assert report == {
        "messageId": sent["messageId"],
        "to": PHONE,
        "sentAt": report["sentAt"],
        "doneAt": report["doneAt"],
        "messageCount": 1,
        "price": {"pricePerMessage": 0, "currency": "EUR"},
        "status": {
            "groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET",
            "description": "Message delivered to handset",
        },
        "error": {
            "groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR",
            "description": "No Error", "permanent": False,
        },
        "channel": "PUSH",
        "callbackData": "order 7",
    }  # fmt: skip
    assert report["sentAt"].endswith("+0000")
    assert shop.reports() == []
    assert not Report.objects.exists()  # those of the push API are others


def test_an_unknown_number_is_reported_by_sms(shop: Shop) -> None:
    shop.send(bulkId="b-1")
    go()
    [journey] = Journey.objects.all()

    say(1, Message.State.DELIVERED, journey.pk)

    [report] = shop.reports()
    assert (report["channel"], report["status"]["id"], report["bulkId"]) == ("SMS", 5, "b-1")
    assert report["price"] == {"pricePerMessage": 0.045, "currency": "EUR"}


def test_a_scenario_of_push_alone_reports_that_nobody_is_there(shop: Shop) -> None:
    scenario = shop.make_scenario("PUSH")

    shop.send(scenarioKey=scenario.key)
    go()

    [report] = shop.reports()
    assert (report["channel"], report["status"]["id"]) == ("PUSH", 66)


@pytest.mark.parametrize(
    ("channels", "given", "status"),
    [
        (["PUSH"], {"push": None}, 31),
        (["SMS"], {"sms": None}, 31),
        (["VIBER"], {}, 19),
        (["SMS"], {"sms": {"text": "x" * 1600}}, 25),
        (["PUSH"], {"push": {"text": "x", "notificationOptions": {"inboxTopic": "none"}}}, 73),
    ],
)
def test_steps_that_cannot_run_say_why(
    shop: Shop, channels: list[str], given: dict[str, Any], status: int
) -> None:
    owner(shop)

    shop.send(scenarioKey=shop.make_scenario(*channels).key, **given)
    go()

    [report] = shop.reports()
    assert report["status"]["id"] == status
    assert (shop.push.taken, shop.sms.taken) == ([], [])


def test_without_a_gateway_there_is_no_route(shop: Shop) -> None:
    ProviderCredential.objects.filter(provider="sms").update(enabled=False)

    shop.send()
    go()

    [report] = shop.reports()
    assert (report["channel"], report["status"]["id"]) == ("SMS", 19)


def test_an_application_that_is_switched_off(shop: Shop) -> None:
    owner(shop)
    Application.objects.update(enabled=False)

    shop.send(scenarioKey=shop.make_scenario("PUSH").key)
    go()

    [report] = shop.reports()
    assert (report["status"]["id"], report["error"]["id"]) == (65, 8008)


# ------------------------------------------------------------------- reports and logs


def test_a_filtered_call_takes_only_what_it_returns(shop: Shop) -> None:
    scenario = shop.make_scenario("PUSH")
    for bulk in ("b-1", "b-2"):
        shop.send(scenarioKey=scenario.key, bulkId=bulk)
    sent = shop.send(scenarioKey=scenario.key).json()["messages"][0]["messageId"]
    go()

    assert [each["bulkId"] for each in shop.reports("bulkId=b-2")] == ["b-2"]
    assert shop.reports("channel=SMS") == []
    assert [each["messageId"] for each in shop.reports(f"messageId={sent}")] == [sent]
    assert len(shop.reports("channel=PUSH&limit=1")) == 1
    assert shop.reports() == []


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "channel=PIGEON"])
@pytest.mark.parametrize("path", [REPORTS, LOGS])
def test_a_query_that_cannot_be_read(shop: Shop, path: str, query: str) -> None:
    answer = shop.system.get(f"{path}?{query}")

    assert answer.status_code == 400
    assert answer.json()["requestError"]["serviceException"]["messageId"] == "BAD_REQUEST"


def test_reports_older_than_two_days_are_dropped(shop: Shop) -> None:
    shop.send(scenarioKey=shop.make_scenario("PUSH").key)
    go()
    Journey.objects.update(ended_at=timezone.now() - timedelta(hours=49))

    assert shop.reports() == []


def test_logs_have_a_row_for_each_step_and_can_be_read_again(shop: Shop) -> None:
    device = owner(shop)
    sent = shop.send(bulkId="b-1").json()["messages"][0]
    go()
    let_expire()

    sms, push = shop.logs()

    assert sms == {
        "bulkId": "b-1",
        "messageId": sent["messageId"],
        "to": PHONE,
        "from": "InfoSMS",
        "text": "Code 1234",
        "sentAt": sms["sentAt"],
        "messageCount": 1,
        "price": {"pricePerMessage": 0.045, "currency": "EUR"},
        "status": ENROUTE,
        "channel": "SMS",
    }
    assert (push["channel"], push["from"]) == ("PUSH", shop.application.code)
    assert (push["status"]["id"], "doneAt" in push) == (15, True)
    say(0, Message.State.DELIVERED, device.pk)

    late = shop.logs("channel=PUSH")
    assert [each["status"]["id"] for each in late] == [5]
    assert [each["status"]["id"] for each in shop.logs("channel=SMS")] == [7]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("from=InfoSMS", 1),
        (f"to={PHONE}", 2),
        ("to=41790000000", 0),
        ("bulkId=b-1,b-2", 2),
        ("bulkId=b-2", 0),
        ("generalStatus=PENDING", 1),
        ("generalStatus=UNDELIVERABLE", 1),
        ("sentSince=2020-01-01T00:00:00.000%2B0000", 2),
        ("sentUntil=2020-01-01T00:00:00.000+0000", 0),
        ("limit=1", 1),
    ],
)
def test_logs_are_filtered(shop: Shop, query: str, rows: int) -> None:
    shop.send(bulkId="b-1")
    go()

    assert len(shop.logs(query)) == rows


@pytest.mark.parametrize("asked", [PHONE, f"%2B{PHONE}"])
def test_logs_find_a_number_however_it_was_written(shop: Shop, asked: str) -> None:
    shop.send({"phoneNumber": f"+{PHONE}"})
    go()

    rows = shop.logs(f"to={asked}")

    assert rows
    assert {each["to"] for each in rows} == {PHONE}


def test_what_was_sent_is_forgotten_with_its_messages(shop: Shop, settings: Any) -> None:
    settings.MESSAGE_RETENTION_DAYS = 10
    owner(shop)
    shop.send({"phoneNumber": PHONE}, {"phoneNumber": "12"})
    shop.send(scenarioKey=shop.make_scenario("VIBER").key)
    go()
    let_expire()
    let_expire()
    Bulk.objects.update(status=Bulk.Status.DONE)
    assert forgetting.drop_submitted(seconds=30) == 0

    with time_machine.travel(timezone.now() + timedelta(days=11), tick=True):
        forgetting.drop_submitted(seconds=30)

    models = (Bulk, Flow, Journey, Stage, Leg, FlowDestination)
    assert [model.objects.count() for model in models] == [0] * len(models)


@pytest.mark.django_db(transaction=True)
def test_twenty_readers_take_each_report_once(shop: Shop) -> None:
    scenario = shop.make_scenario("PUSH")
    for _ in range(5):
        to = [{"phoneNumber": f"4179300{number:04}"} for number in range(40)]
        shop.send(*to, scenarioKey=scenario.key)
    go()

    def read(_: int) -> list[str]:
        mine: list[str] = []
        try:
            while found := System().get(f"{REPORTS}?limit=7").json()["results"]:
                mine += [each["messageId"] for each in found]
        finally:
            connection.close()
        return mine

    with ThreadPoolExecutor(20) as readers:
        taken = [name for mine in readers.map(read, range(20)) for name in mine]

    taken += [each["messageId"] for each in shop.reports("limit=1000")]
    assert len(taken) == len(set(taken)) == 200
