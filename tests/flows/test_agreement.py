"""One campaign, told alike by everybody who tells of it, part by part and to the unit.

At any size: AGREEMENT_DEVICES=100000 python3 manage.py test tests/flows/test_agreement.py -n 0
"""

import csv
import io
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Count
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from campaigns import composing, contents, reconciling, statistics, tasks, variant_figures
from campaigns.models import Bulk, Medium, Message, Reason
from campaigns.store import store
from campaigns.variants import NAMES
from devices.models import Address, Application, Platform, Role
from devices.versions import pack_version, unpack_version
from tests.api.systems import System, make_key
from tests.factories import make_campaign, make_registrations, make_user
from tests.flows.conftest import make_shop
from tests.flows.processes import Gateways, Worker
from tests.waiting import eventually

DEVICES = int(os.environ.get("AGREEMENT_DEVICES", "2400"))
PATIENCE = 600 + DEVICES / 10  # seconds; each phone reports by a request of its own
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(900 + DEVICES / 5),
]
PLATFORMS = (Platform.ANDROID, Platform.IOS)
LANGUAGES = ("de-AT", "fr", "")
VERSIONS = ("4.9.0", "4.10.2")
# None is busy, and no phone is off: minutes and hours of waiting that show nothing more.
CLOUDS = {
    "latency_ms": 10, "unregistered": 0.06, "mismatched": 0.01, "malformed": 0.01, "busy": 0,
    "unavailable": 0.01,
}  # fmt: skip
PHONES = {
    "speed": 100, "delivered": 0.9, "seen": 0.4, "offline": 0, "repeated": 0, "unknown": 0,
    "out_of_order": 0.05, "uninstalled": 0,
}  # fmt: skip
# What the clouds say for good, and what it is called here.
REFUSALS = {
    "UNREGISTERED": Reason.UNINSTALLED,
    "Unregistered": Reason.UNINSTALLED,
    "SENDER_ID_MISMATCH": Reason.MISMATCHED_SENDER,
    "DeviceTokenNotForTopic": Reason.MISMATCHED_SENDER,
    "INVALID_ARGUMENT": Reason.MALFORMED_TOKEN,
    "BadDeviceToken": Reason.MALFORMED_TOKEN,
}
Figures = dict[str, int]
_S = Message.State
ACCEPTED = (_S.ACCEPTED, _S.DELIVERED, _S.SEEN, _S.CLICKED)
AMONG = {
    "sent": tuple(_S),
    "accepted": ACCEPTED,
    "delivered": ACCEPTED[1:],
    "seen": ACCEPTED[2:],
    "failed": (_S.FAILED,),
}


def told(states: dict[int, int]) -> Figures:
    """The figures of messages, from how many are in each state."""
    return {name: sum(states.get(each, 0) for each in among) for name, among in AMONG.items()}


def by_rows(bulk: Bulk, column: str, name: Callable[[Any], str]) -> dict[str, Figures]:
    """What the message rows say."""
    found: dict[str, dict[int, int]] = defaultdict(dict)
    rows = Message.objects.of_bulk(bulk).values_list(column, "state").annotate(number=Count("pk"))
    for value, state, number in rows:
        found[name(value)][state] = number
    return {value: told(states) for value, states in found.items()}


def by_file(lines: Iterable[dict[str, str]], column: str) -> dict[str, Figures]:
    """What the CSV file says."""
    states = {state.label: state.value for state in _S}
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for line in lines:
        found[line[column]][states[line["state"]]] += 1
    return {value: told(counted) for value, counted in found.items()}


def by_objects(counted: Iterable[Any], name: Callable[[Any], str]) -> dict[str, Figures]:
    """What the functions say that pages are written from."""
    return {name(each): {key: getattr(each, key) for key in AMONG} for each in counted}


def by_page(html: str, after: str) -> dict[str, Figures]:
    """What a table of a page says: the one that follows some text."""
    body = html.partition(after)[2].partition("<tbody>")[2].partition("</tbody>")[0]
    found = {}
    for row in body.split("<tr>")[1:]:
        cells = [
            (attributes, re.sub(r"<[^>]*>", "", content).strip())
            for attributes, content in re.findall(r"<td([^>]*)>(.*?)</td>", row, re.DOTALL)
        ]
        labelled = {
            match[1].lower(): text
            for attributes, text in cells
            if (match := re.search(r'data-label="([^"]*)"', attributes))
        }
        found[cells[0][1]] = {key: number(labelled[key]) for key in AMONG if key in labelled}
    return found


def number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.fixture
def bulk(
    gateways: Gateways, worker: Callable[..., Worker], live_server: LiveServer, settings: Any
) -> Bulk:
    """Two languages in two variants, to devices of every kind, done and reported on."""
    store().flushdb()
    settings.LAUNCH_HOLD_SECONDS = 0
    shop = make_shop()
    for place in range(12):
        make_registrations(
            shop,
            DEVICES // 12,
            platform=PLATFORMS[place % 2],
            language=LANGUAGES[place // 2 % 3],
            app_version=pack_version(VERSIONS[place // 6]),
        )
    codes = {"shop-test": shop.code, "com.example.shop": shop.code}
    gateways.ask("POST", "/behaviour", CLOUDS)
    phones = {"base_url": live_server.url, "applications": codes, "rates": PHONES}
    gateways.ask("POST", "/phones", phones)
    campaign = make_campaign(shop, name="Friday sale")
    contents.add_language(campaign, "de", version=1)
    campaign.contents.filter(language="de").update(text="Nur heute")
    contents.add_variant(campaign, version=2)
    bulk = composing.launch(campaign, make_user(Role.MARKETER, shop))
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    worker(queues="dispatch", children=2)
    worker("quick", queues="urgent,receipts,default", children=2)

    def done() -> bool:
        tasks.revive()
        tasks.consume_receipts.delay()
        bulk.refresh_from_db()
        return bulk.status == Bulk.Status.DONE and reported(gateways, bulk)

    eventually(done, seconds=PATIENCE, what="everything was sent, and every phone has reported")
    return bulk


def reported(gateways: Gateways, bulk: Bulk) -> bool:
    """Every phone has said all it will, and all of it is counted."""
    phones = gateways.ask("GET", "/statistics")["phones"]
    funnel = statistics.funnel(bulk)
    said = (phones.get("delivered_reported", 0), phones.get("seen_reported", 0))
    silent = not phones["scheduled"] and not phones["waiting"]
    return silent and said == (funnel.delivered, funnel.seen)


def test_everybody_tells_the_same_of_a_campaign(bulk: Bulk, gateways: Gateways) -> None:
    shop = bulk.application
    client = Client()
    user = make_user(Role.ADMINISTRATOR, shop)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    page = text_of(client, "detail", shop, bulk.campaign_id)
    lines = file_of(client, shop, bulk.campaign_id)
    funnel = statistics.funnel(bulk)
    whole = {key: getattr(funnel, key) for key in AMONG}
    assert DEVICES - DEVICES % 12 == whole["sent"] == bulk.audience
    assert 0 < whole["failed"] < whole["seen"] < whole["delivered"] < whole["accepted"]

    # counters, rows, the file, the API, the page of the campaign and the report
    assert funnel == statistics.recount(bulk)
    assert reconciling.differences(bulk) == []
    assert len(lines) == len({line["message_id"] for line in lines}) == whole["sent"]
    assert by_file(lines, "step") == {"1": whole}
    assert funnel_of(page) == whole
    assert by_page(text_of(client, "reports", shop), "By application")[shop.name] == whole
    make_key(scopes=["mobile-app-messaging:manage"])
    api = System().get(f"/push/1/statistics?bulkId={bulk.bulk_id}").json()
    assert (api["totalSent"], api["delivered"], api["seen"]) == (
        whole["sent"], whole["delivered"], whole["seen"],
    )  # fmt: skip
    assert sum(api["errors"].values()) == whole["failed"]

    # by platform
    platforms = by_rows(bulk, "platform", lambda value: Medium(value).label)
    assert set(platforms) == {"Android", "iOS"}
    assert platforms == by_objects(statistics.platforms(bulk), lambda each: each.platform.label)
    assert platforms == by_file(lines, "platform") == by_page(page, 'id="platform-title"')
    for label, figures in platforms.items():
        medium = Medium[label.upper()]
        for state in ("accepted", "delivered", "seen", "failed"):
            log = text_of(
                client, "messages", shop, bulk.campaign_id, f"?platform={medium}&state={state}"
            )
            assert listed(log) == figures[state], (label, state)

    # by variant
    variants = by_rows(bulk, "variant", lambda value: NAMES[value])
    assert set(variants) == {"A", "B"}
    assert variants == by_objects(variant_figures.figures(bulk), lambda each: each.name)
    assert variants == by_file(lines, "variant")
    assert {f"Variant {name}": each for name, each in variants.items()} == by_page(
        page, 'id="variants-title"'
    )

    # by language and by version of the app
    languages = by_rows(bulk, "language", str)
    assert set(languages) == set(LANGUAGES)
    assert languages == by_objects(variant_figures.languages(bulk) or (), lambda x: x.language)
    assert languages == by_file(lines, "language")
    shown = by_page(
        text_of(client, "languages", shop, bulk.campaign_id, f"?bulk={bulk.pk}"), "<table"
    )
    assert {
        name.rpartition(" ")[2]: each for name, each in shown.items() if name != "None reported"
    } == {name: each for name, each in languages.items() if name}
    assert shown["None reported"] == languages[""]
    versions = by_rows(bulk, "app_version", unpack_version)
    assert set(versions) == {"4.9", "4.10.2"}
    assert versions == by_file(lines, "app_version")
    assert versions == by_page(
        text_of(client, "app-versions", shop, bulk.campaign_id, f"?bulk={bulk.pk}"), "<table"
    )

    # by reason
    reasons = {
        each.reason: each.count for each in statistics.reasons(bulk) if each.kind == "failed"
    }
    assert sum(reasons.values()) == whole["failed"]
    assert reasons == Counter(Reason[line["reason"].upper()] for line in lines if line["reason"])
    for reason, count in reasons.items():
        assert f'?reason={reason.value}">{count:,}</a>' in page
        log = text_of(client, "messages", shop, bulk.campaign_id, f"?reason={reason.value}")
        assert listed(log) == count

    assert_the_clouds_agree(gateways, lines, reasons)


def assert_the_clouds_agree(
    gateways: Gateways, lines: list[dict[str, str]], reasons: dict[Reason, int]
) -> None:
    """Message by message: what they took, and what they refused for good."""
    taken = gateways.messages()
    accepted = {_S(state).label for state in ACCEPTED}
    believed = {line["message_id"] for line in lines if line["state"] in accepted}
    assert len(taken) == len(believed)  # nobody was sent it twice
    assert {row["message_id"] for row in taken} == believed
    tokens = dict(Address.objects.values_list("token", "public_id"))
    devices = {line["message_id"]: line["registration_id"] for line in lines}
    assert all(str(tokens[row["token"]]) == devices[row["message_id"]] for row in taken)
    refused: Counter[Reason] = Counter()
    for row in gateways.refusals():
        if row["reason"] in REFUSALS:
            refused[REFUSALS[row["reason"]]] += 1
    assert refused == reasons


def text_of(
    client: Client, name: str, shop: Application, campaign: int | None = None, query: str = ""
) -> str:
    place = [shop.pk] if campaign is None else [shop.pk, campaign]
    answer = client.get(reverse(f"campaigns:{name}", args=place) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def file_of(client: Client, shop: Application, campaign: int | None) -> list[dict[str, str]]:
    answer = client.post(reverse("campaigns:message-file", args=[shop.pk, campaign]))
    assert answer.status_code == 200
    text = answer.getvalue().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def funnel_of(page: str) -> Figures:
    """The line under the funnel, and its figures."""
    line = re.sub(r"<[^>]*>", "", page.partition('id="balance">')[2].partition("</p>")[0])
    found = {words: number(count) for count, words in re.findall(r"([\d,]+) ([a-z ]+)", line)}
    steps = re.sub(r"<[^>]*>", " ", page.partition('id="funnel">')[2].partition("</ol>")[0])
    seen = re.search(r"Seen\s.*?([\d,]+)", steps, re.DOTALL)
    assert seen is not None
    accepted = found["delivered "] + found["accepted without receipt "]
    return {
        "sent": accepted + found["failed "] + found["expired "] + found["unknown "],
        "accepted": accepted,
        "delivered": found["delivered "],
        "seen": number(seen[1]),
        "failed": found["failed "],
    }


def listed(page: str) -> int:
    """How many rows a list says that it has."""
    found = re.search(r"([\d,]+) messages?\b", page)
    assert found is not None
    return number(found[1])
