"""One campaign, told alike by everybody who tells of it, part by part and to the unit.

A push to devices of every kind, and a text message to whom it did not reach. At any size:
AGREEMENT_DEVICES=100000 python3 manage.py test tests/flows/test_agreement.py -n 0
"""

import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns import composing, contents, reconciling, reports, statistics, tasks, variant_figures
from campaigns.message_filters import NONE_REPORTED
from campaigns.models import Bulk, EarlyReceipt, Journey, Medium, Message, Reason, Scenario
from campaigns.store import store
from campaigns.variants import NAMES
from devices import subscriptions
from devices.models import (
    Address,
    Application,
    Identity,
    Person,
    Platform,
    Provider,
    Registration,
    Role,
)
from devices.versions import pack_version, unpack_version
from tests.api.systems import System, make_key
from tests.factories import (
    make_campaign,
    make_credential,
    make_gateway,
    make_registrations,
    make_user,
    signed_in,
    vapid_key,
)
from tests.flows.conftest import make_shop
from tests.flows.huawei import callback_of, trust
from tests.flows.processes import Gateways, WebServer, Worker
from tests.flows.telling import (
    AMONG,
    agree,
    assert_the_log_agrees,
    by_file,
    by_objects,
    by_page,
    by_rows,
    figures_of,
    file_of,
    funnel_of,
    listed,
    log_of,
    reasons_of,
    text_of,
)
from tests.waiting import eventually

DEVICES = int(os.environ.get("AGREEMENT_DEVICES", "2400"))
PATIENCE = 600 + DEVICES / 10  # seconds; each phone reports by a request of its own
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(900 + DEVICES / 5),
]
# Of 24 devices so many each; a browser takes the most work, to encrypt and to decrypt.
SHARES = {Platform.ANDROID: 10, Platform.IOS: 9, Platform.HUAWEI: 4, Platform.WEB: 1}
LANGUAGES = ("de-AT", "fr", "")
VERSIONS = ("4.9.0", "4.10.2")
# None is busy, and no phone is off: minutes and hours of waiting that show nothing more.
WELL = {"mismatched": 0, "malformed": 0}  # whom the others call so, these hold against us
CLOUDS: dict[str, Any] = {
    "latency_ms": 10, "unregistered": 0.06, "mismatched": 0.01, "malformed": 0.01, "busy": 0,
    "unavailable": 0.01, "hms": WELL | {"unregistered": 0.02}, "webpush": WELL,
    "infobip": WELL | {"unregistered": 0, "unavailable": 0},
}  # fmt: skip
PHONES = {
    "speed": 100, "delivered": 0.9, "seen": 0.4, "offline": 0, "repeated": 0, "unknown": 0,
    "out_of_order": 0.05, "uninstalled": 0,
}  # fmt: skip
RECEIPTS = {
    "seconds": 0, "kept_seconds": 0.2, "removed": 0.03, "other_user": 0.01, "muted": 0.04,
    "dormant": 0.02, "by_rule": 0.01, "kept": 0.05, "silent": 0, "early": 0.02, "repeated": 0,
}  # fmt: skip
OPERATORS = {
    "seconds": 0.3, "silent": 0, "absent": 0.06, "barred": 0.03, "expired": 0.04, "unknown": 0,
    "stopped": 0.02, "intermediate": 0.2, "out_of_order": 0.05, "repeated": 0, "strangers": 0.01,
}  # fmt: skip
# What the clouds say for good, and what it is called here.
REFUSALS = {
    "UNREGISTERED": Reason.UNINSTALLED,
    "Unregistered": Reason.UNINSTALLED,
    "SENDER_ID_MISMATCH": Reason.MISMATCHED_SENDER,
    "DeviceTokenNotForTopic": Reason.MISMATCHED_SENDER,
    "INVALID_ARGUMENT": Reason.MALFORMED_TOKEN,
    "BadDeviceToken": Reason.MALFORMED_TOKEN,
    "80300007": Reason.MALFORMED_TOKEN,  # Huawei: not one valid token
    "gone": Reason.UNINSTALLED,  # browsers
}
# What Huawei says later of what it took (contract/providers.md 4.7).
TOLD_LATER = {
    Reason.UNINSTALLED: ("result_2", "result_5"),
    Reason.NOTIFICATIONS_OFF: ("result_6",),
    Reason.DORMANT: ("result_10",),
    Reason.LIMITED: ("result_201",),
}
# ------------------------------------------------------------------- who there is


def make_audience(shop: Application, gateways: Gateways) -> None:
    """Devices of every kind, two of three with a person, and most of these with a number."""
    platforms = [each for each, share in SHARES.items() for _ in range(share)]
    cells = list(product(platforms, LANGUAGES, VERSIONS))
    for place, (platform, language, version) in enumerate(cells):
        count = DEVICES // len(cells) + (place < DEVICES % len(cells))
        make_registrations(
            shop,
            count,
            platform=platform,
            tokens=browsers(gateways, count) if platform == Platform.WEB else (),
            people=owners(count),
            language=language,
            app_version=pack_version(version),
        )


def browsers(gateways: Gateways, count: int) -> list[str]:
    if not count:
        return []
    asked = {"server_key": vapid_key()["public_key"], "count": count}
    found = gateways.ask("POST", "/browsers", asked)["subscriptions"]
    return [subscriptions.canonical(json.dumps(one)) for one in found]


def owners(count: int) -> list[Person | None]:
    """Of so many devices. Of three two belong to one person; one of nine people has no number."""
    people = Person.objects.bulk_create(Person() for _ in range(count // 3))
    Identity.objects.bulk_create(
        Identity(kind=Identity.Kind.PHONE, value=f"4179{person.pk:07}", person=person)
        for place, person in enumerate(people)
        if place % 9
    )
    return [owner for person in people for owner in (person, person, None)]


@dataclass(frozen=True)
class Sent:
    """A campaign that is over: its steps."""

    push: Bulk
    text: Bulk


@pytest.fixture
def web(gateways: Gateways, transactional_db: None, tmp_path: Path) -> Iterator[WebServer]:
    """What phones and gateways report to: a process of its own, as each asks many times."""
    server = WebServer(tmp_path / "web.log", {"ALLOWED_HOSTS": "127.0.0.1"})
    yield server
    server.stop()
    server.tell()


@pytest.fixture
def sent(gateways: Gateways, worker: Callable[..., Worker], web: WebServer, settings: Any) -> Sent:
    """Two languages in two variants, then a text message; done and reported on."""
    store().flushdb()
    settings.LAUNCH_HOLD_SECONDS = 0
    settings.PUBLIC_BASE_URL = web.url
    shop, key = make_shop(), secrets.token_hex(16)
    make_credential(shop, Provider.HMS)
    make_credential(shop, Provider.WEBPUSH)
    make_gateway(shop, api_key=key)
    make_audience(shop, gateways)
    codes = dict.fromkeys(
        ("shop-test", "com.example.shop", vapid_key()["public_key"]), shop.code
    )  # not Huawei's app: Huawei itself tells what arrived
    trust(gateways, f"{web.url}{callback_of(shop)}")
    gateways.ask("POST", "/credentials", {"infobip": [{"api_key": key, "senders": ["Shop"]}]})
    gateways.ask("POST", "/behaviour", CLOUDS)
    gateways.ask("POST", "/receipts", RECEIPTS)
    gateways.ask("POST", "/operators", OPERATORS)
    phones = {"base_url": web.url, "applications": codes, "rates": PHONES}
    gateways.ask("POST", "/phones", phones)
    steps = [
        {"channel": "PUSH", "sender": shop.code, "validity": 24 * 3600},
        {"channel": "SMS", "sender": "Shop", "validity": 24 * 3600},
    ]
    scenario = Scenario.objects.create(key=secrets.token_hex(16).upper(), name="Both", steps=steps)
    campaign = make_campaign(shop, name="Friday sale", scenario=scenario)
    contents.add_language(campaign, "de", version=1)
    campaign.contents.filter(language="de").update(text="Nur heute")
    contents.add_variant(campaign, version=2)
    push = composing.launch(campaign, make_user(Role.MARKETER, shop))
    Bulk.objects.filter(flow=push.flow).update(starts_at=timezone.now() - timedelta(minutes=1))
    worker(queues="dispatch", children=2, PUBLIC_BASE_URL=web.url)
    quick = "urgent,receipts,default"
    worker("quick", queues=quick, children=2, PUBLIC_BASE_URL=web.url)

    def pushed() -> bool:
        go_on()
        push.refresh_from_db()
        all_sent = push.status == Bulk.Status.DONE and not statistics.funnel(push).waiting
        return all_sent and is_quiet(gateways) and as_phones_say(gateways, push)

    eventually(pushed, seconds=PATIENCE, what="the push was sent, and every phone has reported")
    running = Journey.objects.filter(flow=push.flow, state=Journey.State.RUNNING)
    running.filter(step=0).update(deadline=timezone.now())
    text = Bulk.objects.get(flow=push.flow, step=1)

    def over() -> bool:
        go_on()
        text.refresh_from_db()
        return text.status == Bulk.Status.DONE and not running.exists() and is_quiet(gateways)

    eventually(over, seconds=PATIENCE, what="texts were sent, and the operators have reported")
    push.refresh_from_db()
    return Sent(push, text)


def go_on() -> None:
    """What the timetable does."""
    tasks.revive()
    tasks.consume_receipts.delay()


def is_quiet(gateways: Gateways) -> bool:
    """Nobody has anything more to say, and all of it is folded."""
    found = gateways.ask("GET", "/statistics")
    silent = all(
        not found[each]["scheduled"] and not found[each]["waiting"]
        for each in ("phones", "receipts", "operators")
    )
    return silent and not store().xlen(reports.STREAM) and not EarlyReceipt.objects.exists()


def as_phones_say(gateways: Gateways, push: Bulk) -> bool:
    """A report that is on the wire is nowhere counted yet."""
    found, funnel = gateways.ask("GET", "/statistics"), statistics.funnel(push)
    phones, receipts = Counter(found["phones"]), Counter(found["receipts"])
    assert not phones["refused"]
    assert not phones["given_up"]
    assert not receipts["receipts_given_up"]
    opened = phones["opened_reported"]
    return (funnel.delivered, funnel.seen, funnel.clicked) == (
        phones["delivered_reported"] + receipts["result_0"],
        phones["seen_reported"] + phones["dismissed_reported"] + opened,
        opened,
    )


# ------------------------------------------------------------------- what they say


def test_everybody_tells_the_same_of_a_campaign(sent: Sent, gateways: Gateways) -> None:
    push, shop = sent.push, sent.push.application
    client = signed_in(shop, Role.ADMINISTRATOR)
    page = text_of(client, "detail", shop, push.campaign_id)
    every_line = file_of(client, shop, push.campaign_id)
    lines = [line for line in every_line if line["step"] == "1"]
    whole = figures_of(push)
    assert whole["sent"] == push.audience == DEVICES
    assert 0 < whole["failed"] < whole["seen"] < whole["delivered"] < DEVICES
    assert whole["expired"] > 0

    # counters, rows, the file, the API, the page of the campaign and the reports
    for bulk in (push, sent.text):
        assert statistics.funnel(bulk) == statistics.recount(bulk)
        assert statistics.funnel(bulk).adds_up
        assert reconciling.differences(bulk) == []
    assert len(every_line) == len({line["message_id"] for line in every_line})
    texts = figures_of(sent.text)
    both = {key: whole[key] + texts[key] for key in AMONG}
    assert by_file(every_line, "step") == {"1": whole, "2": texts}
    assert funnel_of(page) == {key: whole[key] for key in funnel_of(page)}
    report = text_of(client, "reports", shop)
    assert agree({shop.name: both}, by_page(report, "By application"))
    assert agree({"Campaigns": both}, by_page(report, "by who asked for it"))
    began = by_page(report, "that began then")["Friday sale"]
    assert began == {key: whole[key] for key in began}
    make_key(scopes=["mobile-app-messaging:manage"])
    api = System().get(f"/push/1/statistics?bulkId={push.bulk_id}").json()
    assert (api["totalSent"], api["delivered"], api["seen"]) == (
        whole["sent"], whole["delivered"], whole["seen"],
    )  # fmt: skip
    silent = whole["accepted"] - whole["delivered"]  # another device of the same person has it
    assert api["totalSent"] == api["delivered"] + sum(api["errors"].values()) + silent

    # by platform
    platforms = by_rows(push, "platform", lambda value: Medium(value).label)
    assert set(platforms) == {"Android", "iOS", "Huawei", "Web"}
    assert agree(
        platforms,
        by_objects(statistics.platforms(push), lambda each: each.platform.label),
        by_file(lines, "platform"),
        by_page(page, 'id="platform-title"'),
    )
    for label, figures in platforms.items():
        assert_the_log_agrees(client, push, figures, platform=Medium[label.upper()].value)

    # by variant
    variants = by_rows(push, "variant", lambda value: NAMES[value])
    assert set(variants) == {"A", "B"}
    assert agree(
        variants,
        by_objects(variant_figures.figures(push), lambda each: each.name),
        by_file(lines, "variant"),
    )
    assert agree(
        {f"Variant {name}": each for name, each in variants.items()},
        by_page(page, 'id="variants-title"'),
    )
    for label, figures in variants.items():
        assert_the_log_agrees(client, push, figures, variant=NAMES.index(label))

    # by language
    languages = by_rows(push, "language", str)
    assert set(languages) == set(LANGUAGES)
    assert agree(
        languages,
        by_objects(variant_figures.languages(push) or (), lambda each: each.value),
        by_file(lines, "language"),
    )
    shown = by_page(
        text_of(client, "languages", shop, push.campaign_id, f"?bulk={push.pk}"), "<table"
    )
    shown[""] = shown.pop("None reported")
    assert agree(languages, {name.rpartition(" ")[2]: each for name, each in shown.items()})
    for language, figures in languages.items():
        assert_the_log_agrees(client, push, figures, language=language or NONE_REPORTED)

    # by version of the app
    versions = by_rows(push, "app_version", unpack_version)
    assert set(versions) == {"4.9", "4.10.2"}
    assert agree(
        versions,
        by_objects(variant_figures.app_versions(push) or (), lambda each: each.value),
        by_file(lines, "app_version"),
        by_page(
            text_of(client, "app-versions", shop, push.campaign_id, f"?bulk={push.pk}"), "<table"
        ),
    )
    for version, figures in versions.items():
        assert_the_log_agrees(client, push, figures, version=version)

    # by reason
    reasons = reasons_of(push)
    assert sum(reasons.values()) == whole["failed"] + whole["expired"]
    assert reasons == Counter(Reason[line["reason"].upper()] for line in lines if line["reason"])
    assert reasons[Reason.WITHDRAWN] > 0
    for reason, count in reasons.items():
        assert f'?reason={reason.value}">{count:,}</a>' in page
        assert listed(log_of(client, push, reason=reason.value)) == count

    assert_the_clouds_agree(gateways, every_line)
    assert_huawei_agrees(gateways, lines)
    assert_the_steps_agree(gateways, client, sent, page, every_line)


def assert_the_clouds_agree(gateways: Gateways, lines: list[dict[str, str]]) -> None:
    """Message by message, text or push: what they took, and what they refused for good."""
    taken = {row["message_id"]: row["token"] for row in gateways.messages()}
    assert len(taken) == len(gateways.messages())  # nobody was sent it twice
    refused = {
        row["message_id"]: REFUSALS[row["reason"]]
        for row in gateways.refusals()
        if row["reason"] in REFUSALS
    }
    assert not set(taken) & set(refused)
    assert set(taken) | set(refused) == {line["message_id"] for line in lines}
    ended = {line["message_id"]: line for line in lines if line["message_id"] in refused}
    assert {line["state"] for line in ended.values()} == {Message.State.FAILED.label}
    assert {name: Reason[line["reason"].upper()] for name, line in ended.items()} == refused
    devices = {
        str(public_id): subscriptions.endpoint_of(token) if token.startswith("{") else token
        for token, public_id in Address.objects.values_list("token", "public_id")
    }
    assert all(
        taken[line["message_id"]] == devices[line["registration_id"]]
        for line in lines
        if line["step"] == "1" and line["message_id"] in taken
    )


def assert_huawei_agrees(gateways: Gateways, lines: list[dict[str, str]]) -> None:
    """What it took, and told later by receipts."""
    receipts = Counter(gateways.ask("GET", "/statistics")["receipts"])
    refused = {row["message_id"] for row in gateways.refusals() if row["reason"] in REFUSALS}
    took = [
        line for line in lines if line["platform"] == "Huawei" and line["message_id"] not in refused
    ]
    arrived = [line for line in took if line["delivered_at"]]
    assert len(arrived) == receipts["result_0"]
    later = Counter(Reason[line["reason"].upper()] for line in took if line["reason"])
    told = {
        reason: sum(receipts[each] for each in results) for reason, results in TOLD_LATER.items()
    }
    assert later == Counter(told)
    assert len(took) == len(arrived) + later.total()


def assert_the_steps_agree(
    gateways: Gateways, client: Client, sent: Sent, page: str, lines: list[dict[str, str]]
) -> None:
    """People, each in the first step that reached them, or in the last."""
    owners = {
        str(public_id): person or -pk
        for pk, public_id, person in Registration.objects.values_list(
            "pk", "address__public_id", "person"
        )
    }
    pushed = [line for line in lines if line["step"] == "1"]
    texted = [line for line in lines if line["step"] == "2"]
    everybody = {owners[line["registration_id"]] for line in pushed}
    reached = {owners[line["registration_id"]] for line in pushed if line["delivered_at"]}
    with_number = set(Identity.objects.values_list("person", flat=True))
    assert len(texted) == len((everybody - reached) & with_number) > 0

    shown = by_page(page, 'id="steps-title"')
    first, second = shown["1. Push"], shown["2. Text message"]
    got = sum(1 for line in texted if line["delivered_at"])
    assert (first["people"], first["delivered"]) == (len(everybody), len(reached))
    assert first["failed"] + first["expired"] == len(everybody - reached) == second["people"]
    assert second["delivered"] == got
    assert second["failed"] + second["expired"] == second["people"] - got
    assert (first["on the way"], second["on the way"]) == (0, 0)
    cost = (Decimal("0.045") * len(texted)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert f"{cost:,} EUR" in page

    texts = figures_of(sent.text)
    assert texts["sent"] == sent.text.audience == len(texted)
    operators = Counter(gateways.ask("GET", "/statistics")["operators"])
    fates = {name: operators[f"fate_{name}"] for name in ("absent", "barred", "expired", "stopped")}
    assert texts["delivered"] == operators["fate_delivered"] == got
    assert texts["failed"] + texts["expired"] == sum(fates.values())
    reasons = reasons_of(sent.text)
    assert reasons == Counter(Reason[line["reason"].upper()] for line in texted if line["reason"])
    ends = {
        Reason.UNDELIVERABLE: fates["absent"] + fates["barred"],
        Reason.NOT_IN_TIME: fates["expired"],
        Reason.OPTED_OUT: fates["stopped"],
    }
    assert reasons == Counter(ends)
    assert_the_log_agrees(client, sent.text, texts, step=1)
    for reason, count in reasons.items():
        assert listed(log_of(client, sent.text, step=1, reason=reason.value)) == count
