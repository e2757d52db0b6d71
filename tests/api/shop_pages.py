"""Pages of shops, whose service workers call our own SDK's paths."""

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns import ids, reports
from campaigns.models import Bulk, Message
from devices.models import Application, Registration
from tests.api import documented
from tests.factories import make_application, make_subscription

RECEIPTS = "/sdk/1/receipts"
SUBSCRIPTIONS = "/sdk/1/subscriptions"
ORIGIN = "https://shop.example"


class Page:
    """A page of a shop, or its service worker: calls with its application's code."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.headers = {"Authorization": f"App {application.code}", "Origin": ORIGIN}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body) if body is not None else ""
        answer = self.client.generic(
            method, path, data, content_type="application/json", headers={**self.headers, **headers}
        )
        documented.check(method, path, answer, body)
        return answer

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def subscribe(self, caller: str = "", **members: Any) -> Any:
        headers = {"pushregistrationid": caller} if caller else {}
        told = {"subscription": json.loads(make_subscription()), **members}
        return self.post(SUBSCRIPTIONS, told, **headers)


@pytest.fixture
def page() -> Page:
    return Page(make_application())


def refusal(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def assert_refused(answer: Any, status: int, code: str, message: str) -> None:
    assert (answer.status_code, answer.json()) == (status, refusal(code, message))
    assert answer["Access-Control-Allow-Origin"] == "*"  # or the page could not read why


def sent(bulk: Bulk, registration: Registration) -> Message:
    """A message that its cloud has accepted."""
    return Message.objects.create(
        pk=ids.message_id(bulk, registration.pk),
        bulk=bulk,
        registration_id=registration.pk,
        sent_at=timezone.now(),
        state=Message.State.ACCEPTED,
        platform=registration.platform,
    )


def fold() -> None:
    reports.consume(seconds=0.05)
