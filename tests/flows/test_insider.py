"""A push of Insider's API all the way: request, simulated clouds, phones, statistics."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pytest_django.live_server_helper import LiveServer

from campaigns import channels, dispatch, partitions, reports
from campaigns.models import Bulk, PushApiSend, Report
from campaigns.store import store
from devices.models import Platform
from tests.api.insider import ITEMS, KEY, LINK, MESSAGES, SEND, STATISTICS, make_insider_key
from tests.factories import make_person, make_registration
from tests.flows.conftest import make_shop
from tests.flows.processes import Gateways
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

PHONES = {
    "speed": 100, "delivered": 1, "seen": 1, "offline": 0, "repeated": 1, "unknown": 0,
    "wrong_clock": 0, "out_of_order": 0.3,
}  # fmt: skip
PUSH = {
    "camp_id": 5125,
    "camp_name": "New trail shoes",
    "title": "They are here",
    "message": "The trail shoes you looked at.",
    "image_url": "https://shop.example/shoes.jpg",
    "advanced_push_payload": {"advanced_push_type": "Slider", "advanced_push_items": ITEMS},
    "android": {"channel_id": 3, "deep_link": LINK},
    "ios": {"badge": 2, "thread-id": 13, "deep_link": LINK},
}


@pytest.fixture
def calm(gateways: Gateways) -> Iterator[Gateways]:
    """Clouds that take everything, and show what they got."""
    fates = ("unregistered", "mismatched", "malformed", "unavailable", "busy")
    gateways.ask("POST", "/behaviour", {**dict.fromkeys(fates, 0), "keep_payloads": True})
    store().flushdb()
    partitions.make_ahead()
    yield gateways
    channels.close_all()
    store().flushdb()


def test_from_the_request_to_the_statistics(calm: Gateways, live_server: LiveServer) -> None:
    shop = make_shop()
    make_insider_key()
    codes = {"shop-test": shop.code, "com.example.shop": shop.code}
    calm.ask(
        "POST",
        "/phones",
        {"base_url": live_server.url, "applications": codes, "rates": PHONES},
    )
    devices = {
        name: make_registration(shop, platform=platform, person=make_person(external_id=name))
        for name, platform in (("ana", Platform.ANDROID), ("ivo", Platform.IOS))
    }

    def ask(path: str, body: dict[str, Any], **headers: str) -> Any:
        answer = httpx.post(live_server.url + path, json=body, headers=headers)
        assert answer.status_code == 200
        return answer.json()

    # send
    names = ("ana", "ivo", "nobody")
    push = [{**PUSH, "identifiers": {"INSIDER.uuid": name}} for name in names]
    assert ask(SEND, {"api_key": KEY, "notifications": push}) == {
        "successes": [
            {"INSIDER.device_token": devices[name].address.token} for name in ("ana", "ivo")
        ],
        "errors": {"NoUserFound": [{"INSIDER.uuid": "nobody"}]},
    }
    assert dispatch.work(seconds=30, urgent=True) == 2

    # what the clouds got
    got = {row["token"]: row["payload"] for row in calm.messages()}
    android = json.loads(got[devices["ana"].address.token]["data"]["org_ib_d"])["custom"]
    apple = got[devices["ivo"].address.token]
    for custom in (android, apple["customPayload"]):
        assert custom["camp_id"] == 5125
        assert (custom["type"], custom["items"]) == ("slider", ITEMS)
        assert custom["deep_link"] == LINK
    assert (android["channel_id"], apple["aps"]["thread-id"], apple["aps"]["badge"]) == (3, "13", 2)

    # what the phones say, each of it twice
    def told() -> Any:
        reports.consume(seconds=0.2)
        found = ask(STATISTICS, {"api_key": KEY})
        return found if found["total_session_count"] == 2 else None

    eventually(told, seconds=60, what="both phones have reported")
    campaign = {
        "id": 5125,
        "name": "New trail shoes",
        "delivery_count": 2,
        "session_count": 2,
        "open_rate": "% 100.00",
        "message": "The trail shoes you looked at.",
        "title": "They are here",
        "segment_name": "",
        "deep_link": LINK,
        "push_image": "https://shop.example/shoes.jpg",
    }
    assert told() == {
        "campaigns": [campaign],
        "total_camp_count": 1,
        "total_delivery_count": 2,
        "total_session_count": 2,
        "total_open_rate": "% 100.00",
    }
    assert set(Bulk.objects.values_list("status", flat=True)) == {Bulk.Status.DONE}
    ledger = calm.ledger()
    assert sum(ledger[cloud]["accepted"] for cloud in ("fcm", "apns")) == 2
    assert PushApiSend.objects.count() == 2

    # nobody's reports at Infobip's API
    assert not Report.objects.exists()

    # the message centre
    shown = ask(MESSAGES, {"identifiers": {"UUID": "ana"}}, **{"X-INSIDER-API-KEY": KEY})
    assert [(each["camp_id"], each["deep_links"]) for each in shown] == [(5125, LINK)]
