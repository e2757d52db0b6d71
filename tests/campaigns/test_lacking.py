"""campaigns.lacking: whom a draft says nothing to, and that no button counts them."""

from collections import Counter

import pytest
from django.test import Client
from django.urls import reverse

from campaigns import lacking, sampling, variants
from campaigns.models import Campaign, CampaignContent, Reason
from campaigns.targeting import Rule
from devices.models import Application, Platform, Role
from tests.factories import (
    make_application,
    make_campaign,
    make_person,
    make_registration,
    make_registrations,
    make_user,
)

pytestmark = pytest.mark.django_db
EVERYBODY: Rule = {"all": []}
WITHOUT_FALLBACK = "Hi {{ first_name }}"


def say(campaign: Campaign, text: str, **content: object) -> None:
    CampaignContent.objects.create(campaign=campaign, text=text, **content)


def named(found: lacking.Lacking) -> dict[tuple[str, bool], int]:
    return {(each.variable.name, each.stops): each.devices for each in found.lacks}


def test_each_device_is_asked_for_what_its_own_content_says() -> None:
    shop = make_application()
    make_registrations(shop, 2, language="de-AT")
    make_registrations(shop, 3, language="en", platform=Platform.IOS)
    make_registration(shop, language="en", person=make_person(first_name="Ana"))
    campaign = make_campaign(shop, text=WITHOUT_FALLBACK)
    say(campaign, "Hallo {{ first_name | default: 'du' }}", language="de")

    found = lacking.of(campaign, EVERYBODY, primary_only=False)

    assert named(found) == {("first name", True): 3, ("first name", False): 2}
    assert found.unreached == {Reason.NO_VALUE: {Platform.IOS: 3}}


def test_variants_are_drawn_as_when_it_is_sent() -> None:
    shop = make_application()
    devices = make_registrations(shop, 60)
    split = variants.Split((50, 30), holdout=20)
    campaign = make_campaign(shop, text="Hi", split=split.as_json())
    say(campaign, WITHOUT_FALLBACK, variant=1)
    drawn = Counter(
        variants.variant_of(split, seed=campaign.pk, registration=each.pk) for each in devices
    )

    found = lacking.of(campaign, EVERYBODY, primary_only=False)

    assert min(drawn[1], drawn[None]) > 0
    assert named(found) == {("first name", True): drawn[1]}
    assert found.unreached == {
        Reason.NO_VALUE: {Platform.ANDROID: drawn[1]},
        Reason.HELD_OUT: {Platform.ANDROID: drawn[None]},
    }


def test_who_lacks_two_values_is_left_out_once() -> None:
    shop = make_application()
    make_registrations(shop, 2)
    make_registration(shop, person=make_person(first_name="Ana"))
    campaign = make_campaign(shop, text=WITHOUT_FALLBACK + " of {{ city }}")

    found = lacking.of(campaign, EVERYBODY, primary_only=False)

    assert named(found) == {("first name", True): 2, ("city", True): 3}
    assert found.unreached == {Reason.NO_VALUE: {Platform.ANDROID: 3}}


def test_the_sample_answers_for_a_large_application() -> None:
    shop = make_application()
    make_registrations(shop, 300)
    campaign = make_campaign(shop, text=WITHOUT_FALLBACK)
    sampling.rebuild(shop)

    found = lacking.of(campaign, EVERYBODY, primary_only=False)

    # As many as there are, though a tenth of the sample was asked.
    assert found.unreached == {Reason.NO_VALUE: {Platform.ANDROID: pytest.approx(300, abs=30)}}


def press(client: Client, shop: Application, campaign: Campaign) -> str:
    client.force_login(make_user(Role.MARKETER, shop))
    address = reverse("campaigns:edit", args=[shop.pk, campaign.pk])
    return " ".join(client.get(address).content.decode().split())


def test_the_button_counts_those_who_can_read_it(client: Client) -> None:
    shop = make_application()
    make_registrations(shop, 5)
    make_registration(shop, person=make_person(first_name="Ana"))

    page = press(client, shop, make_campaign(shop, text=WITHOUT_FALLBACK))

    assert "Send to 1 device<" in page
    assert "<dt>5</dt><dd>A value that the text needs is not known</dd>" in page
    assert "5 devices have no first name</strong>, and get nothing" in page


def test_nobody_can_read_it_and_the_button_says_so(client: Client) -> None:
    shop = make_application()
    make_registrations(shop, 2)

    page = press(client, shop, make_campaign(shop, text=WITHOUT_FALLBACK))

    assert "Send to 0 devices<" in page
    assert 'hx-disabled-elt="this" disabled' in page
    assert "<dt>Nobody</dt><dd>Whoever matches does not get it: see why.</dd>" in page
