"""providers.huawei: access tokens, service accounts, HarmonyOS 5, the test of a credential."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from providers.base import (
    Addressed,
    Cause,
    CredentialError,
    Network,
    Outcome,
    PushNotification,
    Verdict,
)
from providers.huawei import HuaweiProvider
from tests.providers.huawei import CLIENT, FIRST_ID, NOW, Huawei, partly, told
from tests.providers.keys import make_huawei_account, make_service_account, rsa_key
from tests.providers.running import run

V, C = Verdict, Cause
ACCOUNT: dict[str, Any] = {"service_account": make_huawei_account()}


# Access tokens


def test_the_access_token_is_asked_for_as_the_contract_says() -> None:
    huawei = Huawei()
    huawei.send(["a"])

    [request] = huawei.fetches
    assert request.url.path == "/oauth2/v3/token"
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["101010101"],
        "client_secret": ["s3cret"],
    }


def test_one_task_fetches_the_token_for_all() -> None:
    huawei = Huawei()

    huawei.send([f"t{n}" for n in range(60)], tracked=True)

    assert len(huawei.fetches) == 1
    assert len(huawei.pushes) == 60


@pytest.mark.parametrize("code", ["80200001", "80200003", "80200005"])
def test_a_refused_token_is_renewed_once_and_the_call_repeated_once(code: str) -> None:
    def answer(tokens: list[str]) -> httpx.Response:
        fresh = huawei.pushes[-1].headers["authorization"] == "Bearer token/2"
        return told("80000000") if fresh else told(code)

    huawei = Huawei(answer)
    outcomes = huawei.send(["a", "b", "c"], tracked=True)

    assert {each.verdict for each in outcomes} == {V.ACCEPTED}
    assert len(huawei.fetches) == 2


@pytest.mark.parametrize("refusal", [told("80200003"), httpx.Response(401, content=b"")])
def test_a_second_refusal_is_a_wrong_credential(refusal: httpx.Response) -> None:
    huawei = Huawei(lambda tokens: refusal)

    [outcome] = huawei.send(["a"])

    assert outcome.verdict is V.MISCONFIGURED
    assert (len(huawei.pushes), len(huawei.fetches)) == (2, 2)


def test_other_misconfigurations_do_not_renew_the_token() -> None:
    huawei = Huawei(lambda tokens: told("80300002"))

    huawei.send(["a"])

    assert (len(huawei.pushes), len(huawei.fetches)) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        (
            httpx.Response(
                400,
                json={"error": 1101, "sub_error": 20001, "error_description": "invalid request"},
            ),
            V.MISCONFIGURED,
            "1101/20001: invalid request",
        ),
        (httpx.Response(404, content=b""), V.MISCONFIGURED, "HTTP 404"),
        (httpx.Response(429, headers={"retry-after": "7"}), V.TRY_LATER, "HTTP 429"),
        (httpx.Response(503, content=b""), V.TRY_LATER, "HTTP 503"),
        (httpx.Response(200, content=b"<html>"), V.TRY_LATER, "not a token"),
    ],
)
def test_without_an_access_token_nothing_is_sent(
    answer: httpx.Response, verdict: Verdict, words: str
) -> None:
    huawei = Huawei()
    huawei.token_answer = lambda: answer

    outcomes = huawei.send(["a", "b"])

    assert {each.verdict for each in outcomes} == {verdict}
    assert words in outcomes[0].reason
    assert huawei.pushes == []


# Service accounts and HarmonyOS 5


def decoded(part: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return value


def test_a_service_account_signs_by_itself() -> None:
    huawei = Huawei()
    provider = huawei.provider(ACCOUNT, clock=lambda: NOW)
    payload = provider.compile(PushNotification(text="B"))
    run(provider.send([Addressed(payload, UUID(int=FIRST_ID), "t")]))

    assert huawei.fetches == []
    [request] = huawei.pushes
    assert request.url.path == "/v2/388421841222199/messages:send"
    header, claims, signature = request.headers["authorization"].removeprefix("Bearer ").split(".")
    assert decoded(header) == {"alg": "PS256", "typ": "JWT", "kid": "key-1"}
    assert decoded(claims) == {
        "iss": "100012345",
        "aud": "https://oauth-login.cloud.huawei.com/oauth2/v3/token",
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    signed = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    rsa_key().public_key().verify(signed, f"{header}.{claims}".encode(), pss, hashes.SHA256())


def test_a_signed_token_serves_until_five_minutes_before_its_end() -> None:
    now = [NOW]
    huawei = Huawei()
    provider = huawei.provider(ACCOUNT, clock=lambda: now[0])
    payload = provider.compile(PushNotification(text="B"))

    async def scenario() -> None:
        for seconds in (0, 3299, 3302):
            now[0] = NOW + seconds
            await provider.send([Addressed(payload, UUID(int=FIRST_ID), "t")])

    run(scenario())
    tokens = [request.headers["authorization"] for request in huawei.pushes]
    assert tokens[0] == tokens[1] != tokens[2]


def test_harmony_gets_the_third_version_of_the_api() -> None:
    huawei = Huawei()

    [outcome] = huawei.send(["a"], data={**CLIENT, **ACCOUNT}, kind="harmony")

    assert outcome.verdict is V.ACCEPTED
    [request] = huawei.pushes
    assert request.url.path == "/v3/388421841222199/messages:send"
    assert request.headers["push-type"] == "0"
    assert huawei.bodies[0]["target"] == {"token": ["a"]}
    assert huawei.fetches == []


@pytest.mark.parametrize(
    ("data", "fields", "cause"),
    [
        (CLIENT, {}, C.CREDENTIAL_REFUSED),
        (ACCOUNT, {"silent": True}, C.PAYLOAD_REFUSED),
    ],
)
def test_what_harmony_cannot_get_fails_alone(
    data: dict[str, Any], fields: dict[str, Any], cause: Cause
) -> None:
    huawei = Huawei()
    provider = huawei.provider(data)
    payload = provider.compile(PushNotification(text="B", **fields))
    window = [
        Addressed(payload, UUID(int=FIRST_ID), "new", "harmony"),
        Addressed(payload, UUID(int=FIRST_ID + 1), "old"),
    ]

    new, old = run(provider.send(window))

    assert (new.verdict, new.cause) == (V.REJECTED, cause)
    assert old.verdict is V.ACCEPTED


# Credentials and their test


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "client_id"),
        ({"client_id": "abc", "client_secret": "x"}, "client_id"),
        ({"client_id": "1"}, "client_secret"),
        ({"client_id": "1", "client_secret": "schlüssel"}, "client_secret"),
        ({"service_account": make_huawei_account(project_id="")}, "project_id"),
        ({"service_account": make_huawei_account(project_id="../v1")}, "project_id"),
        ({"service_account": make_huawei_account(key_id=None)}, "key_id"),
        ({"service_account": make_huawei_account(private_key="no key")}, "private_key"),
        ({"service_account": make_service_account()}, "key_id"),
        ({**CLIENT, "category": "WÖRK"}, "category"),
    ],
)
def test_a_credential_that_cannot_be_one_names_the_field(data: dict[str, Any], field: str) -> None:
    with pytest.raises(CredentialError) as refused:
        HuaweiProvider(data, network=Network())

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (told("80000000"), V.ACCEPTED),
        (told("80300007"), V.ACCEPTED),
        (told("80100000", partly("no-device")), V.ACCEPTED),
        (told("80200001"), V.MISCONFIGURED),
        (told("80300002"), V.MISCONFIGURED),
        (told("89999999"), V.REJECTED),
        (httpx.Response(404, content=b""), V.MISCONFIGURED),
        (httpx.Response(503, content=b""), V.TRY_LATER),
    ],
)
def test_a_credential_is_tested_by_a_dry_run(answer: httpx.Response, verdict: Verdict) -> None:
    huawei = Huawei(lambda tokens: answer)

    assert run(huawei.provider().test()).verdict is verdict
    [body] = huawei.bodies
    assert body["validate_only"] is True


def test_both_ways_of_a_credential_are_tested() -> None:
    huawei = Huawei()

    assert run(huawei.provider({**CLIENT, **ACCOUNT}).test()).verdict is V.ACCEPTED

    assert [request.url.path[:4] for request in huawei.pushes] == ["/v1/", "/v3/"]
    assert huawei.bodies[1]["pushOptions"]["testMessage"] is True


def test_closing_twice_is_fine() -> None:
    async def scenario() -> list[Outcome]:
        provider = Huawei().provider()
        payload = provider.compile(PushNotification(text="B"))
        outcomes = await provider.send([Addressed(payload, UUID(int=FIRST_ID), "t")])
        await asyncio.gather(provider.close(), provider.close())
        return outcomes

    [outcome] = run(scenario())
    assert outcome.verdict is V.ACCEPTED
