"""providers.apns: what a push is made of, and what Apple's answers mean."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any
from uuid import UUID

import pytest

from providers.apns import LIMIT, ApnsPayload
from providers.apns_answers import read
from providers.base import Cause, Outcome, PayloadTooLarge, PushNotification, Scope, Verdict
from providers.http2 import Answer, NoAnswer, NotSent

MESSAGE_ID = UUID("018f0000-0000-8000-8000-0000000000a1")


def make_body(**fields: Any) -> dict[str, Any]:
    value = json.loads(ApnsPayload(PushNotification(**fields)).body(MESSAGE_ID))
    assert isinstance(value, dict)
    return value


def make_headers(**fields: Any) -> dict[str, str]:
    return dict(ApnsPayload(PushNotification(**fields)).headers)


# Building


def test_the_worked_example_of_the_contract() -> None:
    example = {
        "title": "Sale",
        "text": "Today only",
        "image_url": "https://cdn/x.png",
        "deep_link": "shop://sale",
    }

    assert make_body(**example) == {
        "aps": {
            "alert": {"title": "Sale", "body": "Today only"},
            "sound": "default",
            "mutable-content": 1,
        },
        "messageId": str(MESSAGE_ID),
        "deepLink": "shop://sale",
        "imageUrl": "https://cdn/x.png",
    }
    assert make_headers(**example) == {"apns-push-type": "alert", "apns-priority": "10"}


def test_every_field_has_its_place() -> None:
    assert make_body(
        text="B",
        sound="ding.caf",
        badge=0,
        category="mm_accept_decline",
        thread_id="orders",
        mutable_content=True,
        urgency="low",
        in_app_style="MODAL",
        browser_url="https://shop.example/",
        web_view_url="https://shop.example/view",
        custom_payload={"aps": {"no": "harm"}, "n": None},
    ) == {
        "aps": {
            "alert": {"body": "B"},
            "badge": 0,
            "sound": "ding.caf",
            "category": "mm_accept_decline",
            "thread-id": "orders",
            "mutable-content": 1,
            "interruption-level": "passive",
        },
        "messageId": str(MESSAGE_ID),
        "browserUrl": "https://shop.example/",
        "webViewUrl": "https://shop.example/view",
        "inAppStyle": "MODAL",
        "customPayload": {"aps": {"no": "harm"}, "n": None},
    }


def test_no_sound_is_no_key() -> None:
    assert make_body(text="B", sound="")["aps"] == {"alert": {"body": "B"}}


def test_a_silent_push_has_no_alert_badge_or_sound() -> None:
    silent = {"title": "T", "text": "B", "badge": 3, "silent": True, "mutable_content": True}

    assert make_body(**silent) == {
        "aps": {"content-available": 1},
        "messageId": str(MESSAGE_ID),
        "title": "T",
        "text": "B",
    }
    assert make_headers(**silent) == {"apns-push-type": "background", "apns-priority": "5"}


def test_infobips_dialect() -> None:
    assert make_body(
        dialect="infobip",
        title="Hi",
        text="Order shipped",
        badge=1,
        category="mm_accept_decline",
        image_url="https://cdn/i.jpg",
        in_app_style="BANNER",
        deep_link="shop://order",
        bulk_id="my-bulk",
        sent_at_ms=1_700_000_000_000,
        custom_payload={"orderId": 7},
    ) == {
        "aps": {
            "alert": {"title": "Hi", "body": "Order shipped"},
            "sound": "default",
            "badge": 1,
            "category": "mm_accept_decline",
            "mutable-content": 1,
        },
        "messageId": str(MESSAGE_ID),
        "customPayload": {"orderId": 7},
        "internalData": {
            "sendDateTime": 1_700_000_000_000,
            "bulkId": "my-bulk",
            "atts": [{"url": "https://cdn/i.jpg", "t": "image"}],
            "deeplink": "shop://order",
            "inAppStyle": 1,
        },
    }


def test_infobips_silent_push_carries_its_text_inside() -> None:
    body = make_body(dialect="infobip", title="T", text="B", silent=True, in_app_style="MODAL")

    assert body == {
        "aps": {"content-available": 1},
        "messageId": str(MESSAGE_ID),
        "internalData": {
            "inAppStyle": 0,
            "silent": {"title": "T", "body": "B", "sound": "default"},
        },
    }


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("score", "score"),
        ("a" * 64, "a" * 64),
        ("a" * 65, hashlib.sha256(b"a" * 65).hexdigest()),
        ("два\r\nx: y", hashlib.sha256("два\r\nx: y".encode()).hexdigest()),
    ],
)
def test_a_collapse_id_is_safe_and_at_most_64_bytes(key: str, told: str) -> None:
    assert make_headers(text="B", collapse_key=key)["apns-collapse-id"] == told


@pytest.mark.parametrize("letter", ["a", "Ж", "😀", '"'])
def test_the_limit_is_the_body_exactly_as_sent(letter: str) -> None:
    width = len(json.dumps(letter, ensure_ascii=False).encode()) - 2
    overhead = ApnsPayload(PushNotification(text=letter)).size() - width
    payload = ApnsPayload(PushNotification(text=letter * ((LIMIT - overhead) // width)))
    assert LIMIT - width < payload.size() <= LIMIT
    assert payload.size() == len(payload.body(MESSAGE_ID))

    with pytest.raises(PayloadTooLarge) as refusal:
        ApnsPayload(PushNotification(text=letter * ((LIMIT - overhead) // width + 1)))
    assert refusal.value.limit == LIMIT


# Reading


@pytest.mark.parametrize(
    ("http", "reason", "verdict", "cause"),
    [
        (400, "BadDeviceToken", "unregistered", Cause.MALFORMED_TOKEN),
        (400, "DeviceTokenNotForTopic", "unregistered", Cause.MISMATCHED_SENDER),
        (400, "BadCollapseId", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "BadExpirationDate", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "BadMessageId", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "BadPriority", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "InvalidPushType", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "PayloadEmpty", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "DuplicateHeaders", "rejected", Cause.PAYLOAD_REFUSED),
        (400, "MissingDeviceToken", "rejected", Cause.INTERNAL),
        (400, "BadTopic", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (400, "MissingTopic", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (400, "TopicDisallowed", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (400, "IdleTimeout", "not_sent", Cause.NOT_SENT),
        (403, "ExpiredProviderToken", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "InvalidProviderToken", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "MissingProviderToken", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "UnrelatedKeyIdInToken", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "BadEnvironmentKeyIdInToken", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "BadEnvironmentKeyInToken", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "Forbidden", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "BadCertificate", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (403, "BadCertificateEnvironment", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (404, "BadPath", "rejected", Cause.INTERNAL),
        (405, "MethodNotAllowed", "rejected", Cause.INTERNAL),
        (410, "Unregistered", "unregistered", Cause.UNINSTALLED),
        (410, "ExpiredToken", "unregistered", Cause.UNINSTALLED),
        (413, "PayloadTooLarge", "rejected", Cause.TOO_LARGE),
        (429, "TooManyRequests", "try_later", Cause.CLOUD_UNAVAILABLE),
        (429, "TooManyProviderTokenUpdates", "try_later", Cause.CLOUD_UNAVAILABLE),
        (500, "InternalServerError", "try_later", Cause.CLOUD_UNAVAILABLE),
        (503, "ServiceUnavailable", "try_later", Cause.CLOUD_UNAVAILABLE),
        (503, "Shutdown", "try_later", Cause.CLOUD_UNAVAILABLE),
        (400, "NewWord", "rejected", Cause.CLOUD_ERROR),
        (410, "NewWord", "rejected", Cause.CLOUD_ERROR),
        (403, "NewWord", "misconfigured", Cause.CREDENTIAL_REFUSED),
        (429, "NewWord", "try_later", Cause.CLOUD_UNAVAILABLE),
        (500, "NewWord", "try_later", Cause.CLOUD_UNAVAILABLE),
    ],
)
def test_answers(http: int, reason: str, verdict: str, cause: Cause) -> None:
    """Contract/providers.md 3.5, line by line."""
    outcome = read(Answer(http, b"", b'{"reason":"%s"}' % reason.encode()))

    assert (outcome.verdict, outcome.cause) == (verdict, cause)
    assert (outcome.reason, outcome.status) == (reason, http)
    assert outcome.may_have_sent is False


@pytest.mark.parametrize(
    ("reason", "scope", "seconds", "again"),
    [
        ("TooManyRequests", Scope.DEVICE, 60, None),
        ("TooManyProviderTokenUpdates", Scope.ACCOUNT, 1200, None),
        ("InternalServerError", Scope.SERVICE, 15, 900),
        ("ServiceUnavailable", Scope.SERVICE, 15, 900),
        ("Shutdown", Scope.SERVICE, 15, 900),
    ],
)
def test_not_now_says_for_whom_and_how_long(
    reason: str, scope: Scope, seconds: float, again: float | None
) -> None:
    """Contract/providers.md 1.4 and 3.5."""
    outcome = read(Answer(503, b"", b'{"reason":"%s"}' % reason.encode()))

    assert (outcome.scope, outcome.retry_after) == (scope, seconds)
    assert outcome.retry_after_again == again


@pytest.mark.parametrize(
    ("http", "body", "verdict"),
    [
        (400, b"", "rejected"),
        (410, b"<html>", "rejected"),
        (500, b"", "unknown"),
        (502, b"<html>", "unknown"),
        (503, b'{"reason":5}', "unknown"),
        (504, b"", "unknown"),
        (301, b"", "unknown"),
    ],
)
def test_an_answer_that_is_not_apples_drops_nobody(http: int, body: bytes, verdict: str) -> None:
    assert read(Answer(http, b"", body)).verdict == verdict


@pytest.mark.parametrize(
    ("timestamp", "since"),
    [
        ("1760000000500", dt.datetime(2025, 10, 9, 8, 53, 20, 500_000, dt.UTC)),
        ("1e300", None),
        ('"soon"', None),
        ("null", None),
    ],
)
def test_an_uninstalled_app_is_gone_since_a_time(timestamp: str, since: dt.datetime | None) -> None:
    body = f'{{"reason":"Unregistered","timestamp":{timestamp}}}'.encode()

    assert read(Answer(410, b"", body)).since == since


def test_a_token_of_the_other_environment_is_our_mistake_not_the_devices() -> None:
    refusal = Answer(400, b"", b'{"reason":"BadDeviceToken"}')

    assert read(refusal, foreign_token=True).verdict is Verdict.MISCONFIGURED
    gone = Answer(410, b"", b'{"reason":"Unregistered"}')
    assert read(gone, foreign_token=True).verdict is Verdict.UNREGISTERED


def test_accepted_not_sent_and_unknown() -> None:
    assert read(Answer(200, b"\x88", b"")) == Outcome(verdict=Verdict.ACCEPTED, status=200)
    assert read(NotSent("refused")).verdict is Verdict.NOT_SENT
    assert read(NoAnswer("cut")).verdict is Verdict.UNKNOWN
