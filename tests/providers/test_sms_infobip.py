"""providers.sms.infobip: every row of contract/providers.md 6.1 to 6.3."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import Cause, Scope, Verdict
from providers.sms import State, infobip

V = Verdict
S = State

# id, what it means in an answer, in a report, why, and whether the number is closed
STATUSES = [
    (2, V.ACCEPTED, S.SENT, Cause.NONE, False),
    (3, V.ACCEPTED, S.SENT, Cause.NONE, False),
    (4, V.REJECTED, S.FAILED, Cause.UNDELIVERABLE, False),
    (5, V.ACCEPTED, S.DELIVERED, Cause.NONE, False),
    (6, V.REJECTED, S.FAILED, Cause.UNDELIVERABLE, False),
    (7, V.ACCEPTED, S.SENT, Cause.NONE, False),
    (8, V.UNREGISTERED, S.FAILED, Cause.NUMBER_REFUSED, True),
    (9, V.REJECTED, S.FAILED, Cause.UNDELIVERABLE, False),
    (10, V.REJECTED, S.FAILED, Cause.OPTED_OUT, False),
    (11, V.MISCONFIGURED, S.FAILED, Cause.ACCOUNT_REFUSED, False),
    (12, V.MISCONFIGURED, S.FAILED, Cause.ACCOUNT_REFUSED, False),
    (13, V.MISCONFIGURED, S.FAILED, Cause.ACCOUNT_REFUSED, False),
    (14, V.UNREGISTERED, S.FAILED, Cause.OPTED_OUT, True),
    (15, V.REJECTED, S.EXPIRED, Cause.NOT_IN_TIME, False),
    (17, V.MISCONFIGURED, S.FAILED, Cause.ACCOUNT_REFUSED, False),
    (18, V.MISCONFIGURED, S.FAILED, Cause.ACCOUNT_REFUSED, False),
    (19, V.MISCONFIGURED, S.FAILED, Cause.ACCOUNT_REFUSED, False),
    (20, V.REJECTED, S.FAILED, Cause.UNDELIVERABLE, False),
    (21, V.TRY_LATER, S.FAILED, Cause.CLOUD_ERROR, False),
    (23, V.ACCEPTED, S.SENT, Cause.NONE, False),  # accepted before
    (24, V.REJECTED, S.FAILED, Cause.PAYLOAD_REFUSED, False),
    (25, V.REJECTED, S.FAILED, Cause.TOO_LARGE, False),
    (26, V.ACCEPTED, S.SENT, Cause.NONE, False),
    (29, V.REJECTED, S.EXPIRED, Cause.NEVER_LEARNED, False),
    (31, V.REJECTED, S.FAILED, Cause.UNDELIVERABLE, False),
    (51, V.REJECTED, S.FAILED, Cause.PAYLOAD_REFUSED, False),
    (52, V.UNREGISTERED, S.FAILED, Cause.NUMBER_REFUSED, True),
]


def told(number: Any, group: Any = 1, name: str = "PENDING_ACCEPTED") -> dict[str, Any]:
    return {"groupId": group, "groupName": "X", "id": number, "name": name, "description": "…"}


def answer(*statuses: dict[str, Any], old: bool = False) -> bytes:
    to, count = (
        ("to", {"smsCount": 1}) if old else ("destination", {"details": {"messageCount": 1}})
    )
    messages = [
        {"messageId": f"m-{place}", to: "41793026727", "status": status, **count}
        for place, status in enumerate(statuses)
    ]
    return json.dumps({"bulkId": "b-1", "messages": messages}).encode()


def report(**given: Any) -> dict[str, Any]:
    """A result as Infobip posts it."""
    return {
        "bulkId": "b-1", "messageId": "m-1", "to": "41793026727", "sender": "Shop",
        "sentAt": "2026-11-09T16:00:00.000+0100", "doneAt": "2026-11-09T16:00:01.500+0100",
        "messageCount": 1, "mccMnc": "22801", "callbackData": "",
        "price": {"pricePerMessage": 0.01, "currency": "EUR"},
        "status": told(5, 3, "DELIVERED_TO_HANDSET"),
        "error": {"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR",
                  "description": "No Error", "permanent": False},
        **given,
    }  # fmt: skip


def test_the_table_has_no_other_rows() -> None:
    assert [row[0] for row in STATUSES] == sorted(infobip.STATUSES)


@pytest.mark.parametrize(("number", "verdict", "_state", "cause", "_closes"), STATUSES)
@pytest.mark.parametrize("old", [False, True])
def test_a_status_in_an_answer_is_a_verdict(
    number: int, verdict: Verdict, _state: State, cause: Cause, _closes: bool, old: bool
) -> None:
    [outcome] = infobip.read(200, answer(told(number, name="ITS_NAME"), old=old), ["m-0"])

    assert outcome.verdict is verdict
    assert outcome.status == 200
    if verdict is V.ACCEPTED:
        assert outcome.provider_id == "m-0"
    else:
        assert outcome.reason == "ITS_NAME"
        assert outcome.cause is (Cause.CLOUD_UNAVAILABLE if number == 21 else cause)


@pytest.mark.parametrize(("number", "_verdict", "state", "cause", "closes"), STATUSES)
def test_a_status_in_a_report_is_a_state(
    number: int, _verdict: Verdict, state: State, cause: Cause, closes: bool
) -> None:
    [read] = infobip.reports([report(status=told(number))])

    assert (read.message_id, read.state, read.cause) == ("m-1", state, cause)
    assert read.closes == ("41793026727" if closes else "")


@pytest.mark.parametrize(
    ("group", "verdict", "state"),
    [
        (1, V.ACCEPTED, S.SENT),
        (2, V.REJECTED, S.FAILED),
        (3, V.ACCEPTED, S.SENT),
        (4, V.REJECTED, S.EXPIRED),
        (5, V.REJECTED, S.FAILED),
    ],
)
def test_of_an_unknown_status_the_group_is_believed_and_nothing_is_closed(
    group: int, verdict: Verdict, state: State
) -> None:
    status = told(4711, group)

    [outcome] = infobip.read(200, answer(status), ["m-0"])
    [read] = infobip.reports([report(status=status)])

    assert (outcome.verdict, read.state, read.closes) == (verdict, state, "")


def test_each_destination_has_an_outcome_of_its_own() -> None:
    body = answer(told(26), told(52, 5, "REJECTED_DESTINATION"), told(7))

    outcomes = infobip.read(200, body, ["m-2", "m-1", "m-0", "m-9"])

    expected = [V.ACCEPTED, V.UNREGISTERED, V.ACCEPTED, V.UNKNOWN]
    assert [outcome.verdict for outcome in outcomes] == expected
    assert outcomes[0].provider_id == "m-2"


@pytest.mark.parametrize(
    ("status", "verdict", "scope"),
    [
        (400, V.REJECTED, Scope.DEVICE),
        (401, V.MISCONFIGURED, Scope.DEVICE),
        (403, V.MISCONFIGURED, Scope.DEVICE),
        (404, V.MISCONFIGURED, Scope.DEVICE),
        (418, V.REJECTED, Scope.DEVICE),
        (302, V.MISCONFIGURED, Scope.DEVICE),
        (429, V.TRY_LATER, Scope.ACCOUNT),
        (500, V.TRY_LATER, Scope.SERVICE),
        (502, V.TRY_LATER, Scope.SERVICE),
        (503, V.TRY_LATER, Scope.SERVICE),
        (504, V.TRY_LATER, Scope.SERVICE),
    ],
)
def test_an_error_concerns_the_whole_request(status: int, verdict: Verdict, scope: Scope) -> None:
    error = {"messageId": "ITS_WORD", "text": "Said of 41793026727 at length"}
    body = json.dumps({"requestError": {"serviceException": error}}).encode()

    outcomes = infobip.read(status, body, ["m-1", "m-2"])

    assert [outcome.verdict for outcome in outcomes] == [verdict] * 2
    assert (outcomes[0].scope, outcomes[0].status) == (scope, status)
    assert outcomes[0].reason == "ITS_WORD: Said of at length"
    assert outcomes[0].retry_after == (5 if verdict is V.TRY_LATER else None)


@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>"])
@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (500, V.TRY_LATER),
        (502, V.UNKNOWN),
        (503, V.TRY_LATER),
        (504, V.UNKNOWN),
        (401, V.MISCONFIGURED),
    ],
)
def test_an_error_that_is_not_infobips_own(status: int, verdict: Verdict, body: bytes) -> None:
    [outcome] = infobip.read(status, body, ["m-1"])

    assert (outcome.verdict, outcome.reason) == (verdict, f"HTTP {status}")


@given(st.binary(max_size=200))
def test_no_answer_breaks_the_reader(body: bytes) -> None:
    assert len(infobip.read(200, body, ["m-1", "m-2"])) == 2
    assert len(infobip.read(503, body, ["m-1"])) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(report())), json_values), json_values)
def test_no_report_breaks_the_reader(members: dict[str, Any], stranger: Any) -> None:
    for read in infobip.reports([report(**members), stranger, report()]):
        assert read.answer.isprintable() or read.answer == ""
        assert read.at is None or read.at.tzinfo is not None


def test_what_cannot_be_read_does_not_hide_the_rest() -> None:
    results = [report(status=None), 7, report(messageId=5), report(status=told("5", "3")), report()]

    assert [one.message_id for one in infobip.reports(results)] == ["m-1"]


@pytest.mark.parametrize(
    "told_time",
    [
        "2026-11-09T16:00:01.500+0100",
        "2026-11-09T16:00:01.500+01:00",
        "2026-11-09T15:00:01.500Z",
        "2026-11-09T15:00:01.500+0000",
    ],
)
def test_times_are_read_with_and_without_a_colon(told_time: str) -> None:
    [read] = infobip.reports([report(doneAt=told_time)])

    assert read.at == datetime(2026, 11, 9, 15, 0, 1, 500_000, tzinfo=UTC)


@pytest.mark.parametrize("told_time", ["", "yesterday", None, 5, "2026-11-09T16:00:01"])
def test_a_time_that_cannot_be_read_is_left_open(told_time: Any) -> None:
    [read] = infobip.reports([report(doneAt=told_time)])

    assert read.at is None


def test_a_report_keeps_the_operators_word() -> None:
    error = {"groupId": 1, "id": 27, "name": "EC_ABSENT_SUBSCRIBER", "permanent": False}

    [read] = infobip.reports(
        [report(status=told(9, 2, "UNDELIVERABLE_NOT_DELIVERED"), error=error)]
    )

    assert read.answer == "UNDELIVERABLE_NOT_DELIVERED, EC_ABSENT_SUBSCRIBER"


def test_the_older_report_is_read_too() -> None:
    older = report()
    older["from"], older["smsCount"] = older.pop("sender"), older.pop("messageCount")

    [read] = infobip.reports([older])

    assert read.state is State.DELIVERED


BATCH = infobip.Batch(
    sender="Shop",
    text="Héllo",
    minutes=720,
    report_url="https://push.example/r",
    destinations=[infobip.Destination("41793026727", "m-1")],
)


def test_the_body_of_version_3() -> None:
    assert infobip.body_v3(BATCH) == {
        "messages": [
            {
                "sender": "Shop",
                "destinations": [{"to": "41793026727", "messageId": "m-1"}],
                "content": {"text": "Héllo"},
                "options": {"validityPeriod": {"amount": 720, "timeUnit": "MINUTES"}},
                "webhooks": {
                    "delivery": {"url": "https://push.example/r"},
                    "contentType": "application/json",
                },
            }
        ]
    }


def test_the_body_of_version_2() -> None:
    assert infobip.body_v2(BATCH) == {
        "messages": [
            {
                "from": "Shop",
                "destinations": [{"to": "41793026727", "messageId": "m-1"}],
                "text": "Héllo",
                "validityPeriod": 720,
                "notifyUrl": "https://push.example/r",
                "notifyContentType": "application/json",
            }
        ]
    }
