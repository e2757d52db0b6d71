"""Browsers all the way: campaign, provider, simulated push services, what the browser reads."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone

from campaigns import channels, fanout, ids, rendering, statistics, tasks
from campaigns.models import Bulk, Chunk, Message, Reason
from campaigns.store import store
from devices import registering, subscriptions
from devices.models import (
    Address,
    Application,
    Breaker,
    Platform,
    Provider,
    ProviderCredential,
    Registration,
)
from providers.base import Addressed, Outcome, PushNotification, Verdict
from providers.webpush import WebPushProvider
from tests.factories import (
    make_application,
    make_bulk,
    make_credential,
    make_registration,
    vapid_key,
)
from tests.flows.processes import Gateways, Worker
from tests.providers.browsers import make_vapid
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

MOZILLA, GOOGLE = "updates.push.services.mozilla.com", "fcm.googleapis.com"
APPLE, MICROSOFT = "web.push.apple.com", "wns2-par02p.notify.windows.com"
HOSTS = [MOZILLA, GOOGLE, APPLE, MICROSOFT]
CALM = {"unregistered": 0, "unavailable": 0}


@pytest.fixture(autouse=True)
def _empty_broker(gateways: Gateways) -> None:
    store().flushdb()
    gateways.ask("POST", "/behaviour", {"webpush": CALM})


@pytest.fixture
def shop() -> Application:
    application = make_application()
    make_credential(application, Provider.WEBPUSH)
    return application


def make_browsers(gateways: Gateways, shop: Application, **asked: Any) -> list[Registration]:
    """Browsers that subscribed with the shop's key. The names of `asked` may hold fates."""
    given = {"server_key": vapid_key()["public_key"], **asked}
    found = gateways.ask("POST", "/browsers", given)["subscriptions"]
    tokens = [subscriptions.canonical(json.dumps(one)) for one in found]
    return [make_registration(shop, platform=Platform.WEB, token=token) for token in tokens]


def endpoint(browser: Registration) -> str:
    return subscriptions.endpoint_of(browser.address.token)


def run(bulk: Bulk, worker: Callable[..., Worker]) -> None:
    """Freeze, send, and wait for the end."""
    fanout.freeze(bulk)
    worker(children=1)
    eventually(lambda: is_over(bulk), seconds=60, what="the campaign ended")


def is_over(bulk: Bulk) -> bool:
    tasks.revive()
    bulk.refresh_from_db()
    return bulk.status in {Bulk.Status.DONE, Bulk.Status.PAUSED}


def rows_of(bulk: Bulk) -> dict[int, Message]:
    return {row.registration_id: row for row in Message.objects.of_bulk(bulk)}


def refusals(gateways: Gateways) -> Counter[str]:
    told = gateways.ask("GET", "/ledger/refusals")["messages"]
    return Counter(f"{row['status']} {row['reason']}" for row in told)


# ------------------------------------------------------------------- what browsers read

SHOWN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"title": "Sale", "text": "Heute: -30 % 🎉"}, {"title": "Sale", "body": "Heute: -30 % 🎉"}),
    ({"image_url": "https://cdn.example/x.png"}, {"image": "https://cdn.example/x.png"}),
    ({"sound": ""}, {"silent": True}),
    ({"vibrate": False}, {"vibrate": []}),
    ({"badge": 3}, {"data": {"badge": 3}}),
    (
        {"category": "mm_accept_decline"},
        {
            "actions": [
                {"action": "mm_accept", "title": "Accept"},
                {"action": "mm_decline", "title": "Decline"},
            ],
            "data": {"category": "mm_accept_decline"},
        },
    ),
    ({"deep_link": "shop://sale"}, {"data": {"url": "shop://sale"}}),
    ({"browser_url": "https://shop.example/"}, {"data": {"url": "https://shop.example/"}}),
    ({"web_view_url": "https://shop.example/v"}, {"data": {"url": "https://shop.example/v"}}),
    ({"custom_payload": {"order": 7}}, {"data": {"customPayload": {"order": 7}}}),
    ({"collapse_key": "score"}, {"tag": "score", "renotify": True, "_topic": "score"}),
    ({"urgency": "low"}, {"_urgency": "low"}),
    (
        {"carousel": [{"id": 1, "headline": "Shoes", "image_url": "https://cdn.example/1.png"}]},
        {"image": "https://cdn.example/1.png"},
    ),
]


def test_each_option_reaches_the_browser(gateways: Gateways, shop: Application) -> None:
    """Content as a campaign stores it; sent by the provider that the engine uses."""
    contents = [{"language": "", "variant": 0, "text": "Hi", **given} for given, _ in SHOWN]
    bulk = make_bulk(shop, content=contents)
    browsers = make_browsers(gateways, shop, count=len(SHOWN))
    provider = provider_of(shop)
    window = [
        Addressed(
            provider.compile(
                rendering.notification(content, shop, bulk_id="b", sent_at_ms=0, ttl=3600)
            ),
            ids.message_id(bulk, browser.pk),
            browser.address.token,
            ttl=3600,
        )
        for content, browser in zip(contents, browsers, strict=True)
    ]

    assert {one.verdict for one in hand_over(provider, window)} == {Verdict.ACCEPTED}

    rows = {row["token"]: row for row in gateways.messages()}
    for browser, (given, shown) in zip(browsers, SHOWN, strict=True):
        row = rows[endpoint(browser)]
        payload, data = row["payload"], row["payload"].pop("data")
        assert data.pop("messageId") == row["message_id"] == str(ids.message_id(bulk, browser.pk))
        plain = {"title": shop.name, "body": "Hi", "tag": row["message_id"], **shown}
        wire = {"topic": plain.pop("_topic", ""), "urgency": plain.pop("_urgency", "high")}
        assert data == plain.pop("data", {}), given
        assert payload == plain, given
        assert {name: row[name] for name in wire} == wire, given
        assert row["ttl"] == 3600


def provider_of(shop: Application) -> WebPushProvider:
    provider = channels.build(ProviderCredential.objects.get(application=shop))
    assert isinstance(provider, WebPushProvider)
    return provider


def hand_over(provider: WebPushProvider, window: list[Addressed]) -> list[Outcome]:
    async def send() -> list[Outcome]:
        try:
            return await provider.send(window)
        finally:
            await provider.close()

    return asyncio.run(send())


# ------------------------------------------------------------------- a campaign


def test_a_campaign_reaches_browsers_through_the_service_of_each(
    gateways: Gateways, shop: Application, worker: Callable[..., Worker]
) -> None:
    gateways.ask("POST", "/behaviour", {"webpush": {"retry_after": 2}})
    good = [one for host in HOSTS for one in make_browsers(gateways, shop, host=host, count=15)]
    gone = [
        *make_browsers(gateways, shop, names=["fate-unregistered-1", "fate-expired-token-1"]),
        *make_browsers(gateways, shop, host=APPLE, names=["fate-unregistered-2"]),
        *make_browsers(gateways, shop, host=GOOGLE, names=["fate-unregistered-3"]),
    ]
    [stray] = make_browsers(gateways, shop, host=GOOGLE, names=["fate-mismatched-1"])
    [busy] = make_browsers(gateways, shop, host=MICROSOFT, names=["fate-busy-once-1"])
    [lost] = make_browsers(gateways, shop, names=["fate-lost-answer-1"])
    bulk = make_bulk(shop)

    run(bulk, worker)

    rows = rows_of(bulk)
    assert bulk.status == Bulk.Status.DONE
    assert {rows[one.pk].state for one in [*good, busy]} == {Message.State.ACCEPTED}
    assert {(rows[one.pk].state, rows[one.pk].reason) for one in gone} == {
        (Message.State.FAILED, Reason.UNINSTALLED)
    }
    assert rows[stray.pk].reason == Reason.MISMATCHED_SENDER
    assert rows[lost.pk].state == Message.State.UNKNOWN
    assert statistics.funnel(bulk) == statistics.recount(bulk)

    taken = gateways.messages()
    assert {row["token"] for row in taken} == {endpoint(one) for one in [*good, busy, lost]}
    assert gateways.ledger()["webpush"]["accepted"] == len(taken) == 62  # nobody twice
    for row in taken:
        assert row["payload"]["data"]["messageId"] == row["message_id"]
        assert (row["payload"]["title"], row["payload"]["body"]) == ("Sale", "Today only")
        assert bulk.ttl - 60 <= row["ttl"] <= bulk.ttl
    [asked] = [
        row["at"]
        for row in gateways.ask("GET", "/ledger/refusals")["messages"]
        if row["reason"] == "too_many"
    ]
    [came] = [row["at"] for row in taken if row["token"] == endpoint(busy)]
    assert came >= asked + 2  # as long as Retry-After says


def test_browsers_that_are_gone_are_dropped_and_not_sent_to_again(
    gateways: Gateways, shop: Application, worker: Callable[..., Worker]
) -> None:
    good = make_browsers(gateways, shop, count=20)
    gone = make_browsers(gateways, shop, names=[f"fate-unregistered-{n}" for n in range(5)])
    back = make_browsers(gateways, shop, names=["fate-unregistered-back"])
    bulk = make_bulk(shop)
    run(bulk, worker)
    assert not Address.objects.exclude(closed_at=None).exists()  # not before the page is judged

    # One of them subscribes anew while the page waits (DROP-2).
    [renewed] = gateways.ask(
        "POST", "/browsers", {"server_key": vapid_key()["public_key"], "count": 1}
    )["subscriptions"]
    public_id = back[0].address.public_id
    token = json.dumps(renewed)
    registering.refresh(shop, public_id, registering.Device(provider=Provider.WEBPUSH, token=token))
    Breaker.objects.update(began_at=timezone.now() - timedelta(minutes=2))
    tasks.revive()

    closed = Address.objects.exclude(closed_at=None)
    assert {one.pk for one in closed} == {one.pk for one in gone}
    assert {(one.closed_reason, one.closed_answer) for one in closed} == {
        (Address.Closed.UNINSTALLED, "410 errno 106 Gone")
    }
    assert not Registration.objects.filter(pk__in=[one.pk for one in gone], enabled=True).exists()

    again = make_bulk(shop)
    fanout.freeze(again)
    again.refresh_from_db()
    assert again.audience == len(good) + len(back)


def test_a_message_that_is_too_large_for_the_services_stops_its_campaign(
    gateways: Gateways, shop: Application, worker: Callable[..., Worker]
) -> None:
    gateways.ask("POST", "/behaviour", {"webpush": {"largest_body": 100}})
    make_browsers(gateways, shop, count=5)
    bulk = make_bulk(shop)

    run(bulk, worker)

    assert bulk.status == Bulk.Status.PAUSED
    assert "refuses this notification for every device: 413" in bulk.status_reason
    assert {row.reason for row in rows_of(bulk).values()} == {Reason.TOO_LARGE}
    assert refusals(gateways) == {"413 too_large": 5}
    assert not Address.objects.exclude(closed_at=None).exists()


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ("key", "enter the key pair that the site's pages subscribed their browsers with"),
        ("clock", "This server's clock is 780 minutes late: set it"),
    ],
)
def test_a_refused_key_pauses_sending_and_costs_nobody(
    gateways: Gateways, shop: Application, worker: Callable[..., Worker], fault: str, remedy: str
) -> None:
    browsers = [one for host in HOSTS for one in make_browsers(gateways, shop, host=host, count=5)]
    bulk = make_bulk(shop)
    fanout.freeze(bulk)
    credential = ProviderCredential.objects.get(application=shop)
    right = dict(credential.data)
    if fault == "key":
        credential.data = make_vapid(ec.generate_private_key(ec.SECP256R1()))
        credential.version += 1
        credential.save()
    else:
        gateways.ask("POST", "/clock", {"offset": 13 * 3600})  # a proof is good for twelve
    worker(children=1)

    def paused() -> bool:
        tasks.revive()
        credential.refresh_from_db()
        return credential.paused_at is not None

    eventually(paused, seconds=60, what="sending was paused")
    assert remedy in credential.pause_reason
    if fault == "clock":
        assert channels.test(credential).verdict is Verdict.MISCONFIGURED
        assert remedy in credential.test_answer
    assert gateways.ledger()["webpush"]["accepted"] == 0
    assert not Address.objects.exclude(closed_at=None).exists()

    if fault == "key":
        credential.data = right
        credential.version += 1
        credential.save()
    else:
        gateways.ask("POST", "/clock", {"offset": 0})
    assert channels.test(credential).verdict is Verdict.ACCEPTED

    def done() -> bool:
        Chunk.objects.update(not_before=timezone.now())  # the pause between two looks is over
        return is_over(bulk)

    eventually(done, seconds=60, what="the campaign ended")
    taken = Counter(row["token"] for row in gateways.messages())
    assert taken == Counter(endpoint(one) for one in browsers)
    assert {row.state for row in rows_of(bulk).values()} == {Message.State.ACCEPTED}


@pytest.mark.parametrize(
    ("tls", "word"),
    [("expired", "certificate"), ("wrong_name", "certificate"), ("refused", "could not connect")],
)
def test_a_stranger_in_the_services_place_gets_nothing(
    gateways: Gateways, shop: Application, tls: str, word: str
) -> None:
    gateways.ask("POST", "/behaviour", {"webpush": {"tls": tls}})
    [browser] = make_browsers(gateways, shop)
    provider = provider_of(shop)
    payload = provider.compile(PushNotification(text="Hi"))
    message_id = ids.message_id(make_bulk(shop), browser.pk)

    [outcome] = hand_over(provider, [Addressed(payload, message_id, browser.address.token, ttl=60)])

    assert outcome.verdict is Verdict.NOT_SENT
    assert word in outcome.reason
    assert gateways.ledger()["webpush"] == {"accepted": 0, "distinct": 0, "refused": 0}
