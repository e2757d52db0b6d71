"""providers.sms: what was not sent and what is unknown (contract/providers.md 1.2)."""

import gzip
from typing import Any

import httpx
import pytest

from providers.base import Verdict
from tests.providers.sms import (
    GZIP,
    INFOBIP,
    OLD,
    SHAPES,
    TWILIO,
    Packed,
    Wire,
    provider,
    raising,
    send,
    taken,
    verdicts,
)

V = Verdict


@SHAPES
@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (httpx.ConnectError("name, TCP or TLS"), V.NOT_SENT),
        (httpx.ConnectTimeout("TCP or TLS"), V.NOT_SENT),
        (httpx.PoolTimeout("no free connection"), V.NOT_SENT),
        (httpx.LocalProtocolError("the request is none"), V.NOT_SENT),
        (httpx.WriteError("while the body was written"), V.UNKNOWN),
        (httpx.WriteTimeout("while the body was written"), V.UNKNOWN),
        (httpx.ReadError("reset"), V.UNKNOWN),
        (httpx.ReadTimeout("no answer"), V.UNKNOWN),
        (httpx.RemoteProtocolError("a reused connection closed"), V.UNKNOWN),
        (httpx.DecodingError("the answer cannot be read"), V.UNKNOWN),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_a_broken_exchange_is_not_sent_or_unknown(
    data: dict[str, Any], error: Exception, verdict: Verdict
) -> None:
    wire = Wire(raising(error))

    outcomes = send(data, wire, "41793026727", "41793026728")

    assert verdicts(outcomes) == [verdict] * 2
    assert len(outcomes[0].reason.split()) > 2  # a sentence for people


@pytest.mark.parametrize("data", [INFOBIP, OLD], ids=["v3", "v2"])
def test_infobip_is_asked_again_in_doubt_with_the_same_ids(data: dict[str, Any]) -> None:
    def lost_once(request: httpx.Request) -> httpx.Response:
        if len(wire.requests) == 1:
            raise httpx.ReadError("reset after it was taken")
        return taken(request, number=23)  # REJECTED_DUPLICATE_MESSAGE_ID

    wire = Wire(lost_once)

    outcomes = send(data, wire, "41793026727", "41793026728")

    assert verdicts(outcomes) == [V.ACCEPTED] * 2
    assert wire.bodies[0] == wire.bodies[1]
    assert len(wire.requests) == 2


def test_a_repeat_that_does_not_leave_proves_nothing() -> None:
    def lost_then_down(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("") if len(wire.requests) == 1 else httpx.ConnectError("")

    wire = Wire(lost_then_down)

    assert verdicts(send(INFOBIP, wire, "41793026727")) == [V.UNKNOWN]


def test_twilio_is_never_asked_again_in_doubt() -> None:
    wire = Wire(raising(httpx.ReadError("reset")))

    assert verdicts(send(TWILIO, wire, "41793026727")) == [V.UNKNOWN]
    assert len(wire.requests) == 1


def test_only_infobip_may_be_asked_again_later() -> None:
    assert provider(INFOBIP, Wire()).repeats_are_safe
    assert provider(OLD, Wire()).repeats_are_safe
    assert not provider(TWILIO, Wire()).repeats_are_safe


@SHAPES
def test_an_answer_without_end_is_no_answer(data: dict[str, Any]) -> None:
    wire = Wire(lambda _: httpx.Response(200, content=b" " * (2**20 + 1)))

    assert verdicts(send(data, wire, "41793026727")) == [V.UNKNOWN]


@SHAPES
def test_a_packed_answer_is_not_unpacked(data: dict[str, Any]) -> None:
    bomb = gzip.compress(b" " * 2**20)
    wire = Wire(lambda _: httpx.Response(200, stream=Packed(bomb), headers=GZIP))

    assert verdicts(send(data, wire, "41793026727")) == [V.UNKNOWN]
    assert wire.requests[0].headers["accept-encoding"] == "identity"


@SHAPES
@pytest.mark.parametrize(
    ("header", "seconds"), [({}, 5), ({"retry-after": "30"}, 30), ({"retry-after": "soon"}, 5)]
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_gateway_may_ask_to_wait(
    data: dict[str, Any], status: int, header: dict[str, str], seconds: float
) -> None:
    error = {"code": 20429, "requestError": {"serviceException": {"messageId": "TOO_MANY"}}}
    wire = Wire(lambda _: httpx.Response(status, json=error, headers=header))

    [outcome] = send(data, wire, "41793026727")

    assert (outcome.verdict, outcome.retry_after) == (V.TRY_LATER, seconds)
    assert outcome.asked is (seconds == 30)
