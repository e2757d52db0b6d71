"""The cards of a carousel or a slider: typed, kept in their order, and refused by field."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from campaigns import checking
from campaigns.errors import IncompleteContentError
from campaigns.models import Campaign
from devices.models import Application
from tests.campaigns.composer import edited
from tests.factories import (
    make_application,
    make_campaign,
    make_registrations,
    signed_in,
)

pytestmark = pytest.mark.django_db
SHOES = {
    "id": 1,
    "headline": "Shoes",
    "description": "From 20 €",
    "image_url": "https://cdn.example/1.png",
    "deep_links": {"ins_dl_external": "https://shop.example/shoes"},
}
BOOTS = {
    "id": 2,
    "headline": "Boots",
    "description": "",
    "image_url": "https://cdn.example/2.png",
    "deep_links": {"ins_dl_url_scheme": "shop://boots"},
}


def typed(number: int, **said: str) -> dict[str, str]:
    return {f"card-{number}-{name}": value for name, value in said.items()}


TYPED_CARDS = {
    "pictures": "slider",
    "cards": "2,1",
    **typed(1, image_url="https://cdn.example/1.png", headline="Shoes", description="From 20 €"),
    **typed(1, link="https://shop.example/shoes"),
    **typed(2, image_url="https://cdn.example/2.png", headline="Boots", link="shop://boots"),
}


@pytest.fixture
def shop() -> Application:
    application = make_application()
    make_registrations(application, 2)
    return application


@pytest.fixture
def client(shop: Application) -> Client:
    return signed_in(shop)


def options(campaign: Campaign) -> dict[str, Any]:
    stored: dict[str, Any] = campaign.contents.get(language="", variant=0).options
    return stored


def test_cards_are_kept_in_the_order_they_were_put_in(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop)

    edited(client, campaign, **TYPED_CARDS)

    assert options(campaign) == {"carousel": [BOOTS, SHOES], "carousel_kind": "slider"}


def test_a_page_shows_the_cards_again(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop, options={"carousel": [BOOTS, SHOES], "carousel_kind": "slider"})

    address = reverse("campaigns:edit", args=[shop.pk, campaign.pk])
    page = client.get(address).content.decode()

    assert 'name="cards" value="2,1"' in page
    assert 'value="shop://boots"' in page
    assert 'value="https://shop.example/shoes"' in page


def test_each_language_has_cards_of_its_own(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop, options={"carousel": [SHOES], "carousel_kind": "carousel"})
    german = campaign.contents.create(language="de", text="Nur heute")
    prefix = f"content-{german.pk}-"
    said = {f"{prefix}{name}": value for name, value in TYPED_CARDS.items()}

    edited(client, campaign, **{f"{prefix}text": "Nur heute", f"{prefix}on_tap": "app"}, **said)

    german.refresh_from_db()
    assert [item["id"] for item in german.options["carousel"]] == [2, 1]
    assert options(campaign)["carousel"] == [SHOES]


def test_who_sends_no_cards_leaves_them_as_they_are(client: Client, shop: Application) -> None:
    stored = {"carousel": [SHOES], "carousel_kind": "carousel", "sound": "bell.wav"}
    campaign = make_campaign(shop, options=stored)

    edited(client, campaign)

    assert options(campaign) == stored


def test_one_picture_drops_the_cards_and_nothing_else(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop, options={"carousel": [SHOES], "sound": "bell.wav"})

    edited(client, campaign, **TYPED_CARDS | {"pictures": ""})

    assert options(campaign) == {"sound": "bell.wav"}


def test_links_of_other_names_stay(client: Client, shop: Application) -> None:
    links = {"tier": "gold", "ins_dl_internal": "https://shop.example/shoes"}
    campaign = make_campaign(shop, options={"carousel": [SHOES | {"deep_links": links}]})

    edited(client, campaign, **TYPED_CARDS | {"cards": "1"})
    assert options(campaign)["carousel"][0]["deep_links"] == links

    edited(client, campaign, **TYPED_CARDS | {"cards": "1", "card-1-link": "shop://shoes"})
    assert options(campaign)["carousel"][0]["deep_links"] == {
        "tier": "gold",
        "ins_dl_url_scheme": "shop://shoes",
    }


@pytest.mark.parametrize(
    ("said", "field", "sentence"),
    [
        (
            {"card-2-image_url": "nothing at all"},
            "id_card-2-image_url",
            "Type a whole address, such as https://shop.example/sale.",
        ),
        ({"card-2-image_url": "http://cdn.example/a.png"}, "id_card-2-image_url", "https://"),
        ({"card-2-link": "boots"}, "id_card-2-link", "shop://shoes"),
        ({"card-2-link": "{{ person.link }}"}, "id_card-2-link", "shop://shoes"),
        ({"cards": ",".join(map(str, range(1, 22)))}, "id_pictures", "at most 20 cards, not 21"),
    ],
)
def test_what_is_wrong_with_a_card_stands_beside_its_field(
    client: Client, shop: Application, said: dict[str, str], field: str, sentence: str
) -> None:
    campaign = make_campaign(shop)

    page = edited(client, campaign, **TYPED_CARDS | said)

    (fault,) = [line for line in page.split("<li") if f'data-fault="{field}"' in line]
    assert sentence in fault
    assert options(campaign) == {}  # nothing is saved


@pytest.mark.parametrize(
    ("name", "said", "sentence"),
    [
        ("headline", "{{ frist_name }}", "Nobody has a frist_name"),
        ("description", "{{ first_name", "line 1, column"),
        ("link", "https://shop.example/{{ first_name | shout }}", "There is no filter shout"),
    ],
)
def test_a_mistake_in_the_merge_tags_of_a_card_is_kept_and_said_beside_its_field(
    client: Client, shop: Application, name: str, said: str, sentence: str
) -> None:
    campaign = make_campaign(shop)

    page = edited(client, campaign, **TYPED_CARDS | {f"card-1-{name}": said})

    (fault,) = [line for line in page.split("<li") if f'data-fault="id_card-1-{name}"' in line]
    assert sentence in fault
    assert said in str(options(campaign)["carousel"][1])


def test_merge_tags_of_a_link_may_have_blanks(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop)
    link = 'https://shop.example/?who={{ first_name | default: "you" | url_encode }}'

    edited(client, campaign, **TYPED_CARDS | {"card-1-link": link})

    assert options(campaign)["carousel"][1]["deep_links"] == {"ins_dl_external": link}


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([], "carousel"),
        ([SHOES, BOOTS | {"image_url": ""}], "carousel[1].image_url"),
        ([SHOES | {"headline": ""}], "carousel[0].headline"),
    ],
)
def test_a_carousel_is_launched_when_all_its_cards_are_written(
    shop: Application, items: list[dict[str, Any]], field: str
) -> None:
    campaign = make_campaign(shop, options={"carousel": items, "carousel_kind": "carousel"})

    with pytest.raises(IncompleteContentError) as refusal:
        checking.check_content(campaign)

    assert refusal.value.field == field
    campaign.contents.update(options={"carousel": [SHOES, BOOTS], "carousel_kind": "carousel"})
    checking.check_content(campaign)
