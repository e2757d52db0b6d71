"""The push page's examples of advanced targeting, sent: who received it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from api.infobip.targeting import to_rule
from campaigns import dispatch, fanout
from campaigns.models import Bulk, Message
from campaigns.targeting import Rule
from devices.models import Application, Platform, Provider, Registration
from tests.campaigns.conftest import Cloud
from tests.factories import (
    make_application,
    make_bulk,
    make_credential,
    make_person,
    make_registration,
)


def received(
    application: Application,
    rule: Rule,
    cloud_for: Callable[..., Cloud],
) -> set[int]:
    """Send it, and see whose messages there are."""
    for provider in (Provider.FCM, Provider.APNS):
        cloud_for(make_credential(application, provider))
    bulk = make_bulk(application, rule=rule, starts_at=timezone.now() - timedelta(hours=1))
    fanout.freeze(bulk)
    dispatch.work(seconds=30)
    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.DONE
    accepted = Message.objects.of_bulk(bulk).filter(state=Message.State.ACCEPTED)
    return set(accepted.values_list("registration_id", flat=True))


@pytest.mark.django_db(transaction=True)
def test_example_1_reaches_the_ios_devices_of_a_number(
    cloud_for: Callable[..., Cloud],
) -> None:
    application = make_application()
    person = make_person(phone="441134960001")
    phone = make_registration(application, person=person, platform=Platform.IOS)
    tablet = make_registration(application, person=person, platform=Platform.IOS)
    make_registration(application, person=person, platform=Platform.ANDROID)
    other = make_person(phone="441134960002")
    make_registration(application, person=other, platform=Platform.IOS)
    make_registration(application, platform=Platform.IOS)

    rule = to_rule(application, every=[{"platform": "iOS"}, {"phoneNumber": "441134960001"}])

    assert received(application, rule, cloud_for) == {phone.pk, tablet.pk}


@pytest.mark.django_db(transaction=True)
def test_example_2_reaches_ios_devices_that_are_personal_or_business(
    cloud_for: Callable[..., Cloud],
) -> None:
    application = make_application()

    def device(platform: Platform, **attributes: Any) -> Registration:
        return make_registration(application, platform=platform, attributes=attributes)

    personal = device(Platform.IOS, DeviceType="personal")
    business = device(Platform.IOS, DeviceType="business")
    device(Platform.IOS, DeviceType="school")
    device(Platform.IOS, DeviceType=["personal"])
    device(Platform.IOS)
    device(Platform.ANDROID, DeviceType="personal")
    device(Platform.ANDROID, DeviceType="business")

    rule = to_rule(
        application,
        every=[{"platform": "iOS"}, {"DeviceType": "personal"}],
        some=[{"DeviceType": "business"}],
    )

    assert received(application, rule, cloud_for) == {personal.pk, business.pk}
