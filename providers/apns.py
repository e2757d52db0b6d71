"""Apple Push Notification service. Source: contract/providers.md 3 and 8."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

from providers import advice
from providers.apns_answers import MALFORMED, MISCONFIGURED, read
from providers.base import (
    Addressed,
    CredentialError,
    Network,
    Outcome,
    PushNotification,
    Verdict,
)
from providers.certificates import ClientCertificate
from providers.credentials import AppleTokens, Clock
from providers.dialects import Fields, compact, encoded, given, infobip_ios_keys, ios_keys
from providers.fitting import fitted
from providers.http2 import Answer, Common, Limits, Request, Result, Sender, connect
from providers.http2.connection import UNGREETED

HOSTS = {"production": "api.push.apple.com", "sandbox": "api.sandbox.push.apple.com"}
LIMIT = 4096  # bytes, exactly as sent
START_AGAIN_WITHIN = 5.0  # seconds, for what is repeated once
TOKEN = re.compile(r"(?:[0-9a-fA-F]{2}){8,100}")  # Apple promises no length: 3.1


class ApnsPayload:
    """A body with gaps for the message id, and the headers that go with it."""

    __slots__ = ("_around_id", "_size", "collapses_to_itself", "headers")

    def __init__(self, notification: PushNotification) -> None:
        notification = fitted(notification, _size, LIMIT)
        gap = uuid.uuid4().hex  # no content holds a word it could not foresee
        self._around_id = _body(notification, gap).split(gap.encode())
        self._size = len(self.body(uuid.UUID(int=0)))
        now = notification.urgency == "high" and not notification.silent
        headers = [
            ("apns-push-type", "background" if notification.silent else "alert"),
            ("apns-priority", "10" if now else "5"),
        ]
        if notification.collapse_key:
            headers.append(("apns-collapse-id", _collapse_id(notification.collapse_key)))
        self.headers = tuple(headers)
        self.collapses_to_itself = notification.replace_twin and not notification.collapse_key

    def size(self) -> int:
        return self._size

    def body(self, message_id: uuid.UUID) -> bytes:
        return str(message_id).encode().join(self._around_id)


def _size(notification: PushNotification) -> int:
    return len(_body(notification, str(uuid.UUID(int=0))))


def _body(notification: PushNotification, message_id: str) -> bytes:
    infobip = notification.dialect == "infobip"
    keys = infobip_ios_keys if infobip else ios_keys
    return encoded(compact({"aps": aps_of(notification), **keys(notification, message_id)}))


def aps_of(notification: PushNotification) -> Fields:
    """What the system itself reads: 8.2, 8.5."""
    if notification.silent:
        return {"content-available": 1}
    infobip = notification.dialect == "infobip"
    title = notification.title or (notification.application_name if infobip else "")
    aps: Fields = given(
        {
            "alert": given({"title": title, "body": notification.text}),
            "badge": notification.badge,
            "sound": notification.sound,
            "category": notification.category,
            "thread-id": notification.thread_id,
        }
    )
    pictures = notification.image_url or notification.carousel or notification.carousel_url
    if "alert" in aps and (infobip or notification.mutable_content or pictures):
        aps["mutable-content"] = 1  # the extension reports delivery and loads the pictures
    if notification.content_available:
        aps["content-available"] = 1
    if notification.urgency == "low":
        aps["interruption-level"] = "passive"
    return aps


def _collapse_id(key: str) -> str:
    """The key itself where a header can carry it, else its hash; at most 64 bytes."""
    if re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", key):
        return key
    return hashlib.sha256(encoded(key)).hexdigest()


@dataclass(slots=True)
class _Login:
    """Connections and the one provider token they have seen ("": none yet, or a certificate)."""

    pool: Sender
    token: str = ""
    windows: int = 0  # in their hands


class ApnsProvider:
    """One app in one of Apple's two environments, by a team's key or by a certificate."""

    def __init__(
        self,
        *,
        topic: str,
        key_id: str = "",
        team_id: str = "",
        key_pem: str = "",
        certificate_pem: str = "",
        environment: Literal["production", "sandbox"] = "production",
        network: Network,
        limits: Limits | None = None,
        clock: Clock = time.time,
    ) -> None:
        """Raises CredentialError for what cannot be a credential.

        With a certificate (PEM, with its private key) connections show it, and no request
        carries a token: key, its id and team are not asked for then.
        """
        if not re.fullmatch(r"[A-Za-z0-9.-]{1,155}", topic):
            raise CredentialError("topic", "must be the app's bundle id, such as com.example.shop")
        if environment not in HOSTS:
            raise CredentialError("environment", "must be production or sandbox")
        self._certificate = ClientCertificate.read(certificate_pem) if certificate_pem else None
        self._tokens = (
            None
            if self._certificate
            else AppleTokens(key_id=key_id, team_id=team_id, key_pem=key_pem, clock=clock)
        )
        self._topic = topic
        self._environment = environment
        self._host = HOSTS[environment]
        self._network = self._certificate.on(network) if self._certificate else network
        self._clock = clock
        limits = limits or Limits()
        if self._certificate:  # TLS may refuse it after we believe the handshake is over
            limits = replace(limits, first_streams=0)
        self._limits = limits
        self._login = _Login(connect(self._network, self._host, limits=limits))
        self._commons: dict[tuple[tuple[str, str], ...], Common] = {}
        self._commons_token = ""

    def compile(self, notification: PushNotification) -> ApnsPayload:
        return ApnsPayload(notification)

    async def send(self, window: Sequence[Addressed]) -> list[Outcome]:
        if ended := self._ended():
            return [ended] * len(window)
        outcomes: list[Outcome | None] = [
            None
            if TOKEN.fullmatch(item.token)
            else replace(MALFORMED, reason="the token is not hexadecimal")
            for item in window
        ]
        fit = [index for index, outcome in enumerate(outcomes) if outcome is None]
        token = self._token()
        for index, outcome in zip(fit, await self._hand_over(window, fit, token), strict=True):
            outcomes[index] = outcome
        again = [index for index in fit if _worth_repeating(outcomes[index])]
        if again and (other := self._token_for_repeat(outcomes, again, token)) is not None:
            repeated = await self._hand_over(window, again, other, start_within=START_AGAIN_WITHIN)
            for index, outcome in zip(again, repeated, strict=True):
                outcomes[index] = outcome
        return await self._explained([outcome for outcome in outcomes if outcome is not None])

    async def _hand_over(
        self, window: Sequence[Addressed], indexes: list[int], token: str, **when: float
    ) -> list[Outcome]:
        now = int(self._clock())
        requests = [self._request(window[index], token, now) for index in indexes]
        async with self._connections(token) as pool:
            results = await pool.send_many(requests, **when)
        own = {"", self._environment}
        return [
            self._read(result, foreign_token=window[index].environment not in own)
            for index, result in zip(indexes, results, strict=True)
        ]

    @asynccontextmanager
    async def _connections(self, token: str) -> AsyncIterator[Sender]:
        """Those that have seen no other token: a second one within 20 minutes spoils them (3.3).

        When the token changes, new ones are made; the old ones finish what they have.
        """
        before = self._login
        if before.token not in {"", token}:
            self._login = _Login(connect(self._network, self._host, limits=self._limits))
        login = self._login
        login.token = token
        login.windows += 1
        try:
            await self._leave(before)
            yield login.pool
        finally:
            login.windows -= 1
            await self._leave(login)

    async def _leave(self, login: _Login) -> None:
        if login is not self._login and not login.windows:
            await login.pool.close()

    def _token(self) -> str:
        """What proves who we are; "" where the connection does."""
        return self._tokens.get() if self._tokens else ""

    def _token_for_repeat(
        self, outcomes: Sequence[Outcome | None], indexes: list[int], used: str
    ) -> str | None:
        """Once, with a new token or on a new connection; None when there is no other token."""
        reasons = {outcome.reason for index in indexes if (outcome := outcomes[index])}
        if "IdleTimeout" in reasons:
            self._login.pool.renew()
        if "ExpiredProviderToken" not in reasons:
            return self._token()
        return (self._tokens.renew(used) if self._tokens else "") or None

    def _request(self, item: Addressed, token: str, now: int) -> Request:
        payload = item.payload
        assert isinstance(payload, ApnsPayload)
        message_id = str(item.message_id).encode()
        expires = now + item.ttl if item.ttl > 0 else 0  # 0: try once, do not store
        headers: tuple[tuple[bytes, bytes], ...] = (
            (b"apns-id", message_id),
            (b"apns-expiration", b"%d" % expires),
        )
        if payload.collapses_to_itself:
            headers += ((b"apns-collapse-id", message_id),)
        path = b"/3/device/" + item.token.lower().encode()
        common = self._common(payload.headers, token)
        return Request(common, payload.body(item.message_id), path, headers)

    async def test(self) -> Outcome:
        """A push to a device that cannot be, on a connection of its own."""
        if ended := self._ended():
            return ended
        [outcome] = await self._explained([await self._ask(self._token())])
        if outcome.reason == "DeviceTokenNotForTopic":  # of a device that is nobody's
            return self._advised(replace(MISCONFIGURED, status=400, reason=outcome.reason))
        if outcome.verdict in {Verdict.ACCEPTED, Verdict.UNREGISTERED}:
            return Outcome(
                verdict=Verdict.ACCEPTED, reason=outcome.reason or "OK", status=outcome.status
            )
        return outcome

    async def _explained(self, outcomes: list[Outcome]) -> list[Outcome]:
        """With a wrong clock blamed instead of the key, where that is to blame.

        Apple looks at the signature first. So what it says of a token of yesterday tells a
        clock that is ahead from a key that is wrong.
        """
        blamed = [outcome for outcome in outcomes if outcome.reason == "InvalidProviderToken"]
        if not blamed or self._tokens is None:
            return outcomes
        old = await self._ask(self._tokens.issued_at(self._clock() - 86_400))
        if old.reason != "ExpiredProviderToken":
            return outcomes
        remedy = self._advised(replace(blamed[0], reason="ClockAhead")).remedy
        return [
            replace(outcome, remedy=remedy) if outcome.reason == "InvalidProviderToken" else outcome
            for outcome in outcomes
        ]

    async def _ask(self, token: str) -> Outcome:
        """What Apple says of a push to a device that cannot be."""
        payload = ApnsPayload(PushNotification(text="test"))
        nobody = Addressed(payload, uuid.uuid4(), "0" * 64, ttl=0)
        pool = connect(self._network, self._host, limits=replace(self._limits, connections=1))
        try:
            request = self._request(nobody, token, int(self._clock()))
            [result] = await pool.send_many([request])
        finally:
            await pool.close()
        return self._read(result)

    def _read(self, result: Result, *, foreign_token: bool = False) -> Outcome:
        outcome = read(result, foreign_token=foreign_token)
        if self._certificate and _shows_refusal(outcome):
            outcome = replace(MISCONFIGURED, reason="CertificateRefused")
        if outcome.verdict not in _ADVISED:
            return outcome
        # Only now: to decode the headers of every answer would cost more than sending it.
        date = result.header("date") if isinstance(result, Answer) else ""
        return self._advised(outcome, advice.ahead(date, self._clock()))

    def _advised(self, outcome: Outcome, off: float | None = None) -> Outcome:
        """With what an administrator should do about it."""
        if outcome.verdict not in _ADVISED:
            return outcome
        facts = {
            "topic": self._topic,
            "environment": self._environment,
            "login": "certificate" if self._certificate else "key",
            "ended": advice.moment(self._certificate.ends) if self._certificate else "",
        }
        remedy = advice.for_apns(outcome, host=self._host, facts=facts, off=off)
        return replace(outcome, remedy=remedy)

    def _ended(self) -> Outcome | None:
        """What becomes of everything once our certificate's time is over."""
        if self._certificate is None or self._clock() < self._certificate.ends:
            return None
        return self._advised(replace(MISCONFIGURED, reason="CertificateExpired"))

    async def close(self) -> None:
        await self._login.pool.close()

    def _common(self, headers: tuple[tuple[str, str], ...], token: str) -> Common:
        if token != self._commons_token or len(self._commons) > 1000:
            self._commons = {}
            self._commons_token = token
        common = self._commons.get(headers)
        if common is None:
            login = (("authorization", f"bearer {token}"),) if token else ()
            shared = (*login, ("apns-topic", self._topic), *headers)
            common = self._commons[headers] = Common(self._host, shared)
        return common


_ADVISED = {Verdict.MISCONFIGURED, Verdict.NOT_SENT}  # where somebody can do something


def _shows_refusal(outcome: Outcome) -> bool:
    """A server that hangs up at the sight of our certificate, with a word of TLS or without."""
    told = outcome.reason.lower()
    return outcome.verdict is Verdict.NOT_SENT and ("alert" in told or UNGREETED in told)


def _worth_repeating(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.reason in {"ExpiredProviderToken", "IdleTimeout"}
