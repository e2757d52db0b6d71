"""What tests of push contact information share: the vendor's device, and a system that calls."""

from typing import Any

import pytest

from devices.models import Address, Application, Registration
from tests.api.systems import System, make_key
from tests.factories import make_registration

PUSH = "/people/2/contactInformation/push"
SYSTEM_DATA = {
    "cloudType": "GCM",
    "registrationEnabled": True,
    "notificationsEnabled": True,
    "geofencingSdk": True,
    "sdkVersion": "2.0.9.1",
    "appVersion": "1.16.0-SNAPSHOT",
    "os": "Android",
    "osVersion": "8.0.0",
    "deviceManufacturer": "HUAWEI",
    "deviceModel": "ANE-LX1",
    "deviceSecure": True,
    "osLanguage": "en",
    "deviceTimezoneOffset": "GMT+03:00",
    "deviceName": "ANE-LX1",
}
LARGEST = 9223372036854775807
JDOE: dict[str, Any] = {
    "identity": {
        "externalId": "jdoe",
        "phoneNumber": "79810000000",
        "email": "my.email@gmail.com",
    },
    "attributes": {
        "firstName": "John",
        "lastName": "Doe",
        "birthday": "1985-07-12",
        "tags": ["Pizza", "Sports"],
    },
}
PERSON: dict[str, Any] = {
    "externalId": "jdoe",
    "firstName": "John",
    "lastName": "Doe",
    "birthday": "1985-07-12",
    "tags": ["Pizza", "Sports"],
    "contactInformation": {
        "phones": [{"number": "79810000000"}],
        "emails": [{"address": "my.email@gmail.com"}],
    },
}


@pytest.fixture
def system(application: Application) -> System:
    make_key()
    return System(application)


@pytest.fixture
def device(application: Application) -> Registration:
    """The device of the vendor's own example."""
    registration = make_registration(
        application,
        geofencing=True,
        secure=True,
        manufacturer="HUAWEI",
        model="ANE-LX1",
        language="en",
        timezone_offset=180,
    )
    Address.objects.update(
        sdk_version="2.0.9.1",
        app_version="1.16.0-SNAPSHOT",
        os_version="8.0.0",
        device_name="ANE-LX1",
    )
    return registration


@pytest.fixture
def path(device: Registration) -> str:
    return f"{PUSH}/{device.address.public_id}"


def registration(device: Registration, **changed: Any) -> dict[str, Any]:
    """What is answered about a device."""
    return {
        "registrationId": str(device.address.public_id),
        "applicationId": device.application.application_id,
        "isPrimary": False,
        "systemData": SYSTEM_DATA,
        **changed,
    }


def assert_refused(answer: Any, code: int, text: str) -> None:
    assert (answer.status_code, answer.json()) == (400, {"errorCode": code, "errorMessage": text})
    assert int(answer["Content-Length"]) == len(answer.content)
