"""Each figure of a page opens the rows that it counts, and they are as many."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from typing import Any, NamedTuple

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import composing, contents, dispatch, fanout, folding, message_filters, statistics
from campaigns.batches import packed
from campaigns.message_filters import Filter
from campaigns.models import Bulk, Message, Reason
from devices.models import Platform, Provider, ProviderCredential, Role
from devices.versions import pack_version
from providers.base import Cause, Outcome, Verdict
from pushadmin import web
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
    signed_in,
)

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]
DEVICES = 72
SAID = [  # of what was accepted, one after the other
    None,
    (Message.State.DELIVERED, Reason.NONE),
    (Message.State.SEEN, Reason.NONE),
    (Message.State.CLICKED, Reason.NONE),
    (Message.State.FAILED, Reason.DORMANT),
    (Message.State.EXPIRED, Reason.NOTIFICATIONS_OFF),
]
FAULTS = [
    Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404),
    Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER, may_have_sent=True),
]


@pytest.fixture
def sent(cloud_for: CloudFor, settings: Any) -> Bulk:
    """To two platforms, in two variants; each kind of end is among them."""
    settings.LAUNCH_HOLD_SECONDS = 0
    application = make_application(name="Shop")
    for provider in (Provider.FCM, Provider.APNS):
        cloud = cloud_for(make_credential(application, provider))
        turns = iter(range(10**6))

        def answer(_: object, turns: Iterator[int] = turns) -> Outcome:
            turn = next(turns) % 6
            good = Outcome(verdict=Verdict.ACCEPTED, provider_id="p-1", status=200)
            return FAULTS[turn] if turn < len(FAULTS) else good

        cloud.answer = answer
    for place in range(6):
        make_registrations(
            application,
            DEVICES // 6,
            platform=(Platform.ANDROID, Platform.IOS)[place % 2],
            language=("de-AT", "fr", "")[place % 3],
            app_version=pack_version(("", "4.10.2")[place // 3]),
        )
    campaign = make_campaign(application, name="Friday sale")
    contents.add_variant(campaign, version=1)
    bulk = composing.launch(campaign, make_user(Role.MARKETER, application))
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)
    dispatch.work(seconds=60)
    bulk.refresh_from_db()
    accepted = Message.objects.of_bulk(bulk).filter(state=Message.State.ACCEPTED).order_by("pk")
    told = [
        packed(message.pk, said[0], timezone.now(), int(said[1]))
        for place, message in enumerate(accepted)
        if (said := SAID[place % len(SAID)]) is not None
    ]
    folding.fold([(application.pk, None, told)])
    return bulk


@pytest.fixture
def reader(sent: Bulk) -> Client:
    return signed_in(sent.application, Role.ADMINISTRATOR)


class Figure(NamedTuple):
    number: int
    address: str
    label: str  # of its column; "" outside of tables


FIGURE = re.compile(
    r'(?:data-label="(?P<label>[^"]*)">)?'
    r'<a (?:class="[^"]*" )?href="(?P<address>[^"]*)">(?P<number>[\d,]+)(?: [a-z ]+)?</a>'
)


def figures(page: str) -> list[Figure]:
    """Numbers of a page that open something."""
    return [
        Figure(
            int(found["number"].replace(",", "")), unescape(found["address"]), found["label"] or ""
        )
        for found in FIGURE.finditer(page)
    ]


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def rows_of(client: Client, address: str, what: str) -> int:
    """How many rows a list says that it has, of so many that it shows."""
    page = text_of(client, address)
    if "No message fits" in page:
        return 0
    found = re.search(rf"([\d,]+) {what}s?\b", page)
    assert found is not None, address
    return int(found[1].replace(",", ""))


def test_each_figure_of_a_campaign_s_page_counts_its_rows(sent: Bulk, reader: Client) -> None:
    place = [sent.application_id, sent.campaign_id]
    page = text_of(reader, reverse("campaigns:detail", args=place))
    for part in ("languages", "app-versions"):
        page += text_of(reader, reverse(f"campaigns:{part}", args=place) + f"?bulk={sent.pk}")

    found = [each for each in figures(page) if "/messages/" in each.address]

    for each in found:
        assert rows_of(reader, each.address, "message") == each.number, each
    asked = Counter(name for each in found for name in re.findall(r"[?&](\w+)=", each.address))
    # 2 platforms, 2 variants, 3 languages and 2 versions, and 4 reasons
    assert (asked["platform"], asked["variant"], asked["language"], asked["version"]) == (
        14, 12, 24, 16,
    )  # fmt: skip
    assert asked["reason"] == 4
    assert all(each.number for each in found if "reason=" in each.address)
    funnel = statistics.funnel(sent)
    assert funnel.sent == DEVICES
    assert min(funnel.delivered, funnel.seen, funnel.clicked, funnel.expired, funnel.unknown) > 0


def test_each_figure_of_a_report_is_taken_apart_down_to_its_rows(
    sent: Bulk, reader: Client
) -> None:
    page = text_of(reader, reverse("campaigns:reports", args=[sent.application_id]))
    parts = page[page.index('id="sources"') : page.index('aria-labelledby="days-title"')]
    sums: Counter[str] = Counter()
    for label, number in re.findall(r'data-label="([A-Z]\w+)">([\d,]+)<', parts):
        sums[label] += int(number.replace(",", ""))

    found = figures(page)

    whole = [each for each in found if each.address.endswith("#sources")]
    assert {each.label: each.number for each in whole} == sums
    assert len(whole) == 6
    assert sums["Sent"] == DEVICES
    listed = [each for each in found if "/messages/" in each.address]
    assert [each.label for each in listed] == ["Sent", "Delivered", "Seen"]
    for each in listed:
        assert rows_of(reader, each.address, "message") == each.number, each
        assert each.number == sums[each.label]


def test_each_figure_of_the_overview_opens_what_it_counts(sent: Bulk, reader: Client) -> None:
    page = text_of(reader, reverse("campaigns:overview", args=[sent.application_id]))

    found = figures(page)

    devices = [each for each in found if "/devices/" in each.address]
    assert [each.number for each in devices] == [DEVICES, DEVICES // 2, DEVICES // 2, DEVICES]
    for each in devices:
        assert rows_of(reader, each.address, "device") == each.number, each
    [messages] = [each for each in found if "/reports/" in each.address]
    in_report = figures(text_of(reader, messages.address))
    assert next(each.number for each in in_report if each.label == "Sent") == messages.number
    assert messages.number == DEVICES


def test_the_month_of_the_overview_is_that_of_the_report(sent: Bulk, reader: Client) -> None:
    """Thirty whole days: what was sent on the morning of the first of them counts in both."""
    counter = sent.counters.first()
    assert counter is not None
    first = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=29)
    Bulk.objects.filter(pk=sent.pk).update(starts_at=first)
    for days, sent_then in ((0, 5), (-1, 7)):
        counter.pk, counter.sent, counter.minute = None, sent_then, first + timedelta(days=days)
        counter.save(force_insert=True)

    page = text_of(reader, reverse("campaigns:overview", args=[sent.application_id]))

    [messages] = [each for each in figures(page) if "/reports/" in each.address]
    in_report = figures(text_of(reader, messages.address))
    assert messages.number == DEVICES + 5
    assert next(each.number for each in in_report if each.label == "Sent") == messages.number


# ------------------------------------------------------------------- long lists

ASKED = [
    {},
    {"state": "accepted"},
    {"state": "silent", "platform": str(Platform.IOS.value)},
    {"state": "clicked", "variant": "1"},
    {"reason": str(Reason.UNINSTALLED.value)},
    {"reason": str(Reason.UNINSTALLED.value), "variant": "0"},
    {"reason": str(Reason.UNINSTALLED.value), "platform": str(Platform.IOS.value)},
    {"language": "fr", "state": "delivered"},
    {"language": "-"},
    {"version": "4.10.2"},
    {"version": "-", "state": "failed"},
]


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_counters_know_how_long_a_list_is_that_is_not_counted(
    sent: Bulk, asked: dict[str, str]
) -> None:
    wanted = Filter.of(asked)

    rows = wanted.narrow(statistics.messages(sent)).count()

    assert wanted.count(sent) == rows > 0


def test_a_long_list_says_its_number_or_that_it_is_long(
    sent: Bulk, reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MOST_COUNTED", 60)
    monkeypatch.setattr(web, "SIZES", (5, 10, 20))
    log = reverse("campaigns:messages", args=[sent.application_id, sent.campaign_id])

    assert f"{DEVICES} messages" in text_of(reader, log)

    monkeypatch.setattr(message_filters.Filter, "count", lambda *_: None)
    assert "More than 60 messages" in text_of(reader, log)


@pytest.mark.parametrize(
    "asked",
    [
        {"variant": "9"},
        {"variant": "-1"},
        {"variant": "²"},
        {"platform": "x"},
        {"state": "\x00"},
        {"language": "\x00"},
    ],
    ids=str,
)
def test_what_a_filter_cannot_be_asks_for_everything(
    sent: Bulk, reader: Client, asked: dict[str, str]
) -> None:
    log = reverse("campaigns:messages", args=[sent.application_id, sent.campaign_id])

    answer = reader.get(log, asked)

    assert f"{DEVICES} messages" in answer.content.decode()


def test_the_filter_that_a_figure_sets_can_be_seen_and_taken_away(
    sent: Bulk, reader: Client
) -> None:
    log = reverse("campaigns:messages", args=[sent.application_id, sent.campaign_id])

    page = text_of(reader, f"{log}?language=de-AT&version=4.10.2&variant=1")

    assert '<option value="de-AT" selected>German (AT)</option>' in page
    assert '<option value="4.10.2" selected>App version 4.10.2</option>' in page
    assert '<option value="1" selected>Variant B</option>' in page
    assert "Every language" not in text_of(reader, log)
