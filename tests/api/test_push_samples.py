"""The samples of Infobip's page "Send Mobile push over API": whole requests, whole answers."""

import uuid
from typing import Any

import pytest

from campaigns.models import Chunk, Destination, InboxTopic
from devices.models import Address, Application, Platform, Registration
from tests.api.pushing import ACCEPTED, ENROUTE, SEND
from tests.api.sending import carry_out, receive
from tests.api.systems import System
from tests.factories import make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


@pytest.fixture
def devices(application: Application) -> dict[str, Registration]:
    """The devices that the page speaks of, and some that it does not."""
    customer = make_person(external_id="customer_21234", phone="441134960001")
    other = make_person(external_id="customer_21235")

    def of(person: Any, platform: Platform, kind: str) -> Registration:
        attributes = {"DeviceType": kind}
        return make_registration(
            application, person=person, platform=platform, attributes=attributes
        )

    found = {
        "iphone": of(customer, Platform.IOS, "personal"),
        "android": of(customer, Platform.ANDROID, "business"),
        "ipad": of(other, Platform.IOS, "business"),
        "shared": of(None, Platform.IOS, "shared"),
        "anonymous": of(None, Platform.ANDROID, "personal"),
    }
    named = uuid.UUID("DBE0B0B6-668E-491E-8EE8-2A3DB2C71CBE")
    Address.objects.filter(pk=found["anonymous"].pk).update(public_id=named)
    return found


@pytest.mark.parametrize(
    ("destination", "answered", "reached"),
    [
        (
            {
                "pushRegistrationId": "DBE0B0B6-668E-491E-8EE8-2A3DB2C71CBE",
                "type": "REGISTRATION",
            },
            "DBE0B0B6-668E-491E-8EE8-2A3DB2C71CBE",
            {"anonymous"},
        ),
        (
            {"externalUserId": "customer_21234", "type": "EXTERNAL_USER_ID"},
            "customer_21234",
            {"iphone", "android"},
        ),
        (
            {
                "$or": [
                    {"externalUserId": "customer_21234"},
                    {"externalUserId": "customer_21235"},
                ],
                "type": "MULTIPLE",
            },
            '{"$or":[{"externalUserId":"customer_21234"},{"externalUserId":"customer_21235"}]}',
            {"iphone", "android", "ipad"},
        ),
        (
            {"$or": [{"platform": "iOS"}], "type": "MULTIPLE"},
            '{"$or":[{"platform":"iOS"}]}',
            {"iphone", "ipad", "shared"},
        ),
        (
            {
                "$and": [{"platform": "iOS"}, {"phoneNumber": "441134960001"}],
                "type": "MULTIPLE",
            },
            '{"$and":[{"platform":"iOS"},{"phoneNumber":"441134960001"}]}',
            {"iphone"},
        ),
        (
            {
                "$and": [{"platform": "iOS"}, {"DeviceType": "personal"}],
                "$or": [{"DeviceType": "business"}],
                "type": "MULTIPLE",
            },
            (
                '{"$and":[{"platform":"iOS"},{"DeviceType":"personal"}],'
                '"$or":[{"DeviceType":"business"}]}'
            ),
            {"iphone", "ipad"},
        ),
    ],
)
def test_each_sample_of_a_destination(
    system: System,
    application: Application,
    devices: dict[str, Registration],
    destination: dict[str, Any],
    answered: str,
    reached: set[str],
) -> None:
    answer = system.post(
        SEND,
        {
            "messages": [
                {
                    "sender": application.code,
                    "destinations": [destination],
                    "content": {"type": "TEXT", "text": "Some text"},
                }
            ]
        },
    )

    known = Destination.objects.order_by("pk")[0]
    assert answer.status_code == 200
    assert answer.json() == {
        "bulkId": known.submission.bulk_id,  # type: ignore[union-attr]
        "messages": [
            {
                "messageId": known.public_id,
                "status": ACCEPTED if destination["type"] == "MULTIPLE" else ENROUTE,
                "destination": answered,
            }
        ],
    }
    carry_out()
    sent_to = {pk for chunk in Chunk.objects.all() for pk in chunk.recipients}
    assert sent_to == {devices[name].pk for name in reached}


def test_the_parameters_of_the_page_in_the_object_it_names(
    system: System, application: Application, devices: dict[str, Registration]
) -> None:
    InboxTopic.objects.create(name="Orders")
    answer = system.post(
        SEND,
        {
            "messages": [
                {
                    "sender": application.application_id,
                    "destinations": [
                        {
                            "type": "EXTERNAL_USER_ID",
                            "externalUserId": "customer_21234",
                            "targetOnlyPrimaryDevices": False,
                        }
                    ],
                    "content": {"type": "IMAGE", "text": "Shoes", "url": "https://a.b/c.png"},
                    "notificationOptions": {
                        "vibrationEnabled": True,
                        "soundEnabled": True,
                        "soundName": "notification_sound.wav",
                        "badge": 1,
                        "category": "mm_accept_decline",
                        "isSilent": True,
                        "showMirroredPush": True,
                        "mirroredPushStyle": "MODAL",
                        "mirroredPushExpirationPeriod": 3,
                        "mirroredPushExpirationTimeUnit": "HOURS",
                        "mirroredPushDismissTitle": "Later",
                        "mirroredPushOpenTitle": "Show",
                        "onTapButtonAction": {
                            "type": "DEEP_LINK",
                            "resource": "myApp://some/link",
                        },
                        "inboxTopic": "Orders",
                    },
                }
            ]
        },
    )

    known = Destination.objects.select_related("bulk", "submission").order_by("pk")
    assert len(known) == 2
    assert answer.json() == {
        "bulkId": known[0].submission.bulk_id,  # type: ignore[union-attr]
        "messages": [
            {
                "messageId": known[0].public_id,
                "status": ENROUTE,
                "destination": "customer_21234",
            }
        ],
    }
    assert known[0].bulk.content == [  # type: ignore[union-attr]
        {
            "language": "",
            "variant": 0,
            "text": "Shoes",
            "image_url": "https://a.b/c.png",
            "sound": "notification_sound.wav",
            "vibrate": True,
            "badge": 1,
            "category": "mm_accept_decline",
            "silent": True,
            "in_app_style": "MODAL",
            "in_app_expires_in": 10_800,
            "in_app_dismiss_title": "Later",
            "in_app_open_title": "Show",
            "deep_link": "myApp://some/link",
            "inbox_topic": "Orders",
        }
    ]


def test_statistics_as_the_page_lists_them(
    system: System, application: Application, devices: dict[str, Registration]
) -> None:
    rule = {"type": "MULTIPLE", "$or": [{"platform": "iOS"}, {"platform": "Android"}]}
    body = {
        "messages": [
            {
                "sender": application.code,
                "destinations": [rule],
                "content": {"type": "TEXT", "text": "Some text"},
            }
        ],
        "options": {"schedule": {"bulkId": "BULK-ID"}},
    }
    system.post(SEND, body)
    receive(application, *carry_out()[:2])

    totals = system.get("/push/1/statistics?bulkId=BULK-ID").json()
    assert totals.pop("delivery")["rate"] == 40.0
    assert totals == {
        "totalSent": 5,
        "delivered": 2,
        "seen": 0,
        "errors": {"registration": 0, "expired": 0, "cloud": 0},
    }
