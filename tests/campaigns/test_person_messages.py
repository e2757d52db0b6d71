"""campaigns.views.messages: what the devices of a person were sent."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import ids
from campaigns.models import Bulk, Message, Reason
from campaigns.views import messages
from devices.models import Registration, Role
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_person,
    make_registration,
    make_user,
)

pytestmark = pytest.mark.django_db
QueryCount = Callable[[int], AbstractContextManager[Any]]


def send(bulk: Bulk, device: Registration, **given: Any) -> Message:
    return Message.objects.create(
        id=ids.message_id(bulk, device.pk), bulk=bulk, registration=device,
        platform=device.platform, sent_at=timezone.now(),
        **{"state": Message.State.ACCEPTED, **given},
    )  # fmt: skip


def test_messages_of_every_device_are_one_list_newest_first(
    client: Client, django_assert_max_num_queries: QueryCount
) -> None:
    application, person = make_application(), make_person(external_id="anna")
    devices = [make_registration(application, person=person, model=name) for name in "AB"]
    elsewhere = make_registration(make_application(), person=person)
    stranger = make_registration(application)
    sent = []
    for hours in range(3):
        at = timezone.now() - timedelta(hours=3 - hours)
        bulk = make_bulk(application, campaign=make_campaign(application), starts_at=at)
        sent += [send(bulk, each) for each in devices]
        send(bulk, stranger)
    send(make_bulk(elsewhere.application), elsewhere)
    client.force_login(make_user(Role.SUPPORT, application))
    url = reverse("campaigns:person-messages", args=[application.pk, person.pk])
    client.get(url)

    with django_assert_max_num_queries(8):
        response = client.get(url)

    shown = [line.message for line in response.context["lines"]]
    assert shown == sorted(sent, key=lambda message: message.pk, reverse=True)
    assert {line.registration for line in response.context["lines"]} == set(devices)


def test_a_reason_is_told_with_what_to_do(client: Client) -> None:
    device = make_registration(make_application(), person=make_person(external_id="anna"))
    send(
        make_bulk(device.application), device,
        state=Message.State.FAILED, reason=Reason.MISMATCHED_SENDER, answer="SENDER_ID_MISMATCH",
    )  # fmt: skip
    client.force_login(make_user(Role.SUPPORT, device.application))

    page = client.get(
        reverse("campaigns:person-messages", args=[device.application_id, device.person_id])
    ).content.decode()

    for text in (Reason.MISMATCHED_SENDER.label, Reason.MISMATCHED_SENDER.remedy, "SENDER_ID"):
        assert text in page


def test_only_the_newest_are_shown_and_that_is_said(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "SHOWN", 2)
    device = make_registration(make_application(), person=make_person(external_id="anna"))
    for _ in range(3):
        send(make_bulk(device.application), device)
    client.force_login(make_user(Role.SUPPORT, device.application))

    response = client.get(
        reverse("campaigns:person-messages", args=[device.application_id, device.person_id])
    )

    assert len(response.context["lines"]) == 2
    assert "The newest 2 are shown." in response.content.decode()


def test_a_person_without_a_device_has_no_messages(client: Client) -> None:
    application, person = make_application(), make_person(external_id="anna")
    client.force_login(make_user(Role.SUPPORT, application))

    response = client.get(reverse("campaigns:person-messages", args=[application.pk, person.pk]))

    assert "What their devices are sent stands here" in response.content.decode()
