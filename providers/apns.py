"""Apple Push Notification service. Source: contract/providers.md 3 and 8."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from providers.answers import json_object, unanswered, word
from providers.base import (
    Addressed,
    Cause,
    CredentialError,
    Network,
    Outcome,
    PushNotification,
    Scope,
    Verdict,
)
from providers.credentials import AppleTokens, Clock
from providers.dialects import Fields, compact, encoded, given, infobip_ios_keys, ios_keys
from providers.fitting import fitted
from providers.http2 import Answer, Common, Limits, Pool, Request, Result

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
    return encoded(compact({"aps": _aps(notification), **keys(notification, message_id)}))


def _aps(notification: PushNotification) -> Fields:
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


_MISCONFIGURED = Outcome(verdict=Verdict.MISCONFIGURED, cause=Cause.CREDENTIAL_REFUSED)
_REFUSED_PAYLOAD = Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED)
_OUR_FAULT = Outcome(verdict=Verdict.REJECTED, cause=Cause.INTERNAL)
_CLOUD_ERROR = Outcome(verdict=Verdict.REJECTED, cause=Cause.CLOUD_ERROR)
_DOUBT = Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER)
_MALFORMED = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.MALFORMED_TOKEN)
_GONE = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED)
_ACCEPTED = Outcome(verdict=Verdict.ACCEPTED, status=200)


def _later(scope: Scope, seconds: float) -> Outcome:
    return Outcome(
        verdict=Verdict.TRY_LATER,
        cause=Cause.CLOUD_UNAVAILABLE,
        scope=scope,
        retry_after=seconds,
    )


_AWAY = _later(Scope.SERVICE, 15)

# Contract/providers.md 3.5.
BY_REASON = {
    "BadDeviceToken": _MALFORMED,  # if the token belongs to this environment
    "DeviceTokenNotForTopic": Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.MISMATCHED_SENDER),
    "BadCollapseId": _REFUSED_PAYLOAD,
    "BadExpirationDate": _REFUSED_PAYLOAD,
    "BadMessageId": _REFUSED_PAYLOAD,
    "BadPriority": _REFUSED_PAYLOAD,
    "InvalidPushType": _REFUSED_PAYLOAD,
    "PayloadEmpty": _REFUSED_PAYLOAD,
    "DuplicateHeaders": _REFUSED_PAYLOAD,
    "MissingDeviceToken": _OUR_FAULT,
    "BadTopic": _MISCONFIGURED,
    "MissingTopic": _MISCONFIGURED,
    "TopicDisallowed": _MISCONFIGURED,
    "IdleTimeout": Outcome(verdict=Verdict.NOT_SENT, cause=Cause.NOT_SENT),
    "ExpiredProviderToken": _MISCONFIGURED,  # after a repeat with a new one
    "InvalidProviderToken": _MISCONFIGURED,
    "MissingProviderToken": _MISCONFIGURED,
    "UnrelatedKeyIdInToken": _MISCONFIGURED,
    "BadEnvironmentKeyIdInToken": _MISCONFIGURED,
    "BadEnvironmentKeyInToken": _MISCONFIGURED,
    "Forbidden": _MISCONFIGURED,
    "BadCertificate": _MISCONFIGURED,
    "BadCertificateEnvironment": _MISCONFIGURED,
    "BadPath": _OUR_FAULT,
    "MethodNotAllowed": _OUR_FAULT,
    "Unregistered": _GONE,
    "ExpiredToken": _GONE,
    "PayloadTooLarge": Outcome(verdict=Verdict.REJECTED, cause=Cause.TOO_LARGE),
    "TooManyRequests": _later(Scope.DEVICE, 60),
    "TooManyProviderTokenUpdates": _later(Scope.ACCOUNT, 20 * 60),
    "InternalServerError": _AWAY,
    "ServiceUnavailable": _AWAY,
    "Shutdown": _AWAY,
}


def read(result: Result, *, foreign_token: bool = False) -> Outcome:
    """What Apple's answer about one notification means.

    `foreign_token`: the device token is known to belong to the other environment, so
    that a refusal of it says nothing about the device.
    """
    if not isinstance(result, Answer):
        return unanswered(result)
    if result.status == 200:
        return _ACCEPTED
    told = json_object(result.body)
    reason = word(told.get("reason"))
    meaning = BY_REASON.get(reason) or _by_http_status(result.status, bool(reason))
    since = None
    if meaning is _GONE:
        since = _moment(told.get("timestamp"))
    elif meaning is _MALFORMED and foreign_token:
        meaning = _MISCONFIGURED
    return replace(
        meaning, status=result.status, reason=reason or f"HTTP {result.status}", since=since
    )


def _by_http_status(status: int, from_apple: bool) -> Outcome:
    """A reason that is in no manual: no device may be dropped for it."""
    if status >= 500:
        return _AWAY if from_apple else _DOUBT
    if status == 403:
        return _MISCONFIGURED
    if status == 429:
        return _later(Scope.DEVICE, 60)
    return _CLOUD_ERROR if 400 <= status < 500 else _DOUBT


def _moment(milliseconds: object) -> dt.datetime | None:
    if not isinstance(milliseconds, int | float):
        return None
    try:
        return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return None


class ApnsProvider:
    """One key and one app in one of Apple's two environments."""

    def __init__(
        self,
        *,
        key_id: str,
        team_id: str,
        key_pem: str,
        topic: str,
        environment: Literal["production", "sandbox"] = "production",
        network: Network,
        limits: Limits | None = None,
        clock: Clock = time.time,
    ) -> None:
        """Raises CredentialError for what cannot be a credential."""
        if not re.fullmatch(r"[A-Za-z0-9.-]{1,155}", topic):
            raise CredentialError("topic", "must be the app's bundle id, such as com.example.shop")
        if environment not in HOSTS:
            raise CredentialError("environment", "must be production or sandbox")
        self._tokens = AppleTokens(key_id=key_id, team_id=team_id, key_pem=key_pem, clock=clock)
        self._topic = topic
        self._environment = environment
        self._host = HOSTS[environment]
        self._network = network
        self._clock = clock
        self._pool = Pool(network, self._host, limits=limits)
        self._commons: dict[tuple[tuple[str, str], ...], Common] = {}
        self._commons_token = ""

    def compile(self, notification: PushNotification) -> ApnsPayload:
        return ApnsPayload(notification)

    async def send(self, window: Sequence[Addressed]) -> list[Outcome]:
        outcomes: list[Outcome | None] = [
            None
            if TOKEN.fullmatch(item.token)
            else replace(_MALFORMED, reason="the token is not hexadecimal")
            for item in window
        ]
        fit = [index for index, outcome in enumerate(outcomes) if outcome is None]
        token = self._tokens.get()
        for index, outcome in zip(fit, await self._hand_over(window, fit, token), strict=True):
            outcomes[index] = outcome
        again = [index for index in fit if _worth_repeating(outcomes[index])]
        if again and (token := self._token_for_repeat(outcomes, again, token)):
            repeated = await self._hand_over(window, again, token, start_within=START_AGAIN_WITHIN)
            for index, outcome in zip(again, repeated, strict=True):
                outcomes[index] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    async def _hand_over(
        self, window: Sequence[Addressed], indexes: list[int], token: str, **when: float
    ) -> list[Outcome]:
        now = int(self._clock())
        requests = [self._request(window[index], token, now) for index in indexes]
        results = await self._pool.send_many(requests, **when)
        own = {"", self._environment}
        return [
            read(result, foreign_token=window[index].environment not in own)
            for index, result in zip(indexes, results, strict=True)
        ]

    def _token_for_repeat(
        self, outcomes: Sequence[Outcome | None], indexes: list[int], used: str
    ) -> str:
        """Once, with a new token or on a new connection; "" when there is no other token."""
        reasons = {outcome.reason for index in indexes if (outcome := outcomes[index])}
        if "IdleTimeout" in reasons:
            self._pool.renew()
        return self._tokens.renew(used) if "ExpiredProviderToken" in reasons else used

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
        nobody = Addressed(
            ApnsPayload(PushNotification(text="test")), uuid.uuid4(), "0" * 64, ttl=0
        )
        pool = Pool(self._network, self._host, limits=Limits(connections=1))
        try:
            request = self._request(nobody, self._tokens.get(), int(self._clock()))
            [result] = await pool.send_many([request])
        finally:
            await pool.close()
        outcome = read(result)
        if outcome.verdict in {Verdict.ACCEPTED, Verdict.UNREGISTERED}:
            return Outcome(
                verdict=Verdict.ACCEPTED, reason=outcome.reason or "OK", status=outcome.status
            )
        return outcome

    async def close(self) -> None:
        await self._pool.close()

    def _common(self, headers: tuple[tuple[str, str], ...], token: str) -> Common:
        if token != self._commons_token or len(self._commons) > 1000:
            self._commons = {}
            self._commons_token = token
        common = self._commons.get(headers)
        if common is None:
            shared = (("authorization", f"bearer {token}"), ("apns-topic", self._topic), *headers)
            common = self._commons[headers] = Common(self._host, shared)
        return common


def _worth_repeating(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.reason in {"ExpiredProviderToken", "IdleTimeout"}
