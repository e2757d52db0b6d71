"""api.infobip.omni: sending, and what is refused (contract/omni.md 2)."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from campaigns.models import Bulk, FlowDestination, Journey, Scenario
from tests.api.omni import DEAD, PHONE, TEXT, Shop, go, owner
from tests.api.pushing import ENROUTE
from tests.api.systems import System
from tests.factories import make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

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
