from collections.abc import Callable

import httpx

from tests.simulator.running import PROJECT, Simulator, fcm_token, message

Send = Callable[..., httpx.Response]


def code(answer: httpx.Response) -> str:
    """FcmError.errorCode of an error answer, or "" without that detail."""
    for detail in answer.json()["error"].get("details", []):
        if detail["@type"].endswith("FcmError"):
            return str(detail["errorCode"])
    return ""


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
