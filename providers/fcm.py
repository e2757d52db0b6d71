"""Firebase Cloud Messaging, HTTP v1. Source: contract/providers.md 2 and 8."""

from __future__ import annotations

import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from json.encoder import encode_basestring
from typing import Any

import httpx

from providers import advice
from providers.answers import json_object, retry_after, unanswered, word
from providers.base import (
    Addressed,
    Cause,
    Network,
    Outcome,
    PushNotification,
    Scope,
    Verdict,
)
from providers.credentials import (
    Clock,
    GoogleTokens,
    ServiceAccount,
    TokenRefusedError,
    TokenUnavailableError,
)
from providers.dialects import (
    Fields,
    android_custom,
    android_data,
    compact,
    encoded,
    given,
    infobip_android_data,
    links,
)
from providers.fitting import first_image, fitted
from providers.http2 import Answer, Common, Limits, Request, Result, connect

HOST = "fcm.googleapis.com"
LIMIT = 4000  # bytes of notification, data and android, without ttl and priority: 2.5
MAX_TTL = 2_419_200  # seconds, 28 days
START_AGAIN_WITHIN = 5.0  # seconds, for the repeat with a fresh token

_TARGETS = {"token": b'{"message":{"token":', "fid": b'{"message":{"fid":'}
_TO_TTL = b',"android":{"ttl":"'


class FcmPayload:
    """A message with gaps for its target, time to live and id."""

    __slots__ = ("_around_id", "_size")

    def __init__(self, notification: PushNotification) -> None:
        notification = fitted(notification, _size, LIMIT)
        self._size = _size(notification)
        gap = uuid.uuid4().hex  # no content holds a word it could not foresee
        data, android = _message(notification, gap)
        rest = compact(android)[1:]
        self._around_id = encoded(f's",{rest},"data":{compact(data)}}}}}').split(gap.encode())

    def size(self) -> int:
        return self._size

    def body(self, token: str, kind: str, message_id: uuid.UUID, ttl: int) -> bytes:
        return b"".join(
            (
                _TARGETS.get(kind, _TARGETS["token"]),
                encoded(encode_basestring(token)),
                _TO_TTL,
                b"%d" % min(max(ttl, 0), MAX_TTL),
                str(message_id).encode().join(self._around_id),
            )
        )


def _size(notification: PushNotification) -> int:
    """Bytes that Google counts: 2.5."""
    data, android = _message(notification, str(uuid.UUID(int=0)))
    del android["priority"]
    return len(encoded(compact({"data": data, "android": android})))


def _message(notification: PushNotification, message_id: str) -> tuple[Fields, Fields]:
    """`message.data` and `message.android` but its ttl: 8.2, 8.5."""
    visible = not notification.silent
    high = visible and notification.urgency == "high"
    android: Fields = {"priority": "HIGH" if high else "NORMAL"}
    if notification.collapse_key:
        slot = zlib.crc32(encoded(notification.collapse_key)) % 4  # four may wait: 8.4
        android["collapseKey"] = f"c{slot}"
    if notification.dialect == "infobip":
        return infobip_android_data(notification, message_id), android
    if notification.display == "sdk" or notification.silent:
        return android_data(notification, message_id), android
    android["notification"] = _shown(notification, message_id)
    beside = {"threadId": notification.thread_id, "inboxTopic": notification.inbox_topic}
    data = {"messageId": message_id, **links(notification), **given(beside)}
    return data | android_custom(notification), android


def _shown(notification: PushNotification, message_id: str) -> Fields:
    """`android.notification`: Play services draw it."""
    fields: Fields = {
        "title": notification.title,
        "body": notification.text,
        "image": first_image(notification),  # a carousel needs the app's own code
        "sound": notification.sound,
        "clickAction": notification.category,
        "channelId": notification.channel_id,
        "notificationCount": notification.badge,
        "vibrateTimings": [] if notification.vibrate else ["0s"],
        "tag": notification.collapse_key or message_id,  # a second copy replaces the first
    }
    return given(fields)


_MISCONFIGURED = Outcome(verdict=Verdict.MISCONFIGURED, cause=Cause.CREDENTIAL_REFUSED)
_REFUSED_PAYLOAD = Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED)
_CLOUD_ERROR = Outcome(verdict=Verdict.REJECTED, cause=Cause.CLOUD_ERROR)
_QUOTA = Outcome(
    verdict=Verdict.TRY_LATER,
    cause=Cause.CLOUD_UNAVAILABLE,
    scope=Scope.ACCOUNT,
    retry_after=60,
)
_AWAY = Outcome(  # Google has delivered messages it had answered so: 2.7
    verdict=Verdict.TRY_LATER,
    cause=Cause.CLOUD_UNAVAILABLE,
    scope=Scope.SERVICE,
    retry_after=10,
    may_have_sent=True,
)
_MALFORMED = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.MALFORMED_TOKEN)
_DOUBT = Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER)

# Contract/providers.md 2.6, in reading order.
BY_ERROR_CODE = {
    "UNREGISTERED": Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED),
    "SENDER_ID_MISMATCH": Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.MISMATCHED_SENDER),
    "INVALID_ARGUMENT": _REFUSED_PAYLOAD,  # or the address: _blames_address
    "THIRD_PARTY_AUTH_ERROR": _MISCONFIGURED,
    "APNS_AUTH_ERROR": _MISCONFIGURED,
    "QUOTA_EXCEEDED": _QUOTA,
    "UNAVAILABLE": _AWAY,
    "INTERNAL": _AWAY,
    "UNSPECIFIED_ERROR": _CLOUD_ERROR,
}
BY_STATUS = {
    "INVALID_ARGUMENT": _REFUSED_PAYLOAD,
    "UNAUTHENTICATED": _MISCONFIGURED,
    "PERMISSION_DENIED": _MISCONFIGURED,
    "NOT_FOUND": _MISCONFIGURED,  # the project, not the device
    "RESOURCE_EXHAUSTED": _QUOTA,
    "UNAVAILABLE": _AWAY,
    "INTERNAL": _AWAY,
}
BY_HTTP_STATUS = {
    400: _REFUSED_PAYLOAD,
    401: _MISCONFIGURED,
    403: _MISCONFIGURED,
    404: _MISCONFIGURED,
    413: Outcome(verdict=Verdict.REJECTED, cause=Cause.TOO_LARGE),
    429: _QUOTA,
    500: _AWAY,
    502: _DOUBT,  # from a gateway in between
    503: _AWAY,
    504: _DOUBT,
}


def read(result: Result, now: float) -> Outcome:
    """What FCM's answer about one message means."""
    if not isinstance(result, Answer):
        return unanswered(result)
    if result.status == 200:
        return Outcome(verdict=Verdict.ACCEPTED, provider_id=_message_id(result.body), status=200)
    told = json_object(result.body).get("error")
    error: dict[str, Any] = told if isinstance(told, dict) else {}
    code, status = _error_code(error), word(error.get("status"))
    if code in BY_ERROR_CODE:
        meaning, reason = BY_ERROR_CODE[code], code
    elif not code and status in BY_STATUS:
        meaning, reason = BY_STATUS[status], status
    else:
        meaning, reason = _by_http_status(result.status, bool(error)), code or status
    if reason == "INVALID_ARGUMENT" and _blames_address(error):
        meaning = _MALFORMED
    if meaning is _QUOTA and _blames_device(error):
        meaning = replace(meaning, scope=Scope.DEVICE)
    if meaning is _MISCONFIGURED:
        reason = _told_by_google(error) or reason
    outcome = replace(meaning, status=result.status, reason=reason or f"HTTP {result.status}")
    if outcome.verdict is Verdict.TRY_LATER:
        asked = retry_after(result.header("retry-after"), now)
        if asked is not None:
            outcome = replace(outcome, retry_after=asked, asked=True)
    return outcome


def _by_http_status(status: int, from_fcm: bool) -> Outcome:
    if status >= 500 and from_fcm:
        return _AWAY
    unknown = _CLOUD_ERROR if 400 <= status < 500 else _DOUBT
    return BY_HTTP_STATUS.get(status, unknown)


def _message_id(body: bytes) -> str:
    """The last part of "projects/shop/messages/0:1700…"."""
    name = body.rpartition(b"/messages/")[2].partition(b'"')[0]
    return name.decode("ascii", "replace")[:100] if b"/messages/" in body else ""


def _details(error: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    details = error.get("details")
    return [
        detail
        for detail in (details if isinstance(details, list) else [])
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith(kind)
    ]


def _error_code(error: Mapping[str, Any]) -> str:
    for detail in _details(error, "FcmError"):
        return word(detail.get("errorCode"))
    return ""


def _told_by_google(error: Mapping[str, Any]) -> str:
    """Which of the reasons behind PERMISSION_DENIED it is, where the cloud's front says so."""
    for detail in _details(error, "ErrorInfo"):
        return word(detail.get("reason"))
    return ""


def _listed(details: list[Mapping[str, Any]], name: str, value: str) -> list[str]:
    lists = [detail.get(name) for detail in details]
    entries = [entry for found in lists if isinstance(found, list) for entry in found]
    return [word(entry.get(value)) for entry in entries if isinstance(entry, dict)]


def _blames_address(error: Mapping[str, Any]) -> bool:
    fields = _listed(_details(error, "BadRequest"), "fieldViolations", "field")
    return (
        "message.token" in fields
        or "message.fid" in fields
        or "not a valid FCM registration token" in str(error.get("message", ""))
    )


def _blames_device(error: Mapping[str, Any]) -> bool:
    subjects = _listed(_details(error, "QuotaFailure"), "violations", "subject")
    return any(subject.startswith("device") for subject in subjects)


class FcmProvider:
    """One Firebase project."""

    def __init__(
        self,
        service_account: Mapping[str, object],
        *,
        network: Network,
        limits: Limits | None = None,
        clock: Clock = time.time,
        token_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Raises CredentialError for what cannot be a service account."""
        account = ServiceAccount.read(service_account)
        self._project = account.project_id
        self._path = f"/v1/projects/{account.project_id}/messages:send"
        self._network = network
        self._clock = clock
        self._tokens = GoogleTokens(account, network, clock=clock, transport=token_transport)
        self._pool = connect(network, HOST, limits=limits)
        self._common: tuple[str, Common] = ("", Common(HOST))

    def compile(self, notification: PushNotification) -> FcmPayload:
        return FcmPayload(notification)

    async def send(self, window: Sequence[Addressed]) -> list[Outcome]:
        try:
            token = await self._tokens.get()
        except (TokenRefusedError, TokenUnavailableError) as error:
            return [self._without_token(error)] * len(window)
        results = await self._pool.send_many(self._requests(window, token))
        outcomes = self._read(results)
        expired = [index for index, outcome in enumerate(outcomes) if _token_refused(outcome)]
        if expired:
            again = await self._send_again([window[index] for index in expired], token)
            for index, outcome in zip(expired, again, strict=True):
                outcomes[index] = outcome
        return outcomes

    async def _send_again(self, window: Sequence[Addressed], used: str) -> list[Outcome]:
        """Once, with a fresh token: CRED-2."""
        try:
            token = await self._tokens.renew(used)
        except (TokenRefusedError, TokenUnavailableError) as error:
            return [self._without_token(error)] * len(window)
        results = await self._pool.send_many(
            self._requests(window, token), start_within=START_AGAIN_WITHIN
        )
        return self._read(results)

    def _read(self, results: Sequence[Result]) -> list[Outcome]:
        now = self._clock()
        return [self._advised(read(result, now), result) for result in results]

    def _advised(self, outcome: Outcome, result: Result) -> Outcome:
        """With what an administrator should do about it."""
        if outcome.verdict not in {Verdict.MISCONFIGURED, Verdict.NOT_SENT}:
            return outcome
        date = result.header("date") if isinstance(result, Answer) else ""
        off = advice.ahead(date, self._clock())
        return replace(outcome, remedy=advice.for_fcm(outcome, project=self._project, off=off))

    async def test(self) -> Outcome:
        """A dry run to an address that cannot be one, on a connection of its own."""
        body = b'{"message":{"token":"no-device","data":{"test":"1"}},"validateOnly":true}'
        pool = connect(self._network, HOST, limits=Limits(connections=1))
        try:
            token = await self._tokens.fetch()
            [result] = await pool.send_many([Request(self._common_for(token), body)])
        except (TokenRefusedError, TokenUnavailableError) as error:
            return self._without_token(error)
        finally:
            await pool.close()
        [outcome] = self._read([result])
        known_good = {Verdict.ACCEPTED, Verdict.UNREGISTERED, Verdict.REJECTED}
        if outcome.verdict in known_good and outcome.cause is not Cause.CLOUD_ERROR:
            return Outcome(
                verdict=Verdict.ACCEPTED, reason=outcome.reason or "OK", status=outcome.status
            )
        return outcome

    async def close(self) -> None:
        await self._pool.close()

    def _requests(self, window: Sequence[Addressed], token: str) -> list[Request]:
        common = self._common_for(token)
        requests = []
        for item in window:
            assert isinstance(item.payload, FcmPayload)
            body = item.payload.body(item.token, item.token_kind, item.message_id, item.ttl)
            requests.append(Request(common, body))
        return requests

    def _common_for(self, token: str) -> Common:
        if self._common[0] != token:
            fields = (
                ("authorization", f"Bearer {token}"),
                ("content-type", "application/json; charset=UTF-8"),
            )
            self._common = (token, Common(HOST, fields, path=self._path))
        return self._common[1]

    def _without_token(self, error: TokenRefusedError | TokenUnavailableError) -> Outcome:
        if isinstance(error, TokenRefusedError):
            refused = replace(_MISCONFIGURED, reason=str(error), status=error.status)
            remedy = advice.for_fcm(refused, project=self._project, off=error.ahead)
            return replace(refused, remedy=remedy)
        return error.outcome(wait=10)


# Of a 401: Google's word for an access token that is over, where it says one (ErrorInfo).
_TOKEN_ENDED = {"UNAUTHENTICATED", "HTTP 401", "ACCESS_TOKEN_EXPIRED", "CREDENTIALS_MISSING"}


def _token_refused(outcome: Outcome) -> bool:
    """An access token that ended; not the APNs key inside Firebase, which answers 401 too."""
    return outcome.status == 401 and outcome.reason in _TOKEN_ENDED
