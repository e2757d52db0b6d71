"""The simulated push services of browsers: providers.md 5 and SIM-60, against foreign code."""

from __future__ import annotations

import base64
import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import http_ece
import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.simulator.posted import receiving
from tests.simulator.running import Client, Json, Simulator, b64, ec_key, signing_input
from tests.waiting import eventually

MOZILLA, GOOGLE = "updates.push.services.mozilla.com", "fcm.googleapis.com"
APPLE, MICROSOFT = "web.push.apple.com", "wns2-par02p.notify.windows.com"
HOSTS = [MOZILLA, GOOGLE, APPLE, MICROSOFT]
SAID = {"title": "Sale", "body": "Heute: -30 % 🎉", "data": {"messageId": "m-1"}}


def public(name: str = "") -> bytes:
    key = ec_key(name).public_key()
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def vapid(
    host: str, *, signer: str = "", key: str = "", alg: str = "ES256", ends_in: int = 3600,
    **claims: Any,
) -> str:  # fmt: skip
    """A proof by `signer` that shows the public half of `key`; a claim of None is left out."""
    told = {
        "aud": f"https://{host}",
        "exp": int(time.time()) + ends_in,
        "sub": "mailto:push@shop.example",
        **claims,
    }
    kept = {name: value for name, value in told.items() if value is not None}
    signed = signing_input({"typ": "JWT", "alg": alg}, kept)
    der = ec_key(signer).sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
    r, s = (part.to_bytes(32, "big") for part in decode_dss_signature(der))
    return f"vapid t={signed}.{b64(r + s)},k={b64(public(key or signer))}"


def unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Service:
    """One push service and a browser of it."""

    simulator: Simulator
    client: Client
    subscription: Json

    @property
    def endpoint(self) -> str:
        endpoint: str = self.subscription["endpoint"]
        return endpoint

    @property
    def path(self) -> str:
        return self.endpoint.removeprefix(f"https://{self.client.host}")

    def sealed(self, plaintext: bytes) -> bytes:
        """Encrypted for the browser by http-ece."""
        body: bytes = http_ece.encrypt(
            plaintext,
            salt=os.urandom(16),
            private_key=ec.generate_private_key(ec.SECP256R1()),
            dh=unpacked(self.subscription["keys"]["p256dh"]),
            auth_secret=unpacked(self.subscription["keys"]["auth"]),
            version="aes128gcm",
        )
        return body

    def push(
        self, body: bytes | None = None, *, proof: str | None = "", path: str = "", **changed: Any
    ) -> httpx.Response:
        """A push that is in order but for what is changed; a header of None is left out."""
        headers = {
            "ttl": "60",
            "urgency": "normal",
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "authorization": vapid(self.client.host) if proof == "" else proof,
            **{name.replace("_", "-"): value for name, value in changed.items()},
        }
        kept = {name: value for name, value in headers.items() if value is not None}
        content = self.sealed(json.dumps(SAID).encode()) if body is None else body
        return self.client.post(path or self.path, content=content, headers=kept)

    @property
    def rows(self) -> list[Json]:
        found: list[Json] = self.simulator.get("/ledger/messages")["messages"]
        return found

    @property
    def refusals(self) -> list[tuple[int, str]]:
        found = self.simulator.get("/ledger/refusals")["messages"]
        return [(row["status"], row["reason"]) for row in found]


def browser(simulator: Simulator, name: str = "", host: str = MOZILLA) -> Json:
    asked: Json = {"server_key": b64(public()), "host": host}
    if name:
        asked["names"] = [name]
    [found] = simulator.post("/browsers", asked)["subscriptions"]
    assert isinstance(found, dict)
    return found


@pytest.fixture
def service(simulator: Simulator, request: pytest.FixtureRequest) -> Iterator[Service]:
    host = getattr(request, "param", MOZILLA)
    with simulator.client(host, http2=False) as client:
        yield Service(simulator, client, browser(simulator, host=host))


EACH = pytest.mark.parametrize("service", HOSTS, indirect=True)


# ------------------------------------------------------------------- what is taken


@EACH
def test_a_push_is_taken_and_the_ledger_shows_what_the_browser_reads(service: Service) -> None:
    answer = service.push(ttl="3600", urgency="high", topic="sale-1")

    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["location"].startswith(f"https://{service.client.host}/m/")
    assert answer.headers["ttl"] == "3600"
    [row] = service.rows
    assert row["provider"] == "webpush"
    assert (row["token"], row["application"]) == (service.endpoint, b64(public()))
    assert (row["ttl"], row["urgency"], row["topic"]) == (3600, "high", "sale-1")
    assert (row["payload"], row["message_id"]) == (SAID, "m-1")
    assert service.simulator.get("/ledger")["webpush"] == {
        "accepted": 1, "distinct": 1, "refused": 0,
    }  # fmt: skip


def test_a_body_need_not_be_json_and_need_not_be(service: Service) -> None:
    assert service.push(service.sealed(b"Hello")).status_code == 201
    assert service.push(b"", content_encoding=None).status_code == 201

    assert [row["payload"] for row in service.rows] == ["Hello", None]


def test_zeros_that_a_text_ends_in_are_no_padding(service: Service) -> None:
    service.push(service.sealed(b"Hello" + bytes(20)))

    assert service.rows[0]["payload"] == "Hello" + "\0" * 20


def test_a_time_to_live_is_cut_at_thirty_days(service: Service) -> None:
    assert service.push(ttl="9999999").headers["ttl"] == str(30 * 86_400)


def test_4096_bytes_are_taken_and_one_more_is_not(service: Service) -> None:
    longest = service.sealed(b"x" * 3993)
    assert len(longest) == 4096

    assert service.push(longest).status_code == 201
    assert service.push(service.sealed(b"x" * 3994)).status_code == 413
    assert service.refusals == [(413, "too_large")]


def test_a_subscription_is_the_same_after_a_restart_with_nothing_stored(service: Service) -> None:
    name = service.path.rpartition("/")[2].partition(".")[0]

    assert browser(service.simulator, name) == service.subscription


# ------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changed", "status", "reason"),
    [
        ({"ttl": None}, 400, "no_ttl"),
        ({"ttl": "soon"}, 400, "no_ttl"),
        ({"ttl": "-1"}, 400, "no_ttl"),
        ({"urgency": "asap"}, 400, "bad_urgency"),
        ({"topic": "a" * 33}, 400, "bad_topic"),
        ({"topic": "two words"}, 400, "bad_topic"),
        ({"topic": ""}, 400, "bad_topic"),
        ({"content_encoding": None}, 400, "bad_encryption"),
        ({"content_encoding": "aesgcm"}, 400, "bad_encryption"),
        ({"body": b"plain text that nobody encrypted" * 4}, 400, "bad_encryption"),
        ({"body": b"x"}, 400, "bad_encryption"),
        ({"proof": None}, 401, "no_proof"),
        ({"proof": "Bearer x"}, 401, "no_proof"),
        ({"proof": "vapid t=x"}, 401, "no_proof"),
        ({"proof": "vapid t=a.b.c,k=BAAA"}, 401, "bad_proof"),
        ({"path": "/wpush/v2/nobody"}, 404, "unknown"),
        ({"path": "/wpush/v1/x"}, 404, "unknown"),
    ],
)
def test_a_push_that_is_not_in_order_is_refused(
    service: Service, changed: dict[str, Any], status: int, reason: str
) -> None:
    answer = service.push(**changed)

    assert (answer.status_code, answer.json()["code"]) == (status, status)
    assert service.refusals == [(status, reason)]
    assert service.rows == []


@pytest.mark.parametrize(
    "proof",
    [
        {"aud": f"https://{GOOGLE}"},
        {"aud": f"https://{MOZILLA}/"},
        {"aud": None},
        {"ends_in": -1},
        {"ends_in": 86_400 + 600},
        {"exp": "soon"},
        {"exp": None},
        {"alg": "none"},
        {"signer": "stranger", "key": ""},
    ],
    ids=str,
)
def test_a_proof_that_proves_nothing_is_refused(service: Service, proof: dict[str, Any]) -> None:
    shown = vapid(MOZILLA, **proof)
    if "signer" in proof:  # signed by a stranger, with the right key beside it
        shown = shown.partition(",k=")[0] + f",k={b64(public())}"

    answer = service.push(proof=shown)

    assert (answer.status_code, answer.json()["errno"]) == (401, 109)
    assert service.refusals == [(401, "bad_proof")]


@pytest.mark.parametrize(
    ("service", "status", "told"),
    [
        (MOZILLA, 401, '"errno": 109'),
        (GOOGLE, 403, "another key"),
        (APPLE, 400, '"reason": "VapidPkHashMismatch"'),
        (MICROSOFT, 403, "another key"),
    ],
    indirect=["service"],
)
def test_another_key_than_the_browser_subscribed_with_is_refused(
    service: Service, status: int, told: str
) -> None:
    answer = service.push(proof=vapid(service.client.host, signer="another"))

    assert answer.status_code == status
    assert told in answer.text
    assert service.refusals == [(status, "other_key")]


@pytest.mark.parametrize("service", [APPLE], indirect=True)
@pytest.mark.parametrize(
    "subject", ["mailto: <push@shop.example>", "mailto:push@localhost", "push@shop.example", None]
)
def test_apple_wants_to_know_whom_to_write_to(service: Service, subject: str | None) -> None:
    answer = service.push(proof=vapid(APPLE, sub=subject))

    assert (answer.status_code, answer.json()) == (403, {"reason": "BadJwtToken"})


def test_what_was_encrypted_for_somebody_else_is_refused(service: Service) -> None:
    other = Service(service.simulator, service.client, browser(service.simulator))

    answer = service.push(other.sealed(b"not for you"))

    assert (answer.status_code, answer.json()["errno"]) == (400, 110)


def test_a_clock_that_runs_wrong_spoils_a_proof(service: Service) -> None:
    service.simulator.post("/clock", {"offset": 7200})
    assert service.push().status_code == 401

    service.simulator.post("/clock", {"offset": 0})
    assert service.push().status_code == 201


# ------------------------------------------------------------------- what can be dialled


@pytest.mark.parametrize(
    ("fate", "host", "status", "told"),
    [
        ("unregistered", MOZILLA, 410, '"errno": 106'),
        ("unregistered", APPLE, 410, '"reason": "Unregistered"'),
        ("unregistered", GOOGLE, 410, "unsubscribed"),
        ("expired-token", MOZILLA, 404, '"errno": 102'),
        ("mismatched", MOZILLA, 401, '"errno": 109'),
        ("mismatched", GOOGLE, 403, "another key"),
        ("malformed", MOZILLA, 400, '"errno": 110'),
        ("busy", MOZILLA, 429, "slow down"),
        ("internal", MOZILLA, 500, '"errno": 999'),
        ("third-party", MOZILLA, 502, '"errno": 902'),
        ("bad-gateway", MOZILLA, 502, "<html>"),
        ("unavailable", MOZILLA, 503, '"errno": 201'),
        ("shutdown", GOOGLE, 503, "later"),
        ("unavailable-delivered", APPLE, 503, '"reason": "ServiceUnavailable"'),
    ],
)
def test_a_name_may_hold_a_fate(
    simulator: Simulator, fate: str, host: str, status: int, told: str
) -> None:
    with simulator.client(host, http2=False) as client:
        service = Service(simulator, client, browser(simulator, f"fate-{fate}-1", host))

        answer = service.push()

        assert answer.status_code == status
        assert told in answer.text
        assert service.rows == []


@pytest.mark.parametrize("fate", ["busy", "unavailable"])
@pytest.mark.parametrize("as_date", [False, True])
def test_who_must_wait_is_told_how_long(simulator: Simulator, fate: str, as_date: bool) -> None:
    dials = {"retry_after": 30, "retry_after_date": as_date}
    simulator.post("/behaviour", {"webpush": dials})
    with simulator.client(MOZILLA, http2=False) as client:
        service = Service(simulator, client, browser(simulator, f"fate-{fate}-once-1"))

        told = service.push().headers["retry-after"]
        again = service.push()

    if as_date:
        assert 25 < parsedate_to_datetime(told).timestamp() - time.time() <= 31
    else:
        assert told == "30"
    assert again.status_code == 201


def test_a_service_may_take_less_and_fewer(service: Service) -> None:
    service.simulator.post("/behaviour", {"webpush": {"largest_body": 300}})
    assert service.push(service.sealed(b"x" * 198)).status_code == 413
    assert service.push(service.sealed(b"x" * 197)).status_code == 201

    service.simulator.post("/behaviour", {"webpush": {"device_per_minute": 1}})
    assert service.push(service.sealed(b"x")).status_code == 429
    service.simulator.post(
        "/behaviour", {"webpush": {"device_per_minute": 100, "project_per_minute": 1}}
    )
    assert service.push(service.sealed(b"x")).status_code == 429


def test_a_lost_answer_was_taken_and_a_lost_request_was_not(simulator: Simulator) -> None:
    for fate, taken in (("lost-answer", 1), ("lost-request", 0)):
        simulator.post("/reset")
        with simulator.client(MOZILLA, http2=False) as client:
            service = Service(simulator, client, browser(simulator, f"fate-{fate}-1"))

            with pytest.raises(httpx.TransportError):
                service.push()

            assert len(service.rows) == taken


def test_a_browser_that_unsubscribed_is_gone(service: Service) -> None:
    gone = {"token": service.endpoint, "closed_at": time.time()}
    service.simulator.post("/devices", {"webpush": [gone]})

    assert service.push().status_code == 410


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "server_key"),
        ({"server_key": "AAAA"}, "server_key"),
        ({"server_key": "ключ"}, "server_key"),
        ({"server_key": "?", "names": ["a b"]}, "names[0]"),
        ({"server_key": "?", "count": 0}, "count"),
        ({"server_key": "?", "host": "evil.example"}, "host"),
        ({"server_key": "?", "nmae": "x"}, "nmae"),
    ],
)
def test_browsers_that_cannot_be_made_are_refused(
    simulator: Simulator, given: Json, field: str
) -> None:
    if given.get("server_key") == "?":
        given = {**given, "server_key": b64(public())}

    answer = simulator.ask("POST", "/browsers", given)

    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


# ------------------------------------------------------------------- what the browser reports


def test_the_service_worker_reports_what_arrived_and_what_was_touched(service: Service) -> None:
    message_id = str(uuid.uuid4())
    body = service.sealed(json.dumps({"data": {"messageId": message_id}}).encode())
    rates = {
        "delivered": 1, "seen": 1, "offline": 0, "repeated": 0, "unknown": 0, "wrong_clock": 0,
        "out_of_order": 0, "uninstalled": 0, "speed": 1000,
    }  # fmt: skip
    with receiving() as receiver:
        codes = {b64(public()): "code-1"}
        phones = {"base_url": receiver.base_url, "applications": codes, "rates": rates}
        service.simulator.post("/phones", phones)

        service.push(body)
        eventually(lambda: len(receiver.posts) == 2, "both reports came", seconds=30)

    first, second = receiver.posts
    assert first.path == second.path == "/sdk/1/receipts"
    assert first.headers["authorization"] == "App code-1"
    told = [event for post in (first, second) for event in json.loads(post.body)["events"]]
    assert {event["id"] for event in told} == {message_id}
    assert told[0]["kind"] == "delivered"
    assert told[1]["kind"] in {"opened", "dismissed"}
