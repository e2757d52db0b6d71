"""providers.webpush.vapid: the token that push services check, and its subject."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from providers.base import CredentialError
from providers.webpush.vapid import KEPT, LIFETIME, Vapid
from tests.providers.browsers import make_vapid, vapid_key

NOW = 1_760_000_000.0
ORIGIN = "https://updates.push.services.mozilla.com"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def claims(header: str) -> dict[str, Any]:
    """Of a token whose signature is right."""
    scheme, _, rest = header.partition(" ")
    assert scheme == "vapid"
    fields = dict(each.split("=", 1) for each in rest.split(","))
    assert fields["k"] == make_vapid()["public_key"]
    head, body, signature = fields["t"].split(".")
    assert json.loads(decoded(head)) == {"typ": "JWT", "alg": "ES256"}
    raw = decoded(signature)
    assert len(raw) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    vapid_key().public_key().verify(der, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    read: dict[str, Any] = json.loads(decoded(body))
    return read


def test_a_token_names_the_service_its_end_and_whom_to_write_to() -> None:
    vapid = Vapid(make_vapid(), clock=Clock())

    assert claims(vapid.header(ORIGIN)) == {
        "aud": ORIGIN,
        "exp": NOW + 12 * 3600,
        "sub": "mailto:push@shop.example",
    }


def test_each_service_gets_a_token_of_its_own_and_keeps_it_for_six_hours() -> None:
    clock = Clock()
    vapid = Vapid(make_vapid(), clock=clock)
    first, other = vapid.header(ORIGIN), vapid.header("https://web.push.apple.com")
    assert claims(first)["aud"] != claims(other)["aud"]

    clock.now += 6 * 3600 - 1
    assert vapid.header(ORIGIN) == first

    clock.now += 1
    assert claims(vapid.header(ORIGIN))["exp"] == NOW + KEPT + LIFETIME


def test_a_clock_that_is_set_back_does_not_keep_a_token_from_the_future() -> None:
    clock = Clock()
    vapid = Vapid(make_vapid(), clock=clock)
    vapid.header(ORIGIN)

    clock.now -= 3600

    assert claims(vapid.header(ORIGIN))["exp"] == NOW - 3600 + LIFETIME


def test_a_forgotten_token_is_made_anew() -> None:
    clock = Clock()
    vapid = Vapid(make_vapid(), clock=clock)
    vapid.header(ORIGIN)
    clock.now += 60

    vapid.forget(ORIGIN)

    assert claims(vapid.header(ORIGIN))["exp"] == NOW + 60 + LIFETIME


@pytest.mark.parametrize(
    "subject",
    [
        "mailto:push@shop.example",
        "mailto:Push+web@mail.Shop.example",
        "https://shop.example",
        "https://shop.example/contact?a=b",
        "https://shop.example:8443/",
    ],
)
def test_subjects_that_every_service_takes(subject: str) -> None:
    Vapid(make_vapid(subject=subject))


@pytest.mark.parametrize(
    "subject",
    [
        "",
        None,
        7,
        "push@shop.example",
        "mailto:",
        "mailto: push@shop.example",
        "mailto: <push@shop.example>",
        "mailto:<push@shop.example>",
        "mailto:push@shop.example ",
        "mailto:push@shop.example\n",
        "mailto:Shop <push@shop.example>",
        "mailto:push@localhost",
        "mailto:push@localhost.localdomain",
        "mailto:push@127.0.0.1",
        "mailto:a@shop.example,b@shop.example",
        "http://shop.example",
        "https://localhost",
        "https://localhost:8000/",
        "https://shop.local/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://user@shop.example/",
        "https://",
        "https://shop.example/ x",
        "https://" + "x" * 200 + ".example",
        "tel:+417900000000",
    ],
)
def test_subjects_that_apple_would_answer_with_bad_jwt_token(subject: object) -> None:
    with pytest.raises(CredentialError) as refused:
        Vapid(make_vapid(subject=subject))
    assert refused.value.field == "subject"


@pytest.mark.parametrize("key", ["", None, "AAAA", "A" * 43, "_" * 43, "nonsense!" * 5])
def test_a_private_key_that_is_none_is_refused_without_being_repeated(key: object) -> None:
    with pytest.raises(CredentialError) as refused:
        Vapid(make_vapid(private_key=key))
    assert refused.value.field == "private_key"
    assert not key or str(key) not in str(refused.value)


def test_a_public_key_of_another_pair_is_refused() -> None:
    other = make_vapid(ec.generate_private_key(ec.SECP256R1()))["public_key"]

    with pytest.raises(CredentialError) as refused:
        Vapid(make_vapid(public_key=other))
    assert refused.value.field == "public_key"
