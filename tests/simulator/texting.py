"""Texts to the simulated SMS gateways, as Infobip and Twilio want them."""

import base64
import uuid
from typing import Any

import httpx

from tests.simulator.running import Client, Json

INFOBIP, TWILIO = "sandbox.api.infobip.com", "api.twilio.com"
SID, AUTH = "AC" + "0" * 32, "twilio-secret"
V3, V2 = "/sms/3/messages", "/sms/2/text/advanced"
NUMBER = "41793026727"
QUIET = {"silent": 0, "absent": 0, "barred": 0, "expired": 0, "unknown": 0, "stopped": 0,
         "intermediate": 0, "repeated": 0, "out_of_order": 0, "strangers": 0}  # fmt: skip
AT_ONCE = {**QUIET, "seconds": 0}


def v3(*destinations: Json, **given: Any) -> Json:
    url = given.pop("url", None)
    message = {
        "sender": "Shop",
        "destinations": list(destinations) or [{"to": NUMBER, "messageId": str(uuid.uuid4())}],
        "content": {"text": given.pop("text", "Hi")},
        **given,
    }
    if url:
        message["webhooks"] = {"delivery": {"url": url}, "contentType": "application/json"}
    return {"messages": [message]}


def v2(*destinations: Json, **given: Any) -> Json:
    message = {
        "from": "Shop",
        "destinations": list(destinations) or [{"to": NUMBER, "messageId": str(uuid.uuid4())}],
        "text": "Hi",
        **given,
    }
    return {"messages": [message]}


def ask(client: Client, body: Any, path: str = V3, key: str = "App key-1") -> httpx.Response:
    return client.post(path, json=body, headers={"authorization": key})


def statuses(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [one["status"]["id"] for one in answer.json()["messages"]]


def text(client: Client, auth: tuple[str, str] = (SID, AUTH), **form: Any) -> httpx.Response:
    told = {"To": f"+{NUMBER}", "From": "+15005550006", "Body": "Hi", **form}
    basic = base64.b64encode(":".join(auth).encode()).decode()
    return client.post(
        f"/2010-04-01/Accounts/{SID}/Messages.json",
        data={name: value for name, value in told.items() if value is not None},
        headers={"authorization": f"Basic {basic}"},
    )
