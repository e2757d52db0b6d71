"""A carousel: written by mouse or by keyboard alone, seen in the preview, and what arrives."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from campaigns import dispatch, fanout
from campaigns.models import Bulk, Campaign, CampaignContent
from devices.models import Application, Platform, Role
from tests.campaigns.composer import saved
from tests.factories import make_registration, make_user
from tests.flows.conftest import make_shop
from tests.flows.journeys import Hands
from tests.flows.processes import Gateways

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("clouds_at_hand"),
]


@pytest.fixture
def shop(sign_in: Callable[[User], None]) -> Application:
    application = make_shop()
    make_registration(application, platform=Platform.ANDROID)
    make_registration(application, platform=Platform.IOS)
    sign_in(make_user(Role.MARKETER, application))
    return application


def card(page: Page, place: int) -> Locator:
    return page.get_by_role("listitem", name=f"Card {place}", exact=True)


def write(page: Page, place: int, name: str) -> None:
    here = card(page, place)
    here.get_by_label("Picture").fill(f"https://cdn.example/{name.lower()}.png")
    here.get_by_label("Card title").fill(name)


def headlines(shop: Application) -> list[str]:
    stored = CampaignContent.objects.get(campaign__application=shop).options
    return [item["headline"] for item in stored["carousel"]]


def sent(shop: Application, gateways: Gateways) -> dict[Platform, dict[str, Any]]:
    """Let the campaign go out; what reached the clouds, by platform."""
    bulk = Bulk.objects.get(campaign__application=shop)
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(seconds=1))
    assert fanout.freeze(bulk) == 2
    dispatch.work(seconds=60)
    platforms = dict(shop.registrations.values_list("address__token", "platform"))
    return {Platform(platforms[row["token"]]): row["payload"] for row in gateways.messages()}


def test_a_carousel_is_written_by_mouse_and_arrives_in_its_order(
    page: Page, shop: Application, gateways: Gateways, screenshots: Path
) -> None:
    Application.objects.filter(pk=shop.pk).update(sdk=Application.Sdk.OWN)
    page.goto(reverse("campaigns:list", args=[shop.pk]))
    page.get_by_role("button", name="New campaign").first.click()
    page.get_by_label("Text", exact=True).fill("Three pairs for autumn")
    page.get_by_text("Carousel", exact=True).click()
    for place, name in enumerate(("Shoes", "Boots", "Socks", "Hats"), start=1):
        page.get_by_role("button", name="Add card").click()
        write(page, place, name)
    card(page, 1).get_by_label("Card text").fill("From 20 €")
    card(page, 1).get_by_label("Tap on this card opens").fill("https://shop.example/shoes")
    card(page, 2).get_by_label("Tap on this card opens").fill("shop://boots")

    shown = page.locator("#preview .phone:visible .push-card b:visible")
    expect(shown.first).to_have_text("Boots")  # whose field was typed in
    page.get_by_role("button", name="Card before").click()
    expect(shown.first).to_have_text("Shoes")
    page.get_by_role("button", name="Remove card 4").click()
    expect(page.get_by_text("3 of at most 20")).to_be_visible()

    grip = card(page, 3).locator("[data-grip]").bounding_box()
    first = card(page, 1).bounding_box()
    assert grip is not None
    assert first is not None
    page.mouse.move(grip["x"] + 5, grip["y"] + 5)
    page.mouse.down()
    second = card(page, 2).bounding_box()
    assert second is not None
    page.mouse.move(second["x"] + 40, second["y"] + 10, steps=4)
    page.mouse.move(first["x"] + 40, first["y"] + 10, steps=4)
    page.mouse.up()
    expect(card(page, 1).get_by_label("Card title")).to_have_value("Socks")
    expect(page.get_by_text("Socks is number 1 of 3 now.")).to_be_attached()
    expect(shown.first).to_have_text("Socks")
    saved(page)
    assert headlines(shop) == ["Socks", "Shoes", "Boots"]
    page.screenshot(path=screenshots / "carousel.png", full_page=True)

    page.get_by_role("button", name="Send to 2 devices").click()
    expect(page.get_by_text("Sending starts in").first).to_be_visible()
    expect(page.get_by_text("Carousel, card 1")).to_be_visible()
    arrived = sent(shop, gateways)

    items = [
        {"id": 3, "headline": "Socks", "imageUrl": "https://cdn.example/socks.png"},
        {
            "id": 1,
            "headline": "Shoes",
            "description": "From 20 €",
            "imageUrl": "https://cdn.example/shoes.png",
            "deepLinks": {"ins_dl_external": "https://shop.example/shoes"},
        },
        {
            "id": 2,
            "headline": "Boots",
            "imageUrl": "https://cdn.example/boots.png",
            "deepLinks": {"ins_dl_url_scheme": "shop://boots"},
        },
    ]
    android, ios = arrived[Platform.ANDROID]["data"], arrived[Platform.IOS]
    assert (json.loads(android["carousel"]), android["carouselType"]) == (items, "carousel")
    assert (ios["carousel"], ios["carouselType"]) == (items, "carousel")


def test_a_slider_is_written_and_launched_with_the_keyboard_alone(
    page: Page, shop: Application, gateways: Gateways
) -> None:
    page.goto(reverse("campaigns:list", args=[shop.pk]))
    page.get_by_role("button", name="New campaign").first.focus()
    page.keyboard.press("Enter")
    page.get_by_label("Text", exact=True).focus()
    page.keyboard.type("Two pairs for autumn")
    Hands(page, "keyboard").pick(page.get_by_label("Slider", exact=True))
    for name in ("Shoes", "Boots"):
        page.get_by_role("button", name="Add card").focus()
        page.keyboard.press("Enter")
        page.keyboard.type(f"https://cdn.example/{name.lower()}.png")
        page.keyboard.press("Tab")
        page.keyboard.type(name)
    page.keyboard.press("Alt+ArrowUp")
    expect(card(page, 1).get_by_label("Card title")).to_have_value("Boots")
    expect(card(page, 1).get_by_label("Card title")).to_be_focused()
    page.get_by_role("button", name="Move card 1 down").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Move card 2 up")).to_be_focused()
    page.keyboard.press("Enter")
    expect(card(page, 1).get_by_label("Card title")).to_have_value("Boots")
    shown = page.locator("#preview .phone:visible .push-card b:visible")
    expect(shown).to_have_count(1)  # a slider shows one after the other
    saved(page)
    assert headlines(shop) == ["Boots", "Shoes"]

    page.get_by_role("button", name="Send to 2 devices").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Sending starts in").first).to_be_visible()
    ios = sent(shop, gateways)[Platform.IOS]["customPayload"]  # that SDK knows no carousel
    assert [item["headline"] for item in ios["carousel"]] == ["Boots", "Shoes"]
    assert ios["carouselType"] == "slider"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_editor_of_cards_is_accessible_and_fits_the_screen(
    page: Page,
    shop: Application,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    items = [
        {"id": each, "headline": f"Pair {each}", "image_url": "https://cdn.example/a.png"}
        for each in (1, 2)
    ]
    draft = Campaign.objects.create(application=shop, name="Autumn")
    options = {"carousel": items, "carousel_kind": "carousel"}
    CampaignContent.objects.create(campaign=draft, text="Two pairs", options=options)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    page.goto(reverse("campaigns:edit", args=[shop.pk, draft.pk]))
    expect(page.get_by_text("2 of at most 20")).to_be_visible()
    if width == 390:
        page.get_by_role("button", name="Preview", exact=True).click()
    for phone in ("iOS", "Android", "Huawei"):
        page.get_by_role("button", name=phone, exact=True).click()
        page.get_by_role("button", name="Expanded").click()
        expect(page.locator("#preview .push-card:visible")).to_have_count(2)
        assert accessibility_problems(page) == [], phone
        page.screenshot(path=screenshots / f"cards-{phone}-{scheme}-{width}.png")
    page.get_by_role("button", name="Dark phone").click()
    expect(page.locator("#preview .phone:visible")).to_have_attribute("data-scheme", "dark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
