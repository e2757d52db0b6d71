"""The simulated SMS gateways are strict. SIM-65."""

import base64
import re
import signal
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.simulator.running import Client, Json, Simulator
from tests.simulator.texting import AUTH, INFOBIP, NUMBER, SID, V2, V3, ask, statuses, text, v2, v3

# ------------------------------------------------------------------- Infobip


@pytest.mark.parametrize(("path", "body"), [(V3, v3), (V2, v2)])
def test_a_text_is_taken_and_stands_in_the_ledger(
    infobip: Client, sms: Simulator, path: str, body: Callable[..., Json]
) -> None:
    asked = body({"to": NUMBER, "messageId": "m-1"})

    [told] = ask(infobip, asked, path).json()["messages"]

    assert told["messageId"] == "m-1"
    assert told["status"]["name"] == "PENDING_ACCEPTED"
    if path == V3:
        assert (told["destination"], told["details"]) == (NUMBER, {"messageCount": 1})
    else:
        assert (told["to"], told["smsCount"]) == (NUMBER, 1)
    [row] = sms.get("/ledger/messages")["messages"]
    assert (row["provider"], row["token"], row["message_id"]) == ("infobip", NUMBER, "m-1")


@pytest.mark.parametrize("key", ["", "App key-2", "Basic key-1", "Bearer key-1", "key-1"])
@pytest.mark.parametrize("path", [V3, V2])
def test_a_key_that_is_not_known_is_unauthorized(infobip: Client, key: str, path: str) -> None:
    answer = ask(infobip, v3(), path, key)

    assert answer.status_code == 401
    assert answer.json()["requestError"]["serviceException"]["messageId"] == "UNAUTHORIZED"


def test_a_revoked_key_is_unauthorized(infobip: Client, sms: Simulator) -> None:
    sms.post("/credentials/revoke", {"cloud": "infobip", "key_id": "key-1"})

    assert ask(infobip, v3()).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"messages": []},
        {"messages": [7]},
        {"messages": [{}]},
        v3(unknown=1),
        v3(text=""),
        v3(text=7),
        v3(sender=""),
        v3(destinations=[]),
        v3({"to": NUMBER, "messageId": "x" * 201}),
        v3({"to": "1" * 65}),
        v3({"to": NUMBER, "messageid": "x"}),
        v3(options={"validityPeriod": {"amount": 2881, "timeUnit": "MINUTES"}}),
        v3(options={"validityPeriod": {"amount": 3, "timeUnit": "DAYS"}}),
        v3(options={"validityPeriod": {"amount": 0}}),
        v3(options={"validityPeriod": {"amount": "60"}}),
        v3(options={"validityPeriod": 60}),
        v3(options={"campaignReferenceId": "x" * 256}),
        v3(webhooks={"delivery": {"url": "nowhere"}}),
        v3(webhooks={"delivery": {"url": "http://127.0.0.1"}, "contentType": "text/plain"}),
        v3(webhooks={"callbackData": "x" * 4001}),
        {**v3(), "options": {"schedule": {"bulkId": "x" * 101}}},
    ],
)
def test_a_malformed_body_of_version_3_is_refused(infobip: Client, body: Any) -> None:
    answer = ask(infobip, body)

    assert answer.status_code == 400
    assert answer.json()["requestError"]["serviceException"]["messageId"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    "body",
    [
        v2(unknown=1),
        v2(text=None),
        v2(sender="Shop"),
        v2(validityPeriod=2881),
        v2(validityPeriod="60"),
        v2(notifyUrl="nowhere"),
        v2(notifyContentType="text/plain"),
        v2(callbackData="x" * 4001),
        {**v2(), "bulkId": "x" * 101},
    ],
)
def test_a_malformed_body_of_version_2_is_refused(infobip: Client, body: Any) -> None:
    assert ask(infobip, body, V2).status_code == 400


def test_what_is_no_json_is_refused(infobip: Client) -> None:
    key = {"authorization": "App key-1"}

    form = infobip.post(V3, content=b"{}", headers={**key, "content-type": "text/plain"})
    torn = infobip.post(V3, content=b"{", headers={**key, "content-type": "application/json"})
    gone = infobip.post("/sms/1/text", json={}, headers=key)

    assert (form.status_code, torn.status_code, gone.status_code) == (415, 400, 404)


@pytest.mark.parametrize(
    ("destination", "given", "status"),
    [
        ({"to": ""}, {}, 51),
        ({"to": "079302672"}, {}, 8),
        ({"to": "+41793026727"}, {}, 52),
        ({"to": "41 79 302 67 27"}, {}, 52),
        ({"to": "123456"}, {}, 52),
        ({"to": NUMBER}, {"sender": "Stranger"}, 11),
        ({"to": NUMBER}, {"text": "я" * 671}, 25),
    ],
)
def test_each_destination_is_judged_by_itself(
    infobip: Client, sms: Simulator, destination: Json, given: Json, status: int
) -> None:
    answer = ask(infobip, v3(destination, **given))

    assert statuses(answer) == [status]
    assert sms.get("/ledger")["infobip"] == {"accepted": 0, "distinct": 0, "refused": 1}


def test_a_message_id_is_taken_once(infobip: Client, sms: Simulator) -> None:
    one, two = ({"to": NUMBER, "messageId": str(uuid.uuid4())} for _ in range(2))

    assert statuses(ask(infobip, v3(one, one))) == [26, 23]
    assert statuses(ask(infobip, v3(one, two))) == [23, 26]
    assert sms.get("/ledger")["infobip"]["accepted"] == 2


def test_parts_are_counted_and_paid_for_until_the_credit_ends(infobip: Client) -> None:
    long = ask(infobip, v3(text="a" * 306 + "€")).json()["messages"][0]
    assert long["details"]["messageCount"] == 3  # 153 + 153 + 2

    for _ in range(9):
        assert statuses(ask(infobip, v3(text="я" * 670))) == [26]
    answer = infobip.request("GET", "/account/1/balance", headers={"authorization": "App key-1"})

    assert answer.json() == {"balance": 0.07, "currency": "EUR"}
    assert statuses(ask(infobip, v3(text="я" * 670))) == [12]
    assert statuses(ask(infobip, v3())) == [26]


@pytest.mark.parametrize(
    ("fate", "status"), [("unregistered", 52), ("malformed", 8), ("mismatched", 14)]
)
def test_a_number_may_have_a_fate(infobip: Client, sms: Simulator, fate: str, status: int) -> None:
    sms.post("/behaviour", {"rules": [{"cloud": "infobip", "token": "4179302*", "fate": fate}]})

    answer = ask(infobip, v3({"to": NUMBER}, {"to": "41700000000"}))

    assert statuses(answer) == [status, 26]


@pytest.mark.parametrize(
    ("fate", "status", "taken"),
    [
        ("busy", 429, 0),
        ("internal", 500, 0),
        ("bad_gateway", 502, 0),
        ("unavailable", 503, 0),
        ("unavailable_delivered", 503, 1),
    ],
)
def test_a_gateway_may_be_unwell(
    infobip: Client, twilio: Client, sms: Simulator, fate: str, status: int, taken: int
) -> None:
    sms.post("/behaviour", {"rules": [{"fate": fate}]})

    assert ask(infobip, v3()).status_code == status
    assert text(twilio).status_code == status

    ledger = sms.get("/ledger")
    assert (ledger["infobip"]["accepted"], ledger["twilio"]["accepted"]) == (taken, taken)


@pytest.mark.parametrize(("fate", "taken"), [("lost_answer", 1), ("lost_request", 0)])
def test_an_answer_and_a_request_may_be_lost(
    infobip: Client, twilio: Client, sms: Simulator, fate: str, taken: int
) -> None:
    sms.post("/behaviour", {"rules": [{"fate": fate}]})

    with pytest.raises(httpx.TransportError):
        ask(infobip, v3())
    with pytest.raises(httpx.TransportError):
        text(twilio)

    ledger = sms.get("/ledger")
    assert (ledger["infobip"]["accepted"], ledger["twilio"]["accepted"]) == (taken, taken)


def test_an_account_has_a_quota(infobip: Client, twilio: Client, sms: Simulator) -> None:
    sms.post("/behaviour", {"project_per_minute": 1})

    # One may be the last of a minute, and the next the first of another.
    of_infobip = [ask(infobip, v3()) for _ in range(3)]
    of_twilio = [text(twilio) for _ in range(3)]

    assert {one.status_code for one in of_infobip} == {200, 429}
    assert {one.status_code for one in of_twilio} == {201, 429}
    refused = next(one for one in of_infobip if one.status_code == 429)
    assert refused.headers["retry-after"] == "2"
    assert next(one for one in of_twilio if one.status_code == 429).json()["code"] == 20429


# ------------------------------------------------------------------- Twilio


def test_twilio_takes_a_text(twilio: Client, sms: Simulator) -> None:
    ours = str(uuid.uuid4())

    answer = text(twilio, Body="a" * 161, StatusCallback=f"http://127.0.0.1:9/r/{ours}")

    assert answer.status_code == 201
    told = answer.json()
    assert re.fullmatch("SM[0-9a-f]{32}", told["sid"])
    assert (told["status"], told["num_segments"], told["error_code"]) == ("queued", "2", None)
    [row] = sms.get("/ledger/messages")["messages"]
    assert (row["provider"], row["message_id"]) == ("twilio", ours)
    assert row["provider_id"] == told["sid"]


@pytest.mark.parametrize("auth", [("", ""), (SID, "guess"), ("AC" + "1" * 32, AUTH)])
def test_twilio_wants_to_know_who_asks(twilio: Client, auth: tuple[str, str]) -> None:
    answer = text(twilio, auth)

    assert (answer.status_code, answer.json()["code"]) == (401, 20003)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": None}, 21604),
        ({"To": NUMBER}, 21211),
        ({"To": "+079302672"}, 21211),
        ({"To": "+41 79"}, 21211),
        ({"From": None}, 21603),
        ({"From": "+15005550001"}, 21606),
        ({"From": "Stranger"}, 21212),
        ({"Body": None}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"ValidityPeriod": "0"}, 21630),
        ({"ValidityPeriod": "36001"}, 21630),
        ({"ValidityPeriod": "x"}, 21630),
        ({"StatusCallback": "nowhere"}, 21609),
        ({"body": "x"}, 20001),
    ],
)
def test_twilio_refuses_what_is_not_in_order(twilio: Client, form: Json, code: int) -> None:
    answer = text(twilio, **form)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("fate", "code"), [("unregistered", 21211), ("malformed", 21614), ("mismatched", 21610)]
)
def test_a_number_may_have_a_fate_with_twilio(
    twilio: Client, sms: Simulator, fate: str, code: int
) -> None:
    sms.post("/behaviour", {"rules": [{"cloud": "twilio", "token": NUMBER, "fate": fate}]})

    assert text(twilio).json()["code"] == code


def test_twilio_tells_its_balance(twilio: Client) -> None:
    basic = base64.b64encode(f"{SID}:{AUTH}".encode()).decode()
    headers = {"authorization": f"Basic {basic}"}

    answer = twilio.request("GET", f"/2010-04-01/Accounts/{SID}/Balance.json", headers=headers)

    assert answer.json() == {"account_sid": SID, "balance": "1000.0000", "currency": "EUR"}


# ------------------------------------------------------------------- control


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/operators", {"absent": 2}, "absent"),
        ("/operators", {"batch": 101}, "batch"),
        ("/operators", {"speed": 0}, "speed"),
        ("/operators", {"silence": 1}, "silence"),
        ("/credentials", {"infobip": [{}]}, "infobip[0].api_key"),
        ("/credentials", {"infobip": [{"api_key": "k", "credit": -1}]}, "infobip[0].credit"),
        ("/credentials", {"twilio": [{"account_sid": SID}]}, "twilio[0].auth_token"),
    ],
)
def test_what_cannot_be_set_is_refused_by_its_field(
    sms: Simulator, path: str, body: Json, field: str
) -> None:
    answer = sms.ask("POST", path, body)

    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


def test_accounts_and_taken_ids_survive_a_restart(tmp_path: Any) -> None:
    running = Simulator(tmp_path / "sms")
    try:
        running.post("/credentials", {"infobip": [{"api_key": "key-1"}]})
        running.post("/operators", {"speed": 7})
        one = {"to": NUMBER, "messageId": str(uuid.uuid4())}
        with running.client(INFOBIP, http2=False) as client:
            assert statuses(ask(client, v3(one))) == [26]

        running.restart(signal.SIGKILL)

        assert running.get("/operators")["speed"] == 7
        with running.client(INFOBIP, http2=False) as client:
            assert statuses(ask(client, v3(one))) == [23]
    finally:
        running.stop()
