"""api.infobip.omni: contract/omni.md 2 to 5."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from campaigns import dispatch, failover, folding, forgetting, ids, reports
from campaigns.models import (
    Bulk,
    Flow,
    FlowDestination,
    Journey,
    Leg,
    Message,
    Report,
    Scenario,
    Stage,
)
from campaigns.reports import Receipt
from devices.models import Application, ProviderCredential, Registration
from providers.base import Cause, Outcome, Verdict
from tests.api.pushing import ENROUTE
from tests.api.systems import System, make_key
from tests.campaigns.conftest import Cloud, cloud_for
from tests.factories import (
    make_application,
    make_credential,
    make_gateway,
    make_person,
    make_registration,
)

__all__ = ["cloud_for"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

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


@pytest.fixture
def shop(cloud_for: CloudFor, monkeypatch: pytest.MonkeyPatch) -> Shop:
    # What begins now is due by the clock of this test's transaction.
    early = SimpleNamespace(now=lambda: timezone.now() - timedelta(seconds=10))
    monkeypatch.setattr("api.infobip.omni.timezone", early)
    return Shop(cloud_for)


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


# ------------------------------------------------------------------- sending


def test_the_sample_of_the_contract(shop: Shop) -> None:
    owner(shop)

    answer = shop.send()

    assert answer.status_code == 200
    [message] = answer.json()["messages"]
    assert answer.json() == {
        "messages": [
            {"to": {"phoneNumber": PHONE}, "status": ENROUTE, "messageId": message["messageId"]}
        ]
    }
    assert uuid.UUID(message["messageId"])


def test_several_destinations_share_a_bulk_id(shop: Shop) -> None:
    to = [{"phoneNumber": PHONE}, {"emailAddress": "a@shop.example"}]

    answer = shop.send(*to).json()

    assert uuid.UUID(answer["bulkId"])
    assert [each["to"] for each in answer["messages"]] == to
    assert shop.send(bulkId="mine").json()["bulkId"] == "mine"


def test_a_push_goes_to_all_devices_of_whoever_has_the_number(shop: Shop) -> None:
    first = owner(shop)
    second = make_registration(shop.application, person=first.person)
    make_registration(shop.application, person=first.person, notifications_enabled=False)
    make_registration(shop.application, person=first.person, enabled=False)

    shop.send({"phoneNumber": f"+{PHONE}"})
    go()

    sent = {one.token for one in shop.push.taken}
    assert sent == {first.address.token, second.address.token}


@pytest.mark.parametrize(
    ("asked", "reached"),
    [
        ({"targetOnlyPrimaryDevices": True}, {"primary"}),
        ({"includeNotificationsDisabledDevices": True}, {"primary", "plain", "off"}),
        ({"deviceSubscriptions": ["news"]}, {"plain"}),
        ({"personSubscriptions": ["vip"]}, {"primary", "plain"}),
        ({"personSubscriptions": ["nothing"]}, set()),
    ],
)
def test_which_devices_are_meant(shop: Shop, asked: dict[str, Any], reached: set[str]) -> None:
    person = make_person(phone=PHONE, attributes={"vip": True})
    devices = {
        "primary": make_registration(shop.application, person=person, primary=True),
        "plain": make_registration(shop.application, person=person, attributes={"news": True}),
        "off": make_registration(shop.application, person=person, notifications_enabled=False),
    }
    names = {device.address.token: name for name, device in devices.items()}

    shop.send(push={"text": "Hi", **asked})
    go()

    assert {names[one.token] for one in shop.push.taken} == reached


def test_one_device_by_its_registration_and_a_text_to_the_number(shop: Shop) -> None:
    device = owner(shop)
    make_registration(shop.application, person=device.person)
    shop.push.answer = lambda one: DEAD

    shop.send({"pushRegistrationId": str(device.address.public_id), "phoneNumber": "41790000077"})
    go()

    assert [one.token for one in shop.push.taken] == [device.address.token]
    assert [one.token for one in shop.sms.taken] == ["41790000077"]


def test_a_registration_nobody_has_is_no_other_device(shop: Shop) -> None:
    owner(shop)

    shop.send({"pushRegistrationId": str(uuid.uuid4()), "phoneNumber": PHONE})
    go()

    assert shop.push.taken == []
    assert [one.token for one in shop.sms.taken] == [PHONE]


def test_what_a_push_says(shop: Shop) -> None:
    owner(shop)

    shop.send(
        push={
            "text": "Hello",
            "customPayload": {"order": 7},
            "notificationOptions": {
                "title": "Shop", "soundEnabled": False, "vibrationEnabled": False, "badge": 3,
                "contentUrl": "https://shop.example/a.png", "category": "mm_accept_decline",
                "inAppStyle": "BANNER", "isSilent": False, "webViewUrl": "https://shop.example/7",
            },
        }
    )  # fmt: skip
    go()

    [sent] = shop.push.taken
    payload: Any = sent.payload
    said = payload.notification
    assert (said.title, said.text, said.sound, said.vibrate) == ("Shop", "Hello", "", False)
    assert (said.badge, said.image_url) == (3, "https://shop.example/a.png")
    assert (said.category, said.in_app_style) == ("mm_accept_decline", "BANNER")
    assert said.custom_payload == {"order": 7}
    assert said.web_view_url == "https://shop.example/7"


def test_one_text_for_all_channels(shop: Shop) -> None:
    owner(shop)
    shop.push.answer = lambda one: DEAD

    answer = shop.system.post(
        TEXT, {"destinations": [{"to": {"phoneNumber": PHONE}}], "text": "Hi"}
    )
    go()

    assert answer.status_code == 200
    sent: list[Any] = [shop.push.taken[0].payload, shop.sms.taken[0].payload]
    assert [each.notification.text for each in sent] == ["Hi", "Hi"]
    assert sent[1].notification.sender == "InfoSMS"


def test_one_text_to_each_kind_of_destination(shop: Shop) -> None:
    scenario = shop.make_scenario("PUSH")
    person = make_person(phone=PHONE, email="ana@shop.example")
    devices = [make_registration(shop.application, person=person) for _ in range(2)]
    to = [
        {"phoneNumber": PHONE},
        {"emailAddress": "ana@shop.example"},
        {"pushRegistrationId": str(devices[0].address.public_id)},
    ]

    answer = shop.system.post(
        TEXT,
        {
            "scenarioKey": scenario.key,
            "bulkId": "b-1",
            "destinations": [{"to": each, "messageId": f"m-{at}"} for at, each in enumerate(to)],
            "text": "Hi",
        },
    )
    go()

    assert answer.status_code == 200
    assert answer.json() == {
        "bulkId": "b-1",
        "messages": [
            {"to": each, "status": ENROUTE, "messageId": f"m-{at}"} for at, each in enumerate(to)
        ],
    }
    first, second = (each.address.token for each in devices)
    assert sorted(one.token for one in shop.push.taken) == sorted([first] * 3 + [second] * 2)
    assert [each["messageId"] for each in shop.logs("messageId=m-1")] == ["m-1"]
    assert {each["messageId"] for each in shop.logs("messageId=m-0,m-2")} == {"m-0", "m-2"}


def test_what_is_for_later_waits_for_its_time(shop: Shop) -> None:
    owner(shop)
    later = timezone.now() + timedelta(hours=1)

    answer = shop.send(sendAt=later.isoformat())
    go()
    assert answer.json()["messages"][0]["status"]["name"] == "PENDING_ACCEPTED"
    assert shop.push.taken == []
    assert shop.logs() == []

    past = timezone.now() - timedelta(seconds=2)
    Journey.objects.update(deadline=past)
    Bulk.objects.update(starts_at=past)
    go()

    assert len(shop.push.taken) == 1


def test_a_step_takes_as_long_as_was_asked(shop: Shop) -> None:
    owner(shop)

    shop.send(push={"text": "Hi", "validityPeriod": 90, "validityPeriodTimeUnit": "SECONDS"})
    shop.send(push={"text": "Hi", "validityPeriod": 99, "validityPeriodTimeUnit": "DAYS"})
    shop.send()

    lasts = [each.deadline - each.started_at for each in Journey.objects.order_by("pk")]
    assert lasts == [timedelta(seconds=90), timedelta(hours=48), timedelta(hours=48)]


def test_a_text_may_take_a_time_of_its_own(shop: Shop) -> None:
    shop.send(sms={"text": "Hi", "validityPeriod": 2, "validityPeriodTimeUnit": "HOURS"})
    go()

    journey = Journey.objects.get()
    assert (journey.step, journey.deadline - journey.started_at) == (1, timedelta(hours=2))


def test_the_same_call_with_a_key_sends_once(shop: Shop) -> None:
    owner(shop)
    body = {"destinations": [{"to": {"phoneNumber": PHONE}}], "text": "Hi"}

    answers = [shop.system.post(TEXT, body, **{"Idempotency-Key": "k-1"}) for _ in range(3)]
    go()

    assert len({answer.content for answer in answers}) == 1
    assert len(shop.push.taken) == 1


@pytest.mark.django_db(transaction=True)
def test_fifty_repeats_at_once_send_one_message(shop: Shop) -> None:
    owner(shop)
    body = {"destinations": [{"to": {"phoneNumber": PHONE}}], "text": "Hi"}
    together = Barrier(50)

    def ask(_: int) -> tuple[int, bytes]:
        together.wait()
        try:
            answer = System().post(TEXT, body, **{"Idempotency-Key": "k-1"})
        finally:
            connection.close()
        return answer.status_code, answer.content

    with ThreadPoolExecutor(50) as callers:
        ((status, _),) = set(callers.map(ask, range(50)))
    go()

    assert status == 200
    assert FlowDestination.objects.count() == len(shop.push.taken) == 1


# ------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"destinations": []}, "destinations must not be empty"),
        ({"destinations": [{"to": {}}]}, "destinations[0].to must have a phoneNumber"),
        ({"destinations": [{"to": {"phoneNumber": 41}}]}, "destinations[0].to.phoneNumber must"),
        ({"push": {"text": ""}}, "push.text must not be blank"),
        ({"push": {"text": "x" * 2001}}, "push.text size must be at most 2000"),
        ({"push": {"text": "x", "customPayload": []}}, "push.customPayload must be an object"),
        ({"push": {"text": "x", "validityPeriod": 0}}, "push.validityPeriod must be at least 30"),
        ({"sms": {"text": ""}}, "sms.text must not be blank"),
        ({"notifyUrl": "ftp://x"}, "notifyUrl must be an absolute URL"),
        ({"callbackData": "x" * 4001}, "callbackData size must be at most 4000"),
        ({"sendAt": "2999-01-01T00:00:00.000+0000"}, "sendAt must be at most 180 days ahead"),
        ({"scenarioKey": "A" * 32}, "Unknown scenario"),
    ],
)
def test_a_request_that_cannot_be_taken(shop: Shop, given: dict[str, Any], text: str) -> None:
    answer = shop.send(**given)

    assert answer.status_code == 400
    told = answer.json()["requestError"]["serviceException"]
    assert told["messageId"] == "BAD_REQUEST"
    assert told["text"].startswith(text)
    assert not FlowDestination.objects.exists()


def test_without_a_key_the_default_scenario_is_needed(shop: Shop) -> None:
    Scenario.objects.update(default=False)

    assert shop.send().status_code == 400
    assert shop.send(scenarioKey=shop.scenario.key.lower()).status_code == 200


def test_a_number_that_is_none_and_an_id_that_was_used(shop: Shop) -> None:
    destinations = [
        {"to": {"phoneNumber": "12"}},
        {"to": {"phoneNumber": PHONE}, "messageId": "m-1"},
        {"to": {"phoneNumber": PHONE}, "messageId": "m-1"},
    ]

    answer = shop.send(destinations=destinations)
    again = shop.send(destinations=[destinations[1]])

    assert answer.status_code == 200
    told = [each["status"]["id"] for each in answer.json()["messages"]]
    assert told == [52, 7, 23]
    assert again.json()["messages"][0]["status"]["name"] == "REJECTED_DUPLICATE_MESSAGE_ID"


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
