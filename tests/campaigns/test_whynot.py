"""campaigns.whynot: the gates between a campaign and a device."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import fanout, ids, whynot
from campaigns.models import Bulk, Chunk, Message, Reason
from campaigns.whynot import NAMES, Passage
from devices.models import Application, Registration, Role
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_person,
    make_registration,
    make_user,
)

pytestmark = pytest.mark.django_db

GERMANS = {
    "all": [
        {"field": "language", "op": "is", "value": "de"},
        {"field": "platform", "op": "is", "value": "Android"},
    ]
}


@pytest.fixture
def application() -> Application:
    return make_application()


def launched(application: Application, **given: Any) -> Bulk:
    bulk = make_bulk(application, campaign=make_campaign(application, name="Sale"), **given)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def older(application: Application, **given: Any) -> Registration:
    """A device that was there before the launch."""
    device = make_registration(application, **given)
    Registration.objects.filter(pk=device.pk).update(created_at=timezone.now() - timedelta(days=30))
    device.refresh_from_db()
    return device


def write(bulk: Bulk, device: Registration, state: Message.State, **given: Any) -> None:
    Message.objects.create(
        id=ids.message_id(bulk, device.pk), bulk=bulk, registration=device,
        platform=device.platform, state=state, sent_at=timezone.now(), **given,
    )  # fmt: skip


def stop(bulk: Bulk, device: Registration) -> whynot.Gate:
    """The first gate that did not let it pass; those before it did, none after it was asked."""
    asked = whynot.gates(bulk, device)
    assert tuple(gate.name for gate in asked) == NAMES
    number = next(n for n, gate in enumerate(asked) if gate.passage is not Passage.PASSED)
    assert all(gate.passage is Passage.UNREACHED for gate in asked[number + 1 :])
    return asked[number]


def test_a_device_that_came_later_was_not_there(application: Application) -> None:
    older(application)
    bulk = launched(application)
    device = make_registration(application)
    Registration.objects.filter(pk=device.pk).update(created_at=timezone.now() + timedelta(hours=1))
    device.refresh_from_db()

    gate = stop(bulk, device)

    assert (gate.name, gate.passage) == ("Registered before the launch", Passage.STOPPED)


def test_a_device_that_did_not_match_is_told_by_which_part_of_the_rule(
    application: Application,
) -> None:
    device = older(application, language="fr")
    bulk = launched(application, rule=GERMANS)

    gate = stop(bulk, device)

    assert (gate.name, gate.passage) == ("Matched the audience", Passage.STOPPED)
    assert [each.matches for each in gate.clauses] == [False, True]
    assert "language" in gate.clauses[0].sentence


def test_a_device_that_matches_only_since_is_told_so(application: Application) -> None:
    device = older(application, language="fr")
    bulk = launched(application, rule=GERMANS)
    Registration.objects.filter(pk=device.pk).update(language="de")

    gate = stop(bulk, device)

    assert "It matches today, so it has changed since." in gate.told


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"enabled": False}, Reason.SWITCHED_OFF),
        ({"notifications_enabled": False}, Reason.NOTIFICATIONS_OFF),
    ],
)
def test_a_device_that_may_not_be_notified_is_told_as_it_was_at_the_launch(
    application: Application, given: dict[str, bool], reason: Reason
) -> None:
    device = older(application, **given)
    bulk = launched(application)
    Registration.objects.filter(pk=device.pk).update(enabled=True, notifications_enabled=True)

    gate = stop(bulk, device)

    assert (gate.name, gate.passage) == ("May be notified", Passage.STOPPED)
    assert reason.label in gate.told


@pytest.mark.parametrize(
    ("change", "passage", "text"),
    [
        ({}, Passage.WAITING, "It waits for its turn."),
        ({"status": Chunk.Status.CANCELLED}, Passage.STOPPED, "cancelled before its turn"),
        ({"reason": Reason.WAITING_FOR_RETRY}, Passage.WAITING, "The cloud said: not now."),
        (
            {"not_before": timezone.now() + timedelta(days=2)},
            Passage.WAITING,
            "Its time has not come yet.",
        ),
    ],
)
def test_a_message_that_was_not_sent_yet_says_what_it_waits_for(
    application: Application, change: dict[str, Any], passage: Passage, text: str
) -> None:
    device = older(application)
    bulk = launched(application)
    Chunk.objects.filter(bulk=bulk).update(**change)

    gate = stop(bulk, device)

    assert (gate.name, gate.passage) == ("Sent", passage)
    assert text in gate.told


def test_a_paused_campaign_and_one_before_its_launch_wait(application: Application) -> None:
    device = older(application)
    early = make_bulk(application, campaign=make_campaign(application))
    bulk = launched(application)
    bulk.status = Bulk.Status.PAUSED

    assert stop(bulk, device).told == "The campaign is paused."
    assert stop(early, device).told == "The campaign has not been launched yet."
    early.status = Bulk.Status.CANCELLED
    assert stop(early, device).passage is Passage.STOPPED


@pytest.mark.parametrize(
    ("state", "reason", "name", "passage"),
    [
        ("FAILED", Reason.DISABLED, "Sent", Passage.STOPPED),
        ("FAILED", Reason.PROVIDER_OFF, "Sent", Passage.STOPPED),
        ("EXPIRED", Reason.TOO_LATE, "Sent", Passage.STOPPED),
        ("FAILED", Reason.UNINSTALLED, "Accepted by the cloud", Passage.STOPPED),
        ("FAILED", Reason.PAYLOAD_REFUSED, "Accepted by the cloud", Passage.STOPPED),
        ("UNKNOWN", Reason.WORKER_LOST, "Accepted by the cloud", Passage.WAITING),
        ("ACCEPTED", Reason.NONE, "Delivered", Passage.WAITING),
        ("DELIVERED", Reason.NONE, "Seen", Passage.WAITING),
    ],
)
def test_a_message_stops_where_its_state_says(
    application: Application, state: str, reason: Reason, name: str, passage: Passage
) -> None:
    device = older(application)
    bulk = launched(application)
    write(bulk, device, Message.State[state], reason=reason, answer="its own word")

    gate = stop(bulk, device)

    assert (gate.name, gate.passage) == (name, passage)
    if reason:
        assert reason.label in gate.told
        assert (gate.remedy, gate.answer) == (reason.remedy, "its own word")


@pytest.mark.parametrize("state", ["SEEN", "CLICKED"])
def test_what_was_seen_passed_every_gate(application: Application, state: str) -> None:
    device = older(application)
    bulk = launched(application)
    write(bulk, device, Message.State[state])

    assert {gate.passage for gate in whynot.gates(bulk, device)} == {Passage.PASSED}


def test_support_asks_for_each_device_of_a_person(client: Client, application: Application) -> None:
    person = make_person(external_id="anna")
    for model in ("Galaxy S24", "Pixel 8"):
        older(application, person=person, model=model)
    older(make_application(), person=person, model="Secret phone")
    bulk = launched(application)
    client.force_login(make_user(Role.SUPPORT, application))
    url = reverse("campaigns:person-why-not", args=[application.pk, person.pk])

    asked = client.get(url).content.decode()
    answered = client.get(url, {"bulk": bulk.pk}).content.decode()

    assert "Sale" in asked
    assert "Galaxy S24" not in asked
    for text in ("Galaxy S24", "Pixel 8", "It waits for its turn."):
        assert text in answered
    assert "Secret phone" not in answered


def test_a_campaign_of_another_application_is_not_offered(
    client: Client, application: Application
) -> None:
    device = older(application)
    bulk = launched(make_application())
    client.force_login(make_user(Role.SUPPORT, application))
    url = reverse("campaigns:device-why-not", args=[application.pk, device.pk])

    for asked in (str(bulk.pk), "x", "\0"):
        response = client.get(url, {"bulk": asked})
        assert response.status_code == 200
        assert response.context["ways"] == []
    elsewhere = reverse("campaigns:device-why-not", args=[bulk.application_id, device.pk])
    assert client.get(elsewhere).status_code == 404
