"""One SMS gateway account, in whichever shape. Source: contract/providers.md 6."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Protocol
from uuid import UUID

import httpx

from providers.answers import json_object, retry_after, unanswered, word
from providers.base import (
    Addressed,
    Cause,
    CredentialError,
    Network,
    Outcome,
    PushNotification,
    Verdict,
)
from providers.credentials import Clock
from providers.dialects import encoded
from providers.gateway import Answered, Exchange, Gateway, Inside, basic, host_of
from providers.sms import infobip, twilio
from providers.sms.infobip import Batch, Destination
from providers.sms.parts import MOST_PARTS, Price, TooManyParts, parts

_NUMBER = re.compile(r"\+?([1-9][0-9]{6,14})")  # E.164; each shape writes it in its own way
_NO_NUMBER = Outcome(
    verdict=Verdict.UNREGISTERED, cause=Cause.NUMBER_REFUSED, reason="not an E.164 number"
)
_NO_TEXT = Outcome(
    verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED, reason="the text is empty"
)


class SmsPayload:
    """One text, and who it comes from."""

    __slots__ = ("parts", "sender", "text")

    def __init__(self, text: str, sender: str) -> None:
        self.text = encoded(text).decode()
        self.sender = encoded(sender).decode()
        self.parts = parts(self.text)
        if self.parts.count > MOST_PARTS:
            raise TooManyParts(self.parts.count, MOST_PARTS)

    def size(self) -> int:
        return self.parts.units


@dataclass(frozen=True, slots=True)
class _Message:
    """What goes to one number."""

    payload: SmsPayload
    number: str  # digits, with the country code
    message_id: str
    ttl: int  # seconds


class _Shape(Protocol):
    """How one kind of gateway is spoken to."""

    gateway: Gateway

    async def send(self, messages: Sequence[_Message]) -> list[Outcome]: ...

    def body(self, message: _Message, report_url: str) -> Mapping[str, object]:
        """What the gateway is posted about one message."""
        ...

    async def balance(self) -> tuple[Exchange, Outcome]:
        """The answer, and what it means if it is a refusal."""
        ...


class SmsProvider:
    """Sends texts through one account of a gateway.

    `data` has `shape` ("infobip", "infobip_v2" or "twilio") and `sender`; Infobip's
    `base_url` and `api_key`, or Twilio's `account_sid` and `auth_token`; and perhaps the
    `price` of a part with its `currency`. Delivery reports go to `report_url`, to which
    Twilio's has our message id added as a last part.
    """

    def __init__(
        self,
        data: Mapping[str, object],
        *,
        report_url: str,
        network: Network,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = time.time,
    ) -> None:
        """Raises CredentialError for what cannot be an account."""
        self._sender = _given(data, "sender")
        self.price = _price(data)
        shape = data.get("shape")
        if shape == "twilio":
            sid, token = _given(data, "account_sid"), _given(data, "auth_token")
            self._gateway = Gateway(
                twilio.HOST, basic(sid, token), network=network, transport=transport
            )
            self._shape: _Shape = _Twilio(self._gateway, sid, report_url, clock)
        elif shape in ("infobip", "infobip_v2"):
            host, key = host_of(_given(data, "base_url")), _given(data, "api_key")
            self._gateway = Gateway(host, f"App {key}", network=network, transport=transport)
            self._shape = _Infobip(self._gateway, report_url, clock, old=shape == "infobip_v2")
        else:
            raise CredentialError("shape", "must be infobip, infobip_v2 or twilio")
        # Whether a message in doubt may be sent again: the gateway knows our ids.
        self.repeats_are_safe = shape != "twilio"

    def compile(self, notification: PushNotification) -> SmsPayload:
        """Raises TooManyParts."""
        return SmsPayload(notification.text, notification.sender or self._sender)

    async def send(self, window: Sequence[Addressed]) -> list[Outcome]:
        outcomes: list[Outcome | None] = []
        messages = []
        for item in window:
            assert isinstance(item.payload, SmsPayload)
            number = _NUMBER.fullmatch(item.token)
            if number is None:
                outcomes.append(_NO_NUMBER)
            elif not item.payload.parts.count:
                outcomes.append(_NO_TEXT)
            else:
                outcomes.append(None)
                messages.append(
                    _Message(item.payload, number.group(1), str(item.message_id), item.ttl)
                )
        answered = iter(await self._shape.send(messages))
        return [next(answered) if outcome is None else outcome for outcome in outcomes]

    def shown(
        self, payload: SmsPayload, message_id: UUID, ttl: int, *, hidden: str
    ) -> Mapping[str, object]:
        """What the gateway is posted about one message: `hidden` is for number and secrets."""
        return self._shape.body(_Message(payload, hidden, str(message_id), ttl), hidden)

    async def test(self) -> Outcome:
        """Asks for the account's balance."""
        result, meaning = await self._shape.balance()
        if isinstance(result, Answered) and result.status == 200:
            told = json_object(result.body)
            amount, currency = told.get("balance"), word(told.get("currency"))
            if not isinstance(amount, str | int | float):
                return Outcome(
                    verdict=Verdict.MISCONFIGURED,
                    cause=Cause.CREDENTIAL_REFUSED,
                    reason="the answer is not the gateway's: look at the base URL",
                    status=200,
                )
            reason = f"Balance {word(str(amount))} {currency}".strip()
            return Outcome(verdict=Verdict.ACCEPTED, reason=reason, status=200)
        return meaning

    async def close(self) -> None:
        await self._gateway.close()


class _Infobip:
    """Up to a hundred destinations a request, of one text or of several; our ids make a repeat
    harmless (6.2).
    """

    def __init__(self, gateway: Gateway, report_url: str, clock: Clock, *, old: bool) -> None:
        self.gateway = gateway
        self._report_url = report_url
        self._clock = clock
        self._path = infobip.PATH_V2 if old else infobip.PATH_V3
        self._body = infobip.body_v2 if old else infobip.body_v3

    async def send(self, messages: Sequence[_Message]) -> list[Outcome]:
        groups: dict[tuple[SmsPayload, int], list[int]] = {}
        for place, message in enumerate(messages):
            groups.setdefault((message.payload, _minutes(message.ttl)), []).append(place)
        requests = _requests(list(groups.values()), infobip.MOST_DESTINATIONS)
        answers = await asyncio.gather(
            *(
                self._send([[messages[place] for place in places] for places in request])
                for request in requests
            )
        )
        outcomes = {
            place: outcome
            for request, answer in zip(requests, answers, strict=True)
            for place, outcome in zip(chain(*request), answer, strict=True)
        }
        return [outcomes[place] for place in range(len(messages))]

    async def _send(self, texts: Sequence[Sequence[_Message]]) -> list[Outcome]:
        """One request; the messages of each text are alike but for their number."""
        batches = [
            _batch_of(alike[0].payload, _minutes(alike[0].ttl), alike, self._report_url)
            for alike in texts
        ]
        outcomes = await self._post(batches)
        if len(texts) > 1 and all(outcome.status == 400 for outcome in outcomes):
            # A text that is refused takes no other with it; of such a request nothing was taken.
            apart = await asyncio.gather(*(self._send([alike]) for alike in texts))
            return list(chain(*apart))
        if all(outcome.verdict is Verdict.UNKNOWN for outcome in outcomes):
            again = await self._post(batches)
            # The first try may have been taken, so a second one that was not proves nothing.
            if again[0].verdict is not Verdict.NOT_SENT:
                return again
        return outcomes

    async def _post(self, batches: Sequence[Batch]) -> list[Outcome]:
        result = await self.gateway.request("POST", self._path, json=self._body(*batches))
        message_ids = [one.message_id for batch in batches for one in batch.destinations]
        if not isinstance(result, Answered):
            return [_nothing_came(result)] * len(message_ids)
        outcomes = infobip.read(result.status, result.body, message_ids)
        return [_waiting(outcome, result, self._clock()) for outcome in outcomes]

    def body(self, message: _Message, report_url: str) -> Mapping[str, object]:
        return self._body(_batch_of(message.payload, _minutes(message.ttl), [message], report_url))

    async def balance(self) -> tuple[Exchange, Outcome]:
        result = await self.gateway.request("GET", infobip.BALANCE_PATH)
        if not isinstance(result, Answered):
            return result, _nothing_came(result)
        return result, infobip.refused(result.status, result.body)


class _Twilio:
    """One number a request, and no way to repeat it safely."""

    def __init__(self, gateway: Gateway, account_sid: str, report_url: str, clock: Clock) -> None:
        self.gateway = gateway
        self._sid = account_sid
        self._report_url = report_url
        self._clock = clock

    async def send(self, messages: Sequence[_Message]) -> list[Outcome]:
        return list(await asyncio.gather(*(self._one(message) for message in messages)))

    async def _one(self, message: _Message) -> Outcome:
        form = self.body(message, f"{self._report_url}/{message.message_id}")
        result = await self.gateway.request("POST", twilio.messages_path(self._sid), form=form)
        if not isinstance(result, Answered):
            return _nothing_came(result)
        return _waiting(twilio.read(result.status, result.body), result, self._clock())

    def body(self, message: _Message, report_url: str) -> dict[str, str]:
        return twilio.form(
            sender=message.payload.sender,
            text=message.payload.text,
            number=message.number,
            seconds=message.ttl,
            report_url=report_url,
        )

    async def balance(self) -> tuple[Exchange, Outcome]:
        result = await self.gateway.request("GET", twilio.balance_path(self._sid))
        if not isinstance(result, Answered):
            return result, _nothing_came(result)
        return result, twilio.read(result.status, result.body)


def _requests(groups: Sequence[Sequence[int]], most: int) -> list[list[Sequence[int]]]:
    """Groups of messages as requests of so many at most: a group is cut, or shares a request."""
    requests: list[list[Sequence[int]]] = []
    room = 0
    for group in groups:
        for start in range(0, len(group), most):
            piece = group[start : start + most]
            if len(piece) > room:
                requests.append([])
                room = most
            requests[-1].append(piece)
            room -= len(piece)
    return requests


def _minutes(seconds: int) -> int:
    return min(max(seconds // 60, 1), infobip.MAX_VALIDITY)


def _batch_of(
    payload: SmsPayload, minutes: int, messages: Sequence[_Message], report_url: str
) -> Batch:
    return Batch(
        sender=payload.sender,
        text=payload.text,
        minutes=minutes,
        report_url=report_url,
        destinations=[Destination(one.number, one.message_id) for one in messages],
    )


def _nothing_came(result: Exchange) -> Outcome:
    assert not isinstance(result, Answered)
    if isinstance(result, Inside):
        return Outcome(
            verdict=Verdict.MISCONFIGURED, cause=Cause.CREDENTIAL_REFUSED, reason=result.reason
        )
    return unanswered(result)


def _waiting(outcome: Outcome, answer: Answered, now: float) -> Outcome:
    """With the time that the gateway asks to wait, if it names one."""
    asked = retry_after(answer.retry_after, now)
    if outcome.verdict is not Verdict.TRY_LATER or asked is None:
        return outcome
    return replace(outcome, retry_after=asked, asked=True)


def _price(data: Mapping[str, object]) -> Price | None:
    """What a part costs, where somebody has written it down."""
    if not data.get("price"):
        return None
    try:
        return Price(Decimal(_given(data, "price")), _given(data, "currency"))
    except InvalidOperation:
        raise CredentialError("price", "must be an amount such as 0.045") from None


def _given(data: Mapping[str, object], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value.strip():
        raise CredentialError(name, "is missing; enter it as the gateway shows it")
    if not (value.isascii() and value.isprintable()):
        raise CredentialError(name, "has characters that no gateway gives out")
    return value.strip()
