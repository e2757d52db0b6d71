"""The simulated SMS gateways report back. SIM-66."""

import base64
import hashlib
import hmac
import json
import re
import uuid
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.simulator.posted import Posted, Receiver
from tests.simulator.running import Client, Json, Simulator
from tests.simulator.texting import AUTH, V2, ask, statuses, text, v2, v3
from tests.waiting import eventually


def results(receiver: Receiver) -> list[Json]:
    return [one for post in receiver.posts for one in json.loads(post.body)["results"]]


def send_many(client: Client, count: int, url: str, **given: Any) -> list[str]:
    sent = [str(uuid.uuid4()) for _ in range(count)]
    destinations = [{"to": f"4179{place:07}", "messageId": one} for place, one in enumerate(sent)]
    for start in range(0, count, 50):
        answer = ask(client, v3(*destinations[start : start + 50], url=url, **given))
        assert set(statuses(answer)) == {26}
    return sent


def test_infobip_reports_in_batches(infobip: Client, sms: Simulator, receiver: Receiver) -> None:
    sms.post("/operators", {"batch": 20, "seconds": 0.05})
    sent = send_many(infobip, 100, f"{receiver.base_url}/r/token")

    eventually(lambda: len(results(receiver)) >= 100, "all are reported")

    assert sorted(one["messageId"] for one in results(receiver)) == sorted(sent)
    assert {post.path for post in receiver.posts} == {"/r/token"}
    assert max(len(json.loads(post.body)["results"]) for post in receiver.posts) <= 20
    one = results(receiver)[0]
    assert one["status"]["name"] == "DELIVERED_TO_HANDSET"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0100", one["doneAt"])
    assert (one["sender"], one["messageCount"]) == ("Shop", 1)


def test_version_2_is_reported_in_its_own_words(infobip: Client, receiver: Receiver) -> None:
    asked = v2(notifyUrl=f"{receiver.base_url}/r", notifyContentType="application/json")
    assert statuses(ask(infobip, asked, V2)) == [26]

    eventually(lambda: receiver.posts, "it is reported")

    [one] = results(receiver)
    assert (one["from"], one["smsCount"]) == ("Shop", 1)
    assert "sender" not in one


@pytest.mark.parametrize(
    ("what", "status", "error"),
    [
        ("absent", 9, "EC_ABSENT_SUBSCRIBER_SM"),
        ("barred", 9, "EC_UNKNOWN_SUBSCRIBER"),
        ("expired", 15, "EC_ABSENT_SUBSCRIBER"),
        ("unknown", 29, "NO_ERROR"),
        ("stopped", 14, "EC_DESTINATION_BLOCKED"),
    ],
)
def test_not_every_text_arrives(
    infobip: Client, sms: Simulator, receiver: Receiver, what: str, status: int, error: str
) -> None:
    sms.post("/operators", {what: 1})
    send_many(infobip, 1, f"{receiver.base_url}/r")

    eventually(lambda: receiver.posts, "it is reported")

    [one] = results(receiver)
    assert (one["status"]["id"], one["error"]["name"]) == (status, error)


def test_reports_come_twice_out_of_order_and_for_strangers(
    infobip: Client, sms: Simulator, receiver: Receiver
) -> None:
    mishaps = {"intermediate": 1, "out_of_order": 1, "repeated": 1, "strangers": 1}
    sms.post("/operators", {**mishaps, "seconds": 0.2})
    sent = send_many(infobip, 20, f"{receiver.base_url}/r")

    eventually(lambda: len(results(receiver)) >= 80, "all is reported")

    came = Counter((one["messageId"] in sent, one["status"]["id"]) for one in results(receiver))
    assert came == {(True, 5): 40, (True, 2): 20, (False, 5): 20}
    order = [one["status"]["id"] for one in results(receiver) if one["messageId"] == sent[0]]
    assert order[0] == 5  # before the news that it was on its way
    assert order[-1] == 2


def test_a_report_is_repeated_until_it_is_taken(
    infobip: Client, sms: Simulator, receiver: Receiver
) -> None:
    receiver.statuses += [500, 404]
    send_many(infobip, 1, f"{receiver.base_url}/r")

    eventually(lambda: len(receiver.posts) == 3, "it was posted three times")

    assert len({post.body for post in receiver.posts}) == 1
    eventually(
        lambda: sms.get("/statistics")["operators"].get("infobip_reports_taken") == 1, "taken"
    )


def test_nobody_but_this_machine_is_told(infobip: Client, sms: Simulator) -> None:
    send_many(infobip, 1, "https://elsewhere.example/r")

    assert sms.get("/statistics")["operators"]["never_reported"] == 1


def signed(post: Posted, base_url: str, secret: str = AUTH) -> bool:
    form = parse_qsl(post.body.decode(), keep_blank_values=True)
    told = base_url + post.path + "".join(name + value for name, value in sorted(form))
    mac = base64.b64encode(hmac.new(secret.encode(), told.encode(), hashlib.sha1).digest())
    return post.headers["x-twilio-signature"] == mac.decode()


def test_twilio_calls_back_once_for_each_step_and_signs(
    twilio: Client, sms: Simulator, receiver: Receiver
) -> None:
    sms.post("/operators", {"intermediate": 1, "seconds": 0.3})
    ours = str(uuid.uuid4())
    sid = text(twilio, StatusCallback=f"{receiver.base_url}/r/{ours}").json()["sid"]

    eventually(lambda: len(receiver.posts) == 2, "both steps came")

    forms = [dict(parse_qsl(post.body.decode())) for post in receiver.posts]
    assert [form["MessageStatus"] for form in forms] == ["sent", "delivered"]
    assert {form["MessageSid"] for form in forms} == {sid}
    assert {post.path for post in receiver.posts} == {f"/r/{ours}"}
    assert all(signed(post, receiver.base_url) for post in receiver.posts)


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ("absent", "undelivered", "30003"),
        ("barred", "undelivered", "30005"),
        ("unknown", "undelivered", "30008"),
        ("stopped", "failed", "21610"),
    ],
)
def test_twilio_tells_what_went_wrong(
    twilio: Client, sms: Simulator, receiver: Receiver, what: str, status: str, code: str
) -> None:
    sms.post("/operators", {what: 1})
    text(twilio, StatusCallback=f"{receiver.base_url}/r/{uuid.uuid4()}")

    eventually(lambda: receiver.posts, "it is reported")

    form = dict(parse_qsl(receiver.posts[0].body.decode()))
    assert (form["MessageStatus"], form["ErrorCode"]) == (status, code)


def test_a_stranger_of_twilios_is_signed_too(
    twilio: Client, sms: Simulator, receiver: Receiver
) -> None:
    sms.post("/operators", {"strangers": 1})
    ours = str(uuid.uuid4())
    text(twilio, StatusCallback=f"{receiver.base_url}/r/{ours}")

    eventually(lambda: len(receiver.posts) == 2, "the stranger came too")

    assert {post.path == f"/r/{ours}" for post in receiver.posts} == {True, False}
    assert all(signed(post, receiver.base_url) for post in receiver.posts)
