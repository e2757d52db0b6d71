"""The samples of Infobip's page "OMNI channel: Push example": whole requests, whole answers."""

from typing import Any

import pytest

from campaigns.models import Bulk, Journey, Message, Scenario
from tests.api.omni import DEAD, Shop, go, owner, say
from tests.api.pushing import ENROUTE
from tests.api.systems import System, basic, make_api_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

ALADDIN = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
NUMBER = "41793026727"
PUSH_TEXT = "This PUSH message will pop up on your mobile device."
SMS = {"text": "This is the SMS failover message"}
PAYLOAD = {"contentUrl": "https://someurl.com/content", "deepLink": "myApp://some/link"}
OPTIONS = {
    "vibrationEnabled": True,
    "soundEnabled": True,
    "soundName": "sound.wav",
    "badge": 1,
    "contentUrl": "http://www.mydomain.com/images/image1.jpg",
    "category": "mm_accept_decline",
    "inAppStyle": "MODAL",
    "title": "This is some title",
}


@pytest.fixture
def system(shop: Shop) -> System:
    """Whoever the page's header names, and the page's scenario."""
    make_api_user("Aladdin", "open sesame", scopes=["message:send"])
    assert basic("Aladdin", "open sesame") == ALADDIN
    Scenario.objects.all().delete()
    system = System()
    system.headers = {"Authorization": ALADDIN}
    return system


def flow_of(shop: Shop, sender: str = "InfoSMS") -> list[dict[str, str]]:
    return [
        {"from": shop.application.code, "channel": "PUSH"},
        {"from": sender, "channel": "SMS"},
    ]


def create(shop: Shop, system: System, name: str = "My PUSH-SMS scenario", **given: str) -> Any:
    body = {"name": name, "flow": flow_of(shop, **given), "default": True}
    return system.post("/omni/1/scenarios", body)


@pytest.mark.parametrize(
    ("name", "sender"),
    [
        ("My PUSH-SMS scenario", "InfoSMS"),
        ("push + SMS scenario", "YOUR_REGISTERED_SMS_SENDER"),  # of the page about sending
    ],
)
def test_a_scenario_is_created(shop: Shop, system: System, name: str, sender: str) -> None:
    answer = create(shop, system, name, sender=sender)

    assert answer.status_code == 200
    assert answer.json() == {
        "key": Scenario.objects.get().key,
        "name": name,
        "flow": flow_of(shop, sender=sender),
        "default": True,
    }


@pytest.mark.parametrize("path", ["/omni/1/scenarios", "/omni/1/advanced"])
def test_without_authorization_it_is_401(shop: Shop, system: System, path: str) -> None:
    system.headers = {}

    assert system.post(path, {}).status_code == 401
    assert not Scenario.objects.exists()


@pytest.mark.parametrize(
    "push",
    [
        {"text": PUSH_TEXT},
        {"text": PUSH_TEXT, "customPayload": PAYLOAD},
        {
            "text": PUSH_TEXT,
            "customPayload": PAYLOAD,
            "notificationOptions": OPTIONS,
            "targetOnlyPrimaryDevices": True,
            "includeNotificationsDisabledDevices": True,
        },
    ],
)
def test_each_sample_of_a_message(shop: Shop, system: System, push: dict[str, Any]) -> None:
    key = create(shop, system).json()["key"]
    device = owner(
        shop, NUMBER, primary=True, notifications_enabled="notificationOptions" not in push
    )

    answer = system.post(
        "/omni/1/advanced",
        {
            "scenarioKey": key,
            "destinations": [{"to": {"phoneNumber": NUMBER}}],
            "push": push,
            "sms": SMS,
        },
    )

    assert answer.status_code == 200
    [message] = answer.json()["messages"]
    assert answer.json() == {
        "messages": [
            {
                "to": {"phoneNumber": NUMBER},
                "status": ENROUTE,
                "messageId": message["messageId"],
            }
        ]
    }
    go()
    [sent] = shop.push.taken
    said: Any = sent.payload
    assert said.notification.text == PUSH_TEXT
    assert said.notification.custom_payload == push.get("customPayload", {})
    assert Bulk.objects.get(step=0).application_id == device.application_id
    if "notificationOptions" in push:
        shown = said.notification
        assert (shown.title, shown.sound, shown.badge) == ("This is some title", "sound.wav", 1)
        assert (shown.vibrate, shown.in_app_style) == (True, "MODAL")
        assert (shown.category, shown.image_url) == ("mm_accept_decline", OPTIONS["contentUrl"])


def test_reports_hold_all_messages_rejected_and_delivered(shop: Shop, system: System) -> None:
    pushed = shop.make_scenario("PUSH")
    owner(shop, "41793026731")
    shop.push.answer = lambda one: DEAD
    shop.send({"phoneNumber": "41793026731"}, scenarioKey=pushed.key)
    key = create(shop, system).json()["key"]
    shop.send({"phoneNumber": NUMBER}, scenarioKey=key)
    go()
    say(1, Message.State.DELIVERED, Journey.objects.latest("pk").pk)

    answer = system.get("/omni/1/reports")

    told = {report["channel"]: report for report in answer.json()["results"]}
    assert set(told) == {"PUSH", "SMS"}
    known = {channel: {name: told[channel].pop(name) for name in ("messageId", "sentAt", "doneAt")}
             for channel in told}  # fmt: skip
    assert all(value for each in known.values() for value in each.values())
    assert told == {
        "PUSH": {
            "to": "41793026731",
            "messageCount": 1,
            "price": {"pricePerMessage": 0, "currency": "EUR"},
            "status": {
                "groupId": 2, "groupName": "UNDELIVERABLE", "id": 9,
                "name": "UNDELIVERABLE_NOT_DELIVERED",
                "description": "Message sent not delivered",
            },
            "error": {
                "groupId": 1, "groupName": "HANDSET_ERRORS", "id": 8001,
                "name": "EC_DEVICE_APP_UNINSTALL",
                "description": "Application uninstalled", "permanent": True,
            },
            "channel": "PUSH",
        },
        "SMS": {
            "to": NUMBER,
            "messageCount": 1,
            "price": {"pricePerMessage": 0.045, "currency": "EUR"},
            "status": {
                "groupId": 3, "groupName": "DELIVERED", "id": 5,
                "name": "DELIVERED_TO_HANDSET", "description": "Message delivered to handset",
            },
            "error": {
                "groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR",
                "description": "No Error", "permanent": False,
            },
            "channel": "SMS",
        },
    }  # fmt: skip
