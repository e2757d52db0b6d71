"""The samples of Infobip's pages on push contact information: whole requests, whole answers.

The requests stand here as the page has them; the page's account, application and device are made.
What differs is what the page itself contradicts: its requests name another device than its answers.
"""

import json
import uuid
from typing import Any

import pytest
from django.test import Client

from devices.models import Address, Application, Registration
from tests.api.systems import make_api_user
from tests.factories import make_application, make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

DEVICE = "/people/2/contactInformation/push/8621824C-86B2-41F7-BF6F-20D3B1426005"
GET = f"""\
GET {DEVICE} HTTP/1.1
Host: api.infobip.com
Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==
Accept: application/json
AppCode: 87dc5af9bb50ebe3df341c89d2463a09-1cf8-4e07-a063-041d4195d172
"""
PATCH = f"""\
PATCH {DEVICE} HTTP/1.1
Host: api.infobip.com
Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==
Accept: application/json
Content-Type: application/json
AppCode: 87dc5af9bb50ebe3df341c89d2463a09-1cf8-4e07-a063-041d4195d172

{{
"isPrmary": true,
"systemData": {{
"registrationEnabled": true
}},
"additionalData": {{
"receiveOTP": true
}}
}}
"""
PERSONALIZE = f"""\
POST {DEVICE}/personalize?forceDepersonalize=true HTTP/1.1
Host: api.infobip.com
Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==
Accept: application/json
Content-Type: application/json
AppCode: 87dc5af9bb50ebe3df341c89d2463a09-1cf8-4e07-a063-041d4195d172

{{
"identity": {{
"phoneNumber": "79810000000"
}},
"attributes": {{
"tags": ["Pizza", "Sports"]
}}
}}
"""
DEPERSONALIZE = f"""\
POST {DEVICE}/depersonalize HTTP/1.1
Host: api.infobip.com
Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==
Accept: application/json
Content-Type: application/json
AppCode: 87dc5af9bb50ebe3df341c89d2463a09-1cf8-4e07-a063-041d4195d172
"""
REGISTRATION: dict[str, Any] = {
    "registrationId": "8621824C-86B2-41F7-BF6F-20D3B1426005",
    "applicationId": "753CBCDC1D587223934106E2A2AEDD44",
    "isPrimary": False,
    "systemData": {
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
def device() -> Registration:
    """The device of the page, in its application; its account may manage people."""
    make_api_user("Aladdin", "open sesame")
    Application.objects.filter(pk=make_application().pk).update(
        code="87dc5af9bb50ebe3df341c89d2463a09-1cf8-4e07-a063-041d4195d172",
        application_id="753CBCDC1D587223934106E2A2AEDD44",
    )
    registration = make_registration(
        Application.objects.get(),
        geofencing=True,
        secure=True,
        manufacturer="HUAWEI",
        model="ANE-LX1",
        language="en",
        timezone_offset=180,
    )
    Address.objects.update(
        public_id=uuid.UUID("8621824C-86B2-41F7-BF6F-20D3B1426005"),
        sdk_version="2.0.9.1",
        app_version="1.16.0-SNAPSHOT",
        os_version="8.0.0",
        device_name="ANE-LX1",
    )
    return registration


def asked(sample: str) -> Any:
    """The answer to a request as it stands on the page."""
    head, _, body = sample.partition("\n\n")
    first, *lines = head.strip().splitlines()
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    kind = headers.pop("Content-Type", "")
    headers["Host"] = "testserver"
    client = Client(enforce_csrf_checks=True)
    return client.generic(method, path, body, content_type=kind, headers=headers)


def told(answer: Any) -> dict[str, Any]:
    """The JSON of an answer; an id is one in whatever case it is written."""
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = json.loads(answer.content)
    if "registrationId" in found:
        found["registrationId"] = found["registrationId"].upper()
    return found


def test_getting_a_registration(device: Registration) -> None:
    assert told(asked(GET)) == REGISTRATION


def test_updating_a_registration(device: Registration) -> None:
    assert told(asked(PATCH)) == {**REGISTRATION, "additionalData": {"receiveOTP": True}}


def test_personalizing(device: Registration) -> None:
    make_person(
        external_id="jdoe", phone="79810000000", email="my.email@gmail.com",
        first_name="John", last_name="Doe", birthday="1985-07-12",
    )  # fmt: skip

    assert told(asked(PERSONALIZE)) == PERSON


def test_depersonalizing(device: Registration) -> None:
    asked(PERSONALIZE)

    answer = asked(DEPERSONALIZE)

    assert (answer.status_code, answer.content) == (200, b"")
    device.refresh_from_db()
    assert device.person is None
    assert told(asked(GET)) == REGISTRATION


@pytest.mark.parametrize("text", ["null", "Null", "NULL"])
def test_an_external_id_of_null_is_none(device: Registration, text: str) -> None:
    answer = asked(PERSONALIZE.replace('"phoneNumber": "79810000000"', f'"externalId": "{text}"'))

    assert (answer.status_code, answer.json()) == (
        400,
        {"errorCode": 48022, "errorMessage": "UserIdentity does not have any identity field set"},
    )


def test_devices_with_one_phone_or_e_mail_are_collected_under_one_person(
    device: Registration,
) -> None:
    """As the page promises: "devices personalized with the same phone number or/and email"."""
    other = make_registration(device.application)
    asked(PERSONALIZE)

    asked(PERSONALIZE.replace(DEVICE.rpartition("/")[2], str(other.address.public_id)))

    device.refresh_from_db()
    other.refresh_from_db()
    assert device.person is not None
    assert device.person == other.person
