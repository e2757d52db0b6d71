"""Tests of a draft: sent to named devices at once, answered by the cloud, counted nowhere."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from campaigns import trials
from campaigns.models import Bulk, Campaign, Chunk, Message, SavedDevice
from devices.models import Application, AuditEntry, Platform, ProviderCredential, Role
from providers.base import Outcome, Verdict
from tests.campaigns import composer
from tests.campaigns.composer import url
from tests.factories import (
    do_not_contact,
    make_application,
    make_campaign,
    make_credential,
    make_person,
    make_registration,
    make_user,
    signed_in,
)

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]
TYPED = composer.TYPED | {"text": "Hi {{ first_name }}"}


@pytest.fixture
def shop() -> Application:
    return make_application()


@pytest.fixture
def cloud(shop: Application, cloud_for: CloudFor) -> Any:
    return cloud_for(make_credential(shop))


def send(campaign: Campaign, *devices: Any) -> list[trials.Answer]:
    user = make_user(Role.MARKETER, campaign.application)
    return trials.send(campaign, campaign.contents.get(), devices, user)


def test_each_device_reads_its_own_values_and_the_cloud_answers_for_each(
    shop: Application, cloud: Any
) -> None:
    ana = make_registration(shop, person=make_person(first_name="Ana"))
    bo = make_registration(shop, person=make_person(first_name="Bo"))
    refused = Outcome(verdict=Verdict.UNREGISTERED, status=404, reason="UNREGISTERED")
    taken = Outcome(verdict=Verdict.ACCEPTED, status=200, provider_id="0:1%2")
    cloud.answer = lambda one: refused if one.token == bo.address.token else taken

    first, second = send(make_campaign(shop, text="Hi {{ first_name }}"), ana, bo)

    assert [one.payload.notification.text for one in cloud.taken] == ["Hi Ana", "Hi Bo"]
    assert (first.accepted, first.summary, first.provider_id) == (True, "Accepted", "0:1%2")
    assert (second.accepted, second.answer) == (False, "404 UNREGISTERED")


def test_nothing_counts_it_but_the_audit_trail_tells_of_it(shop: Application, cloud: Any) -> None:
    device = make_registration(shop)
    campaign = make_campaign(shop)

    send(campaign, device)

    assert len(cloud.taken) == 1
    for model in (Bulk, Chunk, Message):
        assert not model.objects.exists()
    entry = AuditEntry.objects.get(action="send test")
    assert entry.after == {
        "content": "Default language, variant A",
        "devices": {str(device.address.public_id): "Accepted"},
    }
    assert device.address.token not in str(entry.after)


def test_who_gets_nothing_is_told_why(shop: Application, cloud: Any) -> None:
    nameless = make_registration(shop)
    iphone = make_registration(shop, platform=Platform.IOS, person=make_person(first_name="Ana"))
    off = make_registration(shop, enabled=False)
    left_alone = make_registration(shop)
    do_not_contact(shop, left_alone)

    answers = send(
        make_campaign(shop, text="Hi {{ first_name }}"), nameless, iphone, off, left_alone
    )

    said = [each.summary for each in answers]
    assert "first_name" in said[0]
    assert "no credential for" in said[1]
    assert "switched off" in said[2]
    assert "contact" in said[3]
    assert cloud.taken == []


def test_a_test_carries_the_cards_that_fit(shop: Application, cloud: Any) -> None:
    cards = [
        {
            "id": number,
            "headline": f"Pair {number}",
            "description": "x" * 200,
            "image_url": f"https://cdn.example/{number}.png",
            "deep_links": {},
        }
        for number in range(1, 21)
    ]
    campaign = make_campaign(shop, options={"carousel": cards, "carousel_kind": "carousel"})

    send(campaign, make_registration(shop))

    shown = len(cloud.taken[0].payload.notification.carousel)
    assert 0 < shown < 20
    assert trials.left_out(campaign.contents.get()) == 20 - shown


# ------------------------------------------------------------------- the page


@pytest.fixture
def client(shop: Application) -> Client:
    return signed_in(shop)


def test_what_is_typed_is_saved_and_sent(client: Client, shop: Application, cloud: Any) -> None:
    device = make_registration(shop, person=make_person(first_name="Ana"))
    other = make_registration(shop)
    campaign = make_campaign(shop, text="Before")
    for each in (device, other):
        saved = client.post(url("trial-device", campaign), {"registration": each.pk})
        assert saved.status_code == 200
    version = {"draft_version": str(campaign.version), "registration": str(device.pk)}

    page = client.post(url("trial-send", campaign), TYPED | version).content.decode()

    assert [one.payload.notification.text for one in cloud.taken] == ["Hi Ana"]
    assert f'data-answer="{device.pk}"' in page
    assert 'id="draft-version" value="2"' in page
    assert campaign.contents.get().text == "Hi {{ first_name }}"


def test_a_chosen_language_is_sent(client: Client, shop: Application, cloud: Any) -> None:
    device = make_registration(shop, language="en")
    campaign = make_campaign(shop)
    campaign.contents.create(language="de", text="Nur heute")
    client.post(url("trial-device", campaign), {"registration": device.pk})
    said = {"draft_version": "1", "registration": str(device.pk), "trial_content": "de:0"}

    client.post(url("trial-send", campaign), TYPED | {"text": "Hi"} | said)

    assert [one.payload.notification.text for one in cloud.taken] == ["Nur heute"]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"registration": ""}, "Choose a device"),
        ({"trial_content": "fr:0"}, "This content was removed"),
        ({"text": ""}, "Write what the notification says."),
        ({"text": "{{ first_nam }}"}, "Nobody has a first_nam"),
        ({"image_url": "nothing at all"}, "correct the marked fields"),
        ({"draft_version": "7"}, "somebody else changed this draft"),
    ],
)
def test_what_cannot_be_sent_is_said(
    client: Client, shop: Application, cloud: Any, said: dict[str, str], sentence: str
) -> None:
    device = make_registration(shop)
    campaign = make_campaign(shop)
    client.post(url("trial-device", campaign), {"registration": device.pk})
    data = TYPED | {"text": "Hi", "draft_version": "1", "registration": str(device.pk)} | said

    page = client.post(url("trial-send", campaign), data).content.decode()

    assert sentence in page
    assert cloud.taken == []


def test_test_devices_are_found_saved_and_forgotten(client: Client, shop: Application) -> None:
    device = make_registration(shop, person=make_person(external_id="ana-1", first_name="Ana"))
    campaign = make_campaign(shop)

    found = client.get(url("trial", campaign), {"trial_q": "ana-1"}).content.decode()
    assert "Ana" in found
    client.post(url("trial-device", campaign), {"registration": device.pk})
    assert "My test devices" in client.get(url("trial", campaign)).content.decode()
    assert SavedDevice.objects.get().registration == device
    client.post(url("trial-device", campaign), {"registration": device.pk, "do": "forget"})
    assert not SavedDevice.objects.exists()
    assert "No device" in client.get(url("trial", campaign), {"trial_q": "bo"}).content.decode()


def test_devices_of_others_are_out_of_reach(client: Client, shop: Application, cloud: Any) -> None:
    campaign = make_campaign(shop)
    stranger = make_registration(make_application())
    colleague = make_user(Role.MARKETER, shop)
    theirs = make_registration(shop)
    trials.save(theirs, colleague)

    answer = client.post(url("trial-device", campaign), {"registration": stranger.pk})
    assert answer.status_code == 404
    for wrong in ("", "x", "9" * 30):
        answer = client.post(url("trial-device", campaign), {"registration": wrong})
        assert answer.status_code == 404
    data = TYPED | {"text": "Hi", "draft_version": "1", "registration": str(theirs.pk)}
    client.post(url("trial-send", campaign), data)
    assert cloud.taken == []


def test_there_is_a_most_of_test_devices(
    client: Client, shop: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "MOST", 1)
    campaign = make_campaign(shop)
    for device in (make_registration(shop), make_registration(shop)):
        page = client.post(url("trial-device", campaign), {"registration": device.pk})

    assert "You have 1 test devices" in page.content.decode()
    assert SavedDevice.objects.count() == 1
