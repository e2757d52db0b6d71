"""One sentence for each answer that blames our credential."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from providers import apns_answers, fcm
from providers.advice import ahead, for_apns, for_fcm, for_webpush, moment
from providers.base import Outcome, Verdict

NOW = 1_760_000_000.0
FACTS = {
    "topic": "com.example.shop",
    "environment": "production",
    "login": "key",
    "ended": moment(NOW),
}
HOST = "api.push.apple.com"


def refused(reason: str, verdict: Verdict = Verdict.MISCONFIGURED) -> Outcome:
    return Outcome(verdict=verdict, reason=reason)


def is_one_sentence(text: str) -> bool:
    return text.endswith(".") and ". " not in text and "{" not in text


@pytest.mark.parametrize(
    "reason",
    [
        reason
        for table in (fcm.BY_ERROR_CODE, fcm.BY_STATUS)
        for reason, meaning in table.items()
        if meaning.verdict is Verdict.MISCONFIGURED
    ]
    + ["SERVICE_DISABLED", "IAM_PERMISSION_DENIED", "invalid_grant: x", "invalid_client: x"],
)
def test_every_refusal_of_google_has_its_sentence(reason: str) -> None:
    assert is_one_sentence(for_fcm(refused(reason), project="shop-1"))


@pytest.mark.parametrize(
    "reason",
    [
        reason
        for reason, meaning in apns_answers.BY_REASON.items()
        if meaning.verdict is Verdict.MISCONFIGURED
    ]
    + ["CertificateExpired", "CertificateRefused", "ClockAhead", "BadDeviceToken"],
)
def test_every_refusal_of_apple_has_its_sentence(reason: str) -> None:
    assert is_one_sentence(for_apns(refused(reason), host=HOST, facts=FACTS))


@pytest.mark.parametrize(
    ("reason", "names"),
    [
        ("NOT_FOUND", "no Firebase project shop-1"),
        ("PERMISSION_DENIED", "enable the Firebase Cloud Messaging API"),
        ("SERVICE_DISABLED", "API is off in the project shop-1"),
        ("IAM_PERMISSION_DENIED", "role Firebase Cloud Messaging API Admin"),
        ("invalid_grant: Invalid JWT Signature.", "make a new one"),
        ("THIRD_PARTY_AUTH_ERROR", "kept inside Firebase"),
    ],
)
def test_google_s_sentences_say_what_to_do(reason: str, names: str) -> None:
    assert names in for_fcm(refused(reason), project="shop-1")


@pytest.mark.parametrize(
    ("reason", "names"),
    [
        ("BadTopic", "bundle ID com.example.shop"),
        ("TopicDisallowed", "exactly as in Xcode"),
        ("BadEnvironmentKeyIdInToken", "not for Apple's production environment"),
        ("InvalidProviderToken", "nobody revoked the key"),
        ("ClockAhead", "clock is ahead"),
        ("ExpiredProviderToken", "clock is late"),
        ("CertificateExpired", "ended on 9 October 2025, 08:53 UTC"),
    ],
)
def test_apple_s_sentences_say_what_to_do(reason: str, names: str) -> None:
    assert names in for_apns(refused(reason), host=HOST, facts=FACTS)


@pytest.mark.parametrize(
    ("off", "says"),
    [
        (3600.0, "60 minutes ahead"),
        (-3700.0, "62 minutes late"),
        (299.0, "make a new one"),
        (None, "make a new one"),
    ],
)
def test_a_clock_that_is_off_is_blamed_and_no_other(off: float | None, says: str) -> None:
    told = for_fcm(refused("invalid_grant: Invalid JWT"), project="shop-1", off=off)

    assert says in told
    assert is_one_sentence(told)


def test_a_wrong_clock_is_no_reason_for_a_wrong_project() -> None:
    assert "project" in for_fcm(refused("NOT_FOUND"), project="shop-1", off=3600)
    assert "bundle" in for_apns(refused("BadTopic"), host=HOST, facts=FACTS, off=3600)


def test_a_clock_that_apple_s_answer_tells_wrong_is_named() -> None:
    told = for_apns(refused("InvalidProviderToken"), host=HOST, facts=FACTS, off=3600)

    assert "60 minutes ahead" in told


def test_a_stranger_in_the_clouds_place_is_named() -> None:
    outcome = refused(
        "cannot connect: certificate refused: unable to get local issuer certificate",
        Verdict.NOT_SENT,
    )

    assert "name of fcm.googleapis.com" in for_fcm(outcome, project="shop-1")
    assert f"name of {HOST}" in for_apns(outcome, host=HOST, facts=FACTS)


def test_an_answer_nobody_knows_has_no_sentence() -> None:
    assert for_fcm(refused("NEW_WORD"), project="shop-1") == ""
    assert for_apns(refused("NewWord"), host=HOST, facts=FACTS) == ""


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        (formatdate(NOW - 3600, usegmt=True), 3600),
        (formatdate(NOW + 60, usegmt=True), -60),
        ("Thu, 09 Oct 2025 08:53:20", 0),
        ("", None),
        ("soon", None),
    ],
)
def test_how_far_our_clock_is_ahead(date: str, seconds: float | None) -> None:
    assert ahead(date, NOW) == seconds


@pytest.mark.parametrize(
    ("off", "words"),
    [
        (None, ["push.example", "key pair", "it says 9 October 2025, 08:53 UTC"]),
        (299.0, ["key pair"]),
        (7200.0, ["120 minutes ahead", "push.example"]),
        (-50_000.0, ["833 minutes late"]),
    ],
)
def test_a_refused_vapid_key_has_its_sentence(off: float | None, words: list[str]) -> None:
    sentence = for_webpush(host="push.example", now=NOW, off=off)

    assert is_one_sentence(sentence)
    assert all(word in sentence for word in words)
