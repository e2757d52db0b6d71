"""Merge tags on the cards of a carousel: each person reads their own, and nobody another's."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import (
    checking,
    composing,
    dispatch,
    fanout,
    ids,
    merging,
    previewing,
    pulling,
    rendering,
    trials,
)
from campaigns.errors import ContentTooLargeError, IncompleteContentError
from campaigns.models import Bulk, Campaign
from devices.models import Application, Platform, ProviderCredential, Role
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_person,
    make_registration,
    make_user,
)

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]
CARD = {
    "id": 1,
    "headline": 'For {{ first_name | default: "you" }}',
    "description": "As somebody with {{ person.tier }}",
    "image_url": "https://cdn.example/1.png",
    "deep_links": {
        "ins_dl_external": 'https://shop.example/?who={{ first_name | default: "" | url_encode }}'
    },
}
PLAIN = {
    "id": 2,
    "headline": "Boots",
    "description": "",
    "image_url": "https://cdn.example/2.png",
    "deep_links": {"ins_dl_url_scheme": "shop://boots"},
}


@pytest.fixture
def shop() -> Application:
    application = make_application()
    ana = make_person(first_name="Ana Maria", attributes={"tier": "gold"})
    make_registration(application, person=ana, token="ana")
    make_registration(application, person=make_person(first_name="Bo"), token="bo")
    return application


def make_carousel(shop: Application, *cards: dict[str, Any], **given: Any) -> Campaign:
    options = {"carousel": list(cards or (CARD, PLAIN)), "carousel_kind": "carousel"}
    return make_campaign(shop, options=options, **given)


def test_each_device_reads_its_own_cards_and_a_missing_value_sends_none(
    shop: Application, cloud_for: CloudFor, settings: Any
) -> None:
    settings.PUBLIC_BASE_URL = "https://push.example"
    cloud = cloud_for(make_credential(shop))
    bulk = composing.launch(make_carousel(shop), make_user(Role.MARKETER, shop))
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)

    dispatch.work(seconds=60)

    (sent,) = cloud.taken
    assert sent.token == "ana"
    said = sent.payload.notification
    first, second = said.carousel
    assert first.headline == "For Ana Maria"
    assert first.description == "As somebody with gold"
    assert first.deep_links == {"ins_dl_external": "https://shop.example/?who=Ana+Maria"}
    assert first.image_url == "https://cdn.example/1.png"
    assert (second.headline, second.deep_links) == ("Boots", {"ins_dl_url_scheme": "shop://boots"})
    assert said.carousel_url == ""
    (waiting,) = pulling.waiting(shop, shop.registrations.get(address__token="ana").pk)
    assert waiting.notification.carousel == said.carousel


def test_cards_of_one_person_are_fetched_by_nobody(
    shop: Application, client: Client, settings: Any
) -> None:
    settings.PUBLIC_BASE_URL = "https://push.example"
    cards = {"language": "", "variant": 0, "text": "Today", "carousel": [CARD]}
    personal = make_bulk(shop, content=[merging.marked(cards)])
    verbatim = make_bulk(shop, content=[cards])

    answers = []
    for bulk in (personal, verbatim):
        key = rendering.carousel_key(shop.pk, bulk.bulk_id)
        answers.append(client.get(f"/sdk/1/carousels/{key}/0/{ids.message_id(bulk, 7)}"))

    assert [answer.status_code for answer in answers] == [404, 200]
    assert answers[1].json()["items"][0]["headline"] == CARD["headline"]  # braces are braces


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"headline": "{{ frist_name }}"}, "carousel[1].headline"),
        ({"description": "{{ first_name"}, "carousel[1].description"),
        ({"deep_links": {"a": "shop://{{ first_name | shout }}"}}, "carousel[1].deep_links"),
    ],
)
def test_a_mistake_on_a_card_is_refused_beside_its_field(
    shop: Application, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(IncompleteContentError, match="line 1, column") as refused:
        checking.check_content(make_carousel(shop, PLAIN, CARD | given))

    assert refused.value.field == field


def test_the_size_is_that_of_the_longest_cards(shop: Application, settings: Any) -> None:
    settings.PUBLIC_BASE_URL = "https://push.example"
    make_credential(shop)
    campaign = make_carousel(shop)
    make_registration(shop, person=make_person(first_name="Ö" * 200, attributes={"tier": "x"}))

    people = previewing.worst(campaign, {"all": []})

    platforms = {Platform.ANDROID}
    [plain] = checking.check_size(campaign, platforms).values()
    [worst] = checking.check_size(campaign, platforms, people).values()
    assert worst > plain + 300
    many = make_carousel(shop, *(CARD | {"id": n, "description": "x" * 500} for n in range(1, 9)))
    with pytest.raises(ContentTooLargeError, match="travel in the push") as refused:
        checking.check_size(many, platforms, people)
    assert refused.value.field == "carousel"
    fetched = make_carousel(
        shop, *(PLAIN | {"id": n, "description": "x" * 500} for n in range(1, 9))
    )
    assert checking.check_size(fetched, platforms)


def test_the_composer_counts_who_lacks_a_value_of_a_card_and_previews_as_somebody(
    shop: Application, client: Client
) -> None:
    make_credential(shop)
    campaign = make_carousel(shop)
    client.force_login(make_user(Role.MARKETER, shop))
    page = client.get(reverse("campaigns:edit", args=[shop.pk, campaign.pk])).content.decode()
    assert 'data-lack="tier"' in page
    assert "1 device has no tier" in page

    typed = {
        "name": "Sale", "text": "Today", "on_tap": "app", "hours": "48", "pictures": "carousel",
        "repeat_policy": "when_refused", "cards": "1",
        "card-1-image_url": CARD["image_url"], "card-1-headline": CARD["headline"],
        "card-1-description": CARD["description"],
    }  # fmt: skip
    address = reverse("campaigns:preview", args=[shop.pk, campaign.pk])
    ana, bo = shop.registrations.order_by("pk")
    seen = client.post(address, typed | {"preview_as": str(ana.pk)}).content.decode()
    lacking = client.post(address, typed | {"preview_as": str(bo.pk)}).content.decode()

    assert "For Ana Maria" in seen
    assert "As somebody with gold" in seen
    assert "They do not get it: " in lacking
    assert "is not known, and there is no fallback" in lacking


def test_a_test_send_fills_cards_in_and_carries_them_all(
    shop: Application, cloud_for: CloudFor
) -> None:
    cloud = cloud_for(make_credential(shop))
    cards = [CARD | {"id": number, "description": "x" * 300} for number in range(1, 11)]
    campaign = make_carousel(shop, *cards)

    trials.send(
        campaign,
        campaign.contents.get(),
        [shop.registrations.get(address__token="ana")],
        make_user(Role.MARKETER, shop),
    )

    shown = cloud.taken[0].payload.notification.carousel
    assert [card.headline for card in shown] == ["For Ana Maria"] * 10
    assert trials.left_out(campaign.contents.get()) == 0
