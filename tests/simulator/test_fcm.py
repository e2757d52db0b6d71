import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.simulator.running import (
    FCM,
    OAUTH,
    PROJECT,
    Client,
    Simulator,
    account,
    fcm_token,
    google_jwt,
    message,
)

Send = Callable[..., httpx.Response]


def code(answer: httpx.Response) -> str:
    """FcmError.errorCode of an error answer, or "" without that detail."""
    for detail in answer.json()["error"].get("details", []):
        if detail["@type"].endswith("FcmError"):
            return str(detail["errorCode"])
    return ""


def violated(answer: httpx.Response) -> list[str]:
    for detail in answer.json()["error"].get("details", []):
        if detail["@type"].endswith("BadRequest"):
            return [one["field"] for one in detail["fieldViolations"]]
    return []


def test_an_accepted_message_gets_a_name_and_a_line_in_the_ledger(
    send_fcm: Send, simulator: Simulator
) -> None:
    body = message(fcm_token())

    answer = send_fcm(body)

    assert answer.status_code == 200
    assert answer.http_version == "HTTP/2"
    name = answer.json()["name"]
    [row] = simulator.get("/ledger/messages")["messages"]
    assert name == f"projects/{PROJECT}/messages/{row['provider_id']}"
    assert row["message_id"] == body["message"]["data"]["messageId"]
    assert row["token"] == body["message"]["token"]
    assert row["verdict"] == "accepted"
    assert simulator.get("/ledger")["fcm"] == {"accepted": 1, "distinct": 1, "refused": 0}


@pytest.mark.parametrize(
    "data",
    [
        {"messageId": "m-1"},
        {"org_ib_d": json.dumps({"messageId": "m-1", "text": "Hi", "notification": {}})},
    ],
)
def test_the_message_id_is_found_in_both_dialects(
    send_fcm: Send, simulator: Simulator, data: dict[str, str]
) -> None:
    send_fcm(fcm_token(), data=data)

    [row] = simulator.get("/ledger/messages")["messages"]
    assert row["message_id"] == "m-1"


def test_http_1_is_served_too(simulator: Simulator, bearer: str) -> None:
    with simulator.client(FCM, http2=False) as client:
        for _ in range(2):
            answer = client.post(
                f"/v1/projects/{PROJECT}/messages:send",
                json=message(fcm_token()),
                headers={"authorization": bearer},
            )
            assert (answer.status_code, answer.http_version) == (200, "HTTP/1.1")

    assert simulator.get("/statistics")["traffic"]["fcm"]["connections"] == 1


@pytest.mark.parametrize("bearer_text", ["", "Bearer ya29.made-up.0123", "Basic abc"])
def test_an_unknown_access_token_is_unauthenticated(fcm: Client, bearer_text: str) -> None:
    answer = fcm.post(
        f"/v1/projects/{PROJECT}/messages:send",
        json=message(fcm_token()),
        headers={"authorization": bearer_text} if bearer_text else {},
    )

    assert answer.status_code == 401
    assert answer.json()["error"]["status"] == "UNAUTHENTICATED"
    assert code(answer) == ""


def test_an_access_token_ages_with_the_clock(send_fcm: Send, simulator: Simulator) -> None:
    assert send_fcm(fcm_token()).status_code == 200

    simulator.post("/clock", {"advance": 3600})

    assert send_fcm(fcm_token()).status_code == 401


def test_a_revoked_key_ends_its_access_tokens(send_fcm: Send, simulator: Simulator) -> None:
    simulator.post("/credentials", {"fcm": [account(key_id="key-2")]})
    simulator.post("/credentials/revoke", {"cloud": "fcm", "key_id": "key-1"})

    assert send_fcm(fcm_token()).status_code == 401


def test_another_project_is_denied_and_an_unknown_one_not_found(
    send_fcm: Send, simulator: Simulator
) -> None:
    simulator.post("/credentials", {"fcm": [account("other-shop", "key-2")]})

    denied = send_fcm(fcm_token(), project="other-shop")
    unknown = send_fcm(fcm_token(), project="nobody")

    assert (denied.status_code, denied.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert (unknown.status_code, unknown.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert code(denied) == code(unknown) == ""


@pytest.mark.parametrize("path", ["/batch", "/fcm/send", "/v1/projects/x/messages"])
def test_paths_of_the_past_are_gone(fcm: Client, bearer: str, path: str) -> None:
    assert fcm.post(path, json={}, headers={"authorization": bearer}).status_code == 404


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"data": {"n": 1}}, "message.data[n]"),
        ({"data": {"google.x": "1"}}, "message.data[google.x]"),
        ({"data": {"from": "1"}}, "message.data[from]"),
        ({"android": {"ttl": 3600}}, "message.android.ttl"),
        ({"android": {"ttl": "2419201s"}}, "message.android.ttl"),
        ({"android": {"priority": "urgent"}}, "message.android.priority"),
        ({"android": {"notification": {"color": "red"}}}, "message.android.notification.color"),
        (
            {"android": {"notification": {"image": "http://x/y.png"}}},
            "message.android.notification.image",
        ),
        (
            {"android": {"notification": {"vibrateTimings": [0]}}},
            "message.android.notification.vibrateTimings[0]",
        ),
        (
            {"android": {"notification": {"notificationCount": "3"}}},
            "message.android.notification.notificationCount",
        ),
        (
            {"fcmOptions": {"analyticsLabel": "with space"}},
            "message.fcmOptions.analyticsLabel",
        ),
        ({"to": "somebody"}, "message"),
        ({"topic": "news"}, "message"),
        ({"android": {"ttl": "1s"}, "androidV2": {"ttl": "1s"}}, "message.android"),
        ({"data": {"text": "x" * 4100}}, "message"),
    ],
)
def test_a_wrong_member_is_named(send_fcm: Send, given: dict[str, Any], field: str) -> None:
    answer = send_fcm(fcm_token(), **given)

    assert (answer.status_code, code(answer)) == (400, "INVALID_ARGUMENT")
    assert field in violated(answer)


def test_snake_case_is_understood(send_fcm: Send) -> None:
    answer = send_fcm(
        fcm_token(), android={"collapse_key": "c1", "notification": {"channel_id": "promo"}}
    )

    assert answer.status_code == 200


def test_a_payload_of_4096_bytes_passes_and_one_more_does_not(send_fcm: Send) -> None:
    around = len(json.dumps({"data": {"text": ""}}, separators=(",", ":")))

    assert send_fcm(fcm_token(), data={"text": "ж" * ((4096 - around) // 2)}).status_code == 200
    assert send_fcm(fcm_token(), data={"text": "x" * (4097 - around)}).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"message": 5}', b"[" * 50_000])
def test_a_body_that_is_no_request_is_refused(fcm: Client, bearer: str, body: bytes) -> None:
    answer = fcm.post(
        f"/v1/projects/{PROJECT}/messages:send", content=body, headers={"authorization": bearer}
    )

    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("fate", "status", "error"),
    [
        ("unregistered", 404, "UNREGISTERED"),
        ("mismatched", 403, "SENDER_ID_MISMATCH"),
        ("busy", 429, "QUOTA_EXCEEDED"),
        ("unavailable", 503, "UNAVAILABLE"),
        ("internal", 500, "INTERNAL"),
        ("third-party", 401, "THIRD_PARTY_AUTH_ERROR"),
    ],
)
def test_a_token_meets_the_fate_it_names(
    send_fcm: Send, simulator: Simulator, fate: str, status: int, error: str
) -> None:
    answer = send_fcm(fcm_token(f"fate-{fate}-1"))

    assert (answer.status_code, code(answer)) == (status, error)
    assert simulator.get("/ledger")["fcm"] == {"accepted": 0, "distinct": 0, "refused": 1}
    [row] = simulator.get("/ledger/refusals")["messages"]
    assert (row["status"], row["reason"]) == (status, error)


def test_a_malformed_token_is_blamed_by_its_path(send_fcm: Send) -> None:
    answer = send_fcm("no-device")

    assert violated(answer) == ["message.token"]
    assert "not a valid FCM registration token" in answer.json()["error"]["message"]


def test_a_fate_once_is_met_at_the_first_try_only(send_fcm: Send) -> None:
    body = message(fcm_token("fate-unavailable-once-1"))

    first, second = send_fcm(body), send_fcm(body)

    assert (first.status_code, first.headers["retry-after"]) == (503, "2")
    assert second.status_code == 200


def test_a_gateway_in_between_answers_in_html(send_fcm: Send) -> None:
    answer = send_fcm(fcm_token("fate-bad-gateway-1"))

    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")


def test_retry_after_may_be_a_date(send_fcm: Send, simulator: Simulator) -> None:
    simulator.post("/behaviour", {"fcm": {"retry_after_date": True}})

    assert send_fcm(fcm_token("fate-unavailable-1")).headers["retry-after"].endswith("GMT")


def test_a_dry_run_accepts_nothing(send_fcm: Send, simulator: Simulator) -> None:
    answer = send_fcm({**message(fcm_token()), "validateOnly": True})
    gone = send_fcm({**message(fcm_token("fate-unregistered-1")), "validateOnly": True})

    assert (answer.status_code, gone.status_code) == (200, 404)
    assert simulator.get("/ledger")["fcm"]["accepted"] == 0
    assert simulator.get("/statistics")["validated"] == 1


def test_quotas_of_a_project_and_of_a_device(send_fcm: Send, simulator: Simulator) -> None:
    simulator.post("/behaviour", {"fcm": {"device_per_minute": 2}})
    token = fcm_token()

    answers = [send_fcm(token) for _ in range(3)]
    simulator.post("/behaviour", {"fcm": {"project_per_minute": 4}})
    others = [send_fcm(fcm_token()) for _ in range(2)]

    assert [one.status_code for one in answers] == [200, 200, 429]
    assert int(answers[2].headers["retry-after"]) <= 60
    assert [one.status_code for one in others] == [200, 429]
    subjects = [
        detail["violations"][0]["subject"]
        for answer in (answers[2], others[1])
        for detail in answer.json()["error"]["details"]
        if detail["@type"].endswith("QuotaFailure")
    ]
    assert subjects == [f"device:{token[:8]}", f"project:{PROJECT}"]


def test_collapsible_messages_have_a_bucket_of_their_own(
    send_fcm: Send, simulator: Simulator
) -> None:
    simulator.post("/behaviour", {"fcm": {"collapsible_burst": 2}})
    token = fcm_token()

    statuses = [send_fcm(token, android={"collapseKey": "a"}).status_code for _ in range(3)]
    simulator.post("/clock", {"advance": 181})

    assert statuses == [200, 200, 429]
    assert send_fcm(token, android={"collapseKey": "a"}).status_code == 200


def test_what_is_known_about_a_device_counts(send_fcm: Send, simulator: Simulator) -> None:
    gone, foreign, old = (fcm_token() for _ in range(3))
    simulator.post(
        "/devices",
        {
            "fcm": [
                {"token": gone, "closed_at": 1.0},
                {"token": foreign, "owner": "another-project"},
                {"token": old, "installation": "i-1"},
                {"token": "f" * 22, "kind": "fid", "installation": "i-1"},
            ]
        },
    )

    assert code(send_fcm(gone)) == "UNREGISTERED"
    assert code(send_fcm(foreign)) == "SENDER_ID_MISMATCH"
    assert code(send_fcm(old)) == "UNREGISTERED"  # its installation has a FID now
    assert send_fcm({"message": {"fid": "f" * 22, "data": {"a": "b"}}}).status_code == 200


@pytest.mark.parametrize(
    ("claims", "status", "error"),
    [
        ({"aud": "https://fcm.googleapis.com/"}, 400, "invalid_grant"),
        ({"iat": 1000, "exp": 4600}, 400, "invalid_grant"),
        ({"iss": "somebody@else.example"}, 400, "invalid_grant"),
        ({"scope": "openid"}, 400, "invalid_grant"),
        ({"exp": 99_999_999_999}, 400, "invalid_grant"),
        ({"key_id": "stranger", "iss": "a@b.example"}, 401, "invalid_client"),
        ({"key_id": "stranger"}, 400, "invalid_grant"),
    ],
)
def test_the_token_endpoint_refuses_a_wrong_claim(
    simulator: Simulator, claims: dict[str, Any], status: int, error: str
) -> None:
    with simulator.client(OAUTH) as client:
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
        answer = client.post("/token", data={**form, "assertion": google_jwt(**claims)})

    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_key_need_not_be_named_but_must_be_one_of_the_issuer(simulator: Simulator) -> None:
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
    with simulator.client(OAUTH) as client:
        good, bad = (
            client.post("/token", data={**form, "assertion": google_jwt(key_id="", **claims)})
            for claims in ({}, {"iss": "somebody@else.example"})
        )

    assert good.status_code == 200, good.text
    assert (bad.status_code, bad.json()["error"]) == (401, "invalid_client")


def test_the_token_endpoint_refuses_a_signature_of_another_key(simulator: Simulator) -> None:
    head, claims, signature = google_jwt().split(".")
    forged = f"{head}.{claims}.{signature[:-8]}AAAAAAAA"
    with simulator.client(OAUTH) as client:
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
        answer = client.post("/token", data={**form, "assertion": forged})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
