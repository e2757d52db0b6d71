"""Pictures of a draft: what keeps devices from showing them is told, and what cannot be sent."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from campaigns import checking, pictures
from campaigns.errors import IncompleteContentError
from campaigns.pictures import SCREENS
from devices.models import Application, Platform, Provider, Role
from providers.pictures import MOST, Picture
from tests.campaigns.picture_server import serving
from tests.drawings import png
from tests.factories import make_application, make_campaign, make_credential, signed_in
from tests.receiver import Receiver

EVERY = list(SCREENS)
PHONES = [Platform.IOS, Platform.ANDROID, Platform.HUAWEI]


def told(*, card: bool = False, on: list[Platform] = EVERY, **found: Any) -> list[str]:
    usual = {"kind": "PNG", "width": 1024, "height": 512, "size": 90_000, "status": 200}
    return list(pictures.faults(Picture(**{**usual, **found}), on, card=card))


def test_nothing_is_said_of_a_picture_that_every_device_shows() -> None:
    assert told() == []
    assert told(kind="JPEG", width=0, height=0, size=511_000) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"kind": "WebP"}, "iOS, Android and Huawei show no WebP. JPEG and PNG are shown everywhere."),  # noqa: E501
        ({"kind": "GIF"}, "Android and Huawei show no GIF. JPEG and PNG are shown everywhere."),
        ({"kind": "BMP"}, "iOS shows no BMP. JPEG and PNG are shown everywhere."),
        ({"size": 600_000}, "It is too large with 600 KB. Pictures are shown on Huawei up to 512 KB."),  # noqa: E501
        ({"size": MOST + 1}, "It is too large with more than 10.5 MB. Pictures are shown on Huawei up to 512 KB; Android up to 1.0 MB; iOS up to 10.0 MB."),  # noqa: E501
        ({"width": 400, "height": 800}, "Its top and bottom are cut off on Android, where 25 % of it is seen. Best is 2:1."),  # noqa: E501
        ({"width": 5000, "height": 500}, "Its sides are cut off on Android, where 20 % of it is seen. Best is 2:1."),  # noqa: E501
        ({"status": 404, "kind": ""}, "Its server answers 404: there is nothing at this address. Pushes would be shown without it."),  # noqa: E501
        ({"kind": "", "named": "text/html"}, "This is no picture but text/html. No device can show it."),  # noqa: E501
        ({"problem": "the name was not found"}, "It could not be loaded: the name was not found. Devices load it from the internet."),  # noqa: E501
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_picture_is_said(found: dict[str, Any], said: str) -> None:
    assert told(**found) == [said]


def test_only_platforms_that_are_sent_to_are_spoken_of() -> None:
    assert told(size=600_000, kind="GIF", on=[Platform.IOS, Platform.WEB]) == []
    assert told(width=100, height=900, on=[Platform.IOS]) == []


def test_a_card_is_drawn_by_the_app_as_it_is() -> None:
    assert told(width=500, height=500) == []
    assert told(width=400, height=800, card=True) == []
    assert told(kind="WebP", card=True, on=PHONES) != []


# ------------------------------------------------------------------------ with a server


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8", "::1/128"]
    with serving(tmp_path, monkeypatch) as receiver:
        receiver.answer = lambda got: (200, {"Content-Type": "image/png"}, png())
        yield receiver


@pytest.fixture
def shop(db: None) -> Application:
    return make_application()


@pytest.fixture
def client(shop: Application) -> Client:
    return signed_in(shop)


def asked(client: Client, shop: Application, url: str, **more: str) -> Any:
    address = reverse("campaigns:picture-check", args=[shop.pk])
    return client.post(address, {"url": url, **more})


def test_a_picture_is_loaded_once_and_again_when_asked(server: Receiver) -> None:
    url = f"{server.url}/a.png"
    for _ in range(3):
        assert pictures.check(url).kind == "PNG"
    assert len(server.received) == 1

    server.answer = lambda got: (404, {}, b"")
    assert pictures.check(url, again=True).status == 404
    assert len(server.received) == 2
    assert pictures.known([url, "https://never.example/"]) == {
        url: Picture(status=404),
    }


def test_networks_of_ours_are_not_asked_unless_webhooks_may(
    server: Receiver, settings: Any
) -> None:
    settings.WEBHOOK_NETWORKS = []

    assert "private network" in pictures.check(f"{server.url}/a.png").problem
    assert server.received == []


def test_the_page_says_what_a_picture_is(
    client: Client, shop: Application, server: Receiver
) -> None:
    page = asked(client, shop, f"{server.url}/a.png").content.decode()
    assert "PNG, 1,024 × 512" in page
    assert "picture-fault" not in page

    make_credential(shop, Provider.APNS)
    server.answer = lambda got: (200, {}, b"BM" + bytes(60))
    page = asked(client, shop, f"{server.url}/b.bmp").content.decode()
    assert "iOS shows no BMP" in page


@pytest.mark.parametrize("url", ["http://cdn.example/a.png", "cdn.example/a.png", "javascript:1"])
def test_an_address_without_https_is_not_even_asked(
    client: Client, shop: Application, url: str
) -> None:
    assert "https alone" in asked(client, shop, url).content.decode()
    assert pictures.known([url]) == {}


def test_while_others_are_loaded_one_is_asked_to_come_back(
    client: Client, shop: Application, server: Receiver
) -> None:
    arrived, go_on = threading.Barrier(pictures.AT_ONCE + 1), threading.Event()

    def slowly(got: object) -> Any:
        arrived.wait(30)
        go_on.wait(30)
        return 200, {}, png()

    server.answer = slowly
    loading = [
        threading.Thread(target=pictures.check, args=[f"{server.url}/{number}.png"])
        for number in range(pictures.AT_ONCE)
    ]
    for each in loading:
        each.start()
    arrived.wait(30)
    try:
        answer = asked(client, shop, f"{server.url}/more.png")
    finally:
        go_on.set()
        for each in loading:
            each.join()

    assert answer.status_code == 503
    server.answer = lambda got: (200, {}, png())
    assert "PNG" in asked(client, shop, f"{server.url}/more.png").content.decode()


@pytest.mark.parametrize("role", [Role.ANALYST, Role.APPROVER, Role.SUPPORT])
def test_who_may_not_write_campaigns_has_nothing_loaded(shop: Application, role: Role) -> None:
    client = signed_in(shop, role)

    assert asked(client, shop, "https://cdn.example/a.png").status_code == 403


def test_what_is_known_to_be_no_picture_is_not_sent(shop: Application, server: Receiver) -> None:
    url = f"{server.url}/a.png"
    server.answer = lambda got: (200, {"Content-Type": "text/html"}, b"<html>")
    card = {"id": 1, "headline": "Shoes", "description": "", "image_url": url, "deep_links": {}}
    alone = make_campaign(shop, image_url=url)
    inside = make_campaign(shop, options={"carousel": [card], "carousel_kind": "carousel"})
    checking.check_content(alone)  # nobody looked at it: nothing is known against it
    pictures.check(url)

    for draft, field in ((alone, "image_url"), (inside, "carousel[0].image_url")):
        with pytest.raises(IncompleteContentError, match="no picture at this address") as refused:
            checking.check_content(draft)
        assert refused.value.field == field

    server.answer = lambda got: (404, {}, b"")
    pictures.check(url, again=True)
    checking.check_content(alone)  # it may be there once devices ask: a warning, no refusal
