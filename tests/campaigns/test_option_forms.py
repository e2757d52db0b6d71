"""Sound, badge, buttons, inside the app, data: typed, kept, refused, warned of."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign
from devices.models import Application, Platform
from devices.versions import pack_version
from tests.campaigns.composer import TYPED, edited
from tests.factories import make_application, make_campaign, make_registration, signed_in

pytestmark = pytest.mark.django_db
BEHIND = {"more": "1", "sound": "default"}  # "Sound, badge, buttons …"


@pytest.fixture
def shop() -> Application:
    return make_application()


@pytest.fixture
def client(shop: Application) -> Client:
    return signed_in(shop)


def post(client: Client, campaign: Campaign, **said: Any) -> str:
    return edited(client, campaign, **BEHIND | said)


def options(campaign: Campaign) -> dict[str, Any]:
    stored: dict[str, Any] = campaign.contents.get().options
    return stored


def test_options_are_kept_in_the_words_of_a_notification(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop)

    post(
        client, campaign, sound="bell.wav", badge="0", category="mm_accept_decline",
        in_app_style="MODAL", in_app_hours="2", in_app_open_title="Buy",
        in_app_dismiss_title="Later", custom_payload='{"order": 7}',
    )  # fmt: skip

    assert options(campaign) == {
        "sound": "bell.wav",
        "badge": 0,
        "category": "mm_accept_decline",
        "in_app_style": "MODAL",
        "in_app_expires_in": 7200,
        "in_app_open_title": "Buy",
        "in_app_dismiss_title": "Later",
        "custom_payload": {"order": 7},
    }


def test_what_is_as_usual_is_not_kept(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop, options={"badge": 3, "silent": True, "thread_id": "t"})

    post(client, campaign)

    assert options(campaign) == {"thread_id": "t"}


def test_no_sound_is_kept_as_none(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop)

    post(client, campaign, sound="")

    assert options(campaign) == {"sound": ""}


def test_a_banner_has_no_buttons(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop)

    post(client, campaign, in_app_style="BANNER", in_app_open_title="Buy")

    assert options(campaign) == {"in_app_style": "BANNER"}


def test_a_page_that_does_not_show_options_leaves_them(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop, options={"badge": 3})

    post(client, campaign, more="1")
    assert options(campaign) == {}
    campaign.contents.update(options={"badge": 3})
    address = reverse("campaigns:edit", args=[shop.pk, campaign.pk])
    data = {name: value for name, value in TYPED.items() if name not in ("more", "sound")}
    client.post(address, data | {"draft_version": "2"})
    assert options(campaign) == {"badge": 3}


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ('{"order": }', "This is no JSON: Expecting value, line 1, column 11."),
        ("[1]", "Write an object"),
        ('{"a": NaN}', "This cannot be sent as JSON."),
        ('{"a": 1e999}', "This cannot be sent as JSON."),
        ('{"a": "\\ud800"}', "This cannot be sent as JSON."),
        ('{"a": "\\u0000"}', "Data has no NUL characters."),
        ("[" * 5000, "This cannot be sent as JSON."),
    ],
)
def test_data_that_is_no_object_is_refused_beside_its_field(
    client: Client, shop: Application, typed: str, sentence: str
) -> None:
    campaign = make_campaign(shop)

    page = post(client, campaign, custom_payload=typed)

    (fault,) = [line for line in page.split("<li") if 'data-fault="id_custom_payload"' in line]
    assert sentence in fault
    assert options(campaign) == {}


def test_devices_with_an_sdk_too_old_are_counted(client: Client, shop: Application) -> None:
    versions = [
        (Platform.ANDROID, "1.13.0"), (Platform.ANDROID, "1.12.9"), (Platform.ANDROID, "2.0.0"),
        (Platform.IOS, "4.9.9"), (Platform.IOS, "5.0.0"), (Platform.IOS, ""),
    ]  # fmt: skip
    for platform, version in versions:
        packed = pack_version(version) if version else 0
        make_registration(shop, platform=platform, sdk_version=packed)
    campaign = make_campaign(shop)

    banner = post(client, campaign, in_app_style="BANNER")
    modal = post(client, campaign, in_app_style="MODAL")
    none = post(client, campaign)

    assert "3 devices (50 %) have an SDK too old for banners" in " ".join(banner.split())
    assert "1 device (16.7 %) has an SDK too old for dialogs" in " ".join(modal.split())
    assert "too old" not in none
    Application.objects.filter(pk=shop.pk).update(sdk=Application.Sdk.OWN)
    assert "too old" not in post(client, campaign, in_app_style="BANNER")
