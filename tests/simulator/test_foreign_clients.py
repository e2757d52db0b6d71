"""Clients that nobody here wrote take the simulator for the clouds.

The simulator and our own client could share a misreading of a manual; these break the
tie. Source: contract/providers.md 12.1. Only where a name is found is changed, in the
client's own process: names, certificates and paths are the clouds'.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aioapns
import firebase_admin
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from firebase_admin import credentials, exceptions, messaging

from embedded import packages
from embedded.tools import h2load
from tests.simulator import huawei
from tests.simulator.running import (
    APNS,
    FCM,
    OAUTH,
    PROJECT,
    TOKEN_URI,
    TOPIC,
    Json,
    Simulator,
    apns_token,
    ec_key,
    fcm_token,
    message,
    private_pem,
    rsa_key,
)
from tests.simulator.test_webpush import APPLE, MICROSOFT, MOZILLA
from tests.waiting import eventually

HERE = Path(__file__).parent
COUNT = 100
SEND = f"/v1/projects/{PROJECT}/messages:send"
CLOUDS = {FCM, OAUTH, APNS, huawei.LOGIN, huawei.PUSH}


def service_account() -> Json:
    """The JSON file that Firebase's console hands out."""
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "key-1",
        "private_key": private_pem(rsa_key()),
        "client_email": f"push@{PROJECT}.example",
        "token_uri": TOKEN_URI,
    }


def near(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clouds' names are found at the simulator, everything else nowhere."""
    find = socket.getaddrinfo

    def getaddrinfo(host: str | None, port: Any, *given: Any, **named: Any) -> Any:
        if host in CLOUDS:
            return find("127.0.0.1", simulator.port, *given, **named)
        raise socket.gaierror(socket.EAI_NONAME, f"{host} is not of these tests")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, simulator.ca_file)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def run_node(script: str, simulator: Simulator, told: Json) -> Any:
    packages.install(dev=True)
    done = subprocess.run(
        [str(packages.node()), str(HERE / script)],
        input=json.dumps(told),
        env={"PATH": os.environ["PATH"], "NODE_EXTRA_CA_CERTS": simulator.ca_file},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def accepted(simulator: Simulator) -> Counter[str]:
    """Token → how often something was accepted for it."""
    return Counter(row["token"] for row in simulator.get("/ledger/messages")["messages"])


# ------------------------------------------------------------------------------- FCM

FCM_ERRORS: list[tuple[str, type[Exception], str]] = [
    ("unregistered", messaging.UnregisteredError, "registration-token-not-registered"),
    ("mismatched", messaging.SenderIdMismatchError, "mismatched-credential"),
    ("malformed", exceptions.InvalidArgumentError, "invalid-argument"),
    ("busy", messaging.QuotaExceededError, "message-rate-exceeded"),
    ("third-party", messaging.ThirdPartyAuthError, "third-party-auth-error"),
]


def fcm_tokens() -> list[str]:
    """A hundred that work, one of each error, and one of a cloud that recovers."""
    bad = [fcm_token(f"fate-{fate}-1") for fate, _, _ in FCM_ERRORS]
    return [*[fcm_token() for _ in range(COUNT)], *bad, fcm_token("fate-unavailable-once-1")]


@pytest.fixture
def firebase(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[firebase_admin.App]:
    near(simulator, monkeypatch)
    simulator.post("/behaviour", {"fcm": {"retry_after": 1}})
    before = set(threading.enumerate())
    app = firebase_admin.initialize_app(credentials.Certificate(service_account()), name="test")
    yield app
    firebase_admin.delete_app(app)
    # It asks for the regions of the account beside its work, under a name we do not have.
    eventually(lambda: set(threading.enumerate()) <= before, "it has given up asking")


@pytest.mark.filterwarnings("ignore:Message.token is deprecated")
def test_firebase_admin_for_python_sends_and_reads_each_error(
    firebase: firebase_admin.App, simulator: Simulator
) -> None:
    tokens = fcm_tokens()
    note = messaging.Notification(title="Sale", body="Twenty percent off")
    android = messaging.AndroidConfig(priority="high", ttl=3600, collapse_key="sale")
    messages = [
        messaging.Message(
            token=token, notification=note, android=android, data={"messageId": f"{number}"}
        )
        for number, token in enumerate(tokens)
    ]

    answers = messaging.send_each(messages, app=firebase).responses

    good = [answer.success for answer in answers]
    assert good == [True] * COUNT + [False] * len(FCM_ERRORS) + [True]
    assert [type(answer.exception) for answer in answers[COUNT:-1]] == [
        error for _, error, _ in FCM_ERRORS
    ]
    rows = simulator.get("/ledger/messages")["messages"]
    told = {row["token"]: f"projects/{PROJECT}/messages/{row['provider_id']}" for row in rows}
    sent = [*zip(tokens[:COUNT], answers, strict=False), (tokens[-1], answers[-1])]
    assert told == {token: answer.message_id for token, answer in sent}
    assert max(accepted(simulator).values()) == 1


def test_firebase_admin_for_python_is_told_what_is_wrong_with_a_body(
    firebase: firebase_admin.App, simulator: Simulator
) -> None:
    fid = uuid.uuid4().hex[:22]
    wrong = messaging.Message(fid=fid, data={"google.sent": "1"})

    with pytest.raises(exceptions.InvalidArgumentError, match="google"):
        messaging.send(wrong, app=firebase)

    assert messaging.send(messaging.Message(fid=fid), dry_run=True, app=firebase)
    assert accepted(simulator) == {}
    assert messaging.send(messaging.Message(fid=fid), app=firebase)
    assert accepted(simulator) == {fid: 1}


def test_firebase_admin_for_node_sends_and_reads_each_error(simulator: Simulator) -> None:
    """Over HTTP/2, all at once on one connection."""
    simulator.post("/behaviour", {"fcm": {"retry_after": 1}})
    tokens = [*fcm_tokens(), fcm_token("fate-internal-1")]
    notification = {"title": "Sale", "body": "Twenty percent off"}
    android = {"priority": "high", "ttl": 3600_000}
    messages = [
        {"token": token, "notification": notification, "android": android} for token in tokens
    ]

    seen = run_node(
        "firebase_admin.js",
        simulator,
        {"port": simulator.port, "account": service_account(), "messages": messages},
    )

    codes = [one.get("code", "").removeprefix("messaging/") for one in seen]
    expected = [code for _, _, code in FCM_ERRORS]

    assert codes == [""] * COUNT + expected + ["", "internal-error"]
    assert accepted(simulator) == Counter([*tokens[:COUNT], tokens[-2]])
    traffic = simulator.get("/statistics")["traffic"]["fcm"]
    assert (traffic["refused_streams"], traffic["connections"]) == (0, 1)


# ------------------------------------------------------------------------------ APNs

APNS_ERRORS = [
    ("fa7e4100", 410, "Unregistered"),
    ("fa7e41e0", 410, "ExpiredToken"),
    ("fa7e4000", 400, "BadDeviceToken"),
    ("fa7e40f0", 400, "DeviceTokenNotForTopic"),
    ("fa7e4290", 429, "TooManyRequests"),
    ("fa7e5030", 503, "ServiceUnavailable"),
    ("fa7e5000", 500, "InternalServerError"),
]


def apns_tokens() -> tuple[list[str], list[str]]:
    good = [apns_token("0") for _ in range(COUNT)]
    return good, [apns_token(mark) for mark, _, _ in APNS_ERRORS]


def test_node_apn_sends_and_reads_each_error(simulator: Simulator) -> None:
    good, bad = apns_tokens()

    seen = run_node(
        "node_apn.js",
        simulator,
        {
            "port": simulator.port,
            "ca": Path(simulator.ca_file).read_text(),
            "key": private_pem(ec_key("ABCDE12345")),
            "keyId": "ABCDE12345",
            "teamId": "TEAM123456",
            "topic": TOPIC,
            "tokens": [good[:1], good[1:], bad[:-1], bad[-1:]],
        },
    )

    assert sorted(seen["sent"]) == sorted(good)
    told = {
        one["device"]: (one["status"], one.get("reason") or one["error"]) for one in seen["failed"]
    }
    expected = [(status, reason) for _, status, reason in APNS_ERRORS]
    expected[-1] = (500, "Error 500, stream ended unexpectedly")  # its own words for it
    assert told == dict(zip(bad, expected, strict=True))
    assert accepted(simulator) == Counter(good)


def test_aioapns_sends_and_reads_each_error(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    near(simulator, monkeypatch)
    good, bad = apns_tokens()
    tls = simulator.tls()
    tls.set_alpn_protocols(["h2"])  # it sets none itself, and Apple speaks nothing else

    async def send() -> list[aioapns.common.NotificationResult]:
        client = aioapns.APNs(
            key=private_pem(ec_key("ABCDE12345")),
            key_id="ABCDE12345",
            team_id="TEAM123456",
            topic=TOPIC,
            ssl_context=tls,
        )
        asks = [
            aioapns.NotificationRequest(
                device_token=token,
                message={"aps": {"alert": {"title": "Sale", "body": "Twenty percent off"}}},
                time_to_live=3600,
                push_type=aioapns.PushType.ALERT,
            )
            for token in [*good, *bad]
        ]
        first = await client.send_notification(asks[0])
        rest = await asyncio.gather(*[client.send_notification(ask) for ask in asks[1:]])
        client.pool.close()
        return [first, *rest]

    answers = asyncio.run(send())

    assert [answer.is_successful for answer in answers] == [True] * COUNT + [False] * len(bad)
    told = [(int(answer.status), answer.description) for answer in answers[COUNT:]]
    assert told == [(status, reason) for _, status, reason in APNS_ERRORS]
    gone = [answer.timestamp for answer in answers if answer.status == "410"]
    assert all(time.time() - 400 * 86400 < (at or 0) / 1000 < time.time() for at in gone)
    assert accepted(simulator) == Counter(good)


# ------------------------------------------------------------------ clients of HTTP alone


def test_curl_sends_over_http2(simulator: Simulator, bearer: str) -> None:
    token = fcm_token()
    done = subprocess.run(
        [
            "curl", "-sS", "--http2", "--cacert", simulator.ca_file, "--connect-to",
            f"{FCM}:443:127.0.0.1:{simulator.port}", "-w", "%{http_version} %{http_code}",
            "-H", f"authorization: {bearer}", "-H", "content-type: application/json",
            "-d", json.dumps(message(token)), f"https://{FCM}{SEND}",
        ],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip

    assert done.stdout.endswith("2 200"), done.stderr
    assert accepted(simulator) == {token: 1}


def test_h2load_finds_no_fault_under_load(
    simulator: Simulator, bearer: str, tmp_path: Path
) -> None:
    """Two connections with a hundred streams each, thousands of requests."""
    simulator.post("/behaviour", {"fcm": {"device_per_minute": 10**6, "collapsible_burst": 10**6}})
    token, count = fcm_token(), 3000
    body = tmp_path / "body.json"
    body.write_text(json.dumps(message(token)))
    tool = h2load()
    done = subprocess.run(
        [
            str(tool.program), "-n", str(count), "-c", "2", "-m", "100", "-d", str(body),
            "--connect-to", f"127.0.0.1:{simulator.port}",
            "-H", f"authorization: {bearer}", "-H", "content-type: application/json",
            f"https://{FCM}{SEND}",
        ],
        env=tool.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert f"{count} succeeded, 0 failed" in done.stdout, done.stdout + done.stderr
    assert f"status codes: {count} 2xx" in done.stdout
    assert simulator.get("/ledger")["fcm"]["accepted"] == count
    traffic = simulator.get("/statistics")["traffic"]["fcm"]
    assert (traffic["refused_streams"], traffic["connections"]) == (0, 2)


# -------------------------------------------------------------------------- Web Push

BROWSERS = [MOZILLA, FCM, APPLE, MICROSOFT]
WEB_ERRORS = {
    "unregistered": 410, "expired-token": 404, "mismatched": 401, "malformed": 400, "busy": 429,
    "internal": 500, "bad-gateway": 502, "unavailable": 503,
}  # fmt: skip


def test_web_push_for_node_sends_and_reads_each_error(simulator: Simulator) -> None:
    key = ec_key("server")
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    public, private = (
        base64.urlsafe_b64encode(data).rstrip(b"=").decode()
        for data in (point, key.private_numbers().private_value.to_bytes(32, "big"))
    )

    def browsers(host: str, **asked: Any) -> list[Json]:
        given = {"server_key": public, "host": host, **asked}
        found: list[Json] = simulator.post("/browsers", given)["subscriptions"]
        return found

    good = [one for host in BROWSERS for one in browsers(host, count=5)]
    bad = browsers(MOZILLA, names=[f"fate-{fate}-1" for fate in WEB_ERRORS])

    seen = run_node(
        "web_push.js",
        simulator,
        {
            "port": simulator.port,
            "publicKey": public,
            "privateKey": private,
            "subscriptions": good + bad,
            "payload": json.dumps({"title": "Größe", "body": "-30 % 🎉"}),
        },
    )

    assert [one["status"] for one in seen] == [201] * len(good) + [*WEB_ERRORS.values()]
    rows = simulator.get("/ledger/messages")["messages"]
    assert [row["token"] for row in rows] == [one["endpoint"] for one in good]
    for row in rows:
        assert row["payload"] == {"title": "Größe", "body": "-30 % 🎉"}
        assert (row["ttl"], row["urgency"], row["topic"]) == (600, "low", "sale")
