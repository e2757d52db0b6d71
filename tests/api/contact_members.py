"""A device of which little is known, a system that calls, and whole answers."""

from typing import Any

import pytest

from devices.models import Application, Registration
from tests.api.systems import System, make_key
from tests.factories import make_registration

PUSH = "/people/2/contactInformation/push"
JDOE: dict[str, Any] = {"identity": {"externalId": "jdoe"}}
EXACT = {"least": -(2**63), "most": 2**63 - 1, "half": 0.5, "yes": True, "day": "2024-02-29"}


@pytest.fixture
def system(application: Application, settings: Any) -> System:
    make_key()
    settings.CONTACT_CALLS_PER_SECOND = 1000
    return System(application)


@pytest.fixture
def device(application: Application) -> Registration:
    return make_registration(application)


@pytest.fixture
def path(device: Registration) -> str:
    return f"{PUSH}/{device.address.public_id}"


def registration(device: Registration, **changed: Any) -> dict[str, Any]:
    """What is answered about a device of which little is known."""
    return {
        "registrationId": str(device.address.public_id),
        "applicationId": device.application.application_id,
        "isPrimary": False,
        "systemData": {
            "cloudType": "GCM",
            "registrationEnabled": True,
            "notificationsEnabled": True,
            "os": "Android",
        },
        **changed,
    }


def exception(code: str, text: str) -> dict[str, Any]:
    return {"requestError": {"serviceException": {"messageId": code, "text": text}}}


def answered(answer: Any) -> tuple[int, Any]:
    assert int(answer["Content-Length"]) == len(answer.content)
    if answer.content:
        assert answer["Content-Type"] == "application/json"
    return answer.status_code, answer.json() if answer.content else b""


def error(code: int, text: str) -> tuple[int, Any]:
    return 400, {"errorCode": code, "errorMessage": text}
