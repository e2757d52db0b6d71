"""The people API and the mobile API, called by many at the same moment."""

from collections import Counter
from functools import partial
from typing import Any

import pytest

from devices.models import Identity, Person, Registration
from tests.api.apps import INSTANCES, App
from tests.api.systems import System, make_key
from tests.devices.test_personalizing_at_once import at_once
from tests.factories import make_application, make_registration

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fresh")]

PUSH = "/people/2/contactInformation/push"
PHONE = "79810000000"


def test_fifty_identical_calls_of_the_people_api_make_one_person() -> None:
    make_key()
    device = make_registration(make_application())
    path = f"{PUSH}/{device.address.public_id}/personalize"
    body = {"identity": {"externalId": "anna", "phoneNumber": PHONE, "email": "anna@example.com"}}

    def call() -> Any:
        return System(device.application).post(path, body)

    answers: list[Any] = at_once([call] * 50)

    assert [answer.status_code for answer in answers] == [200] * 50
    assert {answer.content for answer in answers} == {answers[0].content}
    person = Person.objects.get()
    assert Registration.objects.get().person == person
    assert person.identities.count() == 3


def test_fifty_apps_that_say_the_same_person_at_once_make_one() -> None:
    application = make_application()
    devices = [make_registration(application) for _ in range(50)]
    body = {"userIdentity": {"externalUserId": "anna", "phones": [{"number": PHONE}]}}

    def call(device: Registration) -> Any:
        path = f"{INSTANCES}/{device.address.public_id}/personalize?setDeviceAsPrimary=true"
        return App(application).post(path, body)

    answers: list[Any] = at_once([partial(call, device) for device in devices])

    assert [answer.status_code for answer in answers] == [200] * 50
    person = Person.objects.get()
    assert Registration.objects.filter(person=person).count() == 50
    assert Registration.objects.filter(primary=True).count() == 1


def test_of_two_people_who_say_one_phone_one_gets_the_conflict_error() -> None:
    application = make_application()
    phones = [make_registration(application) for _ in range(2)]
    for number, phone in enumerate(phones):
        path = f"{INSTANCES}/{phone.address.public_id}/personalize"
        App(application).post(path, {"userIdentity": {"externalUserId": f"person-{number}"}})

    def call(phone: Registration) -> Any:
        path = f"{INSTANCES}/{phone.address.public_id}/user"
        body = {"phones": [{"number": PHONE}], "lastName": "Doe"}
        return App(application).call("PATCH", path, body)

    answers: list[Any] = at_once([partial(call, phone) for phone in phones])

    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 1}
    (refused,) = (answer.json() for answer in answers if answer.status_code == 400)
    assert refused == {
        "requestError": {
            "serviceException": {
                "messageId": "USER_MERGE_INTERRUPTED",
                "text": "User update violates unique key constraint",
            }
        }
    }
    owner = Identity.objects.get(kind=Identity.Kind.PHONE).person
    named = {person.pk: person.last_name for person in Person.objects.all()}
    assert len(named) == 2
    assert named.pop(owner.pk) == "Doe"
    assert list(named.values()) == [""]
    assert Identity.objects.filter(kind=Identity.Kind.EXTERNAL_ID).count() == 2
