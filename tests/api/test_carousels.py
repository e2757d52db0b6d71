"""What an app fetches when the carousel did not fit into its push."""

import json
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from django.test import Client

from campaigns import ids, rendering
from campaigns.models import Bulk
from devices.models import Provider
from providers.apns import ApnsPayload
from providers.fcm import FcmPayload
from tests.api import documented
from tests.factories import make_application, make_bulk

pytestmark = pytest.mark.django_db

ITEMS = [
    {
        "id": number,
        "headline": f"Coat {number}",
        "description": "As warm as it gets, and made to last. " * 4,
        "image_url": f"https://cdn.example.com/coats/{number}.jpg",
        "deep_links": {"ins_dl_internal": f"https://shop.example.com/coats/{number}"},
    }
    for number in range(1, 21)
]


@pytest.fixture(autouse=True)
def _public(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = "https://push.example"


def make_carousel_bulk(**content: Any) -> Bulk:
    said = {"language": "", "variant": 0, "title": "Sale", "text": "Today", "carousel": ITEMS}
    german = {**said, "language": "de", "carousel": ITEMS[:2], "carousel_kind": "slider"}
    return make_bulk(make_application(sdk="own"), content=[said | content, german])


def sent(bulk: Bulk, provider: Provider, place: int = 0) -> dict[str, Any]:
    """What a device of the bulk gets."""
    said = rendering.notification(
        bulk.content[place],
        bulk.application,
        bulk_id=bulk.bulk_id,
        sent_at_ms=0,
        ttl=bulk.ttl,
        place=place,
    )
    message_id = ids.message_id(bulk, 7)
    if provider == Provider.APNS:
        told = json.loads(ApnsPayload(said).body(message_id))
    else:
        told = json.loads(FcmPayload(said).body("t", "token", message_id, 60))["message"]["data"]
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize("provider", [Provider.FCM, Provider.APNS])
def test_the_address_in_the_push_answers_its_items(client: Client, provider: Provider) -> None:
    bulk = make_carousel_bulk()
    address = urlsplit(sent(bulk, provider)["carouselUrl"])

    answer = client.get(address.path)

    documented.check("GET", address.path, answer)
    assert (address.scheme, address.netloc) == ("https", "push.example")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=86400, immutable"
    told = answer.json()
    assert told["type"] == "carousel"
    assert len(told["items"]) == 20
    assert told["items"][2] == {
        "id": 3,
        "headline": "Coat 3",
        "description": ITEMS[2]["description"],
        "imageUrl": "https://cdn.example.com/coats/3.jpg",
        "deepLinks": {"ins_dl_internal": "https://shop.example.com/coats/3"},
    }


def test_each_language_has_its_own_items(client: Client) -> None:
    bulk = make_carousel_bulk()
    key = rendering.carousel_key(bulk.application_id, bulk.bulk_id)

    answer = client.get(f"/sdk/1/carousels/{key}/1/{ids.message_id(bulk, 7)}")

    assert "carouselUrl" not in sent(bulk, Provider.APNS, place=1)  # small enough for the push
    assert (answer.json()["type"], len(answer.json()["items"])) == ("slider", 2)


def test_a_server_that_phones_cannot_reach_by_https_puts_no_address_in(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = "http://127.0.0.1:8000"
    bulk = make_carousel_bulk(carousel=ITEMS[:2])

    assert len(sent(bulk, Provider.APNS)["carousel"]) == 2


@pytest.mark.parametrize(
    ("key", "place", "message_id"),
    [
        ("0" * 20, 0, None),
        (None, 2, None),
        (None, 10**30, None),
        (None, 0, UUID(int=2**127)),
    ],
)
def test_what_was_not_sent_is_not_found(
    client: Client, key: str | None, place: int, message_id: UUID | None
) -> None:
    bulk = make_carousel_bulk()
    key = key or rendering.carousel_key(bulk.application_id, bulk.bulk_id)

    path = f"/sdk/1/carousels/{key}/{place}/{message_id or ids.message_id(bulk, 7)}"
    answer = client.get(path)

    documented.check("GET", path, answer)
    assert answer.status_code == 404
    assert answer.json() == {"error": {"code": "NOT_FOUND", "message": "There is no such carousel"}}


def test_the_address_is_asked_for_with_one_query(
    client: Client, django_assert_num_queries: Any
) -> None:
    bulk = make_carousel_bulk()
    key = rendering.carousel_key(bulk.application_id, bulk.bulk_id)

    with django_assert_num_queries(1):
        client.get(f"/sdk/1/carousels/{key}/0/{ids.message_id(bulk, 7)}")
