"""The simulated Huawei Push Kit is strict about logins and bodies. SIM-50 to SIM-52."""

from __future__ import annotations

import json
import signal
import time
from typing import Any, NamedTuple

import pytest

from tests.simulator.huawei import (
    APP,
    LOGIN,
    PATHS,
    PUSH,
    TOKEN_URL,
    Send,
    app,
    client,
    code,
    huawei,
    jwt,
    login,
    send,
    sender,
    token,
    v1,
    v3,
)
from tests.simulator.running import Client, Json, Simulator

__all__ = ["client", "huawei", "send"]  # fixtures


def changed(body: Json, path: str, value: Any) -> Json:
    """A copy in which the member at a path is another, or gone for `...`."""
    copy: Json = json.loads(json.dumps(body))
    *parents, last = path.split(".")
    inner = copy
    for name in parents:
        inner = inner.setdefault(name, {})
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return copy


# ------------------------------------------------------------------- who may send


def test_a_login_gives_a_token_for_an_hour_with_its_slashes_escaped(huawei: Simulator) -> None:
    answer = login(huawei)

    told = answer.json()
    assert (told["expires_in"], told["token_type"]) == (3600, "Bearer")
    assert "/" in told["access_token"]
    assert told["access_token"].replace("/", "\\/").encode() in answer.content
    assert huawei.get("/statistics")["huawei_tokens"] == {"issued": 1, "refused": 0}


@pytest.mark.parametrize(
    ("given", "description"),
    [
        ({"client_id": "101"}, "invalid client_id"),
        ({"client_secret": "guess"}, "invalid client_secret"),
        ({"grant_type": "password"}, "invalid grant_type"),
    ],
)
def test_a_refused_login_says_why(
    huawei: Simulator, given: dict[str, str], description: str
) -> None:
    answer = login(huawei, **given)

    assert answer.status_code == 400
    assert answer.json()["error"] == 1101
    assert answer.json()["error_description"] == description


def test_only_the_token_s_own_path_and_method_are_answered(huawei: Simulator) -> None:
    with huawei.client(LOGIN, http2=False) as client:
        assert client.post("/oauth2/v2/token").status_code == 404
        assert client.request("GET", "/oauth2/v3/token").status_code == 405


@pytest.mark.parametrize(
    ("version", "bearer", "expected"),
    [
        ("v1", "oauth", "80000000"),
        ("v1", "jwt", "80000000"),
        ("v2", "oauth", "80000000"),
        ("v2", "jwt", "80000000"),
        ("v3", "oauth", "80200001"),
        ("v3", "jwt", "80000000"),
        ("v1", "guess", "80200001"),
        ("v1", "DQ/guess/0000", "80200001"),
        ("v1", "a.b.c", "80200001"),
    ],
)
def test_which_bearer_opens_which_version(
    huawei: Simulator, send: Send, version: str, bearer: str, expected: str
) -> None:
    auth = {"oauth": login(huawei).json()["access_token"], "jwt": jwt()}.get(bearer, bearer)

    assert code(send(v3() if version == "v3" else v1(), version, auth=auth)) == expected


class In(NamedTuple):
    """So many seconds from when the test runs, which may be long after it was collected."""

    seconds: int


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"iss": "somebody"}, "80200001"),
        ({"aud": f"{TOKEN_URL}/"}, "80200001"),
        ({"iat": In(600)}, "80200001"),
        ({"exp": None}, "80200001"),
        ({"iat": In(-7200), "exp": In(-1)}, "80200005"),
        ({"exp": In(90_000)}, "80300036"),
        ({"header": {"kid": "key-2"}}, "80200001"),
        ({"header": {"alg": "RS256"}}, "80200001"),
        ({"header": {"typ": "JOSE"}}, "80200001"),
        ({"salt": 20}, "80200001"),
    ],
)
def test_a_jwt_that_is_wrong_is_refused(send: Send, given: Json, expected: str) -> None:
    now = int(time.time())
    claims: Json = {
        name: now + one.seconds if isinstance(one, In) else one for name, one in given.items()
    }

    assert code(send(v3(), "v3", auth=jwt(**claims))) == expected


def test_a_token_ends_after_an_hour(huawei: Simulator, send: Send) -> None:
    huawei.post("/clock", {"advance": 3601})

    assert code(send(v1())) == "80200003"


def test_a_token_ends_with_the_secret_it_was_given_for(huawei: Simulator, send: Send) -> None:
    huawei.post("/credentials", {"hms": [app(client_secret="new")]})

    assert code(send(v1())) == "80200001"
    assert login(huawei).status_code == 400


def test_a_revoked_app_is_unknown(huawei: Simulator, send: Send) -> None:
    huawei.post("/credentials/revoke", {"cloud": "hms", "key_id": APP})

    assert send(v1()).status_code == 404


def test_a_restart_forgets_no_token(huawei: Simulator) -> None:
    bearer = login(huawei).json()["access_token"]
    huawei.restart(signal.SIGKILL)

    with huawei.client(PUSH, http2=False) as client:
        assert code(sender(client, bearer)(v1())) == "80000000"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/999/messages:send", 404),
        ("POST", f"/v2/{APP}/messages:send", 404),
        ("POST", f"/v1/{APP}/messages", 404),
        ("POST", f"/v1/{APP}/topic:subscribe", 404),
        ("GET", PATHS["v1"], 405),
    ],
)
def test_a_wrong_path_is_none(client: Client, method: str, path: str, status: int) -> None:
    assert client.request(method, path).status_code == status


# ------------------------------------------------------------------- bodies


A = "message.android"
N = f"{A}.notification"
REFUSED_V1 = [
    ("message", ..., "80100003"),
    ("message.token", ..., "80100003"),
    ("message.token", [], "80100003"),
    ("message.token", [7], "80100003"),
    ("message.topic", "news", "80100003"),  # beside the tokens
    ("message.data", {"a": 1}, "80100001"),
    ("message.webpush", {}, "80100003"),
    ("validate_only", "yes", "80100001"),
    (f"{A}.ttl", 86400, "80100004"),
    (f"{A}.ttl", "0s", "80100004"),
    (f"{A}.ttl", "1296001s", "80100004"),
    (f"{A}.collapse_key", -2, "80100013"),
    (f"{A}.collapse_key", 101, "80100013"),
    (f"{A}.collapse_key", "sale", "80100013"),
    (f"{A}.urgency", "high", "80100001"),
    (f"{A}.urgency", "HIGH", "80300011"),
    (f"{A}.category", "NEWS", "80100001"),
    (f"{A}.bi_tag", "x" * 65, "80100001"),
    (f"{A}.receipt_id", "RCP9", "80300013"),
    (f"{A}.target_user_type", 2, "80100001"),
    (f"{A}.notifications", {}, "80100003"),
    (A, [], "80100003"),
    (N, ..., "80100003"),  # neither data nor a notification
    (f"{N}.title", ..., "80100003"),
    (f"{N}.body", ..., "80100003"),
    (f"{N}.click_action", ..., "80100003"),
    (f"{N}.click_action", {"type": 4}, "80100001"),
    (f"{N}.click_action", {"type": 1}, "80100001"),
    (f"{N}.click_action", {"type": 1, "intent": "shop://sale"}, "80100001"),
    (f"{N}.click_action", {"type": 2, "url": "http://shop.example"}, "80100001"),
    (f"{N}.click_action", {"type": 3, "url": "https://shop.example"}, "80100001"),
    (f"{N}.image", "http://shop.example/a.png", "80100022"),
    (f"{N}.importance", "MAX", "80100001"),
    (f"{N}.importance", "HIGH", "80300011"),
    (f"{N}.badge", {"set_num": 3}, "80100001"),
    (f"{N}.badge", {"class": "a.Main", "set_num": 100}, "80100001"),
    (f"{N}.badge", {"class": "a.Main", "add_num": 0}, "80100001"),
    (f"{N}.sound", "ding.mp3", "80100001"),
    (f"{N}.default_sound", "no", "80100001"),
    (f"{N}.vibrate_config", ["1.5"] * 11, "80100001"),
    (f"{N}.vibrate_config", ["long"], "80100001"),
    (f"{N}.style", 2, "80100001"),
    (f"{N}.style", 1, "80100001"),
    (f"{N}.style", 3, "80100001"),
    (f"{N}.inbox_content", ["x"] * 6, "80100001"),
    (f"{N}.buttons", [{"name": "Buy", "action_type": 0}] * 4, "80100001"),
    (f"{N}.buttons", [{"name": "x" * 41, "action_type": 0}], "80100001"),
    (f"{N}.buttons", [{"name": "Buy", "action_type": 5}], "80100001"),
    (f"{N}.notify_id", True, "80100001"),
    (f"{N}.badgeNumber", 3, "80100003"),
]


@pytest.mark.parametrize(("path", "value", "expected"), REFUSED_V1)
def test_a_body_of_version_1_is_checked(send: Send, path: str, value: Any, expected: str) -> None:
    assert code(send(changed(v1(), path, value))) == expected


REFUSED_V3 = [
    ("payload.notification", ..., "80100003"),
    ("target.token", ..., "80100003"),
    ("target.token", "MAMzLg", "80100003"),
    ("message", {}, "80100003"),
    ("payload.notification.category", ..., "80100003"),
    ("payload.notification.category", "NEWS", "80100001"),
    ("payload.notification.clickAction", ..., "80100003"),
    ("payload.notification.clickAction", {"actionType": 3}, "80100001"),
    ("payload.notification.clickAction", {"actionType": 1}, "80100001"),
    ("payload.notification.click_action", {"type": 3}, "80100003"),
    ("payload.notification.notifyId", "7", "80100001"),
    ("pushOptions.ttl", "86400s", "80100004"),
    ("pushOptions.ttl", 0, "80100004"),
    ("pushOptions.collapseKey", 101, "80100013"),
    ("pushOptions.biTag", "x" * 65, "80100001"),
    ("pushOptions.receiptId", "RCP9", "80300013"),
    ("pushOptions.testMessage", 1, "80100001"),
]


@pytest.mark.parametrize(("path", "value", "expected"), REFUSED_V3)
def test_a_body_of_version_3_is_checked(send: Send, path: str, value: Any, expected: str) -> None:
    assert code(send(changed(v3(), path, value), "v3")) == expected


@pytest.mark.parametrize("push_type", ["", "3", "6"])
def test_version_3_wants_its_type(send: Send, push_type: str) -> None:
    assert code(send(v3(), "v3", **{"push-type": push_type})) == "80100001"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 60_000])
def test_what_is_no_object_is_refused(send: Send, body: bytes) -> None:
    assert code(send(body)) == "80100003"


def test_all_that_the_manual_names_is_taken(huawei: Simulator, send: Send) -> None:
    huawei.post("/credentials", {"hms": [app(may_be_urgent=True)]})
    shown = {
        "title": "Sale",
        "body": "Today",
        "image": "https://shop.example/a.png",
        "click_action": {"type": 1, "intent": "intent://sale#Intent;scheme=shop;end"},
        "channel_id": "promo",
        "importance": "HIGH",
        "notify_id": 123456,
        "badge": {"class": "com.example.Main", "set_num": 3},
        "style": 1,
        "big_title": "Sale",
        "big_body": "Today only",
        "sound": "/raw/ding",
        "default_sound": False,
        "vibrate_config": ["1.5", "0.000000001"],
        "use_default_vibrate": False,
        "buttons": [{"name": "Buy", "action_type": 1, "intent_type": 0, "intent": "shop://b"}],
        "tag": "sale",
        "group": "offers",
        "foreground_show": True,
    }
    body = v1(
        collapse_key=7, urgency="HIGH", ttl="1296000s", category="WORK", notification=shown
    )  # fmt: skip
    body["message"]["data"] = json.dumps({"messageId": "m-1"})

    assert code(send(body)) == "80000000"

    [row] = huawei.get("/ledger/messages")["messages"]
    assert (row["message_id"], row["application"], row["version"]) == ("m-1", APP, "v1")
    assert row["payload"]["message"]["android"]["notification"] == shown
    assert "token" not in row["payload"]["message"]


def test_data_alone_needs_nothing_to_tap(send: Send) -> None:
    body = v1(notification=None)
    body["message"]["data"] = '{"a":1}'

    assert code(send(body)) == "80000000"


@pytest.mark.parametrize(("count", "expected"), [(1000, "80000000"), (1001, "80300010")])
def test_a_thousand_tokens_go_into_one_call(
    huawei: Simulator, send: Send, count: int, expected: str
) -> None:
    assert code(send(v1(*(token() for _ in range(count))))) == expected
    assert huawei.get("/ledger")["hms"]["accepted"] == (count if count == 1000 else 0)


@pytest.mark.parametrize(("more", "expected"), [(0, "80000000"), (1, "80300008")])
def test_4096_bytes_are_taken_beside_the_tokens(send: Send, more: int, expected: str) -> None:
    def sized(length: int) -> bytes:
        body = v1("@", notification=None)
        body["message"]["data"] = "x" * length
        return json.dumps(body).encode()

    room = 4096 - len(sized(1).replace(b'"@"', b"")) + 1
    tokens = json.dumps([token() for _ in range(50)])[1:-1]

    body = sized(room + more).replace(b'"@"', tokens.encode())

    assert code(send(body)) == expected
