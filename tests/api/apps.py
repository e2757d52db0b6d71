"""An app with Infobip's SDK, as our API meets it."""

import json
from typing import Any

from django.test import Client

from devices.models import Application, Platform
from tests.api import documented
from tests.factories import make_token

INSTANCES = "/mobile/1/appinstance"
DELIVERED = "/mobile/1/messages/deliveryreport"
SEEN = "/mobile/2/messages/seen"
DEVICE: dict[str, Any] = {
    "regEnabled": True,
    "notificationsEnabled": True,
    "sdkVersion": "13.10.2",
    "appVersion": "1.16.0",
    "os": "Android",
    "osVersion": "14",
    "deviceManufacturer": "HUAWEI",
    "deviceModel": "ANE-LX1",
    "deviceName": "Anna's phone",
    "language": "en",
    "deviceTimezoneOffset": "GMT+03:00",
    "applicationUserId": "anna-7",
    "deviceSecure": True,
    "customAttributes": {"bootsize": 9.5, "member": True, "since": "2024-02-29", "club": "Gold"},
    "pushServiceType": "Firebase",
}
STORED = {**DEVICE, "isPrimary": False, "pushServiceType": "GCM"}  # as it is given back


class App:
    """An app on a phone: calls with its application's code."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.headers = {"Authorization": f"App {application.code}"}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body) if body is not None else ""
        answer = self.client.generic(
            method, path, data, content_type="application/json", headers={**self.headers, **headers}
        )
        documented.check(headers.get("X-HTTP-Method-Override", method).upper(), path, answer, body)
        return answer

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def register(self, **members: Any) -> dict[str, Any]:
        answer = self.post(INSTANCES, {**DEVICE, "pushServiceToken": token(), **members})
        assert answer.status_code == 200, answer.content
        answered: dict[str, Any] = answer.json()
        return answered


def token() -> str:
    return make_token(Platform.ANDROID)


def refusal(code: str, text: str) -> dict[str, Any]:
    return {"requestError": {"serviceException": {"messageId": code, "text": text}}}


def assert_refused(answer: Any, status: int, code: str, text: str) -> None:
    assert (answer.status_code, answer.json()) == (status, refusal(code, text))
    assert answer["Content-Type"] == "application/json"
    assert int(answer["Content-Length"]) == len(answer.content) > 0
