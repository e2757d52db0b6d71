"""One sentence for each answer of Huawei's that blames our credential."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from providers.base import Outcome, Verdict
from providers.huawei import answers
from tests.providers.huawei import CLIENT, Huawei, told
from tests.providers.keys import make_huawei_account
from tests.providers.running import run

ACCOUNT: dict[str, Any] = {"service_account": make_huawei_account()}
MISCONFIGURED = [
    code for code, meaning in answers.BY_CODE.items() if meaning.verdict is Verdict.MISCONFIGURED
]


def answer_to(huawei: Huawei, data: dict[str, Any]) -> Outcome:
    return run(huawei.provider(data).test())


def is_one_sentence(text: str) -> bool:
    return text.endswith(".") and ". " not in text and "{" not in text


@pytest.mark.parametrize("data", [CLIENT, ACCOUNT], ids=["client", "account"])
@pytest.mark.parametrize("code", MISCONFIGURED)
def test_every_refusal_has_its_sentence(code: str, data: dict[str, Any]) -> None:
    outcome = answer_to(Huawei(lambda tokens: told(code, "words")), data)

    assert outcome.verdict is Verdict.MISCONFIGURED
    assert outcome.reason == f"{code} words"
    assert is_one_sentence(outcome.remedy)


@pytest.mark.parametrize(
    ("code", "data", "names"),
    [
        ("80200001", CLIENT, "Push Kit is enabled for the app 101010101"),
        ("80200001", ACCOUNT, "its file is of the project 388421841222199"),
        ("80200005", ACCOUNT, "key was not deleted"),
        ("80300002", CLIENT, "not of the app 101010101"),
        ("80300013", CLIENT, "enter the one that this credential's page shows"),
        ("80300037", CLIENT, "read Huawei's notice"),
    ],
)
def test_the_sentence_says_what_to_do(code: str, data: dict[str, Any], names: str) -> None:
    assert names in answer_to(Huawei(lambda tokens: told(code)), data).remedy


@pytest.mark.parametrize(
    ("code", "data", "off", "says"),
    [
        ("80200001", ACCOUNT, 3600, "clock is 60 minutes ahead"),
        ("80200005", ACCOUNT, -3600, "clock is 60 minutes late"),
        ("80200001", ACCOUNT, 60, "key was not deleted"),
        ("80300002", ACCOUNT, 3600, "not of the app"),
        ("80200001", CLIENT, 3600, "Push Kit is enabled"),  # signs nothing
    ],
)
def test_a_clock_that_is_off_is_blamed_for_what_was_signed(
    code: str, data: dict[str, Any], off: int, says: str
) -> None:
    date = formatdate(time.time() - off, usegmt=True)

    def answer(tokens: Sequence[str]) -> httpx.Response:
        response = told(code)
        response.headers["date"] = date
        return response

    assert says in answer_to(Huawei(answer), data).remedy


@pytest.mark.parametrize(
    ("status", "data", "names"),
    [
        (404, CLIENT, "Huawei has no app 101010101"),
        (404, ACCOUNT, "Huawei has no project 388421841222199"),
        (401, CLIENT, "Push Kit is enabled"),
        (403, ACCOUNT, "key was not deleted"),
    ],
)
def test_a_status_without_a_code_has_its_sentence_too(
    status: int, data: dict[str, Any], names: str
) -> None:
    outcome = answer_to(Huawei(lambda tokens: httpx.Response(status, content=b"")), data)

    assert names in outcome.remedy
    assert is_one_sentence(outcome.remedy)


@pytest.mark.parametrize(
    ("description", "names"),
    [
        ("invalid client_secret", "does not accept this client secret for the app 101010101"),
        ("invalid client_id", "has no app 101010101"),
        ("client ID does not exist", "has no app 101010101"),
        ("invalid request", "this app ID and client secret together"),
    ],
)
def test_a_refused_login_names_what_is_wrong(description: str, names: str) -> None:
    huawei = Huawei()
    body = {"error": 1101, "sub_error": 12304, "error_description": description}
    huawei.token_answer = lambda: httpx.Response(400, json=body)

    outcome = answer_to(huawei, CLIENT)

    assert (outcome.verdict, outcome.status) == (Verdict.MISCONFIGURED, 400)
    assert outcome.reason == f"1101/12304: {description}"
    assert names in outcome.remedy
    assert is_one_sentence(outcome.remedy)


def test_tokens_of_another_app_are_called_so_while_sending() -> None:
    outcomes = Huawei(lambda tokens: told("80300007")).send([f"t-{n}" for n in range(100)])

    assert {one.verdict for one in outcomes} == {Verdict.MISCONFIGURED}
    assert "not of the app 101010101" in outcomes[0].remedy


def test_who_is_not_to_blame_gets_no_advice() -> None:
    assert answer_to(Huawei(), CLIENT).remedy == ""
    assert answer_to(Huawei(lambda tokens: told("81000001")), CLIENT).remedy == ""
