"""Requests to Infobip's push API, and what it says of a message. Sections: contract/push.md."""

from typing import Any

from campaigns.models import Bulk, Submission
from devices.models import Application, Registration
from tests.api.systems import System
from tests.factories import make_registration

SEND = "/push/3/messages"
ENROUTE = {
    "groupId": 1,
    "groupName": "PENDING",
    "id": 7,
    "name": "PENDING_ENROUTE",
    "description": "Message sent to next instance",
}
ACCEPTED = {
    "groupId": 1,
    "groupName": "PENDING",
    "id": 26,
    "name": "PENDING_ACCEPTED",
    "description": "Message accepted, pending for delivery",
}
DELIVERED = {
    "groupId": 3,
    "groupName": "DELIVERED",
    "id": 5,
    "name": "DELIVERED_TO_HANDSET",
    "description": "Message delivered to handset",
}
NO_ERROR = {
    "groupId": 0,
    "groupName": "OK",
    "id": 0,
    "name": "NO_ERROR",
    "description": "No Error",
    "permanent": False,
}
NOBODY = {"type": "EXTERNAL_USER_ID", "externalUserId": "nobody"}


def to(device: Registration, **given: Any) -> dict[str, Any]:
    return {
        "type": "REGISTRATION",
        "pushRegistrationId": str(device.address.public_id),
        **given,
    }


def message(application: Application, *destinations: Any, **given: Any) -> dict[str, Any]:
    return {
        "sender": application.code,
        "destinations": list(destinations),
        "content": {"type": "TEXT", "text": "Order shipped"},
        **given,
    }


def request_of(*messages: Any, **schedule: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": list(messages)}
    if schedule:
        body["options"] = {"schedule": schedule}
    return body


def status_of(answer: Any, number: int = 0) -> tuple[int, str]:
    assert answer.status_code == 200, answer.content
    status = answer.json()["messages"][number]["status"]
    return status["id"], status["name"]


def violations_of(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 400, answer.content
    body = answer.json()
    assert int(answer["Content-Length"]) == len(answer.content)
    assert list(body) == ["errorCode", "description", "action", "violations", "resources"]
    assert (body["errorCode"], body["resources"]) == ("E400", [])
    assert Submission.objects.count() == Bulk.objects.count() == 0
    return [(each["property"], each["violation"]) for each in body["violations"]]


def refused(answer: Any) -> tuple[int, str]:
    assert int(answer["Content-Length"]) == len(answer.content)
    return answer.status_code, answer.json()["errorCode"]


def sent(system: System, application: Application, **given: Any) -> Bulk:
    device = make_registration(application)
    answer = system.post(SEND, request_of(message(application, to(device), **given)))
    assert status_of(answer)[0] in {7, 26}, answer.content
    return Bulk.objects.latest("pk")
