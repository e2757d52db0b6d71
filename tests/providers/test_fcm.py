"""providers.fcm: what a push is made of, and what FCM's answers mean."""

from __future__ import annotations

import json
import zlib
from typing import Any
from uuid import UUID

import pytest

from providers.base import Cause, Outcome, PayloadTooLarge, PushNotification, Scope, Verdict
from providers.fcm import LIMIT, FcmPayload, read
from providers.http2 import Answer, NoAnswer, NotSent
from tests.providers.discovery import checked
from tests.providers.fcm import NOW, error

MESSAGE_ID = UUID("018f0000-0000-8000-8000-0000000000a1")


def make_body(
    *, token: str = "t", kind: str = "token", ttl: int = 3600, **fields: Any
) -> dict[str, Any]:
    return checked(FcmPayload(PushNotification(**fields)).body(token, kind, MESSAGE_ID, ttl))


# Building


def test_the_worked_example_of_the_contract() -> None:
    assert make_body(
        display="system",
        title="Sale",
        text="Today only",
        sound="",
        image_url="https://cdn/x.png",
        deep_link="shop://sale",
        channel_id="promo",
    ) == {
        "message": {
            "token": "t",
            "data": {"messageId": str(MESSAGE_ID), "deepLink": "shop://sale"},
            "android": {
                "priority": "HIGH",
                "ttl": "3600s",
                "notification": {
                    "title": "Sale",
                    "body": "Today only",
                    "image": "https://cdn/x.png",
                    "channelId": "promo",
                    "tag": str(MESSAGE_ID),
                },
            },
        }
    }


def test_what_the_system_draws() -> None:
    message = make_body(
        display="system",
        title="T",
        text="B",
        sound="ding.wav",
        vibrate=False,
        badge=0,
        category="mm_accept_decline",
        thread_id="orders",
        collapse_key="score",
        urgency="normal",
        browser_url="https://shop.example/",
        web_view_url="https://shop.example/view",
        custom_payload={"order": 7},
    )["message"]

    assert message["android"] == {
        "ttl": "3600s",
        "priority": "NORMAL",
        "collapseKey": f"c{zlib.crc32(b'score') % 4}",
        "notification": {
            "title": "T",
            "body": "B",
            "sound": "ding.wav",
            "clickAction": "mm_accept_decline",
            "notificationCount": 0,
            "vibrateTimings": ["0s"],
            "tag": "score",
        },
    }
    assert message["data"] == {
        "messageId": str(MESSAGE_ID),
        "browserUrl": "https://shop.example/",
        "webViewUrl": "https://shop.example/view",
        "customPayload": '{"order":7}',
        "threadId": "orders",
    }


def test_what_the_apps_own_code_draws_is_data_of_texts() -> None:
    message = make_body(
        title="T",
        text="B",
        image_url="https://cdn/x.png",
        vibrate=False,
        badge=3,
        in_app_style="BANNER",
        custom_payload={"a": [1, {"b": None}]},
    )["message"]

    assert message["android"] == {"ttl": "3600s", "priority": "HIGH"}
    assert message["data"] == {
        "messageId": str(MESSAGE_ID),
        "title": "T",
        "text": "B",
        "imageUrl": "https://cdn/x.png",
        "sound": "default",
        "vibrate": "false",
        "badge": "3",
        "inAppStyle": "BANNER",
        "customPayload": '{"a":[1,{"b":null}]}',
    }
    assert all(isinstance(value, str) for value in message["data"].values())


@pytest.mark.parametrize("display", ["sdk", "system"])
def test_a_silent_push_is_data_only_and_not_urgent(display: str) -> None:
    message = make_body(text="B", silent=True, display=display)["message"]

    assert message["android"] == {"ttl": "3600s", "priority": "NORMAL"}
    assert message["data"]["silent"] == "true"


def test_infobips_dialect_is_one_key_of_json_text() -> None:
    message = make_body(
        dialect="infobip",
        display="system",
        text="Order shipped",
        application_name="Shop",
        image_url="https://cdn/x.png",
        category="mm_accept_decline",
        in_app_style="BANNER",
        deep_link="shop://order",
        bulk_id="my-bulk",
        sent_at_ms=1_700_000_000_000,
        custom_payload={"orderId": 7},
    )["message"]

    assert set(message) == {"token", "android", "data"}
    assert message["android"] == {"ttl": "3600s", "priority": "HIGH"}
    assert set(message["data"]) == {"org_ib_d"}
    assert json.loads(message["data"]["org_ib_d"]) == {
        "messageId": str(MESSAGE_ID),
        "text": "Order shipped",
        "notification": {
            "title": "Shop",
            "sound": "default",
            "category": "mm_accept_decline",
            "contentUrl": "https://cdn/x.png",
            "inAppStyle": "BANNER",
            "vibrate": True,
            "silent": False,
        },
        "custom": {"orderId": 7},
        "internal": {
            "sendDateTime": 1_700_000_000_000,
            "bulkId": "my-bulk",
            "atts": [{"url": "https://cdn/x.png", "t": "image"}],
            "deeplink": "shop://order",
        },
    }


def test_infobips_sdk_always_finds_a_text_and_a_notification() -> None:
    told = json.loads(make_body(dialect="infobip", silent=True)["message"]["data"]["org_ib_d"])

    assert told["text"] == " "
    assert told["notification"]["silent"] is True


@pytest.mark.parametrize(("kind", "other"), [("token", "fid"), ("fid", "token")])
def test_an_address_is_sent_as_what_it_was_registered_as(kind: str, other: str) -> None:
    message = make_body(kind=kind, token="abc")["message"]

    assert message[kind] == "abc"
    assert other not in message


@pytest.mark.parametrize("token", ['a"b', "a\\b", 'x","validateOnly":true', "\u2028\n\0", "Ж"])
def test_no_token_breaks_out_of_its_place(token: str) -> None:
    assert make_body(token=token)["message"]["token"] == token


@pytest.mark.parametrize(
    "text", ['"', "\\", "%s {0} $x", "\0\x1f\u2028", "Скидка 😀", "</script>", "a" * 3000]
)
@pytest.mark.parametrize("dialect", ["own", "infobip"])
def test_any_text_arrives_as_it_was(text: str, dialect: str) -> None:
    data = make_body(text=text, dialect=dialect)["message"]["data"]
    told = data if dialect == "own" else json.loads(data["org_ib_d"])

    assert told["text"] == text


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert make_body(text="a\ud83d")["message"]["data"]["text"] == "a?"


@pytest.mark.parametrize(("ttl", "told"), [(0, "0s"), (-5, "0s"), (60, "60s"), (9**9, "2419200s")])
def test_the_ttl_is_seconds_within_28_days(ttl: int, told: str) -> None:
    assert make_body(ttl=ttl)["message"]["android"]["ttl"] == told


@pytest.mark.parametrize("letter", ["a", "Ж", "😀"])
def test_the_limit_is_in_bytes(letter: str) -> None:
    empty = FcmPayload(PushNotification(text="")).size()
    overhead = FcmPayload(PushNotification(text="a")).size() - 1
    assert overhead > empty
    width = len(letter.encode())
    fits = (LIMIT - overhead) // width
    size = FcmPayload(PushNotification(text=letter * fits)).size()
    assert LIMIT - width < size <= LIMIT

    with pytest.raises(PayloadTooLarge) as refusal:
        FcmPayload(PushNotification(text=letter * (fits + 1)))
    assert (refusal.value.size, refusal.value.limit) == (size + width, LIMIT)


def test_infobips_dialect_is_measured_after_both_escapes() -> None:
    quotes = '"' * 100
    plain = FcmPayload(PushNotification(text="x" * 100, dialect="infobip")).size()

    assert FcmPayload(PushNotification(text=quotes, dialect="infobip")).size() == plain + 300


# Reading


BAD_TOKEN_TEXT = "The registration token is not a valid FCM registration token"


@pytest.mark.parametrize(
    ("http", "body", "verdict", "cause", "reason"),
    [
        (404, error("NOT_FOUND", "UNREGISTERED"),
         "unregistered", Cause.UNINSTALLED, "UNREGISTERED"),
        (404, error("NOT_FOUND"), "misconfigured", Cause.CREDENTIAL_REFUSED, "NOT_FOUND"),
        (400, error("INVALID_ARGUMENT", "INVALID_ARGUMENT", fields=["message.token"]),
         "unregistered", Cause.MALFORMED_TOKEN, "INVALID_ARGUMENT"),
        (400, error("INVALID_ARGUMENT", fields=["message.fid"]),
         "unregistered", Cause.MALFORMED_TOKEN, "INVALID_ARGUMENT"),
        (400, error("INVALID_ARGUMENT", "INVALID_ARGUMENT", message=BAD_TOKEN_TEXT),
         "unregistered", Cause.MALFORMED_TOKEN, "INVALID_ARGUMENT"),
        (400, error("INVALID_ARGUMENT", "INVALID_ARGUMENT", fields=["message.android.ttl"]),
         "rejected", Cause.PAYLOAD_REFUSED, "INVALID_ARGUMENT"),
        (403, error("PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
         "unregistered", Cause.MISMATCHED_SENDER, "SENDER_ID_MISMATCH"),
        (403, error("PERMISSION_DENIED"), "misconfigured", Cause.CREDENTIAL_REFUSED,
         "PERMISSION_DENIED"),
        (401, error("UNAUTHENTICATED"), "misconfigured", Cause.CREDENTIAL_REFUSED,
         "UNAUTHENTICATED"),
        (401, error("UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
         "misconfigured", Cause.CREDENTIAL_REFUSED, "THIRD_PARTY_AUTH_ERROR"),
        (401, error("UNAUTHENTICATED", "APNS_AUTH_ERROR"),
         "misconfigured", Cause.CREDENTIAL_REFUSED, "APNS_AUTH_ERROR"),
        (429, error("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"),
         "try_later", Cause.CLOUD_UNAVAILABLE, "QUOTA_EXCEEDED"),
        (429, error("RESOURCE_EXHAUSTED"), "try_later", Cause.CLOUD_UNAVAILABLE,
         "RESOURCE_EXHAUSTED"),
        (503, error("UNAVAILABLE", "UNAVAILABLE"), "try_later", Cause.CLOUD_UNAVAILABLE,
         "UNAVAILABLE"),
        (500, error("INTERNAL", "INTERNAL"), "try_later", Cause.CLOUD_UNAVAILABLE, "INTERNAL"),
        (400, error("UNKNOWN", "UNSPECIFIED_ERROR"), "rejected", Cause.CLOUD_ERROR,
         "UNSPECIFIED_ERROR"),
        (504, error("DEADLINE_EXCEEDED"), "try_later", Cause.CLOUD_UNAVAILABLE,
         "DEADLINE_EXCEEDED"),
        (400, error("NEW_WORD", "NEW_WORD"), "rejected", Cause.PAYLOAD_REFUSED, "NEW_WORD"),
        (400, b"", "rejected", Cause.PAYLOAD_REFUSED, "HTTP 400"),
        (404, b"<html>", "misconfigured", Cause.CREDENTIAL_REFUSED, "HTTP 404"),
        (413, b"", "rejected", Cause.TOO_LARGE, "HTTP 413"),
        (418, b"", "rejected", Cause.CLOUD_ERROR, "HTTP 418"),
        (500, b"[1]", "try_later", Cause.CLOUD_UNAVAILABLE, "HTTP 500"),
        (503, b'{"error": 5}', "try_later", Cause.CLOUD_UNAVAILABLE, "HTTP 503"),
        (502, b"<html>", "unknown", Cause.NO_ANSWER, "HTTP 502"),
        (504, b"", "unknown", Cause.NO_ANSWER, "HTTP 504"),
        (302, b"", "unknown", Cause.NO_ANSWER, "HTTP 302"),
    ],
)  # fmt: skip
def test_answers(http: int, body: bytes, verdict: str, cause: Cause, reason: str) -> None:
    """Contract/providers.md 2.6 and 1.2, line by line."""
    outcome = read(Answer(http, b"", body), NOW)

    assert (outcome.verdict, outcome.cause, outcome.reason) == (verdict, cause, reason)
    assert outcome.status == http


def test_an_accepted_message_has_the_clouds_id() -> None:
    body = b'{\n  "name": "projects/shop-1/messages/0:1700%abc"\n}\n'

    assert read(Answer(200, b"\x88", body), NOW) == Outcome(
        verdict=Verdict.ACCEPTED, provider_id="0:1700%abc", status=200
    )
    assert read(Answer(200, b"\x88", b"?"), NOW).provider_id == ""


def test_not_sent_and_unknown_stay_apart() -> None:
    assert read(NotSent("refused", 3.0), NOW) == Outcome(
        verdict=Verdict.NOT_SENT, reason="refused", cause=Cause.NOT_SENT, retry_after=3.0
    )
    assert read(NoAnswer("cut"), NOW) == Outcome(
        verdict=Verdict.UNKNOWN, reason="cut", cause=Cause.NO_ANSWER
    )


@pytest.mark.parametrize(
    ("subject", "scope"),
    [("device:abc", Scope.DEVICE), ("project:shop-1", Scope.ACCOUNT), ("topic:x", Scope.ACCOUNT)],
)
def test_a_quota_concerns_a_device_or_the_whole_project(subject: str, scope: Scope) -> None:
    body = error("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", subject=subject)

    assert read(Answer(429, b"", body), NOW).scope is scope


@pytest.mark.parametrize(
    ("http", "body", "scope", "seconds", "may_have_sent"),
    [
        (429, error("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), Scope.ACCOUNT, 60, False),
        (429, error("RESOURCE_EXHAUSTED"), Scope.ACCOUNT, 60, False),
        (429, b"", Scope.ACCOUNT, 60, False),
        (500, error("INTERNAL", "INTERNAL"), Scope.SERVICE, 10, True),
        (503, error("UNAVAILABLE", "UNAVAILABLE"), Scope.SERVICE, 10, True),
        (503, b"", Scope.SERVICE, 10, True),
    ],
)
def test_not_now_says_for_whom_how_long_and_whether_it_may_have_arrived(
    http: int, body: bytes, scope: Scope, seconds: float, may_have_sent: bool
) -> None:
    """Contract/providers.md 1.4, 2.6 and 2.7, where no Retry-After says otherwise."""
    outcome = read(Answer(http, b"", body), NOW)

    assert (outcome.scope, outcome.retry_after, outcome.asked) == (scope, seconds, False)
    assert outcome.may_have_sent is may_have_sent


def retry_after_block(value: str) -> bytes:
    name = b"retry-after"
    return bytes((0x8E, 0x00, len(name))) + name + bytes((len(value),)) + value.encode()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30),
        ("Thu, 09 Oct 2025 08:54:20 GMT", 60),  # a minute after NOW
        ("Thu, 09 Oct 2025 08:00:00 GMT", 0),
        ("soon", 10),
        ("-5", 10),
        ("", 10),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float) -> None:
    answer = Answer(503, retry_after_block(header), error("UNAVAILABLE", "UNAVAILABLE"))
    outcome = read(answer, NOW)

    assert outcome.retry_after == seconds
    assert outcome.may_have_sent  # 2.7
    assert outcome.scope is Scope.SERVICE


def test_hostile_errors_are_read_without_a_crash() -> None:
    deep = b'{"error":' + b"[" * 30_000
    odd: list[bytes] = [
        deep,
        b'{"error": {"details": 5}}',
        b'{"error": {"details": [5, {"@type": 1}, {"@type": "FcmError", "errorCode": []}]}}',
        b'{"error": {"details": [{"@type": "BadRequest", "fieldViolations": [1, {}]}]}}',
        b'{"error": {"status": {}, "message": [1]}}',
        b"\xff\xfe",
    ]
    for body in odd:
        assert read(Answer(400, b"", body), NOW).verdict is Verdict.REJECTED
