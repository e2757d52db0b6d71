"""Receipts of the simulated Huawei: signed, in batches, until they are taken. SIM-55."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulator.huawei import APP, PUSH, Send, app, callback, login, sender, token, v1, v3
from tests.simulator.posted import Posted, Receiver, receiving
from tests.simulator.running import Json, Simulator
from tests.waiting import eventually

AT_ONCE = {
    "seconds": 0, "kept_seconds": 0, "removed": 0, "other_user": 0, "muted": 0, "dormant": 0,
    "by_rule": 0, "kept": 0, "silent": 0, "early": 0, "repeated": 0, "newer": 0,
}  # fmt: skip
SUCCESS = b'{"errno":0,"errmsg":"success"}'


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        found.answer = SUCCESS
        yield found


@pytest.fixture
def huawei(simulator: Simulator, receiver: Receiver) -> Simulator:
    """Every push is delivered and told at once, in the older format."""
    callbacks = [
        callback(f"{receiver.base_url}/first"), callback(f"{receiver.base_url}/second", "RCP2")
    ]  # fmt: skip
    simulator.post("/credentials", {"hms": [app(receipts=callbacks)]})
    simulator.post("/receipts", AT_ONCE)
    return simulator


@pytest.fixture
def send(huawei: Simulator) -> Iterator[Send]:
    with huawei.client(PUSH, http2=False) as client:
        yield sender(client, login(huawei).json()["access_token"])


def entries(receiver: Receiver) -> list[Json]:
    return [one for post in receiver.posts for one in json.loads(post.body)["statuses"]]


def results(receiver: Receiver) -> list[int]:
    return [one["status"] for one in entries(receiver)]


def is_signed(post: Posted) -> bool:
    header = post.headers["x-huawei-callback-id"]
    found = re.fullmatch(r"timestamp=(\d{13}); nonce=(\w+); value=(\S+)", header)
    assert found is not None
    timestamp, nonce, value = found.groups()
    assert abs(time.time() - int(timestamp) / 1000) < 60
    told = f"{timestamp}{nonce}receipts".encode()
    expected = hmac.new(b"receipt-key", told, hashlib.sha256).digest()
    return base64.b64decode(value) == expected


def test_a_delivered_push_is_told_and_signed(receiver: Receiver, send: Send) -> None:
    told = token()
    request_id = send(v1(told)).json()["requestId"]

    eventually(lambda: receiver.posts, "the receipt came")

    [post] = receiver.posts
    assert post.path == "/first"
    assert is_signed(post)
    [entry] = json.loads(post.body)["statuses"]
    assert isinstance(entry.pop("timestamp"), int)
    assert entry == {
        "biTag": "camp-17",
        "appid": APP,
        "token": told,
        "status": 0,
        "requestId": request_id,
    }


def test_the_second_format(huawei: Simulator, receiver: Receiver, send: Send) -> None:
    huawei.post("/receipts", {"newer": 1})
    told = token("harmony")
    request_id = send(v3(told), "v3").json()["requestId"]

    eventually(lambda: receiver.posts, "the receipt came")

    [entry] = entries(receiver)
    assert isinstance(entry["deliveryStatus"].pop("timestamp"), int)
    assert entry == {
        "token": told,
        "pushType": 0,
        "appPackageName": f"app.{APP}",
        "biTag": "camp-17",
        "requestId": request_id,
        "deliveryStatus": {"result": 0},
    }


def test_a_push_names_its_receipt_address(receiver: Receiver, send: Send) -> None:
    assert send(v1(receipt_id="RCP2")).json()["code"] == "80000000"

    eventually(lambda: receiver.posts, "the receipt came")

    assert [post.path for post in receiver.posts] == ["/second"]


def test_receipts_come_together_a_hundred_at_most(receiver: Receiver, send: Send) -> None:
    send(v1(*(token() for _ in range(250))))

    eventually(lambda: len(entries(receiver)) == 250, "all came")

    assert max(len(json.loads(post.body)["statuses"]) for post in receiver.posts) == 100


@pytest.mark.parametrize(
    ("statuses", "answer"), [([503, 401], SUCCESS), ([], b'{"errno":1,"errmsg":"no"}'), ([], b"")]
)
def test_a_receipt_is_repeated_until_it_is_taken(
    huawei: Simulator, receiver: Receiver, send: Send, statuses: list[int], answer: bytes
) -> None:
    receiver.statuses, receiver.answer = statuses, answer
    send(v1())
    eventually(lambda: len(receiver.posts) > 1, "it came again")
    receiver.answer = SUCCESS

    def taken() -> bool:
        told: int = huawei.get("/statistics")["receipts"].get("receipts_taken", 0)
        return told == 1

    eventually(taken, "it was taken")
    assert len({post.body for post in receiver.posts}) == 1
    assert all(is_signed(post) for post in receiver.posts)
    nonces = {post.headers["x-huawei-callback-id"] for post in receiver.posts}
    assert len(nonces) == len(receiver.posts)


@pytest.mark.parametrize(
    ("share", "result"),
    [("removed", 2), ("other_user", 5), ("muted", 6), ("dormant", 10), ("by_rule", 201)],
)
def test_a_device_decides_what_becomes_of_its_pushes(
    huawei: Simulator, receiver: Receiver, send: Send, share: str, result: int
) -> None:
    huawei.post("/receipts", {share: 1})
    told = token()
    send(v1(told))

    eventually(lambda: receiver.posts, "the receipt came")

    assert results(receiver) == [result]
    gone = send(v1(told)).json()["code"] == "80300007"
    assert gone == (share == "removed")


@pytest.mark.parametrize(
    ("limit", "category", "expected"),
    [
        ("per_day", "WORK", [0, 0, 102]),
        ("marketing_per_day", "MARKETING", [0, 0, 256]),
        ("marketing_per_day", "WORK", [0, 0, 0]),
    ],
)
def test_a_device_gets_so_many_a_day(
    huawei: Simulator,
    receiver: Receiver,
    send: Send,
    limit: str,
    category: str,
    expected: list[int],
) -> None:
    huawei.post("/receipts", {limit: 2})
    told = token()
    for _ in range(3):
        send(v1(told, category=category))

    eventually(lambda: len(entries(receiver)) == 3, "three receipts came")

    assert sorted(results(receiver)) == expected


@pytest.mark.parametrize(
    ("android", "expected"),
    [
        ({"collapse_key": 7}, [0, 15, 27, 27]),
        ({"collapse_key": 0}, [0, 15, 27, 27]),
        ({}, [0, 0, 27, 27]),
    ],
)
def test_what_waits_is_replaced_by_the_newest_of_its_group(
    huawei: Simulator, receiver: Receiver, send: Send, android: Json, expected: list[int]
) -> None:
    huawei.post("/receipts", {"kept": 1, "kept_seconds": 0.1})
    told = token()
    send(v1(told, told, **android))  # listed twice, pushed twice

    eventually(lambda: len(entries(receiver)) == 4, "all came")

    assert sorted(results(receiver)) == expected


def test_what_waits_longer_than_it_lives_never_arrives(
    huawei: Simulator, receiver: Receiver, send: Send
) -> None:
    huawei.post("/receipts", {"kept": 1, "kept_seconds": 1})
    send(v1(ttl="1s"))
    huawei.post("/clock", {"advance": 60})

    def expired() -> bool:
        told: int = huawei.get("/statistics")["receipts"].get("expired", 0)
        return told == 1

    eventually(expired, "its time was over")
    assert results(receiver) == [27]


def test_some_come_twice_and_some_never(huawei: Simulator, receiver: Receiver, send: Send) -> None:
    huawei.post("/receipts", {"repeated": 1})
    twice = token()
    send(v1(twice))
    eventually(lambda: len(entries(receiver)) == 2, "it came twice")
    assert {one["token"] for one in entries(receiver)} == {twice}

    huawei.post("/receipts", {"repeated": 0, "silent": 1})
    send(v1())

    def silent() -> bool:
        told: Any = huawei.get("/statistics")["receipts"]
        return bool(told.get("never_told") == 1 and told["scheduled"] == 0)

    eventually(silent, "nobody was told")
    assert len(entries(receiver)) == 2


def test_the_phone_opens_only_what_arrived(
    huawei: Simulator, receiver: Receiver, send: Send
) -> None:
    """It says so to the device API, with the id in the data."""
    rates = {"delivered": 1, "seen": 1, "offline": 0, "delivered_seconds": 0, "seen_seconds": 0,
             "repeated": 0, "unknown": 0, "uninstalled": 0}  # fmt: skip
    phones = {"base_url": receiver.base_url, "applications": {APP: "code"}, "rates": rates}
    huawei.post("/phones", phones)

    def push(message_id: str, **given: Any) -> None:
        body = v1(**given)
        body["message"]["data"] = json.dumps({"messageId": message_id})
        send(body)

    push("m-1")
    eventually(lambda: len(receiver.posts) == 2, "receipt and seen came")
    huawei.post("/receipts", {"muted": 1})
    push("m-2")
    eventually(lambda: len(receiver.posts) == 3, "the receipt came")

    phone = [post for post in receiver.posts if post.path != "/first"]
    assert [post.path for post in phone] == ["/mobile/2/messages/seen"]
    assert json.loads(phone[0].body)["messages"][0]["messageId"] == "m-1"


@pytest.mark.parametrize(
    ("data", "visible"),
    [
        ({"messageId": "m-1"}, True),  # the app draws it
        ({"messageId": "m-1", "silent": True}, False),
        ({"org_ib_d": '{"messageId":"m-1","notification":{"silent":false}}'}, True),
        ({"org_ib_d": '{"messageId":"m-1","notification":{"silent":true}}'}, False),
    ],
)
def test_data_alone_is_reported_by_the_app_and_seen_unless_it_is_silent(
    huawei: Simulator, receiver: Receiver, send: Send, data: Json, visible: bool
) -> None:
    rates = {"delivered": 1, "seen": 1, "offline": 0, "delivered_seconds": 0, "seen_seconds": 0,
             "repeated": 0, "unknown": 0, "uninstalled": 0}  # fmt: skip
    phones = {"base_url": receiver.base_url, "applications": {APP: "code"}, "rates": rates}
    huawei.post("/phones", phones)
    body = v1(notification=None)
    body["message"]["data"] = json.dumps(data)

    send(body)

    paths = {"/first", "/mobile/1/messages/deliveryreport"}
    paths |= {"/mobile/2/messages/seen"} if visible else set()
    eventually(lambda: {post.path for post in receiver.posts} >= paths, "all was reported")
    assert {post.path for post in receiver.posts} == paths


def test_a_reset_forgets_what_is_under_way(
    huawei: Simulator, receiver: Receiver, send: Send
) -> None:
    huawei.post("/receipts", {"seconds": 30, "speed": 0.01})
    send(v1())
    assert huawei.get("/statistics")["receipts"]["scheduled"] == 1

    huawei.post("/reset")

    assert huawei.get("/statistics")["receipts"] == {"scheduled": 0, "waiting": 0}
    assert huawei.get("/receipts")["seconds"] == 2
