"""providers.sms.provider: requests, batches, repeats, and what is known afterwards."""

import asyncio
import base64
import json
import uuid
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from providers.base import (
    Addressed,
    Cause,
    CredentialError,
    Network,
    Outcome,
    PushNotification,
    Verdict,
)
from providers.sms import SmsProvider, TooManyParts
from tests.providers.sms import (
    INFOBIP,
    OLD,
    SHAPES,
    TWILIO,
    Wire,
    provider,
    raising,
    send,
    taken,
    verdicts,
)

V = Verdict


# ------------------------------------------------------------------- what is asked


def test_infobip_is_asked_with_its_key_and_digits() -> None:
    wire = Wire()

    outcomes = send(INFOBIP, wire, "+41793026727")

    [request] = wire.requests
    assert (request.method, request.url.path) == ("POST", "/sms/3/messages")
    assert request.headers["host"] == "xyz.api.infobip.com"
    assert request.headers["authorization"] == "App key-1"
    assert request.extensions["sni_hostname"] == "xyz.api.infobip.com"
    [message] = wire.bodies[0]["messages"]
    [destination] = message["destinations"]
    assert destination == {"to": "41793026727", "messageId": outcomes[0].provider_id}
    assert message["options"]["validityPeriod"] == {"amount": 120, "timeUnit": "MINUTES"}
    assert message["webhooks"]["delivery"] == {"url": "https://push.example/reports/t0ken"}
    assert (message["sender"], message["content"]) == ("Shop", {"text": "Hi"})


def test_the_older_infobip_is_asked_at_its_own_path() -> None:
    wire = Wire()

    send(OLD, wire, "41793026727")

    assert wire.requests[0].url.path == "/sms/2/text/advanced"
    assert wire.bodies[0]["messages"][0]["notifyUrl"] == "https://push.example/reports/t0ken"


def test_twilio_is_asked_with_basic_and_a_plus() -> None:
    wire = Wire()
    sms, message = provider(TWILIO, wire), uuid.uuid4()
    payload = sms.compile(PushNotification(text="Hi"))

    asyncio.run(sms.send([Addressed(payload, message, "41793026727", ttl=60)]))

    [request] = wire.requests
    assert str(request.url.path) == "/2010-04-01/Accounts/AC1/Messages.json"
    assert request.headers["host"] == "api.twilio.com"
    assert base64.b64decode(request.headers["authorization"].split()[1]) == b"AC1:secret"
    assert parse_qs(request.content.decode()) == {
        "To": ["+41793026727"],
        "From": ["+15005550006"],
        "Body": ["Hi"],
        "StatusCallback": [f"https://push.example/reports/t0ken/{message}"],
        "ValidityPeriod": ["60"],
    }


def test_a_sender_of_the_message_takes_the_place_of_the_accounts() -> None:
    assert provider(INFOBIP, Wire()).compile(PushNotification(sender="News")).sender == "News"


@pytest.mark.parametrize(
    ("ttl", "minutes"), [(0, 1), (59, 1), (60, 1), (3600, 60), (259_200, 2880)]
)
def test_validity_is_in_minutes_and_at_most_48_hours(ttl: int, minutes: int) -> None:
    wire = Wire()

    send(INFOBIP, wire, "41793026727", ttl=ttl)

    assert wire.bodies[0]["messages"][0]["options"]["validityPeriod"]["amount"] == minutes


def test_infobip_gets_a_hundred_destinations_a_request_in_order() -> None:
    def refuse_some(request: httpx.Request) -> httpx.Response:
        answer = taken(request)
        told = answer.json()
        for one in told["messages"]:
            if one["destination"].endswith("7"):
                one["status"] = {"groupId": 5, "id": 52, "name": "REJECTED_DESTINATION"}
        return httpx.Response(200, json={**told, "messages": told["messages"][::-1]})

    wire = Wire(refuse_some)
    numbers = [f"4179302{number:04}" for number in range(250)]

    outcomes = send(INFOBIP, wire, *numbers)

    sizes = sorted(len(body["messages"][0]["destinations"]) for body in wire.bodies)
    assert sizes == [50, 100, 100]
    expected = [V.UNREGISTERED if one.endswith("7") else V.ACCEPTED for one in numbers]
    assert verdicts(outcomes) == expected


def send_each(data: dict[str, Any], wire: Wire, *texts: str) -> list[Outcome]:
    """A number for each text."""
    sms = provider(data, wire)
    payloads = {text: sms.compile(PushNotification(text=text)) for text in texts}
    window = [
        Addressed(payloads[text], uuid.uuid4(), f"4179302{place:04}", ttl=60)
        for place, text in enumerate(texts)
    ]
    return asyncio.run(sms.send(window))


@pytest.mark.parametrize("data", [INFOBIP, OLD])
def test_several_texts_share_a_request_to_infobip(data: dict[str, Any]) -> None:
    wire = Wire()
    texts = [f"Hi {number}" for number in range(120)] + ["Hi 7"] * 30

    outcomes = send_each(data, wire, *texts)

    assert [outcome.provider_id != "" for outcome in outcomes] == [True] * 150
    sizes = [
        sum(len(message["destinations"]) for message in body["messages"]) for body in wire.bodies
    ]
    assert sorted(sizes) == [50, 100]
    said = {
        one["to"]: message.get("text") or message["content"]["text"]
        for body in wire.bodies
        for message in body["messages"]
        for one in message["destinations"]
    }
    assert said == {f"4179302{place:04}": text for place, text in enumerate(texts)}


def test_a_text_that_infobip_refuses_takes_no_other_with_it() -> None:
    def refuse_one(request: httpx.Request) -> httpx.Response:
        texts = [one["content"]["text"] for one in json.loads(request.content)["messages"]]
        return httpx.Response(400, json={}) if "bad" in texts else taken(request)

    wire = Wire(refuse_one)

    outcomes = send_each(INFOBIP, wire, "Hi Ana", "bad", "Hi Bo")

    assert verdicts(outcomes) == [V.ACCEPTED, V.REJECTED, V.ACCEPTED]
    assert [len(body["messages"]) for body in wire.bodies] == [3, 1, 1, 1]


@SHAPES
@pytest.mark.parametrize(
    "number",
    ["", "+", "0041793026727", "+41 79 302 67 27", "41793026727x", "123456", "1" * 16, "٤١٧٩٣٠٢٦"],
)
def test_what_is_no_number_is_not_sent(data: dict[str, Any], number: str) -> None:
    wire = Wire()

    outcomes = send(data, wire, "41793026727", number)

    assert verdicts(outcomes) == [V.ACCEPTED, V.UNREGISTERED]
    assert outcomes[1].cause is Cause.NUMBER_REFUSED
    assert len(wire.requests) == 1


@SHAPES
def test_an_empty_text_is_not_sent(data: dict[str, Any]) -> None:
    wire = Wire()

    assert verdicts(send(data, wire, "41793026727", text="")) == [V.REJECTED]
    assert not wire.requests


@SHAPES
def test_half_a_surrogate_pair_does_not_stop_the_rest(data: dict[str, Any]) -> None:
    assert verdicts(send(data, Wire(), "41793026727", text="a\ud83d")) == [V.ACCEPTED]
    assert provider(data, Wire()).compile(PushNotification(sender="\ud83d")).sender == "?"


def test_too_long_a_text_is_refused_at_composing() -> None:
    with pytest.raises(TooManyParts):
        provider(INFOBIP, Wire()).compile(PushNotification(text="я" * 671))


# ------------------------------------------------------------------- accounts


@SHAPES
def test_the_balance_proves_an_account(data: dict[str, Any]) -> None:
    wire = Wire(lambda _: httpx.Response(200, json={"balance": "12.50", "currency": "EUR"}))

    outcome = asyncio.run(provider(data, wire).test())

    assert (outcome.verdict, outcome.reason) == (V.ACCEPTED, "Balance 12.50 EUR")
    [request] = wire.requests
    assert request.method == "GET"
    path = "/2010-04-01/Accounts/AC1/Balance.json" if data is TWILIO else "/account/1/balance"
    assert request.url.path == path


@SHAPES
@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (httpx.Response(401, json={"code": 20003}), V.MISCONFIGURED),
        (httpx.Response(403, json={"code": 20003}), V.MISCONFIGURED),
        (httpx.Response(404), V.MISCONFIGURED),
        (httpx.Response(200, text="<html>A page</html>"), V.MISCONFIGURED),
        (httpx.Response(503, json={"code": 1}), V.TRY_LATER),
    ],
)
def test_a_refused_account_is_misconfigured(
    data: dict[str, Any], answer: httpx.Response, verdict: Verdict
) -> None:
    outcome = asyncio.run(provider(data, Wire(lambda _: answer)).test())

    assert outcome.verdict is verdict
    assert outcome.reason


def test_a_name_that_cannot_be_one_is_not_found() -> None:
    long = {**INFOBIP, "base_url": f"https://{'x' * 64}.example"}
    sms = SmsProvider(long, report_url="", network=Network())

    outcome = asyncio.run(sms.test())

    assert (outcome.verdict, outcome.reason) == (V.NOT_SENT, "the gateway's name was not found")


@SHAPES
def test_a_gateway_that_is_away_says_nothing_of_the_account(data: dict[str, Any]) -> None:
    outcome = asyncio.run(provider(data, Wire(raising(httpx.ConnectError("")))).test())

    assert outcome.verdict is V.NOT_SENT


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.8", "[::1]", "169.254.169.254"])
def test_a_base_url_that_leads_inside_is_never_connected_to(address: str) -> None:
    data = {**INFOBIP, "base_url": f"https://{address}"}
    sms = SmsProvider(data, report_url="", network=Network())

    outcome = asyncio.run(sms.test())

    assert (outcome.verdict, outcome.status) == (V.MISCONFIGURED, 0)
    assert "private network" in outcome.reason


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"shape": "pigeon"}, "shape"),
        ({"sender": ""}, "sender"),
        ({"api_key": " "}, "api_key"),
        ({"api_key": "a\nb"}, "api_key"),
        ({"api_key": "ключ"}, "api_key"),
        ({"base_url": "https://шлюз.example"}, "base_url"),
        ({"base_url": "http://x.api.infobip.com"}, "base_url"),
        ({"base_url": "x.api.infobip.com"}, "base_url"),
        ({"base_url": "https://u:p@x.api.infobip.com"}, "base_url"),
        ({"base_url": "https://x.api.infobip.com/sms"}, "base_url"),
        ({"base_url": "https://x:99999"}, "base_url"),
        ({"base_url": "https://[x"}, "base_url"),
        ({"price": "cheap", "currency": "EUR"}, "price"),
        ({"price": "0.1"}, "currency"),
    ],
)
def test_what_cannot_be_an_account_is_refused_by_its_field(
    change: dict[str, str], field: str
) -> None:
    with pytest.raises(CredentialError) as refusal:
        provider({**INFOBIP, **change}, Wire())

    assert refusal.value.field == field


def test_the_price_of_a_part_is_kept_exactly() -> None:
    price = provider({**INFOBIP, "price": "0.0453", "currency": "EUR"}, Wire()).price

    assert price is not None
    assert (price.of(10), price.currency) == (Decimal("0.453"), "EUR")
    assert provider(INFOBIP, Wire()).price is None
