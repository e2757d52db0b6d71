"""providers.huawei: what Huawei's answers mean, and which calls a window becomes."""

from __future__ import annotations

import json
from uuid import UUID

import httpx
import pytest

from providers.base import Addressed, Cause, PushNotification, Scope, Verdict
from providers.gateway import Answered
from providers.http2 import NoAnswer, NotSent
from providers.huawei.answers import BY_CODE, read
from tests.providers.huawei import FIRST_ID, NOW, Huawei, partly, told
from tests.providers.running import run

V, C = Verdict, Cause


def answered(code: str, status: int = 200, *, message: str = "words") -> Answered:
    body = {"code": code, "msg": message, "requestId": "r-1"}
    return Answered(status, json.dumps(body).encode(), "")


# Reading


CODES = [
    ("80000000", V.ACCEPTED, C.NONE),
    ("80100001", V.REJECTED, C.PAYLOAD_REFUSED),
    ("80100002", V.REJECTED, C.PAYLOAD_REFUSED),
    ("80100003", V.REJECTED, C.PAYLOAD_REFUSED),
    ("80100004", V.REJECTED, C.PAYLOAD_REFUSED),
    ("80100013", V.REJECTED, C.PAYLOAD_REFUSED),
    ("80100016", V.REJECTED, C.PAYLOAD_REFUSED),
    ("80100017", V.TRY_LATER, C.CLOUD_UNAVAILABLE),
    ("80100018", V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
    ("80100022", V.REJECTED, C.PAYLOAD_REFUSED),
    ("80200001", V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
    ("80200003", V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
    ("80200005", V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
    ("80300002", V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
    ("80300007", V.UNREGISTERED, C.MALFORMED_TOKEN),
    ("80300008", V.REJECTED, C.TOO_LARGE),
    ("80300010", V.REJECTED, C.INTERNAL),
    ("80300011", V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
    ("80300013", V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
    ("80300029", V.TRY_LATER, C.CLOUD_UNAVAILABLE),
    ("80300030", V.TRY_LATER, C.CLOUD_UNAVAILABLE),
    ("80300036", V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
    ("80300037", V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
    ("80600003", V.TRY_LATER, C.CLOUD_UNAVAILABLE),
    ("81000001", V.TRY_LATER, C.CLOUD_UNAVAILABLE),
    ("89999999", V.REJECTED, C.CLOUD_ERROR),  # nobody has heard of it
]


@pytest.mark.parametrize(("code", "verdict", "cause"), CODES)
def test_each_code_of_the_contract(code: str, verdict: Verdict, cause: Cause) -> None:
    [outcome] = read(answered(code), ["t"], NOW)

    assert (outcome.verdict, outcome.cause) == (verdict, cause)
    assert (outcome.reason, outcome.status) == (f"{code} words", 200)
    assert outcome.provider_id == "r-1"


def test_the_table_above_is_whole() -> None:
    assert {code for code, _, _ in CODES} == {*BY_CODE, "89999999"}


@pytest.mark.parametrize(
    ("code", "scope", "retry_after", "may_have_sent"),
    [
        ("80100017", Scope.ACCOUNT, 5, False),
        ("80300029", Scope.DEVICE, 86_400, False),
        ("80300030", Scope.DEVICE, 86_400, False),
        ("80600003", Scope.SERVICE, 5, False),
        ("81000001", Scope.SERVICE, 5, True),
    ],
)
def test_whom_a_code_asks_to_wait(
    code: str, scope: Scope, retry_after: float, may_have_sent: bool
) -> None:
    [outcome] = read(answered(code), ["t"], NOW)

    assert (outcome.scope, outcome.retry_after) == (scope, retry_after)
    assert outcome.may_have_sent is may_have_sent


HTML = b"<html>"
OWN = b'{"msg":"no code"}'


@pytest.mark.parametrize(
    ("status", "body", "verdict", "cause"),
    [
        (200, b"", V.UNKNOWN, C.NO_ANSWER),
        (200, HTML, V.UNKNOWN, C.NO_ANSWER),
        (400, HTML, V.REJECTED, C.PAYLOAD_REFUSED),
        (401, HTML, V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
        (403, HTML, V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
        (404, HTML, V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
        (413, b"", V.REJECTED, C.TOO_LARGE),
        (418, b"", V.REJECTED, C.CLOUD_ERROR),
        (429, b"", V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (500, b"", V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (502, OWN, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (502, HTML, V.UNKNOWN, C.NO_ANSWER),
        (502, b"", V.UNKNOWN, C.NO_ANSWER),
        (503, HTML, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (503, b'{"code":"81000001"}', V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (504, HTML, V.UNKNOWN, C.NO_ANSWER),
        (504, OWN, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (400, b'{"code":"80300002"}', V.MISCONFIGURED, C.CREDENTIAL_REFUSED),
    ],
)
def test_each_http_status(status: int, body: bytes, verdict: Verdict, cause: Cause) -> None:
    [outcome] = read(Answered(status, body, ""), ["t"], NOW)

    assert (outcome.verdict, outcome.cause, outcome.status) == (verdict, cause, status)


@pytest.mark.parametrize(
    ("status", "scope", "may_have_sent"),
    [(503, Scope.ACCOUNT, False), (500, Scope.SERVICE, True)],
)
def test_flow_control_concerns_the_account_and_took_nothing(
    status: int, scope: Scope, may_have_sent: bool
) -> None:
    [outcome] = read(Answered(status, b"", ""), ["t"], NOW)

    assert (outcome.scope, outcome.may_have_sent, outcome.retry_after, outcome.asked) == (
        scope, may_have_sent, 5, False,
    )  # fmt: skip


def test_a_time_that_huawei_names_is_kept() -> None:
    [outcome] = read(Answered(503, b"", "30"), ["t"], NOW)

    assert (outcome.retry_after, outcome.asked) == (30, True)


def test_a_partial_answer_names_the_dead_and_takes_the_rest() -> None:
    outcomes = read(answered("80100000", message=partly("b", "x")), ["a", "b", "c"], NOW)

    assert [each.verdict for each in outcomes] == [V.ACCEPTED, V.UNREGISTERED, V.ACCEPTED]
    assert outcomes[1].cause is C.UNINSTALLED
    assert {each.provider_id for each in outcomes} == {"r-1"}


@pytest.mark.parametrize(
    "message",
    ["", "some failed", "[]", "null", '{"failure":1}', '{"illegal_tokens":"a"}', "[" * 99_999],
)
def test_a_partial_answer_that_cannot_be_read_is_doubt(message: str) -> None:
    outcomes = read(answered("80100000", message=message), ["a", "b"], NOW)

    assert [each.verdict for each in outcomes] == [V.UNKNOWN, V.UNKNOWN]


@pytest.mark.parametrize(
    ("result", "verdict"),
    [(NotSent("ConnectError"), V.NOT_SENT), (NoAnswer("ReadTimeout"), V.UNKNOWN)],
)
def test_what_was_never_answered(result: NotSent | NoAnswer, verdict: Verdict) -> None:
    assert [each.verdict for each in read(result, ["a", "b"], NOW)] == [verdict, verdict]


# Calls


def test_untracked_pushes_go_out_by_the_hundred() -> None:
    huawei = Huawei()

    outcomes = huawei.send([f"t{n}" for n in range(250)])

    assert sorted(map(len, huawei.calls)) == [50, 100, 100]
    assert {each.verdict for each in outcomes} == {V.ACCEPTED}
    tags = {body["message"]["android"]["bi_tag"] for body in huawei.bodies}
    assert tags == {f"b-{UUID(int=FIRST_ID + n)}" for n in (0, 100, 200)}
    assert huawei.pushes[0].url.path == "/v1/101010101/messages:send"
    assert huawei.pushes[0].headers["authorization"] == "Bearer token/1"


def test_tracked_pushes_go_out_one_by_one_with_their_ids() -> None:
    huawei = Huawei()

    huawei.send(["a", "b", "c"], tracked=True)

    told_ids = {
        body["message"]["token"][0]: json.loads(body["message"]["data"])["messageId"]
        for body in huawei.bodies
    }
    assert told_ids == {
        token: str(UUID(int=FIRST_ID + number)) for number, token in enumerate("abc")
    }


def test_a_token_that_comes_twice_is_pushed_once() -> None:
    huawei = Huawei(lambda tokens: told("80100000", partly("a")))

    outcomes = huawei.send(["a", "b", "a"])

    assert huawei.calls == [["a", "b"]]
    assert [each.verdict for each in outcomes] == [V.UNREGISTERED, V.ACCEPTED, V.UNREGISTERED]


def test_devices_with_another_content_or_time_left_do_not_share_a_call() -> None:
    huawei = Huawei()
    provider = huawei.provider()
    one, two = (provider.compile(PushNotification(text=text, tracked=False)) for text in ("A", "B"))
    window = [
        Addressed(payload, UUID(int=FIRST_ID + number), f"t{number}", "token", ttl)
        for number, (payload, ttl) in enumerate([(one, 60), (two, 60), (one, 90), (one, 60)])
    ]

    outcomes = run(provider.send(window))

    assert sorted(huawei.calls) == [["t0", "t3"], ["t1"], ["t2"]]
    assert len(outcomes) == 4


def test_a_thousand_with_ten_illegal_tokens_close_ten_and_repeat_nothing() -> None:
    tokens = [f"t{n}" for n in range(1000)]
    illegal = set(tokens[5::100])

    def answer(asked: list[str]) -> httpx.Response:
        return told("80100000", partly(*(one for one in asked if one in illegal)))

    huawei = Huawei(answer)
    outcomes = huawei.send(tokens)

    assert len(huawei.calls) == 10
    gone = {
        token
        for token, each in zip(tokens, outcomes, strict=True)
        if each.verdict is V.UNREGISTERED
    }
    assert gone == illegal
    assert sum(each.verdict is V.ACCEPTED for each in outcomes) == 990


def picky(*valid: str) -> Huawei:
    """Refuses a call without any valid token as Huawei does."""

    def answer(asked: list[str]) -> httpx.Response:
        bad = [one for one in asked if one not in valid]
        if len(bad) == len(asked):
            return told("80300007", "All tokens are invalid")
        return told("80100000", partly(*bad)) if bad else told("80000000")

    return Huawei(answer)


def test_one_token_that_is_not_valid_is_closed() -> None:
    [outcome] = picky().send(["a"])

    assert (outcome.verdict, outcome.cause) == (V.UNREGISTERED, C.MALFORMED_TOKEN)


def test_a_call_without_a_valid_token_is_taken_apart() -> None:
    huawei = picky()

    outcomes = huawei.send([f"t{n}" for n in range(8)])

    assert {each.verdict for each in outcomes} == {V.UNREGISTERED}
    assert sorted(map(len, huawei.calls)) == [1] * 8 + [2] * 4 + [4] * 2 + [8]


def test_what_turns_out_valid_in_a_half_is_taken_once() -> None:
    asked: list[list[str]] = []

    def answer(tokens: list[str]) -> httpx.Response:
        asked.append(tokens)
        return told("80300007") if "bad" in tokens else told("80000000")

    outcomes = Huawei(answer).send(["a", "bad", "c", "d"])

    assert [each.verdict for each in outcomes] == [
        V.ACCEPTED, V.UNREGISTERED, V.ACCEPTED, V.ACCEPTED,
    ]  # fmt: skip


def test_more_than_fifty_invalid_tokens_are_a_wrong_setting() -> None:
    huawei = picky()

    outcomes = huawei.send([f"t{n}" for n in range(51)])

    assert {each.verdict for each in outcomes} == {V.MISCONFIGURED}
    assert "not of the app 101010101" in outcomes[0].remedy
    assert sorted(map(len, huawei.calls)) == [25, 26, 51]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (httpx.ConnectError, V.NOT_SENT),
        (httpx.ConnectTimeout, V.NOT_SENT),
        (httpx.ReadError, V.UNKNOWN),
        (httpx.WriteError, V.UNKNOWN),
        (httpx.ReadTimeout, V.UNKNOWN),
        (httpx.RemoteProtocolError, V.UNKNOWN),
    ],
)
def test_a_lost_answer_is_doubt_for_the_whole_call_and_never_repeated(
    error: type[httpx.TransportError], verdict: Verdict
) -> None:
    def answer(tokens: list[str]) -> httpx.Response:
        raise error("lost")

    huawei = Huawei(answer)
    outcomes = huawei.send(["a", "b", "c"])

    assert [each.verdict for each in outcomes] == [verdict] * 3
    assert len(huawei.calls) == 1
