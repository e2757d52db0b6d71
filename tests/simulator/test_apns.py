import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.simulator.running import (
    APNS,
    SANDBOX,
    TOPIC,
    Client,
    Simulator,
    apns_token,
    apple_jwt,
    apple_key,
)

Send = Callable[..., httpx.Response]


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["reason"]


def test_an_accepted_notification_has_an_empty_answer_with_its_id(
    send_apns: Send, simulator: Simulator
) -> None:
    token, apns_id, message_id = apns_token(), str(uuid.uuid4()), str(uuid.uuid4())
    body = {"aps": {"alert": "Hi"}, "messageId": message_id}

    answer = send_apns(token, body, apns_id=apns_id)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["apns-id"] == apns_id
    [row] = simulator.get("/ledger/messages")["messages"]
    assert (row["token"], row["message_id"], row["provider_id"]) == (token, message_id, apns_id)
    assert row["application"] == TOPIC


def test_a_missing_id_is_made(send_apns: Send) -> None:
    uuid.UUID(send_apns(apns_token()).headers["apns-id"])


def test_http_1_is_not_spoken(simulator: Simulator) -> None:
    with simulator.client(APNS, http2=False) as client, pytest.raises(httpx.TransportError):
        client.post("/3/device/" + apns_token())


@pytest.mark.parametrize(
    ("jwt", "expected"),
    [
        (None, "MissingProviderToken"),
        ("not.a.jwt", "InvalidProviderToken"),
        ("abc", "InvalidProviderToken"),
        ({"age": 3700}, "ExpiredProviderToken"),
        ({"age": -120}, "InvalidProviderToken"),
        ({"team": "ANOTHER123"}, "InvalidProviderToken"),
        ({"key_id": "STRANGER12"}, "InvalidProviderToken"),
        ({"signer": "somebody else"}, "InvalidProviderToken"),
        ({"alg": "HS256"}, "InvalidProviderToken"),
    ],
)
def test_a_provider_token_must_be_right(send_apns: Send, jwt: Any, expected: str) -> None:
    if isinstance(jwt, dict):
        if "age" in jwt:  # seconds, when it is used: collecting the tests may be long ago
            jwt = {"iat": time.time() - jwt["age"]}
        text = apple_jwt(**jwt)
    else:
        text = jwt

    answer = send_apns(apns_token(), authorization=f"bearer {text}" if text else None)

    assert reason(answer) == (403, expected)


def test_a_provider_token_ages_with_the_clock(send_apns: Send, simulator: Simulator) -> None:
    assert send_apns(apns_token()).status_code == 200

    simulator.post("/clock", {"advance": 3700})

    assert reason(send_apns(apns_token())) == (403, "ExpiredProviderToken")


def test_two_tokens_within_twenty_minutes_spoil_the_connection(
    send_apns: Send, simulator: Simulator
) -> None:
    second = f"bearer {apple_jwt(iat=time.time() - 30)}"
    send_apns(apns_token())

    changed = send_apns(apns_token(), authorization=second)
    after = send_apns(apns_token())
    simulator.post("/clock", {"advance": 21 * 60})

    assert reason(changed) == reason(after) == (429, "TooManyProviderTokenUpdates")
    assert send_apns(apns_token(), authorization=second).status_code == 200


def test_a_connection_belongs_to_one_team(send_apns: Send, simulator: Simulator) -> None:
    key = apple_key("OTHERKEY12", team_id="OTHERTEAM1")
    simulator.post("/credentials", {"apns": [key]})
    send_apns(apns_token())
    simulator.post("/clock", {"advance": 25 * 60})

    jwt = apple_jwt(key_id="OTHERKEY12", team="OTHERTEAM1")

    assert reason(send_apns(apns_token(), authorization=f"bearer {jwt}"))[0] == 403


def test_a_key_bound_to_an_environment_or_topic_works_nowhere_else(
    simulator: Simulator, send_apns: Send
) -> None:
    bound = apple_key("SANDBOX123", environment="sandbox", topics=["com.example.other"])
    simulator.post("/credentials", {"apns": [bound]})
    headers = {"authorization": f"bearer {apple_jwt(key_id='SANDBOX123')}", "apns-topic": TOPIC}

    wrong = send_apns(apns_token(), authorization=headers["authorization"])
    with simulator.client(SANDBOX) as sandbox:
        body = {"aps": {"alert": "Hi"}}
        other = sandbox.post(f"/3/device/{apns_token()}", json=body, headers=headers)
        headers["apns-topic"] = "com.example.other"
        right = sandbox.post(f"/3/device/{apns_token()}", json=body, headers=headers)

    assert reason(wrong) == (403, "BadEnvironmentKeyIdInToken")
    assert reason(other) == (400, "TopicDisallowed")
    assert right.status_code == 200
    assert "apns-unique-id" in right.headers


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"apns_topic": None}, "MissingTopic"),
        ({"apns_topic": "com.example.unknown"}, "BadTopic"),
        ({"apns_topic": f"{TOPIC}.voip"}, "BadTopic"),
        ({"apns_push_type": "letter"}, "InvalidPushType"),
        ({"apns_push_type": "background", "apns_priority": "10"}, "BadPriority"),
        ({"apns_priority": "7"}, "BadPriority"),
        ({"apns_expiration": "soon"}, "BadExpirationDate"),
        ({"apns_id": "m-1"}, "BadMessageId"),
        ({"apns_collapse_id": "x" * 65}, "BadCollapseId"),
    ],
)
def test_a_wrong_header_is_named(send_apns: Send, headers: dict[str, Any], expected: str) -> None:
    assert reason(send_apns(apns_token(), **headers)) == (400, expected)


def test_the_suffix_of_a_topic_fits_the_push_type(send_apns: Send) -> None:
    answer = send_apns(apns_token(), apns_topic=f"{TOPIC}.voip", apns_push_type="voip")

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "PayloadEmpty")),
        (b"{}", (400, "PayloadEmpty")),
        (b"hello", (400, "PayloadEmpty")),
        (json.dumps({"aps": {"alert": "x" * 4096}}).encode(), (413, "PayloadTooLarge")),
    ],
)
def test_a_wrong_payload_is_refused(
    send_apns: Send, body: bytes, expected: tuple[int, str]
) -> None:
    assert reason(send_apns(apns_token(), body)) == expected


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/3/device/" + "ab" * 32, (405, "MethodNotAllowed")),
        ("POST", "/2/device/" + "ab" * 32, (404, "BadPath")),
        ("POST", "/3/device/", (400, "MissingDeviceToken")),
        ("POST", "/3/device/" + "AB" * 32, (400, "BadDeviceToken")),
        ("POST", "/3/device/" + "0" * 64, (400, "BadDeviceToken")),
        ("POST", "/3/device/xyz", (400, "BadDeviceToken")),
    ],
)
def test_a_wrong_path_is_refused(
    apns: Client, method: str, path: str, expected: tuple[int, str]
) -> None:
    headers = {"authorization": f"bearer {apple_jwt()}", "apns-topic": TOPIC}

    assert reason(apns.request(method, path, headers=headers)) == expected


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ("fa7e4100", (410, "Unregistered")),
        ("fa7e41e0", (410, "ExpiredToken")),
        ("fa7e4000", (400, "BadDeviceToken")),
        ("fa7e40f0", (400, "DeviceTokenNotForTopic")),
        ("fa7e4290", (429, "TooManyRequests")),
        ("fa7e5000", (500, "InternalServerError")),
        ("fa7e5030", (503, "ServiceUnavailable")),
        ("fa7e1d10", (400, "IdleTimeout")),
    ],
)
def test_a_token_meets_the_fate_it_names(
    send_apns: Send, mark: str, expected: tuple[int, str]
) -> None:
    assert reason(send_apns(apns_token(mark))) == expected


def test_gone_devices_come_with_a_time_in_milliseconds(send_apns: Send) -> None:
    told = send_apns(apns_token("fa7e4100")).json()["timestamp"]

    assert time.time() - 8 * 86_400 < told / 1000 < time.time()


def test_a_token_of_the_other_environment_or_app_is_bad(
    send_apns: Send, simulator: Simulator
) -> None:
    sandboxed, foreign, gone = (apns_token() for _ in range(3))
    simulator.post(
        "/devices",
        {
            "apns": [
                {"token": sandboxed, "environment": "sandbox"},
                {"token": foreign, "owner": "com.example.other"},
                {"token": gone, "closed_at": 1_700_000_000.5},
            ]
        },
    )

    assert reason(send_apns(sandboxed)) == (400, "BadDeviceToken")
    assert reason(send_apns(foreign)) == (400, "DeviceTokenNotForTopic")
    assert send_apns(gone).json() == {"reason": "Unregistered", "timestamp": 1_700_000_000_500}


def test_too_many_to_one_device(send_apns: Send, simulator: Simulator) -> None:
    simulator.post("/behaviour", {"apns": {"device_per_minute": 2}})
    token = apns_token()

    answers = [send_apns(token) for _ in range(3)]

    assert [one.status_code for one in answers] == [200, 200, 429]
    assert reason(answers[2]) == (429, "TooManyRequests")
