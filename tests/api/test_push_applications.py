"""api.infobip.push_applications: applications of the account. Section 11 of contract/push.md."""

from typing import Any

import pytest

from devices.models import Application, Provider
from tests.api.systems import System, make_key
from tests.factories import make_application, make_credential, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

PATH = "/push/1/applications"


def as_json(application: Application, **given: Any) -> dict[str, Any]:
    return {
        "applicationCode": application.code,
        "applicationId": application.application_id,
        "name": application.name,
        "description": application.description,
        "registrationsCount": 0,
        "apns": {"enabled": False},
        "gcm": {"enabled": False},
        **given,
    }


def test_every_application_with_its_devices_and_clouds(system: System) -> None:
    first = make_application(description="The shop")
    make_credential(first, Provider.FCM)
    make_credential(first, Provider.APNS, enabled=False)
    make_registration(first)
    make_registration(first, enabled=False)
    second = make_application()

    answer = system.get(PATH)

    assert answer.status_code == 200
    assert answer.json() == {
        "applications": [
            as_json(first, registrationsCount=2, gcm={"enabled": True}),
            as_json(second),
        ]
    }


def test_one_application_by_its_code_or_its_id(system: System) -> None:
    make_application()
    one = make_application()
    assert system.get(f"{PATH}/{one.code}").json() == as_json(one)
    by_id = f"{PATH}/{one.application_id}?useAppCodeAsAppId=true"
    assert system.get(by_id).json() == as_json(one)


def test_an_unknown_application_is_not_found(system: System) -> None:
    one = make_application()
    for path in ("x", one.application_id, f"{one.code}?useAppCodeAsAppId=true", "%00", "é"):
        answer = system.get(f"{PATH}/{path}")
        assert answer.status_code == 404
        assert answer.json() == {
            "requestError": {"serviceException": {"messageId": "NOT_FOUND", "text": "Not found"}}
        }


def test_a_flag_that_is_none_is_refused(system: System) -> None:
    answer = system.get(f"{PATH}/x?useAppCodeAsAppId=maybe")
    assert answer.status_code == 400
    error = answer.json()["requestError"]["serviceException"]
    assert error == {"messageId": "BAD_REQUEST", "text": "useAppCodeAsAppId must be a boolean"}


def test_only_who_manages_push_sees_applications(system: System) -> None:
    make_key("sender", scopes=["message:send"])
    assert system.get(PATH, Authorization="App sender").status_code == 403
