"""providers.sms.twilio: every row of contract/providers.md 6.4."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import Cause, Scope, Verdict
from providers.sms import State, twilio

V = Verdict

CODES = [
    (20003, 401, V.MISCONFIGURED, Cause.CREDENTIAL_REFUSED),
    (20429, 429, V.TRY_LATER, Cause.CLOUD_UNAVAILABLE),
    (21211, 400, V.UNREGISTERED, Cause.NUMBER_REFUSED),
    (21212, 400, V.MISCONFIGURED, Cause.ACCOUNT_REFUSED),
    (21606, 400, V.MISCONFIGURED, Cause.ACCOUNT_REFUSED),
    (21610, 400, V.UNREGISTERED, Cause.OPTED_OUT),
    (21614, 400, V.UNREGISTERED, Cause.NUMBER_REFUSED),
    (21617, 400, V.REJECTED, Cause.TOO_LARGE),
    (21659, 400, V.MISCONFIGURED, Cause.ACCOUNT_REFUSED),
]


def refusal(code: Any, status: int, message: str = "No") -> bytes:
    told = {"code": code, "message": message, "more_info": "https://…", "status": status}
    return json.dumps(told).encode()


def test_the_table_has_no_other_rows() -> None:
    assert [row[0] for row in CODES] == sorted(twilio.BY_CODE)


@pytest.mark.parametrize(("code", "status", "verdict", "cause"), CODES)
def test_a_code_is_a_verdict(code: int, status: int, verdict: Verdict, cause: Cause) -> None:
    outcome = twilio.read(status, refusal(code, status, "The number +15005550001 is not valid."))

    assert (outcome.verdict, outcome.cause, outcome.status) == (verdict, cause, status)
    assert outcome.reason == f"{code} The number is not valid."


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (400, V.REJECTED),
        (401, V.MISCONFIGURED),
        (403, V.MISCONFIGURED),
        (404, V.MISCONFIGURED),
        (418, V.REJECTED),
        (302, V.MISCONFIGURED),
        (429, V.TRY_LATER),
        (500, V.TRY_LATER),
        (502, V.TRY_LATER),
        (503, V.TRY_LATER),
        (504, V.TRY_LATER),
    ],
)
@pytest.mark.parametrize("code", [99999, "21211", None, True])
def test_an_unknown_code_is_read_by_its_status_and_closes_nothing(
    status: int, verdict: Verdict, code: Any
) -> None:
    assert twilio.read(status, refusal(code, status)).verdict is verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(500, V.TRY_LATER), (502, V.UNKNOWN), (503, V.TRY_LATER), (504, V.UNKNOWN)],
)
def test_an_error_that_is_not_twilios_own(status: int, verdict: Verdict) -> None:
    assert twilio.read(status, b"<html></html>").verdict is verdict


def test_too_many_requests_concern_the_account() -> None:
    assert twilio.read(429, refusal(20429, 429)).scope is Scope.ACCOUNT


def test_an_accepted_message_has_a_sid() -> None:
    body = {"sid": "SM1", "status": "queued", "error_code": None, "num_segments": "1"}

    outcome = twilio.read(201, json.dumps(body).encode())

    assert (outcome.verdict, outcome.provider_id) == (V.ACCEPTED, "SM1")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"sid": 7}', b"<html>"])
def test_a_2xx_that_cannot_be_read_stays_in_doubt(body: bytes) -> None:
    assert twilio.read(201, body).verdict is V.UNKNOWN


@given(st.binary(max_size=200), st.integers(100, 599))
def test_no_answer_breaks_the_reader(body: bytes, status: int) -> None:
    assert isinstance(twilio.read(status, body).verdict, Verdict)


def test_the_form() -> None:
    form = twilio.form(
        sender="Shop", text="Hi", number="15005550006", seconds=90_000, report_url="https://x/r"
    )

    assert form == {
        "To": "+15005550006",
        "From": "Shop",
        "Body": "Hi",
        "StatusCallback": "https://x/r",
        "ValidityPeriod": "36000",
    }


def test_a_messaging_service_takes_the_place_of_a_sender() -> None:
    service = "MG" + "0" * 32

    form = twilio.form(sender=service, text="", number="1", seconds=0, report_url="")

    assert form["MessagingServiceSid"] == service
    assert "From" not in form
    assert form["ValidityPeriod"] == "1"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", State.SENT),
        ("sending", State.SENT),
        ("sent", State.SENT),
        ("delivered", State.DELIVERED),
        ("undelivered", State.FAILED),
        ("failed", State.FAILED),
    ],
)
def test_a_callback_is_a_state(status: str, state: State) -> None:
    report = twilio.report("m-1", {"MessageStatus": status, "To": "+15005550006"})

    assert report is not None
    assert (report.message_id, report.state, report.closes) == ("m-1", state, "")


@pytest.mark.parametrize("form", [{}, {"MessageStatus": "read"}, {"MessageStatus": ""}])
def test_a_status_nobody_knows_is_no_report(form: dict[str, str]) -> None:
    assert twilio.report("m-1", form) is None


@pytest.mark.parametrize(
    ("code", "cause", "closes"),
    [
        ("21211", Cause.NUMBER_REFUSED, True),
        ("21614", Cause.NUMBER_REFUSED, True),
        ("21610", Cause.OPTED_OUT, True),
        ("21617", Cause.TOO_LARGE, False),
        ("30005", Cause.UNDELIVERABLE, False),
        ("", Cause.UNDELIVERABLE, False),
        ("x", Cause.UNDELIVERABLE, False),
        ("²", Cause.UNDELIVERABLE, False),
    ],
)
def test_the_code_of_a_failed_message_says_why(code: str, cause: Cause, closes: bool) -> None:
    report = twilio.report(
        "m-1", {"MessageStatus": "failed", "ErrorCode": code, "To": "+15005550006"}
    )

    assert report is not None
    assert (report.cause, report.closes) == (cause, "+15005550006" if closes else "")
    assert report.answer == f"failed {code}".strip()


# ------------------------------------------------------------------- signature

# The example of Twilio's manual, "Validating Signatures".
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_the_example_of_the_manual() -> None:
    assert twilio.signature("12345", URL, FORM) == SIGNATURE
    assert twilio.is_signed("12345", URL, FORM, SIGNATURE)
    assert twilio.is_signed("12345", URL, FORM[::-1], SIGNATURE)


@pytest.mark.parametrize(
    ("given", "signed"),
    [
        ("https://push.example/r", "https://push.example:443/r"),
        ("https://push.example:443/r", "https://push.example/r"),
        ("http://push.example:8000/r", "http://push.example:8000/r"),
        ("http://push.example:8000/r", "http://push.example/r"),
    ],
)
def test_the_port_may_be_signed_or_not(given: str, signed: str) -> None:
    assert twilio.is_signed("secret", given, FORM, twilio.signature("secret", signed, FORM))


@pytest.mark.parametrize(
    ("token", "url", "form"),
    [
        ("other", URL, FORM),
        ("12345", URL + "&x", FORM),
        ("12345", URL, FORM[1:]),
        ("12345", URL, [*FORM, ("X", "")]),
        ("12345", URL, [*FORM[:-1], ("To", "+18005551213")]),
    ],
)
def test_what_was_changed_is_not_signed(token: str, url: str, form: list[tuple[str, str]]) -> None:
    assert not twilio.is_signed(token, url, form, SIGNATURE)


@pytest.mark.parametrize("signed", ["", "é", "\udc80", "AAAA"])
def test_a_strange_signature_is_refused(signed: str) -> None:
    assert not twilio.is_signed("12345", URL, FORM, signed)
