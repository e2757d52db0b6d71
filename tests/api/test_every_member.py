"""Bodies with every member at once: what one call takes, its sisters take as well."""

from typing import Any

import pytest

from campaigns.models import Bulk, InboxTopic
from devices.models import Application
from tests.api.systems import System, make_key
from tests.factories import make_application, make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

PERSON: dict[str, Any] = {
    "externalId": "jdoe",
    "firstName": "John",
    "lastName": "Doe",
    "middleName": "Quincy",
    "gender": "MALE",
    "birthDate": "1985-07-12",
    "address": "Main Street 1",
    "city": "Zagreb",
    "country": "Croatia",
    "preferredLanguage": "hr",
    "profilePicture": "https://example.com/john.jpg",
    "type": "CUSTOMER",
    "tags": ["Pizza"],
    "customAttributes": {"bootsize": 9.5},
    "contactInformation": {
        "phone": [{"number": "79810000000"}],
        "email": [{"address": "john@example.com"}],
    },
}
MADE = ("id", "createdAt", "modifiedAt", "origin", "modifiedFrom")  # by us
OLDER: dict[str, Any] = {
    "text": "Order shipped",
    "validityPeriod": 2,
    "validityPeriodTimeUnit": "HOURS",
    "sendAt": "2026-01-01T00:00:00Z",
    "customPayload": {"order": 7},
    "notificationOptions": {
        "title": "Hi",
        "contentUrl": "https://example.com/a.png",
        "soundEnabled": True,
        "soundName": "bell.wav",
        "vibrationEnabled": False,
        "isSilent": False,
        "badge": 3,
        "category": "mm_accept_decline",
        "showInApp": True,
        "inAppStyle": "MODAL",
        "inAppExpirationPeriod": 3,
        "inAppExpirationTimeUnit": "HOURS",
        "inAppDismissTitle": "Later",
        "inAppOpenTitle": "Show",
        "primaryButtonAction": {"type": "DEEP_LINK", "resource": "shop://orders/7"},
        "inboxTopic": "orders",
    },
    "notifyUrl": "https://example.com/reports",
    "notifyContentType": "application/json",
    "callbackData": "o-7",
    "targetOnlyPrimaryDevices": True,
}


@pytest.fixture
def system() -> System:
    make_key(scopes=["people:manage", "mobile-app-messaging:manage", "message:send"])
    return System()


def test_a_person_with_everything_is_created_replaced_changed_and_read(system: System) -> None:
    address = "/people/2/persons"
    who = f"{address}?type=EXTERNAL_ID&identifier=jdoe"

    answers = [
        system.post(address, PERSON),
        system.call("PUT", who, PERSON),
        system.patch(who, PERSON),
        system.get(who),
    ]

    for answer in answers:
        assert answer.status_code == 200, answer.content
        told = answer.json()
        assert all(told.pop(name) for name in MADE)
        assert told == PERSON
    [listed] = system.get(address).json()["persons"]
    assert {name: listed[name] for name in PERSON} == PERSON


@pytest.mark.parametrize("several", [False, True])
def test_an_older_message_with_everything_is_sent(system: System, several: bool) -> None:
    application: Application = make_application()
    make_registration(application, person=make_person(external_id="jdoe"), primary=True)
    InboxTopic.objects.create(name="orders")
    message = {"from": application.code, "to": {"externalUserId": "jdoe"}, **OLDER}

    if several:
        answer = system.post("/push/2/message/multi", {"messages": [message]})
    else:
        answer = system.post("/push/2/message/single", message)

    [bulk] = answer.json()["bulks"]
    assert (bulk["to"], bulk["messageCount"]) == ({"externalUserId": "jdoe"}, 1)
    [content] = Bulk.objects.get().content
    assert content == {
        "language": "",
        "variant": 0,
        "title": "Hi",
        "text": "Order shipped",
        "image_url": "https://example.com/a.png",
        "sound": "bell.wav",
        "vibrate": False,
        "silent": False,
        "badge": 3,
        "category": "mm_accept_decline",
        "in_app_style": "MODAL",
        "in_app_expires_in": 10_800,
        "in_app_dismiss_title": "Later",
        "in_app_open_title": "Show",
        "deep_link": "shop://orders/7",
        "inbox_topic": "orders",
        "custom_payload": {"order": 7},
    }
