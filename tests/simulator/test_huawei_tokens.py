"""The simulated Huawei Push Kit: tokens, trouble, control. SIM-53, SIM-54, SIM-56."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.simulator.huawei import (
    PUSH,
    Send,
    app,
    client,
    code,
    huawei,
    login,
    send,
    sender,
    token,
    v1,
    v3,
)
from tests.simulator.running import Json, Simulator

__all__ = ["client", "huawei", "send"]  # fixtures

# ------------------------------------------------------------------- tokens


def test_some_bad_tokens_are_named_and_the_rest_is_taken(huawei: Simulator, send: Send) -> None:
    good, bad = [token() for _ in range(3)], [token("unregistered"), "short"]

    answer = send(v1(good[0], bad[0], good[1], bad[1], good[2]))

    assert code(answer) == "80100000"
    told = json.loads(answer.json()["msg"])  # JSON as text
    assert told == {"success": 3, "failure": 2, "illegal_tokens": bad}
    ledger = huawei.get("/ledger/messages")["messages"]
    assert [row["token"] for row in ledger] == good
    assert {row["provider_id"] for row in ledger} == {answer.json()["requestId"]}


def test_without_a_good_token_all_are_bad(huawei: Simulator, send: Send) -> None:
    assert code(send(v1("short", token("malformed")))) == "80300007"
    assert huawei.get("/ledger")["hms"] == {"accepted": 0, "distinct": 0, "refused": 2}


def test_a_token_that_comes_twice_is_pushed_twice(huawei: Simulator, send: Send) -> None:
    twice = token()

    assert code(send(v1(twice, twice))) == "80000000"

    assert [row["token"] for row in huawei.get("/ledger/messages")["messages"]] == [twice] * 2


def test_each_family_of_devices_has_its_version(huawei: Simulator, send: Send) -> None:
    old, new, told = token(), token("harmony"), token()
    huawei.post("/devices", {"hms": [{"token": told, "kind": "harmony"}]})

    assert code(send(v1(new))) == "80300007"
    assert code(send(v3(old), "v3")) == "80300007"
    assert code(send(v1(told))) == "80300007"
    assert code(send(v3(new, told), "v3")) == "80000000"


def test_other_apps_tokens_may_not_be_pushed_to(huawei: Simulator, send: Send) -> None:
    theirs = token()
    huawei.post("/devices", {"hms": [{"token": theirs, "owner": "999"}]})

    assert code(send(v1(token(), theirs))) == "80300002"
    assert code(send(v1(token("mismatched")))) == "80300002"
    assert huawei.get("/ledger")["hms"]["accepted"] == 0


def test_a_dry_run_answers_alike_and_takes_nothing(huawei: Simulator, send: Send) -> None:
    dry = {"validate_only": True}

    assert code(send(v1() | dry)) == "80000000"
    assert code(send(v1("no-device") | dry)) == "80300007"
    assert code(send(v1(token(), "no-device") | dry)) == "80100000"
    assert huawei.get("/ledger")["hms"]["accepted"] == 0


def test_a_topic_reaches_nobody_in_particular(huawei: Simulator, send: Send) -> None:
    body = v1()
    del body["message"]["token"]
    body["message"]["topic"] = "news"

    assert code(send(body)) == "80000000"
    assert huawei.get("/ledger")["hms"]["accepted"] == 0


# ------------------------------------------------------------------- trouble


def test_flow_control_counts_devices_a_second(huawei: Simulator, send: Send) -> None:
    huawei.post("/behaviour", {"hms": {"devices_per_second": 3, "retry_after": 7}})

    answer = send(v1(*(token() for _ in range(4))))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert huawei.get("/ledger")["hms"]["accepted"] == 0


def test_tests_have_limits_of_their_own(huawei: Simulator, send: Send) -> None:
    many = [token() for _ in range(500)]

    assert code(send(v1(*many, target_user_type=1))) == "80000000"
    assert code(send(v1(target_user_type=1))) == "80300029"
    harmony = [token("harmony") for _ in range(11)]
    assert code(send(v3(*harmony, testMessage=True), "v3")) == "80300030"


def test_any_code_can_be_ordered(huawei: Simulator, send: Send) -> None:
    huawei.post("/behaviour", {"hms": {"huawei_code": "80300037"}})
    assert code(send(v1())) == "80300037"

    huawei.post("/behaviour", {"hms": {"huawei_code": ""}})
    assert code(send(v1())) == "80000000"


@pytest.mark.parametrize(
    ("fate", "status", "expected", "accepted"),
    [
        ("busy", 503, "", 0),
        ("unavailable", 503, "", 0),
        ("internal", 500, "81000001", 0),
        ("unavailable_delivered", 500, "81000001", 2),
        ("third_party", 200, "80600003", 0),
        ("bad_gateway", 502, "", 0),
        ("silent", 200, "80000000", 2),
    ],
)
def test_a_call_has_one_fate(
    huawei: Simulator, send: Send, fate: str, status: int, expected: str, accepted: int
) -> None:
    answer = send(v1(token(), token(fate.replace("_", "-"))))

    assert answer.status_code == status
    assert (answer.json()["code"] if expected else "") == expected
    assert huawei.get("/ledger")["hms"]["accepted"] == accepted


@pytest.mark.parametrize(
    ("fate", "accepted"), [("lost-answer", 1), ("lost-request", 0), ("reset", 1)]
)
def test_a_lost_connection_tells_nothing(
    huawei: Simulator, send: Send, fate: str, accepted: int
) -> None:
    with pytest.raises(httpx.TransportError):
        send(v1(token(fate)))

    assert huawei.get("/ledger")["hms"]["accepted"] == accepted


def test_it_speaks_http2_as_well(huawei: Simulator) -> None:
    bearer = login(huawei).json()["access_token"]
    with huawei.client(PUSH) as client:
        body = v1(*(token() for _ in range(1000)))
        assert code(sender(client, bearer)(body)) == "80000000"


# ------------------------------------------------------------------- control


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/credentials", {"hms": [{"app_id": "1"}]}, "hms[0].client_secret"),
        ("/credentials", {"hms": [app(project_id=7)]}, "hms[0].project_id"),
        ("/credentials", {"hms": [app(keys=[{"key_id": "a"}])]}, "hms[0].keys[0].sub_account"),
        (
            "/credentials",
            {"hms": [app(receipts=[{"url": "https://shop.example", "user": "u", "key": "k"}])]},
            "url",
        ),
        ("/devices", {"hms": [{"token": "t", "kind": "huawei"}]}, "hms[0].kind"),
        ("/behaviour", {"hms": {"devices_per_second": 0}}, "hms.devices_per_second"),
        ("/receipts", {"muted": 2}, "muted"),
        ("/receipts", {"batch": 101}, "batch"),
        ("/receipts", {"lost": 1}, "lost"),
    ],
)
def test_bad_settings_name_the_field(huawei: Simulator, path: str, body: Json, field: str) -> None:
    answer = huawei.ask("POST", path, body)

    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field


def test_request_ids_differ(send: Send) -> None:
    ids = {send(v1()).json()["requestId"] for _ in range(5)}

    assert len(ids) == 5
