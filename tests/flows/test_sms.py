"""Text messages all the way: provider, simulated gateway, its reports, the message's state."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from campaigns import channels, ids, reports, statistics
from campaigns.models import Bulk, Message
from campaigns.models import Counter as Minutes
from campaigns.store import store
from devices.models import ClosedNumber, Platform, Provider, ProviderCredential
from providers.base import Addressed, Outcome, PushNotification, Verdict
from providers.sms import SmsProvider
from tests.factories import make_bulk, make_credential
from tests.flows.processes import Gateways
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(90)]

SID, AUTH = "AC" + "5" * 32, secrets.token_hex(16)
KEY = secrets.token_hex(16)
ACCOUNTS = {
    "infobip": {"base_url": "https://sandbox.api.infobip.com", "api_key": KEY, "sender": "Shop"},
    "infobip_v2": {"base_url": "https://sandbox.api.infobip.com", "api_key": KEY, "sender": "Shop"},
    "twilio": {"account_sid": SID, "auth_token": AUTH, "sender": "+15005550006"},
}
SHAPES = pytest.mark.parametrize("shape", list(ACCOUNTS))
EVENTFUL = {
    "seconds": 0.3, "silent": 0.1, "absent": 0.1, "barred": 0.05, "expired": 0.1, "unknown": 0.05,
    "stopped": 0.1, "intermediate": 1, "out_of_order": 0.5, "repeated": 1, "strangers": 0.3,
}  # fmt: skip


@pytest.fixture
def texting(gateways: Gateways, live_server: LiveServer, settings: Any) -> Iterator[Gateways]:
    """Simulated gateways that know the accounts and report to the live server."""
    store().flushdb()
    settings.PUBLIC_BASE_URL = live_server.url
    gateways.ask(
        "POST",
        "/credentials",
        {
            "infobip": [{"api_key": KEY, "senders": ["Shop"]}],
            "twilio": [
                {"account_sid": SID, "auth_token": AUTH, "senders": ["+15005550006"]},
            ],
        },
    )
    gateways.ask("POST", "/operators", EVENTFUL)
    yield gateways
    store().flushdb()


def make_account(bulk: Bulk, shape: str) -> ProviderCredential:
    callback = f"{bulk.application_id}/{secrets.token_urlsafe(24)}"
    data = {**ACCOUNTS[shape], "shape": shape, "callback": callback}
    return make_credential(bulk.application, Provider.SMS, data=data)


def hand_over(
    provider: SmsProvider, bulk: Bulk, count: int, text: str = "Ваш код 1234"
) -> list[Outcome]:
    payload = provider.compile(PushNotification(text=text))
    window = [
        Addressed(payload, ids.message_id(bulk, number), f"+4179{number:07}", ttl=3600)
        for number in range(1, count + 1)
    ]

    async def send() -> list[Outcome]:
        try:
            return await provider.send(window)
        finally:
            await provider.close()

    return asyncio.run(send())


def write_down(bulk: Bulk, outcomes: list[Outcome]) -> None:
    """The rows of a window, as whoever sends it records them: to destinations, not devices."""
    now = timezone.now()
    accepted = [outcome.verdict is Verdict.ACCEPTED for outcome in outcomes]
    Message.objects.bulk_create(
        Message(
            pk=ids.message_id(bulk, number),
            bulk=bulk,
            registration_id=0,
            destination_id=number,
            sent_at=now,
            state=Message.State.ACCEPTED if taken else Message.State.UNKNOWN,
            platform=Platform.ANDROID,
        )
        for number, taken in enumerate(accepted, start=1)
    )
    Minutes.objects.create(
        bulk=bulk,
        minute=now.replace(second=0, microsecond=0),
        platform=Platform.ANDROID,
        sent=len(accepted),
        accepted=sum(accepted),
        unknown=len(accepted) - sum(accepted),
    )


def figures(gateways: Gateways) -> Counter[str]:
    told: Any = gateways.ask("GET", "/statistics")
    return Counter(told["operators"])


@SHAPES
def test_what_the_operators_decide_is_what_the_messages_say(texting: Gateways, shape: str) -> None:
    bulk = make_bulk(status=Bulk.Status.SENDING)
    count = 120
    provider = channels.build(make_account(bulk, shape))
    assert isinstance(provider, SmsProvider)

    outcomes = hand_over(provider, bulk, count)
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    write_down(bulk, outcomes)

    def all_came() -> bool:
        reports.consume(seconds=0.2)
        told = figures(texting)
        posted = sum(number for name, number in told.items() if name.startswith("fate_"))
        return (
            posted == 3 * (count - told["never_reported"])  # each twice, and on its way
            and told["scheduled"] == told["waiting"] == 0
            and store().xlen(reports.STREAM) == 0
        )

    eventually(all_came, seconds=45, what="all reports came and were folded")
    told = figures(texting)
    fates = {name: told[f"fate_{name}"] // 2 for name in ("delivered", "absent", "barred",
             "expired", "unknown", "stopped")}  # fmt: skip
    states = Counter(Message.objects.of_bulk(bulk).values_list("state", flat=True))
    ends = {"expired", "unknown"} if shape != "twilio" else set()  # Twilio has no word for them
    expired = sum(number for name, number in fates.items() if name in ends)
    assert states[Message.State.DELIVERED] == fates["delivered"] > 0
    assert states[Message.State.EXPIRED] == expired
    assert states[Message.State.FAILED] == sum(fates.values()) - fates["delivered"] - expired > 0
    assert states[Message.State.ACCEPTED] == told["never_reported"] > 0
    assert ClosedNumber.objects.count() == fates["stopped"] > 0
    assert statistics.funnel(bulk) == statistics.recount(bulk)
    cloud = "twilio" if shape == "twilio" else "infobip"
    ledger = texting.ledger()[cloud]
    assert (ledger["accepted"], ledger["distinct"]) == (count, count)
    assert not any(name.endswith("_given_up") for name in told)


@pytest.mark.parametrize("shape", ["infobip", "infobip_v2"])
def test_a_lost_answer_costs_infobip_no_second_copy(texting: Gateways, shape: str) -> None:
    bulk = make_bulk(status=Bulk.Status.SENDING)
    rule = {"cloud": "infobip", "token": "41790000001", "fate": "lost_answer", "tries": 1}
    texting.ask("POST", "/behaviour", {"rules": [rule]})
    provider = channels.build(make_account(bulk, shape))
    assert isinstance(provider, SmsProvider)

    outcomes = hand_over(provider, bulk, 10)

    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    ledger = texting.ledger()["infobip"]
    assert (ledger["accepted"], ledger["distinct"]) == (10, 10)
    assert ledger["refused"] == 10  # the repeat: REJECTED_DUPLICATE_MESSAGE_ID


def test_a_lost_answer_of_twilio_stays_in_doubt_until_it_reports(texting: Gateways) -> None:
    bulk = make_bulk(status=Bulk.Status.SENDING)
    texting.ask("POST", "/operators", dict.fromkeys(EVENTFUL, 0))
    texting.ask("POST", "/behaviour", {"rules": [{"cloud": "twilio", "fate": "lost_answer"}]})
    provider = channels.build(make_account(bulk, "twilio"))
    assert isinstance(provider, SmsProvider)

    outcomes = hand_over(provider, bulk, 3)
    assert {outcome.verdict for outcome in outcomes} == {Verdict.UNKNOWN}
    assert texting.ledger()["twilio"]["accepted"] == 3
    write_down(bulk, outcomes)

    def settled() -> bool:
        reports.consume(seconds=0.2)
        return statistics.funnel(bulk).delivered == 3

    eventually(settled, seconds=30, what="the reports settled the doubt")
    assert statistics.funnel(bulk).unknown == 0


FATES = {
    # what meets a number, the verdict, and how many copies the gateway has taken
    "accepted": (Verdict.ACCEPTED, 1),
    "unregistered": (Verdict.UNREGISTERED, 0),
    "malformed": (Verdict.UNREGISTERED, 0),
    "mismatched": (Verdict.UNREGISTERED, 0),
    "busy": (Verdict.TRY_LATER, 0),
    "unavailable": (Verdict.TRY_LATER, 0),
    "unavailable_delivered": (Verdict.TRY_LATER, 1),
    "internal": (Verdict.TRY_LATER, 0),
    "bad_gateway": (Verdict.UNKNOWN, 0),
    "lost_answer": (Verdict.UNKNOWN, 1),
    "lost_request": (Verdict.UNKNOWN, 0),
    "reset": (Verdict.UNKNOWN, 1),
}


@SHAPES
def test_a_verdict_never_claims_more_than_the_gateway_did(texting: Gateways, shape: str) -> None:
    bulk = make_bulk()
    numbers = {fate: f"4179000{place:04}" for place, fate in enumerate(FATES)}
    rules = [{"token": number, "fate": fate} for fate, number in numbers.items()]
    texting.ask("POST", "/behaviour", {"rules": rules})
    provider = channels.build(make_account(bulk, shape))
    assert isinstance(provider, SmsProvider)
    payload = provider.compile(PushNotification(text="Hi"))

    async def send() -> list[list[Outcome]]:
        try:
            return [
                await provider.send(
                    [Addressed(payload, ids.message_id(bulk, place), number, ttl=600)]
                )
                for place, number in enumerate(numbers.values(), start=1)
            ]
        finally:
            await provider.close()

    outcomes = [outcome for [outcome] in asyncio.run(send())]

    taken = Counter(row["token"] for row in texting.messages())
    told = {
        fate: (outcome.verdict, taken[number])
        for (fate, number), outcome in zip(numbers.items(), outcomes, strict=True)
    }
    assert told == FATES
    # A repeat makes a second copy only with Twilio, which does not know our ids.
    unsure = [one for one in outcomes if one.status == 503]
    assert [one.may_have_sent for one in unsure] == [shape == "twilio"] * 2


@SHAPES
def test_a_credential_is_tested_before_anybody_is_written_to(texting: Gateways, shape: str) -> None:
    credential = make_account(make_bulk(), shape)

    assert channels.test(credential).verdict is Verdict.ACCEPTED
    amount = "1000.0000" if shape == "twilio" else "1000.0"
    assert credential.test_answer == f"Balance {amount} EUR"
    credential.data |= {"api_key": "guess", "auth_token": "guess"}

    refused = channels.test(credential)

    assert (refused.verdict, refused.status) == (Verdict.MISCONFIGURED, 401)
    assert credential.test_ok is False
    assert texting.ledger()["infobip"]["accepted"] == 0


@pytest.mark.parametrize(
    ("tls", "word"),
    [("expired", "certificate"), ("wrong_name", "certificate"), ("refused", "could not connect")],
)
def test_a_stranger_in_the_gateways_place_gets_nothing(
    texting: Gateways, tls: str, word: str
) -> None:
    texting.ask("POST", "/behaviour", {"infobip": {"tls": tls}})
    bulk = make_bulk()
    provider = channels.build(make_account(bulk, "infobip"))
    assert isinstance(provider, SmsProvider)

    outcomes = hand_over(provider, bulk, 2)

    assert {outcome.verdict for outcome in outcomes} == {Verdict.NOT_SENT}
    assert word in outcomes[0].reason
    assert texting.ledger()["infobip"] == {"accepted": 0, "distinct": 0, "refused": 0}
